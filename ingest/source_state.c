/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "ingest/source_state.h"

#define SECOND_US 1000000
#define DAY_US ((int64_t)86400 * SECOND_US)

/* The detector's clock. It does not begin with the system: the log tells of days before. */
static int64_t
silence_now_us(void)
{
	return clock_monotonic_us() + (SILENCE_DAYS + 1) * DAY_US;
}

struct source_state *
source_state_new(void)
{
	struct source_state *s = base_zalloc(sizeof *s);
	atomic_init(&s->references, 1);
	pthread_mutex_init(&s->lock, NULL);
	silence_start(&s->silence, silence_now_us());
	return s;
}

struct source_state *
source_state_retain(struct source_state *s)
{
	atomic_fetch_add(&s->references, 1);
	return s;
}

void
source_state_release(struct source_state *s)
{
	if (s == NULL || atomic_fetch_sub(&s->references, 1) > 1)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* A virtual queue that is served at the rate: each delivery lengthens it by its share of a second,
 * and it may be a second long. One number, so that no lock is needed. */
bool
source_take_turn(const struct source *source, int64_t now_us)
{
	if (source->requests_per_second_max == 0)
		return true;
	long long share_us = SECOND_US / (long long)source->requests_per_second_max;
	long long due_us = atomic_load(&source->state->due_us), next_us;
	do {
		long long from_us = due_us > now_us ? due_us : now_us;
		next_us = from_us + (share_us > 0 ? share_us : 1);
		if (next_us - now_us > SECOND_US)
			return false;
	} while (!atomic_compare_exchange_weak(&source->state->due_us, &due_us, next_us));
	return true;
}

bool
source_take_room(const struct source *source, size_t bytes)
{
	atomic_size_t *in_flight = &source->state->in_flight_bytes;
	size_t before = atomic_fetch_add(in_flight, bytes);
	if (source->in_flight_bytes_max == 0 || before + bytes <= source->in_flight_bytes_max)
		return true;
	atomic_fetch_sub(in_flight, bytes);
	return false;
}

void
source_give_room(const struct source *source, size_t bytes)
{
	atomic_fetch_sub(&source->state->in_flight_bytes, bytes);
}

void
source_heard(const struct source *source)
{
	struct source_state *s = source->state;
	atomic_store(&s->last_event_us, clock_now_us());
	pthread_mutex_lock(&s->lock);
	silence_event(&s->silence, silence_now_us());
	pthread_mutex_unlock(&s->lock);
}

void
source_recall(const struct source *source, int64_t received_at_us)
{
	struct source_state *s = source->state;
	int64_t ago_us = clock_now_us() - received_at_us;
	if (ago_us < 0 || ago_us > SILENCE_DAYS * DAY_US)
		return;
	atomic_store(&s->last_event_us, received_at_us);
	pthread_mutex_lock(&s->lock);
	silence_event(&s->silence, silence_now_us() - ago_us);
	pthread_mutex_unlock(&s->lock);
}

bool
source_is_silent(const struct source *source, bool *changed, int64_t *quiet_us)
{
	struct source_state *s = source->state;
	pthread_mutex_lock(&s->lock);
	int64_t limit_us =
		silence_limit_us(&s->silence, (int64_t)source->silence_after_s * SECOND_US);
	int64_t now_us = silence_now_us();
	*quiet_us = now_us - s->silence.last_us;
	bool silent = !source->disabled && silence_is_over(&s->silence, now_us, limit_us);
	pthread_mutex_unlock(&s->lock);
	*changed = atomic_exchange(&s->silent, silent) != silent;
	return silent;
}
