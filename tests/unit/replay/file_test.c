/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/xxh.h"
#include "replay/replay.h"
#include "tests/tools/folder.h"

/* Replays into files by several threads at once: the store's functions are defined here, events are made of
 * their number, and the files are real. */

#define LOG_EVENTS 3000
#define LARGE_SEQ 1500
#define RAW(s) { (const unsigned char *)(s), sizeof(s) - 1 }

static char folder[] = "/tmp/hooklog-file-test.XXXXXX";
static unsigned char large[5 * 1024 * 1024]; /* more than a turn holds at a time */

/* What comes out of a line byte for byte, in one form of body or another. */
static const struct bytes bodies[] = {
	RAW("{\"a\":1,\"a\":2,\"n\":123456789012345678901234567890.10e+400}"),
	RAW("{}"),
	RAW("[]"),
	RAW(""),
	RAW("{\"a\":1} "),
	RAW(" {\"a\":1}"),
	RAW("{\n  \"pretty\": true\n}\n"),
	RAW("{\"a\":\r1}"),
	RAW("\xef\xbb\xbf{\"mark\":1}"),
	RAW("{\"lone\":\"\\ud800\",\"e\":\"\xc3\xa9 \\u00e9 \\/\"}"),
	RAW("{\"bad\":\"\xff\"}"),
	RAW("{\"nul\":\"\0\"}"),
	RAW("\"{}\""),
	RAW("payload=%7B%22zen%22%3A1%7D"),
	RAW("{\"a\":1}{\"b\":2}"),
	RAW("{\"open\":"),
};

struct store_reader {
	uint64_t damaged; /* 0: none */
};

static struct event
event_of(uint64_t seq)
{
	struct event ev = { .seq = seq,
		.received_at_us = (int64_t)seq * 1000,
		.source = bytes_str(seq % 3 == 0 ? "gh" : "forge"),
		.provider = bytes_str("github"),
		.event = bytes_str("push"),
		.content_type = bytes_str("application/json"),
		.body = bodies[seq % COUNT_OF(bodies)] };
	if (seq == LARGE_SEQ)
		ev.body = (struct bytes){ large, sizeof large };
	xxh128(ev.body, ev.body_xxh128);
	return ev;
}

enum rc
store_span(struct store_reader *r UNUSED, struct store_span *span, struct err *e UNUSED)
{
	*span = (struct store_span){ .first_seq = 1, .last_seq = LOG_EVENTS };
	return RC_OK;
}

enum rc
store_seq_at(struct store_reader *r UNUSED, int64_t at_us, uint64_t *seq, struct err *e UNUSED)
{
	*seq = (uint64_t)at_us / 1000;
	return RC_OK;
}

enum rc
store_read(struct store_reader *r, uint64_t seq, size_t max_count, size_t max_bytes,
	struct arena *a, const struct store_record **records, size_t *count, struct err *e)
{
	struct store_record *list = arena_zalloc(a, max_count * sizeof(*list));
	size_t bytes = 0;
	*count = 0;
	for (; seq <= LOG_EVENTS && *count < max_count && bytes < max_bytes; seq++) {
		if (seq == r->damaged && *count > 0)
			break;
		if (seq == r->damaged)
			return err_set(e, RC_CORRUPT, "log.damaged", "event %" PRIu64 " is damaged", seq);
		list[*count].event = event_of(seq);
		bytes += list[(*count)++].event.body.len;
	}
	*records = list;
	return RC_OK;
}

enum rc
store_reader_share(struct store_reader *other, struct store_reader **r, struct err *e UNUSED)
{
	*r = base_alloc(sizeof **r);
	**r = *other;
	return RC_OK;
}

void
store_reader_close(struct store_reader *r)
{
	free(r);
}

/* The index knows where the events of "gh" are. */
struct store_finder *
store_finder_open(struct store_reader *r UNUSED, const struct store_wanted *wanted UNUSED)
{
	return base_zalloc(1);
}

void
store_finder_close(struct store_finder *f)
{
	free(f);
}

void
store_finder_next(struct store_finder *f UNUSED, uint64_t seq, uint64_t *first, uint64_t *last)
{
	*first = *last = (seq + 2) / 3 * 3;
}

const char *
store_finder_problem(const struct store_finder *f UNUSED)
{
	return NULL;
}

static const char *
path_of(const char *name, struct arena *a)
{
	return arena_printf(a, "%s/%s", folder, name);
}

static struct bytes
content(const char *path, struct arena *a)
{
	struct stat st;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	unsigned char *data = arena_alloc(a, (size_t)st.st_size + 1);
	size_t n = fread(data, 1, (size_t)st.st_size + 1, f);
	assert_int_equal(n, st.st_size);
	fclose(f);
	return (struct bytes){ data, n };
}

static struct replay_options
options_to(const char *path)
{
	return (struct replay_options){ .target = path, .stop_fd = -1, .force = true };
}

/* Every event, in order, with the bytes it was received with. */
static void
lines_hold_every_event(void **state UNUSED)
{
	struct arena *a = arena_new(1 << 20);
	struct event_parser *p = event_parser_new();
	struct store_reader r = { 0 };
	struct replay_options o = options_to(path_of("lines", a));
	struct replay_result result;
	struct err e = { .text = "" };
	if (replay_run(&r, &o, &result, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(result.complete && result.sent == LOG_EVENTS && result.scanned == LOG_EVENTS);
	assert_true(result.first_seq == 1 && result.last_seq == LOG_EVENTS);
	assert_int_equal(result.next_seq, LOG_EVENTS + 1);
	struct bytes rest = content(o.target, a);
	for (uint64_t seq = 1; seq <= LOG_EVENTS; seq++) {
		const unsigned char *end = memchr(rest.data, '\n', rest.len);
		struct event ev, want = event_of(seq);
		assert_non_null(end);
		struct bytes line = { rest.data, (size_t)(end - rest.data) };
		if (event_from_json(p, line, a, &ev, &e) != RC_OK)
			fail_msg("line %" PRIu64 ": %s", seq, e.text);
		assert_int_equal(ev.seq, seq);
		if (!bytes_equal(ev.body, want.body))
			fail_msg("other bytes in line %" PRIu64, seq);
		rest = (struct bytes){ end + 1, rest.len - line.len - 1 };
	}
	assert_int_equal(rest.len, 0);
	event_parser_free(p);
	arena_free(a);
}

/* One thread that takes event after event makes the same file, of every form. */
static void
same_as_one_by_one(void **state UNUSED)
{
	static const char *const formats[] = { "ndjson", "http", "msgpack", "cloudevents" };
	struct arena *a = arena_new(1 << 20);
	struct store_reader r = { 0 };
	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		struct replay_options o = options_to(path_of("all", a));
		struct replay_result many, one;
		o.format = formats[i];
		assert_int_equal(replay_run(&r, &o, &many, NULL), RC_OK);
		struct bytes fast = content(o.target, a);
		o.limit = LOG_EVENTS;
		assert_int_equal(replay_run(&r, &o, &one, NULL), RC_OK);
		assert_true(bytes_equal(fast, content(o.target, a)));
		assert_true(many.sent == one.sent && many.body_bytes == one.body_bytes);
		arena_reset(a);
	}
	arena_free(a);
}

static void
only_what_is_selected(void **state UNUSED)
{
	struct arena *a = arena_new(1 << 20);
	struct store_reader r = { 0 };
	struct replay_options o = options_to(path_of("some", a));
	struct replay_result result;
	o.select = (struct replay_select){ .sources = "gh", .from_seq = 100, .to_seq = 2000 };
	assert_int_equal(replay_run(&r, &o, &result, NULL), RC_OK);
	assert_true(result.sent == 633 && result.first_seq == 102 && result.last_seq == 1998);
	assert_int_equal(result.next_seq, 2001);
	struct bytes lines = content(o.target, a);
	size_t n = 0;
	for (size_t i = 0; i < lines.len; i++)
		n += lines.data[i] == '\n';
	assert_int_equal(n, 633);
	arena_free(a);
}

/* What was written is no whole file, so it goes. */
static void
nothing_is_left_of_an_end(void **state UNUSED)
{
	struct arena *a = arena_new(4096);
	struct store_reader r = { .damaged = 2000 };
	struct replay_options o = options_to(path_of("damaged", a));
	struct replay_result result;
	struct err e = { .text = "" };
	assert_int_equal(replay_run(&r, &o, &result, &e), RC_CORRUPT);
	assert_string_equal(e.text, "event 2000 is damaged");
	assert_false(result.complete || fs_exists(o.target));
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	r.damaged = 0;
	o.stop_fd = ends[0];
	assert_int_equal(replay_run(&r, &o, &result, &e), RC_OK);
	assert_true(result.interrupted && !result.complete && result.sent == 0);
	assert_false(fs_exists(o.target));
	close(ends[0]);
	close(ends[1]);
	arena_free(a);
}

static void
count_reports(const struct replay_result *so_far, void *context)
{
	pthread_t *thread = context;
	assert_true(pthread_equal(*thread, pthread_self()));
	assert_true(so_far->sent <= LOG_EVENTS);
}

static void
progress_is_told_to_the_caller(void **state UNUSED)
{
	struct arena *a = arena_new(4096);
	struct store_reader r = { 0 };
	struct replay_options o = options_to(path_of("progress", a));
	struct replay_result result;
	pthread_t self = pthread_self();
	o.progress = count_reports;
	o.context = &self;
	assert_int_equal(replay_run(&r, &o, &result, NULL), RC_OK);
	arena_free(a);
}

static int
set_up(void **state UNUSED)
{
	memset(large, 'x', sizeof large);
	large[0] = large[sizeof large - 1] = '"';
	return mkdtemp(folder) == NULL;
}

static int
tear_down(void **state UNUSED)
{
	folder_remove(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_hold_every_event),
		cmocka_unit_test(same_as_one_by_one),
		cmocka_unit_test(only_what_is_selected),
		cmocka_unit_test(nothing_is_left_of_an_end),
		cmocka_unit_test(progress_is_told_to_the_caller),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
