/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "replay/backoff.h"
#include "replay/run.h"

/* A replay to a target that tells later what it has stored: many events are under way, in the order
 * of the log. When something fails, what was not confirmed is read again from the log, so nothing
 * but numbers is kept of what is under way. */

/* A stop, progress and what was stored meanwhile are looked at once for so many events, unless
 * there is time between two of them. */
#define LOOK_EVERY 32

struct sent {
	uint64_t seq;
	size_t bytes;
};

struct stream {
	struct run *run;
	struct sent *sent; /* under way, in order: a ring */
	size_t first, count, capacity;
	uint64_t steps;
	uint64_t failures; /* in a row */
	uint64_t *failed;  /* with only_failed: what is to be sent, ascending */
	size_t failed_count;
	bool stop;
};

static void
remember(struct stream *s, const struct event *ev)
{
	if (s->count == s->capacity) {
		size_t capacity = s->capacity == 0 ? 256 : 2 * s->capacity;
		struct sent *grown = base_alloc(capacity * sizeof(*grown));
		for (size_t i = 0; i < s->count; i++)
			grown[i] = s->sent[(s->first + i) % s->capacity];
		free(s->sent);
		s->sent = grown;
		s->first = 0;
		s->capacity = capacity;
	}
	s->sent[(s->first + s->count++) % s->capacity] = (struct sent){ ev->seq, ev->body.len };
}

/* Everything before the first event under way, or up to seq when there is none, needs no second
 * look. */
static void
note_position(struct stream *s)
{
	if (!s->run->options->only_failed)
		s->run->result->next_seq = s->run->window->settled + 1;
}

static enum rc
settle(struct stream *s, const struct event *ev, bool delivered, const struct err *why,
	struct err *e)
{
	const struct replay_answer answer = { .retry_after_s = -1 };
	enum rc rc = run_settle(s->run, ev, delivered, s->failures + 1, &answer, why, e);
	note_position(s);
	return rc;
}

/* Settles what the target has stored since. */
static enum rc
collect(struct stream *s, bool all, struct err *e)
{
	size_t n = 0;
	enum rc rc = s->run->kind->confirm(s->run->target, all, &n, e);
	if (n > 0)
		s->failures = 0;
	for (; n > 0; n--) {
		const struct sent *x = &s->sent[s->first];
		const struct event ev = { .seq = x->seq, .body = { NULL, x->bytes } };
		struct err failed;
		enum rc settled = settle(s, &ev, true, NULL, &failed);
		if (settled != RC_OK) {
			*e = failed;
			return settled;
		}
		s->first = (s->first + 1) % s->capacity;
		s->count--;
	}
	return rc;
}

/* The target cannot take this one event. */
static enum rc
pass_over(struct stream *s, const struct event *ev, struct err *e)
{
	struct err why = *e;
	enum rc rc = collect(s, true, e);
	if (rc != RC_OK)
		return rc;
	if (!s->run->options->keep_going) {
		s->run->result->refused++;
		*e = why;
		return why.rc;
	}
	return settle(s, ev, false, &why, e);
}

static bool
wait_or_stop(struct stream *s, int64_t us)
{
	if (run_stopped_within_us(s->run, us))
		s->run->result->interrupted = s->stop = true;
	return s->stop;
}

static enum rc
offer(struct stream *s, const struct event *ev, struct err *e)
{
	struct run *run = s->run;
	enum rc rc = RC_OK;
	if (!run_has_room(run, s->count)) {
		rc = collect(s, true, e);
		s->stop = rc == RC_OK && !run_has_room(run, 0);
		if (rc != RC_OK || s->stop)
			return rc;
	}
	int64_t due_us = run->options->rate == 0
				 ? 0
				 : pace_next_us(&run->pace, clock_monotonic_us());
	if (due_us > 0) {
		rc = collect(s, false, e);
		if (rc != RC_OK || wait_or_stop(s, due_us))
			return rc;
	}
	rc = run->kind->publish(run->target, ev, e);
	if (rc == RC_DENIED && e->id != NULL && strcmp(e->id, "replay.refused") == 0)
		return pass_over(s, ev, e);
	if (rc == RC_OK)
		remember(s, ev);
	return rc;
}

/* One event of the range. */
static enum rc
step(struct stream *s, const struct event *ev, struct err *e)
{
	struct run *run = s->run;
	enum rc rc = RC_OK;
	if (run_wants(run, ev))
		rc = offer(s, ev, e);
	else if (!run->options->only_failed && !window_has(run->window, ev->seq))
		window_settle(run->window, ev->seq);
	if (rc != RC_OK || s->stop)
		return rc;
	run->result->scanned++;
	note_position(s);
	if (++s->steps % LOOK_EVERY != 0)
		return RC_OK;
	run_progress(run);
	(void)wait_or_stop(s, 0);
	return collect(s, false, e);
}

static enum rc
read_events(struct stream *s, uint64_t seq, size_t max, const struct store_record **records,
	size_t *count, struct err *e)
{
	arena_reset(s->run->batch);
	enum rc rc = store_read(
		s->run->reader, seq, max, RUN_BATCH_BYTES, s->run->batch, records, count, e);
	if (rc == RC_OK && *count == 0)
		rc = err_set(e, RC_CORRUPT, NULL, "the log ends before event %" PRIu64, seq);
	return rc;
}

/* From the first event that is not settled to the end of the range. */
static enum rc
send_range(struct stream *s, struct err *e)
{
	struct run *run = s->run;
	uint64_t next = run->window->settled + 1;
	enum rc rc = RC_OK;
	while (rc == RC_OK && !s->stop && next <= run->result->to_seq) {
		const struct store_record *records;
		size_t count;
		/* The window's bits must not be used twice. */
		if (next > window_end(run->window)) {
			rc = collect(s, true, e);
			continue;
		}
		rc = read_events(s, next, RUN_BATCH_EVENTS, &records, &count, e);
		for (size_t i = 0; rc == RC_OK && i < count && !s->stop; i++) {
			if (records[i].event.seq > run->result->to_seq ||
				records[i].event.seq > window_end(run->window))
				break;
			rc = step(s, &records[i].event, e);
			next = records[i].event.seq + 1;
		}
	}
	return rc;
}

static enum rc
send_failed(struct stream *s, struct err *e)
{
	enum rc rc = RC_OK;
	size_t listed;
	for (size_t i = 0; rc == RC_OK && !s->stop && i < s->failed_count; i++) {
		const struct store_record *records;
		size_t count;
		/* It may have been delivered before the last failure. */
		const uint64_t *list = journal_failures(s->run->options->journal, &listed);
		bool still = false;
		for (size_t k = 0; !still && k < listed; k++)
			still = list[k] == s->failed[i];
		if (still)
			rc = read_events(s, s->failed[i], 1, &records, &count, e);
		if (rc == RC_OK && still)
			rc = step(s, &records[0].event, e);
	}
	return rc;
}

/* One connection's worth: until all is confirmed, a stop, or a failure. */
static enum rc
send_all(struct stream *s, struct err *e)
{
	struct run *run = s->run;
	s->first = s->count = 0;
	enum rc rc = run->kind->open(&run->target, &run->target_options, e);
	if (rc != RC_OK)
		return rc;
	rc = run->options->only_failed ? send_failed(s, e) : send_range(s, e);
	if (rc == RC_OK || rc == RC_DENIED) {
		struct err own;
		enum rc last = collect(s, true, rc == RC_OK ? e : &own);
		rc = rc == RC_OK ? last : rc;
	}
	enum rc closed = run->kind->close(run->target, rc == RC_OK, NULL);
	run->target = NULL;
	return rc == RC_OK ? closed : rc;
}

static void
list_failed(struct stream *s)
{
	const uint64_t *list = journal_failures(s->run->options->journal, &s->failed_count);
	s->failed = base_alloc((s->failed_count + 1) * sizeof(*s->failed));
	if (s->failed_count > 0)
		memcpy(s->failed, list, s->failed_count * sizeof(*s->failed));
}

enum rc
run_stream(struct run *run, struct err *e)
{
	const struct replay_options *o = run->options;
	struct replay_result *result = run->result;
	struct stream s = { .run = run };
	enum rc rc;
	run->pace = pace_new(o->rate, clock_monotonic_us());
	run->target_options.out_of_order = o->only_failed;
	if (o->only_failed)
		list_failed(&s);
	for (;;) {
		rc = send_all(&s, e);
		if (rc != RC_AGAIN || s.failures++ >= o->retries)
			break;
		s.stop = result->interrupted = run_stopped_within_us(
			run, replay_backoff_us(o->backoff_first_ms, s.failures - 1, -1));
		if (s.stop) {
			rc = RC_OK;
			break;
		}
		result->retried++;
	}
	note_position(&s);
	result->complete = rc == RC_OK && !s.stop;
	free(s.sent);
	free(s.failed);
	return rc;
}
