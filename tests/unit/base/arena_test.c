/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

static void
allocations_do_not_overlap(void **state UNUSED)
{
	struct arena *a = arena_new(1);
	unsigned char *runs[300];
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT_OF(runs); i++) {
			runs[i] = arena_alloc(a, i * 7);
			assert_int_equal((uintptr_t)runs[i] % _Alignof(max_align_t), 0);
			memset(runs[i], (int)(i & 255), i * 7);
		}
		for (size_t i = 0; i < COUNT_OF(runs); i++) {
			for (size_t j = 0; j < i * 7; j++)
				assert_int_equal(runs[i][j], i & 255);
		}
		assert_true(arena_used_bytes(a) >= COUNT_OF(runs) * (COUNT_OF(runs) - 1) / 2 * 7);
		arena_reset(a);
		assert_int_equal(arena_used_bytes(a), 0);
	}
	arena_free(a);
	arena_free(NULL);
}

static void
reset_keeps_the_first_block(void **state UNUSED)
{
	struct arena *a = arena_new(4096);
	void *first = arena_alloc(a, 10);
	arena_alloc(a, 100000);
	arena_reset(a);
	assert_ptr_equal(arena_alloc(a, 10), first);
	arena_free(a);
}

static void
zalloc_zeroes_what_was_used(void **state UNUSED)
{
	struct arena *a = arena_new(4096);
	memset(arena_alloc(a, 1000), 0xff, 1000);
	arena_reset(a);
	const unsigned char *p = arena_zalloc(a, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	arena_free(a);
}

static void
copies_are_their_own(void **state UNUSED)
{
	struct arena *a = arena_new(16);
	char text[] = "one\0two";
	struct bytes whole = { (const unsigned char *)text, 7 };
	struct bytes copy = arena_copy(a, whole);
	char *string = arena_string(a, (struct bytes){ whole.data, 3 });
	memset(text, 'x', sizeof text);
	assert_int_equal(copy.len, 7);
	assert_memory_equal(copy.data, "one\0two", 7);
	assert_string_equal(string, "one");
	assert_string_equal(arena_string(a, (struct bytes){ NULL, 0 }), "");
	assert_int_equal(arena_copy(a, (struct bytes){ NULL, 0 }).len, 0);
	assert_string_equal(arena_printf(a, "%s-%05d", "n", 42), "n-00042");
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_do_not_overlap),
		cmocka_unit_test(reset_keeps_the_first_block),
		cmocka_unit_test(zalloc_zeroes_what_was_used),
		cmocka_unit_test(copies_are_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
