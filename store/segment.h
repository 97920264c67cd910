/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include <pthread.h>

#include "store/archived.h"
#include "store/db.h"
#include "store/pack.h"

/* Segments: one LMDB file each, with the databases `events` (8-byte big-endian seq -> record) and
 * `meta` (text key -> value): segment.c. A set opens each file at most once per process, whoever reads
 * it, from the log's folder or the archive: segment_set.c. */

struct segment {
	uint64_t first_seq;
	MDB_env *env;
	MDB_dbi events, meta;
	unsigned char prev_chain[STORE_CHAIN_BYTES]; /* of record first_seq - 1 */
	/* Guarded by the lock. */
	pthread_mutex_t lock;
	struct segment_dict {
		struct segment_dict *next;
		struct dict *dict;
	} *dicts; /* loaded so far; entries stay until the segment is closed */
	struct segment_set *set; /* NULL: in none */
	/* Guarded by the set's lock. */
	struct segment *next;
	unsigned users;
	uint64_t used_at; /* the set's clock at the last use */
	bool replaced;    /* the file has lost its name: not given out any more */
};

/* ---- sets ---- */

/* All segments of one log that this process has open. Counted references; any thread. */
struct segment_set *segment_set_new(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES]);
/* Segments the log's folder does not hold are read from the archive in dir; before the set is shared. */
void segment_set_use_archive(struct segment_set *set, const char *dir);
/* The archive's folder, NULL: none. */
const char *segment_set_archive(const struct segment_set *set);
/* Looks anew what the archive holds; gives it in a, rising. */
void segment_set_list_archive(struct segment_set *set, struct arena *a,
	const struct archived_segment **segments, size_t *count);
struct segment_set *segment_set_ref(struct segment_set *set);
void segment_set_unref(struct segment_set *set); /* NULL is fine; asserts that no segment is in use */
const char *segment_set_dir(const struct segment_set *set);
const unsigned char *segment_set_log_id(const struct segment_set *set);

/* The writer will write to the segment that starts with first_seq: said before the file gets its name, so
 * that a reader of this process who meets it first opens it for writing, too. A file can be open once. */
void segment_set_write_from(struct segment_set *set, uint64_t first_seq);

/* The segment that starts with first_seq, opened for reading when it is not open yet. Give it back
 * with segment_release. RC_NOTFOUND: there is no such file. RC_CORRUPT: it does not belong here. */
enum rc segment_acquire(struct segment_set *set, uint64_t first_seq, struct segment **s, struct err *e)
	MUST_CHECK;
void segment_release(struct segment *s); /* NULL is fine */

/* Begins to read an acquired segment. Follows another process that wrote past our map.
 * RC_AGAIN: no reader's place is free (id log.readers-full). */
enum rc segment_begin(struct segment *s, MDB_txn **txn, struct err *e) MUST_CHECK;

/* As segment_acquire, for writing; no reader of the process may have opened it before, unless after
 * segment_set_write_from. Syncs the file, since a
 * killed writer may have left a commit in the page cache only. */
enum rc segment_acquire_writable(struct segment_set *set, uint64_t first_seq, struct segment **s,
	struct err *e) MUST_CHECK;

/* ---- one segment ---- */

/* Opens a segment's file outside of any set. Unless frozen it is synced, since a killed writer may have
 * left a commit in the page cache only. Close with segment_close. RC_CORRUPT: it does not belong here. */
enum rc segment_open(const char *path, enum db_mode mode, const unsigned char log_id[STORE_LOG_ID_BYTES],
	uint64_t first_seq, struct segment **s, struct err *e) MUST_CHECK;
void segment_close(struct segment *s); /* NULL is fine */

/* Makes the file of a new segment, complete and durable or not at all. */
enum rc segment_make(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES],
	uint64_t first_seq, const unsigned char prev_chain[STORE_CHAIN_BYTES], struct err *e) MUST_CHECK;

/* Takes the segment's pages out of our address space (db_forget). Any thread that holds it. */
void segment_forget(const struct segment *s);

/* First and last seq in the segment as txn sees it; both 0 when it is empty. */
enum rc segment_range(const struct segment *s, MDB_txn *txn, uint64_t *first, uint64_t *last,
	struct err *e) MUST_CHECK;

/* The stored bytes of record seq, valid until txn ends. RC_NOTFOUND. */
enum rc segment_get(const struct segment *s, MDB_txn *txn, uint64_t seq, struct bytes *record,
	struct err *e) MUST_CHECK;

/* The dictionary of that id, NULL for id 0. Valid while the segment is acquired. RC_CORRUPT: it is
 * missing or damaged. */
enum rc segment_dict(struct segment *s, MDB_txn *txn, uint32_t id, const struct dict **d,
	struct err *e) MUST_CHECK;

/* Stores d in the segment within a write transaction, if it is not there. */
enum rc segment_put_dict(const struct segment *s, MDB_txn *txn, struct dict *d, struct err *e) MUST_CHECK;

/* Checks one stored record and copies it into a. */
enum rc segment_decode(struct segment *s, MDB_txn *txn, struct unpacker *u, uint64_t seq,
	struct bytes record, struct arena *a, struct store_record *out, struct err *e) MUST_CHECK;

#endif
