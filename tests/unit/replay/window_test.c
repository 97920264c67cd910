/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replay/window.h"

static struct window w;

static void
settles_in_any_order(void **unused UNUSED)
{
	window_reset(&w, 10);
	assert_true(window_has(&w, 10));
	assert_false(window_has(&w, 11));
	window_settle(&w, 13);
	window_settle(&w, 12);
	assert_int_equal(w.settled, 10);
	assert_true(window_has(&w, 12) && window_has(&w, 13) && !window_has(&w, 11));
	window_settle(&w, 11);
	assert_int_equal(w.settled, 13);
	window_settle(&w, 5);
	window_settle(&w, 13);
	assert_int_equal(w.settled, 13);
	assert_false(window_has(&w, window_end(&w) + 1));
}

static void
goes_round_many_times(void **unused UNUSED)
{
	window_reset(&w, 0);
	/* Pairs the wrong way round, as far apart as they may be. */
	for (uint64_t seq = 1; seq < 5 * WINDOW_SEQS; seq += 2) {
		window_settle(&w, seq + 1);
		assert_int_equal(w.settled, seq - 1);
		window_settle(&w, seq);
		assert_int_equal(w.settled, seq + 1);
	}
	uint64_t base = w.settled;
	for (uint64_t seq = window_end(&w); seq > base + 1; seq--)
		window_settle(&w, seq);
	assert_int_equal(w.settled, base);
	window_settle(&w, base + 1);
	assert_int_equal(w.settled, base + WINDOW_SEQS / 2);
	for (size_t i = 0; i < COUNT_OF(w.bits); i++)
		assert_int_equal(w.bits[i], 0);
}

/* As many times settling one, whatever was settled before. */
static void
settles_ranges(void **unused UNUSED)
{
	static const uint64_t lengths[] = { 1, 2, 63, 64, 65, 1000, WINDOW_SEQS / 2 - 1, WINDOW_SEQS / 2,
		WINDOW_SEQS / 2 + 1, WINDOW_SEQS, 3 * WINDOW_SEQS + 7 };
	static struct window one;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		window_reset(&w, 37);
		window_reset(&one, 37);
		uint64_t last = 37 + lengths[i];
		for (uint64_t seq = 39; seq < 5000; seq += 7) {
			window_settle(&w, seq);
			window_settle(&one, seq);
		}
		window_settle_range(&w, 38, last);
		for (uint64_t seq = 38; seq <= last; seq++)
			window_settle(&one, seq);
		assert_int_equal(w.settled, one.settled);
		assert_memory_equal(w.bits, one.bits, sizeof(w.bits));
		/* Something before it is under way. */
		uint64_t from = w.settled + 5;
		window_settle_range(&w, from, from + 200);
		for (uint64_t seq = from; seq <= from + 200; seq++)
			window_settle(&one, seq);
		assert_int_equal(w.settled, from - 5);
		assert_int_equal(w.settled, one.settled);
		assert_memory_equal(w.bits, one.bits, sizeof(w.bits));
	}
}

/* Whatever a kill leaves between two stores, nothing unsettled counts as settled. */
static void
recovers_from_a_kill_between_stores(void **unused UNUSED)
{
	window_reset(&w, 100);
	window_settle(&w, 103);
	/* Killed with 101 marked and `settled` not yet moved. */
	w.bits[101 / 64] |= UINT64_C(1) << (101 % 64);
	window_recover(&w);
	assert_int_equal(w.settled, 101);
	assert_true(window_has(&w, 103) && !window_has(&w, 102));
	/* Killed with `settled` moved and the bit not yet cleared: it must not mean 102 +
	 * WINDOW_SEQS one day. */
	w.bits[102 / 64] |= UINT64_C(1) << (102 % 64);
	w.settled = 103;
	window_recover(&w);
	assert_int_equal(w.settled, 103);
	for (uint64_t seq = 104; seq < 104 + 2 * (uint64_t)WINDOW_SEQS; seq++) {
		assert_false(window_has(&w, seq));
		window_settle(&w, seq);
		assert_int_equal(w.settled, seq);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settles_in_any_order),
		cmocka_unit_test(goes_round_many_times),
		cmocka_unit_test(settles_ranges),
		cmocka_unit_test(recovers_from_a_kill_between_stores),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
