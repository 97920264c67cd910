/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_PRODUCERS_H
#define TESTS_BENCH_PRODUCERS_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/store.h"
#include "tests/bench/corpus.h"

/* 64 producers that each wait for their answer before they store the next event. Failures end the program. */

#define PRODUCERS 64
/* Threads that run them, as the receiver's threads run its connections. */
#define THREADS 2
/* Different bodies per producer, made before the clock starts. */
#define BODIES 16
#define ROUND_MS 4000

struct producers;

struct producer {
	struct group *group;
	struct bytes bodies[BODIES];
	uint64_t sent;
	char delivery[64];
	struct bytes body; /* what is under way */
	struct event event;
};

/* The producers of one thread. */
struct group {
	struct producers *all;
	struct producer each[PRODUCERS / THREADS];
	pthread_mutex_t lock;
	pthread_cond_t answered;
	/* Guarded by lock: those that got their answer. */
	struct producer *ready[PRODUCERS / THREADS];
	size_t ready_count;
	uint64_t stored, stored_bytes;
};

struct producers {
	/* Sends p->body, the n-th of all. */
	void (*send)(struct producer *p, uint64_t n);
	struct store *s;
	atomic_ullong taken; /* numbers given out, all rounds together */
	uint64_t limit;      /* take no number from here on; 0: for ROUND_MS */
	atomic_bool stop;
	struct group groups[THREADS];
};

struct round {
	uint64_t events, bytes;
	double seconds;
};

void producers_new(struct producers *all, const struct corpus *c);

/* Runs all of them for ROUND_MS, or until the limit. */
struct round producers_run(struct producers *all);

/* The n-th of all bodies, for a peer that is not asked by producers. */
struct bytes producers_body(const struct producers *all, uint64_t n);

/* Any thread. */
void producer_answered(struct producer *p);

#endif
