/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan release */
#include <errno.h>
#include <lmdb.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/reader.h"
#include "tests/unit/store/helper.h"

/* All places for readers taken; readers that died or were stopped inside a transaction, and what they cost; a map another
 * process has outgrown; two processes with one number. */

struct hog {
	pid_t pid;
	int started, stop;
	unsigned places;
};

/* Takes every place there is in each of the files and holds them until it is killed. */
static void
hog_run(const char *const *paths, int out)
{
	unsigned places = 0;
	for (; *paths != NULL; paths++) {
		MDB_env *env;
		MDB_txn *txn;
		if (mdb_env_create(&env) != 0 ||
			mdb_env_open(env, *paths, MDB_NOSUBDIR | MDB_NOTLS | MDB_RDONLY, 0600) != 0)
			_exit(2);
		while (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0)
			places++;
	}
	if (write(out, &places, sizeof places) != sizeof places)
		_exit(3);
	for (;;)
		pause();
}

static struct hog
hog_start(const char *const *paths)
{
	struct hog h = { .places = 0 };
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	h.pid = fork();
	assert_true(h.pid >= 0);
	if (h.pid == 0)
		hog_run(paths, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &h.places, sizeof h.places), sizeof h.places);
	close(fds[0]);
	assert_true(h.places > 0);
	return h;
}

static void
hog_kill(struct hog *h)
{
	int status;
	assert_int_equal(kill(h->pid, SIGKILL), 0);
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
}

static void
no_place_for_a_reader(void **state)
{
	(void)state;
	char *dir = helper_dir(), segment[300], index[300];
	struct err e;
	struct store_reader *r;
	struct arena *a = arena_new(4096);
	const struct store_record *record;
	size_t count;
	snprintf(segment, sizeof segment, "%s/00000000000000000001.mdb", dir);
	snprintf(index, sizeof index, "%s/index.mdb", dir);
	struct store *s = helper_open(dir);
	helper_append(s, "a", "one");
	store_close(s); /* "a" is in the index file now, not in memory */
	s = helper_open(dir);
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	const char *const files[][3] = { { segment, NULL, NULL }, { index, NULL, NULL },
		{ segment, index, NULL } };
	uint64_t seq = 1;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct hog h = hog_start(files[i]);
		struct event again = helper_event("a", bytes_str("one"));
		struct store_result result = store_append(s, &again);
		assert_int_equal(result.rc, RC_FULL);
		assert_string_equal(result.err.id, "log.readers-full");
		if (files[i][0] == segment) {
			assert_int_equal(store_read(r, 1, 1, 1, a, &record, &count, &e), RC_AGAIN);
			assert_string_equal(e.id, "log.readers-full");
			/* Without a delivery id there is nothing to look up. */
			assert_true(helper_append(s, "", "new") == ++seq);
		}
		hog_kill(&h);
		/* What died inside a transaction makes place at once. */
		result = store_append(s, &again);
		assert_int_equal(result.rc, RC_OK);
		assert_true(result.duplicate && result.seq == 1);
		assert_int_equal(store_read(r, 1, 1, 1, a, &record, &count, &e), RC_OK);
		assert_true(bytes_is(record->event.body, "one"));
		assert_int_equal(store_health(s, &e), RC_OK);
	}
	store_reader_close(r);
	store_close(s);
	arena_free(a);
	helper_verify(dir, seq, RC_OK);
	helper_remove(dir);
}

#define SMALL_BYTES 1024

static uint64_t noises;

/* Every one another, or a dictionary would know them all. */
static uint64_t
append_noise(struct store *s)
{
	unsigned char *noise = helper_noise(SMALL_BYTES, ++noises);
	uint64_t seq = helper_append_bytes(s, "", (struct bytes){ noise, SMALL_BYTES }).seq;
	free(noise);
	return seq;
}

/* What one record takes in the file. */
static double
stored_bytes(struct store *s)
{
	struct store_reader *r;
	struct arena *a = arena_new(4096);
	const struct store_record *record;
	size_t count;
	struct err e;
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_read(r, append_noise(s), 1, 1, a, &record, &count, &e), RC_OK);
	double bytes = (double)record->stored_bytes;
	store_reader_close(r);
	arena_free(a);
	return bytes;
}

/* Commits `events` one by one; gives by how much the file grew for each byte stored, of which each has `bytes`. */
static double
growth(struct store *s, const char *segment, unsigned events, double bytes)
{
	struct stat before, after;
	assert_int_equal(stat(segment, &before), 0);
	for (unsigned i = 0; i < events; i++)
		append_noise(s);
	assert_int_equal(stat(segment, &after), 0);
	return (double)(after.st_size - before.st_size) / (events * bytes);
}

static void
wait_for_no_reader(struct store *s)
{
	struct store_reader *r;
	struct store_stats st = { .readers = 1 };
	struct err e;
	int64_t deadline_ms = clock_monotonic_ms() + 30000;
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	while (st.readers > 0 && clock_monotonic_ms() < deadline_ms) {
		clock_sleep_ms(50);
		assert_int_equal(store_stats(r, &st, &e), RC_OK);
	}
	assert_true(st.readers == 0);
	store_reader_close(r);
}

/* While somebody reads, no page that was in use when he began is used again; who died reading must not
 * count for longer than until the writer's next look. */
static void
a_dead_reader_costs_no_room(void **state)
{
	(void)state;
	char *dir = helper_dir(), segment[300];
	snprintf(segment, sizeof segment, "%s/00000000000000000001.mdb", dir);
	struct store *s = helper_open(dir);
	helper_append(s, "", "first");
	double bytes = stored_bytes(s);
	struct hog h = hog_start((const char *const[]){ segment, NULL });
	double pinned = growth(s, segment, 60, bytes);
	hog_kill(&h);
	wait_for_no_reader(s);
	double freed = growth(s, segment, 2000, bytes);
	printf("# note: the file grew %.1f bytes per byte beside a reader, %.2f after its death\n", pinned, freed);
	assert_true(pinned > 3);
	assert_true(freed <= 1.2);
	store_close(s);
	helper_remove(dir);
}

/* ---- stopped readers ---- */

/* A projector that follows the log, as fast as it can. */
static void
follow(const char *dir, int ready)
{
	struct store_reader *r;
	struct arena *a = arena_new(1 << 16);
	const struct store_record *records;
	size_t count;
	struct err e;
	if (store_reader_open(&r, dir, &e) != RC_OK)
		_exit(2);
	for (bool told = false;; told = true) {
		arena_reset(a);
		if (store_read(r, 1, 64, 1 << 20, a, &records, &count, &e) != RC_OK || count == 0)
			_exit(3);
		if (!told && write(ready, "x", 1) != 1)
			_exit(4);
	}
}

static pid_t
start_following(const char *dir)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		follow(dir, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* Stops the process inside a read transaction, or outside of one. */
static void
stop(pid_t pid, struct store_reader *figures, bool inside)
{
	struct store_stats st;
	struct err e;
	int status;
	int64_t deadline_ms = clock_monotonic_ms() + 60000;
	for (;;) {
		assert_int_equal(kill(pid, SIGSTOP), 0);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		assert_int_equal(store_stats(figures, &st, &e), RC_OK);
		if ((st.readers == 1) == inside)
			return;
		assert_true(clock_monotonic_ms() < deadline_ms);
		assert_int_equal(kill(pid, SIGCONT), 0);
		clock_sleep_ms(1);
	}
}

/* A process that is stopped is alive: its place is not taken from it. Between two reads that costs nothing; inside one it
 * costs room, and the writer says who it is. */
static void
a_stopped_reader(void **state)
{
	(void)state;
	char *dir = helper_dir(), segment[300];
	struct store_reader *figures;
	struct store_stats st = { .slow_readers = 0 };
	struct err e;
	int status;
	snprintf(segment, sizeof segment, "%s/00000000000000000001.mdb", dir);
	struct store *s = helper_open(dir);
	for (int i = 0; i < 64; i++)
		helper_append(s, "", "first");
	store_close(s);
	pid_t pid = start_following(dir); /* before this process has the log open */
	s = helper_open(dir);
	assert_int_equal(store_reader_from(s, &figures, &e), RC_OK);
	stop(pid, figures, false);
	double bytes = stored_bytes(s), outside = growth(s, segment, 2000, bytes);
	assert_int_equal(kill(pid, SIGCONT), 0);
	stop(pid, figures, true);
	double inside = growth(s, segment, 60, bytes);
	printf("# note: the file grew %.2f bytes per byte beside a reader stopped between reads, %.1f inside one\n",
		outside, inside);
	assert_true(outside <= 1.2);
	assert_true(inside > 3);
	int64_t deadline_ms = clock_monotonic_ms() + 60000;
	while (st.slow_readers == 0 && clock_monotonic_ms() < deadline_ms) {
		clock_sleep_ms(50);
		assert_int_equal(store_stats(figures, &st, &e), RC_OK);
	}
	assert_true(st.slow_readers == 1 && st.oldest_reader_pid == pid && st.cleared_readers == 0);
	/* Let go on, it ends its transaction by itself. */
	assert_int_equal(kill(pid, SIGCONT), 0);
	stop(pid, figures, false);
	assert_true(growth(s, segment, 500, bytes) <= 1.2);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	store_reader_close(figures);
	store_close(s);
	helper_verify(dir, 64 + 1 + 2000 + 60 + 500, RC_OK);
	helper_remove(dir);
}

/* Appends events of 64 KB until it is told to stop. */
static void
writer_run(const char *dir, unsigned events)
{
	struct store *s = helper_open(dir);
	unsigned char *noise = helper_noise(65536, 3);
	for (unsigned i = 0; i < events; i++)
		helper_append_bytes(s, "", (struct bytes){ noise, 65536 });
	free(noise);
	store_close(s);
}

static void
write_in_child(const char *dir, unsigned events)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		writer_run(dir, events);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Runs in a child, so that the writers it watches are not forked from who has the log open. */
static void
read_with_a_small_map(const char *dir, int go, int done)
{
	struct store_reader *r;
	struct segment *segment;
	struct store_span span;
	struct arena *a = arena_new(1 << 20);
	const struct store_record *records;
	size_t count;
	struct err e = { .text = "" };
	char byte = 'x';
	if (store_reader_open(&r, dir, &e) != RC_OK || segment_acquire(r->set, 1, &segment, &e) != RC_OK)
		_exit(2);
	/* As it would be with little address space. */
	if (mdb_env_set_mapsize(segment->env, 1 << 20) != 0)
		_exit(3);
	segment_release(segment);
	if (store_span(r, &span, &e) != RC_OK || span.last_seq != 4)
		_exit(4);
	if (write(done, &byte, 1) != 1 || read(go, &byte, 1) != 1)
		_exit(5);
	if (store_span(r, &span, &e) != RC_OK || span.last_seq != 104 ||
		store_read(r, 104, 1, 1, a, &records, &count, &e) != RC_OK || count != 1 ||
		records[0].event.body.len != 65536) {
		fprintf(stderr, "%s\n", e.text);
		_exit(6);
	}
	store_reader_close(r);
	arena_free(a);
	_exit(0);
}

static void
another_process_outgrows_the_map(void **state)
{
	(void)state;
	char *dir = helper_dir();
	int go[2], done[2], status;
	char byte = 'x';
	write_in_child(dir, 4);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	pid_t reader = fork();
	assert_true(reader >= 0);
	if (reader == 0)
		read_with_a_small_map(dir, go[0], done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	write_in_child(dir, 100); /* 6.5 MB */
	assert_int_equal(write(go[1], &byte, 1), 1);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
	helper_verify(dir, 104, RC_OK);
	helper_remove(dir);
}

/* ---- two processes with one number ---- */

#define NO_NAMESPACE 77

/* Runs fn as process 1 of a PID namespace of its own, in the child of a child that ends as it does. */
static pid_t
as_process_one(const char *dir, int (*fn)(const char *dir, int ready), int ready)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
		_exit(NO_NAMESPACE);
	int status = -1;
	pid_t one = fork();
	if (one == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fn(dir, ready));
	}
	while (one > 0 && waitpid(one, &status, 0) < 0 && errno == EINTR)
		continue;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int
read_and_stay(const char *dir, int ready)
{
	struct store_reader *r;
	struct store_span span;
	struct err e;
	if (getpid() != 1 || store_reader_open(&r, dir, &e) != RC_OK || store_span(r, &span, &e) != RC_OK ||
		write(ready, "x", 1) != 1)
		return 2;
	for (;;)
		pause();
}

/* 0: it can be read; 3: refused for the number. */
static int
read_once(const char *dir, int ready)
{
	struct store_reader *r;
	struct store_span span;
	struct err e = { .text = "" };
	(void)ready;
	enum rc rc = store_reader_open(&r, dir, &e);
	if (rc == RC_OK)
		rc = store_span(r, &span, &e);
	if (rc == RC_OK)
		return 0;
	return rc == RC_AGAIN && strcmp(e.id, "log.same-pid") == 0 ? 3 : 4;
}

static int
end_of(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
one_number_in_two_namespaces(void **state)
{
	(void)state;
	char *dir = helper_dir(), byte;
	int ready[2];
	struct store *s = helper_open(dir);
	helper_append(s, "a", "x");
	store_close(s);
	assert_int_equal(pipe(ready), 0);
	pid_t first = as_process_one(dir, read_and_stay, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		assert_int_equal(end_of(first), NO_NAMESPACE);
		helper_remove(dir);
		printf("SKIP: no PID namespace is to be had\n");
		skip();
	}
	close(ready[0]);
	assert_int_equal(end_of(as_process_one(dir, read_once, -1)), 3);
	kill(first, SIGKILL);
	assert_int_equal(end_of(first), -1);
	/* Its own process 1 dies with it, though not at the same moment. */
	int64_t deadline_ms = clock_monotonic_ms() + 60000;
	int answer = 3;
	while (answer == 3 && clock_monotonic_ms() < deadline_ms)
		answer = end_of(as_process_one(dir, read_once, -1));
	assert_int_equal(answer, 0);
	helper_remove(dir);
}

int
main(void)
{
	/* In memory where that is possible: what counts is pages, and nobody waits for a disk. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_place_for_a_reader),
		cmocka_unit_test(a_dead_reader_costs_no_room),
		cmocka_unit_test(a_stopped_reader),
		cmocka_unit_test(another_process_outgrows_the_map),
		cmocka_unit_test(one_number_in_two_namespaces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
