/* SPDX-License-Identifier: Apache-2.0 */
#include "store/commits.h"

#include "store/writer.h"

const int64_t store_commit_bounds_us[STORE_COMMIT_BUCKETS] = { 100, 250, 500, 1000, 2500, 5000,
	10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000 };

static void
add(atomic_ullong *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void
commits_note(struct commits *c, size_t events, int64_t took_us)
{
	size_t i = 0;
	while (i < STORE_COMMIT_BUCKETS && took_us > store_commit_bounds_us[i])
		i++;
	add(&c->buckets[i], 1);
	add(&c->events, events);
	add(&c->time_us, took_us > 0 ? (uint64_t)took_us : 0);
}

void
store_commits(const struct store *s, struct store_commits *out)
{
	const struct commits *c = &s->commits;
	out->events = atomic_load_explicit(&c->events, memory_order_relaxed);
	out->time_us = atomic_load_explicit(&c->time_us, memory_order_relaxed);
	for (size_t i = 0; i <= STORE_COMMIT_BUCKETS; i++)
		out->buckets[i] = atomic_load_explicit(&c->buckets[i], memory_order_relaxed);
}
