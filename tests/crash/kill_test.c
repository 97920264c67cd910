/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/clock.h"

/* kill -9 of the writer at random moments: what it acknowledged is there, in order and unaltered. */

struct ack {
	uint64_t number; /* which event */
	uint64_t seq;
};

struct flight {
	uint64_t number;
	int out;
};

/* Size and content follow from the number, so the parent knows what must be there. */
static struct bytes
body_of(uint64_t number, unsigned char **owned)
{
	size_t size = 20 + (size_t)(number * 2654435761u % 9000);
	*owned = helper_noise(size, number);
	if (number % 3 == 0)
		memset(*owned + 8, 'x', size - 8);
	return (struct bytes){ *owned, size };
}

static void
report(const struct store_result *result, void *context)
{
	struct flight *f = context;
	struct ack ack = { f->number, result->seq };
	/* Less than PIPE_BUF, so never torn. */
	if (result->rc != RC_OK || result->duplicate || write(f->out, &ack, sizeof ack) != sizeof ack)
		_exit(3);
	free(f);
}

static void
child(const char *dir, uint64_t number, int out)
{
	struct store *s;
	struct err e;
	struct store_options options = { .dir = dir, .segment_bytes_max = 3000000,
		.queue_events_max = 64 };
	if (store_open(&s, &options, &e) != RC_OK) {
		fprintf(stderr, "%s\n", e.text);
		_exit(2);
	}
	for (;; number++) {
		unsigned char *owned;
		char delivery[32];
		snprintf(delivery, sizeof delivery, "%" PRIu64, number);
		struct event ev = helper_event(delivery, body_of(number, &owned));
		struct flight *f = base_alloc(sizeof *f);
		*f = (struct flight){ number, out };
		while (store_submit(s, &ev, report, f, &e) == RC_FULL)
			clock_sleep_ms(1);
		/* The body is borrowed until the answer; this process is about to be killed anyway. */
	}
}

static void
check_acked(const char *dir, const struct ack *acks, size_t count, uint64_t *last_number)
{
	struct store_reader *r;
	struct arena *a = arena_new(1 << 16);
	struct err e;
	struct store_span span;
	/* Opening for writing rolls the index forward; the reader shares its files. */
	struct store *s = helper_open(dir);
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_span(r, &span, &e), RC_OK);
	for (size_t i = 0; i < count; i++) {
		const struct store_record *record;
		size_t got;
		unsigned char *owned;
		arena_reset(a);
		assert_true(acks[i].seq <= span.last_seq);
		if (store_read(r, acks[i].seq, 1, 1, a, &record, &got, &e) != RC_OK)
			fail_msg("acknowledged event %" PRIu64 ": %s", acks[i].seq, e.text);
		assert_int_equal(got, 1);
		assert_true(bytes_equal(record->event.body, body_of(acks[i].number, &owned)));
		free(owned);
		char delivery[32];
		snprintf(delivery, sizeof delivery, "%" PRIu64, acks[i].number);
		assert_true(bytes_is(record->event.delivery, delivery));
		if (acks[i].number > *last_number)
			*last_number = acks[i].number;
	}
	/* Every one of them is known as a duplicate. */
	for (size_t i = 0; i < count; i += 97) {
		unsigned char *owned;
		char delivery[32];
		snprintf(delivery, sizeof delivery, "%" PRIu64, acks[i].number);
		struct store_result again = helper_append_bytes(s, delivery, body_of(acks[i].number, &owned));
		assert_true(again.duplicate && again.seq == acks[i].seq);
		free(owned);
	}
	store_reader_close(r);
	store_close(s);
	arena_free(a);
	helper_verify(dir, span.last_seq, RC_OK);
}

static void
kill_at_random_times(void **state)
{
	(void)state;
	char *dir = helper_dir();
	int rounds = getenv("TEST_SOAK") != NULL ? 100 : 20;
	size_t total = 0, room = 1 << 20;
	uint64_t number = 0;
	struct ack *acks = base_alloc(room * sizeof *acks);
	for (int round = 0; round < rounds; round++) {
		int fds[2];
		assert_int_equal(pipe(fds), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			child(dir, number + 1, fds[1]);
		}
		close(fds[1]);
		/* The first answer says it runs; then some time that differs from round to round. */
		size_t count = 0;
		ssize_t n = read(fds[0], &acks[count], sizeof *acks);
		assert_true(n == sizeof *acks);
		count++;
		unsigned char random;
		crypto_random(&random, 1);
		clock_sleep_ms(random % 80);
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (count < room && (n = read(fds[0], &acks[count], sizeof *acks)) == sizeof *acks)
			count++;
		close(fds[0]);
		int status;
		while (waitpid(pid, &status, 0) < 0)
			assert_int_equal(errno, EINTR);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		/* Unacknowledged ones may be there, too; the next round starts far above them. */
		check_acked(dir, acks, count, &number);
		number += 1000;
		total += count;
	}
	assert_true(total >= (size_t)rounds);
	printf("%zu acknowledged events survived %d kills\n", total, rounds);
	free(acks);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kill_at_random_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
