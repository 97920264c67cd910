/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/helper.h"

#include "base/xxh.h"
#include "store/index_filter.h"

/* The filter never denies a key that it was given, and denies most of the others. */

static struct index_key
key_of(uint64_t n)
{
	struct index_key key;
	for (unsigned i = 0; i < INDEX_KEY_BYTES; i += 4) {
		uint32_t part = (uint32_t)xxh3_seeded((const unsigned char *)&n, sizeof n, i);
		memcpy(key.bytes + i, &part, sizeof part);
	}
	return key;
}

static size_t
bytes_of(const struct index_filter *f)
{
	size_t bytes = 0;
	for (size_t i = 0; i < f->part_count; i++)
		bytes += f->parts[i].count * sizeof *f->parts[i].blocks;
	return bytes;
}

/* How many of a thousand strange keys it takes for known. */
static unsigned
mistakes(const struct index_filter *f)
{
	unsigned perhaps = 0;
	for (uint64_t n = 0; n < 100000; n++) {
		struct index_key key = key_of((UINT64_C(1) << 40) + n);
		perhaps += index_filter_may_have(f, &key);
	}
	return perhaps / 100;
}

static void
nothing_given_is_denied(void **state)
{
	(void)state;
	static const size_t restored[] = { 0, 1, 1000, 1000000 };
	for (size_t i = 0; i < COUNT_OF(restored); i++) {
		struct index_filter f;
		index_filter_init(&f, restored[i]);
		for (uint64_t n = 0; n < restored[i]; n++) {
			struct index_key key = key_of(n);
			index_filter_restore(&f, &key);
		}
		/* Far more than the first parts have room for. */
		for (uint64_t n = restored[i]; n < restored[i] + 1200000; n++) {
			struct index_key key = key_of(n);
			index_filter_add(&f, &key);
		}
		for (uint64_t n = 0; n < restored[i] + 1200000; n++) {
			struct index_key key = key_of(n);
			assert_true(index_filter_may_have(&f, &key));
		}
		assert_in_range(mistakes(&f), 0, 30);
		index_filter_free(&f);
	}
}

static void
an_empty_one_denies_everything(void **state)
{
	(void)state;
	struct index_filter f;
	index_filter_init(&f, 0);
	assert_int_equal(mistakes(&f), 0);
	index_filter_free(&f);
}

/* Its memory ends somewhere, however many keys come, and it stays right. */
static void
it_ends_growing(void **state)
{
	(void)state;
	static const size_t restored[] = { 0, SIZE_MAX / 64 };
	for (size_t i = 0; i < COUNT_OF(restored); i++) {
		struct index_filter f;
		index_filter_init(&f, restored[i]);
		for (unsigned part = 0; part < 2 * INDEX_FILTER_PARTS_MAX; part++) {
			struct index_key key = key_of(part);
			/* As if it were full: the next key makes it grow, or fill up further. */
			f.parts[f.part_count - 1].keys = SIZE_MAX / 2;
			index_filter_add(&f, &key);
			assert_true(index_filter_may_have(&f, &key));
			assert_true(bytes_of(&f) <= INDEX_FILTER_BYTES_MAX);
		}
		assert_true(bytes_of(&f) > INDEX_FILTER_BYTES_MAX - INDEX_FILTER_BYTES_MIN);
		index_filter_free(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_is_denied),
		cmocka_unit_test(an_empty_one_denies_everything),
		cmocka_unit_test(it_ends_growing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
