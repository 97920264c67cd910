/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_LEVELS_H
#define STORE_INDEX_LEVELS_H

#include "store/db.h"
#include "store/index_key.h"

/* The deliveries of index.mdb, in two trees of one form: new ones go into the small one, and from there, a piece
 * of the order of keys at a time, into the large one (a log-structured merge tree of two levels: O'Neil et al.,
 * "The LSM-Tree", 1996). Keys are hashes: put straight into a large tree, nearly each would have a page of its own
 * written; the small one is there so that many keys meet in each page of the large one. Where both have a
 * key, the small one is right.
 *
 * Numbers are LMDB's codes; the caller begins and ends the transaction. */

#define INDEX_RECENT "recent"
#define INDEX_KEYS "keys"
#define INDEX_VALUE_BYTES (8 + INDEX_BODY_BYTES)

struct index_levels {
	MDB_dbi recent, keys;
};

/* flags: MDB_CREATE or 0. */
int index_levels_open(MDB_txn *txn, unsigned flags, struct index_levels *l);

/* MDB_NOTFOUND: neither has it. MDB_CORRUPTED: what is there is no entry. */
int index_levels_find(MDB_txn *txn, const struct index_levels *l, const struct index_key *key,
	struct index_entry *entry);

/* Adds it to the small one, in place of what that one has under the key. */
int index_levels_put(MDB_txn *txn, const struct index_levels *l, const struct index_key *key,
	const struct index_entry *entry);

/* How many entries each has. */
int index_levels_count(MDB_txn *txn, const struct index_levels *l, size_t *recent, size_t *keys);

/* Moves up to count entries from the small one to the large one, those from *from on in the order of keys, or the
 * first ones when there are none; *from is then where the next call goes on. */
int index_levels_move(MDB_txn *txn, const struct index_levels *l, struct index_key *from, size_t count);

/* Calls fn for every entry whose key begins with prefix, in the order of keys. */
typedef void (*index_entry_fn)(const struct index_key *key, const struct index_entry *entry, void *context);
int index_levels_each(MDB_txn *txn, const struct index_levels *l, struct bytes prefix, index_entry_fn fn,
	void *context);

#endif
