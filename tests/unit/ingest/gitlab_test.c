/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ingest/post.h"

#define TOKEN "glhook-0123456789abcdef"
#define SIGNING "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q="
#define ID "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"
#define OTHER "v1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA="
#define SIGNATURE "v1,68n7sQVzNQF7jew9KS2HTT9NVpOYy2A5oNqzWGa8QlM="

static const char *const by_signature[] = { "scheme", "signing-token", NULL };

static struct post *
with_signature(void)
{
	struct post *p = post_new("gitlab", by_signature, SIGNING);
	post_header(p, "Content-Type", "application/json");
	post_header(p, "X-Gitlab-Event", "Push Hook");
	post_header(p, "Idempotency-Key", ID);
	post_header(p, "webhook-id", ID);
	post_header(p, "webhook-timestamp", "1700000000");
	post_header(p, "webhook-signature", SIGNATURE);
	p->body = bytes_str("{\"object_kind\":\"push\"}");
	p->now_s = 1700000000;
	return p;
}

static void
the_signing_token_signs_id_time_and_body(void **state UNUSED)
{
	struct post *p = with_signature();
	post_must_fail(p, "webhook-signature");
	assert_string_equal(p->source.setup->scheme, "standard-v1");
	assert_true(bytes_is(p->delivery.content.claims.delivery, ID));
	assert_true(bytes_is(p->delivery.content.claims.event, "Push Hook"));
	assert_int_equal(post_try_with(p, "webhook-id", "another"), 401);
	assert_int_equal(post_try_with(p, "webhook-id", NULL), 400);
	assert_int_equal(post_try_with(p, "webhook-timestamp", "1700000001"), 401);
	assert_int_equal(post_try_with(p, "webhook-timestamp", NULL), 401);
	assert_int_equal(post_try_with(p, "webhook-timestamp", "1700000000 "), 401);
	assert_int_equal(post_try_with(p, "webhook-timestamp", "-1700000000"), 401);
	/* What the signature does not cover cannot change the id. */
	assert_int_equal(post_try_with(p, "Idempotency-Key", "other"), 0);
	assert_true(bytes_is(p->delivery.content.claims.delivery, ID));
	post_free(p);
}

static void
old_and_future_deliveries_are_refused(void **state UNUSED)
{
	static const struct {
		int64_t off_s;
		int status;
	} cases[] = { { 0, 0 }, { 300, 0 }, { -300, 0 }, { 301, 401 }, { -301, 401 } };
	struct post *p = with_signature();
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		p->now_s = 1700000000 + cases[i].off_s;
		assert_int_equal(post_try(p), cases[i].status);
	}
	post_free(p);
}

static void
there_is_no_way_back_to_the_token(void **state UNUSED)
{
	struct post *p = with_signature();
	post_header(p, "X-Gitlab-Token", SIGNING);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(post_try_with(p, "webhook-signature", NULL), 401);
	assert_int_equal(post_try_with(p, "webhook-signature", "v1,"), 401);
	/* Nor to a signature of another kind. */
	assert_int_equal(post_try_with(p, "webhook-signature",
				 "v1a,68n7sQVzNQF7jew9KS2HTT9NVpOYy2A5oNqzWGa8QlM="),
		401);
	post_free(p);
}

static void
one_signature_of_several_is_enough(void **state UNUSED)
{
	struct post *p = with_signature();
	static const char *const right[] = {
		(OTHER " " SIGNATURE),
		(SIGNATURE " " OTHER),
		("v9,anything " SIGNATURE),
	};
	static const char *const wrong[] = { (SIGNATURE " "), (" " SIGNATURE), (SIGNATURE "  v9,x"),
		SIGNATURE ",x", SIGNATURE " v1,", SIGNATURE " v1,aaaa", "," SIGNATURE, OTHER };
	for (size_t i = 0; i < COUNT_OF(right); i++)
		assert_int_equal(post_try_with(p, "webhook-signature", right[i]), 0);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(post_try_with(p, "webhook-signature", wrong[i]), 401);
	post_free(p);
}

static struct post *
with_token(void)
{
	struct post *p = post_new("gitlab", NULL, TOKEN);
	post_header(p, "X-Gitlab-Event", "Merge Request Hook");
	post_header(p, "X-Gitlab-Event-UUID", "shared");
	post_header(p, "Idempotency-Key", ID);
	post_header(p, "X-Gitlab-Token", TOKEN);
	p->body = bytes_str("{\"object_kind\":\"merge_request\"}");
	return p;
}

static void
the_secret_token_is_compared(void **state UNUSED)
{
	static const char *const wrong[] = { "", (TOKEN "x"), ("x" TOKEN), "glhook-0123456789abcdeF",
		"glhook-0123456789abcde", "GLHOOK-0123456789ABCDEF" };
	struct post *p = with_token();
	assert_int_equal(post_try(p), 0);
	assert_string_equal(p->source.setup->scheme, "token");
	assert_true(bytes_is(p->delivery.content.claims.delivery, ID));
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(post_try_with(p, "X-Gitlab-Token", wrong[i]), 401);
	assert_int_equal(post_try_with(p, "X-Gitlab-Token", NULL), 401);
	/* A signature this source has no key for is no substitute. */
	post_header(p, "webhook-signature", SIGNATURE);
	assert_int_equal(post_try_with(p, "X-Gitlab-Token", NULL), 401);
	post_header_again(p, "X-Gitlab-Token", TOKEN);
	assert_int_equal(post_try(p), 401);
	post_free(p);
}

static void
old_releases_send_no_id(void **state UNUSED)
{
	struct post *p = with_token();
	assert_int_equal(post_try_with(p, "Idempotency-Key", NULL), 0);
	assert_int_equal(p->delivery.content.claims.delivery.len, 0);
	assert_int_equal(post_try_with(p, "X-Gitlab-Event", NULL), 400);
	post_free(p);
}

static void
the_secret_has_to_fit_the_scheme(void **state UNUSED)
{
	static const char *const unknown[] = { "scheme", "both", NULL };
	struct arena *a = arena_new(1024);
	assert_non_null(strstr(post_wrong(a, "gitlab", NULL, SIGNING), "signing-token"));
	assert_non_null(strstr(post_wrong(a, "gitlab", by_signature, TOKEN), "whsec_"));
	/* 24 bytes: a key of Standard Webhooks, but none of GitLab's. */
	assert_non_null(strstr(
		post_wrong(a, "gitlab", by_signature, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		"32 bytes"));
	assert_non_null(strstr(post_wrong(a, "gitlab", unknown, TOKEN), "both"));
	arena_free(a);
}

static void
pings_are_signed_either_way(void **state UNUSED)
{
	struct post *p = post_new("gitlab", by_signature, SIGNING);
	post_take_ping(p);
	post_must_fail(p, "webhook-signature");
	post_free(p);
	p = post_new("gitlab", NULL, TOKEN);
	post_take_ping(p);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(post_try_with(p, "X-Gitlab-Token", NULL), 401);
	post_free(p);
}

static void
made_secrets_fit(void **state UNUSED)
{
	struct post *p = post_new("gitlab", by_signature, SIGNING);
	struct buf secret = buf_new(1024);
	struct err e;
	p->source.provider->make_secret(p->source.setup, &secret);
	assert_int_equal(
		p->source.provider->check_secret(p->source.setup, buf_bytes(&secret), &e), RC_OK);
	buf_free(&secret);
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_signing_token_signs_id_time_and_body),
		cmocka_unit_test(old_and_future_deliveries_are_refused),
		cmocka_unit_test(there_is_no_way_back_to_the_token),
		cmocka_unit_test(one_signature_of_several_is_enough),
		cmocka_unit_test(the_secret_token_is_compared),
		cmocka_unit_test(old_releases_send_no_id),
		cmocka_unit_test(the_secret_has_to_fit_the_scheme),
		cmocka_unit_test(pings_are_signed_either_way),
		cmocka_unit_test(made_secrets_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
