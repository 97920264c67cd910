/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "ingest/sources.h"
#include "tests/unit/ingest/world.h"

/* What the receiver answers, and what it hands to the log. */

static void
stored_delivery_is_answered_with_its_number(struct world *w)
{
	struct buf answer, envelope, body;
	struct event ev = { 0 };
	struct err e;
	assert_int_equal(world_post(w, "/in/gh?a=b%20c", bytes_str(WORLD_BODY), &answer), 202);
	const char *text = buf_cstr(&answer);
	assert_non_null(strstr(text, "X-Hooklog-Seq: 1\r\n"));
	assert_non_null(strstr(text, "Connection: close\r\n"));
	assert_non_null(strstr(text, "{\"seq\":1,\"duplicate\":false}"));
	buf_free(&answer);

	struct arena *a = arena_new(4096);
	fake_store_last(w->store, &envelope, &body);
	assert_int_equal(event_decode(buf_bytes(&envelope), a, &ev, &e), RC_OK);
	assert_true(bytes_is(buf_bytes(&body), WORLD_BODY));
	assert_true(bytes_is(ev.source, "gh"));
	assert_true(bytes_is(ev.provider, "github"));
	assert_true(bytes_is(ev.event, "issues"));
	assert_true(bytes_is(ev.delivery, "d-1"));
	assert_true(bytes_is(ev.hook, "7"));
	assert_true(bytes_is(ev.scheme, "hmac-sha256"));
	assert_true(bytes_is(ev.path, "/in/gh"));
	assert_true(bytes_is(ev.query, "a=b%20c"));
	assert_true(bytes_is(ev.content_type, "application/json"));
	assert_int_equal(ev.verified, EVENT_VERIFIED_OK);
	assert_memory_equal(ev.remote.data, "127.0.0.1:", 10);
	char key_id[SOURCE_KEY_ID_BYTES + 1];
	source_key_id(bytes_str(WORLD_SECRET), key_id);
	assert_true(bytes_is(ev.key_id, key_id));
	struct bytes signature = event_header_value(&ev, "X-Hub-Signature-256");
	assert_int_equal(signature.len, strlen("redacted:") + 16);
	assert_memory_equal(signature.data, "redacted:", 9);
	assert_true(bytes_is(ev.headers[0].name, "Host"));
	buf_free(&envelope);
	buf_free(&body);
	arena_free(a);
}

static void
duplicate_is_answered_with_success(struct world *w)
{
	struct buf answer;
	fake_store_plan(w->store, (struct fake_plan){ .duplicate = true });
	assert_int_equal(world_post(w, "/in/gh", bytes_str(WORLD_BODY), &answer), 202);
	assert_non_null(strstr(buf_cstr(&answer), "\"duplicate\":true"));
	buf_free(&answer);
}

#define HEX64                                                                                      \
	"00000000000000000000000000000000"                                                         \
	"00000000000000000000000000000000"

static void
wrong_requests_are_refused_and_nothing_is_stored(struct world *w)
{
	static const struct {
		int status;
		const char *request;
	} cases[] = {
		{ 404, "GET / HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ 404, "POST /in/nobody HTTP/1.1\r\n" WORLD_HEAD "\r\n{}" },
		{ 404, "POST /in/GH HTTP/1.1\r\n" WORLD_HEAD "\r\n{}" },
		{ 404, "POST /in/gh/ HTTP/1.1\r\n" WORLD_HEAD "\r\n{}" },
		{ 404, "POST /in/%67h HTTP/1.1\r\n" WORLD_HEAD "\r\n{}" },
		{ 405, "GET /in/gh HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ 405, "DELETE /in/gh HTTP/1.1\r\n" WORLD_HEAD "\r\n{}" },
		{ 405, "PUT /in/gh HTTP/1.1\r\n" WORLD_HEAD "\r\n{}" },
		{ 405, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD
		       "X-Hub-Signature-256: sha256=\r\n\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD
		       "X-Hub-Signature-256: sha256=zz\r\n\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "X-Hub-Signature-256: sha256=" HEX64
		       "\r\n\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "X-Hub-Signature-256: sha256=" HEX64
		       "0\r\n\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "X-Hub-Signature-256: a\r\n"
		       "X-Hub-Signature-256: b\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "X-GitHub-Delivery: d2\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "Content-Length: 2\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD
		       "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
		       "0\r\n\r\n" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
		       "2\r\n{}\r\n0\r\n\r\n" },
		{ 400, "POST /in/gh HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "2\r\n{}\r\n0\r\n\r\n" },
		{ 400, "POST /in/gh HTTP/1.9\r\n" WORLD_HEAD "\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "X-A: b\001c\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "X\001A: b\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		       "X-GitHub-Delivery: d\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		       "X-GitHub-Event: e\r\n\r\n{}" },
		{ 415, "POST /in/gh HTTP/1.1\r\n" WORLD_HEAD "Content-Encoding: gzip\r\n\r\n{}" },
		{ 413, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 26214401\r\n\r\n" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int status = world_status(w, cases[i].request);
		if (status != cases[i].status)
			fail_msg("want %d, got %d for: %s", cases[i].status, status,
				cases[i].request);
	}
	assert_int_equal(fake_store_count(w->store), 0);
}

static void
unsigned_source_needs_no_signature(struct world *w)
{
	assert_int_equal(world_status(w, "POST /in/open HTTP/1.1\r\n" WORLD_HEAD "\r\n{}"), 202);
	assert_int_equal(
		world_status(w, "POST http://x/in/open HTTP/1.1\r\n" WORLD_HEAD "\r\n{}"), 202);
	assert_int_equal(
		world_status(w, "POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: e\r\n"
				"X-GitHub-Delivery: d\r\nTransfer-Encoding: Chunked\r\n\r\n"
				"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
		202);
	struct buf envelope, body;
	fake_store_last(w->store, &envelope, &body);
	assert_true(bytes_is(buf_bytes(&body), "{}"));
	buf_free(&envelope);
	buf_free(&body);
	assert_int_equal(fake_store_count(w->store), 3);
}

static void
body_limits_hold_for_lengths_and_chunks(struct world *w)
{
	size_t max = LIMIT_BODY_BYTES;
	unsigned char *big = base_zalloc(max + 1);
	assert_int_equal(world_post_status(w, (struct bytes){ big, max }), 202);
	assert_int_equal(world_post_status(w, (struct bytes){ big, max + 1 }), 413);
	assert_int_equal(world_post_status(w, (struct bytes){ NULL, 0 }), 202);
	struct buf request = buf_new(LIMIT_FORM_BODY_BYTES);
	buf_printf(&request,
		"POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: e\r\n"
		"X-GitHub-Delivery: d\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
		max);
	buf_put(&request, big, max);
	buf_put_str(&request, "\r\n1\r\nx\r\n0\r\n\r\n");
	struct buf answer;
	assert_int_equal(world_ask(w, buf_bytes(&request), &answer), 413);
	buf_free(&answer);
	buf_free(&request);
	free(big);
	assert_int_equal(fake_store_count(w->store), 2);
}

static void
own_trouble_is_503(struct world *w)
{
	static const enum rc codes[] = { RC_FULL, RC_AGAIN, RC_IO, RC_CORRUPT };
	struct buf answer;
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		fake_store_plan(w->store, (struct fake_plan){ .submit = codes[i] });
		assert_int_equal(world_post(w, "/in/gh", bytes_str(WORLD_BODY), &answer), 503);
		assert_non_null(strstr(buf_cstr(&answer), "Retry-After: "));
		buf_free(&answer);
		fake_store_plan(w->store, (struct fake_plan){ .commit = codes[i] });
		assert_int_equal(world_post(w, "/in/gh", bytes_str(WORLD_BODY), &answer), 503);
		assert_non_null(strstr(buf_cstr(&answer), "Retry-After: "));
		assert_non_null(strstr(buf_cstr(&answer), "\"id\":\"log.fake\""));
		buf_free(&answer);
	}
	fake_store_plan(w->store, (struct fake_plan){ .commit = RC_INVALID });
	assert_int_equal(world_post_status(w, bytes_str(WORLD_BODY)), 413);
	fake_store_plan(w->store, (struct fake_plan){ 0 });
	assert_int_equal(world_post_status(w, bytes_str(WORLD_BODY)), 202);
}

static void
health_follows_the_log(struct world *w)
{
	assert_int_equal(world_status(w, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	assert_int_equal(world_status(w, "GET /readyz HTTP/1.0\r\n\r\n"), 200);
	assert_int_equal(world_status(w, "HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	fake_store_plan(w->store, (struct fake_plan){ .health = RC_FULL });
	assert_int_equal(world_status(w, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	assert_int_equal(world_status(w, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
	assert_int_equal(world_status(w, "HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
}

static void
pipelined_second_request_is_not_read(struct world *w)
{
	struct buf request = buf_new(64 * 1024), answer;
	world_put_post(&request, "/in/gh", "one", bytes_str(WORLD_BODY), "");
	world_put_post(&request, "/in/gh", "two", bytes_str(WORLD_BODY), "");
	assert_int_equal(world_ask(w, buf_bytes(&request), &answer), 202);
	assert_null(strstr(buf_cstr(&answer) + 9, "HTTP/1.1"));
	buf_free(&answer);
	buf_free(&request);
	assert_int_equal(fake_store_count(w->store), 1);
}

static void
budget_of_bodies_is_shared(struct world *w)
{
	unsigned char *body = base_zalloc(200000);
	w->options.in_flight_bytes_max = 100000;
	world_restart(w);
	assert_int_equal(world_post_status(w, (struct bytes){ body, 100000 }), 202);
	assert_int_equal(world_post_status(w, (struct bytes){ body, 100001 }), 503);
	struct buf request = buf_new(LIMIT_BODY_BYTES), answer;
	buf_printf(&request,
		"POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: e\r\n"
		"X-GitHub-Delivery: d\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
		200000);
	buf_put(&request, body, 200000);
	buf_put_str(&request, "\r\n0\r\n\r\n");
	assert_int_equal(world_ask(w, buf_bytes(&request), &answer), 503);
	buf_free(&answer);
	buf_free(&request);
	/* Everything was given back. */
	assert_int_equal(world_post_status(w, (struct bytes){ body, 100000 }), 202);
	free(body);
}

#define BOTH(X)                                                                                    \
	X(stored_delivery_is_answered_with_its_number)                                             \
	X(duplicate_is_answered_with_success)                                                      \
	X(wrong_requests_are_refused_and_nothing_is_stored)                                        \
	X(unsigned_source_needs_no_signature)                                                      \
	X(body_limits_hold_for_lengths_and_chunks)                                                 \
	X(own_trouble_is_503)                                                                      \
	X(health_follows_the_log)                                                                  \
	X(pipelined_second_request_is_not_read)                                                    \
	X(budget_of_bodies_is_shared)

BOTH(WORLD_DEFINE)

int
main(void)
{
	const struct CMUnitTest tests[] = { BOTH(WORLD_LIST) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
