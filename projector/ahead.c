/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <unistd.h>

#include "projector/ahead.h"

/* More threads than these would wait for the reader, or for the one who takes the batches. */
#define THREADS_MAX 4
/* For each thread a batch at work and one that waits to be taken. */
#define SLOTS_MAX (2 * THREADS_MAX)

#define ARENA_BYTES ((size_t)1024 * 1024)

/* A batch on its way. Belongs to the thread that claimed it until it is ready, then to the taker. */
struct slot {
	struct arena *read, *fold;
	struct ahead_batch batch;
	enum rc rc;
	struct err err;
	bool ready;
};

/* Batches are numbered in the order of the log; number n is in slot n modulo slot_count. */
struct ahead {
	struct ahead_options o;
	pthread_t threads[THREADS_MAX];
	size_t thread_count;
	struct slot slots[SLOTS_MAX];
	size_t slot_count;
	pthread_mutex_t lock; /* of everything below, and of each slot's ready */
	pthread_cond_t changed;
	uint64_t claimed, taken; /* batches */
	uint64_t next;           /* event of the next batch; of the thread that reads */
	bool reading, ended, stop;
	bool holding; /* batch number taken is in the taker's hands */
};

size_t
ahead_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (size_t)n;
}

/* Claims the next batch and the reader. NULL: there is nothing more to do. */
static struct slot *
claim(struct ahead *a)
{
	struct slot *slot = NULL;
	pthread_mutex_lock(&a->lock);
	while (!a->stop && !a->ended && (a->reading || a->claimed - a->taken == a->slot_count))
		pthread_cond_wait(&a->changed, &a->lock);
	if (!a->stop && !a->ended) {
		a->reading = true;
		slot = &a->slots[a->claimed++ % a->slot_count];
	}
	pthread_mutex_unlock(&a->lock);
	return slot;
}

static void
read_batch(struct ahead *a, struct slot *slot)
{
	size_t max = a->o.events_max;
	arena_reset(slot->read);
	arena_reset(slot->fold);
	slot->batch = (struct ahead_batch){ .records = NULL };
	slot->rc = RC_OK;
	if (a->o.last > 0 && a->next > a->o.last)
		return;
	if (a->o.last > 0 && a->o.last - a->next + 1 < max)
		max = (size_t)(a->o.last - a->next + 1);
	slot->rc = store_read(a->o.reader, a->next, max, a->o.bytes_max, slot->read, &slot->batch.records,
		&slot->batch.count, &slot->err);
	a->next += slot->batch.count;
}

static void *
work(void *context)
{
	struct ahead *a = context;
	struct slot *slot;
	while ((slot = claim(a)) != NULL) {
		read_batch(a, slot);
		bool more = slot->rc == RC_OK && slot->batch.count > 0;
		pthread_mutex_lock(&a->lock);
		a->reading = false;
		a->ended = a->ended || !more;
		pthread_cond_broadcast(&a->changed);
		pthread_mutex_unlock(&a->lock);
		if (more)
			fold_events(a->o.catalog, slot->batch.records, slot->batch.count, &a->o.refused,
				slot->fold, &slot->batch.fold);
		pthread_mutex_lock(&a->lock);
		slot->ready = true;
		pthread_cond_broadcast(&a->changed);
		pthread_mutex_unlock(&a->lock);
	}
	return NULL;
}

enum rc
ahead_start(struct ahead **out, const struct ahead_options *options, struct err *e)
{
	struct ahead *a = base_zalloc(sizeof *a);
	ASSERT(options->threads >= 1 && options->threads <= THREADS_MAX);
	a->o = *options;
	a->next = options->first;
	a->slot_count = 2 * options->threads;
	for (size_t i = 0; i < a->slot_count; i++) {
		a->slots[i].read = arena_new(ARENA_BYTES);
		a->slots[i].fold = arena_new(ARENA_BYTES);
	}
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	int failed = 0;
	while (failed == 0 && a->thread_count < options->threads) {
		failed = pthread_create(&a->threads[a->thread_count], NULL, work, a);
		a->thread_count += failed == 0;
	}
	*out = a;
	if (a->thread_count > 0)
		return RC_OK;
	ahead_stop(a);
	*out = NULL;
	return err_sys(e, RC_AGAIN, NULL, failed, "start a thread that folds events");
}

enum rc
ahead_take(struct ahead *a, struct ahead_batch *batch, struct err *e)
{
	pthread_mutex_lock(&a->lock);
	if (a->holding) {
		a->slots[a->taken++ % a->slot_count].ready = false;
		pthread_cond_broadcast(&a->changed);
	}
	struct slot *slot = &a->slots[a->taken % a->slot_count];
	while (!slot->ready)
		pthread_cond_wait(&a->changed, &a->lock);
	a->holding = true;
	pthread_mutex_unlock(&a->lock);
	*batch = slot->batch;
	if (slot->rc != RC_OK && e != NULL)
		*e = slot->err;
	return slot->rc;
}

void
ahead_stop(struct ahead *a)
{
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	for (size_t i = 0; i < a->thread_count; i++)
		pthread_join(a->threads[i], NULL);
	for (size_t i = 0; i < a->slot_count; i++) {
		arena_free(a->slots[i].read);
		arena_free(a->slots[i].fold);
	}
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->changed);
	free(a);
}
