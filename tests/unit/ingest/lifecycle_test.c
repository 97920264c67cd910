/* SPDX-License-Identifier: Apache-2.0 */
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
#include "ingest/sources.h"
#include "tests/unit/ingest/world.h"

/* The receiver over time: waits, deadlines, many senders, stopping, reloading. */

/* The store is asked and does not answer: the client gets 503 in time, and the late callback finds
 * its request still alive. */
static void
late_commit_is_503_and_harmless(struct world *w)
{
	fake_store_plan(w->store, (struct fake_plan){ .hold = true });
	assert_int_equal(world_post_status(w, bytes_str(WORLD_BODY)), 503);
	assert_int_equal(fake_store_pending(w->store), 1);
	fake_store_plan(w->store, (struct fake_plan){ 0 });
	assert_int_equal(world_post_status(w, bytes_str(WORLD_BODY)), 202);
	assert_int_equal(fake_store_count(w->store), 2);
}

static void
drip_is_closed_by_the_deadline(struct world *w)
{
	static const char head[] = "POST /in/open HTTP/1.1\r\n" WORLD_HEAD;
	w->options.request_timeout_ms = 300;
	world_restart(w);
	/* One byte every 20 ms is never idle; without the reaper this would go on for ever. */
	int fd = world_connect(w);
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
	fd = world_connect(w);
	world_send(fd, head, sizeof head - 1);
	world_send(fd, "\r\n", 2);
	struct buf answer;
	assert_int_equal(world_read(fd, &answer), 0);
	buf_free(&answer);
	assert_int_equal(fake_store_count(w->store), 0);
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
		s->accepted += world_post_status(s->w, bytes_str(WORLD_BODY)) == 202;
	return NULL;
}

static void
many_senders_are_all_answered(struct world *w)
{
	struct sender senders[16];
	size_t accepted = 0;
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		senders[i] = (struct sender){ .w = w };
		assert_int_equal(
			pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
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
	s->accepted = world_post_status(s->w, bytes_str(WORLD_BODY)) == 202;
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
		assert_int_equal(
			pthread_create(&senders[i].thread, NULL, send_one, &senders[i]), 0);
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

/* While some connections are suspended, the others must be seen: new ones, and those that had begun
 * a request before and go on now. With one thread there is nobody else to see them. */
static void
others_are_served_while_some_wait(struct world *w)
{
	static const char head[] = "POST /in/nobody HTTP/1.1\r\n" WORLD_HEAD;
	static const char slow[] = "POST /in/open HTTP/1.1\r\n" WORLD_HEAD;
	struct sender senders[8];
	int begun[8], waiting[8];
	struct buf answer;
	w->options.threads = 1;
	world_restart(w);
	for (size_t i = 0; i < COUNT_OF(begun); i++) {
		begun[i] = world_connect(w);
		world_send(begun[i], head, sizeof head - 10);
		waiting[i] = world_connect(w);
		world_send(waiting[i], slow, sizeof slow - 1);
		world_send(waiting[i], "\r\n{", 3);
	}
	fake_store_plan(w->store, (struct fake_plan){ .hold = true });
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		senders[i] = (struct sender){ .w = w };
		assert_int_equal(
			pthread_create(&senders[i].thread, NULL, send_one, &senders[i]), 0);
	}
	while (fake_store_pending(w->store) < COUNT_OF(senders))
		clock_sleep_ms(1);
	for (size_t i = 0; i < COUNT_OF(begun); i++) {
		assert_int_equal(world_status(w, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
		world_send(begun[i], head + sizeof head - 10, 9);
		world_send(begun[i], "\r\n{}", 4);
		assert_int_equal(world_read(begun[i], &answer), 404);
		buf_free(&answer);
		world_send(waiting[i], "}", 1);
	}
	while (fake_store_pending(w->store) < COUNT_OF(senders) + COUNT_OF(waiting))
		clock_sleep_ms(1);
	fake_store_plan(w->store, (struct fake_plan){ 0 });
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(senders[i].accepted, 1);
		assert_int_equal(world_read(waiting[i], &answer), 202);
		buf_free(&answer);
	}
}

/* Stopping while the store still owes answers must neither hang nor panic; nothing is acknowledged.
 */
static void
stop_ends_waits_that_do_not_end(struct world *w)
{
	struct sender senders[8];
	fake_store_plan(w->store, (struct fake_plan){ .delay_ms = 300 });
	for (size_t i = 0; i < COUNT_OF(senders); i++) {
		senders[i] = (struct sender){ .w = w };
		assert_int_equal(
			pthread_create(&senders[i].thread, NULL, send_one, &senders[i]), 0);
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
	w->options.keep_alive = true;
	world_restart(w);
	struct buf request = buf_new(64 * 1024), answer;
	world_put_post(&request, "/in/gh", "one", bytes_str(WORLD_BODY), "");
	world_put_post(&request, "/in/gh", "two", bytes_str(WORLD_BODY), "Connection: close\r\n");
	assert_int_equal(world_ask(w, buf_bytes(&request), &answer), 202);
	assert_non_null(strstr(buf_cstr(&answer), "\"seq\":2"));
	buf_free(&answer);
	buf_free(&request);
}

static void
wrong_addresses_are_explained(struct world *w)
{
	static const char *const wrong[] = { "", "8080", "127.0.0.1", "127.0.0.1:", ":80x",
		"::1:80", "127.0.0.1:65536", "203.0.113.1:0" };
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
	static const char request[] = "POST /in/later HTTP/1.1\r\n" WORLD_HEAD "\r\n{}";
	struct arena *a = arena_new(256);
	const struct source_plan later = { .name = "later", .provider = "github", .allow_unsigned = true };
	assert_int_equal(world_status(w, request), 404);
	assert_int_equal(source_add(w->sources_dir, &later, a, &path, &e), RC_OK);
	bool changed = false;
	assert_int_equal(ingest_reload(w->in, false, &changed, &e), RC_OK);
	assert_true(changed);
	assert_int_equal(world_status(w, request), 202);
	assert_int_equal(ingest_reload(w->in, false, &changed, &e), RC_OK);
	assert_false(changed);
	char *conf = arena_printf(a, "%s/later.conf", w->sources_dir);
	assert_int_equal(fs_write(conf, bytes_str("provider = nobody\n"), 0600, &e), RC_OK);
	assert_int_equal(ingest_reload(w->in, false, NULL, &e), RC_INVALID);
	assert_int_equal(world_status(w, request), 202);
	unlink(conf);
	arena_free(a);
}

#define BOTH(X)                                                                                    \
	X(late_commit_is_503_and_harmless)                                                         \
	X(drip_is_closed_by_the_deadline)                                                          \
	X(many_senders_are_all_answered)                                                           \
	X(drain_waits_for_requests_in_flight)                                                      \
	X(others_are_served_while_some_wait)                                                       \
	X(stop_ends_waits_that_do_not_end)                                                         \
	X(keep_alive_serves_several_requests)                                                      \
	X(wrong_addresses_are_explained)                                                           \
	X(reload_takes_a_new_source)

BOTH(WORLD_DEFINE)

int
main(void)
{
	const struct CMUnitTest tests[] = { BOTH(WORLD_LIST) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
