/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/fs.h"
#include "event/sign.h"
#include "replay/target.h"
#include "tests/unit/http/server.h"

#define OK "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

static const struct event_header headers[] = {
	{ { (const unsigned char *)"Host", 4 }, { (const unsigned char *)"old.example", 11 } },
	{ { (const unsigned char *)"X-GitHub-Event", 14 }, { (const unsigned char *)"push", 4 } },
	{ { (const unsigned char *)"X-Hub-Signature-256", 19 },
		{ (const unsigned char *)"sha256=0123", 11 } },
	{ { (const unsigned char *)"X-Token", 7 },
		{ (const unsigned char *)"redacted:0123456789abcdef", 25 } },
	{ { (const unsigned char *)"content-length", 14 }, { (const unsigned char *)"999", 3 } },
	{ { (const unsigned char *)"User-Agent", 10 }, { (const unsigned char *)"Forge/9", 7 } },
	{ { (const unsigned char *)"X-Hooklog-Log", 13 }, { (const unsigned char *)"aa", 2 } },
	{ { (const unsigned char *)"X-Hooklog-Replay", 16 },
		{ (const unsigned char *)"run=old, seq=3", 14 } },
	{ { (const unsigned char *)"Content-Type", 12 },
		{ (const unsigned char *)"application/json", 16 } },
};

static struct event
event_new(void)
{
	return (struct event){ .seq = 812,
		.provider = bytes_str("github"),
		.event = bytes_str("push"),
		.delivery = bytes_str("d-1"),
		.method = bytes_str("POST"),
		.path = bytes_str("/in/old"),
		.query = bytes_str("a=1&b=2"),
		.content_type = bytes_str("application/json"),
		.headers = headers,
		.header_count = COUNT_OF(headers),
		.body = bytes_str("{\"a\": 1}\n") };
}

/* Opens an HTTP target, sends ev once and closes it. */
static enum rc
send_once(const struct server *s, const char *rest, struct bytes secret, const struct event *ev,
	struct replay_answer *answer, struct err *e)
{
	char url[128];
	url_of(s, rest, url, sizeof(url));
	struct replay_target_options o = {
		.spec = url, .secret = secret, .run = "r7", .log_id = { 0xab, 0xcd, 0xef }
	};
	const struct replay_target_kind *kind;
	void *state;
	*answer = (struct replay_answer){ .retry_after_s = -1 };
	assert_int_equal(replay_target_find(url, NULL, &kind, e), RC_OK);
	assert_ptr_equal(kind, &replay_target_http);
	assert_int_equal(kind->open(&state, &o, e), RC_OK);
	enum rc rc = kind->send(state, &ev, 1, answer, e);
	assert_int_equal(kind->close(state, rc == RC_OK, NULL), RC_OK);
	return rc;
}

static void
has(struct server *s, const char *line)
{
	if (strstr(buf_cstr(&s->requests), line) == NULL)
		fail_msg("no '%s' in %s", line, buf_cstr(&s->requests));
}

static void
has_not(struct server *s, const char *text)
{
	if (strcasestr(buf_cstr(&s->requests), text) != NULL)
		fail_msg("'%s' in %s", text, buf_cstr(&s->requests));
}

static void
sends_the_original_request(void **unused UNUSED)
{
	static const char *const answers[] = { OK };
	struct server s;
	struct replay_answer answer;
	struct err e;
	struct event ev = event_new();
	server_start(&s, answers, 1);
	assert_int_equal(send_once(&s, "/new#part", bytes_str(""), &ev, &answer, &e), RC_OK);
	server_stop(&s);
	has(&s, "POST /new?a=1&b=2 HTTP/1.1\r\n");
	has(&s, "\r\nX-GitHub-Event: push\r\n");
	has(&s, "\r\nUser-Agent: Forge/9\r\n");
	has(&s, "\r\nContent-Type: application/json\r\n");
	has(&s, "\r\nContent-Length: 9\r\n");
	has(&s, "\r\nX-Hooklog-Replay: run=r7, seq=812\r\n");
	has(&s, "\r\nX-Hooklog-Delivery: d-1\r\n");
	/* The way so far, and this log. */
	has(&s, "\r\nX-Hooklog-Log: aa\r\n");
	has(&s, "\r\nX-Hooklog-Log: abcdef00000000000000000000000000\r\n");
	/* Missing from the stored ones. */
	has(&s, "\r\nX-GitHub-Delivery: d-1\r\n");
	has(&s, "\r\n\r\n{\"a\": 1}\n");
	has_not(&s, "old.example");
	has_not(&s, "999");
	has_not(&s, "X-Hub-Signature");
	has_not(&s, "X-Token");
	has_not(&s, "run=old");
	buf_free(&s.requests);
}

static void
signs_with_the_targets_secret(void **unused UNUSED)
{
	static const char *const answers[] = { OK };
	struct server s;
	struct replay_answer answer;
	struct err e;
	struct event ev = event_new();
	struct bytes secret = bytes_str("the target's own secret");
	struct buf want = buf_new(256);
	buf_put_str(&want, "\r\n" SIGN_GITHUB_HEADER ": ");
	sign_github(secret, ev.body, &want);
	buf_put_str(&want, "\r\n");
	server_start(&s, answers, 1);
	/* The query that was named wins over the stored one. */
	assert_int_equal(send_once(&s, "/new?z=9", secret, &ev, &answer, &e), RC_OK);
	server_stop(&s);
	has(&s, "POST /new?z=9 HTTP/1.1\r\n");
	has(&s, buf_cstr(&want));
	has_not(&s, "sha256=0123\r");
	buf_free(&want);
	buf_free(&s.requests);
}

static void
an_event_without_headers_gets_those_of_its_provider(void **unused UNUSED)
{
	static const char *const answers[] = { OK };
	struct server s;
	struct replay_answer answer;
	struct err e;
	struct event ev = event_new();
	ev.headers = NULL;
	ev.header_count = 0;
	ev.hook = bytes_str("31");
	server_start(&s, answers, 1);
	assert_int_equal(send_once(&s, "/", bytes_str(""), &ev, &answer, &e), RC_OK);
	server_stop(&s);
	has(&s, "\r\nContent-Type: application/json\r\n");
	has(&s, "\r\nX-GitHub-Event: push\r\n");
	has(&s, "\r\nX-GitHub-Delivery: d-1\r\n");
	has(&s, "\r\nX-GitHub-Hook-ID: 31\r\n");
	buf_free(&s.requests);
}

static void
judges_answers(void **unused UNUSED)
{
	static const struct {
		const char *answer;
		enum rc rc;
		const char *id;
		int64_t retry_after_s;
		bool about_event;
	} cases[] = {
		{ "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", RC_OK, NULL, -1, false },
		{ "HTTP/1.1 301 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", RC_DENIED,
			"replay.refused", -1, false },
		{ "HTTP/1.1 400 x\r\nContent-Length: 4\r\n\r\nbad!", RC_DENIED, "replay.refused",
			-1, false },
		{ "HTTP/1.1 409 x\r\nContent-Length: 4\r\n\r\ntwin", RC_DENIED, "replay.refused",
			-1, false },
		{ "HTTP/1.1 409 x\r\nContent-Length: 36\r\n\r\nlog "
		  "abcdef00000000000000000000000000",
			RC_CONFLICT, "replay.loop", -1, false },
		{ "HTTP/1.1 410 x\r\nContent-Length: 0\r\n\r\n", RC_NOTFOUND, "replay.gone", -1,
			false },
		{ "HTTP/1.1 429 x\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", RC_AGAIN,
			"replay.unreachable", 5, false },
		{ "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", RC_AGAIN, "replay.unreachable", -1,
			true },
		{ "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", RC_AGAIN,
			"replay.unreachable", 7, false },
		{ NULL, RC_AGAIN, "replay.unreachable", -1, false },
	};
	struct event ev = event_new();
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct server s;
		struct replay_answer answer;
		struct err e = { 0 };
		server_start(&s, &cases[i].answer, 1);
		assert_int_equal(send_once(&s, "/", bytes_str(""), &ev, &answer, &e), cases[i].rc);
		server_stop(&s);
		assert_int_equal(answer.retry_after_s, cases[i].retry_after_s);
		assert_int_equal(answer.about_event, cases[i].about_event);
		if (cases[i].id != NULL)
			assert_string_equal(e.id, cases[i].id);
		buf_free(&s.requests);
	}
}

static void
a_header_that_cannot_be_sent_is_a_refusal(void **unused UNUSED)
{
	struct server s;
	struct replay_answer answer;
	struct err e;
	struct event ev = event_new();
	struct event_header bad = { bytes_str("X-Bad"), bytes_str("a\r\nX-Smuggled: b") };
	ev.headers = &bad;
	ev.header_count = 1;
	server_start(&s, NULL, 0);
	assert_int_equal(send_once(&s, "/", bytes_str(""), &ev, &answer, &e), RC_DENIED);
	server_stop(&s);
	assert_int_equal(s.requests.len, 0);
	buf_free(&s.requests);
}

/* ---- files ---- */

struct folder {
	char dir[64], path[96], spec[128];
};

static void
folder_new(struct folder *f)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(f->dir, sizeof(f->dir), "%.40s/replay-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/out.ndjson", f->dir);
	snprintf(f->spec, sizeof(f->spec), "file:%s", f->path);
}

static void
folder_remove(struct folder *f)
{
	unlink(f->path);
	/* Fails when an unfinished file was left behind. */
	assert_int_equal(rmdir(f->dir), 0);
}

static enum rc
write_file(const struct folder *f, bool force, unsigned events, bool complete)
{
	struct replay_target_options o = { .spec = f->spec, .force = force };
	const struct replay_target_kind *kind;
	void *state;
	assert_int_equal(replay_target_find(f->spec, NULL, &kind, NULL), RC_OK);
	assert_ptr_equal(kind, &replay_target_ndjson);
	enum rc rc = kind->open(&state, &o, NULL);
	if (rc != RC_OK)
		return rc;
	for (unsigned i = 0; i < events; i++) {
		struct event ev = event_new();
		struct buf text = buf_new(65536);
		struct replay_piece piece = { .at = 0 };
		ev.seq = i + 1;
		kind->put(state, &ev, NULL, &text, &piece);
		assert_int_equal(piece.body.len, 0); /* it has a line break */
		struct iovec line = { text.data, text.len };
		assert_int_equal(kind->write(state, &line, 1, NULL), RC_OK);
		buf_free(&text);
		assert_int_equal(fs_exists(f->path), force);
	}
	return kind->close(state, complete, NULL);
}

static unsigned
lines_in(const struct folder *f)
{
	struct arena *a = arena_new(65536);
	struct bytes content;
	unsigned lines = 0;
	assert_int_equal(fs_read(f->path, 1000000, a, &content, NULL), RC_OK);
	while (content.len > 0) {
		const unsigned char *end = memchr(content.data, '\n', content.len);
		assert_non_null(end);
		size_t len = (size_t)(end - content.data);
		json_t *line =
			json_loadb((const char *)content.data, len, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(line);
		assert_int_equal(json_integer_value(json_object_get(line, "seq")), ++lines);
		assert_string_equal(
			json_string_value(json_object_get(line, "body")), "{\"a\": 1}\n");
		json_decref(line);
		content.data += len + 1;
		content.len -= len + 1;
	}
	arena_free(a);
	return lines;
}

static void
a_file_appears_when_it_is_whole(void **unused UNUSED)
{
	struct folder f;
	folder_new(&f);
	assert_int_equal(write_file(&f, false, 3, true), RC_OK);
	assert_int_equal(lines_in(&f), 3);
	folder_remove(&f);
}

static void
an_unfinished_file_is_removed(void **unused UNUSED)
{
	struct folder f;
	folder_new(&f);
	assert_int_equal(write_file(&f, false, 3, false), RC_OK);
	assert_false(fs_exists(f.path));
	folder_remove(&f);
}

static void
a_file_is_overwritten_only_by_force(void **unused UNUSED)
{
	struct folder f;
	folder_new(&f);
	assert_int_equal(write_file(&f, false, 3, true), RC_OK);
	assert_int_equal(write_file(&f, false, 1, true), RC_CONFLICT);
	assert_int_equal(lines_in(&f), 3);
	/* Not finished: the old one stays. */
	assert_int_equal(write_file(&f, true, 1, false), RC_OK);
	assert_int_equal(lines_in(&f), 3);
	assert_int_equal(write_file(&f, true, 2, true), RC_OK);
	assert_int_equal(lines_in(&f), 2);
	folder_remove(&f);
}

static void
finds_the_kind_of_target(void **unused UNUSED)
{
	const struct replay_target_kind *kind;
	static const char *const files[] = { "-", "out", "./a:b", "file:x", "file:///tmp/x" };
	static const char *const urls[] = { "http://a", "HTTPS://a/b" };
	static const char *const wrong[] = { "", "ftp://a", "kafkas://a/b" };
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		assert_int_equal(replay_target_find(files[i], NULL, &kind, NULL), RC_OK);
		assert_ptr_equal(kind, &replay_target_ndjson);
	}
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		assert_int_equal(replay_target_find(urls[i], NULL, &kind, NULL), RC_OK);
		assert_ptr_equal(kind, &replay_target_http);
	}
	assert_int_equal(replay_target_find("nats://a/b", NULL, &kind, NULL), RC_OK);
	assert_ptr_equal(kind, &replay_target_nats);
	assert_int_equal(replay_target_find("kafka://a/b", NULL, &kind, NULL), RC_OK);
	assert_ptr_equal(kind, &replay_target_kafka);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(replay_target_find(wrong[i], NULL, &kind, NULL), RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_the_original_request),
		cmocka_unit_test(signs_with_the_targets_secret),
		cmocka_unit_test(an_event_without_headers_gets_those_of_its_provider),
		cmocka_unit_test(judges_answers),
		cmocka_unit_test(a_header_that_cannot_be_sent_is_a_refusal),
		cmocka_unit_test(a_file_appears_when_it_is_whole),
		cmocka_unit_test(an_unfinished_file_is_removed),
		cmocka_unit_test(a_file_is_overwritten_only_by_force),
		cmocka_unit_test(finds_the_kind_of_target),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
