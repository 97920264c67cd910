/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ingest/post.h"

#define SECRET "It's a Secret to Everybody"

/* Providers of our own, spelled out: the same vectors must come out. */
static void
github_can_be_configured(void **state UNUSED)
{
	static const char *const options[] = { "auth", "hmac", "signature_header",
		"X-Hub-Signature-256", "signature_prefix", "sha256=", "event_header",
		"X-GitHub-Event", "id_header", "X-GitHub-Delivery", "hook_header",
		"X-GitHub-Hook-ID", NULL };
	struct post *p = post_new("generic", options, SECRET);
	post_header(p, "X-GitHub-Event", "issues");
	post_header(p, "X-GitHub-Delivery", "d-1");
	post_header(p, "X-GitHub-Hook-ID", "7");
	post_header(p, "X-Hub-Signature-256",
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
	p->body = bytes_str("Hello, World!");
	post_must_fail(p, "X-Hub-Signature-256");
	assert_string_equal(p->source.setup->scheme, "hmac-sha256");
	const struct provider_claims *claims = &p->delivery.content.claims;
	assert_true(bytes_is(claims->event, "issues"));
	assert_true(bytes_is(claims->delivery, "d-1"));
	assert_true(bytes_is(claims->hook, "7"));
	assert_int_equal(post_try_with(p, "X-GitHub-Delivery", NULL), 400);
	assert_int_equal(post_try_with(p, "X-GitHub-Event", NULL), 0);
	post_header_again(p, "X-GitHub-Delivery", "d-2");
	assert_int_equal(post_try(p), 400);
	post_free(p);
}

static void
slack_can_be_configured(void **state UNUSED)
{
	static const char *const options[] = { "auth", "hmac", "signature_header",
		"X-Slack-Signature", "signature_prefix", "v0=", "signature_template",
		"v0:{timestamp}:{body}", "timestamp_header", "X-Slack-Request-Timestamp", NULL };
	struct post *p = post_new("generic", options, "8f742231b10e8888abcd99yyyzzz85a5");
	post_header(p, "X-Slack-Request-Timestamp", "1531420618");
	post_header(p, "X-Slack-Signature",
		"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
	p->body = bytes_str("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain="
			    "testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id="
			    "U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
			    "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"
			    "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
			    "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c");
	p->now_s = 1531420618;
	post_must_fail(p, "X-Slack-Signature");
	assert_int_equal(p->delivery.content.claims.delivery.len, 7 + 64);
	p->now_s += 300;
	assert_int_equal(post_try(p), 0);
	p->now_s += 1;
	assert_int_equal(post_try(p), 401);
	assert_int_equal(post_try_with(p, "X-Slack-Request-Timestamp", NULL), 401);
	post_free(p);
}

static void
standard_webhooks_can_be_configured(void **state UNUSED)
{
	/* The secret is used as it is, so one that is text is needed: its own key in base64 would
	 * not do. HMAC-SHA-256 of "m-1.1700000000.{}" with the key below. */
	static const char *const options[] = { "auth", "hmac", "signature_header", "s",
		"signature_prefix", "v1,", "signature_encoding", "base64", "signature_template",
		"{id}.{timestamp}.{body}", "timestamp_header", "t", "id_header", "i",
		"timestamp_window", "60", NULL };
	struct post *p = post_new("generic", options, SECRET);
	post_take_ping(p);
	post_must_fail(p, "s");
	assert_int_equal(post_try_with(p, "i", "other"), 401);
	p->now_s += 61;
	assert_int_equal(post_try(p), 401);
	post_free(p);
}

static void
every_hash_and_encoding_signs_and_checks(void **state UNUSED)
{
	static const char *const hashes[] = { "sha1", "sha256", "sha512" };
	static const char *const encodings[] = { "hex", "base64" };
	for (size_t i = 0; i < COUNT_OF(hashes) * COUNT_OF(encodings); i++) {
		const char *const options[] = { "auth", "hmac", "signature_header", "X-Sig",
			"signature_hash", hashes[i / 2], "signature_encoding", encodings[i % 2],
			NULL };
		struct post *p = post_new("generic", options, SECRET);
		post_take_ping(p);
		post_must_fail(p, "X-Sig");
		assert_string_equal(p->source.setup->scheme + strlen("hmac-"), hashes[i / 2]);
		post_free(p);
	}
}

/* RFC 2202, case 2, and RFC 4231, case 2, with a longer key's worth of zeros, which HMAC pads with
 * anyway. */
static void
other_hashes_have_published_values(void **state UNUSED)
{
	static const char *const sha1[] = { "auth", "hmac", "signature_header", "X-Sig",
		"signature_hash", "sha1", NULL };
	static const char *const sha512[] = { "auth", "hmac", "signature_header", "X-Sig",
		"signature_hash", "sha512", NULL };
	struct post *p = post_new("generic", sha1, "Jefe");
	p->body = bytes_str("what do ya want for nothing?");
	post_header(p, "X-Sig", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	post_must_fail(p, "X-Sig");
	post_free(p);
	p = post_new("generic", sha512, "Jefe");
	p->body = bytes_str("what do ya want for nothing?");
	post_header(p, "X-Sig",
		"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
	post_must_fail(p, "X-Sig");
	post_free(p);
}

static void
passwords_and_tokens_are_compared(void **state UNUSED)
{
	static const char *const basic[] = { "auth", "basic", NULL };
	static const char *const bearer[] = { "auth", "bearer", NULL };
	static const char *const header[] = { "auth", "header", "token_header", "X-Api-Key", NULL };
	struct post *p = post_new("generic", basic, "Aladdin:open sesame");
	post_header(p, "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	assert_int_equal(post_try(p), 0);
	assert_string_equal(p->source.setup->scheme, "basic");
	assert_int_equal(
		post_try_with(p, "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ="), 401);
	assert_int_equal(
		post_try_with(p, "Authorization", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), 401);
	assert_int_equal(post_try_with(p, "Authorization", "Basic Aladdin:open sesame"), 401);
	assert_int_equal(post_try_with(p, "Authorization", ""), 401);
	assert_int_equal(post_try_with(p, "Authorization", NULL), 401);
	post_header_again(p, "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	assert_int_equal(post_try(p), 401);
	post_free(p);
	p = post_new("generic", bearer, SECRET);
	post_header(p, "Authorization", "Bearer " SECRET);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(post_try_with(p, "Authorization", "Bearer " SECRET "x"), 401);
	assert_int_equal(post_try_with(p, "Authorization", SECRET), 401);
	post_free(p);
	p = post_new("generic", header, SECRET);
	post_header(p, "x-api-key", SECRET);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(post_try_with(p, "X-Api-Key", "x"), 401);
	assert_int_equal(post_try_with(p, "X-Api-Key", ""), 401);
	assert_int_equal(post_try_with(p, "X-Api-Key", NULL), 401);
	post_free(p);
}

static void
a_key_in_the_query(void **state UNUSED)
{
	static const char *const options[] = { "auth", "query", "query_key", "key", NULL };
	static const char *const wrong[] = { "", "key", "key=", "key=x", "keys=long+enough+secret",
		"key=long+enough+secret&key=long+enough+secret", "key=long+enough+secre",
		"a=key=long+enough+secret", "key=long%2+enough+secret" };
	struct post *p = post_new("generic", options, "long enough secret");
	p->query = "a=1&key=long+enough%20secret";
	assert_int_equal(post_try(p), 0);
	assert_string_equal(p->source.setup->secret_query, "key");
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		p->query = wrong[i];
		assert_int_equal(post_try(p), 401);
	}
	post_free(p);
}

static void
pointers_lead_into_the_body(void **state UNUSED)
{
	static const struct {
		const char *pointer, *body, *id;
	} cases[] = {
		{ "/id", "{\"id\":\"a\"}", "a" },
		{ "/data/object/id", "{\"data\":{\"object\":{\"id\":12}}}", "12" },
		{ "/events/0/id", "{\"events\":[{\"id\":\"x\"},{\"id\":\"y\"}]}", "x" },
		{ "/0/id", "[{\"id\":\"x\"}]", "x" },
		{ "/a~1b/c~0d", "{\"a/b\":{\"c~d\":\"e\"}}", "e" },
		{ "/id", "{\"id\":true}", NULL },
		{ "/id", "{\"other\":1}", NULL },
		{ "/events/0/id", "{\"events\":[]}", NULL },
		{ "/id", "not JSON", NULL },
		{ "/id", "", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *const options[] = { "auth", "none", "id_pointer", cases[i].pointer,
			"event_pointer", "/type", NULL };
		struct post *p = post_new("generic", options, NULL);
		p->body = bytes_str(cases[i].body);
		assert_int_equal(post_try(p), 0);
		struct bytes id = p->delivery.content.claims.delivery;
		if (cases[i].id == NULL ? id.len != 7 + 64 : !bytes_is(id, cases[i].id))
			fail_msg("%s in %s gave %.*s", cases[i].pointer, cases[i].body, (int)id.len,
				(const char *)id.data);
		p->body = bytes_str("{\"type\":\"made\"}");
		assert_int_equal(post_try(p), 0);
		assert_true(bytes_is(p->delivery.content.claims.event, "made"));
		post_free(p);
	}
}

static void
half_configurations_are_refused(void **state UNUSED)
{
	static const struct {
		const char *options[11];
		const char *in_text;
	} cases[] = {
		{ { NULL }, "auth" },
		{ { "auth", "magic" }, "auth" },
		{ { "auth", "none" }, "allow_unsigned" },
		{ { "auth", "hmac" }, "signature_header" },
		{ { "auth", "hmac", "signature_header", "" }, "empty" },
		{ { "auth", "hmac", "signature_header", "X Y" }, "name of a header" },
		{ { "auth", "hmac", "signature_header", "s", "signature_hash", "md5" },
			"signature_hash" },
		{ { "auth", "hmac", "signature_header", "s", "signature_encoding", "octal" },
			"signature_encoding" },
		{ { "auth", "hmac", "signature_header", "s", "signature_template", "{id}.{body}" },
			"id_header" },
		{ { "auth", "hmac", "signature_header", "s", "signature_template",
			  "{timestamp}.{body}" },
			"timestamp_header" },
		{ { "auth", "hmac", "signature_header", "s", "timestamp_header", "t" },
			"does not cover" },
		{ { "auth", "hmac", "signature_header", "s", "signature_template", "x" },
			"{body}" },
		{ { "auth", "hmac", "signature_header", "s", "signature_template", "{body}{body}" },
			"{body}" },
		{ { "auth", "hmac", "signature_header", "s", "signature_template", "{BODY}{body}" },
			"braces" },
		{ { "auth", "hmac", "signature_header", "s", "timestamp_window", "9" },
			"timestamp_window" },
		{ { "auth", "header" }, "token_header" },
		{ { "auth", "query" }, "query_key" },
		{ { "auth", "query", "query_key", "a&b" }, "query_key" },
		{ { "auth", "bearer", "signature_header", "s" }, "only with auth = hmac" },
		{ { "auth", "basic" }, "user:password" },
		{ { "auth", "bearer", "id_pointer", "id" }, "JSON pointer" },
		{ { "auth", "bearer", "id_pointer", "" }, "JSON pointer" },
		{ { "auth", "bearer", "id_pointer", "/a.b" }, "JSON pointer" },
		{ { "auth", "bearer", "id_pointer", "/a/" }, "JSON pointer" },
		{ { "auth", "bearer", "id_pointer", "/a~2" }, "JSON pointer" },
		{ { "auth", "bearer", "id_pointer", "/a/0/0" }, "JSON pointer" },
		{ { "auth", "bearer", "id_pointer", "/a", "id_header", "b" }, "id_header" },
		{ { "auth", "bearer", "event_pointer", "/a", "event_header", "b" },
			"event_header" },
	};
	struct arena *a = arena_new(1024);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *text = post_wrong(a, "generic", cases[i].options, SECRET);
		if (strstr(text, cases[i].in_text) == NULL)
			fail_msg("case %zu: %s", i, text);
	}
	arena_free(a);
}

static void
pings_prove_themselves(void **state UNUSED)
{
	static const char *const all[][5] = { { "auth", "basic" }, { "auth", "bearer" },
		{ "auth", "header", "token_header", "X-Key" },
		{ "auth", "query", "query_key", "key" } };
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		struct post *p = post_new("generic", all[i], "user:a password of + & = %");
		post_take_ping(p);
		assert_int_equal(post_try(p), 0);
		struct buf made = buf_new(1024);
		struct err e;
		p->source.provider->make_secret(p->source.setup, &made);
		assert_int_equal(
			p->source.provider->check_secret(p->source.setup, buf_bytes(&made), &e),
			RC_OK);
		p->source.secret_count = 0;
		post_add_secret(p, buf_cstr(&made));
		assert_int_equal(post_try(p), 401);
		buf_free(&made);
		post_free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(github_can_be_configured),
		cmocka_unit_test(slack_can_be_configured),
		cmocka_unit_test(standard_webhooks_can_be_configured),
		cmocka_unit_test(every_hash_and_encoding_signs_and_checks),
		cmocka_unit_test(other_hashes_have_published_values),
		cmocka_unit_test(passwords_and_tokens_are_compared),
		cmocka_unit_test(a_key_in_the_query),
		cmocka_unit_test(pointers_lead_into_the_body),
		cmocka_unit_test(half_configurations_are_refused),
		cmocka_unit_test(pings_prove_themselves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
