/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: release
 * TEST-TIMEOUT: 14400 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/check.h"
#include "tests/tools/random.h"
#include "tests/tools/shim.h"
#include "tests/unit/store/helper.h"

/* The log against a list: random appends, redeliveries, reused delivery ids, commits of several events,
 * rolls, restarts, full and failing disks, reads; after each step both must say the same. All of a run
 * follows from its seed: TEST_SEED=<number> repeats one. */

#define STEPS 200
#define EVENTS_MAX 2048
#define BATCH_MAX 6
#define DELIVERIES 60
#define WORKERS 2
#define TOLD_EVERY 2000

struct sim {
	uint64_t seed, random;
	char *dir;
	struct store *store;
	struct store_reader *reader;
	struct arena *arena;
	uint64_t ids[EVENTS_MAX]; /* the list: ids[seq - 1] */
	uint64_t count;
	unsigned step;
};

static _Noreturn void
diverged(const struct sim *s, const char *fmt, ...)
{
	char text[300];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	dprintf(1, "# seed %" PRIu64 ", step %u, %" PRIu64 " events: %s\n", s->seed, s->step, s->count, text);
	_exit(1);
}

static uint64_t
below(struct sim *s, uint64_t n)
{
	return random_next(&s->random) % n;
}

static void
open_log(struct sim *s)
{
	struct err e;
	struct store_options options = { .dir = s->dir, .segment_bytes_max = 60000 + s->seed % 7 * 60000 };
	if (store_open(&s->store, &options, &e) != RC_OK ||
		store_reader_from(s->store, &s->reader, &e) != RC_OK)
		diverged(s, "open: %s", e.text);
}

static void
close_log(struct sim *s)
{
	store_reader_close(s->reader);
	store_close(s->store);
}

/* ---- the list ---- */

static uint64_t
first_with_delivery(const struct sim *s, uint64_t id)
{
	for (uint64_t i = 0; i < s->count; i++) {
		if ((s->ids[i] & CHECK_KEYLESS) == 0 && (s->ids[i] & UINT32_MAX) == (id & UINT32_MAX))
			return i + 1;
	}
	return 0;
}

static uint64_t
first_equal(const struct sim *s, uint64_t id)
{
	for (uint64_t i = 0; i < s->count && (id & CHECK_KEYLESS) == 0; i++) {
		if (s->ids[i] == id)
			return i + 1;
	}
	return 0;
}

/* ---- steps ---- */

struct answer {
	struct store_result result;
	struct wait *wait;
};

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned left;
};

static void
answered(const struct store_result *result, void *context)
{
	struct answer *a = context;
	pthread_mutex_lock(&a->wait->lock);
	a->result = *result;
	a->wait->left--;
	pthread_cond_signal(&a->wait->changed);
	pthread_mutex_unlock(&a->wait->lock);
}

static uint64_t
random_id(struct sim *s)
{
	uint64_t id = 1 + below(s, DELIVERIES), kind = below(s, 10);
	return kind == 0 ? id | CHECK_KEYLESS : kind < 4 ? id | CHECK_OTHER_BODY : id;
}

static void
submit(struct sim *s, const uint64_t *ids, struct answer *answers, unsigned count)
{
	struct check_event events[BATCH_MAX] = { { .body = NULL } };
	struct wait wait = { .left = count };
	struct err e;
	pthread_mutex_init(&wait.lock, NULL);
	pthread_cond_init(&wait.changed, NULL);
	for (unsigned i = 0; i < count; i++) {
		answers[i].wait = &wait;
		check_event_make(&events[i], ids[i]);
		if (store_submit(s->store, &events[i].event, answered, &answers[i], &e) != RC_OK)
			diverged(s, "submit: %s", e.text);
	}
	pthread_mutex_lock(&wait.lock);
	while (wait.left > 0)
		pthread_cond_wait(&wait.changed, &wait.lock);
	pthread_mutex_unlock(&wait.lock);
	for (unsigned i = 0; i < count; i++)
		check_event_free(&events[i]);
	pthread_mutex_destroy(&wait.lock);
	pthread_cond_destroy(&wait.changed);
}

static void
expect(struct sim *s, uint64_t id, const struct store_result *result)
{
	uint64_t known = first_equal(s, id);
	if (result->rc != RC_OK)
		diverged(s, "%" PRIx64 " refused: %s", id, result->err.text);
	if (result->duplicate != (known != 0) || result->seq != (known != 0 ? known : s->count + 1))
		diverged(s, "%" PRIx64 " became %" PRIu64 "%s, the list says %" PRIu64, id, result->seq,
			result->duplicate ? " (duplicate)" : "", known);
	if (known == 0) {
		ASSERT(s->count < EVENTS_MAX);
		s->ids[s->count++] = id;
	}
}

static void
step_append(struct sim *s)
{
	uint64_t ids[BATCH_MAX];
	struct answer answers[BATCH_MAX];
	unsigned count = 1 + (unsigned)below(s, 3) * (unsigned)below(s, 3);
	for (unsigned i = 0; i < count; i++)
		ids[i] = random_id(s);
	submit(s, ids, answers, count);
	for (unsigned i = 0; i < count; i++)
		expect(s, ids[i], &answers[i].result);
}

static uint64_t
last_of(struct sim *s)
{
	struct store_span span;
	struct err e;
	if (store_span(s->reader, &span, &e) != RC_OK)
		diverged(s, "span: %s", e.text);
	return span.last_seq;
}

/* A write or a sync fails during one append: all or nothing, and an honest answer. */
static void
step_fault(struct sim *s)
{
	static const int errors[] = { ENOSPC, EDQUOT, EIO, EINTR };
	static const enum shim_call calls[] = { SHIM_WRITE, SHIM_META, SHIM_FDATASYNC, SHIM_OPEN };
	struct shim_plan *plan = shim_plan();
	uint64_t id = random_id(s);
	struct answer a;
	shim_plan_reset();
	plan->call = calls[below(s, COUNT_OF(calls))];
	plan->error = errors[below(s, COUNT_OF(errors))];
	snprintf(plan->only, sizeof plan->only, "%s", below(s, 2) == 0 ? ".mdb" : "");
	plan->nth = 1 + (unsigned)below(s, 3);
	submit(s, &id, &a, 1);
	shim_plan_reset();
	if (a.result.rc == RC_OK) {
		expect(s, id, &a.result);
		return;
	}
	if (a.result.rc == RC_IO) { /* final; a start looks what became of it */
		close_log(s);
		open_log(s);
	} else if (a.result.rc != RC_FULL) {
		diverged(s, "a failing disk gives %d: %s", a.result.rc, a.result.err.text);
	}
	uint64_t last = last_of(s);
	if (last == s->count + 1 && a.result.rc == RC_IO)
		s->ids[s->count++] = id;
	else if (last != s->count)
		diverged(s, "after a refusal the log ends with %" PRIu64, last);
}

static void
step_read(struct sim *s)
{
	const struct store_record *records;
	size_t count;
	struct err e;
	struct check_event c = { .body = NULL };
	uint64_t from = 1 + below(s, s->count + 1);
	arena_reset(s->arena);
	if (last_of(s) != s->count)
		diverged(s, "the log ends with %" PRIu64, last_of(s));
	if (store_read(s->reader, from, 1 + below(s, 40), 1 + below(s, 200000), s->arena, &records, &count,
		&e) != RC_OK)
		diverged(s, "read %" PRIu64 ": %s", from, e.text);
	if ((count == 0) != (from > s->count))
		diverged(s, "read %" PRIu64 ": %zu records", from, count);
	for (size_t i = 0; i < count; i++) {
		const struct event *ev = &records[i].event;
		uint64_t seq = from + i, id = s->ids[seq - 1], same = 0;
		check_event_make(&c, id);
		if ((id & CHECK_KEYLESS) == 0)
			same = first_with_delivery(s, id);
		same = same == seq ? 0 : same;
		if (ev->seq != seq || !bytes_equal(ev->body, c.event.body) ||
			!bytes_equal(ev->delivery, c.event.delivery) || ev->same_key_seq != same ||
			ev->flags != (same != 0 ? EVENT_FLAG_KEY_REUSED : 0))
			diverged(s, "record %" PRIu64 " is not that of the list", seq);
	}
	check_event_free(&c);
}

static void
step_find_time(struct sim *s)
{
	const struct store_record *records;
	size_t count;
	struct err e;
	uint64_t seq = 0;
	if (s->count == 0)
		return;
	uint64_t at = 1 + below(s, s->count);
	arena_reset(s->arena);
	if (store_read(s->reader, at, 1, 1, s->arena, &records, &count, &e) != RC_OK || count != 1)
		diverged(s, "read: %s", e.text);
	int64_t us = records[0].event.received_at_us;
	if (store_seq_at(s->reader, us, &seq, &e) != RC_OK || seq == 0 || seq > at)
		diverged(s, "the time of %" PRIu64 " leads to %" PRIu64, at, seq);
	if (store_read(s->reader, seq, 1, 1, s->arena, &records, &count, &e) != RC_OK || count != 1 ||
		records[0].event.received_at_us < us)
		diverged(s, "%" PRIu64 " is before the time asked for", seq);
}

static void
run_seed(uint64_t seed)
{
	struct sim *s = base_zalloc(sizeof *s);
	struct store_verify_report report;
	struct err e;
	char *base = helper_dir(), dir[300];
	snprintf(dir, sizeof dir, "%s/log", base);
	s->dir = dir;
	s->seed = s->random = seed;
	s->arena = arena_new(1 << 16);
	shim_watch(dir, -1);
	open_log(s);
	for (s->step = 0; s->step < STEPS; s->step++) {
		uint64_t pick = below(s, 100);
		if (pick < 55) {
			step_append(s);
		} else if (pick < 80) {
			step_read(s);
		} else if (pick < 90) {
			step_find_time(s);
		} else if (pick < 97) {
			step_fault(s);
		} else {
			close_log(s);
			open_log(s);
		}
	}
	close_log(s);
	if (store_verify(dir, 1, 0, NULL, NULL, &report, &e) != RC_OK || report.last_seq != s->count)
		diverged(s, "verify: %s", e.text);
	arena_free(s->arena);
	helper_remove(base_strdup(dir));
	helper_remove(base);
	free(s);
}

static void
the_log_is_a_list(void **state)
{
	(void)state;
	const char *one = getenv("TEST_SEED");
	uint64_t seeds = getenv("TEST_SOAK") != NULL ? 100000 : 1000;
	pid_t workers[WORKERS];
	bool failed = false;
	fflush(stdout); /* or each worker would print what stands in its buffer, too */
	for (uint64_t w = 0; w < WORKERS; w++) {
		workers[w] = fork();
		assert_true(workers[w] >= 0);
		if (workers[w] != 0)
			continue;
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (getenv("TEST_VERBOSE") == NULL)
			dup2(null, 2);
		for (uint64_t seed = w; one == NULL && seed < seeds; seed += WORKERS) {
			run_seed(seed);
			/* For who follows a long run in a file. */
			if ((seed + 1) % TOLD_EVERY == 0) {
				printf("# %" PRIu64 " seeds\n", seed + 1);
				fflush(stdout);
			}
		}
		if (one != NULL && w == 0)
			run_seed(strtoull(one, NULL, 10));
		_exit(0);
	}
	for (size_t w = 0; w < WORKERS; w++) {
		int status;
		assert_int_equal(waitpid(workers[w], &status, 0), workers[w]);
		failed = failed || status != 0;
	}
	assert_false(failed);
	printf("# note: %" PRIu64 " seeds of %d steps, 0 differences\n", one != NULL ? 1 : seeds, STEPS);
}

int
main(void)
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	/* As in tests/crash/images_test.c: LMDB's zeros fresh from the kernel. */
	mallopt(M_MMAP_THRESHOLD, 1 << 18);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_is_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
