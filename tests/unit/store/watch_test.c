/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/clock.h"
#include "base/fs.h"
#include "store/watch.h"

/* A child that holds a read transaction on the log's only segment until it is killed. */
static pid_t
hold_reader(const char *dir)
{
	int fds[2];
	char ready = 0;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char path[4096];
		MDB_env *env;
		MDB_txn *txn;
		struct err e;
		snprintf(path, sizeof path, "%s/00000000000000000001.mdb", dir);
		if (db_open(path, DB_READ, &env, &e) != RC_OK || db_read_begin(env, &txn, &e) != RC_OK ||
			write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_true(read(fds[0], &ready, 1) == 1);
	close(fds[0]);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static MDB_env *
open_env(const char *dir)
{
	char path[4096];
	MDB_env *env;
	struct err e;
	snprintf(path, sizeof path, "%s/00000000000000000001.mdb", dir);
	assert_int_equal(db_open(path, DB_READ, &env, &e), RC_OK);
	return env;
}

/* With times of our own, so that nothing has to be waited for. */
static void
a_reader_that_stays_is_counted_once(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	helper_append(s, "a", "x");
	store_close(s);
	pid_t pid = hold_reader(dir);
	MDB_env *env = open_env(dir);
	struct watch *w = base_zalloc(sizeof *w);
	struct watch_now now;
	int64_t oldest_ms;
	watch_now(env, &now);
	assert_true(now.readers == 1 && now.oldest_pid == pid && now.oldest_txns == 0);
	watch_look(w, env, 1000, &oldest_ms);
	assert_true(oldest_ms == 0 && w->slow == 0);
	watch_look(w, env, 1000 + WATCH_SLOW_MS - 1, &oldest_ms);
	assert_true(oldest_ms == WATCH_SLOW_MS - 1 && w->slow == 0);
	watch_look(w, env, 1000 + WATCH_SLOW_MS, &oldest_ms);
	watch_look(w, env, 1000 + 3 * WATCH_SLOW_MS, &oldest_ms);
	assert_true(oldest_ms == 3 * WATCH_SLOW_MS && w->slow == 1);
	/* Killed with its transaction open: the slot is given back. */
	end(pid);
	watch_look(w, env, 1000 + 4 * WATCH_SLOW_MS, &oldest_ms);
	assert_true(oldest_ms == 0 && w->slow == 1 && w->cleared == 1 && w->count == 0);
	watch_now(env, &now);
	assert_true(now.readers == 0 && now.oldest_pid == 0);
	free(w);
	db_close(env);
	helper_remove(dir);
}

static void
the_figures_tell_of_readers_elsewhere(void **state)
{
	(void)state;
	char *dir = helper_dir(), file[4096];
	struct store_reader *r;
	struct store_stats st;
	struct err e;
	snprintf(file, sizeof file, "%s/stats", dir);
	/* The reader's process must not have the writer's descriptors, so it comes first. */
	struct store *s = helper_open(dir);
	helper_append(s, "", "x");
	store_close(s);
	pid_t pid = hold_reader(dir);
	s = helper_open(dir);
	for (int i = 0; i < 7; i++)
		helper_append(s, "", "x");
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	int64_t deadline_ms = clock_monotonic_ms() + 60000;
	do {
		clock_sleep_ms(50);
		assert_int_equal(store_stats(r, &st, &e), RC_OK);
	} while (st.written_at_us == 0 && clock_monotonic_ms() < deadline_ms);
	assert_true(st.written_at_us > 0 && st.sync_us >= 0);
	assert_true(st.readers == 1 && st.oldest_reader_pid == pid && st.oldest_reader_txns == 7);
	assert_true(st.free_bytes > 0 && st.slow_readers >= 0);
	/* A reader of ours copies and ends its transaction, so it is not among them. */
	struct arena *a = arena_new(4096);
	const struct store_record *records;
	size_t count;
	assert_int_equal(store_read(r, 1, 100, 100000, a, &records, &count, &e), RC_OK);
	assert_int_equal(store_stats(r, &st, &e), RC_OK);
	assert_true(st.readers == 1);
	end(pid);
	store_reader_close(r);
	store_close(s);
	assert_false(fs_exists(file));
	arena_free(a);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_that_stays_is_counted_once),
		cmocka_unit_test(the_figures_tell_of_readers_elsewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
