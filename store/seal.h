/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "store/segment.h"
#include "store/tree.h"

/* What is signed about a segment, read from the segment itself, so that it can be done at any time after
 * the last record was written. */

/* A segment gets one dictionary when it is opened, and the log's first one another. */
#define SEAL_DICTS_MAX 64

/* Takes the hash over dictionaries on by one; it starts as zeros. */
void seal_add_dict(unsigned char dicts[SHA256_BYTES], const unsigned char dict_sha256[SHA256_BYTES]);

/* A hash tree that follows the end of a segment. */
struct seal_tree {
	uint64_t first_seq; /* of the segment; 0: nothing read yet */
	uint64_t next_seq;  /* the next leaf to add */
	unsigned char chain[STORE_CHAIN_BYTES]; /* of next_seq - 1 */
	struct tree tree;
	/* The dictionaries the records name, in the order of their first use, and a hash over all. */
	size_t dict_count;
	uint32_t dict_ids[SEAL_DICTS_MAX];
	unsigned char dict_hashes[SEAL_DICTS_MAX][SHA256_BYTES];
	unsigned char dicts[SHA256_BYTES];
};

/* Adds the dictionary id of s to those t has seen, when it is new. RC_CORRUPT: s does not hold it, or too
 * many. */
enum rc seal_note_dict(struct seal_tree *t, struct segment *s, MDB_txn *txn, uint32_t id, struct err *e)
	MUST_CHECK;

/* Asked between two read transactions: whether to give up. */
typedef bool (*seal_stop_fn)(void *context);

/* Brings t up to record seq of s, some thousand records per read transaction. Records' checksums are
 * checked, what the file holds besides is not. path: as in tree_add, NULL when t goes on from before.
 * RC_CORRUPT: a record is damaged or missing. RC_AGAIN: stop said so. */
enum rc seal_tree_follow(struct seal_tree *t, struct segment *s, uint64_t seq, struct tree_path *path,
	seal_stop_fn stop, void *context, struct err *e) MUST_CHECK;

/* Fills everything of a STORE_SEAL but key, time and signature, from a segment that is not written to
 * any more. Errors as above; RC_NOTFOUND: the segment is empty; RC_IO. */
enum rc seal_describe(struct segment *s, struct store_statement *st, seal_stop_fn stop, void *context,
	struct err *e) MUST_CHECK;

/* Takes the write permissions off the segment's file, durably. */
enum rc seal_protect(const struct segment *s, struct err *e) MUST_CHECK;

#endif
