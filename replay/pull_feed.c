/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "replay/pull_internal.h"

/* Events for one request: a batch as NDJSON, or all there will be as server-sent events. Read a little
 * at a time, written one at a time: what a request holds does not depend on what it is sent. */

#define EVENTS_DEFAULT 100
#define EVENTS_MAX 1000
#define WAIT_S_MAX 60
#define BATCH_BYTES ((size_t)1024 * 1024)
/* A request looks at least this long for the next selected event among others. */
#define LOOK_MS 1000
/* How soon a pause, a stop, a revoked token or a client that left is noticed. */
#define SLICE_MS 500
#define HEARTBEAT_MS 15000
#define STREAM_MS ((int64_t)3600 * 1000)
/* Escaping makes at most six bytes of one. */
#define PIECE_BYTES_MAX (6 * LIMIT_RECORD_BYTES)

struct feed {
	struct pull *pull;
	struct pull_sub *sub;
	struct server_request *rq;
	struct store_reader *reader;
	struct arena *batch, *scratch;
	const struct event **events; /* in batch */
	size_t count, at;
	size_t max;
	uint64_t begin, next;
	bool acknowledged; /* it began behind what was acknowledged */
	bool stream, greeted, ending;
	int64_t end_ms, checked_ms;
	char token[TOKEN_TEXT_BYTES];
};

/* Whether it is to end although there may be more. */
static bool
must_end(struct feed *f)
{
	struct token t;
	struct err e;
	int64_t now = clock_monotonic_ms();
	pthread_mutex_lock(&f->pull->lock);
	f->ending = f->ending || f->sub->gone || f->sub->control.paused;
	pthread_mutex_unlock(&f->pull->lock);
	f->ending = f->ending || pull_stopping(f->pull) || server_gone(f->rq);
	if (f->ending || now - f->checked_ms < SLICE_MS)
		return f->ending;
	f->checked_ms = now;
	arena_reset(f->scratch);
	f->ending = token_check(f->pull->subscriptions->dir, f->token, clock_now_us(), f->scratch, &t,
			    &e) != RC_OK;
	return f->ending;
}

static enum rc
read_more(struct feed *f, size_t *looked_at, struct err *e)
{
	const struct store_record *records;
	arena_reset(f->batch);
	f->count = f->at = 0;
	enum rc rc = store_read(
		f->reader, f->next, f->max, BATCH_BYTES, f->batch, &records, looked_at, e);
	if (rc != RC_OK)
		return rc;
	f->events = arena_alloc(f->batch, (*looked_at + 1) * sizeof(*f->events));
	for (size_t i = 0; i < *looked_at; i++) {
		arena_reset(f->scratch);
		f->next = records[i].event.seq + 1;
		if (replay_filter_matches(f->sub->filter, &records[i].event, f->scratch))
			f->events[f->count++] = &records[i].event;
	}
	return RC_OK;
}

/* Reads the next selected events; RC_AGAIN: none until then. */
static enum rc
fetch(struct feed *f, int64_t wait_ms, struct err *e)
{
	int64_t now = clock_monotonic_ms(), wait_until = now + wait_ms;
	int64_t look_until = now + (wait_ms > LOOK_MS ? wait_ms : LOOK_MS);
	for (;;) {
		size_t looked_at = 0;
		enum rc rc = read_more(f, &looked_at, e);
		if (rc != RC_OK || f->count > 0)
			return rc;
		now = clock_monotonic_ms();
		if (must_end(f) || now >= (looked_at > 0 ? look_until : wait_until))
			return err_set(e, RC_AGAIN, NULL, "nothing yet");
		if (looked_at > 0)
			continue;
		int64_t left = wait_until - now;
		rc = store_wait(f->reader, f->next - 1, left < SLICE_MS ? left : SLICE_MS,
			f->pull->subscriptions->stop_fd, e);
		if (rc != RC_OK && rc != RC_AGAIN)
			return rc;
	}
}

/* Nothing between what was acknowledged and here is for the consumer: it need not acknowledge that. */
static void
pass_over(struct feed *f)
{
	if (!f->acknowledged)
		return;
	pthread_mutex_lock(&f->pull->lock);
	struct window *w = &f->sub->state->window;
	if (w->settled + 1 == f->begin && f->next > f->begin) {
		window_reset(w, f->next - 1);
		f->begin = f->next;
		journal_sync(f->sub->journal, false);
	}
	pthread_mutex_unlock(&f->pull->lock);
}

static void
feed_free(void *context)
{
	struct feed *f = context;
	store_reader_close(f->reader);
	arena_free(f->batch);
	arena_free(f->scratch);
	pull_give(f->pull, f->sub);
	free(f);
}

static bool
next_line(struct buf *out, void *context)
{
	struct feed *f = context;
	if (f->at == f->count)
		return false;
	event_put_json(out, f->events[f->at++]);
	buf_put_char(out, '\n');
	return true;
}

/* WHATWG HTML §9.2. An id without data is remembered by the client and handed to nobody. */
static bool
next_message(struct buf *out, void *context)
{
	struct feed *f = context;
	struct err e;
	if (!f->greeted) {
		f->greeted = true;
		buf_put_str(out, "retry: 1000\n\n");
		return true;
	}
	if (must_end(f))
		return false;
	if (f->at == f->count) {
		if (clock_monotonic_ms() >= f->end_ms)
			return false;
		enum rc rc = fetch(f, HEARTBEAT_MS, &e);
		if (rc == RC_AGAIN) {
			pass_over(f);
			buf_printf(out, "id: %" PRIu64 "\n\n", f->next - 1);
			return !must_end(f);
		}
		if (rc != RC_OK) {
			LOG_WARN("subscription.failed", F_S("name", f->sub->name),
				F_S("error", e.text));
			return false;
		}
	}
	const struct event *ev = f->events[f->at++];
	buf_printf(out, "id: %" PRIu64 "\ndata: ", ev->seq);
	event_put_json(out, ev);
	buf_put_str(out, "\n\n");
	return true;
}

/* False: it was answered. */
static bool
read_request(struct feed *f, uint64_t *wait_s)
{
	struct server_request *rq = f->rq;
	const char *accept = server_header(rq, "Accept"), *last = server_header(rq, "Last-Event-ID");
	uint64_t max = EVENTS_DEFAULT, after = UINT64_MAX;
	bool ok = pull_number(rq, "after", &after) && pull_number(rq, "max", &max) &&
		  pull_number(rq, "wait", wait_s);
	f->stream = accept != NULL && strstr(accept, "text/event-stream") != NULL;
	if (f->stream && last != NULL && last[0] != '\0') {
		ok = ok && strlen(last) <= 18 && strspn(last, "0123456789") == strlen(last);
		after = strtoull(last, NULL, 10);
	}
	if (!ok || max == 0 || max > EVENTS_MAX || *wait_s > WAIT_S_MAX) {
		pull_refuse(rq, 400,
			"after is a number, max one of 1 to 1000, wait one of 0 to 60 (seconds)");
		return false;
	}
	f->max = (size_t)max;
	f->acknowledged = after == UINT64_MAX;
	pthread_mutex_lock(&f->pull->lock);
	uint64_t settled = f->sub->state->window.settled;
	bool paused = f->sub->control.paused;
	pthread_mutex_unlock(&f->pull->lock);
	f->begin = f->next = (f->acknowledged ? settled : after) + 1;
	if (paused)
		pull_refuse(rq, 503, "the subscription is paused");
	return !paused;
}

static void
answer_batch(struct feed *f, enum rc rc, const struct err *e)
{
	char cursor[24];
	if (rc == RC_NOTFOUND) {
		pull_refuse(f->rq, 410, e->text);
		return;
	}
	if (rc != RC_OK && rc != RC_AGAIN) {
		LOG_WARN("subscription.failed", F_S("name", f->sub->name), F_S("error", e->text));
		pull_refuse(f->rq, 500, e->text);
		return;
	}
	if (rc == RC_AGAIN)
		pass_over(f);
	snprintf(cursor, sizeof(cursor), "%" PRIu64, f->next - 1);
	server_add_header(f->rq, "X-Hooklog-Cursor", cursor);
	if (rc == RC_AGAIN)
		server_answer(f->rq, 204, NULL, bytes_str(NULL));
}

void
pull_events(struct pull *p, struct server_request *rq, struct pull_sub *sub, const char *token_text)
{
	struct feed *f = base_zalloc(sizeof(*f));
	uint64_t wait_s = 0;
	struct err e;
	f->pull = p;
	f->sub = sub;
	f->rq = rq;
	f->batch = arena_new(BATCH_BYTES);
	f->scratch = arena_new((size_t)64 * 1024);
	f->checked_ms = clock_monotonic_ms();
	f->end_ms = f->checked_ms + STREAM_MS;
	snprintf(f->token, sizeof(f->token), "%s", token_text);
	if (!read_request(f, &wait_s)) {
		feed_free(f);
		return;
	}
	struct store_span span;
	enum rc rc = pull_reader(p, &f->reader, &e);
	if (rc == RC_OK)
		rc = store_span(f->reader, &span, &e);
	if (rc == RC_OK && f->begin > span.last_seq + 1) {
		pull_refuse(rq, 400, "the log does not have that event yet");
		feed_free(f);
		return;
	}
	if (rc == RC_OK && !f->stream)
		rc = fetch(f, (int64_t)wait_s * 1000, &e);
	if (rc != RC_OK || !f->stream)
		answer_batch(f, rc, &e);
	if (rc != RC_OK) {
		feed_free(f);
		return;
	}
	const struct server_stream stream = { .next = f->stream ? next_message : next_line,
		.close = feed_free,
		.context = f,
		.piece_bytes_max = PIECE_BYTES_MAX };
	server_stream(rq, 200, f->stream ? "text/event-stream" : "application/x-ndjson", &stream);
}
