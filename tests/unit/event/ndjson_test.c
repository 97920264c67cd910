/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/limits.h"
#include "event/event.h"

static struct bytes
raw(const char *data, size_t len)
{
	return (struct bytes){ (const unsigned char *)data, len };
}

#define RAW(literal) raw(literal, sizeof(literal) - 1)

static const struct event_header headers[] = {
	{ { (const unsigned char *)"Host", 4 }, { (const unsigned char *)"h", 1 } },
	{ { (const unsigned char *)"Host", 4 }, { (const unsigned char *)"\"\\\t\x7f", 4 } },
	{ { (const unsigned char *)"X-Name", 6 }, { (const unsigned char *)"caf\xe9", 4 } },
};

static struct event
sample(void)
{
	return (struct event){
		.seq = UINT64_MAX,
		.received_at_us = INT64_C(1772366400123456),
		.origin = EVENT_ORIGIN_BACKFILL,
		.verified = EVENT_VERIFIED_OK,
		.source = RAW("gh"),
		.provider = RAW("github"),
		.event = RAW("push"),
		.delivery = RAW("d-1"),
		.hook = RAW("77"),
		.scheme = RAW("hmac-sha256"),
		.key_id = RAW("k1"),
		.method = RAW("POST"),
		.path = RAW("/in/gh"),
		.query = RAW(""),
		.content_type = RAW("application/json"),
		.remote = RAW("[2001:db8::1]:443"),
		.headers = headers,
		.header_count = COUNT_OF(headers),
		.body = RAW("{\"a\":\"\xc3\xa9\"}\n"),
		.body_xxh128 = { 0x01, 0xab },
	};
}

/* The whole line, byte for byte: this is a public format (docs/reference/ndjson.md). */
static void
test_line(void **state UNUSED)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct event ev = sample();
	event_put_json(&out, &ev);
	assert_string_equal(buf_cstr(&out),
		"{\"seq\":18446744073709551615,\"received_at\":\"2026-03-01T12:00:00.123456Z\","
		"\"source\":\"gh\",\"provider\":\"github\",\"origin\":\"backfill\",\"event\":"
		"\"push\","
		"\"delivery\":\"d-1\",\"hook\":\"77\",\"verified\":\"ok\",\"scheme\":\"hmac-"
		"sha256\","
		"\"key_id\":\"k1\",\"method\":\"POST\",\"path\":\"/in/gh\",\"query\":\"\","
		"\"content_type\":\"application/json\",\"remote\":\"[2001:db8::1]:443\","
		"\"headers\":[[\"Host\",\"h\"],[\"Host\",\"\\\"\\\\\\t\\u007f\"],"
		"[\"X-Name\",\"caf\xef\xbf\xbd\",\"Y2Fm6Q==\"]],"
		"\"flags\":{\"key_reused\":false},"
		"\"body_xxh128\":\"01ab0000000000000000000000000000\","
		"\"body_bytes\":11,\"body\":\"{\\\"a\\\":\\\"\xc3\xa9\\\"}\\n\"}");
	buf_free(&out);
}

/* JSON that comes back byte for byte stands in the line as it is. */
static void
test_body_json(void **state UNUSED)
{
	const struct {
		struct bytes body;
		const char *want;
	} cases[] = {
		{ RAW("{\"a\":[1, 2.50],\"a\":\"\\ud800\"}"), "{\"a\":[1, 2.50],\"a\":\"\\ud800\"}" },
		{ RAW("[]"), "[]" },
		/* It would come back without its ends. */
		{ RAW("[] "), "\"[] \"" },
		{ RAW(" []"), "\" []\"" },
		/* A string could be either. */
		{ RAW("\"x\""), "\"\\\"x\\\"\"" },
		{ RAW("{\n}"), "\"{\\n}\"" },
		{ RAW("{\"a\":1,}"), "\"{\\\"a\\\":1,}\"" },
		{ RAW("12"), "\"12\"" },
	};
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct event ev = sample();
		ev.body = cases[i].body;
		buf_clear(&out);
		event_put_json(&out, &ev);
		const char *body = strstr(buf_cstr(&out), ",\"body\":");
		assert_non_null(body);
		body += strlen(",\"body\":");
		assert_int_equal(strlen(body), strlen(cases[i].want) + 1);
		assert_memory_equal(body, cases[i].want, strlen(cases[i].want));
	}
	buf_free(&out);
}

static void
test_flags(void **state UNUSED)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct event ev = sample();
	ev.flags = EVENT_FLAG_KEY_REUSED;
	ev.same_key_seq = 12;
	event_put_json(&out, &ev);
	assert_non_null(
		strstr(buf_cstr(&out), ",\"flags\":{\"key_reused\":true},\"same_key_seq\":12,"));
	buf_free(&out);
}

static void
test_body_base64(void **state UNUSED)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct event ev = sample();
	ev.body = RAW("\xff\x00\xfe!");
	event_put_json(&out, &ev);
	assert_non_null(strstr(buf_cstr(&out), ",\"body_bytes\":4,\"body_base64\":\"/wD+IQ==\"}"));
	assert_null(strstr(buf_cstr(&out), "\"body\":"));
	buf_free(&out);
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	assert_non_null(text);
	return text;
}

/* Strings that are not UTF-8, anywhere, still give one line of JSON that somebody else's parser
 * reads, and the exact bytes beside it. */
static void
test_not_utf8(void **state UNUSED)
{
	static const struct event_header odd[] = {
		{ { (const unsigned char *)"N\xff", 2 }, { (const unsigned char *)"\n\x80", 2 } },
	};
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct event ev = sample();
	ev.path =
		RAW("/\xc3\xa9\xa9\xf0\x9f\x98\x80\xed\xa0\x80"); /* good, bad, good, a surrogate */
	ev.query = RAW("\xc3");
	ev.delivery = RAW("\xe2\x82");
	ev.event = RAW("\xf5"
		       "a");
	ev.headers = odd;
	ev.header_count = 1;
	event_put_json(&out, &ev);
	assert_null(memchr(out.data, '\n', out.len));
	assert_true(utf8_valid(buf_bytes(&out)));
	ev.seq = 1; /* jansson has no unsigned 64-bit integers */
	buf_clear(&out);
	event_put_json(&out, &ev);
	json_t *line = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(line);
#define BAD "\xef\xbf\xbd"
	assert_string_equal(text_of(line, "path"), "/\xc3\xa9" BAD "\xf0\x9f\x98\x80" BAD BAD BAD);
	assert_string_equal(text_of(line, "path_base64"), "L8OpqfCfmIDtoIA=");
	assert_string_equal(text_of(line, "query"), BAD);
	assert_string_equal(text_of(line, "query_base64"), "ww==");
	assert_string_equal(text_of(line, "delivery"), BAD BAD);
	assert_string_equal(text_of(line, "event"), BAD "a");
	assert_null(json_object_get(line, "source_base64"));
	const json_t *pair = json_array_get(json_object_get(line, "headers"), 0);
	assert_int_equal(json_array_size(pair), 3);
	assert_string_equal(json_string_value(json_array_get(pair, 0)), "N" BAD);
	assert_string_equal(json_string_value(json_array_get(pair, 1)), "\n" BAD);
	assert_string_equal(json_string_value(json_array_get(pair, 2)), "CoA=");
	json_decref(line);
	buf_free(&out);
}

static void
test_empty(void **state UNUSED)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct event ev = { 0 };
	event_put_json(&out, &ev);
	json_t *line = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(line);
	assert_string_equal(text_of(line, "received_at"), "1970-01-01T00:00:00.000000Z");
	assert_string_equal(text_of(line, "verified"), "none");
	assert_string_equal(text_of(line, "body"), "");
	assert_int_equal(json_array_size(json_object_get(line, "headers")), 0);
	json_decref(line);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_body_json),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_body_base64),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
