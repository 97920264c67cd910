/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/sign.h"
#include "tests/unit/ingest/post.h"

/* Gogs, Gitea and Forgejo: each added headers of its own to those of the one it came from. */

#define SECRET "It's a Secret to Everybody"
#define FORM "application/x-www-form-urlencoded"
/* Over {"zen":"a b"}, sent as a form or as it is. */
#define SIGNATURE "eee2e0f16aac4c0e51cce7ae291eb5ec26e3eaabc117064787e83ee6d388463a"

static const struct family {
	const char *provider, *event, *event_type, *delivery, *signature;
	/* The same signature once more; it must agree. */
	const char *copies[4];
} families[] = {
	{ "forgejo", "X-Forgejo-Event", "X-Forgejo-Event-Type", "X-Forgejo-Delivery",
		"X-Forgejo-Signature",
		{ "X-Gitea-Signature", "X-Gogs-Signature", "X-Hub-Signature-256", NULL } },
	{ "gitea", "X-Gitea-Event", "X-Gitea-Event-Type", "X-Gitea-Delivery", "X-Gitea-Signature",
		{ "X-Gogs-Signature", "X-Hub-Signature-256", NULL } },
	{ "gogs", "X-Gogs-Event", NULL, "X-Gogs-Delivery", "X-Gogs-Signature", { NULL } },
};

static struct post *
zen(const struct family *f, const char *content_type, const char *body)
{
	struct post *p = post_new(f->provider, NULL, SECRET);
	post_header(p, "Content-Type", content_type);
	post_header(p, f->event, "issues");
	if (f->event_type != NULL)
		post_header(p, f->event_type, "issue_assign");
	post_header(p, f->delivery, "d-1");
	post_header(p, f->signature, SIGNATURE);
	p->body = bytes_str(body);
	return p;
}

static void
json_is_signed_as_sent(const struct family *f)
{
	struct post *p = zen(f, "application/json", "{\"zen\":\"a b\"}");
	post_must_fail(p, f->signature);
	assert_true(bytes_is(p->delivery.content.claims.event, "issues"));
	assert_true(bytes_is(p->delivery.content.claims.delivery, "d-1"));
	assert_int_equal(post_try_with(p, f->event, NULL), 400);
	assert_int_equal(post_try_with(p, f->delivery, NULL), 400);
	/* The prefix of GitHub's form is no part of this one. */
	assert_int_equal(post_try_with(p, f->signature, "sha256=" SIGNATURE), 401);
	post_free(p);
}

static void
forms_are_signed_decoded(const struct family *f)
{
	struct post *p = zen(f, FORM, "payload=%7B%22zen%22%3A%22a+b%22%7D");
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
	assert_int_equal(post_try_with(p, f->signature, buf_cstr(&raw) + 7), 401);
	buf_free(&raw);
	post_free(p);
}

static void
a_form_body_is_no_json(const struct family *f)
{
	struct post *p = zen(f, "application/json", "payload=%7B%22zen%22%3A%22a+b%22%7D");
	assert_int_equal(post_try(p), 401);
	post_free(p);
}

static void
copies_must_agree_and_others_mean_nothing(const struct family *f)
{
	struct post *p = zen(f, "application/json", "{\"zen\":\"a b\"}");
	post_header(p, "X-Gitea-Signature", SIGNATURE);
	post_header(p, "X-Gogs-Signature", SIGNATURE);
	post_header(p, "X-Hub-Signature-256", "sha256=" SIGNATURE);
	post_header(p, "X-Hub-Signature", "sha1=0");
	assert_int_equal(post_try(p), 0);
	for (const char *const *copy = f->copies; *copy != NULL; copy++) {
		bool hub = strcmp(*copy, "X-Hub-Signature-256") == 0;
		assert_int_equal(post_try_with(p, *copy, hub ? "sha256=" : ""), 401);
		assert_int_equal(post_try_with(p, *copy, hub ? SIGNATURE : SIGNATURE "0"), 401);
	}
	if (f->copies[0] == NULL)
		assert_int_equal(post_try_with(p, "X-Gitea-Signature", "0"), 0);
	/* None can stand in for it. */
	assert_int_equal(post_try_with(p, f->signature, NULL), 401);
	assert_int_equal(post_try_with(p, f->signature, ""), 401);
	post_free(p);
}

static void
what_comes_without_a_secret_is_refused(const struct family *f)
{
	struct post *p = zen(f, "application/json", "{\"zen\":\"a b\"}");
	post_header(p, f->signature, "");
	for (const char *const *copy = f->copies; *copy != NULL; copy++)
		post_header(p, *copy, strcmp(*copy, "X-Hub-Signature-256") == 0 ? "sha256=" : "");
	post_header(p, "X-Hub-Signature", "sha1=");
	assert_int_equal(post_try(p), 401);
	post_free(p);
	p = post_new(f->provider, NULL, NULL);
	post_header(p, f->event, "push");
	post_header(p, f->delivery, "d-1");
	post_header(p, f->signature, "");
	post_header(p, "X-Hub-Signature-256", "sha256=");
	assert_int_equal(post_try(p), 0);
	post_free(p);
}

static void
pings_are_signed(const struct family *f)
{
	struct post *p = post_new(f->provider, NULL, SECRET);
	post_take_ping(p);
	post_must_fail(p, f->signature);
	post_free(p);
}

#define DEFINE(name)                                                                               \
	static void name##_by_each(void **state UNUSED)                                            \
	{                                                                                          \
		for (size_t i = 0; i < COUNT_OF(families); i++) {                                  \
			print_message("# %s\n", families[i].provider);                             \
			name(&families[i]);                                                        \
		}                                                                                  \
	}

DEFINE(json_is_signed_as_sent)
DEFINE(forms_are_signed_decoded)
DEFINE(a_form_body_is_no_json)
DEFINE(copies_must_agree_and_others_mean_nothing)
DEFINE(what_comes_without_a_secret_is_refused)
DEFINE(pings_are_signed)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_signed_as_sent_by_each),
		cmocka_unit_test(forms_are_signed_decoded_by_each),
		cmocka_unit_test(a_form_body_is_no_json_by_each),
		cmocka_unit_test(copies_must_agree_and_others_mean_nothing_by_each),
		cmocka_unit_test(what_comes_without_a_secret_is_refused_by_each),
		cmocka_unit_test(pings_are_signed_by_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
