/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/pace.h"
#include "replay/replay.h"
#include "replay/target.h"

#define BATCH_EVENTS 256
#define BATCH_BYTES ((size_t)4 * 1024 * 1024)
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MS_MAX 30000
/* A target that asks for more than this is taken at its word for an hour, then asked again. */
#define RETRY_AFTER_S_MAX 3600

/* One replay under way. */
struct run {
	const struct replay_options *options;
	struct replay_result *result;
	struct store_reader *reader;
	struct replay_filter *filter;
	const struct replay_target_kind *kind; /* NULL: a dry run */
	void *target;
	struct pace pace;
	struct arena *batch, *scratch;
	/* A dry run's counts. */
	struct arena *counts_arena;
	struct replay_count *counts;
	size_t count, capacity;
};

/* Waits; true when a stop was asked for. With 0 it only looks. */
static bool
stopped_within_us(const struct run *run, int64_t us)
{
	/* Rounded up: poll must not turn the rest of a millisecond into a busy loop. */
	int64_t ms = (us + 999) / 1000;
	struct pollfd p = { .fd = run->options->stop_fd, .events = POLLIN };
	int64_t end_ms = clock_monotonic_ms() + ms;
	for (;;) {
		int64_t left = end_ms - clock_monotonic_ms();
		if (poll(&p, 1, left > 0 ? (int)left : 0) > 0)
			return true;
		if (clock_monotonic_ms() >= end_ms)
			return false;
	}
}

/* Exponential with jitter, so that many replays do not knock in step; at least what the target
 * asks. */
static int64_t
backoff_us(const struct run *run, uint64_t attempt, int64_t retry_after_s)
{
	int64_t first = run->options->backoff_first_ms;
	int64_t ms = first > 0 ? first : BACKOFF_FIRST_MS;
	for (uint64_t i = 0; i < attempt && ms < BACKOFF_MS_MAX; i++)
		ms *= 2;
	ms = ms < BACKOFF_MS_MAX ? ms : BACKOFF_MS_MAX;
	uint32_t random;
	crypto_random(&random, sizeof(random));
	ms = ms / 2 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
	if (retry_after_s > RETRY_AFTER_S_MAX)
		retry_after_s = RETRY_AFTER_S_MAX;
	return 1000 * (retry_after_s * 1000 > ms ? retry_after_s * 1000 : ms);
}

/* Sends one event, again and again where that helps. RC_OK with *delivered false: a stop was asked
 * for while waiting, or the event was refused and passed over. */
static enum rc
deliver(struct run *run, const struct event *ev, bool *delivered, struct err *e)
{
	const struct replay_options *o = run->options;
	struct replay_answer answer;
	enum rc rc;
	*delivered = false;
	if (stopped_within_us(run, pace_next_us(&run->pace, clock_monotonic_us()))) {
		run->result->interrupted = true;
		return RC_OK;
	}
	for (uint64_t attempt = 0;; attempt++) {
		answer = (struct replay_answer){ .retry_after_s = -1 };
		rc = run->kind->send(run->target, ev, &answer, e);
		if (rc != RC_AGAIN || attempt >= o->retries)
			break;
		if (stopped_within_us(run, backoff_us(run, attempt, answer.retry_after_s))) {
			run->result->interrupted = true;
			return RC_OK;
		}
		run->result->retried++;
	}
	*delivered = rc == RC_OK;
	if (rc == RC_DENIED || (rc == RC_AGAIN && answer.about_event && o->keep_going)) {
		run->result->refused++;
		if (o->keep_going) {
			if (o->refused != NULL)
				o->refused(ev->seq, e, o->context);
			return RC_OK;
		}
	}
	return rc;
}

static void
count_event(struct run *run, const struct event *ev)
{
	struct replay_count *c = run->counts;
	size_t i = 0;
	while (i < run->count && !(bytes_equal(c[i].event, ev->event) &&
					 bytes_equal(c[i].provider, ev->provider)))
		i++;
	if (i == run->count) {
		if (run->count == run->capacity) {
			run->capacity = run->capacity == 0 ? 32 : 2 * run->capacity;
			c = arena_alloc(run->counts_arena, run->capacity * sizeof(*c));
			if (run->count > 0)
				memcpy(c, run->counts, run->count * sizeof(*c));
			run->counts = c;
		}
		c[run->count++] =
			(struct replay_count){ arena_copy(run->counts_arena, ev->provider),
				arena_copy(run->counts_arena, ev->event), 0, 0 };
	}
	c[i].events++;
	c[i].body_bytes += ev->body.len;
}

/* One event of the range; sets *stop when the replay ends before the next one. */
static enum rc
step(struct run *run, const struct event *ev, bool *stop, struct err *e)
{
	struct replay_result *result = run->result;
	const struct replay_options *o = run->options;
	arena_reset(run->scratch);
	bool selected = replay_filter_matches(run->filter, ev, run->scratch);
	if (selected) {
		bool delivered = true;
		enum rc rc = RC_OK;
		if (run->kind == NULL)
			count_event(run, ev);
		else
			rc = deliver(run, ev, &delivered, e);
		if (rc != RC_OK)
			return rc;
		if (result->interrupted) {
			*stop = true;
			return RC_OK;
		}
		if (delivered) {
			result->sent++;
			result->body_bytes += ev->body.len;
			result->first_seq = result->first_seq == 0 ? ev->seq : result->first_seq;
			result->last_seq = ev->seq;
		}
	}
	result->scanned++;
	result->next_seq = ev->seq + 1;
	if (o->progress != NULL)
		o->progress(result, o->context);
	if (result->next_seq > result->to_seq)
		return RC_OK;
	if (o->limit > 0 && result->sent >= o->limit) {
		*stop = true;
	} else if (stopped_within_us(run, 0)) {
		result->interrupted = true;
		*stop = true;
	}
	return RC_OK;
}

static enum rc
scan(struct run *run, struct err *e)
{
	struct replay_result *result = run->result;
	bool stop = false;
	while (!stop && result->next_seq <= result->to_seq) {
		const struct store_record *records;
		size_t count;
		arena_reset(run->batch);
		enum rc rc = store_read(run->reader, result->next_seq, BATCH_EVENTS, BATCH_BYTES,
			run->batch, &records, &count, e);
		if (rc != RC_OK)
			return rc;
		/* The end was read before; a log never gets shorter at its end. */
		if (count == 0)
			return err_set(e, RC_CORRUPT, NULL, "the log ends before event %" PRIu64,
				result->to_seq);
		for (size_t i = 0; i < count && !stop && records[i].event.seq <= result->to_seq;
			i++) {
			rc = step(run, &records[i].event, &stop, e);
			if (rc != RC_OK)
				return rc;
		}
	}
	result->complete = !stop;
	return RC_OK;
}

static enum rc
prepare(struct run *run, struct err *e)
{
	struct replay_result *result = run->result;
	*result = (struct replay_result){ 0 };
	enum rc rc = replay_filter_new(&run->filter, &run->options->select, e);
	if (rc == RC_OK)
		rc = replay_range(
			run->reader, &run->options->select, &result->from_seq, &result->to_seq, e);
	if (rc != RC_OK)
		return rc;
	result->next_seq =
		result->from_seq <= result->to_seq ? result->from_seq : result->to_seq + 1;
	run->batch = arena_new(BATCH_BYTES);
	run->scratch = arena_new((size_t)256 * 1024);
	return RC_OK;
}

static void
clean_up(struct run *run)
{
	replay_filter_free(run->filter);
	arena_free(run->batch);
	arena_free(run->scratch);
}

/* What was sent is gone with the unfinished file: going on means starting over. */
static void
forget_sent(struct replay_result *result)
{
	result->sent = result->body_bytes = 0;
	result->first_seq = result->last_seq = 0;
	result->next_seq = result->from_seq;
	result->complete = false;
}

enum rc
replay_run(struct store_reader *r, const struct replay_options *options,
	struct replay_result *result, struct err *e)
{
	struct run run = { .options = options, .result = result, .reader = r };
	const struct replay_target_kind *kind;
	int64_t start_us = clock_monotonic_us();
	struct store_span span;
	enum rc rc = prepare(&run, e);
	if (rc == RC_OK)
		rc = store_span(r, &span, e);
	if (rc == RC_OK)
		rc = replay_target_find(options->target, &kind, e);
	if (rc == RC_OK) {
		struct replay_target_options t = {
			.spec = options->target, .secret = options->secret, .force = options->force
		};
		memcpy(t.log_id, span.log_id, sizeof(t.log_id));
		rc = kind->open(&run.target, &t, e);
	}
	if (rc != RC_OK)
		goto done;
	run.kind = kind;
	run.pace = pace_new(options->rate, start_us);
	rc = scan(&run, e);
	/* A limit that was reached ends the selection; only what was cut off is thrown away. */
	bool whole = rc == RC_OK && !result->interrupted;
	bool kept = whole || kind->keeps(run.target);
	enum rc closed = kind->close(run.target, whole, rc == RC_OK ? e : NULL);
	rc = rc == RC_OK ? closed : rc;
	if (!kept || closed != RC_OK)
		forget_sent(result);
done:
	result->elapsed_us = clock_monotonic_us() - start_us;
	clean_up(&run);
	return rc;
}

static int
by_frequency(const void *a, const void *b)
{
	const struct replay_count *x = a, *y = b;
	if (x->events != y->events)
		return x->events < y->events ? 1 : -1;
	size_t len = x->event.len < y->event.len ? x->event.len : y->event.len;
	int order = len == 0 ? 0 : memcmp(x->event.data, y->event.data, len);
	return order != 0 ? order : (x->event.len > y->event.len) - (x->event.len < y->event.len);
}

enum rc
replay_plan(struct store_reader *r, const struct replay_options *options, struct arena *a,
	struct replay_result *result, const struct replay_count **counts, size_t *count,
	struct err *e)
{
	struct run run = { .options = options, .result = result, .reader = r, .counts_arena = a };
	const struct replay_target_kind *kind;
	int64_t start_us = clock_monotonic_us();
	enum rc rc = prepare(&run, e);
	if (rc == RC_OK && options->target != NULL)
		rc = replay_target_find(options->target, &kind, e);
	if (rc == RC_OK)
		rc = scan(&run, e);
	if (rc == RC_OK) {
		if (run.count > 0)
			qsort(run.counts, run.count, sizeof(*run.counts), by_frequency);
		*counts = run.counts;
		*count = run.count;
	}
	result->elapsed_us = clock_monotonic_us() - start_us;
	clean_up(&run);
	return rc;
}
