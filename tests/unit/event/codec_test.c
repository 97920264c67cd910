/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <msgpack.h>

#include "base/limits.h"
#include "event/event.h"

static struct bytes
raw(const char *data, size_t len)
{
	return (struct bytes){ (const unsigned char *)data, len };
}

#define RAW(literal) raw(literal, sizeof(literal) - 1)

static const struct event_header sample_headers[] = {
	{ { (const unsigned char *)"Host", 4 },
		{ (const unsigned char *)"hooks.example.com", 17 } },
	{ { (const unsigned char *)"X-Twice", 7 }, { (const unsigned char *)"one", 3 } },
	{ { (const unsigned char *)"X-Twice", 7 }, { (const unsigned char *)"two", 3 } },
	{ { (const unsigned char *)"X-Latin", 7 }, { (const unsigned char *)"caf\xe9\0!", 6 } },
	{ { (const unsigned char *)"X-Empty", 7 }, { NULL, 0 } },
};

static struct event
sample(void)
{
	struct event ev = {
		.origin = EVENT_ORIGIN_REPLAY,
		.verified = EVENT_VERIFIED_FAILED,
		.source = RAW("github"),
		.provider = RAW("github"),
		.event = RAW("pull_request"),
		.delivery = RAW("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
		.hook = RAW("292430182"),
		.scheme = RAW("hmac-sha256"),
		.key_id = RAW("k2"),
		.method = RAW("POST"),
		.path = RAW("/in/github"),
		.query = RAW("a=\xff"),
		.content_type = RAW("application/json"),
		.remote = RAW("203.0.113.7:41234"),
		.headers = sample_headers,
		.header_count = COUNT_OF(sample_headers),
	};
	for (size_t i = 0; i < sizeof ev.body_xxh128; i++)
		ev.body_xxh128[i] = (unsigned char)(200 + i);
	return ev;
}

static void
assert_bytes(struct bytes got, struct bytes want)
{
	assert_int_equal(got.len, want.len);
	if (want.len > 0)
		assert_memory_equal(got.data, want.data, want.len);
}

static void
assert_same_envelope(const struct event *got, const struct event *want)
{
	assert_int_equal(got->origin, want->origin);
	assert_int_equal(got->verified, want->verified);
	assert_bytes(got->source, want->source);
	assert_bytes(got->provider, want->provider);
	assert_bytes(got->event, want->event);
	assert_bytes(got->delivery, want->delivery);
	assert_bytes(got->hook, want->hook);
	assert_bytes(got->scheme, want->scheme);
	assert_bytes(got->key_id, want->key_id);
	assert_bytes(got->method, want->method);
	assert_bytes(got->path, want->path);
	assert_bytes(got->query, want->query);
	assert_bytes(got->content_type, want->content_type);
	assert_bytes(got->remote, want->remote);
	assert_int_equal(got->header_count, want->header_count);
	for (size_t i = 0; i < want->header_count; i++) {
		assert_bytes(got->headers[i].name, want->headers[i].name);
		assert_bytes(got->headers[i].value, want->headers[i].value);
	}
	assert_memory_equal(got->body_xxh128, want->body_xxh128, XXH128_BYTES);
}

/* Decodes a copy that ends where malloc's block ends, so that the sanitizer sees any step past it.
 */
static enum rc
decode(struct bytes data, struct arena *a, struct event *ev, struct err *e)
{
	unsigned char *copy = malloc(data.len == 0 ? 1 : data.len);
	if (data.len > 0)
		memcpy(copy, data.data, data.len);
	enum rc rc = event_decode((struct bytes){ copy, data.len }, a, ev, e);
	free(copy); /* so ev must not be looked into */
	return rc;
}

static void
test_round_trip(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	struct buf out = buf_new(LIMIT_ENVELOPE_BYTES);
	struct event want = sample(), got = {
		.seq = 7, .received_at_us = -3, .flags = 1, .same_key_seq = 5, .body = RAW("body")
	};
	struct err e = { 0 };
	event_encode(&want, &out);
	assert_false(out.overflow);
	assert_int_equal(event_decode(buf_bytes(&out), a, &got, &e), RC_OK);
	assert_same_envelope(&got, &want);
	/* What the record carries is not the envelope's. */
	assert_int_equal(got.seq, 7);
	assert_int_equal(got.received_at_us, -3);
	assert_int_equal(got.flags, 1);
	assert_int_equal(got.same_key_seq, 5);
	assert_bytes(got.body, RAW("body"));
	assert_true(out.len < 450);

	struct event empty = { 0 };
	got = sample();
	buf_clear(&out);
	event_encode(&empty, &out);
	assert_int_equal(event_decode(buf_bytes(&out), a, &got, &e), RC_OK);
	assert_same_envelope(&got, &empty);
	buf_free(&out);
	arena_free(a);
}

/* Lengths around every border between msgpack's forms of a string. */
static void
test_lengths(void **state UNUSED)
{
	static const size_t lens[] = { 1, 31, 32, 255, 256, 65535, 65536, 100000 };
	struct arena *a = arena_new(1024);
	struct buf out = buf_new(LIMIT_RECORD_BYTES);
	unsigned char *text = malloc(100000);
	memset(text, 'x', 100000);
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		struct event want = sample(), got = { 0 };
		want.source = want.path = (struct bytes){ text, lens[i] };
		buf_clear(&out);
		event_encode(&want, &out);
		assert_int_equal(event_decode(buf_bytes(&out), a, &got, NULL), RC_OK);
		assert_same_envelope(&got, &want);
		arena_reset(a);
	}
	struct event_header many[300];
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = sample_headers[i % COUNT_OF(sample_headers)];
	static const size_t counts[] = { 1, 7, 8, 300 };
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		struct event want = sample(), got = { 0 };
		want.headers = many;
		want.header_count = counts[i];
		buf_clear(&out);
		event_encode(&want, &out);
		assert_int_equal(event_decode(buf_bytes(&out), a, &got, NULL), RC_OK);
		assert_same_envelope(&got, &want);
		arena_reset(a);
	}
	free(text);
	buf_free(&out);
	arena_free(a);
}

/* The stored form, read by somebody else's reader: keys and types are for ever. */
static void
test_stored_form(void **state UNUSED)
{
	static const struct {
		const char *key;
		msgpack_object_type type;
	} want[] = {
		{ "src", MSGPACK_OBJECT_STR },
		{ "prov", MSGPACK_OBJECT_STR },
		{ "ev", MSGPACK_OBJECT_BIN },
		{ "del", MSGPACK_OBJECT_BIN },
		{ "hook", MSGPACK_OBJECT_BIN },
		{ "sch", MSGPACK_OBJECT_STR },
		{ "kid", MSGPACK_OBJECT_STR },
		{ "m", MSGPACK_OBJECT_BIN },
		{ "p", MSGPACK_OBJECT_BIN },
		{ "q", MSGPACK_OBJECT_BIN },
		{ "ct", MSGPACK_OBJECT_BIN },
		{ "ra", MSGPACK_OBJECT_STR },
		{ "o", MSGPACK_OBJECT_POSITIVE_INTEGER },
		{ "v", MSGPACK_OBJECT_POSITIVE_INTEGER },
		{ "h", MSGPACK_OBJECT_ARRAY },
		{ "xxh", MSGPACK_OBJECT_BIN },
	};
	struct buf out = buf_new(LIMIT_ENVELOPE_BYTES);
	struct event ev = sample();
	event_encode(&ev, &out);
	msgpack_unpacked u;
	msgpack_unpacked_init(&u);
	size_t used = 0;
	assert_int_equal(msgpack_unpack_next(&u, (const char *)out.data, out.len, &used),
		MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(used, out.len);
	assert_int_equal(u.data.type, MSGPACK_OBJECT_MAP);
	assert_int_equal(u.data.via.map.size, COUNT_OF(want));
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		const msgpack_object_kv *kv = &u.data.via.map.ptr[i];
		assert_int_equal(kv->key.type, MSGPACK_OBJECT_STR);
		assert_bytes(
			raw(kv->key.via.str.ptr, kv->key.via.str.size), bytes_str(want[i].key));
		assert_int_equal(kv->val.type, want[i].type);
	}
	msgpack_unpacked_destroy(&u);
	buf_free(&out);
}

/* An envelope of a later version: keys we do not know, with values of every type. */
static void
test_unknown_keys(void **state UNUSED)
{
	static const char *const values[] = {
		"\xc0",
		"\xc2",
		"\xc3",
		"\x7f",
		"\xff",
		"\xa1x",
		"\xc4\x01x",
		"\xc5\x00\x01x",
		"\xc6\x00\x00\x00\x01x",
		"\xc7\x01\x05x",
		"\xc8\x00\x01\x05x",
		"\xc9\x00\x00\x00\x01\x05x",
		"\xca"
		"1234",
		"\xcb"
		"12345678",
		"\xcc\x01",
		"\xcd\x01\x02",
		"\xce"
		"1234",
		"\xcf"
		"12345678",
		"\xd0\x01",
		"\xd1\x01\x02",
		"\xd2"
		"1234",
		"\xd3"
		"12345678",
		"\xd4\x05x",
		"\xd5\x05xx",
		"\xd6\x05xxxx",
		"\xd7\x05xxxxxxxx",
		"\xd8\x05xxxxxxxxxxxxxxxx",
		"\xd9\x01x",
		"\xda\x00\x01x",
		"\xdb\x00\x00\x00\x01x",
		"\x92\x93\x01\x02\x03\x81\xa1x\x90",
		"\xdc\x00\x02\x01\x02",
		"\xdd\x00\x00\x00\x02\x01\x02",
		"\xde\x00\x01\x01\x02",
		"\xdf\x00\x00\x00\x01\x01\x02",
		"\x80",
		"\x90",
	};
	static const size_t lens[] = { 1, 1, 1, 1, 1, 2, 3, 4, 6, 4, 5, 7, 5, 9, 2, 3, 5, 9, 2, 3,
		5, 9, 3, 4, 6, 10, 18, 3, 4, 6, 9, 5, 7, 5, 7, 1, 1 };
	assert_int_equal(COUNT_OF(values), COUNT_OF(lens));
	struct arena *a = arena_new(1024);
	struct buf out = buf_new(LIMIT_ENVELOPE_BYTES), with = buf_new(LIMIT_ENVELOPE_BYTES);
	struct event want = { .source = RAW("s") };
	event_encode(&want, &out);
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		/* One more pair in front: the head is a fixmap. */
		buf_clear(&with);
		buf_put_char(&with, (char)(out.data[0] + 1));
		buf_put_str(&with, "\xa3new");
		buf_put(&with, values[i], lens[i]);
		buf_put(&with, out.data + 1, out.len - 1);
		struct event got = { 0 };
		struct err e = { 0 };
		if (event_decode(buf_bytes(&with), a, &got, &e) != RC_OK)
			fail_msg("value %zu: %s", i, e.text);
		assert_same_envelope(&got, &want);
	}
	buf_free(&with);
	buf_free(&out);
	arena_free(a);
}

static void
test_damaged(void **state UNUSED)
{
#define HASH                                                                                       \
	"\xa3xxh\xc4\x10"                                                                          \
	"0123456789abcdef"
#define SRC "\xa3src\xa1s"
	static const struct {
		const char *what;
		const char *data;
		size_t len;
	} cases[] = {
#define CASE(what, data) { what, data, sizeof(data) - 1 }
		CASE("nothing", ""),
		CASE("no map", "\x93\x01\x02\x03"),
		CASE("a map of 2^32 - 1 pairs in 5 bytes", "\xdf\xff\xff\xff\xff"),
		CASE("a header array of 2^32 - 1", "\x83" SRC HASH "\xa1h\xdd\xff\xff\xff\xff"),
		CASE("an unknown array of 2^32 - 1", "\x83" SRC HASH "\xa1x\xdd\xff\xff\xff\xff"),
		CASE("nested unknown arrays",
			"\x83" SRC HASH "\xa1x\xdd\x00\x00\x00\x05\x95\x95\x95\x95\x95"),
		CASE("a string of 2^32 - 1", "\x82" HASH "\xa3src\xdb\xff\xff\xff\xff"),
		CASE("an ext of 2^32 - 1", "\x83" SRC HASH "\xa1x\xc9\xff\xff\xff\xff\x01"),
		CASE("the byte msgpack never uses", "\x83" SRC HASH "\xa1x\xc1"),
		CASE("no source", "\x81" HASH),
		CASE("no hash", "\x81" SRC),
		CASE("a short hash", "\x82" SRC "\xa3xxh\xc4\x03"
				     "abc"),
		CASE("the source is a number", "\x82" HASH "\xa3src\x05"),
		CASE("the source twice", "\x83" SRC SRC HASH),
		CASE("a key that is a number", "\x83" SRC HASH "\x05\x05"),
		CASE("something behind it", "\x82" SRC HASH "\x01"),
		CASE("an odd number of header parts", "\x83" SRC HASH "\xa1h\x91\xa1x"),
		CASE("a header value that is a number", "\x83" SRC HASH "\xa1h\x92\xa1x\x05"),
		CASE("an origin nobody knows", "\x83" SRC HASH "\xa1o\x7f"),
		CASE("an origin of 2^64 - 1",
			"\x83" SRC HASH "\xa1o\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
		CASE("a negative verified", "\x83" SRC HASH "\xa1v\xff"),
		CASE("a verified nobody knows", "\x83" SRC HASH "\xa1v\x03"),
	};
	struct arena *a = arena_new(1024);
	struct event got = { .seq = 9, .source = RAW("kept") };
	struct err e = { 0 };
	/* What the cases are made of is right. */
	assert_int_equal(decode(RAW("\x82" SRC HASH), a, &(struct event){ 0 }, &e), RC_OK);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		e = (struct err){ 0 };
		if (decode(raw(cases[i].data, cases[i].len), a, &got, &e) != RC_CORRUPT)
			fail_msg("%s: accepted", cases[i].what);
		assert_string_equal(e.id, "event.envelope-damaged");
		assert_bytes(got.source, RAW("kept"));
		/* A count is only believed as far as there are bytes for it. */
		assert_true(arena_used_bytes(a) < 4096);
	}
	arena_free(a);
}

static void
test_truncated(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	struct buf out = buf_new(LIMIT_ENVELOPE_BYTES);
	struct event want = sample(), got = { 0 };
	event_encode(&want, &out);
	for (size_t len = 0; len < out.len; len++) {
		assert_int_equal(
			decode((struct bytes){ out.data, len }, a, &got, NULL), RC_CORRUPT);
		arena_reset(a);
	}
	assert_int_equal(decode(buf_bytes(&out), a, &got, NULL), RC_OK);
	buf_free(&out);
	arena_free(a);
}

static uint32_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

/* Seeded damage: never a crash, never a read outside, memory in proportion to the envelope;
 * whatever is accepted encodes and decodes to itself. */
static void
test_mutations(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	struct buf out = buf_new(LIMIT_ENVELOPE_BYTES), again = buf_new(LIMIT_RECORD_BYTES);
	struct event want = sample();
	uint64_t random = 20260301;
	size_t accepted = 0, refused = 0;
	event_encode(&want, &out);
	unsigned char *data = malloc(out.len);
	for (int i = 0; i < 30000; i++) {
		memcpy(data, out.data, out.len);
		size_t len = out.len;
		for (uint32_t n = 1 + next_random(&random) % 4; n > 0; n--) {
			size_t at = next_random(&random) % len, span = next_random(&random) % 8 + 1;
			if (next_random(&random) % 4 == 0 && at + span < len && len > 64) {
				memmove(data + at, data + at + span, len - at - span);
				len -= span;
			} else if (next_random(&random) % 3 == 0) {
				/* heads of the forms that announce lengths and counts */
				data[at] = (unsigned char)(0xc0 + next_random(&random) % 32);
			} else {
				data[at] ^= (unsigned char)(1u << next_random(&random) % 8);
			}
		}
		struct event got = { 0 }, twice = { 0 };
		struct bytes in = { data, len };
		enum rc rc = decode(in, a, &got, NULL);
		assert_true(rc == RC_OK || rc == RC_CORRUPT);
		assert_true(arena_used_bytes(a) <= 32 * len);
		arena_reset(a);
		if (rc != RC_OK) {
			refused++;
			continue;
		}
		accepted++;
		assert_int_equal(event_decode(in, a, &got, NULL), RC_OK);
		buf_clear(&again);
		event_encode(&got, &again);
		assert_int_equal(event_decode(buf_bytes(&again), a, &twice, NULL), RC_OK);
		assert_same_envelope(&twice, &got);
		arena_reset(a);
	}
	assert_true(accepted > 1000);
	assert_true(refused > 1000);
	free(data);
	buf_free(&again);
	buf_free(&out);
	arena_free(a);
}

static void
test_overflow(void **state UNUSED)
{
	struct buf out = buf_new(100);
	struct event ev = sample();
	event_encode(&ev, &out);
	assert_true(out.overflow);
	assert_true(out.len <= 100);
	buf_free(&out);
}

static void
test_header_value(void **state UNUSED)
{
	struct event ev = sample(), none = { 0 };
	assert_bytes(event_header_value(&ev, "hOST"), RAW("hooks.example.com"));
	assert_bytes(event_header_value(&ev, "x-twice"), RAW("one"));
	assert_null(event_header_value(&ev, "Hos").data);
	assert_null(event_header_value(&ev, "Host:").data);
	assert_null(event_header_value(&none, "Host").data);
	/* An empty value is there all the same. */
	assert_non_null(event_header_value(&ev, "X-Empty").data);
	assert_int_equal(event_header_value(&ev, "X-Empty").len, 0);
}

static void
test_origin_name(void **state UNUSED)
{
	/* Number and name are both stored: in the log, in the tables. */
	assert_string_equal(event_origin_name((enum event_origin)0), "webhook");
	assert_string_equal(event_origin_name((enum event_origin)1), "backfill");
	assert_string_equal(event_origin_name((enum event_origin)2), "poll");
	assert_string_equal(event_origin_name((enum event_origin)3), "reconcile");
	assert_string_equal(event_origin_name((enum event_origin)4), "import");
	assert_string_equal(event_origin_name((enum event_origin)5), "replay");
	assert_string_equal(event_origin_name((enum event_origin)6), "operator");
	assert_string_equal(event_origin_name((enum event_origin)7), "broker");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_stored_form),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_header_value),
		cmocka_unit_test(test_origin_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
