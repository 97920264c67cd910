/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_FILTER_H
#define STORE_INDEX_FILTER_H

#include "store/index_key.h"

/* A Bloom filter over the keys of an index, so that a new delivery, which nearly all are, is known as new without a
 * look into a large file. It says "surely not there" or "perhaps".
 *
 * Of split blocks: a key sets one bit in each of the eight words of one block, so that a question costs one line of
 * the cache (the Apache Parquet format's "Bloom Filter" page). It grows by parts, and all are asked; when they have
 * INDEX_FILTER_BYTES_MAX together the last one fills up further, and "perhaps" becomes more frequent. */

#define INDEX_FILTER_BYTES_MIN ((size_t)1 << 20)
#define INDEX_FILTER_BYTES_MAX ((size_t)32 << 20)
#define INDEX_FILTER_PARTS_MAX 5
/* With so many each full part says "perhaps" to one new key in a hundred. */
#define INDEX_FILTER_BITS_PER_KEY 10

struct index_filter {
	struct index_filter_part {
		struct index_filter_block {
			uint32_t words[8];
		} *blocks;
		size_t count; /* of blocks */
		size_t keys, room;
	} parts[INDEX_FILTER_PARTS_MAX];
	size_t part_count;
};

/* An empty filter, into which so many keys will be restored. */
void index_filter_init(struct index_filter *f, size_t restored);
void index_filter_free(struct index_filter *f);

/* Adds a key that was there already, to a part of its own: by another thread than that of the other two, if need be. */
void index_filter_restore(struct index_filter *f, const struct index_key *key);

void index_filter_add(struct index_filter *f, const struct index_key *key);

/* False: it was never added. Not before the last index_filter_restore. */
bool index_filter_may_have(const struct index_filter *f, const struct index_key *key);

#endif
