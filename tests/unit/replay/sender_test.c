/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/clock.h"
#include "replay/backoff.h"
#include "replay/sender.h"

/* The sender over a target that answers from a table and looks at the order of what it gets. */

#define EVENTS 400
#define KEYS 7

struct target {
	pthread_mutex_t mutex;
	uint64_t last[KEYS]; /* sequence delivered last, by key */
	size_t under_way[KEYS], open;
	size_t calls, failures; /* failures: attempts to fail with RC_AGAIN, over all events */
	size_t fail_key, fail_key_times;
	uint64_t denied_seq;
	bool about_event;
};
static struct target target;

static enum rc
fake_open(void **state, const struct replay_target_options *options UNUSED, struct err *e UNUSED)
{
	pthread_mutex_lock(&target.mutex);
	target.open++;
	pthread_mutex_unlock(&target.mutex);
	*state = &target;
	return RC_OK;
}

static size_t
key_of(uint64_t seq)
{
	return (size_t)(seq * 31 % KEYS);
}

static enum rc
fake_send(void *state UNUSED, const struct event *const *events, size_t count,
	struct replay_answer *answer, struct err *e)
{
	uint64_t seq = events[0]->seq;
	size_t key = key_of(seq);
	enum rc rc = RC_OK;
	assert_int_equal(count, 1);
	pthread_mutex_lock(&target.mutex);
	target.calls++;
	/* Never two of one key at once. */
	assert_int_equal(target.under_way[key]++, 0);
	pthread_mutex_unlock(&target.mutex);
	if (seq % 13 == 0)
		clock_sleep_ms(1);
	pthread_mutex_lock(&target.mutex);
	target.under_way[key]--;
	answer->about_event = target.about_event;
	if (target.failures > 0) {
		target.failures--;
		rc = RC_AGAIN;
	} else if (key == target.fail_key && target.fail_key_times > 0) {
		target.fail_key_times--;
		rc = RC_AGAIN;
		answer->about_event = true;
	} else if (seq == target.denied_seq) {
		rc = RC_DENIED;
	}
	if (rc != RC_AGAIN) {
		assert_true(target.last[key] < seq);
		target.last[key] = seq;
	}
	pthread_mutex_unlock(&target.mutex);
	return rc == RC_OK ? RC_OK : err_set(e, rc, "replay.test", "no");
}

static bool
fake_keeps(const void *state UNUSED)
{
	return true;
}

static enum rc
fake_close(void *state UNUSED, bool complete UNUSED, struct err *e UNUSED)
{
	target.open--;
	return RC_OK;
}

static const struct replay_target_kind kind = { .name = "fake",
	.batch_max = 1,
	.concurrent = true,
	.open = fake_open,
	.send = fake_send,
	.keeps = fake_keeps,
	.close = fake_close };

struct tally {
	size_t delivered, refused;
	uint64_t attempts_max;
	enum rc rc; /* what the callback answers */
};

static enum rc
on_settled(const struct sender_outcome *o, void *context, struct err *e)
{
	struct tally *t = context;
	if (t->rc != RC_OK)
		return err_set(e, t->rc, NULL, "the record is full");
	t->delivered += o->delivered;
	t->refused += !o->delivered;
	t->attempts_max = o->attempts > t->attempts_max ? o->attempts : t->attempts_max;
	return RC_OK;
}

static struct sender_options
options_new(struct tally *tally)
{
	*tally = (struct tally){ 0 };
	return (struct sender_options){ .kind = &kind,
		.concurrency = 6,
		.retries = 5,
		.backoff_first_ms = 1,
		.settled = on_settled,
		.context = tally };
}

static int
set_up(void **state UNUSED)
{
	target = (struct target){ .fail_key = KEYS };
	pthread_mutex_init(&target.mutex, NULL);
	return 0;
}

/* Sends all events through it; what ended it. */
static enum rc
send_all(const struct sender_options *o, struct sender_state *state, struct err *e)
{
	struct sender *s = NULL;
	assert_int_equal(sender_open(&s, o, e), RC_OK);
	struct sender_batch *batch = NULL;
	for (uint64_t seq = 1; seq <= EVENTS && sender_failed(s, e) == RC_OK; seq++) {
		while (batch == NULL && sender_failed(s, e) == RC_OK) {
			batch = sender_batch(s);
			if (batch == NULL)
				(void)sender_wait(s, -1, 50);
		}
		if (batch == NULL)
			break;
		struct event *ev = arena_zalloc(sender_batch_arena(batch), sizeof(*ev));
		ev->seq = seq;
		sender_submit(s, batch, ev, key_of(seq));
		if (seq % 10 == 0) {
			sender_batch_done(s, batch);
			batch = NULL;
		}
	}
	if (batch != NULL)
		sender_batch_done(s, batch);
	while (sender_wait(s, -1, 50) > 0 && sender_failed(s, NULL) == RC_OK)
		;
	enum rc rc = sender_failed(s, e);
	*state = sender_state(s);
	sender_close(s);
	assert_int_equal(target.open, 0);
	return rc;
}

static void
keeps_the_order_of_each_key(void **unused UNUSED)
{
	struct tally tally;
	struct sender_options o = options_new(&tally);
	struct sender_state state;
	struct err e;
	assert_int_equal(send_all(&o, &state, &e), RC_OK);
	assert_int_equal(tally.delivered, EVENTS);
	assert_int_equal(target.calls, EVENTS);
	assert_int_equal(state.retried, 0);
}

static void
retries_without_changing_the_order(void **unused UNUSED)
{
	struct tally tally;
	struct sender_options o = options_new(&tally);
	struct sender_state state;
	struct err e;
	target.fail_key = 3;
	target.fail_key_times = 4;
	assert_int_equal(send_all(&o, &state, &e), RC_OK);
	assert_int_equal(tally.delivered, EVENTS);
	assert_int_equal(target.calls, EVENTS + 4);
	assert_int_equal(state.retried, 4);
	assert_int_equal(tally.attempts_max, 5);
}

static void
passes_over_refusals_when_told_to(void **unused UNUSED)
{
	struct tally tally;
	struct sender_options o = options_new(&tally);
	struct sender_state state;
	struct err e;
	target.denied_seq = 77;
	assert_int_equal(send_all(&o, &state, &e), RC_DENIED);
	assert_int_equal(tally.refused, 0);
	assert_true(tally.delivered < EVENTS);
	(void)set_up(NULL);
	target.denied_seq = 77;
	target.fail_key = key_of(5);
	target.fail_key_times = 6; /* more than the retries of one event */
	o = options_new(&tally);
	o.keep_going = true;
	assert_int_equal(send_all(&o, &state, &e), RC_OK);
	assert_int_equal(tally.refused, 2);
	assert_int_equal(tally.delivered, EVENTS - 2);
}

static void
a_breaker_opens_and_closes(void **unused UNUSED)
{
	struct tally tally;
	struct sender_options o = options_new(&tally);
	struct sender_state state;
	struct err e;
	/* Five in a row open it, and five of the six senders may be slow to tell of theirs. */
	target.failures = 10;
	o.patient = true;
	assert_int_equal(send_all(&o, &state, &e), RC_OK);
	assert_int_equal(tally.delivered, EVENTS);
	assert_int_equal(state.breaker_opened, 1);
	assert_false(state.breaker_open);
}

static void
gives_up_on_a_dead_target_unless_patient(void **unused UNUSED)
{
	struct tally tally;
	struct sender_options o = options_new(&tally);
	struct sender_state state;
	struct err e = { 0 };
	target.failures = 1000000;
	assert_int_equal(send_all(&o, &state, &e), RC_AGAIN);
	assert_string_equal(e.id, "replay.test");
	assert_int_equal(tally.delivered + tally.refused, 0);
	/* Six at once, then probes; not every event tries for itself. */
	assert_true(target.calls < 40);
	(void)set_up(NULL);
	o = options_new(&tally);
	o.retries = 0;
	o.patient = true;
	target.failures = 20;
	assert_int_equal(send_all(&o, &state, &e), RC_OK);
	assert_int_equal(tally.delivered, EVENTS);
}

static void
a_record_that_cannot_be_written_ends_it(void **unused UNUSED)
{
	struct tally tally;
	struct sender_options o = options_new(&tally);
	struct sender_state state;
	struct err e;
	tally.rc = RC_FULL;
	assert_int_equal(send_all(&o, &state, &e), RC_FULL);
	assert_int_equal(tally.delivered, 0);
}

static void
backoff_grows_to_a_limit(void **unused UNUSED)
{
	for (int i = 0; i < 100; i++) {
		int64_t first = replay_backoff_us(0, 0, -1), third = replay_backoff_us(0, 2, -1);
		assert_true(first >= 250000 && first <= 500000);
		assert_true(third >= 1000000 && third <= 2000000);
		int64_t last = replay_backoff_us(0, 100, -1);
		assert_true(last >= 15000000 && last <= 30000000);
	}
	assert_int_equal(replay_backoff_us(1, 0, 7), 7000000);
	assert_int_equal(replay_backoff_us(1, 0, 1000000), 3600000000LL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keeps_the_order_of_each_key, set_up),
		cmocka_unit_test_setup(retries_without_changing_the_order, set_up),
		cmocka_unit_test_setup(passes_over_refusals_when_told_to, set_up),
		cmocka_unit_test_setup(a_breaker_opens_and_closes, set_up),
		cmocka_unit_test_setup(gives_up_on_a_dead_target_unless_patient, set_up),
		cmocka_unit_test_setup(a_record_that_cannot_be_written_ends_it, set_up),
		cmocka_unit_test(backoff_grows_to_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
