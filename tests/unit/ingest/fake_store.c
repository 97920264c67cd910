/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "tests/unit/ingest/fake_store.h"

struct pending {
	const struct event *event;
	store_done_fn done;
	void *context;
	struct pending *next;
};

struct store {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool stop;
	struct fake_plan plan;
	struct pending *first, **last;
	size_t pending;
	uint64_t seq;
	struct buf envelope, body;
};

static void
commit(struct store *s, struct pending *p)
{
	struct store_result result = { .rc = s->plan.commit };
	if (result.rc == RC_OK) {
		result.seq = ++s->seq;
		result.duplicate = s->plan.duplicate;
		buf_clear(&s->envelope);
		buf_clear(&s->body);
		event_encode(p->event, &s->envelope);
		buf_put_bytes(&s->body, p->event->body);
	} else {
		err_set(&result.err, result.rc, "log.fake", "as the test wants it");
	}
	int64_t delay_ms = s->plan.delay_ms;
	pthread_mutex_unlock(&s->lock);
	if (delay_ms > 0)
		clock_sleep_ms(delay_ms);
	p->done(&result, p->context);
	free(p);
	pthread_mutex_lock(&s->lock);
	s->pending--;
}

static void *
writer(void *context)
{
	struct store *s = context;
	pthread_mutex_lock(&s->lock);
	while (!s->stop || s->first != NULL) {
		if (s->first == NULL || (s->plan.hold && !s->stop)) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		struct pending *p = s->first;
		s->first = p->next;
		if (s->first == NULL)
			s->last = &s->first;
		commit(s, p);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct store *
fake_store_new(void)
{
	struct store *s = base_zalloc(sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	s->last = &s->first;
	s->envelope = buf_new(LIMIT_ENVELOPE_BYTES);
	s->body = buf_new(LIMIT_FORM_BODY_BYTES);
	ASSERT(pthread_create(&s->thread, NULL, writer, s) == 0);
	return s;
}

void
fake_store_free(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	buf_free(&s->envelope);
	buf_free(&s->body);
	free(s);
}

void
fake_store_plan(struct store *s, struct fake_plan plan)
{
	pthread_mutex_lock(&s->lock);
	s->plan = plan;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

uint64_t
fake_store_count(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t seq = s->seq;
	pthread_mutex_unlock(&s->lock);
	return seq;
}

size_t
fake_store_pending(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	size_t pending = s->pending;
	pthread_mutex_unlock(&s->lock);
	return pending;
}

void
fake_store_last(struct store *s, struct buf *envelope, struct buf *body)
{
	pthread_mutex_lock(&s->lock);
	*envelope = buf_new(LIMIT_ENVELOPE_BYTES);
	*body = buf_new(LIMIT_FORM_BODY_BYTES);
	buf_put_bytes(envelope, buf_bytes(&s->envelope));
	buf_put_bytes(body, buf_bytes(&s->body));
	pthread_mutex_unlock(&s->lock);
}

enum rc
store_submit(
	struct store *s, const struct event *ev, store_done_fn done, void *context, struct err *e)
{
	enum rc rc = RC_OK;
	pthread_mutex_lock(&s->lock);
	if (s->plan.submit != RC_OK) {
		rc = err_set(e, s->plan.submit, "log.fake", "as the test wants it");
	} else {
		struct pending *p = base_zalloc(sizeof *p);
		*p = (struct pending){ ev, done, context, NULL };
		*s->last = p;
		s->last = &p->next;
		s->pending++;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

enum rc
store_health(struct store *s, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	enum rc rc = s->plan.health;
	pthread_mutex_unlock(&s->lock);
	return rc == RC_OK ? RC_OK : err_set(e, rc, "log.fake", "as the test wants it");
}

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
	struct store_result result;
};

static void
on_appended(const struct store_result *result, void *context)
{
	struct waiting *w = context;
	pthread_mutex_lock(&w->lock);
	w->result = *result;
	w->is_done = true;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
}

struct store_result
store_append(struct store *s, const struct event *ev)
{
	struct waiting w = { .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER };
	struct store_result failed = { .rc = RC_OK };
	failed.rc = store_submit(s, ev, on_appended, &w, &failed.err);
	if (failed.rc != RC_OK)
		return failed;
	pthread_mutex_lock(&w.lock);
	while (!w.is_done)
		pthread_cond_wait(&w.done, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.done);
	return w.result;
}

/* One after the other, with one answer for all as the real one gives. */
enum rc
store_submit_batch(struct store *s, const struct event *events, size_t count,
	store_batch_done_fn done, void *context, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct store_result result = store_append(s, &events[i]);
		if (result.rc != RC_OK && i == 0) {
			*e = result.err;
			return result.rc;
		}
		done(i, &result, context);
	}
	return RC_OK;
}
