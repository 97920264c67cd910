/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan tsan release
 * TEST-TIMEOUT: 7200 */
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
check_record(const struct store_record *record, uint64_t number)
{
	unsigned char *owned;
	char delivery[32];
	snprintf(delivery, sizeof delivery, "%" PRIu64, number);
	assert_true(bytes_is(record->event.delivery, delivery));
	assert_true(bytes_equal(record->event.body, body_of(number, &owned)));
	free(owned);
}

/* Every number from `after` on is there, without a gap, with the bytes of the event its delivery id
 * names, whether it was acknowledged or not. */
static void
check_unaltered(struct store_reader *r, uint64_t after, uint64_t last)
{
	struct arena *a = arena_new(1 << 20);
	struct err e;
	for (uint64_t seq = after + 1; seq <= last;) {
		const struct store_record *records;
		size_t count;
		arena_reset(a);
		if (store_read(r, seq, 256, 1 << 20, a, &records, &count, &e) != RC_OK || count == 0)
			fail_msg("event %" PRIu64 " of %" PRIu64 ": %s", seq, last, e.text);
		for (size_t i = 0; i < count; i++, seq++) {
			assert_true(records[i].event.seq == seq);
			char number[32] = "";
			struct bytes delivery = records[i].event.delivery;
			assert_true(delivery.len < sizeof number);
			memcpy(number, delivery.data, delivery.len);
			check_record(&records[i], strtoull(number, NULL, 10));
		}
	}
	arena_free(a);
}

/* Opens the log after a kill: what was acknowledged is there under its number, and every 97th sent again
 * is known. *last: where the log ended before and ends now. */
static void
check_acked(const char *dir, const struct ack *acks, size_t count, uint64_t *last)
{
	struct store_reader *r;
	struct arena *a = arena_new(1 << 16);
	struct err e;
	struct store_span span;
	/* Opening for writing rolls the index forward; the reader shares its files. */
	struct store *s = helper_open(dir);
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_span(r, &span, &e), RC_OK);
	check_unaltered(r, *last, span.last_seq);
	*last = span.last_seq;
	for (size_t i = 0; i < count; i++) {
		const struct store_record *record;
		size_t got;
		arena_reset(a);
		assert_true(acks[i].seq <= span.last_seq);
		if (store_read(r, acks[i].seq, 1, 1, a, &record, &got, &e) != RC_OK)
			fail_msg("acknowledged event %" PRIu64 ": %s", acks[i].seq, e.text);
		assert_int_equal(got, 1);
		check_record(record, acks[i].number);
	}
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
}

#define ACKS_MAX ((size_t)1 << 21)

/* One life of a writer, from its start to its death after a random time. */
static size_t
live_and_die(const char *dir, uint64_t first_number, struct ack *acks, size_t room)
{
	int fds[2], status;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		child(dir, first_number, fds[1]);
	}
	close(fds[1]);
	/* The first answer says it runs; then some time that differs from life to life. */
	ssize_t n = read(fds[0], acks, sizeof *acks);
	assert_true(n == sizeof *acks);
	size_t count = 1;
	unsigned char random;
	crypto_random(&random, 1);
	clock_sleep_ms(random % 80);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (count < room && (n = read(fds[0], &acks[count], sizeof *acks)) == sizeof *acks)
		count++;
	assert_true(count < room);
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return count;
}

/* So many lives of one log; at its end everything is looked at again. */
static size_t
kill_one_log(int lives)
{
	char *dir = helper_dir();
	struct ack *acks = base_alloc(ACKS_MAX * sizeof *acks);
	size_t count = 0;
	uint64_t last = 0, number = 1;
	for (int life = 0; life < lives; life++) {
		size_t more = live_and_die(dir, number, acks + count, ACKS_MAX - count);
		check_acked(dir, acks + count, more, &last);
		/* What was submitted and not answered may be there, too. */
		for (size_t i = count; i < count + more; i++) {
			if (acks[i].number >= number)
				number = acks[i].number + 1;
		}
		number += 1000;
		count += more;
	}
	last = 0;
	check_acked(dir, acks, count, &last);
	helper_verify(dir, last, RC_OK);
	free(acks);
	helper_remove(dir);
	return count;
}

/* The sanitizers' variants are slow and look for other mistakes. */
static int
kills(void)
{
	const char *variant = getenv("TEST_VARIANT");
	bool fast = variant != NULL && strcmp(variant, "release") == 0;
	return getenv("TEST_SOAK") != NULL ? (fast ? 5000 : 100) : fast ? 300 : 20;
}

static void
kill_at_random_times(void **state)
{
	(void)state;
	int left = kills(), all = left;
	size_t total = 0;
	while (left > 0) {
		int lives = left < 20 ? left : 20;
		total += kill_one_log(lives);
		left -= lives;
		if (left > 0 && (all - left) % 500 == 0) /* for who follows a long run in a file */
			fprintf(stderr, "# %d kills, %zu acknowledged events\n", all - left, total);
	}
	assert_true(total >= (size_t)all);
	printf("# note: %d kills, %zu acknowledged events, all there and unaltered, no gaps\n", all, total);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kill_at_random_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
