/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "store/store.h"

/* The hash tree over the records of one segment, as RFC 6962 builds it: leaf = SHA-256(0x00 ‖ chain value),
 * node = SHA-256(0x01 ‖ left ‖ right), a last node without a partner rises as it is. Built from left to
 * right with one pending subtree per level, so that its size does not depend on the number of leaves. */

/* A tree of 2^63 leaves has this many levels. */
#define TREE_LEVELS 64

struct tree {
	uint64_t count;
	unsigned char pending[TREE_LEVELS][SHA256_BYTES]; /* [k]: 2^k leaves, when bit k of count is set */
};

/* The path from one leaf to the root, filled while the tree is built. */
struct tree_path {
	uint64_t index; /* of the leaf, from 0; set by the caller before the first tree_add */
	size_t count;
	unsigned char hashes[TREE_LEVELS][SHA256_BYTES]; /* from the leaf upwards */
};

/* Adds the next leaf. path may be NULL; the same one must be given from the first leaf on. */
void tree_add(struct tree *t, const unsigned char chain[STORE_CHAIN_BYTES], struct tree_path *path);

/* The root over all leaves so far, which must be at least one; completes path unless it is NULL. */
void tree_root(const struct tree *t, struct tree_path *path, unsigned char root[SHA256_BYTES]);

/* Whether the leaf of chain stands at index in a tree of count leaves with this root. Takes hashes from
 * anybody. */
bool tree_path_fits(uint64_t index, uint64_t count, const unsigned char chain[STORE_CHAIN_BYTES],
	const unsigned char (*hashes)[SHA256_BYTES], size_t hash_count,
	const unsigned char root[SHA256_BYTES]);

#endif
