/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_SOURCES_H
#define STORE_INDEX_SOURCES_H

#include "store/db.h"

/* Which numbers each source has, in the database `sources` of index.mdb: one entry per source and block of
 * SOURCES_BLOCK numbers, with a list of places in the block or, where it is shorter, a bit for each
 * (docs/on-disk-format.md). A source is known by its tag, a hash of its name; of two names with one tag
 * both would be read, and whoever reads looks at the name. */

#define SOURCES_BLOCK 8192u

/* Of one block: bit n stands for number block * SOURCES_BLOCK + n. */
struct source_set {
	uint64_t words[SOURCES_BLOCK / 64];
};

uint64_t source_tag(struct bytes name);

/* The first member at or after place, SOURCES_BLOCK: none. */
unsigned source_set_next(const struct source_set *set, unsigned place);

/* Reads one entry. False: it is damaged. */
bool source_entry_decode(MDB_val key, MDB_val value, uint64_t *tag, uint64_t *block,
	struct source_set *set);

/* Adds what the index holds of tag in block to *set. 0, or LMDB's code; MDB_NOTFOUND: nothing. */
int source_set_read(MDB_txn *txn, MDB_dbi sources, uint64_t tag, uint64_t block, struct source_set *set);

/* Sets *block to the first one at or after it that holds anything of tag. As source_set_read. */
int source_next_block(MDB_txn *txn, MDB_dbi sources, uint64_t tag, uint64_t *block);

/* The tags of the newest records, first_seq and following ones, which the index does not hold yet. */
struct source_tail {
	uint64_t first_seq;
	uint64_t *tags;
	size_t count, room;
};

void source_tail_free(struct source_tail *t);

/* seq follows the last one, unless t is empty. */
void source_tail_add(struct source_tail *t, uint64_t seq, uint64_t tag);

/* Writes the first count ones. 0 or LMDB's code. */
int source_tail_write(const struct source_tail *t, size_t count, MDB_txn *txn, MDB_dbi sources);

#endif
