/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

#define S INT64_C(1000000)

static void
known_times(void **state UNUSED)
{
	/* Seconds by `date -u -d TEXT +%s`. */
	static const struct {
		const char *text;
		int64_t us;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01", 0 },
		{ "2026-03-01", 1772323200 * S },
		{ "2026-03-01T12:00:00Z", 1772366400 * S },
		{ "2026-03-01t12:00:00z", 1772366400 * S },
		{ "2026-03-01 12:00:00Z", 1772366400 * S },
		{ "2026-03-01T14:00:00+02:00", 1772366400 * S },
		{ "2026-03-01T06:30:00-0530", 1772366400 * S },
		{ "2026-03-01T12:00:00.5Z", 1772366400 * S + 500000 },
		{ "2026-03-01T12:00:00.123456Z", 1772366400 * S + 123456 },
		{ "2026-03-01T12:00:00.123456789Z", 1772366400 * S + 123456 },
		{ "2024-02-29T23:59:59Z", 1709251199 * S },
		{ "2000-02-29", 951782400 * S },
		{ "1969-12-31T23:59:59.999999Z", -1 },
		{ "0001-01-01", -62135596800 * S },
		{ "9999-12-31T23:59:59.999999Z", 253402300799 * S + 999999 },
		{ "2016-12-31T23:59:60Z", 1483228800 * S }, /* a leap second that was */
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t us = 1;
		if (!clock_parse_us(bytes_str(rows[i].text), &us) || us != rows[i].us)
			fail_msg("%s gave %lld", rows[i].text, (long long)us);
	}
}

static void
nonsense_is_refused(void **state UNUSED)
{
	static const char *const rows[] = { "", "x", "2026", "2026-3-1", "2026-00-10", "2026-13-01",
		"2026-01-00", "2026-01-32", "2026-04-31", "2026-02-29", "1900-02-29", "2100-02-29",
		"0000-01-01", "10000-01-01", "-2026-01-01", "2026-03-01T", "2026-03-01T12", "2026-03-01T12:00",
		"2026-03-01T12:00:00", "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z",
		"2026-03-01T12:00:61Z", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00+", "2026-03-01T12:00:00+2",
		"2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00+02:60", "2026-03-01T12:00:00Zx",
		"2026-03-01T12:00:00Z ", " 2026-03-01", "2026-03-01x", "2026/03/01", "+026-03-01",
		"2026-03-01T1a:00:00Z" };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t us;
		if (clock_parse_us(bytes_str(rows[i]), &us))
			fail_msg("accepted '%s'", rows[i]);
	}
}

/* As the C library has it. */
static void
format_plainly(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	int64_t fraction = us % S < 0 ? us % S + S : us % S;
	time_t t = (time_t)((us - fraction) / S);
	struct tm tm;
	assert_non_null(gmtime_r(&t, &tm));
	snprintf(out, CLOCK_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)fraction);
}

static void
any_time_is_written_as_by_the_c_library(void **state UNUSED)
{
	char have[CLOCK_TEXT_BYTES], want[CLOCK_TEXT_BYTES];
	uint64_t x = 88172645463325252u;
	for (int i = 0; i < 300000; i++) {
		/* A third in this century, a third in the years of four digits, and any. */
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		int64_t us = i % 3 == 0 ? 946684800 * S + (int64_t)(x % (3155760000 * (uint64_t)S))
			     : i % 3 == 1 ? -62167219200 * S + (int64_t)(x % (315569520000 * (uint64_t)S))
					  : (int64_t)(x >> 1) * (i % 2 == 0 ? 1 : -1);
		clock_format_us(us, have);
		format_plainly(us, want);
		assert_string_equal(have, want);
	}
}

static void
every_day_of_a_gregorian_cycle_comes_back(void **state UNUSED)
{
	int64_t day = 86400 * S;
	for (int64_t us = -12000 * day + 1; us < 200000 * day; us += 7 * day + 3661 * S + 17) {
		char text[CLOCK_TEXT_BYTES];
		int64_t again = 0;
		clock_format_us(us, text);
		if (!clock_parse_us(bytes_str(text), &again) || again != us)
			fail_msg("%lld became %s became %lld", (long long)us, text, (long long)again);
	}
}

static void
the_format_is_fixed(void **state UNUSED)
{
	char text[CLOCK_TEXT_BYTES];
	clock_format_us(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
	clock_format_us(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
	clock_format_us(1772366400 * S + 42, text);
	assert_string_equal(text, "2026-03-01T12:00:00.000042Z");
}

static void
clocks_move_forward(void **state UNUSED)
{
	int64_t before = clock_monotonic_us();
	clock_sleep_ms(2);
	assert_true(clock_monotonic_us() > before);
	clock_sleep_ms(-5); /* returns at once */
	assert_true(clock_now_us() > 1700000000 * S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_times),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(any_time_is_written_as_by_the_c_library),
		cmocka_unit_test(every_day_of_a_gregorian_cycle_comes_back),
		cmocka_unit_test(the_format_is_fixed),
		cmocka_unit_test(clocks_move_forward),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
