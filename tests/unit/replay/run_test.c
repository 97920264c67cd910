/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "replay/replay.h"
#include "replay/target.h"

/* Replay over a log and a target made of arrays: the store's and the target table's functions are
 * defined here. */

#define LOG_EVENTS 10

struct store_reader {
	uint64_t first_seq, last_seq;
	size_t batch_max; /* events store_read gives at most */
	uint64_t covered; /* what the index knows of; 0: it cannot be used */
	uint64_t read;    /* events given out */
};

static struct event log_events[LOG_EVENTS];

struct store_finder {
	const struct store_reader *reader;
	struct bytes sources[4];
	size_t source_count;
	char delivery[16];
};

struct store_finder *
store_finder_open(struct store_reader *r, const struct store_wanted *wanted)
{
	struct store_finder *f = base_zalloc(sizeof(*f));
	assert_true(wanted->source_count <= COUNT_OF(f->sources));
	if (wanted->source_count > 0)
		memcpy(f->sources, wanted->sources, wanted->source_count * sizeof(*f->sources));
	f->reader = r;
	f->source_count = wanted->source_count;
	snprintf(f->delivery, sizeof(f->delivery), "%.*s", (int)wanted->delivery.len,
		(const char *)wanted->delivery.data);
	return f;
}

void
store_finder_close(struct store_finder *f)
{
	free(f);
}

static bool
is_wanted(const struct store_finder *f, const struct event *ev)
{
	if (f->delivery[0] != '\0')
		return bytes_is_nocase(ev->delivery, f->delivery);
	for (size_t i = 0; i < f->source_count; i++)
		if (bytes_equal(ev->source, f->sources[i]))
			return true;
	return false;
}

void
store_finder_next(struct store_finder *f, uint64_t seq, uint64_t *first, uint64_t *last)
{
	uint64_t covered = f->reader->covered;
	for (*first = seq; *first <= covered; ++*first) {
		*last = *first;
		if (is_wanted(f, &log_events[*first - 1]))
			return;
	}
	*last = UINT64_MAX;
}

const char *
store_finder_problem(const struct store_finder *f)
{
	return f->reader->covered == 0 ? "there is no index" : NULL;
}

enum rc
store_span(struct store_reader *r, struct store_span *span, struct err *e UNUSED)
{
	*span = (struct store_span){ .first_seq = r->first_seq, .last_seq = r->last_seq };
	return RC_OK;
}

enum rc
store_seq_at(struct store_reader *r, int64_t at_us, uint64_t *seq, struct err *e UNUSED)
{
	*seq = r->first_seq;
	while (*seq <= r->last_seq && log_events[*seq - 1].received_at_us < at_us)
		++*seq;
	return RC_OK;
}

enum rc
store_read(struct store_reader *r, uint64_t seq, size_t max_count, size_t max_bytes UNUSED,
	struct arena *a, const struct store_record **records, size_t *count, struct err *e UNUSED)
{
	struct store_record *list = arena_zalloc(a, LOG_EVENTS * sizeof(*list));
	assert_true(seq >= r->first_seq);
	max_count = max_count < r->batch_max ? max_count : r->batch_max;
	*count = 0;
	for (; seq <= r->last_seq && *count < max_count; seq++)
		list[(*count)++].event = log_events[seq - 1];
	r->read += *count;
	*records = list;
	return RC_OK;
}

/* Several threads are for a log longer than this one. */
enum rc
store_reader_share(struct store_reader *other UNUSED, struct store_reader **r UNUSED, struct err *e)
{
	return err_set(e, RC_IO, NULL, "one reader only");
}

void
store_reader_close(struct store_reader *r UNUSED)
{
}

/* What the target answers: the next of the script, RC_OK after its end. */
struct target {
	struct replay_answer answers[16];
	enum rc rcs[16];
	size_t count, calls;
	uint64_t seqs[64];
	int stop_at_call; /* makes stop_fd readable during that call; 0: never */
	int stop_pipe[2];
	bool closed, complete, forgets;
	char rows[64];      /* what was written to "rows" */
	uint64_t too_large; /* for "rows" */
};
static struct target target;

static enum rc
fake_open(void **state, const struct replay_target_options *options UNUSED, struct err *e UNUSED)
{
	*state = &target;
	return RC_OK;
}

static enum rc
fake_send(void *state UNUSED, const struct event *const *events, size_t n UNUSED,
	struct replay_answer *answer, struct err *e)
{
	const struct event *ev = events[0];
	size_t call = target.calls++;
	target.seqs[call] = ev->seq;
	if (target.stop_at_call == (int)target.calls)
		assert_int_equal(write(target.stop_pipe[1], "x", 1), 1);
	if (call >= target.count || target.rcs[call] == RC_OK)
		return RC_OK;
	*answer = target.answers[call];
	return err_set(e, target.rcs[call], "replay.test", "no");
}

static bool
fake_keeps(const void *state UNUSED)
{
	return !target.forgets;
}

static enum rc
fake_close(void *state UNUSED, bool complete, struct err *e UNUSED)
{
	target.closed = true;
	target.complete = complete;
	return RC_OK;
}

static void
fake_put(const void *state UNUSED, const struct event *ev, struct arena *scratch UNUSED,
	struct buf *text, struct replay_piece *piece)
{
	buf_printf(text, "%" PRIu64 "(", ev->seq);
	*piece = (struct replay_piece){ bytes_str("b"), text->len };
	buf_put_str(text, ") ");
	text->overflow = ev->seq == target.too_large;
}

static enum rc
fake_write(void *state UNUSED, struct iovec *pieces, size_t count, struct err *e UNUSED)
{
	for (size_t i = 0; i < count; i++)
		snprintf(target.rows + strlen(target.rows), sizeof target.rows - strlen(target.rows),
			"%.*s", (int)pieces[i].iov_len, (const char *)pieces[i].iov_base);
	return RC_OK;
}

enum rc
replay_target_find(const char *spec, const char *format UNUSED,
	const struct replay_target_kind **kind, struct err *e)
{
	static const struct replay_target_kind fake = { .name = "fake",
		.batch_max = 1,
		.open = fake_open,
		.send = fake_send,
		.keeps = fake_keeps,
		.close = fake_close };
	static const struct replay_target_kind rows = { .name = "rows",
		.batch_max = 1,
		.open = fake_open,
		.put = fake_put,
		.write = fake_write,
		.keeps = fake_keeps,
		.close = fake_close };
	if (strcmp(spec, "rows") == 0) {
		*kind = &rows;
		return RC_OK;
	}
	if (strcmp(spec, "fake") != 0)
		return err_set(e, RC_INVALID, NULL, "no such target");
	*kind = &fake;
	return RC_OK;
}

static int
set_up(void **state)
{
	static struct store_reader reader;
	static const char *const names[] = { "push", "issues", "pull_request", "star", "push" };
	reader = (struct store_reader){ .first_seq = 1, .last_seq = LOG_EVENTS, .batch_max = 3,
		.covered = LOG_EVENTS - 2 };
	target = (struct target){ .stop_pipe = { -1, -1 } };
	for (size_t i = 0; i < LOG_EVENTS; i++)
		log_events[i] = (struct event){ .seq = i + 1,
			.received_at_us = (int64_t)(i + 1) * 100,
			.source = bytes_str(i % 2 == 0 ? "alpha" : "beta"),
			.provider = bytes_str("github"),
			.event = bytes_str(names[i % 5]),
			.content_type = bytes_str("application/json"),
			.delivery = bytes_str(i == 4 ? "ABC-5" : "x"),
			.body = bytes_str("{\"action\":\"opened\",\"repository\":{\"id\":77,"
					  "\"full_name\":\"Kiln/Weir\"}}") };
	*state = &reader;
	return 0;
}

static struct replay_options
options_new(void)
{
	return (struct replay_options){
		.target = "fake", .stop_fd = -1, .retries = 2, .backoff_first_ms = 1
	};
}

static void
assert_sent(const char *want)
{
	char got[256] = "";
	for (size_t i = 0; i < target.calls; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%" PRIu64,
			i == 0 ? "" : " ", target.seqs[i]);
	assert_string_equal(got, want);
}

static struct replay_result
replay(struct store_reader *r, const struct replay_options *o, enum rc want)
{
	struct replay_result result;
	struct err e = { 0 };
	enum rc rc = replay_run(r, o, &result, &e);
	if (rc != want)
		fail_msg("%s instead of %s: %s", rc_name(rc), rc_name(want), e.text);
	return result;
}

/* What a selection sends. */
static void
selects(struct store_reader *r, struct replay_select select, const char *want)
{
	struct replay_options o = options_new();
	o.select = select;
	target.calls = 0;
	struct replay_result result = replay(r, &o, RC_OK);
	assert_true(result.complete);
	assert_sent(want);
	/* A dry run counts the same events. */
	struct arena *a = arena_new(1024);
	const struct replay_count *counts;
	size_t count;
	uint64_t total = 0;
	struct replay_result plan;
	size_t calls = target.calls;
	assert_int_equal(replay_plan(r, &o, a, &plan, &counts, &count, NULL), RC_OK);
	for (size_t i = 0; i < count; i++)
		total += counts[i].events;
	assert_int_equal(plan.sent, result.sent);
	assert_int_equal(total, result.sent);
	assert_int_equal(plan.first_seq, result.first_seq);
	assert_int_equal(plan.last_seq, result.last_seq);
	assert_int_equal(plan.body_bytes, result.body_bytes);
	assert_int_equal(target.calls, calls);
	arena_free(a);
}

static void
selection(void **state)
{
	struct store_reader *r = *state;
	selects(r, (struct replay_select){ 0 }, "1 2 3 4 5 6 7 8 9 10");
	selects(r, (struct replay_select){ .from_seq = 9 }, "9 10");
	selects(r, (struct replay_select){ .to_seq = 2 }, "1 2");
	selects(r, (struct replay_select){ .from_seq = 4, .to_seq = 4 }, "4");
	selects(r, (struct replay_select){ .from_seq = 4, .to_seq = 400 }, "4 5 6 7 8 9 10");
	selects(r, (struct replay_select){ .from_seq = 11 }, "");
	selects(r, (struct replay_select){ .has_since = true, .since_us = 800 }, "8 9 10");
	selects(r, (struct replay_select){ .has_since = true, .since_us = 801 }, "9 10");
	selects(r, (struct replay_select){ .has_since = true, .since_us = 2000 }, "");
	selects(r, (struct replay_select){ .has_until = true, .until_us = 300 }, "1 2");
	selects(r, (struct replay_select){ .has_until = true, .until_us = 301 }, "1 2 3");
	selects(r, (struct replay_select){ .has_until = true, .until_us = 1 }, "");
	selects(r, (struct replay_select){ .sources = "beta" }, "2 4 6 8 10");
	selects(r, (struct replay_select){ .sources = "beta, alpha", .to_seq = 2 }, "1 2");
	selects(r, (struct replay_select){ .events = "push" }, "1 5 6 10");
	selects(r, (struct replay_select){ .events = "star,issues", .sources = "alpha" }, "7 9");
	selects(r, (struct replay_select){ .events = "pull_request.opened,star.deleted" }, "3 8");
	selects(r, (struct replay_select){ .events = "pull_request.closed" }, "");
	selects(r, (struct replay_select){ .events = "pull" }, "");
	selects(r, (struct replay_select){ .delivery = "abc-5" }, "5");
}

static void
count_unindexed(const char *why, void *context)
{
	assert_string_equal(why, "there is no index");
	++*(unsigned *)context;
}

/* What the index rules out is not read; without an index everything is. */
static void
selection_by_the_index(void **state)
{
	struct store_reader *r = *state;
	struct replay_options o = options_new();
	unsigned told = 0;
	o.unindexed = count_unindexed;
	o.context = &told;
	o.select.delivery = "abc-5";
	struct replay_result result = replay(r, &o, RC_OK);
	assert_sent("5");
	assert_true(result.complete && result.next_seq == LOG_EVENTS + 1);
	/* Itself and what the index does not cover. */
	assert_int_equal(r->read, 3);
	assert_int_equal(result.scanned, 3);
	assert_int_equal(told, 0);
	o.select.delivery = "abc-6";
	o.select.to_seq = 7;
	r->read = 0;
	assert_true(replay(r, &o, RC_OK).complete && r->read == 0);
	r->covered = 0;
	assert_true(replay(r, &o, RC_OK).complete && r->read >= 7);
	assert_int_equal(told, 1);
}

static void
selection_by_repository(void **state)
{
	struct store_reader *r = *state;
	log_events[0].body = bytes_str("{\"repository\":{\"id\":78,\"full_name\":\"kiln/other\"}}");
	log_events[1].body = bytes_str("{\"zen\":\"no repository\"}");
	log_events[2].body = bytes_str("not JSON kiln/weir 77");
	log_events[3].body = bytes_str("{\"repository\":null}");
	log_events[4].body =
		bytes_str("payload=%7B%22repository%22%3A%7B%22id%22%3A77%2C%22full_name%22"
			  "%3A%22kiln%2Fweir%22%7D%7D");
	log_events[4].content_type = bytes_str("application/x-www-form-urlencoded");
	selects(r, (struct replay_select){ .repository = "kiln/weir", .to_seq = 6 }, "5 6");
	selects(r, (struct replay_select){ .repository = "77", .to_seq = 6 }, "5 6");
	selects(r, (struct replay_select){ .repository = "78" }, "1");
	selects(r, (struct replay_select){ .repository = "kiln/wei" }, "");
}

static void
selection_by_payload(void **state)
{
	struct store_reader *r = *state;
	log_events[1].provider = bytes_str("gitlab");
	log_events[1].body = bytes_str("{\"user\":{\"username\":\"Mira\",\"id\":9},"
				       "\"project\":{\"id\":12,\"path_with_namespace\":\"a/b/c\"},"
				       "\"object_attributes\":{\"action\":\"merge\"}}");
	log_events[2].body = bytes_str("{\"action\":\"closed\",\"n\":1e1,\"sender\":{\"login\":"
				       "\"mira\",\"id\":5},\"labels\":[{\"name\":\"x\"},{\"name\":"
				       "\"a and b\"}]}");
	log_events[3].body =
		bytes_str("{\"n\":\"10\",\"ok\":true,\"at\":\"2026-03-01T00:00:00Z\"}");
	log_events[4].body = bytes_str("payload=%7B%22n%22%3A9%7D");
	log_events[4].content_type = bytes_str("application/x-www-form-urlencoded");
	log_events[5].origin = EVENT_ORIGIN_BACKFILL;
	log_events[6].body = bytes_str("{\"n\":10,");
	selects(r, (struct replay_select){ .providers = "gitlab, gitea" }, "2");
	selects(r, (struct replay_select){ .origins = "backfill" }, "6");
	selects(r, (struct replay_select){ .origins = "poll,webhook", .from_seq = 5 },
		"5 7 8 9 10");
	selects(r, (struct replay_select){ .actions = "closed,merge" }, "2 3");
	selects(r, (struct replay_select){ .actions = "close" }, "");
	selects(r, (struct replay_select){ .actions = "opened", .events = "push.opened" },
		"1 6 10");
	selects(r, (struct replay_select){ .senders = "MIRA" }, "2 3");
	selects(r, (struct replay_select){ .senders = "ada,5" }, "3");
	selects(r, (struct replay_select){ .repository = "A/B/C" }, "2");
	selects(r, (struct replay_select){ .repository = "12" }, "2");
	selects(r, (struct replay_select){ .where = "n=10" }, "3 4");
	selects(r, (struct replay_select){ .where = "n < 10" }, "5");
	selects(r, (struct replay_select){ .where = "n>=9 and n!=10" }, "5");
	selects(r, (struct replay_select){ .where = "ok=true" }, "4");
	selects(r, (struct replay_select){ .where = "at>2026-02" }, "4");
	selects(r, (struct replay_select){ .where = "at<=2026-02" }, "");
	selects(r, (struct replay_select){ .where = "labels[].name=x" }, "3");
	selects(r, (struct replay_select){ .where = "labels[].name=y" }, "");
	selects(r, (struct replay_select){ .where = "repository.id!=77" }, "");
}

static void
wrong_selections(void **state)
{
	struct store_reader *r = *state;
	struct replay_options o = options_new();
	static const struct replay_select wrong[] = { { .events = "push,,star" }, { .events = "" },
		{ .sources = "alpha," }, { .repository = "kiln" }, { .repository = "/weir" },
		{ .repository = "kiln/" }, { .repository = "" }, { .providers = "," },
		{ .actions = "" }, { .senders = "a,,b" }, { .origins = "wind" }, { .where = "" },
		{ .where = "a.b" }, { .where = "=1" }, { .where = "a!1" }, { .where = "a..b=1" },
		{ .where = "a=1 and b" } };
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		o.select = wrong[i];
		(void)replay(r, &o, RC_INVALID);
	}
	o.select = (struct replay_select){ 0 };
	o.target = "elsewhere";
	(void)replay(r, &o, RC_INVALID);
	assert_int_equal(target.calls, 0);
}

static void
an_old_range_is_gone(void **state)
{
	struct store_reader *r = *state;
	r->first_seq = 4;
	selects(r, (struct replay_select){ .to_seq = 5 }, "4 5");
	struct replay_options o = options_new();
	o.select.from_seq = 3;
	target.calls = 0;
	(void)replay(r, &o, RC_NOTFOUND);
	assert_int_equal(target.calls, 0);
	*r = (struct store_reader){ 0 };
	selects(r, (struct replay_select){ 0 }, "");
}

static void
retries_until_it_is_taken(void **state)
{
	struct replay_options o = options_new();
	o.select.to_seq = 3;
	target.rcs[1] = target.rcs[2] = RC_AGAIN;
	target.answers[1].retry_after_s = target.answers[2].retry_after_s = -1;
	target.count = 3;
	struct replay_result result = replay(*state, &o, RC_OK);
	assert_sent("1 2 2 2 3");
	assert_int_equal(result.sent, 3);
	assert_int_equal(result.retried, 2);
	assert_true(result.complete && target.complete);
}

static void
gives_up_after_the_retries(void **state)
{
	struct replay_options o = options_new();
	o.keep_going = true;
	for (size_t i = 1; i < 4; i++)
		target.rcs[i] = RC_AGAIN;
	target.count = 4;
	/* Nobody answers: passing over events would pass over all of them. */
	struct replay_result result = replay(*state, &o, RC_AGAIN);
	assert_sent("1 2 2 2");
	assert_int_equal(result.sent, 1);
	assert_int_equal(result.next_seq, 2);
	assert_false(result.complete);
	assert_true(target.closed && !target.complete);
}

static void
passes_over_what_only_this_event_breaks(void **state)
{
	struct replay_options o = options_new();
	o.keep_going = true;
	o.select.to_seq = 3;
	for (size_t i = 1; i < 4; i++) {
		target.rcs[i] = RC_AGAIN;
		target.answers[i].about_event = true;
	}
	target.count = 4;
	struct replay_result result = replay(*state, &o, RC_OK);
	assert_sent("1 2 2 2 3");
	assert_int_equal(result.sent, 2);
	assert_int_equal(result.refused, 1);
	assert_true(result.complete);
}

static void
stops_at_the_first_refusal(void **state)
{
	struct replay_options o = options_new();
	target.rcs[2] = RC_DENIED;
	target.count = 3;
	struct replay_result result = replay(*state, &o, RC_DENIED);
	assert_sent("1 2 3");
	assert_int_equal(result.refused, 1);
	assert_int_equal(result.next_seq, 3);
	/* And goes on from there. */
	o.select.from_seq = result.next_seq;
	o.select.to_seq = 5;
	target.calls = target.count = 0;
	result = replay(*state, &o, RC_OK);
	assert_sent("3 4 5");
	assert_int_equal(result.next_seq, 6);
}

static void
count_refusal(uint64_t seq, const struct err *why, void *context)
{
	assert_true(strcmp(why->text, "no") == 0 || strstr(why->text, "is too large") != NULL);
	*(uint64_t *)context = *(uint64_t *)context * 100 + seq;
}

static void
keeps_going_when_told_to(void **state)
{
	struct replay_options o = options_new();
	uint64_t refused = 0;
	o.keep_going = true;
	o.select.to_seq = 5;
	o.refused = count_refusal;
	o.context = &refused;
	target.rcs[1] = target.rcs[3] = RC_DENIED;
	target.count = 4;
	struct replay_result result = replay(*state, &o, RC_OK);
	assert_sent("1 2 3 4 5");
	assert_int_equal(result.sent, 3);
	assert_int_equal(result.refused, 2);
	assert_int_equal(refused, 204);
}

static void
a_loop_stops_even_who_keeps_going(void **state)
{
	struct replay_options o = options_new();
	o.keep_going = true;
	target.rcs[0] = RC_CONFLICT;
	target.count = 1;
	struct replay_result result = replay(*state, &o, RC_CONFLICT);
	assert_sent("1");
	assert_int_equal(result.sent, 0);
}

static void
limits(void **state)
{
	struct replay_options o = options_new();
	o.limit = 2;
	o.select.events = "push";
	struct replay_result result = replay(*state, &o, RC_OK);
	assert_sent("1 5");
	assert_int_equal(result.next_seq, 6);
	assert_false(result.complete || result.interrupted);
	/* What a limit asked for is all that was asked for. */
	assert_true(target.complete);
	o.select.from_seq = 6;
	target.calls = 0;
	result = replay(*state, &o, RC_OK);
	assert_sent("6 10");
	assert_true(result.complete);
}

static void
stops_after_the_event_in_flight_and_goes_on(void **state)
{
	struct replay_options o = options_new();
	assert_int_equal(pipe(target.stop_pipe), 0);
	o.stop_fd = target.stop_pipe[0];
	target.stop_at_call = 4;
	struct replay_result result = replay(*state, &o, RC_OK);
	assert_sent("1 2 3 4");
	assert_true(result.interrupted && !result.complete && !target.complete);
	assert_int_equal(result.sent, 4);
	assert_int_equal(result.next_seq, 5);
	/* Still asked to stop: nothing more is sent, nothing is skipped. */
	o.select.from_seq = 5;
	target.calls = 0;
	result = replay(*state, &o, RC_OK);
	assert_int_equal(target.calls, 0);
	assert_int_equal(result.next_seq, 5);
	o.stop_fd = -1;
	result = replay(*state, &o, RC_OK);
	assert_sent("5 6 7 8 9 10");
	close(target.stop_pipe[0]);
	close(target.stop_pipe[1]);
}

static void
what_a_target_forgets_was_not_sent(void **state)
{
	struct replay_options o = options_new();
	target.forgets = true;
	target.rcs[3] = RC_IO;
	target.count = 4;
	o.select.from_seq = 2;
	struct replay_result result = replay(*state, &o, RC_IO);
	assert_sent("2 3 4 5");
	assert_int_equal(result.sent, 0);
	assert_int_equal(result.next_seq, 2);
	assert_false(result.complete || target.complete);
}

static void
a_stop_ends_the_wait_for_a_retry(void **state)
{
	struct replay_options o = options_new();
	assert_int_equal(pipe(target.stop_pipe), 0);
	o.stop_fd = target.stop_pipe[0];
	o.backoff_first_ms = 3600000;
	target.rcs[1] = RC_AGAIN;
	/* An hour: only the stop can end this. */
	target.answers[1].retry_after_s = 3600;
	target.count = 2;
	target.stop_at_call = 2;
	struct replay_result result = replay(*state, &o, RC_OK);
	assert_sent("1 2");
	assert_true(result.interrupted);
	assert_int_equal(result.next_seq, 2);
	close(target.stop_pipe[0]);
	close(target.stop_pipe[1]);
}

/* By several threads or one after the other, as a limit demands. */
static void
what_is_too_large_for_a_file_is_refused_alone(void **state)
{
	for (uint64_t limit = 0; limit <= LOG_EVENTS; limit += LOG_EVENTS) {
		struct replay_options o = options_new();
		uint64_t refused = 0;
		o.target = "rows";
		o.limit = limit;
		o.refused = count_refusal;
		o.context = &refused;
		target = (struct target){ .stop_pipe = { -1, -1 }, .too_large = 5 };
		struct replay_result result = replay(*state, &o, RC_DENIED);
		assert_string_equal(target.rows, "1(b) 2(b) 3(b) 4(b) ");
		assert_true(result.sent == 4 && result.refused == 1 && result.next_seq == 5);
		assert_true(target.closed && !target.complete);
		o.keep_going = true;
		target = (struct target){ .stop_pipe = { -1, -1 }, .too_large = 5 };
		result = replay(*state, &o, RC_OK);
		assert_string_equal(
			target.rows, "1(b) 2(b) 3(b) 4(b) 6(b) 7(b) 8(b) 9(b) 10(b) ");
		assert_true(result.sent == 9 && result.refused == 1 && refused == 5);
		assert_true(target.complete && result.complete);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(selection, set_up),
		cmocka_unit_test_setup(selection_by_the_index, set_up),
		cmocka_unit_test_setup(selection_by_repository, set_up),
		cmocka_unit_test_setup(selection_by_payload, set_up),
		cmocka_unit_test_setup(wrong_selections, set_up),
		cmocka_unit_test_setup(an_old_range_is_gone, set_up),
		cmocka_unit_test_setup(retries_until_it_is_taken, set_up),
		cmocka_unit_test_setup(gives_up_after_the_retries, set_up),
		cmocka_unit_test_setup(passes_over_what_only_this_event_breaks, set_up),
		cmocka_unit_test_setup(stops_at_the_first_refusal, set_up),
		cmocka_unit_test_setup(keeps_going_when_told_to, set_up),
		cmocka_unit_test_setup(a_loop_stops_even_who_keeps_going, set_up),
		cmocka_unit_test_setup(limits, set_up),
		cmocka_unit_test_setup(what_is_too_large_for_a_file_is_refused_alone, set_up),
		cmocka_unit_test_setup(stops_after_the_event_in_flight_and_goes_on, set_up),
		cmocka_unit_test_setup(what_a_target_forgets_was_not_sent, set_up),
		cmocka_unit_test_setup(a_stop_ends_the_wait_for_a_retry, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
