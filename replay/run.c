/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "base/clock.h"
#include "replay/run.h"

/* A wait reports progress this often. */
#define TICK_MS 1000
/* So does a run that never waits. */
#define REPORT_EVERY_US 1000

bool
run_stopped_within_us(const struct run *run, int64_t us)
{
	/* Rounded up: poll must not turn the rest of a millisecond into a busy loop. */
	int64_t ms = (us + 999) / 1000;
	struct pollfd p = { .fd = run->options->stop_fd, .events = POLLIN };
	int64_t end_ms = clock_monotonic_ms() + ms;
	for (;;) {
		int64_t left = end_ms - clock_monotonic_ms();
		left = left > 0 ? left : 0;
		if (poll(&p, 1, left > TICK_MS ? TICK_MS : (int)left) > 0)
			return true;
		if (clock_monotonic_ms() >= end_ms)
			return false;
		run_progress(run);
	}
}

void
run_progress(const struct run *run)
{
	const struct replay_options *o = run->options;
	if (o->journal != NULL)
		journal_sync(o->journal, false);
	if (o->progress != NULL)
		o->progress(run->result, o->context);
}

bool
run_look(struct run *run)
{
	struct pollfd p = { .fd = run->options->stop_fd, .events = POLLIN };
	int64_t now_us = clock_monotonic_us();
	if (run->reported_us == 0 || now_us - run->reported_us >= REPORT_EVERY_US) {
		run->reported_us = now_us;
		run_progress(run);
	}
	return poll(&p, 1, 0) > 0;
}

enum rc
run_too_large(const struct event *ev, struct err *e)
{
	return err_set(e, RC_DENIED, "replay.refused",
		"event %" PRIu64 " is too large for this form", ev->seq);
}

void
run_count_event(struct run *run, const struct event *ev)
{
	struct replay_count *c = run->counts;
	size_t i = 0;
	while (i < run->count &&
		!(bytes_equal(c[i].event, ev->event) && bytes_equal(c[i].provider, ev->provider)))
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

bool
run_wants(struct run *run, const struct event *ev)
{
	if (!run->options->only_failed && window_has(run->window, ev->seq))
		return false;
	arena_reset(run->scratch);
	return replay_filter_matches(run->filter, ev, run->scratch);
}

uint64_t
run_next(struct run *run, uint64_t next, size_t *count)
{
	const struct replay_options *o = run->options;
	uint64_t end = run->result->to_seq, first = next, last = end;
	if (run->finder != NULL)
		store_finder_next(run->finder, next, &first, &last);
	if (run->finder != NULL && store_finder_problem(run->finder) != NULL && !run->told_unindexed) {
		run->told_unindexed = true;
		if (o->unindexed != NULL)
			o->unindexed(store_finder_problem(run->finder), o->context);
	}
	first = first <= end ? first : end + 1;
	last = last < end ? last : end;
	*count = last >= first && last - first + 1 < RUN_BATCH_EVENTS ? (size_t)(last - first + 1)
								      : RUN_BATCH_EVENTS;
	return first;
}

bool
run_has_room(const struct run *run, size_t under_way)
{
	uint64_t limit = run->options->limit;
	return limit == 0 || run->sent_before + run->result->sent + under_way < limit;
}

static void
count_status(struct replay_result *result, int status)
{
	size_t i = 0;
	while (i < result->status_count && result->statuses[i].status != status)
		i++;
	if (i == REPLAY_STATUSES)
		return;
	if (i == result->status_count)
		result->statuses[result->status_count++] = (struct replay_status){ status, 0 };
	result->statuses[i].count++;
}

enum rc
run_settle(struct run *run, const struct event *ev, bool delivered, uint64_t attempts,
	const struct replay_answer *answer, const struct err *why, struct err *e)
{
	const struct replay_options *o = run->options;
	struct replay_result *result = run->result;
	struct journal *journal = o->journal;
	enum rc rc = RC_OK;
	/* First what must not be forgotten, then the mark that it is done. */
	if (journal != NULL && delivered)
		rc = journal_mended(journal, ev->seq, e);
	else if (journal != NULL)
		rc = journal_failed(journal, ev->seq, answer->status, attempts, why->text, e);
	if (rc != RC_OK)
		return rc;
	count_status(result, answer->status);
	if (delivered) {
		result->sent++;
		result->body_bytes += ev->body.len;
		if (result->first_seq == 0 || ev->seq < result->first_seq)
			result->first_seq = ev->seq;
		result->last_seq = ev->seq > result->last_seq ? ev->seq : result->last_seq;
		if (journal != NULL) {
			journal_state(journal)->sent++;
			journal_state(journal)->body_bytes += ev->body.len;
		}
	} else {
		result->refused++;
		if (o->refused != NULL)
			o->refused(ev->seq, why, o->context);
	}
	window_settle(run->window, ev->seq);
	return RC_OK;
}

static enum rc
prepare(struct run *run, struct err *e)
{
	const struct replay_options *o = run->options;
	struct replay_result *result = run->result;
	*result = (struct replay_result){ 0 };
	enum rc rc = replay_filter_new(&run->filter, &o->select, e);
	if (rc == RC_OK && o->journal == NULL)
		rc = replay_range(run->reader, &o->select, &result->from_seq, &result->to_seq, e);
	if (rc != RC_OK)
		return rc;
	if (o->journal != NULL) {
		const struct journal_state *s = journal_state(o->journal);
		result->from_seq = s->from_seq;
		result->to_seq = s->to_seq;
		run->sent_before = s->sent;
		run->window = &journal_state(o->journal)->window;
	} else {
		run->own_window = base_alloc(sizeof(*run->own_window));
		run->window = run->own_window;
		window_reset(run->window, result->from_seq - 1);
	}
	result->next_seq = result->to_seq + 1;
	if (result->from_seq <= result->to_seq)
		result->next_seq = run->window->settled + 1;
	if (!o->only_failed)
		run->finder = replay_filter_finder(run->filter, run->reader);
	run->batch = arena_new(RUN_BATCH_BYTES);
	run->scratch = arena_new((size_t)256 * 1024);
	run->text = buf_new(6 * LIMIT_RECORD_BYTES);
	return RC_OK;
}

static void
clean_up(struct run *run)
{
	store_finder_close(run->finder);
	replay_filter_free(run->filter);
	arena_free(run->batch);
	arena_free(run->scratch);
	buf_free(&run->text);
	free(run->own_window);
}

/* What was sent is gone with the unfinished file: going on means starting over. */
static void
forget_sent(struct run *run)
{
	struct replay_result *result = run->result;
	result->sent = result->body_bytes = 0;
	result->first_seq = result->last_seq = 0;
	result->next_seq = result->from_seq;
	result->complete = false;
	window_reset(run->window, result->from_seq - 1);
	if (run->options->journal != NULL)
		journal_state(run->options->journal)->sent =
			journal_state(run->options->journal)->body_bytes = 0;
}

static enum rc
open_target(struct run *run, struct err *e)
{
	const struct replay_options *o = run->options;
	struct store_span span;
	enum rc rc = store_span(run->reader, &span, e);
	if (rc == RC_OK)
		rc = replay_target_find(o->target, o->format, &run->kind, e);
	if (rc != RC_OK)
		return rc;
	struct replay_target_options *t = &run->target_options;
	*t = (struct replay_target_options){ .spec = o->target,
		.format = o->format,
		.secret = o->secret,
		.force = o->force,
		.run = o->journal == NULL ? "" : journal_name(o->journal),
		.allow = o->allow,
		.ca_file = o->ca_file,
		.allow_private = o->allow_private,
		.http2 = o->http2 };
	memcpy(t->log_id, span.log_id, sizeof(t->log_id));
	if (o->journal != NULL &&
		memcmp(journal_state(o->journal)->log_id, span.log_id, sizeof(span.log_id)) != 0)
		return err_set(e, RC_CONFLICT, NULL, "run '%s' belongs to another log",
			journal_name(o->journal));
	return RC_OK;
}

static void
note_end(struct run *run, enum rc rc, const struct err *e)
{
	struct journal *journal = run->options->journal;
	if (journal == NULL)
		return;
	struct journal_state *s = journal_state(journal);
	s->retried += run->result->retried;
	/* A second attempt at the failed ones says nothing about the rest. */
	if (!run->options->only_failed)
		s->status = run->result->interrupted ? JOURNAL_INTERRUPTED
			    : rc == RC_OK            ? JOURNAL_COMPLETE
						     : JOURNAL_STOPPED;
	snprintf(s->error, sizeof(s->error), "%.500s", rc == RC_OK ? "" : e->text);
	snprintf(s->error_id, sizeof(s->error_id), "%s", rc == RC_OK || e->id == NULL ? "" : e->id);
	journal_sync(journal, true);
}

static enum rc
send_one_by_one(struct run *run, struct err *e)
{
	enum rc rc = run->kind->open(&run->target, &run->target_options, e);
	if (rc != RC_OK)
		return rc;
	/* A file that was not finished is not there any more. */
	if (!run->kind->keeps(run->target))
		forget_sent(run);
	run->sent_before =
		run->options->journal == NULL ? 0 : journal_state(run->options->journal)->sent;
	run->pace = pace_new(run->options->rate, clock_monotonic_us());
	/* What has to be counted or paced event by event is not worth several threads. */
	const struct replay_options *o = run->options;
	bool plain = run->kind->put != NULL && !o->only_failed && o->rate == 0 && o->limit == 0;
	rc = plain ? run_file(run, e) : run_one_by_one(run, e);
	/* A limit that was reached ends the selection; only what was cut off is thrown away. */
	bool whole = rc == RC_OK && !run->result->interrupted;
	bool kept = whole || run->kind->keeps(run->target);
	enum rc closed = run->kind->close(run->target, whole, rc == RC_OK ? e : NULL);
	rc = rc == RC_OK ? closed : rc;
	if (!kept || closed != RC_OK)
		forget_sent(run);
	return rc;
}

enum rc
replay_run(struct store_reader *r, const struct replay_options *options,
	struct replay_result *result, struct err *e)
{
	struct run run = { .options = options, .result = result, .reader = r };
	int64_t start_us = clock_monotonic_us();
	struct err own;
	e = e == NULL ? &own : e;
	enum rc rc = prepare(&run, e);
	if (rc == RC_OK)
		rc = open_target(&run, e);
	if (rc != RC_OK)
		goto done;
	if (run.kind->publish != NULL)
		rc = run_stream(&run, e);
	else if (options->concurrency > 1 && !options->total_order && run.kind->concurrent)
		rc = run_many(&run, e);
	else
		rc = send_one_by_one(&run, e);
	note_end(&run, rc, e);
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
		rc = replay_target_find(options->target, options->format, &kind, e);
	if (rc == RC_OK)
		rc = run_one_by_one(&run, e);
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
