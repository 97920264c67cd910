/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_KEEPER_WORK_H
#define STORE_KEEPER_WORK_H

#include <pthread.h>

#include "store/keeper.h"
#include "store/ledger.h"
#include "store/probe.h"
#include "store/seal.h"
#include "store/watch.h"

/* What the keeper's thread does, apart from when: keeper.c has the thread, its start, and what others ask of it. */

/* Redactions waiting for their seal; more wait for a later call. */
#define RESEAL_MAX 64

struct keeper {
	struct segment_set *set;
	struct ledger *ledger;
	int64_t interval_ms;
	pthread_mutex_t lock;
	pthread_cond_t changed, done;
	pthread_t thread;
	bool started;
	/* Guarded by lock. */
	bool closing, rolled;
	bool rotate;                /* the key is to be changed */
	enum rc rotated;            /* how that went */
	struct err rotate_err;
	uint64_t again[RESEAL_MAX]; /* segments whose file was replaced, to be sealed once more */
	size_t again_count;
	uint64_t segment_first; /* the one that is written to */
	int64_t clock_steps;
	uint64_t last_seq; /* of the log */
	unsigned char chain[STORE_CHAIN_BYTES];
	/* The thread's own. */
	struct watch watch;
	struct probe probe;
	int64_t figures_at_ms;
	struct seal_tree tree;
	bool seals_by_old_key, end_by_old_key; /* to be signed with the present one, too */
	uint64_t signed_seq; /* of the newest statement */
	int64_t signed_at_ms, retry_at_ms;
	uint64_t *sealed; /* first numbers of the segments that have a seal, rising */
	size_t sealed_count, sealed_room;
};

/* A segment has its seal already. */
void keeper_add_sealed(struct keeper *k, uint64_t first_seq);

/* Does what keeper_rotate_key asked for, if it did. The thread's, as are the following. */
void keeper_work_rotate(struct keeper *k);

/* Seals what is not sealed, when a segment was finished or replaced, and signs the end of the log when it is time or
 * the thread is about to end. What fails is logged and tried again after a while. */
void keeper_work_sign(struct keeper *k, bool rolled, bool last_time, uint64_t last_seq);

/* Looks at the readers of the open segment, and publishes figures now and then. */
void keeper_work_look(struct keeper *k);

#endif
