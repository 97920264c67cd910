/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan release */
#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/reader.h"
#include "tests/unit/store/helper.h"

/* All places for readers taken; readers that died inside a transaction, and what they cost; a map another process has
 * outgrown. */

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

/* Commits `events` one by one; gives by how much the file grew for each byte stored. */
static double
growth(struct store *s, const char *segment, unsigned events)
{
	struct stat before, after;
	unsigned char *noise = helper_noise(SMALL_BYTES, 5);
	assert_int_equal(stat(segment, &before), 0);
	for (unsigned i = 0; i < events; i++)
		helper_append_bytes(s, "", (struct bytes){ noise, SMALL_BYTES });
	assert_int_equal(stat(segment, &after), 0);
	free(noise);
	return (double)(after.st_size - before.st_size) / (events * (double)SMALL_BYTES);
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
	struct hog h = hog_start((const char *const[]){ segment, NULL });
	double pinned = growth(s, segment, 60);
	hog_kill(&h);
	wait_for_no_reader(s);
	double freed = growth(s, segment, 2000);
	printf("# note: the file grew %.1f bytes per byte beside a reader, %.2f after its death\n", pinned, freed);
	assert_true(pinned > 3);
	assert_true(freed <= 1.2);
	store_close(s);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_place_for_a_reader),
		cmocka_unit_test(a_dead_reader_costs_no_room),
		cmocka_unit_test(another_process_outgrows_the_map),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
