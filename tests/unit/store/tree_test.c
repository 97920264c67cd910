/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/helper.h"

#include "store/tree.h"

#define LEAVES_MAX 70

static void
chain_of(uint64_t i, unsigned char out[STORE_CHAIN_BYTES])
{
	crypto_sha256((struct bytes){ (const unsigned char *)&i, sizeof i }, out);
}

/* The definition of RFC 6962, section 2.1, word by word: split at the largest power of two below n. */
static void
defined_root(uint64_t from, uint64_t n, unsigned char out[SHA256_BYTES])
{
	unsigned char parts[1 + 2 * SHA256_BYTES];
	if (n == 1) {
		parts[0] = 0;
		chain_of(from, parts + 1);
		crypto_sha256((struct bytes){ parts, 1 + SHA256_BYTES }, out);
		return;
	}
	uint64_t k = 1;
	while (2 * k < n)
		k *= 2;
	parts[0] = 1;
	defined_root(from, k, parts + 1);
	defined_root(from + k, n - k, parts + 1 + SHA256_BYTES);
	crypto_sha256((struct bytes){ parts, sizeof parts }, out);
}

static void
build(uint64_t n, struct tree_path *path, unsigned char root[SHA256_BYTES])
{
	struct tree t = { .count = 0 };
	for (uint64_t i = 0; i < n; i++) {
		unsigned char chain[STORE_CHAIN_BYTES];
		chain_of(i, chain);
		tree_add(&t, chain, path);
	}
	tree_root(&t, path, root);
}

static void
roots_are_as_defined(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= LEAVES_MAX; n++) {
		unsigned char got[SHA256_BYTES], want[SHA256_BYTES];
		build(n, NULL, got);
		defined_root(0, n, want);
		assert_memory_equal(got, want, sizeof want);
	}
}

static void
every_leaf_has_a_path_that_fits_nowhere_else(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= LEAVES_MAX; n++) {
		for (uint64_t i = 0; i < n; i++) {
			struct tree_path path = { .index = i };
			unsigned char root[SHA256_BYTES], chain[STORE_CHAIN_BYTES];
			build(n, &path, root);
			chain_of(i, chain);
			const unsigned char(*hashes)[SHA256_BYTES] =
				(const unsigned char(*)[SHA256_BYTES])path.hashes;
			assert_true(tree_path_fits(i, n, chain, hashes, path.count, root));
			for (uint64_t j = 0; j < n + 2; j++)
				assert_true(j == i || !tree_path_fits(j, n, chain, hashes, path.count, root));
			for (size_t level = 0; level < path.count; level++) {
				path.hashes[level][level % SHA256_BYTES] ^= 0x10;
				assert_false(tree_path_fits(i, n, chain, hashes, path.count, root));
				path.hashes[level][level % SHA256_BYTES] ^= 0x10;
			}
			if (path.count > 0)
				assert_false(tree_path_fits(i, n, chain, hashes, path.count - 1, root));
			if (path.count < TREE_LEVELS)
				assert_false(tree_path_fits(i, n, chain, hashes, path.count + 1, root));
			chain[0] ^= 1;
			assert_false(tree_path_fits(i, n, chain, hashes, path.count, root));
		}
	}
}

/* A path from somebody else must not make the check loop or read on. */
static void
impossible_numbers_do_not_fit(void **state)
{
	(void)state;
	static const unsigned char hashes[TREE_LEVELS][SHA256_BYTES] = { { 0 } };
	unsigned char chain[STORE_CHAIN_BYTES], root[SHA256_BYTES];
	chain_of(0, chain);
	build(1, NULL, root);
	static const uint64_t numbers[] = { 0, 1, 2, 3, 1u << 20, UINT64_MAX - 1, UINT64_MAX };
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		for (size_t j = 0; j < COUNT_OF(numbers); j++) {
			bool right = numbers[i] == 0 && numbers[j] == 1;
			assert_int_equal(tree_path_fits(numbers[i], numbers[j], chain, hashes, 0, root), right);
			assert_false(
				tree_path_fits(numbers[i], numbers[j], chain, hashes, TREE_LEVELS, root));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_are_as_defined),
		cmocka_unit_test(every_leaf_has_a_path_that_fits_nowhere_else),
		cmocka_unit_test(impossible_numbers_do_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
