/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ingest/post.h"

/* From the specification's own libraries. */
#define KEY "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define AT 1614265330
#define AT_TEXT "1614265330"
#define BODY "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define PUBLIC "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
#define SIGNATURE_A                                                                                \
	"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7T"  \
	"BAg=="

static const char *const v1a[] = { "scheme", "v1a", NULL };

static struct post *
message(const char *const *options, const char *key, const char *signature)
{
	struct post *p = post_new("standard-webhooks", options, key);
	post_header(p, "webhook-id", ID);
	post_header(p, "webhook-timestamp", AT_TEXT);
	post_header(p, "webhook-signature", signature);
	p->body = bytes_str(BODY);
	p->now_s = AT;
	return p;
}

static void
signed_parts_cannot_change(struct post *p)
{
	post_must_fail(p, "webhook-signature");
	assert_int_equal(post_try_with(p, "webhook-id", "msg_other"), 401);
	assert_int_equal(post_try_with(p, "webhook-timestamp", "1614265331"), 401);
	assert_int_equal(post_try_with(p, "webhook-timestamp", "01614265330"), 401);
	assert_int_equal(post_try_with(p, "webhook-timestamp", NULL), 401);
	assert_int_equal(post_try_with(p, "webhook-timestamp", ""), 401);
	assert_int_equal(post_try_with(p, "webhook-id", NULL), 400);
	assert_int_equal(post_try_with(p, "webhook-id", ""), 400);
	p->now_s = AT + 300;
	assert_int_equal(post_try(p), 0);
	p->now_s = AT - 300;
	assert_int_equal(post_try(p), 0);
	p->now_s = AT + 301;
	assert_int_equal(post_try(p), 401);
	p->now_s = AT - 301;
	assert_int_equal(post_try(p), 401);
}

static void
the_published_hmac_matches(void **state UNUSED)
{
	struct post *p = message(NULL, KEY, SIGNATURE);
	signed_parts_cannot_change(p);
	assert_string_equal(p->source.setup->scheme, "standard-v1");
	post_free(p);
}

static void
the_published_ed25519_matches(void **state UNUSED)
{
	struct post *p = message(v1a, PUBLIC, SIGNATURE_A);
	signed_parts_cannot_change(p);
	assert_string_equal(p->source.setup->scheme, "standard-v1a");
	post_free(p);
}

static void
a_list_may_hold_both(void **state UNUSED)
{
	struct post *p = message(NULL, KEY, SIGNATURE_A " " SIGNATURE);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(post_try_with(p, "webhook-signature", SIGNATURE " " SIGNATURE_A), 0);
	/* Each source checks its own kind only. */
	assert_int_equal(post_try_with(p, "webhook-signature", SIGNATURE_A), 401);
	assert_int_equal(post_try_with(p, "webhook-signature", "v1,"), 401);
	assert_int_equal(post_try_with(p, "webhook-signature", SIGNATURE ", " SIGNATURE), 401);
	assert_int_equal(post_try_with(p, "webhook-signature", SIGNATURE "\t" SIGNATURE), 401);
	post_free(p);
	p = message(v1a, PUBLIC, SIGNATURE);
	assert_int_equal(post_try(p), 401);
	post_free(p);
}

static void
at_most_eight_are_tried(void **state UNUSED)
{
	struct post *p = message(NULL, KEY, SIGNATURE);
	struct buf list = buf_new(4096);
	for (size_t i = 0; i < 7; i++)
		buf_put_str(&list, "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ");
	buf_put_str(&list, SIGNATURE);
	assert_int_equal(post_try_with(p, "webhook-signature", buf_cstr(&list)), 0);
	buf_put_str(&list, " " SIGNATURE);
	assert_int_equal(post_try_with(p, "webhook-signature", buf_cstr(&list)), 401);
	buf_free(&list);
	post_free(p);
}

static void
svix_has_other_names(void **state UNUSED)
{
	struct post *p = post_new("standard-webhooks", NULL, KEY);
	post_header(p, "svix-id", ID);
	post_header(p, "svix-timestamp", AT_TEXT);
	post_header(p, "svix-signature", SIGNATURE);
	p->body = bytes_str(BODY);
	p->now_s = AT;
	post_must_fail(p, "svix-signature");
	/* Names of both kinds are not mixed. */
	post_header(p, "webhook-id", ID);
	assert_int_equal(post_try(p), 401);
	post_header(p, "webhook-timestamp", AT_TEXT);
	post_header(p, "webhook-signature", SIGNATURE);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(post_try_with(p, "svix-signature",
				 "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
		401);
	post_free(p);
}

static void
the_type_comes_from_the_body(void **state UNUSED)
{
	static const struct {
		const char *body, *event;
	} cases[] = {
		{ "{\"type\":\"invoice.paid\"}", "invoice.paid" },
		{ "{\"data\":{\"type\":\"no\"}}", "" },
		{ "{\"type\":\"a\\u0000b\"}", "" },
		{ "{\"type\":\"a\\nb\"}", "" },
		{ "{\"type\":null}", "" },
		{ "{\"type\":{}}", "" },
		{ "not JSON", "" },
		{ "", "" },
	};
	struct post *p = post_new("standard-webhooks", NULL, NULL);
	post_header(p, "webhook-id", "m");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		p->body = bytes_str(cases[i].body);
		assert_int_equal(post_try(p), 0);
		assert_true(bytes_is(p->delivery.content.claims.event, cases[i].event));
		assert_true(bytes_is(p->delivery.content.claims.delivery, "m"));
	}
	post_free(p);
}

static void
keys_must_be_of_the_scheme(void **state UNUSED)
{
	static const char *const wrong[] = { "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2Lb",
		PUBLIC, "whsec_!!!!9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
	static const char *const unknown[] = { "scheme", "v2", NULL };
	struct arena *a = arena_new(1024);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_non_null(
			strstr(post_wrong(a, "standard-webhooks", NULL, wrong[i]), "whsec_"));
	assert_non_null(strstr(post_wrong(a, "standard-webhooks", v1a, KEY), "whpk_"));
	/* Seed and public key of two different pairs. */
	assert_non_null(
		strstr(post_wrong(a, "standard-webhooks", v1a,
			       "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
			"whpk_"));
	assert_non_null(strstr(post_wrong(a, "standard-webhooks", unknown, KEY), "v2"));
	arena_free(a);
}

static void
pings_are_signed(void **state UNUSED)
{
	struct post *p = message(NULL, KEY, SIGNATURE);
	post_take_ping(p);
	post_must_fail(p, "webhook-signature");
	post_free(p);
	/* A made key of v1a has its private half, so that it can be tried out. */
	p = message(v1a, PUBLIC, SIGNATURE_A);
	struct provider_ping ping;
	struct err e;
	assert_int_equal(
		p->source.provider->ping(p->source.setup, bytes_str(PUBLIC), p->a, &ping, &e),
		RC_INVALID);
	struct buf made = buf_new(1024);
	p->source.provider->make_secret(p->source.setup, &made);
	assert_int_equal(
		p->source.provider->check_secret(p->source.setup, buf_bytes(&made), &e), RC_OK);
	p->source.secret_count = 0;
	post_add_secret(p, buf_cstr(&made));
	post_take_ping(p);
	post_must_fail(p, "webhook-signature");
	buf_free(&made);
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_hmac_matches),
		cmocka_unit_test(the_published_ed25519_matches),
		cmocka_unit_test(a_list_may_hold_both),
		cmocka_unit_test(at_most_eight_are_tried),
		cmocka_unit_test(svix_has_other_names),
		cmocka_unit_test(the_type_comes_from_the_body),
		cmocka_unit_test(keys_must_be_of_the_scheme),
		cmocka_unit_test(pings_are_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
