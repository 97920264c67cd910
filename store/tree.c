/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tree.h"

static void
leaf(const unsigned char chain[STORE_CHAIN_BYTES], unsigned char out[SHA256_BYTES])
{
	static const unsigned char zero = 0;
	const struct bytes parts[] = { { &zero, 1 }, { chain, STORE_CHAIN_BYTES } };
	crypto_sha256_parts(parts, COUNT_OF(parts), out);
}

static void
node(const unsigned char left[SHA256_BYTES], const unsigned char right[SHA256_BYTES],
	unsigned char out[SHA256_BYTES])
{
	static const unsigned char one = 1;
	const struct bytes parts[] = { { &one, 1 }, { left, SHA256_BYTES }, { right, SHA256_BYTES } };
	unsigned char hash[SHA256_BYTES]; /* out may be one of the two */
	crypto_sha256_parts(parts, COUNT_OF(parts), hash);
	memcpy(out, hash, SHA256_BYTES);
}

/* Two neighbours are joined, of which left covers leaves [from, from + left_size) and right the next
 * right_size ones: whichever holds the path's leaf, the other one is the next step. */
static void
note(struct tree_path *path, uint64_t from, uint64_t left_size, uint64_t right_size,
	const unsigned char left[SHA256_BYTES], const unsigned char right[SHA256_BYTES])
{
	if (path == NULL || path->index < from || path->index - from >= left_size + right_size)
		return;
	ASSERT(path->count < TREE_LEVELS);
	memcpy(path->hashes[path->count++], path->index - from < left_size ? right : left, SHA256_BYTES);
}

void
tree_add(struct tree *t, const unsigned char chain[STORE_CHAIN_BYTES], struct tree_path *path)
{
	unsigned char hash[SHA256_BYTES];
	leaf(chain, hash);
	uint64_t from = t->count;
	size_t level = 0;
	for (; t->count >> level & 1; level++) {
		uint64_t size = (uint64_t)1 << level;
		from -= size;
		note(path, from, size, size, t->pending[level], hash);
		node(t->pending[level], hash, hash);
	}
	memcpy(t->pending[level], hash, SHA256_BYTES);
	t->count++;
}

void
tree_root(const struct tree *t, struct tree_path *path, unsigned char root[SHA256_BYTES])
{
	ASSERT(t->count > 0);
	uint64_t size = 0; /* leaves under root so far: the rightmost ones */
	for (size_t level = 0; level < TREE_LEVELS; level++) {
		if ((t->count >> level & 1) == 0)
			continue;
		uint64_t left_size = (uint64_t)1 << level;
		if (size == 0) {
			memcpy(root, t->pending[level], SHA256_BYTES);
		} else {
			note(path, t->count - size - left_size, left_size, size, t->pending[level], root);
			node(t->pending[level], root, root);
		}
		size += left_size;
	}
}

bool
tree_path_fits(uint64_t index, uint64_t count, const unsigned char chain[STORE_CHAIN_BYTES],
	const unsigned char (*hashes)[SHA256_BYTES], size_t hash_count,
	const unsigned char root[SHA256_BYTES])
{
	unsigned char hash[SHA256_BYTES];
	if (index >= count)
		return false;
	leaf(chain, hash);
	uint64_t last = count - 1; /* place of the last node on this level */
	for (size_t i = 0; i < hash_count; i++) {
		if (last == 0)
			return false;
		if ((index & 1) == 0 && index == last) {
			/* Without a partner until it is a right child. */
			while (index != 0 && (index & 1) == 0) {
				index >>= 1;
				last >>= 1;
			}
			if (index == 0)
				return false;
		}
		if (index & 1)
			node(hashes[i], hash, hash);
		else
			node(hash, hashes[i], hash);
		index >>= 1;
		last >>= 1;
	}
	return last == 0 && memcmp(hash, root, SHA256_BYTES) == 0;
}
