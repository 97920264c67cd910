/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

static void
appends_keep_their_order(void **state UNUSED)
{
	struct buf b = buf_new(1000);
	buf_put_str(&b, "a");
	buf_put_char(&b, 'b');
	buf_printf(&b, "%d", 12);
	buf_put(&b, "c\0d", 3);
	buf_put(&b, NULL, 0);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.data, "ab12c\0d", 7);
	assert_false(b.overflow);
	buf_clear(&b);
	buf_put_str(&b, "x");
	assert_string_equal(buf_cstr(&b), "x");
	buf_free(&b);
	assert_null(b.data);
	buf_put_str(&b, "again");
	assert_string_equal(buf_cstr(&b), "again");
	buf_free(&b);
}

static void
an_empty_buffer_is_an_empty_string(void **state UNUSED)
{
	struct buf b = buf_new(0);
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(buf_bytes(&b).len, 0);
	assert_false(b.overflow);
	buf_free(&b);
}

static void
the_maximum_is_exact(void **state UNUSED)
{
	for (size_t max = 1; max < 200; max++) {
		struct buf b = buf_new(max);
		for (size_t i = 0; i < max; i++)
			buf_put_char(&b, 'x');
		assert_false(b.overflow);
		assert_int_equal(strlen(buf_cstr(&b)), max);
		buf_put_char(&b, 'y');
		assert_true(b.overflow);
		assert_int_equal(b.len, max);
		buf_free(&b);
	}
}

static void
overflow_drops_and_stays(void **state UNUSED)
{
	struct buf b = buf_new(4);
	buf_put_str(&b, "abc");
	buf_printf(&b, "%s", "de");
	assert_true(b.overflow);
	/* What follows would fit, but a hole in the middle is worse than a cut. */
	buf_put_char(&b, 'f');
	assert_int_equal(b.len, 3);
	buf_clear(&b);
	assert_false(b.overflow);
	buf_put_str(&b, "abcd");
	assert_string_equal(buf_cstr(&b), "abcd");
	buf_free(&b);
}

static void
numbers_are_big_endian(void **state UNUSED)
{
	struct buf b = buf_new(100);
	buf_put_be16(&b, 0x0102);
	buf_put_be32(&b, 0x03040506);
	buf_put_be64(&b, UINT64_C(0x0708090a0b0c0dff));
	const unsigned char want[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255 };
	assert_int_equal(b.len, sizeof want);
	assert_memory_equal(b.data, want, sizeof want);
	buf_clear(&b);
	buf_put_hex(&b, "\x00\x7f\xff", 3);
	assert_string_equal(buf_cstr(&b), "007fff");
	buf_free(&b);
}

static void
json_escapes(void **state UNUSED)
{
	static const struct {
		const char *text;
		size_t len;
		const char *json;
	} rows[] = {
		{ "", 0, "\"\"" },
		{ "plain", 5, "\"plain\"" },
		{ "a\"b\\c/", 6, "\"a\\\"b\\\\c/\"" },
		{ "\n\r\t", 3, "\"\\n\\r\\t\"" },
		{ "\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\"" },
		{ "x\ny", 3, "\"x\\ny\"" },
		{ "\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b = buf_new(100);
		buf_put_json(&b, (struct bytes){ (const unsigned char *)rows[i].text, rows[i].len });
		assert_string_equal(buf_cstr(&b), rows[i].json);
		buf_free(&b);
	}
}

/* The same, as plainly as it can be said. */
static void
put_json_plainly(struct buf *b, const unsigned char *data, size_t len)
{
	buf_put_char(b, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = data[i];
		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			buf_printf(b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_put_char(b, (char)c);
	}
	buf_put_char(b, '"');
}

/* Texts of all lengths, at all places, with few and with many escapes, around the size of a piece and
 * around the maximum. */
static void
json_is_the_same_however_long_it_is(void **state UNUSED)
{
	static unsigned char text[9000];
	uint64_t x = 88172645463325252u;
	for (int round = 0; round < 3000; round++) {
		size_t len = round < 200 ? (size_t)round : (size_t)(x >> 20) % sizeof(text);
		unsigned often = round % 3 == 0 ? 1 : round % 3 == 1 ? 12 : 400;
		for (size_t i = 0; i < len; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			text[i] = (x >> 40) % often == 0 ? (unsigned char)(x >> 8)
							 : (unsigned char)('a' + (x >> 8) % 26);
		}
		struct buf want = buf_new(sizeof(text) * 6 + 2);
		put_json_plainly(&want, text, len);
		/* Exactly enough room, and one byte less. */
		struct buf have = buf_new(want.len), less = buf_new(want.len - 1);
		buf_put_json(&have, (struct bytes){ text, len });
		buf_put_json(&less, (struct bytes){ text, len });
		assert_false(have.overflow);
		assert_true(less.overflow);
		assert_int_equal(have.len, want.len);
		assert_memory_equal(have.data, want.data, want.len);
		buf_free(&want);
		buf_free(&have);
		buf_free(&less);
	}
}

/* Each byte at each place of short and longer texts. */
static void
json_is_plain_or_left_alone(void **state UNUSED)
{
	unsigned char text[40];
	for (size_t len = 0; len <= sizeof(text); len++) {
		for (size_t at = 0; at < len; at++) {
			for (unsigned c = 0; c < 256; c++) {
				struct buf want = buf_new(100), have = buf_new(100);
				memset(text, 'a' + (int)(at % 26), sizeof(text));
				text[at] = (unsigned char)c;
				put_json_plainly(&want, text, len);
				bool plain = want.len == len + 2 && c < 0x80;
				buf_put_char(&have, '.');
				assert_true(buf_put_json_plain(&have, (struct bytes){ text, len }) == plain);
				assert_int_equal(have.len, plain ? 1 + want.len : 1);
				if (plain)
					assert_memory_equal(have.data + 1, want.data, want.len);
				buf_free(&want);
				buf_free(&have);
			}
		}
		struct buf enough = buf_new(len + 2), less = buf_new(len + 1);
		memset(text, 'a', sizeof(text));
		assert_true(buf_put_json_plain(&enough, (struct bytes){ text, len }) && !enough.overflow);
		assert_true(buf_put_json_plain(&less, (struct bytes){ text, len }) && less.overflow);
		buf_free(&enough);
		buf_free(&less);
	}
}

static void
utf8_is_judged_by_rfc_3629(void **state UNUSED)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{ "", true },
		{ "ascii\x7f", true },
		{ "\xc2\x80", true },             /* the smallest of two bytes */
		{ "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true },         /* the smallest of three */
		{ "\xed\x9f\xbf", true },         /* just below the surrogates */
		{ "\xee\x80\x80", true },         /* just above them */
		{ "\xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80", true },     /* the smallest of four */
		{ "\xf4\x8f\xbf\xbf", true },     /* U+10FFFF, the last one */
		{ "\x80", false },                /* starts with a continuation */
		{ "\xbf", false },
		{ "\xc0\x80", false },            /* overlong NUL */
		{ "\xc1\xbf", false },
		{ "\xe0\x80\xaf", false },        /* overlong "/" */
		{ "\xe0\x9f\xbf", false },
		{ "\xf0\x80\x80\xaf", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xed\xa0\x80", false },        /* surrogates */
		{ "\xed\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },    /* past U+10FFFF */
		{ "\xf5\x80\x80\x80", false },
		{ "\xf8\x88\x80\x80\x80", false },
		{ "\xfe", false },
		{ "\xff", false },
		{ "\xc3", false },                /* cut off */
		{ "\xe2\x82", false },
		{ "\xf0\x9f\x98", false },
		{ "\xc3\x28", false },            /* not a continuation */
		{ "\xe2\x28\xa1", false },
		{ "\xf0\x9f\x98\xc0", false },
		{ "good \xff bad", false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (utf8_valid(bytes_str(rows[i].text)) != rows[i].valid)
			fail_msg("row %zu", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_keep_their_order),
		cmocka_unit_test(an_empty_buffer_is_an_empty_string),
		cmocka_unit_test(the_maximum_is_exact),
		cmocka_unit_test(overflow_drops_and_stays),
		cmocka_unit_test(numbers_are_big_endian),
		cmocka_unit_test(json_escapes),
		cmocka_unit_test(json_is_the_same_however_long_it_is),
		cmocka_unit_test(json_is_plain_or_left_alone),
		cmocka_unit_test(utf8_is_judged_by_rfc_3629),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
