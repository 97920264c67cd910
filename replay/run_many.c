/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/entity.h"
#include "replay/run.h"
#include "replay/sender.h"

/* A replay with several events under way. This thread reads and selects; the sender's threads send.
 */

#define WAIT_MS 100

struct many {
	struct run *run;
	struct sender *sender;
	struct replay_entities *entities;
	bool stop;
};

static enum rc
on_settled(const struct sender_outcome *outcome, void *context, struct err *e)
{
	return run_settle(context, outcome->event, outcome->delivered, outcome->attempts,
		outcome->answer, outcome->why, e);
}

/* Looks after everything but the next event. *left: events not settled. */
static enum rc
look(struct many *m, bool wait, size_t *left, struct err *e)
{
	struct run *run = m->run;
	struct replay_result *result = run->result;
	*left = wait ? sender_wait(m->sender, run->options->stop_fd, WAIT_MS) : *left;
	enum rc rc = sender_failed(m->sender, e);
	struct sender_state state = sender_state(m->sender);
	sender_lock(m->sender);
	result->retried = state.retried;
	result->breaker_opened = state.breaker_opened;
	if (!run->options->only_failed)
		result->next_seq = run->window->settled + 1;
	run_progress(run);
	sender_unlock(m->sender);
	if (rc == RC_OK && run_stopped_within_us(run, 0))
		result->interrupted = m->stop = true;
	return rc;
}

/* Waits until seq may be given to the sender. *full: the limit is reached. */
static enum rc
wait_for_room(struct many *m, uint64_t seq, bool *full, struct err *e)
{
	struct run *run = m->run;
	size_t left = 0;
	enum rc rc = RC_OK;
	*full = false;
	for (bool wait = false; rc == RC_OK && !m->stop; wait = true) {
		if (wait)
			rc = look(m, true, &left, e);
		else
			left = sender_unsettled(m->sender);
		sender_lock(m->sender);
		bool window = run->options->only_failed || seq <= window_end(run->window);
		bool room = run_has_room(run, left);
		*full = !run_has_room(run, 0);
		sender_unlock(m->sender);
		if (*full || (window && room))
			break;
	}
	return rc;
}

static enum rc
offer(struct many *m, struct sender_batch *batch, const struct event *ev, struct err *e)
{
	struct run *run = m->run;
	bool full, settled;
	enum rc rc = wait_for_room(m, ev->seq, &full, e);
	if (rc != RC_OK || m->stop)
		return rc;
	if (full) {
		m->stop = true;
		return RC_OK;
	}
	sender_lock(m->sender);
	settled = !run->options->only_failed && window_has(run->window, ev->seq);
	sender_unlock(m->sender);
	arena_reset(run->scratch);
	if (!settled && replay_filter_matches(run->filter, ev, run->scratch)) {
		arena_reset(run->scratch);
		sender_submit(m->sender, batch, ev, replay_entity(m->entities, ev, run->scratch));
	} else if (!settled) {
		sender_lock(m->sender);
		window_settle(run->window, ev->seq);
		sender_unlock(m->sender);
	}
	run->result->scanned++;
	return RC_OK;
}

/* Reads up to max events from *next on and hands them over. */
static enum rc
feed(struct many *m, uint64_t *next, size_t max, struct err *e)
{
	struct run *run = m->run;
	const struct store_record *records;
	size_t count, left = 0;
	struct sender_batch *batch = sender_batch(m->sender);
	enum rc rc = look(m, batch == NULL, &left, e);
	if (batch == NULL)
		return rc;
	if (rc == RC_OK)
		rc = store_read(run->reader, *next, max, RUN_BATCH_BYTES, sender_batch_arena(batch),
			&records, &count, e);
	if (rc == RC_OK && count == 0)
		rc = err_set(e, RC_CORRUPT, NULL, "the log ends before event %" PRIu64, *next);
	for (size_t i = 0; rc == RC_OK && !m->stop && i < count; i++) {
		if (records[i].event.seq > run->result->to_seq)
			break;
		rc = offer(m, batch, &records[i].event, e);
		*next = records[i].event.seq + 1;
	}
	sender_batch_done(m->sender, batch);
	return rc;
}

/* Passes over events that need no look: first to last. */
static enum rc
pass(struct many *m, uint64_t first, uint64_t last, struct err *e)
{
	struct window *window = m->run->window;
	size_t left = 0;
	enum rc rc = RC_OK;
	for (bool passed = false; rc == RC_OK && !m->stop && !passed;) {
		sender_lock(m->sender);
		passed = last <= window_end(window) || first <= window->settled + 1;
		if (passed)
			window_settle_range(window, first, last);
		sender_unlock(m->sender);
		if (!passed)
			rc = look(m, true, &left, e);
	}
	return rc;
}

static enum rc
feed_failed(struct many *m, struct err *e)
{
	size_t n;
	sender_lock(m->sender);
	const uint64_t *list = journal_failures(m->run->options->journal, &n);
	uint64_t *seqs = base_alloc((n + 1) * sizeof(*seqs));
	if (n > 0)
		memcpy(seqs, list, n * sizeof(*seqs));
	sender_unlock(m->sender);
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && !m->stop && i < n;) {
		uint64_t next = seqs[i];
		rc = feed(m, &next, 1, e);
		i += next != seqs[i] ? 1 : 0;
	}
	free(seqs);
	return rc;
}

enum rc
run_many(struct run *run, struct err *e)
{
	const struct replay_options *o = run->options;
	struct replay_result *result = run->result;
	const struct sender_options options = { .kind = run->kind,
		.target = &run->target_options,
		.concurrency = (size_t)o->concurrency,
		.retries = o->retries,
		.backoff_first_ms = o->backoff_first_ms,
		.rate = o->rate,
		.keep_going = o->keep_going,
		.settled = on_settled,
		.context = run };
	struct many m = { .run = run };
	uint64_t next = result->next_seq;
	size_t left = 0;
	enum rc rc = sender_open(&m.sender, &options, e);
	if (rc != RC_OK)
		return rc;
	m.entities = replay_entities_new();
	if (o->only_failed)
		rc = feed_failed(&m, e);
	while (!o->only_failed && rc == RC_OK && !m.stop && next <= result->to_seq) {
		size_t max;
		uint64_t first = run_next(run, next, &max);
		if (first == next) {
			rc = feed(&m, &next, max, e);
		} else {
			rc = pass(&m, next, first - 1, e);
			next = first;
		}
	}
	bool limited = m.stop && !result->interrupted;
	left = sender_unsettled(m.sender);
	while (rc == RC_OK && !result->interrupted && left > 0)
		rc = look(&m, true, &left, e);
	sender_close(m.sender);
	if (!o->only_failed)
		result->next_seq = run->window->settled + 1;
	if (rc == RC_DENIED)
		result->refused++;
	result->complete = rc == RC_OK && !limited && !result->interrupted;
	replay_entities_free(m.entities);
	return rc;
}
