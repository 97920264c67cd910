/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "store/segment.h"

/* What the files of the reading side share. */
struct store_reader {
	struct segment_set *set;
	struct arena *names;     /* holds firsts */
	uint64_t *firsts;        /* first seq of each segment known so far, rising */
	size_t count;
	size_t archived_count;   /* of these, the first ones, which only the archive holds */
	struct unpacker *unpacker;
	int inotify;             /* -1: not opened yet, or not to be had */
	bool inotify_tried;
};

/* A reader on the segments of set; takes its own reference. */
struct store_reader *reader_new(struct segment_set *set);

/* Looks for segments anew. */
enum rc reader_refresh(struct store_reader *r, struct err *e) MUST_CHECK;

/* The index in firsts of the segment that would hold seq, refreshing when that may help; count when
 * there is none. */
enum rc reader_locate(struct store_reader *r, uint64_t seq, size_t *index, struct err *e) MUST_CHECK;

/* Acquires the segment firsts[index] and begins reading it. End with reader_leave.
 * RC_NOTFOUND: it has been removed meanwhile. */
enum rc reader_enter(struct store_reader *r, size_t index, struct segment **s, MDB_txn **txn,
	struct err *e) MUST_CHECK;
void reader_leave(struct segment *s, MDB_txn *txn);

#endif
