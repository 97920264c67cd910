/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <lmdb.h>

#include "store/store.h"

/* LMDB environments as the log uses them, and LMDB's errors in the house's words. */

enum db_mode {
	DB_READ,
	DB_WRITE,
	DB_FROZEN, /* a file nobody ever writes, in a folder we may not be allowed to write: without a lock
		    * file. Never for a file of a log's own folder */
};

/* Opens the one-file environment path in LMDB's durable default mode, with close-on-exec descriptors;
 * DB_WRITE makes the file when missing. Then clears reader slots of dead processes.
 * RC_CONFLICT: the process, or the parent it was forked from, has opened this file already; LMDB's
 * locks would break. RC_NOTFOUND (DB_READ): no such file. RC_CORRUPT: not such a file, or shorter than it says. */
enum rc db_open(const char *path, enum db_mode mode, MDB_env **env, struct err *e) MUST_CHECK;

/* NULL is fine. */
void db_close(MDB_env *env);

/* Begins a read transaction, coping with full reader slots. RC_AGAIN: no slot is free, or (id log.same-pid) a process of
 * another PID namespace has this one's number. */
enum rc db_read_begin(MDB_env *env, MDB_txn **txn, struct err *e) MUST_CHECK;

/* Fills *e for LMDB's result code (not 0) and gives the matching rc: RC_FULL for a full disk or map,
 * RC_CORRUPT, RC_NOTFOUND, RC_AGAIN, else RC_IO. */
enum rc db_err(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Whether LMDB's result code of a write of some `bytes` to the environment, whose file or folder is at path, says that
 * there is no room, on the disk or by a limit of this process. A short write comes back as EIO. */
bool db_means_full(MDB_env *env, const char *path, int code, size_t bytes);

/* Keys of events: 8 bytes, big-endian. */
void db_put_seq(unsigned char out[8], uint64_t seq);
uint64_t db_get_seq(const void *data);

static inline MDB_val
db_val(struct bytes b)
{
	return (MDB_val){ b.len, (void *)(uintptr_t)b.data };
}

static inline struct bytes
db_bytes(MDB_val v)
{
	return (struct bytes){ v.mv_data, v.mv_size };
}

/* ---- what a pass over a file leaves mapped ---- */

/* The lowest and the highest value looked at. */
struct db_pages {
	uintptr_t lowest, highest;
};

#define DB_PAGES_NONE { UINTPTR_MAX, 0 }

static inline void
db_touched(struct db_pages *p, MDB_val v)
{
	uintptr_t at = (uintptr_t)v.mv_data;
	p->lowest = at < p->lowest ? at : p->lowest;
	p->highest = at > p->highest ? at : p->highest;
}

/* Takes the file's pages between them out of our address space. The page cache keeps them, and they come back when
 * they are touched; but a pass over a long log would count as memory of ours, all of it. The environment must be
 * open, a transaction need not. */
void db_forget(const struct db_pages *p);

/* Where all of the file is mapped, for db_forget when nobody knows what was touched: LMDB itself reads pages wherever
 * it writes. Valid as long as the environment is open. Nothing, when it cannot be found out. */
struct db_pages db_map_of(MDB_env *env);

#endif
