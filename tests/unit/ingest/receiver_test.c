/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "event/sign.h"
#include "ingest/ingest.h"
#include "ingest/sources.h"
#include "tests/unit/ingest/fake_store.h"

/* The receiver over real sockets and a store that answers as told; everything runs under both
 * threading models. */

#define SECRET "a secret of good length"
#define BODY "{\"action\":\"opened\"}"

struct world {
	enum ingest_threading threading;
	char dir[128];
	struct store *store;
	struct ingest *in;
	struct ingest_options options;
	char sources_dir[160], salt_file[160];
};

static void
start(struct world *w)
{
	struct err e;
	if (ingest_start(&w->in, &w->options, &e) != RC_OK)
		fail_msg("ingest_start: %s", e.text);
}

static struct world *
world_new(enum ingest_threading threading)
{
	struct world *w = base_zalloc(sizeof *w);
	const char *tmp = getenv("TMPDIR");
	const char *path;
	struct err e;
	struct arena *a = arena_new(256);
	snprintf(w->dir, sizeof w->dir, "%s/hooklog-ingest-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->sources_dir, sizeof w->sources_dir, "%s/sources", w->dir);
	snprintf(w->salt_file, sizeof w->salt_file, "%s/salt", w->dir);
	const struct source_plan gh = { "gh", "github", bytes_str(SECRET), false };
	const struct source_plan open = { "open", "github", { NULL, 0 }, true };
	assert_int_equal(source_add(w->sources_dir, &gh, a, &path, &e), RC_OK);
	assert_int_equal(source_add(w->sources_dir, &open, a, &path, &e), RC_OK);
	arena_free(a);
	w->threading = threading;
	w->store = fake_store_new();
	w->options = (struct ingest_options){
		.listen = "127.0.0.1:0",
		.threading = threading,
		.threads = 2,
		.connections_max = 64,
		.sources_dir = w->sources_dir,
		.salt_file = w->salt_file,
		.store = w->store,
	};
	start(w);
	return w;
}

static void
world_free(struct world *w)
{
	ingest_stop(w->in);
	fake_store_free(w->store);
	static const char *const files[] = { "sources/gh.conf", "sources/gh.secret",
		"sources/open.conf", "sources", "salt", "" };
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		char path[320];
		snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
		if (unlink(path) != 0)
			rmdir(path);
	}
	free(w);
}

static int
connect_to(struct world *w)
{
	const char *colon = strrchr(ingest_address(w->in), ':');
	struct sockaddr_in to = { .sin_family = AF_INET };
	to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

/* Sends as much as the peer takes. */
static void
send_all(int fd, const void *data, size_t len)
{
	const unsigned char *p = data;
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

/* Everything until the peer closes; the status, or 0 when there was no answer. */
static int
read_answer(int fd, struct buf *answer)
{
	char part[4096];
	*answer = buf_new(64 * 1024);
	for (ssize_t n; (n = recv(fd, part, sizeof part, 0)) > 0;)
		buf_put(answer, part, (size_t)n);
	close(fd);
	const char *text = buf_cstr(answer);
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static int
ask(struct world *w, struct bytes request, struct buf *answer)
{
	int fd = connect_to(w);
	send_all(fd, request.data, request.len);
	return read_answer(fd, answer);
}

static int
status_of(struct world *w, const char *request)
{
	struct buf answer;
	int status = ask(w, bytes_str(request), &answer);
	buf_free(&answer);
	return status;
}

/* A signed POST; extra holds more header lines. */
static void
put_post(struct buf *out, const char *path, const char *delivery, struct bytes body,
	const char *extra)
{
	buf_printf(out, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		"X-GitHub-Event: issues\r\nX-GitHub-Hook-ID: 7\r\nX-GitHub-Delivery: %s\r\n"
		"Content-Length: %zu\r\nX-Hub-Signature-256: ", path, delivery, body.len);
	sign_github(bytes_str(SECRET), body, out);
	buf_printf(out, "\r\n%s\r\n", extra);
	buf_put_bytes(out, body);
}

static int
post(struct world *w, const char *path, struct bytes body, struct buf *answer)
{
	struct buf request = buf_new(LIMIT_FORM_BODY_BYTES * 2);
	put_post(&request, path, "d-1", body, "");
	int status = ask(w, buf_bytes(&request), answer);
	buf_free(&request);
	return status;
}

static int
post_status(struct world *w, struct bytes body)
{
	struct buf answer;
	int status = post(w, "/in/gh", body, &answer);
	buf_free(&answer);
	return status;
}

static void
stored_delivery_is_answered_with_its_number(struct world *w)
{
	struct buf answer, envelope, body;
	struct event ev = { 0 };
	struct err e;
	assert_int_equal(post(w, "/in/gh?a=b%20c", bytes_str(BODY), &answer), 202);
	const char *text = buf_cstr(&answer);
	assert_non_null(strstr(text, "X-Hooklog-Seq: 1\r\n"));
	assert_non_null(strstr(text, "Connection: close\r\n"));
	assert_non_null(strstr(text, "{\"seq\":1,\"duplicate\":false}"));
	buf_free(&answer);

	struct arena *a = arena_new(4096);
	fake_store_last(w->store, &envelope, &body);
	assert_int_equal(event_decode(buf_bytes(&envelope), a, &ev, &e), RC_OK);
	assert_true(bytes_is(buf_bytes(&body), BODY));
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
	source_key_id(bytes_str(SECRET), key_id);
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
	assert_int_equal(post(w, "/in/gh", bytes_str(BODY), &answer), 202);
	assert_non_null(strstr(buf_cstr(&answer), "\"duplicate\":true"));
	buf_free(&answer);
}

#define HEAD "Host: x\r\nContent-Length: 2\r\nX-GitHub-Event: e\r\nX-GitHub-Delivery: d\r\n"
#define HEX64 "00000000000000000000000000000000" "00000000000000000000000000000000"

static void
wrong_requests_are_refused_and_nothing_is_stored(struct world *w)
{
	static const struct {
		int status;
		const char *request;
	} cases[] = {
		{ 404, "GET / HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ 404, "POST /in/nobody HTTP/1.1\r\n" HEAD "\r\n{}" },
		{ 404, "POST /in/GH HTTP/1.1\r\n" HEAD "\r\n{}" },
		{ 404, "POST /in/gh/ HTTP/1.1\r\n" HEAD "\r\n{}" },
		{ 404, "POST /in/%67h HTTP/1.1\r\n" HEAD "\r\n{}" },
		{ 405, "GET /in/gh HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ 405, "DELETE /in/gh HTTP/1.1\r\n" HEAD "\r\n{}" },
		{ 405, "PUT /in/gh HTTP/1.1\r\n" HEAD "\r\n{}" },
		{ 405, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" HEAD "\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" HEAD "X-Hub-Signature-256: sha256=\r\n\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" HEAD "X-Hub-Signature-256: sha256=zz\r\n\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" HEAD "X-Hub-Signature-256: sha256=" HEX64
			"\r\n\r\n{}" },
		{ 401, "POST /in/gh HTTP/1.1\r\n" HEAD "X-Hub-Signature-256: sha256=" HEX64
			"0\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" HEAD "X-Hub-Signature-256: a\r\n"
			"X-Hub-Signature-256: b\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" HEAD "X-GitHub-Delivery: d2\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
			"0\r\n\r\n" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
			"2\r\n{}\r\n0\r\n\r\n" },
		{ 400, "POST /in/gh HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
			"2\r\n{}\r\n0\r\n\r\n" },
		{ 400, "POST /in/gh HTTP/1.9\r\n" HEAD "\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" HEAD "X-A: b\001c\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\n" HEAD "X\001A: b\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
			"X-GitHub-Delivery: d\r\n\r\n{}" },
		{ 400, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
			"X-GitHub-Event: e\r\n\r\n{}" },
		{ 415, "POST /in/gh HTTP/1.1\r\n" HEAD "Content-Encoding: gzip\r\n\r\n{}" },
		{ 413, "POST /in/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 26214401\r\n\r\n" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int status = status_of(w, cases[i].request);
		if (status != cases[i].status)
			fail_msg("want %d, got %d for: %s", cases[i].status, status, cases[i].request);
	}
	assert_int_equal(fake_store_count(w->store), 0);
}

static void
unsigned_source_needs_no_signature(struct world *w)
{
	assert_int_equal(status_of(w, "POST /in/open HTTP/1.1\r\n" HEAD "\r\n{}"), 202);
	assert_int_equal(status_of(w, "POST http://x/in/open HTTP/1.1\r\n" HEAD "\r\n{}"), 202);
	assert_int_equal(status_of(w, "POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: e\r\n"
		"X-GitHub-Delivery: d\r\nTransfer-Encoding: Chunked\r\n\r\n"
		"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), 202);
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
	assert_int_equal(post_status(w, (struct bytes){ big, max }), 202);
	assert_int_equal(post_status(w, (struct bytes){ big, max + 1 }), 413);
	assert_int_equal(post_status(w, (struct bytes){ NULL, 0 }), 202);
	struct buf request = buf_new(LIMIT_FORM_BODY_BYTES);
	buf_printf(&request, "POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: e\r\n"
		"X-GitHub-Delivery: d\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", max);
	buf_put(&request, big, max);
	buf_put_str(&request, "\r\n1\r\nx\r\n0\r\n\r\n");
	struct buf answer;
	assert_int_equal(ask(w, buf_bytes(&request), &answer), 413);
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
		assert_int_equal(post(w, "/in/gh", bytes_str(BODY), &answer), 503);
		assert_non_null(strstr(buf_cstr(&answer), "Retry-After: "));
		buf_free(&answer);
		fake_store_plan(w->store, (struct fake_plan){ .commit = codes[i] });
		assert_int_equal(post(w, "/in/gh", bytes_str(BODY), &answer), 503);
		assert_non_null(strstr(buf_cstr(&answer), "Retry-After: "));
		assert_non_null(strstr(buf_cstr(&answer), "\"id\":\"log.fake\""));
		buf_free(&answer);
	}
	fake_store_plan(w->store, (struct fake_plan){ .commit = RC_INVALID });
	assert_int_equal(post_status(w, bytes_str(BODY)), 413);
	fake_store_plan(w->store, (struct fake_plan){ 0 });
	assert_int_equal(post_status(w, bytes_str(BODY)), 202);
}

static void
health_follows_the_log(struct world *w)
{
	assert_int_equal(status_of(w, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	assert_int_equal(status_of(w, "GET /readyz HTTP/1.0\r\n\r\n"), 200);
	assert_int_equal(status_of(w, "HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	fake_store_plan(w->store, (struct fake_plan){ .health = RC_FULL });
	assert_int_equal(status_of(w, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	assert_int_equal(status_of(w, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
	assert_int_equal(status_of(w, "HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
}

/* The store is asked and does not answer: the client gets 503 in time, and the late callback finds its
 * request still alive. */
static void
late_commit_is_503_and_harmless(struct world *w)
{
	fake_store_plan(w->store, (struct fake_plan){ .hold = true });
	assert_int_equal(post_status(w, bytes_str(BODY)), 503);
	assert_int_equal(fake_store_pending(w->store), 1);
	fake_store_plan(w->store, (struct fake_plan){ 0 });
	assert_int_equal(post_status(w, bytes_str(BODY)), 202);
	assert_int_equal(fake_store_count(w->store), 2);
}

static void
pipelined_second_request_is_not_read(struct world *w)
{
	struct buf request = buf_new(64 * 1024), answer;
	put_post(&request, "/in/gh", "one", bytes_str(BODY), "");
	put_post(&request, "/in/gh", "two", bytes_str(BODY), "");
	assert_int_equal(ask(w, buf_bytes(&request), &answer), 202);
	assert_null(strstr(buf_cstr(&answer) + 9, "HTTP/1.1"));
	buf_free(&answer);
	buf_free(&request);
	assert_int_equal(fake_store_count(w->store), 1);
}

static void
drip_is_closed_by_the_deadline(struct world *w)
{
	static const char head[] = "POST /in/open HTTP/1.1\r\n" HEAD;
	ingest_stop(w->in);
	w->options.request_timeout_ms = 300;
	start(w);
	/* One byte every 20 ms is never idle; without the reaper this would go on for ever. */
	int fd = connect_to(w);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t sent = 0;
	while (poll(&p, 1, 20) == 0) {
		assert_true(sent < 3000);
		if (send(fd, sent < sizeof head - 1 ? &head[sent] : "a", 1, MSG_NOSIGNAL) != 1)
			break;
		sent++;
	}
	close(fd);
	/* A body that never comes. */
	fd = connect_to(w);
	send_all(fd, head, sizeof head - 1);
	send_all(fd, "\r\n", 2);
	struct buf answer;
	assert_int_equal(read_answer(fd, &answer), 0);
	buf_free(&answer);
	assert_int_equal(fake_store_count(w->store), 0);
}

static void
budget_of_bodies_is_shared(struct world *w)
{
	unsigned char *body = base_zalloc(200000);
	ingest_stop(w->in);
	w->options.in_flight_bytes_max = 100000;
	start(w);
	assert_int_equal(post_status(w, (struct bytes){ body, 100000 }), 202);
	assert_int_equal(post_status(w, (struct bytes){ body, 100001 }), 503);
	struct buf request = buf_new(LIMIT_BODY_BYTES), answer;
	buf_printf(&request, "POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: e\r\n"
		"X-GitHub-Delivery: d\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", 200000);
	buf_put(&request, body, 200000);
	buf_put_str(&request, "\r\n0\r\n\r\n");
	assert_int_equal(ask(w, buf_bytes(&request), &answer), 503);
	buf_free(&answer);
	buf_free(&request);
	/* Everything was given back. */
	assert_int_equal(post_status(w, (struct bytes){ body, 100000 }), 202);
	free(body);
}

struct sender {
	pthread_t thread;
	struct world *w;
	size_t accepted;
};

static void *
send_many(void *context)
{
	struct sender *s = context;
	for (size_t i = 0; i < 40; i++)
		s->accepted += post_status(s->w, bytes_str(BODY)) == 202;
	return NULL;
}

static void
many_senders_are_all_answered(struct world *w)
{
	struct sender senders[16];
	size_t accepted = 0;
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		senders[i] = (struct sender){ .w = w };
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
	}
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		pthread_join(senders[i].thread, NULL);
		accepted += senders[i].accepted;
	}
	assert_int_equal(accepted, COUNT_OF(senders) * 40);
	assert_int_equal(fake_store_count(w->store), accepted);
}

static void *
send_one(void *context)
{
	struct sender *s = context;
	s->accepted = post_status(s->w, bytes_str(BODY)) == 202;
	return NULL;
}

static void
drain_waits_for_requests_in_flight(struct world *w)
{
	struct sender senders[8];
	struct err e;
	fake_store_plan(w->store, (struct fake_plan){ .hold = true });
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		senders[i] = (struct sender){ .w = w };
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_one, &senders[i]), 0);
	}
	while (fake_store_pending(w->store) < COUNT_OF(senders))
		clock_sleep_ms(1);
	assert_int_equal(ingest_drain(w->in, 50, &e), RC_AGAIN);
	fake_store_plan(w->store, (struct fake_plan){ 0 });
	assert_int_equal(ingest_drain(w->in, 20000, &e), RC_OK);
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(senders[i].accepted, 1);
	}
}

/* While some connections are suspended, the others must be seen: new ones, and those that had begun a
 * request before and go on now. With one thread there is nobody else to see them. */
static void
others_are_served_while_some_wait(struct world *w)
{
	static const char head[] = "POST /in/nobody HTTP/1.1\r\n" HEAD;
	static const char slow[] = "POST /in/open HTTP/1.1\r\n" HEAD;
	struct sender senders[8];
	int begun[8], waiting[8];
	struct buf answer;
	ingest_stop(w->in);
	w->options.threads = 1;
	start(w);
	for (size_t i = 0; i < COUNT_OF(begun); i++) {
		begun[i] = connect_to(w);
		send_all(begun[i], head, sizeof head - 10);
		waiting[i] = connect_to(w);
		send_all(waiting[i], slow, sizeof slow - 1);
		send_all(waiting[i], "\r\n{", 3);
	}
	fake_store_plan(w->store, (struct fake_plan){ .hold = true });
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		senders[i] = (struct sender){ .w = w };
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_one, &senders[i]), 0);
	}
	while (fake_store_pending(w->store) < COUNT_OF(senders))
		clock_sleep_ms(1);
	for (size_t i = 0; i < COUNT_OF(begun); i++) {
		assert_int_equal(status_of(w, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
		send_all(begun[i], head + sizeof head - 10, 9);
		send_all(begun[i], "\r\n{}", 4);
		assert_int_equal(read_answer(begun[i], &answer), 404);
		buf_free(&answer);
		send_all(waiting[i], "}", 1);
	}
	while (fake_store_pending(w->store) < COUNT_OF(senders) + COUNT_OF(waiting))
		clock_sleep_ms(1);
	fake_store_plan(w->store, (struct fake_plan){ 0 });
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(senders[i].accepted, 1);
		assert_int_equal(read_answer(waiting[i], &answer), 202);
		buf_free(&answer);
	}
}

/* Stopping while the store still owes answers must neither hang nor panic; nothing is acknowledged. */
static void
stop_ends_waits_that_do_not_end(struct world *w)
{
	struct sender senders[8];
	fake_store_plan(w->store, (struct fake_plan){ .delay_ms = 300 });
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		senders[i] = (struct sender){ .w = w };
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_one, &senders[i]), 0);
	}
	while (fake_store_pending(w->store) < COUNT_OF(senders))
		clock_sleep_ms(1);
	ingest_stop(w->in);
	w->in = NULL;
	size_t accepted = 0;
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		pthread_join(senders[i].thread, NULL);
		accepted += senders[i].accepted;
	}
	assert_true(accepted <= fake_store_count(w->store));
	fake_store_plan(w->store, (struct fake_plan){ 0 });
}

static void
keep_alive_serves_several_requests(struct world *w)
{
	ingest_stop(w->in);
	w->options.keep_alive = true;
	start(w);
	struct buf request = buf_new(64 * 1024), answer;
	put_post(&request, "/in/gh", "one", bytes_str(BODY), "");
	put_post(&request, "/in/gh", "two", bytes_str(BODY), "Connection: close\r\n");
	assert_int_equal(ask(w, buf_bytes(&request), &answer), 202);
	assert_non_null(strstr(buf_cstr(&answer), "\"seq\":2"));
	buf_free(&answer);
	buf_free(&request);
}

static void
wrong_addresses_are_explained(struct world *w)
{
	static const char *const wrong[] = { "", "8080", "127.0.0.1", "127.0.0.1:", ":80x", "::1:80",
		"127.0.0.1:65536", "203.0.113.1:0" };
	struct ingest *second = NULL;
	struct err e;
	struct ingest_options options = w->options;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		options.listen = wrong[i];
		assert_int_equal(ingest_start(&second, &options, &e), RC_INVALID);
		assert_string_equal(e.id, "ingest.listen");
	}
	options.listen = ingest_address(w->in);
	assert_int_equal(ingest_start(&second, &options, &e), RC_IO);
	assert_string_equal(e.id, "ingest.listen");
	assert_non_null(strstr(e.text, "in use"));
}

static void
reload_takes_a_new_source(struct world *w)
{
	struct err e;
	const char *path;
	static const char request[] = "POST /in/later HTTP/1.1\r\n" HEAD "\r\n{}";
	struct arena *a = arena_new(256);
	const struct source_plan later = { "later", "github", { NULL, 0 }, true };
	assert_int_equal(status_of(w, request), 404);
	assert_int_equal(source_add(w->sources_dir, &later, a, &path, &e), RC_OK);
	bool changed = false;
	assert_int_equal(ingest_reload(w->in, &changed, &e), RC_OK);
	assert_true(changed);
	assert_int_equal(status_of(w, request), 202);
	assert_int_equal(ingest_reload(w->in, &changed, &e), RC_OK);
	assert_false(changed);
	char *conf = arena_printf(a, "%s/later.conf", w->sources_dir);
	assert_int_equal(fs_write(conf, bytes_str("provider = nobody\n"), 0600, &e), RC_OK);
	assert_int_equal(ingest_reload(w->in, NULL, &e), RC_INVALID);
	assert_int_equal(status_of(w, request), 202);
	unlink(conf);
	arena_free(a);
}

#define BOTH(X)                                                                                    \
	X(stored_delivery_is_answered_with_its_number)                                             \
	X(duplicate_is_answered_with_success)                                                      \
	X(wrong_requests_are_refused_and_nothing_is_stored)                                        \
	X(unsigned_source_needs_no_signature)                                                      \
	X(body_limits_hold_for_lengths_and_chunks)                                                 \
	X(own_trouble_is_503)                                                                      \
	X(health_follows_the_log)                                                                  \
	X(late_commit_is_503_and_harmless)                                                         \
	X(pipelined_second_request_is_not_read)                                                    \
	X(drip_is_closed_by_the_deadline)                                                          \
	X(budget_of_bodies_is_shared)                                                              \
	X(many_senders_are_all_answered)                                                           \
	X(drain_waits_for_requests_in_flight)                                                      \
	X(others_are_served_while_some_wait)                                                       \
	X(stop_ends_waits_that_do_not_end)                                                         \
	X(keep_alive_serves_several_requests)                                                      \
	X(wrong_addresses_are_explained)                                                           \
	X(reload_takes_a_new_source)

#define DEFINE(name)                                                                               \
	static void name##_connection(void **state UNUSED)                                         \
	{                                                                                          \
		struct world *w = world_new(INGEST_CONNECTION);                                    \
		name(w);                                                                           \
		world_free(w);                                                                     \
	}                                                                                          \
	static void name##_pool(void **state UNUSED)                                               \
	{                                                                                          \
		struct world *w = world_new(INGEST_POOL);                                          \
		name(w);                                                                           \
		world_free(w);                                                                     \
	}
BOTH(DEFINE)

#define LIST(name) cmocka_unit_test(name##_connection), cmocka_unit_test(name##_pool),

int
main(void)
{
	const struct CMUnitTest tests[] = { BOTH(LIST) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
