/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ingest/conns.h"

#define HOUR_MS 3600000

struct pair {
	struct conns *conns;
	struct conn *conn;
	int ours, theirs;
	atomic_uint ticks;
};

static void
on_tick(void *context)
{
	struct pair *p = context;
	atomic_fetch_add(&p->ticks, 1);
}

static void
pair_open(struct pair *p, int64_t head_ms, int64_t request_ms)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	struct err e;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	p->theirs = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(p->theirs, (struct sockaddr *)&at, sizeof at), 0);
	p->ours = accept(listener, NULL, NULL);
	assert_true(p->ours >= 0);
	close(listener);
	atomic_init(&p->ticks, 0);
	const struct conns_options options = { .head_ms = head_ms,
		.request_ms = request_ms,
		.work_ms = HOUR_MS,
		.watch_hangups = true,
		.tick = on_tick,
		.context = p };
	assert_int_equal(conns_start(&p->conns, &options, &e), RC_OK);
	p->conn = conns_add(p->conns, p->ours, NULL);
}

static void
pair_close(struct pair *p)
{
	conns_remove(p->conns, p->conn);
	close(p->ours);
	assert_int_equal(conns_open(p->conns), 0);
	assert_int_equal(conns_busy(p->conns), 0);
	conns_stop(p->conns);
	close(p->theirs);
}

/* Whether both directions were shut down; TCP tells the end of one as POLLRDHUP only. */
static bool
is_shut(struct pair *p, int timeout_ms)
{
	struct pollfd poll_for = { .fd = p->ours };
	return poll(&poll_for, 1, timeout_ms) == 1 && (poll_for.revents & POLLHUP) != 0;
}

static void
wait_ticks(struct pair *p, unsigned count)
{
	unsigned until = atomic_load(&p->ticks) + count;
	while (atomic_load(&p->ticks) < until)
		clock_sleep_ms(5);
}

static void
clients_that_went_away_are_closed(void **state UNUSED)
{
	struct pair p;
	for (int phase = CONN_HEAD; phase <= CONN_BODY; phase++) {
		pair_open(&p, HOUR_MS, HOUR_MS);
		conns_phase(p.conns, p.conn, (enum conn_phase)phase);
		shutdown(p.theirs, SHUT_WR);
		assert_true(is_shut(&p, -1));
		pair_close(&p);
	}
}

/* What is still unread may complete the request, and who has sent all of it waits for the answer.
 */
static void
clients_that_wait_for_an_answer_are_kept(void **state UNUSED)
{
	struct pair p;
	pair_open(&p, HOUR_MS, HOUR_MS);
	assert_int_equal(send(p.theirs, "x", 1, 0), 1);
	shutdown(p.theirs, SHUT_WR);
	wait_ticks(&p, 4);
	assert_false(is_shut(&p, 0));
	conns_phase(p.conns, p.conn, CONN_BODY);
	wait_ticks(&p, 4);
	assert_false(is_shut(&p, 0));
	conns_phase(p.conns, p.conn, CONN_WORK);
	char byte;
	assert_int_equal(recv(p.ours, &byte, 1, 0), 1);
	wait_ticks(&p, 4);
	assert_false(is_shut(&p, 0));
	assert_int_equal(conns_busy(p.conns), 1);
	pair_close(&p);
}

static void
every_phase_has_a_deadline(void **state UNUSED)
{
	struct pair p;
	pair_open(&p, 50, HOUR_MS);
	assert_true(is_shut(&p, -1));
	pair_close(&p);

	pair_open(&p, HOUR_MS, 50);
	wait_ticks(&p, 4);
	assert_false(is_shut(&p, 0));
	conns_phase(p.conns, p.conn, CONN_BODY);
	conns_received(p.conn, 1);
	assert_true(is_shut(&p, -1));
	pair_close(&p);
}

static void
waiting_connections_are_shut_without_the_busy(void **state UNUSED)
{
	struct pair p;
	pair_open(&p, HOUR_MS, HOUR_MS);
	conns_phase(p.conns, p.conn, CONN_BODY);
	conns_shut(p.conns, false);
	assert_false(is_shut(&p, 0));
	conns_phase(p.conns, p.conn, CONN_HEAD);
	conns_shut(p.conns, false);
	assert_true(is_shut(&p, -1));
	pair_close(&p);
}

/* After an early answer the rest is read, so that no reset destroys the answer. */
static void
connections_of_before_get_one_more_answer(void **state UNUSED)
{
	struct pair p;
	pair_open(&p, HOUR_MS, HOUR_MS);
	int other[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
	assert_false(conns_is_last(p.conn));
	conns_phase(p.conns, p.conn, CONN_BODY);
	conns_finish(p.conns);
	assert_true(conns_is_last(p.conn));
	struct conn *later = conns_add(p.conns, other[0], NULL);
	assert_false(conns_is_last(later));
	/* Nobody is shut down for it, and it lasts. */
	assert_false(is_shut(&p, 0));
	conns_phase(p.conns, p.conn, CONN_HEAD);
	assert_true(conns_is_last(p.conn));
	conns_remove(p.conns, later);
	close(other[0]);
	close(other[1]);
	pair_close(&p);
}

static void
refused_senders_can_read_their_answer(void **state UNUSED)
{
	struct pair p;
	char answer[8];
	pair_open(&p, HOUR_MS, HOUR_MS);
	conns_phase(p.conns, p.conn, CONN_WORK);
	conns_linger(p.conns, p.conn);
	assert_int_equal(send(p.theirs, "unread", 6, 0), 6);
	assert_int_equal(send(p.ours, "answer", 6, 0), 6);
	conns_remove(p.conns, p.conn);
	close(p.ours);
	assert_int_equal(recv(p.theirs, answer, sizeof answer, 0), 6);
	assert_int_equal(recv(p.theirs, answer, sizeof answer, 0), 0);
	conns_stop(p.conns);
	close(p.theirs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_that_went_away_are_closed),
		cmocka_unit_test(clients_that_wait_for_an_answer_are_kept),
		cmocka_unit_test(every_phase_has_a_deadline),
		cmocka_unit_test(waiting_connections_are_shut_without_the_busy),
		cmocka_unit_test(connections_of_before_get_one_more_answer),
		cmocka_unit_test(refused_senders_can_read_their_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
