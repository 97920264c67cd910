/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_META_H
#define STORE_INDEX_META_H

#include "store/db.h"

/* What index.mdb says of itself (docs/on-disk-format.md): databases beside those of index_levels.h, and the keys of
 * the last one. */
#define INDEX_FORMAT "4"
#define INDEX_SOURCES "sources"
#define INDEX_META "meta"
#define INDEX_META_FORMAT "format"
#define INDEX_META_LOG_ID "log_id"
#define INDEX_META_FIRST "first_seq"
#define INDEX_META_LAST "last_seq"
#define INDEX_META_CHAIN "chain"
#define INDEX_META_CLEAN "clean"

/* What an index knows: all records from first_seq to last_seq, of the history in which last_seq has this
 * chain value. first_seq > last_seq: none. */
struct index_cover {
	uint64_t first_seq, last_seq;
	unsigned char chain[STORE_CHAIN_BYTES];
};

/* False: meta does not say what the index covers. */
bool index_read_cover(MDB_txn *txn, MDB_dbi meta, struct index_cover *cover);

/* clean: nothing is added after it, so that the next start need not look at every entry. LMDB's code. */
int index_put_cover(MDB_txn *txn, MDB_dbi meta, const struct index_cover *cover, bool clean);

/* Whether meta has value under key. */
bool index_meta_is(MDB_txn *txn, MDB_dbi meta, const char *key, struct bytes value);
int index_put_meta(MDB_txn *txn, MDB_dbi meta, const char *key, struct bytes value);

#endif
