/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/commits.h"
#include "store/index.h"
#include "store/keeper.h"
#include "store/trainer.h"

/* What the files of the writing side share. */

/* An event on its way to the disk: all that can be done outside the writer thread is done. */
struct item {
	struct item *next;
	struct packed packed;
	int64_t relayed_at_us; /* as in struct event */
	bool has_key;
	struct index_key key;
	unsigned char body_xxh128[XXH128_BYTES];
	uint64_t source_tag;
	store_done_fn done;
	void *context;
	/* Of a batch, instead of done: which event of it this is, and how many come behind it in the
	 * same commit. */
	store_batch_done_fn batch_done;
	size_t batch_index, batch_rest;
	/* The answer when the commit succeeds. */
	uint64_t seq;
	bool duplicate;
};

struct door;

struct store {
	struct store_options options; /* with the defaults filled in; dir is owned */
	char *dir;
	int lock_fd, head_fd;
	struct segment_set *set;
	struct packer *packer;
	struct trainer *trainer;
	struct keeper *keeper;

	/* Guarded by lock. */
	pthread_mutex_t lock;
	pthread_cond_t queued;
	struct item *first, **end;
	size_t queue_count, queue_bytes;
	size_t wake_at;      /* the writer waits for so many events; SIZE_MAX: it does not wait */
	bool closing;
	bool roll_wanted;    /* store_roll waits for it */
	pthread_cond_t rolling;
	struct store_result *rolled;
	struct err failure;  /* why health is not RC_OK */
	atomic_int health;   /* enum rc; read without the lock */

	/* The writer thread's own, once it runs. */
	pthread_t thread;
	bool started;
	int64_t commit_us;     /* what a commit takes, smoothed */
	unsigned gather_pause; /* commits that do not wait for more events */
	int64_t answered_at_us; /* when the last one's answers had gone out, monotonic */
	size_t expected;       /* how many events the next one may carry: as many as were answered then or waited */
	struct segment *segment; /* the open one */
	uint64_t segment_last;   /* its last seq; 0: empty */
	bool next_made;          /* the next segment has its name already, but could not be opened yet */
	int64_t segment_first_at_us;
	size_t mapped_bytes; /* written since segment_forget */
	uint64_t last_seq;
	int64_t last_at_us;
	bool clock_behind; /* the clock is behind last_at_us, which was told */
	unsigned char chain[STORE_CHAIN_BYTES];
	struct store_reader *reader; /* for looking at what a duplicate claims to repeat */
	struct arena *scratch;
	struct index *index;
	struct door *door;
	struct commits commits;
};

/* The writer thread's body: s->queue to disk until s->closing and the queue is empty. */
void *writer_thread(void *context);

/* Seals the open segment and starts the next one; without events in it nothing happens. Any thread but
 * the writer's. RC_FULL, RC_IO: it could not be made, the open one goes on. */
enum rc store_roll(struct store *s, struct err *e) MUST_CHECK;

/* Makes the next segment current. The set's previous one stays open for readers. */
enum rc writer_roll(struct store *s, struct err *e) MUST_CHECK;

#endif
