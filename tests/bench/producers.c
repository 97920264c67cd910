/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/producers.h"

#include <string.h>

#include "base/clock.h"

void
producers_new(struct producers *all, const struct corpus *c)
{
	for (unsigned i = 0; i < PRODUCERS; i++) {
		struct group *g = &all->groups[i % THREADS];
		struct producer *p = &g->each[i / THREADS];
		*p = (struct producer){ .group = g };
		g->all = all;
		for (unsigned j = 0; j < BODIES; j++) {
			unsigned n = i * BODIES + j;
			p->bodies[j] = corpus_vary(c->lines[n % c->count], n);
		}
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_mutex_init(&all->groups[i].lock, NULL);
		pthread_cond_init(&all->groups[i].answered, NULL);
	}
}

void
producer_answered(struct producer *p)
{
	struct group *g = p->group;
	pthread_mutex_lock(&g->lock);
	g->ready[g->ready_count++] = p;
	if (g->ready_count == 1)
		pthread_cond_signal(&g->answered);
	pthread_mutex_unlock(&g->lock);
}

static size_t
group_wait(struct group *g, struct producer **ready)
{
	pthread_mutex_lock(&g->lock);
	while (g->ready_count == 0)
		pthread_cond_wait(&g->answered, &g->lock);
	size_t n = g->ready_count;
	memcpy(ready, g->ready, n * sizeof *ready);
	g->ready_count = 0;
	pthread_mutex_unlock(&g->lock);
	return n;
}

/* Sends the producer's next body; false: there shall be no more. */
static bool
send_next(struct producer *p)
{
	struct producers *all = p->group->all;
	if (atomic_load_explicit(&all->stop, memory_order_relaxed))
		return false;
	uint64_t n = atomic_fetch_add(&all->taken, 1);
	if (all->limit > 0 && n >= all->limit)
		return false;
	p->body = p->bodies[p->sent++ % BODIES];
	all->send(p, n);
	return true;
}

static void *
produce(void *context)
{
	struct group *g = context;
	struct producer *ready[PRODUCERS / THREADS];
	size_t under_way = 0;
	g->stored = g->stored_bytes = 0;
	for (size_t i = 0; i < PRODUCERS / THREADS; i++)
		under_way += send_next(&g->each[i]);
	while (under_way > 0) {
		size_t n = group_wait(g, ready);
		for (size_t i = 0; i < n; i++) {
			g->stored++;
			g->stored_bytes += ready[i]->body.len;
			under_way -= !send_next(ready[i]);
		}
	}
	return NULL;
}

struct round
producers_run(struct producers *all)
{
	pthread_t threads[THREADS];
	struct round r = { 0 };
	atomic_store(&all->stop, false);
	int64_t from_us = clock_monotonic_us();
	for (unsigned i = 0; i < THREADS; i++) {
		int code = pthread_create(&threads[i], NULL, produce, &all->groups[i]);
		if (code != 0) {
			fprintf(stderr, "thread: %s\n", strerror(code));
			exit(1);
		}
	}
	if (all->limit == 0) {
		clock_sleep_ms(ROUND_MS);
		atomic_store(&all->stop, true);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		r.events += all->groups[i].stored;
		r.bytes += all->groups[i].stored_bytes;
	}
	r.seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
	return r;
}

struct bytes
producers_body(const struct producers *all, uint64_t n)
{
	const struct group *g = &all->groups[n % THREADS];
	return g->each[n / THREADS % (PRODUCERS / THREADS)].bodies[n / PRODUCERS % BODIES];
}
