/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pace.h"
#include "replay/backoff.h"
#include "replay/sender.h"

#define BUCKETS 4096
#define BATCH_BYTES ((size_t)4 * 1024 * 1024)
/* Failures in a row, over all events, after which a target is left alone for a while. */
#define BREAKER_FAILURES 5

struct job {
	struct event event; /* what it points to is in the batch */
	struct sender_batch *batch;
	uint64_t attempts;
	struct job *next;
};

/* The events with one key that are not settled, in order. Only the first may be under way. */
struct entity {
	uint64_t key;
	struct job *head, *tail;
	struct entity *chain; /* same bucket */
	struct entity *next;  /* ready, or waiting */
	int64_t due_us;       /* while waiting */
};

struct sender_batch {
	struct arena *arena;
	size_t refs; /* events not settled, and one while events are added; 0: free */
};

struct worker {
	struct sender *sender;
	void *target;
	bool open;
	pthread_t thread;
	bool started;
};

struct sender {
	const struct sender_options *options;
	pthread_mutex_t mutex;
	pthread_cond_t work; /* something to do for a worker; CLOCK_MONOTONIC */
	int event_fd;        /* something happened, for sender_wait */
	bool waited_for;
	struct entity *buckets[BUCKETS];
	struct entity *ready, *ready_tail;
	struct entity *waiting;
	size_t unsettled, in_flight;
	struct sender_batch batches[SENDER_BATCHES];
	struct worker *workers;
	struct pace pace;
	bool stopping;
	enum rc rc;
	struct err err;
	/* The breaker. */
	uint64_t failures;    /* in a row, over all events */
	uint64_t opened_row;  /* how often in a row it was opened */
	int64_t closed_at_us; /* nothing is sent before */
	struct sender_state state;
};

/* ---- entities; all under the mutex ---- */

static struct entity **
place_of(struct sender *s, uint64_t key)
{
	struct entity **at = &s->buckets[key % BUCKETS];
	while (*at != NULL && (*at)->key != key)
		at = &(*at)->chain;
	return at;
}

static void
make_ready(struct sender *s, struct entity *x)
{
	x->next = NULL;
	if (s->ready == NULL)
		s->ready = x;
	else
		s->ready_tail->next = x;
	s->ready_tail = x;
	pthread_cond_signal(&s->work);
}

static void
wake_owner(struct sender *s)
{
	const uint64_t one = 1;
	if (!s->waited_for)
		return;
	s->waited_for = false;
	ssize_t written UNUSED = write(s->event_fd, &one, sizeof(one));
}

static void
release_batch(struct sender *s, struct sender_batch *batch)
{
	if (--batch->refs == 0)
		wake_owner(s);
}

static void
fail(struct sender *s, enum rc rc, const struct err *e)
{
	if (s->rc == RC_OK) {
		s->rc = rc;
		s->err = *e;
	}
	s->stopping = true;
	pthread_cond_broadcast(&s->work);
	wake_owner(s);
}

/* ---- the outcome of one attempt; all under the mutex ---- */

static void
breaker_failed(struct sender *s, const struct replay_answer *answer, const struct err *e)
{
	const struct sender_options *o = s->options;
	int64_t now = clock_monotonic_us();
	s->failures++;
	snprintf(s->state.trouble, sizeof(s->state.trouble), "%.255s", e->text);
	if (s->failures >= BREAKER_FAILURES && now >= s->closed_at_us) {
		s->closed_at_us = now + replay_backoff_us(o->backoff_first_ms, s->opened_row, -1);
		if (s->opened_row++ == 0)
			s->state.breaker_opened++;
		s->state.breaker_open = true;
		if (!o->patient && s->opened_row > o->retries)
			fail(s, RC_AGAIN, e);
	}
	/* 429 and 503 with a time speak for the whole target. */
	if (!answer->about_event && answer->retry_after_s > 0) {
		int64_t asked = now + replay_backoff_us(1, 0, answer->retry_after_s);
		s->closed_at_us = asked > s->closed_at_us ? asked : s->closed_at_us;
	}
}

/* The entity's first event is settled. */
static void
next_of(struct sender *s, struct entity *x)
{
	struct job *job = x->head;
	x->head = job->next;
	release_batch(s, job->batch);
	free(job);
	s->unsettled--;
	if (x->head != NULL) {
		make_ready(s, x);
	} else {
		*place_of(s, x->key) = x->chain;
		free(x);
	}
	wake_owner(s);
}

static void
try_again(struct sender *s, struct entity *x, const struct replay_answer *answer)
{
	int64_t first_ms = s->options->backoff_first_ms;
	x->due_us = clock_monotonic_us() +
		    replay_backoff_us(first_ms, x->head->attempts - 1, answer->retry_after_s);
	x->next = s->waiting;
	s->waiting = x;
	pthread_cond_signal(&s->work);
}

static void
conclude(struct sender *s, struct entity *x, enum rc rc, const struct replay_answer *answer,
	struct err *e)
{
	const struct sender_options *o = s->options;
	struct job *job = x->head;
	bool target_level = rc == RC_AGAIN && !answer->about_event;
	if (rc == RC_AGAIN) {
		breaker_failed(s, answer, e);
		if (job->attempts <= o->retries || (target_level && o->patient)) {
			/* A stop ends the retries; the event stays unsettled. */
			if (!s->stopping)
				try_again(s, x, answer);
			return;
		}
	} else {
		s->failures = s->opened_row = 0;
		s->state.breaker_open = false;
	}
	bool refused = rc == RC_DENIED || (rc == RC_AGAIN && !target_level);
	if (rc != RC_OK && !(refused && o->keep_going)) {
		fail(s, rc, e);
		return;
	}
	struct sender_outcome outcome = { .event = &job->event,
		.delivered = rc == RC_OK,
		.attempts = job->attempts,
		.answer = answer,
		.why = e };
	struct err failed;
	enum rc kept = o->settled(&outcome, o->context, &failed);
	if (kept != RC_OK)
		fail(s, kept, &failed);
	else
		next_of(s, x);
}

/* ---- the workers ---- */

static void
wait_until(struct sender *s, int64_t due_us)
{
	if (due_us == INT64_MAX) {
		pthread_cond_wait(&s->work, &s->mutex);
		return;
	}
	struct timespec at = { .tv_sec = due_us / 1000000, .tv_nsec = due_us % 1000000 * 1000 };
	(void)pthread_cond_timedwait(&s->work, &s->mutex, &at);
}

/* The next entity that may be served, or NULL with *due_us: when to look again. */
static struct entity *
take(struct sender *s, int64_t *due_us)
{
	int64_t now = clock_monotonic_us();
	*due_us = INT64_MAX;
	if (now < s->closed_at_us) {
		*due_us = s->closed_at_us;
		return NULL;
	}
	/* After its pause the target is asked by one event alone. */
	if (s->state.breaker_open && s->in_flight > 0)
		return NULL;
	for (struct entity **at = &s->waiting; *at != NULL;) {
		struct entity *x = *at;
		if (x->due_us <= now || s->state.breaker_open) {
			*at = x->next;
			make_ready(s, x);
			continue;
		}
		*due_us = x->due_us < *due_us ? x->due_us : *due_us;
		at = &x->next;
	}
	struct entity *x = s->ready;
	if (x != NULL)
		s->ready = x->next;
	return x;
}

static void
serve(struct worker *w, struct entity *x)
{
	struct sender *s = w->sender;
	struct replay_answer answer = { .retry_after_s = -1 };
	struct err e = { 0 };
	struct job *job = x->head;
	const struct event *ev = &job->event;
	int64_t due = clock_monotonic_us();
	s->in_flight++;
	due += job->attempts == 0 ? pace_next_us(&s->pace, due) : 0;
	while (!s->stopping && clock_monotonic_us() < due)
		wait_until(s, due);
	if (s->stopping) {
		s->in_flight--;
		return;
	}
	if (job->attempts++ > 0)
		s->state.retried++;
	pthread_mutex_unlock(&s->mutex);
	enum rc rc = s->options->kind->send(w->target, &ev, 1, &answer, &e);
	pthread_mutex_lock(&s->mutex);
	s->in_flight--;
	conclude(s, x, rc, &answer, &e);
	/* Those who waited for a probe's answer look again. */
	if (s->in_flight == 0)
		pthread_cond_broadcast(&s->work);
}

static void *
work(void *context)
{
	struct worker *w = context;
	struct sender *s = w->sender;
	pthread_mutex_lock(&s->mutex);
	while (!s->stopping) {
		int64_t due_us;
		struct entity *x = take(s, &due_us);
		if (x != NULL)
			serve(w, x);
		else
			wait_until(s, due_us);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/* ---- the owner's side ---- */

static void
init_sync(struct sender *s)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->work, &attr);
	pthread_condattr_destroy(&attr);
}

enum rc
sender_open(struct sender **out, const struct sender_options *options, struct err *e)
{
	struct sender *s = base_zalloc(sizeof(*s));
	enum rc rc = RC_OK;
	s->options = options;
	s->pace = pace_new(options->rate, clock_monotonic_us());
	init_sync(s);
	s->workers = base_zalloc(options->concurrency * sizeof(*s->workers));
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event_fd < 0)
		rc = err_sys(e, RC_IO, NULL, errno, "make an eventfd");
	for (size_t i = 0; rc == RC_OK && i < options->concurrency; i++) {
		s->workers[i].sender = s;
		rc = options->kind->open(&s->workers[i].target, options->target, e);
		s->workers[i].open = rc == RC_OK;
	}
	for (size_t i = 0; rc == RC_OK && i < options->concurrency; i++) {
		int failed = pthread_create(&s->workers[i].thread, NULL, work, &s->workers[i]);
		s->workers[i].started = failed == 0;
		if (failed != 0)
			rc = err_sys(e, RC_IO, NULL, failed, "start a thread");
	}
	if (rc != RC_OK) {
		sender_close(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

struct sender_batch *
sender_batch(struct sender *s)
{
	struct sender_batch *found = NULL;
	pthread_mutex_lock(&s->mutex);
	for (size_t i = 0; found == NULL && i < SENDER_BATCHES; i++)
		if (s->batches[i].refs == 0)
			found = &s->batches[i];
	if (found != NULL)
		found->refs = 1;
	pthread_mutex_unlock(&s->mutex);
	if (found == NULL)
		return NULL;
	if (found->arena == NULL)
		found->arena = arena_new(BATCH_BYTES);
	arena_reset(found->arena);
	return found;
}

struct arena *
sender_batch_arena(struct sender_batch *batch)
{
	return batch->arena;
}

void
sender_batch_done(struct sender *s, struct sender_batch *batch)
{
	pthread_mutex_lock(&s->mutex);
	release_batch(s, batch);
	pthread_mutex_unlock(&s->mutex);
}

void
sender_submit(struct sender *s, struct sender_batch *batch, const struct event *ev, uint64_t key)
{
	struct job *job = base_zalloc(sizeof(*job));
	job->event = *ev;
	job->batch = batch;
	pthread_mutex_lock(&s->mutex);
	batch->refs++;
	s->unsettled++;
	struct entity **at = place_of(s, key);
	if (*at != NULL) {
		(*at)->tail->next = job;
		(*at)->tail = job;
	} else {
		struct entity *x = base_zalloc(sizeof(*x));
		x->key = key;
		x->head = x->tail = job;
		*at = x;
		make_ready(s, x);
	}
	pthread_mutex_unlock(&s->mutex);
}

size_t
sender_unsettled(struct sender *s)
{
	pthread_mutex_lock(&s->mutex);
	size_t n = s->unsettled;
	pthread_mutex_unlock(&s->mutex);
	return n;
}

size_t
sender_wait(struct sender *s, int stop_fd, int64_t timeout_ms)
{
	struct pollfd fds[2] = { { .fd = s->event_fd, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN } };
	uint64_t drained;
	pthread_mutex_lock(&s->mutex);
	/* Set only by who then waits, so that workers write only when somebody reads. What happened
	 * before this call was seen by the caller under the lock or is seen now. */
	s->waited_for = true;
	size_t before = s->unsettled;
	bool ended = s->rc != RC_OK || before == 0;
	pthread_mutex_unlock(&s->mutex);
	if (!ended)
		(void)poll(fds, 2, (int)timeout_ms);
	ssize_t got UNUSED = read(s->event_fd, &drained, sizeof(drained));
	pthread_mutex_lock(&s->mutex);
	s->waited_for = false;
	before = s->unsettled;
	pthread_mutex_unlock(&s->mutex);
	return before;
}

enum rc
sender_failed(struct sender *s, struct err *e)
{
	pthread_mutex_lock(&s->mutex);
	enum rc rc = s->rc;
	if (rc != RC_OK && e != NULL)
		*e = s->err;
	pthread_mutex_unlock(&s->mutex);
	return rc;
}

struct sender_state
sender_state(struct sender *s)
{
	pthread_mutex_lock(&s->mutex);
	struct sender_state state = s->state;
	pthread_mutex_unlock(&s->mutex);
	return state;
}

void
sender_lock(struct sender *s)
{
	pthread_mutex_lock(&s->mutex);
}

void
sender_unlock(struct sender *s)
{
	pthread_mutex_unlock(&s->mutex);
}

void
sender_close(struct sender *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->mutex);
	for (size_t i = 0; i < s->options->concurrency; i++)
		if (s->workers[i].started)
			pthread_join(s->workers[i].thread, NULL);
	for (size_t i = 0; i < s->options->concurrency; i++)
		if (s->workers[i].open)
			(void)s->options->kind->close(s->workers[i].target, true, NULL);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct entity *x = s->buckets[i]; x != NULL;) {
			struct entity *chain = x->chain;
			for (struct job *job = x->head; job != NULL;) {
				struct job *next = job->next;
				free(job);
				job = next;
			}
			free(x);
			x = chain;
		}
	}
	for (size_t i = 0; i < SENDER_BATCHES; i++)
		arena_free(s->batches[i].arena);
	if (s->event_fd >= 0)
		close(s->event_fd);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->mutex);
	free(s->workers);
	free(s);
}
