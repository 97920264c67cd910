/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "tests/unit/ingest/post.h"

#define TOKEN "a token of good length"
#define STRUCTURED "application/cloudevents+json; charset=utf-8"
#define BATCH "application/cloudevents-batch+json"
#define EVENT(id) "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"/s\",\"type\":\"t\"}"

static struct post *
binary(const char *token)
{
	struct post *p = post_new("cloudevents", NULL, token);
	post_header(p, "Content-Type", "text/plain");
	post_header(p, "ce-specversion", "1.0");
	post_header(p, "ce-id", "1");
	post_header(p, "ce-source", "https://example.com/a");
	post_header(p, "ce-type", "com.example.made");
	p->body = bytes_str("anything");
	return p;
}

static struct post *
json(const char *type, const char *body)
{
	struct post *p = post_new("cloudevents", NULL, NULL);
	post_header(p, "Content-Type", type);
	p->body = bytes_str(body);
	return p;
}

static void
tokens_come_in_the_header_or_the_query(void **state UNUSED)
{
	static const char *const wrong[] = { "", "Bearer", "Bearer ", "Bearer a", "Basic " TOKEN,
		"Bearer  " TOKEN, "Bearer " TOKEN " ", TOKEN };
	struct post *p = binary(TOKEN);
	assert_int_equal(post_try(p), 401);
	post_header(p, "Authorization", "bearer " TOKEN);
	assert_int_equal(post_try(p), 0);
	assert_string_equal(p->source.setup->scheme, "bearer");
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(post_try_with(p, "Authorization", wrong[i]), 401);
	p->query = "access_token=a+token%20of+good+length";
	assert_int_equal(post_try(p), 401);
	post_header(p, "Authorization", NULL);
	assert_int_equal(post_try(p), 0);
	p->query = "x=1&access_token=a+token%20of+good+length";
	assert_int_equal(post_try(p), 0);
	static const char *const queries[] = { "access_token=", "access_token=a", "access_token",
		"xaccess_token=a+token+of+good+length", "Access_token=a+token+of+good+length",
		"access_token=a+token+of+good+length%2", "access_token=a+token+of+good+lengt",
		"access_token=a+token+of+good+length&access_token=a+token+of+good+length" };
	for (size_t i = 0; i < COUNT_OF(queries); i++) {
		p->query = queries[i];
		assert_int_equal(post_try(p), 401);
	}
	post_free(p);
}

static void
binary_attributes_are_headers(void **state UNUSED)
{
	struct post *p = binary(NULL);
	const struct provider_claims *claims = &p->delivery.content.claims;
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(claims->event, "com.example.made"));
	assert_true(bytes_is(claims->delivery, "1"));
	assert_true(bytes_is(claims->hook, "https://example.com/a"));
	static const char *const all[] = { "ce-specversion", "ce-id", "ce-source", "ce-type" };
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		assert_int_equal(post_try_with(p, all[i], NULL), 400);
		assert_int_equal(post_try_with(p, all[i], ""), 400);
		post_header_again(p, all[i], "1.0");
		assert_int_equal(post_try(p), 400);
		p->header_count--;
	}
	assert_int_equal(post_try_with(p, "ce-specversion", "2.0"), 400);
	assert_int_equal(post_try_with(p, "ce-datacontenttype", "text/plain"), 400);
	post_free(p);
}

static void
header_values_are_unescaped_once(void **state UNUSED)
{
	static const struct {
		const char *sent, *id;
	} cases[] = {
		{ "Euro%20%E2%82%AC", "Euro \xe2\x82\xac" },
		{ "%e2%82%ac", "\xe2\x82\xac" },
		{ "%2541", "%41" },
		{ "\"a b\"", "a b" },
		{ "\"a\\\"b\"", "a\"b" },
		{ "a+b", "a+b" },
		{ "%", NULL },
		{ "%4", NULL },
		{ "%zz", NULL },
		{ "%C0%AF", NULL },
		{ "%ED%A0%80", NULL },
		{ "%FF", NULL },
		{ "a%00b", NULL },
		{ "a%0Ab", NULL },
		{ "\"\"", NULL },
	};
	struct post *p = binary(NULL);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int status = post_try_with(p, "ce-id", cases[i].sent);
		if (status != (cases[i].id == NULL ? 400 : 0))
			fail_msg("%s: %d", cases[i].sent, status);
		if (cases[i].id != NULL)
			assert_true(bytes_is(p->delivery.content.claims.delivery, cases[i].id));
	}
	post_free(p);
}

static void
structured_attributes_are_members(void **state UNUSED)
{
	static const struct {
		const char *body;
		int status;
	} cases[] = {
		{ EVENT("1"), 0 },
		{ "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/"
		  "s\",\"type\":\"t\",\"data\":1,"
		  "\"data_base64\":null}",
			0 },
		{ "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/"
		  "s\",\"type\":\"t\",\"data\":1,"
		  "\"data_base64\":\"\"}",
			400 },
		{ EVENT(""), 400 },
		{ "{\"specversion\":\"1.0\",\"id\":1,\"source\":\"/s\",\"type\":\"t\"}", 400 },
		{ "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", 400 },
		{ "{\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", 400 },
		{ "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":null,\"type\":\"t\"}", 400 },
		{ "{\"specversion\":\"1.0\",\"id\":\"a\\u0000\",\"source\":\"/s\",\"type\":\"t\"}",
			400 },
		{ "[" EVENT("1") "]", 400 },
		{ EVENT("1") "x", 400 },
		{ "", 400 },
	};
	struct post *p = json(STRUCTURED, "");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		p->body = bytes_str(cases[i].body);
		int status = post_try(p);
		if (status != cases[i].status)
			fail_msg("%s: %d", cases[i].body, status);
	}
	p->body = bytes_str(EVENT("1"));
	assert_int_equal(post_try(p), 0);
	assert_false(p->delivery.content.is_batch);
	assert_true(bytes_is(p->delivery.content.claims.delivery, "1"));
	assert_true(bytes_is(p->delivery.content.claims.hook, "/s"));
	assert_int_equal(post_try_with(p, "Content-Type", "application/cloudevents+avro"), 415);
	assert_int_equal(post_try_with(p, "Content-Type", "application/cloudevents"), 415);
	assert_int_equal(
		post_try_with(p, "Content-Type", "application/cloudevents-batch+xml"), 415);
	post_free(p);
}

static void
a_batch_is_taken_apart_or_refused_as_one(void **state UNUSED)
{
	struct post *p = json(BATCH, "[" EVENT("1") " , " EVENT("2") "]");
	const struct provider_content *content = &p->delivery.content;
	assert_int_equal(post_try(p), 0);
	assert_true(content->is_batch);
	assert_int_equal(content->part_count, 2);
	assert_true(bytes_is(content->parts[1].body, EVENT("2")));
	assert_true(bytes_is(content->parts[1].delivery, "2"));
	assert_true(bytes_is(content->parts[1].content_type, "application/cloudevents+json"));
	static const char *const wrong[] = { EVENT("1"), "[" EVENT("1") ",{}]", "[" EVENT("") "]",
		"[1]", "[" EVENT("1") "", "null", "[" EVENT("1") ",[" EVENT("2") "]]" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		p->body = bytes_str(wrong[i]);
		assert_int_equal(post_try(p), 400);
	}
	p->body = bytes_str(" [ ] ");
	assert_int_equal(post_try(p), 0);
	assert_true(content->is_batch);
	assert_int_equal(content->part_count, 0);
	post_free(p);
}

static void
a_batch_has_a_limit(void **state UNUSED)
{
	struct post *p = json(BATCH, "");
	struct buf body = buf_new(1024 * 1024);
	buf_put_str(&body, "[" EVENT("0"));
	for (size_t i = 1; i < LIMIT_COMMIT_EVENTS; i++)
		buf_put_str(&body, "," EVENT("a,[{\\\","));
	buf_put_str(&body, "]");
	p->body = buf_bytes(&body);
	assert_int_equal(post_try(p), 0);
	assert_int_equal(p->delivery.content.part_count, LIMIT_COMMIT_EVENTS);
	body.len--;
	buf_put_str(&body, "," EVENT("9") "]");
	p->body = buf_bytes(&body);
	assert_int_equal(post_try(p), 413);
	buf_free(&body);
	post_free(p);
}

static enum rc
ask(struct post *p, const char *origin, struct provider_reply *reply)
{
	struct err e;
	post_header(p, "WebHook-Request-Origin", origin);
	struct event head = { .headers = p->headers, .header_count = p->header_count };
	memset(reply, 0, sizeof *reply);
	return p->source.provider->options_reply(p->source.setup, &head, p->a, reply, &e);
}

static void
origins_are_compared_whole(void **state UNUSED)
{
	static const char *const options[] = { "allowed_origin", "example.com", "allowed_origin",
		"other.example", "allowed_rate", "120", NULL };
	static const char *const wrong[] = { "example.co", "example.com.evil.example",
		"xexample.com", "EXAMPLE.COM", "example.com ", "*", "", NULL };
	static const char *const any[] = { "allowed_origin", "*", NULL };
	struct post *p = post_new("cloudevents", options, TOKEN);
	struct provider_reply reply;
	assert_int_equal(ask(p, "other.example", &reply), RC_OK);
	assert_int_equal(reply.header_count, 2);
	assert_string_equal(reply.headers[1].name, "WebHook-Allowed-Origin");
	assert_string_equal(reply.headers[1].value, "other.example");
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(ask(p, wrong[i], &reply), RC_DENIED);
	post_header(p, "WebHook-Request-Rate", "1000");
	assert_int_equal(ask(p, "example.com", &reply), RC_OK);
	assert_string_equal(reply.headers[2].name, "WebHook-Allowed-Rate");
	assert_string_equal(reply.headers[2].value, "120");
	post_header_again(p, "WebHook-Request-Origin", "example.com");
	struct event head = { .headers = p->headers, .header_count = p->header_count };
	struct err e;
	assert_int_equal(
		p->source.provider->options_reply(p->source.setup, &head, p->a, &reply, &e),
		RC_DENIED);
	post_free(p);
	p = post_new("cloudevents", any, TOKEN);
	assert_int_equal(ask(p, "whoever.example", &reply), RC_OK);
	assert_string_equal(reply.headers[1].value, "whoever.example");
	post_free(p);
	p = post_new("cloudevents", NULL, TOKEN);
	assert_int_equal(ask(p, "example.com", &reply), RC_DENIED);
	post_free(p);
}

static void
wrong_options_are_refused(void **state UNUSED)
{
	static const char *const rate[] = { "allowed_rate", "many", NULL };
	static const char *const zero[] = { "allowed_rate", "0", NULL };
	static const char *const empty[] = { "allowed_origin", "", NULL };
	static const char *const twice[] = { "allowed_rate", "1", "allowed_rate", "1", NULL };
	static const char *const unknown[] = { "origin", "x", NULL };
	struct arena *a = arena_new(1024);
	assert_non_null(strstr(post_wrong(a, "cloudevents", rate, TOKEN), "many"));
	assert_non_null(strstr(post_wrong(a, "cloudevents", zero, TOKEN), "allowed_rate"));
	assert_non_null(strstr(post_wrong(a, "cloudevents", empty, TOKEN), "empty"));
	assert_non_null(strstr(post_wrong(a, "cloudevents", twice, TOKEN), "twice"));
	assert_non_null(strstr(post_wrong(a, "cloudevents", unknown, TOKEN), "unknown key"));
	arena_free(a);
}

static void
pings_carry_the_token(void **state UNUSED)
{
	struct post *p = post_new("cloudevents", NULL, TOKEN);
	post_take_ping(p);
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(p->delivery.content.claims.event, "hooklog.test"));
	assert_int_equal(post_try_with(p, "Authorization", NULL), 401);
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_come_in_the_header_or_the_query),
		cmocka_unit_test(binary_attributes_are_headers),
		cmocka_unit_test(header_values_are_unescaped_once),
		cmocka_unit_test(structured_attributes_are_members),
		cmocka_unit_test(a_batch_is_taken_apart_or_refused_as_one),
		cmocka_unit_test(a_batch_has_a_limit),
		cmocka_unit_test(origins_are_compared_whole),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(pings_carry_the_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
