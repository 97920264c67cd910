/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pace.h"

/* Sends count events with a clock that only moves by waiting plus late_us per wake-up; returns when
 * the last one went out. */
static int64_t
last_sent_us(uint64_t per_s, uint64_t count, int64_t late_us)
{
	int64_t now = 1000;
	struct pace p = pace_new(per_s, now);
	for (uint64_t i = 0; i < count; i++) {
		int64_t wait = pace_next_us(&p, now);
		assert_true(wait >= 0);
		if (wait > 0)
			now += wait + late_us;
	}
	return now - 1000;
}

static void
keeps_the_rate_exactly(void **state UNUSED)
{
	assert_int_equal(last_sent_us(1, 61, 0), 60000000);
	assert_int_equal(last_sent_us(1000, 1000001, 0), 1000000000);
	/* 3 does not divide a second: no error may add up. */
	assert_int_equal(last_sent_us(3, 3001, 0), 1000000000);
	assert_int_equal(last_sent_us(7, 70001, 0), 10000000000);
}

static void
late_wake_ups_do_not_add_up(void **state UNUSED)
{
	int64_t us = last_sent_us(100, 10001, 3000);
	assert_in_range(us, 100000000, 100000000 + 3000);
}

static void
the_first_goes_at_once_and_none_waits_without_a_rate(void **state UNUSED)
{
	struct pace p = pace_new(5, 77);
	assert_int_equal(pace_next_us(&p, 77), 0);
	assert_int_equal(pace_next_us(&p, 77), 200000);
	p = pace_new(0, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pace_next_us(&p, 0), 0);
}

static void
a_pause_is_not_made_up_for(void **state UNUSED)
{
	struct pace p = pace_new(10, 0);
	for (int i = 0; i < 10; i++)
		(void)pace_next_us(&p, i * 100000);
	/* A minute passes; then one event goes at once and the next ones at the rate again. */
	assert_int_equal(pace_next_us(&p, 60000000), 0);
	assert_int_equal(pace_next_us(&p, 60000000), 100000);
	assert_int_equal(pace_next_us(&p, 60000000), 200000);
}

static void
a_short_delay_is_made_up_for(void **state UNUSED)
{
	struct pace p = pace_new(1000, 0);
	(void)pace_next_us(&p, 0);
	/* 50 ms late: fifty events are due. */
	for (int i = 0; i < 50; i++)
		assert_int_equal(pace_next_us(&p, 50000), 0);
	assert_int_equal(pace_next_us(&p, 50000), 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_rate_exactly),
		cmocka_unit_test(late_wake_ups_do_not_add_up),
		cmocka_unit_test(the_first_goes_at_once_and_none_waits_without_a_rate),
		cmocka_unit_test(a_pause_is_not_made_up_for),
		cmocka_unit_test(a_short_delay_is_made_up_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
