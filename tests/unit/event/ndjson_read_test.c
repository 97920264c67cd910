/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "event/event.h"

static struct bytes
raw(const char *data, size_t len)
{
	return (struct bytes){ (const unsigned char *)data, len };
}

#define RAW(literal) raw(literal, sizeof(literal) - 1)

/* What goes in comes out, whatever bytes it holds. */
static void
bytes_come_back(void **state UNUSED)
{
	static const struct event_header headers[] = {
		{ { (const unsigned char *)"Host", 4 }, { (const unsigned char *)"h", 1 } },
		{ { (const unsigned char *)"X-Name", 6 }, { (const unsigned char *)"caf\xe9", 4 } },
	};
	unsigned char every[256];
	for (size_t i = 0; i < sizeof every; i++)
		every[i] = (unsigned char)i;
	const struct bytes bodies[] = { RAW(""), RAW("{\"a\":\"\xc3\xa9\"}\n"), { every, 128 },
		{ every, 256 }, RAW("\0\0\\u0000\0\"\\"), RAW("\\\\u0000\xf0\x9f\x98\x80"),
		RAW("{\"a\":1,\"a\": 2.0e+400,\"e\":\"\\u00e9\\ud800\\/\"}"), RAW("[]"), RAW("{}\r"),
		RAW(" {}"), RAW("{\n \"a\": 1\n}"), RAW("\"{}\""), RAW("\xef\xbb\xbf{}"), RAW("null") };
	struct event_parser *p = event_parser_new();
	struct arena *a = arena_new(4096);
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct event ev = { .seq = 42,
			.received_at_us = INT64_C(1772366400123456),
			.origin = EVENT_ORIGIN_POLL,
			.verified = EVENT_VERIFIED_FAILED,
			.source = RAW("gh"),
			.provider = RAW("github"),
			.event = RAW("push"),
			.delivery = RAW("d\x00-\xff"),
			.hook = RAW("7"),
			.scheme = RAW("hmac-sha256"),
			.key_id = RAW("k1"),
			.method = RAW("POST"),
			.path = RAW("/in/\xe9"),
			.query = RAW("a=\"b\""),
			.content_type = RAW("application/json"),
			.remote = RAW("[::1]:4"),
			.headers = headers,
			.header_count = COUNT_OF(headers),
			.body = bodies[i] };
		struct event got;
		struct err e = { .text = "" };
		struct buf line = buf_new(LIMIT_TEXT_BYTES), before = buf_new(LIMIT_TEXT_BYTES);
		struct buf after = buf_new(LIMIT_TEXT_BYTES);
		xxh128(ev.body, ev.body_xxh128);
		event_put_json(&line, &ev);
		if (event_from_json(p, buf_bytes(&line), a, &got, &e) != RC_OK)
			fail_msg("%s", e.text);
		assert_true(got.seq == 42 && got.received_at_us == ev.received_at_us);
		assert_int_equal(got.origin, EVENT_ORIGIN_POLL);
		assert_int_equal(got.verified, EVENT_VERIFIED_FAILED);
		assert_true(bytes_equal(got.body, bodies[i]));
		event_encode(&ev, &before);
		event_encode(&got, &after);
		assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
		buf_free(&line);
		buf_free(&before);
		buf_free(&after);
	}
	event_parser_free(p);
	arena_free(a);
}

static enum rc
parse(struct event_parser *p, struct arena *a, const char *line, struct event *ev)
{
	struct err e;
	return event_from_json(p, bytes_str(line), a, ev, &e);
}

static void
little_is_enough_and_wrong_is_refused(void **state UNUSED)
{
	struct event_parser *p = event_parser_new();
	struct arena *a = arena_new(4096);
	struct event ev;
	assert_int_equal(parse(p, a, "{\"source\":\"s\",\"body\":\"x\"}", &ev), RC_OK);
	assert_int_equal(ev.origin, EVENT_ORIGIN_IMPORT);
	assert_int_equal(ev.verified, EVENT_VERIFIED_NONE);
	assert_true(bytes_is(ev.body, "x"));
	assert_int_equal(parse(p, a, "{\"source\":\"s\",\"body_base64\":\"/w==\"}", &ev), RC_OK);
	assert_true(ev.body.len == 1 && ev.body.data[0] == 0xff);
	/* As text, as lines were written before, and as itself. */
	assert_int_equal(parse(p, a, "{\"source\":\"s\",\"body\":\"{\\\"a\\\": 1}\"}", &ev), RC_OK);
	assert_true(bytes_is(ev.body, "{\"a\": 1}"));
	assert_int_equal(parse(p, a, "{\"source\":\"s\",\"body\": {\"a\": 1} }", &ev), RC_OK);
	assert_true(bytes_is(ev.body, "{\"a\": 1}"));
	static const char *const wrong[] = {
		"",
		"[]",
		"{\"source\":\"s\"}",
		"{\"body\":\"x\"}",
		"{\"source\":1,\"body\":\"x\"}",
		"{\"source\":\"s\",\"body\":1}",
		"{\"source\":\"s\",\"body_base64\":\"/w=\"}",
		"{\"source\":\"s\",\"body\":\"x\"",
		"{\"source\":\"s\",\"body\":\"x\",\"origin\":\"somewhere\"}",
		"{\"source\":\"s\",\"body\":\"x\",\"received_at\":\"then\"}",
		"{\"source\":\"s\",\"body\":\"x\",\"headers\":[[\"a\"]]}",
		"{\"source\":\"s\",\"body\":\"x\",\"headers\":[\"a\"]}",
		"{\"source\":\"s\",\"body\":\"x\",\"body_sha256\":\"00\"}",
		"{\"source\":\"s\",\"body\":\"x\",\"body_xxh128\":\"00\"}",
		/* The hash of something else. */
		("{\"source\":\"s\",\"body\":\"x\",\"body_sha256\":"
		 "\"0000000000000000000000000000000000000000000000000000000000000000\"}"),
		"{\"source\":\"s\",\"body\":\"x\",\"body_xxh128\":\"00000000000000000000000000000000\"}",
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		if (parse(p, a, wrong[i], &ev) != RC_INVALID)
			fail_msg("accepted: %s", wrong[i]);
	}
	event_parser_free(p);
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back),
		cmocka_unit_test(little_is_enough_and_wrong_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
