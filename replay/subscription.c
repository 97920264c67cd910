/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "replay/entity.h"
#include "replay/sender.h"
#include "replay/subscription.h"
#include "replay/target.h"

#define BATCH_EVENTS 256
#define BATCH_BYTES ((size_t)4 * 1024 * 1024)
/* How soon a pause, a seek or a stop is noticed. */
#define LOOK_EVERY_MS 200

struct serving {
	const struct subscriptions_options *options;
	const char *name;
	struct store_reader *reader;
	struct arena *a, *scratch;
	struct replay_options spec;
	struct journal *journal;
	struct journal_state *state;
	struct replay_filter *filter;
	struct replay_entities *entities;
	const struct replay_target_kind *kind;
	struct replay_target_options target;
	struct sender_options sender_options;
	struct sender *sender; /* NULL: paused or stopped */
	struct subscription_control control;
	int64_t looked_ms;
	uint64_t next;
	uint64_t retried_before;
	bool was_open; /* the breaker */
	bool many;     /* else all events are one queue: the order of the log */
};

static enum rc
on_settled(const struct sender_outcome *o, void *context, struct err *e)
{
	struct serving *s = context;
	enum rc rc;
	if (o->delivered)
		rc = journal_mended(s->journal, o->event->seq, e);
	else
		rc = journal_failed(
			s->journal, o->event->seq, o->answer->status, o->attempts, o->why->text, e);
	if (rc != RC_OK)
		return rc;
	if (o->delivered) {
		s->state->sent++;
		s->state->body_bytes += o->event->body.len;
	}
	window_settle(&s->state->window, o->event->seq);
	return RC_OK;
}

static void
submit(struct serving *s, struct sender_batch *batch, const struct event *ev)
{
	uint64_t key = 0;
	arena_reset(s->scratch);
	if (s->many)
		key = replay_entity(s->entities, ev, s->scratch);
	sender_submit(s->sender, batch, ev, key);
}

static bool
stopped(const struct serving *s, int64_t wait_ms)
{
	struct pollfd p = { .fd = s->options->stop_fd, .events = POLLIN };
	return poll(&p, 1, (int)wait_ms) > 0;
}

static void
note_error(struct serving *s, const struct err *e)
{
	snprintf(s->state->error, sizeof(s->state->error), "%.500s", e == NULL ? "" : e->text);
	snprintf(s->state->error_id, sizeof(s->state->error_id), "%.60s",
		e == NULL || e->id == NULL ? "" : e->id);
}

static void
stop_sending(struct serving *s)
{
	if (s->sender == NULL)
		return;
	sender_close(s->sender);
	s->sender = NULL;
	s->retried_before = s->state->retried;
	s->state->breaker_open = 0;
	s->was_open = false;
	journal_sync(s->journal, true);
}

static enum rc
start_sending(struct serving *s, struct err *e)
{
	s->next = s->state->window.settled + 1;
	return sender_open(&s->sender, &s->sender_options, e);
}

/* Ends the sending until somebody resumes it. */
static void
give_up(struct serving *s, struct err *e)
{
	bool again = s->state->status == JOURNAL_STOPPED;
	stop_sending(s);
	s->state->status = JOURNAL_STOPPED;
	note_error(s, e);
	journal_sync(s->journal, true);
	if (!again)
		LOG_ERROR("subscription.stopped", F_S("name", s->name), F_S("error", e->text));
}

/* Notes how the target does, for others to see. */
static void
look_at_target(struct serving *s)
{
	struct sender_state state = sender_state(s->sender);
	sender_lock(s->sender);
	s->state->retried = s->retried_before + state.retried;
	s->state->breaker_open = state.breaker_open;
	struct err trouble = { .id = "replay.unreachable" };
	snprintf(trouble.text, sizeof(trouble.text), "%s", state.trouble);
	note_error(s, state.breaker_open ? &trouble : NULL);
	journal_sync(s->journal, false);
	sender_unlock(s->sender);
	if (state.breaker_open && !s->was_open)
		LOG_WARN("subscription.unreachable", F_S("name", s->name),
			F_S("error", state.trouble));
	else if (!state.breaker_open && s->was_open)
		LOG_INFO("subscription.reached", F_S("name", s->name));
	s->was_open = state.breaker_open;
}

/* Hands the failed ones to the sender once more. */
static enum rc
retry_failed(struct serving *s, struct err *e)
{
	size_t n;
	sender_lock(s->sender);
	const uint64_t *list = journal_failures(s->journal, &n);
	uint64_t *seqs = arena_alloc(s->a, (n + 1) * sizeof(*seqs));
	if (n > 0)
		memcpy(seqs, list, n * sizeof(*seqs));
	sender_unlock(s->sender);
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n && !stopped(s, 0);) {
		const struct store_record *records;
		size_t count = 0;
		struct sender_batch *batch = sender_batch(s->sender);
		if (batch == NULL) {
			(void)sender_wait(s->sender, s->options->stop_fd, LOOK_EVERY_MS);
			rc = sender_failed(s->sender, e);
			continue;
		}
		rc = store_read(s->reader, seqs[i++], 1, BATCH_BYTES, sender_batch_arena(batch),
			&records, &count, e);
		if (rc == RC_OK && count == 1)
			submit(s, batch, &records[0].event);
		sender_batch_done(s->sender, batch);
	}
	return rc;
}

/* Carries out what is wanted. */
static enum rc
obey(struct serving *s, struct err *e)
{
	struct subscription_control *c = &s->control;
	uint64_t *done = s->state->done;
	enum rc rc = subscription_control_read(s->options->dir, s->name, c, e);
	if (rc != RC_OK || c->removed)
		return rc;
	if (done[SUBSCRIPTION_DONE_SOUGHT] != c->sought) {
		stop_sending(s);
		window_reset(&s->state->window, c->seek_seq - 1);
		done[SUBSCRIPTION_DONE_SOUGHT] = c->sought;
		journal_sync(s->journal, true);
	}
	if (done[SUBSCRIPTION_DONE_RESUMED] != c->resumed) {
		s->state->status = JOURNAL_STARTED;
		note_error(s, NULL);
		done[SUBSCRIPTION_DONE_RESUMED] = c->resumed;
	}
	bool sends = !c->paused && s->state->status == JOURNAL_STARTED;
	if (!sends)
		stop_sending(s);
	else if (s->sender == NULL)
		rc = start_sending(s, e);
	if (rc == RC_OK && sends && done[SUBSCRIPTION_DONE_RETRIED] != c->retried) {
		rc = retry_failed(s, e);
		if (rc == RC_OK)
			done[SUBSCRIPTION_DONE_RETRIED] = c->retried;
	}
	return rc;
}

/* One event: already settled, not selected, or sent. False: there is no room for it now. */
static bool
offer(struct serving *s, struct sender_batch *batch, const struct event *ev)
{
	sender_lock(s->sender);
	bool room = ev->seq <= window_end(&s->state->window);
	bool settled = room && window_has(&s->state->window, ev->seq);
	sender_unlock(s->sender);
	if (!room || settled)
		return room;
	arena_reset(s->scratch);
	if (replay_filter_matches(s->filter, ev, s->scratch)) {
		submit(s, batch, ev);
	} else {
		sender_lock(s->sender);
		window_settle(&s->state->window, ev->seq);
		sender_unlock(s->sender);
	}
	return true;
}

/* Hands over what the log has, or waits for more. */
static enum rc
feed(struct serving *s, struct err *e)
{
	const struct store_record *records;
	size_t count = 0;
	bool room = true;
	struct sender_batch *batch = sender_batch(s->sender);
	if (batch == NULL) {
		(void)sender_wait(s->sender, s->options->stop_fd, LOOK_EVERY_MS);
		return RC_OK;
	}
	enum rc rc = store_read(s->reader, s->next, BATCH_EVENTS, BATCH_BYTES,
		sender_batch_arena(batch), &records, &count, e);
	for (size_t i = 0; rc == RC_OK && room && i < count; i++) {
		room = offer(s, batch, &records[i].event);
		if (room)
			s->next = records[i].event.seq + 1;
	}
	sender_batch_done(s->sender, batch);
	if (rc != RC_OK)
		return rc;
	if (!room) {
		(void)sender_wait(s->sender, s->options->stop_fd, LOOK_EVERY_MS);
	} else if (count == 0) {
		rc = store_wait(s->reader, s->next - 1, LOOK_EVERY_MS, s->options->stop_fd, e);
		rc = rc == RC_AGAIN ? RC_OK : rc;
	}
	return rc;
}

static enum rc
open_all(struct serving *s, struct err *e)
{
	struct store_span span;
	const struct subscriptions_options *o = s->options;
	enum rc rc = journal_open(&s->journal, o->dir, s->name, e);
	if (rc == RC_OK)
		rc = journal_options(o->dir, s->name, s->a, &s->spec, e);
	if (rc == RC_OK && s->spec.secret_file != NULL)
		rc = secret_read(s->spec.secret_file, SECRET_GROUP_TOO, false, NULL, s->a,
			&s->spec.secret, e);
	if (rc == RC_OK)
		rc = replay_filter_new(&s->filter, &s->spec.select, e);
	if (rc == RC_OK)
		rc = replay_target_find(s->spec.target, s->spec.format, &s->kind, e);
	if (rc == RC_OK)
		rc = store_span(s->reader, &span, e);
	if (rc != RC_OK)
		return rc;
	s->state = journal_state(s->journal);
	if (memcmp(s->state->log_id, span.log_id, sizeof(span.log_id)) != 0)
		return err_set(e, RC_CONFLICT, NULL, "'%s' follows another log", s->name);
	s->entities = replay_entities_new();
	s->target = (struct replay_target_options){ .spec = s->spec.target,
		.format = s->spec.format,
		.secret = s->spec.secret,
		.run = s->name,
		.allow = o->allow,
		.ca_file = o->ca_file,
		.allow_private = s->spec.allow_private,
		.http2 = s->spec.http2 };
	memcpy(s->target.log_id, span.log_id, sizeof(span.log_id));
	s->retried_before = s->state->retried;
	s->many = s->spec.concurrency > 1 && !s->spec.total_order;
	s->sender_options = (struct sender_options){ .kind = s->kind,
		.target = &s->target,
		.concurrency = s->many ? (size_t)s->spec.concurrency : 1,
		.retries = s->spec.retries,
		.rate = s->spec.rate,
		.keep_going = true,
		.patient = true,
		.settled = on_settled,
		.context = s };
	return RC_OK;
}

static enum rc
serve(struct serving *s, struct err *e)
{
	enum rc rc = RC_OK;
	while (!stopped(s, 0)) {
		int64_t now = clock_monotonic_ms();
		if (s->looked_ms == 0 || now - s->looked_ms >= LOOK_EVERY_MS) {
			s->looked_ms = now;
			rc = obey(s, e);
			if (s->control.removed)
				return RC_OK;
			if (s->sender != NULL)
				look_at_target(s);
		}
		if (rc == RC_OK && s->sender != NULL)
			rc = feed(s, e);
		if (rc == RC_OK && s->sender != NULL)
			rc = sender_failed(s->sender, e);
		/* Only what has to do with this subscription: the others go on. */
		if (rc != RC_OK)
			give_up(s, e);
		rc = RC_OK;
		if (s->sender == NULL && stopped(s, LOOK_EVERY_MS))
			break;
	}
	return RC_OK;
}

enum rc
subscription_serve(const struct subscriptions_options *options, const char *name,
	struct store_reader *reader, struct err *e)
{
	struct serving s = { .options = options,
		.name = name,
		.reader = reader,
		.a = arena_new(65536),
		.scratch = arena_new((size_t)256 * 1024) };
	enum rc rc = open_all(&s, e);
	if (rc == RC_OK)
		rc = serve(&s, e);
	stop_sending(&s);
	if (s.spec.secret.len > 0)
		crypto_wipe((void *)(uintptr_t)s.spec.secret.data, s.spec.secret.len);
	journal_close(s.journal);
	if (rc == RC_OK && s.control.removed)
		rc = journal_remove(options->dir, name, e);
	replay_filter_free(s.filter);
	replay_entities_free(s.entities);
	arena_free(s.scratch);
	arena_free(s.a);
	return rc;
}
