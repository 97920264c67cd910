/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/sign.h"
#include "tests/unit/ingest/post.h"

#define SECRET "It's a Secret to Everybody"
#define FORM "application/x-www-form-urlencoded"
/* Over {"zen":"a b"}, sent as a form or as it is. */
#define SIGNATURE "eee2e0f16aac4c0e51cce7ae291eb5ec26e3eaabc117064787e83ee6d388463a"

static struct post *
zen(const char *content_type, const char *body)
{
	struct post *p = post_new("gogs", NULL, SECRET);
	post_header(p, "Content-Type", content_type);
	post_header(p, "X-Gogs-Event", "issues");
	post_header(p, "X-Gogs-Delivery", "d-1");
	post_header(p, "X-Gogs-Signature", SIGNATURE);
	p->body = bytes_str(body);
	return p;
}

static void
json_is_signed_as_sent(void **state UNUSED)
{
	struct post *p = zen("application/json", "{\"zen\":\"a b\"}");
	post_must_fail(p, "X-Gogs-Signature");
	assert_true(bytes_is(p->delivery.content.claims.event, "issues"));
	assert_true(bytes_is(p->delivery.content.claims.delivery, "d-1"));
	assert_int_equal(post_try_with(p, "X-Gogs-Event", NULL), 400);
	assert_int_equal(post_try_with(p, "X-Gogs-Delivery", NULL), 400);
	/* The prefix of GitHub's form is no part of this one. */
	assert_int_equal(post_try_with(p, "X-Gogs-Signature", "sha256=" SIGNATURE), 401);
	post_free(p);
}

static void
forms_are_signed_decoded(void **state UNUSED)
{
	struct post *p = zen(FORM, "payload=%7B%22zen%22%3A%22a+b%22%7D");
	struct buf raw = buf_new(256);
	assert_int_equal(post_try(p), 0);
	p->body = bytes_str("payload=%7b%22zen%22%3a%22a%20b%22%7d");
	assert_int_equal(post_try(p), 0);
	/* A field beside the payload was not signed. */
	p->body = bytes_str("payload=%7B%22zen%22%3A%22a+b%22%7D&x=1");
	assert_int_equal(post_try(p), 401);
	p->body = bytes_str("x=1&payload=%7B%22zen%22%3A%22a+b%22%7D");
	assert_int_equal(post_try(p), 401);
	p->body = bytes_str("{\"zen\":\"a b\"}");
	assert_int_equal(post_try(p), 401);
	p->body = bytes_str("");
	assert_int_equal(post_try(p), 401);
	/* Over the encoded bytes, as GitHub signs. */
	p->body = bytes_str("payload=%7B%22zen%22%3A%22a+b%22%7D");
	sign_github(bytes_str(SECRET), p->body, &raw);
	assert_int_equal(post_try_with(p, "X-Gogs-Signature", buf_cstr(&raw) + 7), 401);
	buf_free(&raw);
	post_free(p);
}

static void
a_form_body_is_no_json(void **state UNUSED)
{
	struct post *p = zen("application/json", "payload=%7B%22zen%22%3A%22a+b%22%7D");
	assert_int_equal(post_try(p), 401);
	post_free(p);
}

static void
headers_of_others_mean_nothing(void **state UNUSED)
{
	struct post *p = zen("application/json", "{\"zen\":\"a b\"}");
	post_header(p, "X-Hub-Signature-256", "sha256=" SIGNATURE);
	post_header(p, "X-Gitea-Signature", SIGNATURE);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(post_try_with(p, "X-Gogs-Signature", NULL), 401);
	post_free(p);
}

static void
what_gogs_sends_without_a_secret_is_refused(void **state UNUSED)
{
	struct post *p = zen("application/json", "{\"zen\":\"a b\"}");
	post_header(p, "X-Gogs-Signature", "");
	assert_int_equal(post_try(p), 401);
	post_free(p);
	p = post_new("gogs", NULL, NULL);
	post_header(p, "X-Gogs-Event", "push");
	post_header(p, "X-Gogs-Delivery", "d-1");
	post_header(p, "X-Gogs-Signature", "");
	post_header(p, "X-Hub-Signature-256", "sha256=");
	assert_int_equal(post_try(p), 0);
	post_free(p);
}

static void
pings_are_signed(void **state UNUSED)
{
	struct post *p = post_new("gogs", NULL, SECRET);
	post_take_ping(p);
	post_must_fail(p, "X-Gogs-Signature");
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_signed_as_sent),
		cmocka_unit_test(forms_are_signed_decoded),
		cmocka_unit_test(a_form_body_is_no_json),
		cmocka_unit_test(headers_of_others_mean_nothing),
		cmocka_unit_test(what_gogs_sends_without_a_secret_is_refused),
		cmocka_unit_test(pings_are_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
