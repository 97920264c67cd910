/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include "store/db.h"

/* Who reads the open segment, in any process, and for how long: a read transaction keeps the writer from
 * using pages again that are older than it. LMDB's table of readers does not hold times, so the table is
 * looked at again and again. One thread at a time. */

/* A read transaction this old is told and counted; ours end after a tenth of a second. */
#define WATCH_SLOW_MS 5000
#define WATCH_READERS_MAX 512

struct watch {
	size_t count;
	struct watch_reader {
		int64_t pid;
		uint64_t thread, txn;
		int64_t since_ms;
		bool told;
	} readers[WATCH_READERS_MAX];
	uint64_t slow;    /* transactions that were told so far */
	uint64_t cleared; /* slots of dead processes so far */
};

/* Looks at the table: clears slots of dead processes, logs new slow readers. *oldest_ms: how long the
 * oldest running transaction has been seen, 0: none runs. */
void watch_look(struct watch *w, MDB_env *env, int64_t now_ms, int64_t *oldest_ms);

struct watch_now {
	uint64_t readers;     /* transactions running */
	uint64_t oldest_txns; /* commits since the oldest of them began */
	int64_t oldest_pid;
	uint64_t map_bytes, map_used_bytes;
};

/* What the table says at this moment; any process. */
void watch_now(MDB_env *env, struct watch_now *n);

#endif
