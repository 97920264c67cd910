/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "event/jpath.h"

static struct jpath_value
value(const char *raw)
{
	enum jpath_type type = raw[0] == '"' ? JPATH_STRING : JPATH_NUMBER;
	return (struct jpath_value){ type, bytes_str(raw) };
}

#define BAD "\xef\xbf\xbd"

static void
test_text(void **state UNUSED)
{
	static const struct {
		const char *raw, *want;
		bool altered;
	} cases[] = {
		{ "\"\"", "", false },
		{ "\"plain \xc3\xa9\"", "plain \xc3\xa9", false },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", false },
		{ "\"a\\u0041\\u00e9\\u00E9\\u20ac\\uFFFF.\"",
			"aA\xc3\xa9\xc3\xa9\xe2\x82\xac\xef\xbf\xbf.", false },
		{ "\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80", false },
		{ "\"\\ud83d\\ude00\\uD800\\uDC00\\udbff\\udfff\"",
			"\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", false },
		{ "\"a\\u0000b\"", "a" BAD "b", true },
		{ "\"\\ud800\"", BAD, true },
		{ "\"\\udc00\"", BAD, true },
		{ "\"\\ud800x\"", BAD "x", true },
		{ "\"\\ud800\\n\"", BAD "\n", true },
		{ "\"\\ud800\\u0041\"", BAD "A", true },
		{ "\"\\ude00\\ud83d\"", BAD BAD, true },
		{ "\"\\ud800\\ud83d\\ude00\"", BAD "\xf0\x9f\x98\x80", true },
		{ "\"\\ud83d\\ude00\\ude00\"", "\xf0\x9f\x98\x80" BAD, true },
		/* U+FFFD itself was there before */
		{ "\"\\ufffd" BAD "\"", BAD BAD, false },
	};
	struct arena *a = arena_new(1024);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool altered = !cases[i].altered;
		struct bytes text = jpath_text(value(cases[i].raw), a, &altered);
		if (!bytes_is(text, cases[i].want))
			fail_msg("%s gave \"%.*s\"", cases[i].raw, (int)text.len,
				(const char *)text.data);
		assert_true(utf8_valid(text));
		assert_int_equal(altered, cases[i].altered);
		assert_true(bytes_is(jpath_text(value(cases[i].raw), a, NULL), cases[i].want));
	}
	/* Nothing to change: no copy. */
	struct jpath_value v = value("\"plain\"");
	assert_ptr_equal(jpath_text(v, a, NULL).data, v.raw.data + 1);
	arena_free(a);
}

static void
test_int64(void **state UNUSED)
{
	static const struct {
		const char *raw;
		bool ok;
		int64_t want;
	} cases[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "7", true, 7 },
		{ "-7", true, -7 },
		{ "9007199254740993", true, INT64_C(9007199254740993) }, /* no double has it */
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "18446744073709551616", false, 0 },
		{ "18446744073709551617", false, 0 },
		{ "99999999999999999999999999", false, 0 },
		{ "1e3", true, 1000 },
		{ "1E+3", true, 1000 },
		{ "10.0", true, 10 },
		{ "-10.000", true, -10 },
		{ "1.5", false, 0 },
		{ "1.5e1", true, 15 },
		{ "1.50e1", true, 15 },
		{ "1.5e0", false, 0 },
		{ "100e-2", true, 1 },
		{ "100e-3", false, 0 },
		{ "10.10e1", true, 101 },
		{ "0.001e3", true, 1 },
		{ "0.001e2", false, 0 },
		{ "0.000", true, 0 },
		{ "0e999999999999999999999", true, 0 },
		{ "-0.0e-5", true, 0 },
		{ "1e18", true, INT64_C(1000000000000000000) },
		{ "1e19", false, 0 },
		{ "9.223372036854775807e18", true, INT64_MAX },
		{ "-9.223372036854775808e18", true, INT64_MIN },
		{ "9.223372036854775808e18", false, 0 },
		{ "92233720368547758070e-1", true, INT64_MAX },
		{ "1e999999999999999999999", false, 0 },
		{ "1e-999999999999999999999", false, 0 },
		{ "1000000000000000000000000e-20", true, 10000 },
		{ "0.00000000000000000000000005e26", true, 5 },
		{ "1.00000000000000000000000000001", false, 0 },
		{ "1.00000000000000000000000000000", true, 1 },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t got = 12345;
		/* A copy that ends with its block, for the sanitizer. */
		size_t len = strlen(cases[i].raw);
		unsigned char *copy = malloc(len);
		memcpy(copy, cases[i].raw, len);
		bool ok = jpath_int64((struct jpath_value){ JPATH_NUMBER, { copy, len } }, &got);
		free(copy);
		if (ok != cases[i].ok || (ok && got != cases[i].want))
			fail_msg("%s gave %d, %" PRId64, cases[i].raw, (int)ok, got);
	}
	int64_t got = 0;
	assert_false(jpath_int64(value("\"7\""), &got));
	assert_false(jpath_int64((struct jpath_value){ .type = JPATH_ABSENT }, &got));
	assert_false(jpath_int64((struct jpath_value){ JPATH_TRUE, bytes_str("true") }, &got));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_int64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
