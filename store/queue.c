/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>

#include "base/clock.h"
#include "base/limits.h"
#include "store/index_sources.h"
#include "store/queue.h"

/* What waits for the disk at most, compressed: at the 300 MB/s of a modest disk less than a second's
 * worth, and at least one record of any size fits. */
#define QUEUE_BYTES_MAX ((size_t)256 * 1024 * 1024)
/* How long a commit waits for those who were just answered: this part of what it takes itself, within these
 * bounds. Below the first one the wait costs more than the commit it saves. */
#define GATHER_PART 3
#define GATHER_US_MIN 50
#define GATHER_US_MAX 5000
/* When fewer than 7 of 8 came in that time, they do not come back at once, or the disk is so fast that preparing what
 * they send takes longer: so many commits go without waiting before it is tried again. */
#define GATHER_PAUSE 16

/* ---- submitting ---- */

static void
item_free(struct item *item)
{
	packed_free(&item->packed);
	free(item);
}

/* Everything that needs no number yet: hash, envelope, compression. */
static enum rc
item_make(struct store *s, const struct event *ev, struct item **out, struct err *e)
{
	if (ev->body.len > LIMIT_FORM_BODY_BYTES)
		return err_set(e, RC_INVALID, "log.too-large", "a body of %zu bytes; at most %zu are stored",
			ev->body.len, LIMIT_FORM_BODY_BYTES);
	struct event hashed = *ev;
	xxh128(ev->body, hashed.body_xxh128);
	struct buf envelope = buf_new(LIMIT_ENVELOPE_BYTES);
	event_encode(&hashed, &envelope);
	if (envelope.overflow) {
		buf_free(&envelope);
		return err_set(e, RC_INVALID, "log.too-large", "headers and names take more than %zu bytes",
			LIMIT_ENVELOPE_BYTES);
	}
	struct item *item = base_zalloc(sizeof *item);
	memcpy(item->body_xxh128, hashed.body_xxh128, XXH128_BYTES);
	item->relayed_at_us = ev->relayed_at_us;
	item->has_key = index_key_of(ev, &item->key);
	item->source_tag = source_tag(ev->source);
	trainer_offer(s->trainer, buf_bytes(&envelope), ev->body);
	pack(s->packer, buf_bytes(&envelope), ev->body, &item->packed);
	buf_free(&envelope);
	*out = item;
	return RC_OK;
}

/* Puts a chain of items, all or none, at the end of the queue. */
static enum rc
enqueue(struct store *s, struct item *first, struct item **end, size_t count, size_t bytes,
	struct err *e)
{
	bool wake = false;
	pthread_mutex_lock(&s->lock);
	ASSERT(!s->closing);
	enum rc rc = (enum rc)atomic_load(&s->health);
	if (rc == RC_FULL)
		rc = RC_OK; /* the writer finds out whether there is room again */
	if (rc != RC_OK) {
		if (e != NULL)
			*e = s->failure;
	} else if (s->queue_count > 0 && (s->queue_count + count > s->options.queue_events_max ||
						 s->queue_bytes + bytes > QUEUE_BYTES_MAX)) {
		rc = err_set(e, RC_FULL, "log.queue-full", "%zu events wait for the disk already",
			s->queue_count);
	} else {
		*s->end = first;
		s->end = end;
		s->queue_count += count;
		s->queue_bytes += bytes;
		wake = s->queue_count >= s->wake_at;
	}
	pthread_mutex_unlock(&s->lock);
	/* Not under the lock, which is the first thing the writer wants. */
	if (wake)
		pthread_cond_signal(&s->queued);
	return rc;
}

enum rc
store_submit(struct store *s, const struct event *ev, store_done_fn done, void *context, struct err *e)
{
	struct item *item;
	enum rc rc = item_make(s, ev, &item, e);
	if (rc != RC_OK)
		return rc;
	item->done = done;
	item->context = context;
	rc = enqueue(s, item, &item->next, 1, packed_bytes(&item->packed), e);
	if (rc != RC_OK)
		item_free(item);
	return rc;
}

enum rc
store_submit_batch(struct store *s, const struct event *events, size_t count,
	store_batch_done_fn done, void *context, struct err *e)
{
	struct item *first = NULL, **end = &first;
	size_t bytes = 0;
	enum rc rc = RC_OK;
	ASSERT(count > 0 && count <= STORE_BATCH_EVENTS_MAX);
	for (size_t i = 0; i < count; i++) {
		rc = item_make(s, &events[i], end, e);
		if (rc != RC_OK) {
			*end = NULL;
			break;
		}
		struct item *item = *end;
		item->batch_done = done;
		item->context = context;
		item->batch_index = i;
		item->batch_rest = count - 1 - i;
		bytes += packed_bytes(&item->packed);
		end = &item->next;
	}
	if (rc == RC_OK)
		rc = enqueue(s, first, end, count, bytes, e);
	while (rc != RC_OK && first != NULL) {
		struct item *item = first;
		first = item->next;
		item_free(item);
	}
	return rc;
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool done;
	struct store_result result;
};

static void
wake(const struct store_result *result, void *context)
{
	struct waiter *w = context;
	pthread_mutex_lock(&w->lock);
	w->result = *result;
	w->done = true;
	pthread_cond_signal(&w->answered);
	pthread_mutex_unlock(&w->lock);
}

struct store_result
store_append(struct store *s, const struct event *ev)
{
	struct waiter w = { .done = false };
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.answered, NULL);
	enum rc rc = store_submit(s, ev, wake, &w, &w.result.err);
	if (rc == RC_OK) {
		pthread_mutex_lock(&w.lock);
		while (!w.done)
			pthread_cond_wait(&w.answered, &w.lock);
		pthread_mutex_unlock(&w.lock);
	} else {
		w.result.rc = rc;
	}
	pthread_cond_destroy(&w.answered);
	pthread_mutex_destroy(&w.lock);
	return w.result;
}

/* ---- the writer's side ---- */

struct item *
queue_take(struct store *s, size_t *count)
{
	struct item *items = s->first, **end = &items;
	size_t n = 0, bytes = 0;
	/* A batch is never split, however small a commit should be. */
	while (*end != NULL && (n == 0 || n + (*end)->batch_rest < s->options.commit_events_max)) {
		struct item **after = end;
		size_t more = 0, take = 1 + (*end)->batch_rest;
		for (size_t i = 0; i < take; i++, after = &(*after)->next)
			more += packed_bytes(&(*after)->packed);
		if (n > 0 && bytes + more > LIMIT_COMMIT_BYTES)
			break;
		bytes += more;
		n += take;
		end = after;
	}
	s->first = *end;
	*end = NULL;
	if (s->first == NULL)
		s->end = &s->first;
	s->queue_count -= n;
	s->queue_bytes -= bytes;
	*count = n;
	return items;
}

static void
gather(struct store *s)
{
	struct timespec until;
	int64_t us = s->commit_us / GATHER_PART;
	int64_t until_us = s->answered_at_us + (us < GATHER_US_MAX ? us : GATHER_US_MAX);
	if (us < GATHER_US_MIN || s->queue_count >= s->expected)
		return;
	if (s->gather_pause > 0) {
		s->gather_pause--;
		return;
	}
	until.tv_sec = (time_t)(until_us / 1000000);
	until.tv_nsec = (long)(until_us % 1000000 * 1000);
	s->wake_at = s->expected;
	while (s->queue_count < s->expected && !s->closing && !s->roll_wanted && clock_monotonic_us() < until_us)
		pthread_cond_timedwait(&s->queued, &s->lock, &until);
	if (s->queue_count < s->expected - s->expected / 8)
		s->gather_pause = GATHER_PAUSE;
}

/* While threads wait for a processor, some of them are about to submit something, and a commit costs as much as several
 * events: as long as giving the processor away brings more, it is given away. With a free processor nobody takes it. */
static void
let_others(struct store *s)
{
	int64_t until_us = clock_monotonic_us() + GATHER_US_MAX;
	size_t before = 0;
	while (s->queue_count > before && s->queue_count < s->expected && !s->closing && !s->roll_wanted &&
		clock_monotonic_us() < until_us) {
		before = s->queue_count;
		pthread_mutex_unlock(&s->lock);
		sched_yield();
		pthread_mutex_lock(&s->lock);
	}
}

/* Who was just answered is likely to send again at once; a commit that does not wait for him carries only those who
 * came while the one before was under way, so that with syncs that take long two halves of the senders take turns. */
void
queue_wait(struct store *s)
{
	gather(s);
	s->wake_at = 1;
	while (s->first == NULL && !s->closing && !s->roll_wanted)
		pthread_cond_wait(&s->queued, &s->lock);
	s->wake_at = SIZE_MAX;
	let_others(s);
}

void
queue_note_commit(struct store *s, size_t count, int64_t took_us)
{
	s->commit_us = s->commit_us == 0 ? took_us : (3 * s->commit_us + took_us) / 4;
	pthread_mutex_lock(&s->lock);
	s->expected = count + s->queue_count;
	pthread_mutex_unlock(&s->lock);
	if (s->expected > s->options.commit_events_max)
		s->expected = s->options.commit_events_max;
}
