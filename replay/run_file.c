/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <unistd.h>

#include "replay/run.h"

/* A replay into a file or stdout. Reading and unpacking events, making bytes of them and writing these all
 * cost about as much, so that a pipeline of one thread for each would wait for the slowest; instead
 * every thread does all of it for some events at a time, and takes its turn to write
 * (docs/adr/0035-files-by-turns.md). The caller's thread is one of them. */

#define THREADS_MAX 4
/* What a turn is about: as many events as make about so many bytes, by the size of those before. So many that it
 * does not matter what a turn costs by itself: being woken, a read transaction, pages of the log to give back. */
#define TURN_EVENTS RUN_BATCH_EVENTS
#define TURN_BYTES ((size_t)2 * 1024 * 1024)
/* What it holds of them at a time. Whatever is beyond that is made while others wait, so that hardly
 * ever should be. */
#define PORTION_BYTES (2 * TURN_BYTES)
#define FIRST_EVENT_BYTES ((size_t)8 * 1024)
/* Escaping makes at most six bytes of one; a portion ends when it has more than PORTION_BYTES of text. */
#define TEXT_BYTES_MAX (6 * LIMIT_RECORD_BYTES + PORTION_BYTES)

struct files {
	struct run *run;
	pthread_mutex_t lock; /* guards everything below, and what of run is used under way */
	pthread_cond_t turned;
	uint64_t next;          /* event that nobody has taken */
	uint64_t taken, turn;   /* numbers of turns: given out; which may write now */
	size_t event_bytes;     /* of a usual event, by the last ones */
	bool stop;              /* after the turn that is writing */
	enum rc rc;             /* of the first turn that failed */
	struct err *e;
};

/* What one thread has taken: events from first on, and before them those that need no look. */
struct turn {
	uint64_t number, skipped, first, count; /* skipped: first of them; first: none */
	bool done[TURN_EVENTS];                 /* settled by an earlier process of this run */
};

/* One event's bytes, or why there are none. */
struct item {
	const struct event *ev;
	struct replay_piece piece;
	size_t end;    /* in the text */
	bool selected, too_large;
};

struct worker {
	struct files *files;
	struct store_reader *reader;
	struct arena *batch, *scratch;
	struct buf text;
	struct item items[TURN_EVENTS];
	struct iovec pieces[2 * TURN_EVENTS + 1];
	bool is_caller;
	pthread_t thread;
};

/* False: there is nothing left to take. */
static bool
take(struct files *f, struct turn *t)
{
	struct run *run = f->run;
	uint64_t end = run->result->to_seq;
	size_t count = 0;
	pthread_mutex_lock(&f->lock);
	bool left = !f->stop && f->next <= end;
	if (left) {
		*t = (struct turn){ .number = f->taken++, .skipped = f->next };
		t->first = run_next(run, f->next, &count);
		uint64_t rest = t->first <= end ? end - t->first + 1 : 0;
		t->count = count < rest ? count : rest;
		uint64_t most = TURN_BYTES / f->event_bytes + 1;
		most = most < TURN_EVENTS ? most : TURN_EVENTS;
		t->count = t->count < most ? t->count : most;
		for (uint64_t i = 0; i < t->count; i++)
			t->done[i] = window_has(run->window, t->first + i);
		f->next = t->first + t->count;
	}
	pthread_mutex_unlock(&f->lock);
	return left;
}

/* Makes the bytes of some events from seq on; *count: how many were looked at. */
static enum rc
make_portion(struct worker *w, const struct turn *t, uint64_t seq, size_t *count, struct err *e)
{
	const struct run *run = w->files->run;
	const struct store_record *records;
	size_t n, max = (size_t)(t->first + t->count - seq);
	*count = 0;
	arena_reset(w->batch);
	buf_clear(&w->text);
	enum rc rc = store_read(w->reader, seq, max, PORTION_BYTES, w->batch, &records, &n, e);
	if (rc == RC_OK && n == 0)
		rc = err_set(e, RC_CORRUPT, NULL, "the log ends before event %" PRIu64, seq);
	for (size_t i = 0; rc == RC_OK && i < n && w->text.len < PORTION_BYTES; i++) {
		const struct event *ev = &records[i].event;
		size_t start = w->text.len;
		struct item *item = &w->items[i];
		*item = (struct item){ .ev = ev };
		arena_reset(w->scratch);
		item->selected = !t->done[ev->seq - t->first] &&
				 replay_filter_matches(run->filter, ev, w->scratch);
		arena_reset(w->scratch);
		if (item->selected)
			run->kind->put(run->target, ev, w->scratch, &w->text, &item->piece);
		item->too_large = w->text.overflow;
		if (item->too_large) {
			w->text.len = start;
			w->text.overflow = false;
			item->piece = (struct replay_piece){ .at = 0 };
		}
		item->end = w->text.len;
		*count = i + 1;
	}
	return rc;
}

/* Up to the first event that is too large, when that ends the run; *count is then its place. */
static enum rc
write_portion(struct worker *w, size_t *count, struct err *e)
{
	const struct run *run = w->files->run;
	size_t n = 0, at = 0;
	for (size_t i = 0; i < *count; i++) {
		const struct item *item = &w->items[i];
		if (item->too_large && !run->options->keep_going)
			*count = i;
		if (item->piece.body.len == 0)
			continue;
		if (i >= *count)
			break;
		w->pieces[n++] = (struct iovec){ w->text.data + at, item->piece.at - at };
		w->pieces[n++] = (struct iovec){ (void *)(uintptr_t)item->piece.body.data,
			item->piece.body.len };
		at = item->piece.at;
	}
	size_t end = *count > 0 ? w->items[*count - 1].end : 0;
	if (end > at)
		w->pieces[n++] = (struct iovec){ w->text.data + at, end - at };
	return n == 0 ? RC_OK : run->kind->write(run->target, w->pieces, n, e);
}

/* With the lock held, after they were written. */
static enum rc
settle_portion(struct worker *w, size_t count, struct err *e)
{
	struct run *run = w->files->run;
	const struct replay_answer answer = { .retry_after_s = -1 };
	enum rc rc = RC_OK;
	size_t bytes = 0;
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		const struct item *item = &w->items[i];
		struct err why;
		run->result->scanned++;
		bytes += item->ev->body.len;
		if (item->too_large)
			(void)run_too_large(item->ev, &why);
		if (item->selected)
			rc = run_settle(run, item->ev, !item->too_large, 1, &answer, &why, e);
		else
			window_settle(run->window, item->ev->seq);
	}
	if (count > 0)
		w->files->event_bytes = bytes / count + 1;
	return rc;
}

/* With the lock held: waits until every turn before is over. False: the run ends before it. */
static bool
wait_for_turn(struct files *f, uint64_t number)
{
	while (f->turn != number && !f->stop)
		pthread_cond_wait(&f->turned, &f->lock);
	return !f->stop;
}

/* With the lock held, after the turn's writer has done what it could. */
static void
look(struct worker *w, enum rc rc, const struct err *e)
{
	struct files *f = w->files;
	struct run *run = f->run;
	run->result->next_seq = run->window->settled + 1;
	if (rc != RC_OK) {
		f->stop = true;
		f->rc = rc;
		*f->e = *e;
	} else if (w->is_caller ? run_look(run) : run_stopped_within_us(run, 0)) {
		f->stop = run->result->interrupted = true;
	}
}

/* Everything about what was taken. False: the run ends. */
static bool
do_turn(struct worker *w, const struct turn *t)
{
	struct files *f = w->files;
	struct run *run = f->run;
	uint64_t seq = t->first, end = t->first + t->count;
	bool going = true;
	struct err e;
	do {
		size_t count = 0, wanted;
		enum rc made = RC_OK;
		if (t->count > 0)
			made = make_portion(w, t, seq, &count, &e);
		pthread_mutex_lock(&f->lock);
		going = wait_for_turn(f, t->number);
		pthread_mutex_unlock(&f->lock);
		if (!going)
			break;
		/* Nobody else writes before the turn is given away. */
		wanted = count;
		struct err failed;
		enum rc rc = write_portion(w, &count, &failed);
		pthread_mutex_lock(&f->lock);
		if (seq == t->first && t->first > t->skipped)
			window_settle_range(run->window, t->skipped, t->first - 1);
		if (rc == RC_OK)
			rc = settle_portion(w, count, &failed);
		if (rc == RC_OK && count < wanted) {
			run->result->refused++;
			rc = run_too_large(w->items[count].ev, &failed);
		}
		if (rc == RC_OK && made != RC_OK) {
			rc = made;
			failed = e;
		}
		seq += count;
		look(w, rc, &failed);
		going = !f->stop;
		if (!going || seq == end) {
			f->turn++;
			pthread_cond_broadcast(&f->turned);
		}
		pthread_mutex_unlock(&f->lock);
	} while (going && seq < end);
	return going;
}

static void *
work(void *worker)
{
	struct worker *w = worker;
	struct turn t;
	while (take(w->files, &t) && do_turn(w, &t))
		;
	return NULL;
}

static size_t
threads_for(const struct run *run)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t turns = run->result->to_seq - run->result->next_seq + 1;
	turns = turns / TURN_EVENTS + 1;
	size_t n = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (size_t)cores;
	return turns < n ? (size_t)turns : n;
}

static void
stop_all(struct files *f, enum rc rc, const struct err *e)
{
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	f->rc = rc;
	*f->e = *e;
	pthread_cond_broadcast(&f->turned);
	pthread_mutex_unlock(&f->lock);
}

enum rc
run_file(struct run *run, struct err *e)
{
	struct replay_result *result = run->result;
	struct files f = { .run = run, .next = result->next_seq, .rc = RC_OK, .e = e,
		.event_bytes = FIRST_EVENT_BYTES };
	struct worker *workers[THREADS_MAX];
	size_t count = result->next_seq > result->to_seq ? 0 : threads_for(run), started = 1;
	pthread_mutex_init(&f.lock, NULL);
	pthread_cond_init(&f.turned, NULL);
	for (size_t i = 0; i < count; i++) {
		struct worker *w = workers[i] = base_zalloc(sizeof(*w));
		w->files = &f;
		w->is_caller = i == 0;
		w->batch = arena_new(PORTION_BYTES);
		w->scratch = arena_new((size_t)256 * 1024);
		w->text = buf_new(TEXT_BYTES_MAX);
		if (w->is_caller)
			w->reader = run->reader;
		else if (f.rc == RC_OK)
			f.rc = store_reader_share(run->reader, &w->reader, e);
	}
	for (size_t i = 1; f.rc == RC_OK && i < count; i++, started++) {
		int failed = pthread_create(&workers[i]->thread, NULL, work, workers[i]);
		if (failed != 0) {
			struct err why;
			enum rc rc = err_sys(&why, RC_IO, NULL, failed, "cannot start a thread");
			stop_all(&f, rc, &why);
			break;
		}
	}
	if (f.rc == RC_OK && count > 0)
		(void)work(workers[0]);
	for (size_t i = 0; i < count; i++) {
		struct worker *w = workers[i];
		if (i > 0 && i < started)
			pthread_join(w->thread, NULL);
		if (!w->is_caller)
			store_reader_close(w->reader);
		arena_free(w->batch);
		arena_free(w->scratch);
		buf_free(&w->text);
		free(w);
	}
	pthread_cond_destroy(&f.turned);
	pthread_mutex_destroy(&f.lock);
	result->next_seq = run->window->settled + 1;
	result->complete = f.rc == RC_OK && !result->interrupted;
	return f.rc;
}
