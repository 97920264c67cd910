/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "replay/backoff.h"
#include "replay/run.h"

/* A replay in the order of the log: the next event leaves after the answer to the one before. */

/* A target that takes several events at once gets no more than this in one piece. */
#define SEND_BYTES_MAX ((size_t)1024 * 1024)

static enum rc
send_pending(struct run *run, size_t n, struct replay_answer *answer, struct err *e)
{
	const struct event *ev = run->pending[0];
	struct replay_piece piece = { .at = 0 };
	if (run->kind->put == NULL)
		return run->kind->send(run->target, run->pending, n, answer, e);
	buf_clear(&run->text);
	arena_reset(run->scratch);
	run->kind->put(run->target, ev, run->scratch, &run->text, &piece);
	if (run->text.overflow)
		return run_too_large(ev, e);
	struct iovec pieces[] = { { run->text.data, piece.at },
		{ (void *)(uintptr_t)piece.body.data, piece.body.len },
		{ run->text.data + piece.at, run->text.len - piece.at } };
	return run->kind->write(run->target, pieces, COUNT_OF(pieces), e);
}

/* Sends what is pending, again and again where that helps. RC_OK with result->interrupted: a stop
 * was asked for; what is pending was not sent. */
static enum rc
flush(struct run *run, struct err *e)
{
	const struct replay_options *o = run->options;
	struct replay_result *result = run->result;
	size_t n = run->pending_count;
	struct replay_answer answer;
	uint64_t attempt = 0;
	enum rc rc;
	if (n == 0)
		return RC_OK;
	run->pending_count = run->pending_bytes = 0;
	int64_t due_us = 0;
	for (size_t i = 0; i < n; i++)
		due_us = pace_next_us(&run->pace, clock_monotonic_us());
	result->interrupted = due_us > 0 ? run_stopped_within_us(run, due_us) : run_look(run);
	if (result->interrupted)
		return RC_OK;
	for (;; attempt++) {
		answer = (struct replay_answer){ .retry_after_s = -1 };
		rc = send_pending(run, n, &answer, e);
		if (rc != RC_AGAIN || attempt >= o->retries)
			break;
		result->interrupted = run_stopped_within_us(
			run, replay_backoff_us(o->backoff_first_ms, attempt, answer.retry_after_s));
		if (result->interrupted)
			return RC_OK;
		result->retried++;
	}
	bool refused = rc == RC_DENIED || (rc == RC_AGAIN && answer.about_event && o->keep_going);
	if (rc != RC_OK && !(refused && o->keep_going)) {
		result->refused += refused ? n : 0;
		return rc;
	}
	struct err why = { 0 };
	if (rc != RC_OK)
		why = *e;
	bool delivered = rc == RC_OK;
	rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = run_settle(run, run->pending[i], delivered, attempt + 1, &answer, &why, e);
	return rc;
}

static enum rc
offer(struct run *run, const struct event *ev, struct err *e)
{
	if (run->kind == NULL) {
		run_count_event(run, ev);
		run->result->sent++;
		run->result->body_bytes += ev->body.len;
		if (run->result->first_seq == 0)
			run->result->first_seq = ev->seq;
		run->result->last_seq = ev->seq;
		window_settle(run->window, ev->seq);
		return RC_OK;
	}
	size_t max = run->kind->batch_max < RUN_SEND_EVENTS_MAX ? run->kind->batch_max
								: RUN_SEND_EVENTS_MAX;
	enum rc rc = RC_OK;
	if (run->pending_count > 0 && run->pending_bytes + ev->body.len > SEND_BYTES_MAX)
		rc = flush(run, e);
	if (rc != RC_OK || run->result->interrupted)
		return rc;
	run->pending[run->pending_count++] = ev;
	run->pending_bytes += ev->body.len;
	if (run->pending_count >= max || !run_has_room(run, run->pending_count))
		rc = flush(run, e);
	return rc;
}

/* Everything up to the first event that waits to be sent is done. */
static void
note_position(struct run *run)
{
	if (!run->options->only_failed)
		run->result->next_seq = run->window->settled + 1;
}

/* One event of the range; sets *stop when the replay ends before the next one. */
static enum rc
step(struct run *run, const struct event *ev, bool *stop, struct err *e)
{
	struct replay_result *result = run->result;
	bool last = ev->seq >= result->to_seq;
	if (run_wants(run, ev)) {
		enum rc rc = offer(run, ev, e);
		note_position(run);
		if (rc != RC_OK)
			return rc;
		if (result->interrupted) {
			*stop = true;
			return RC_OK;
		}
	} else if (!run->options->only_failed) {
		window_settle(run->window, ev->seq);
		note_position(run);
	}
	result->scanned++;
	if (last)
		return RC_OK;
	if (!run_has_room(run, 0)) {
		*stop = true;
	} else if (run_look(run)) {
		result->interrupted = true;
		*stop = true;
	}
	return RC_OK;
}

static enum rc
read_batch(struct run *run, uint64_t seq, size_t max, const struct store_record **records,
	size_t *count, struct err *e)
{
	arena_reset(run->batch);
	enum rc rc =
		store_read(run->reader, seq, max, RUN_BATCH_BYTES, run->batch, records, count, e);
	/* The end was read before; a log never gets shorter at its end. */
	if (rc == RC_OK && *count == 0)
		rc = err_set(e, RC_CORRUPT, NULL, "the log ends before event %" PRIu64, seq);
	return rc;
}

static enum rc
retry_failed(struct run *run, bool *stop, struct err *e)
{
	size_t n;
	const uint64_t *list = journal_failures(run->options->journal, &n);
	uint64_t *seqs = base_alloc((n + 1) * sizeof(*seqs));
	enum rc rc = RC_OK;
	if (n > 0)
		memcpy(seqs, list, n * sizeof(*seqs));
	for (size_t i = 0; rc == RC_OK && !*stop && i < n; i++) {
		const struct store_record *records;
		size_t count;
		rc = read_batch(run, seqs[i], 1, &records, &count, e);
		if (rc == RC_OK)
			rc = step(run, &records[0].event, stop, e);
		if (rc == RC_OK && !*stop)
			rc = flush(run, e);
	}
	free(seqs);
	return rc;
}

enum rc
run_one_by_one(struct run *run, struct err *e)
{
	struct replay_result *result = run->result;
	bool stop = false;
	enum rc rc = RC_OK;
	uint64_t next = result->next_seq;
	if (run->options->only_failed) {
		rc = retry_failed(run, &stop, e);
		next = result->to_seq + 1;
	}
	while (rc == RC_OK && !stop && next <= result->to_seq) {
		const struct store_record *records;
		size_t count, max;
		uint64_t first = run_next(run, next, &max);
		if (first > next) {
			window_settle_range(run->window, next, first - 1);
			note_position(run);
			next = first;
			continue;
		}
		rc = read_batch(run, next, max, &records, &count, e);
		for (size_t i = 0; rc == RC_OK && i < count && !stop; i++) {
			if (records[i].event.seq > result->to_seq)
				break;
			next = records[i].event.seq + 1;
			rc = step(run, &records[i].event, &stop, e);
		}
		/* What is pending points into the batch. */
		if (rc == RC_OK && !result->interrupted) {
			rc = flush(run, e);
			stop = stop || result->interrupted;
			note_position(run);
		}
	}
	run->pending_count = 0;
	result->complete = rc == RC_OK && !stop;
	return rc;
}
