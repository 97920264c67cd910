/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/fs.h"
#include "store/index_view.h"

/* verify as a whole: many processes, taking up an interrupted run, the index both ways. */

#define EVENTS 60

static char *
path_in(const char *dir, const char *name)
{
	static char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void
fill(const char *dir, uint64_t segment_bytes_max)
{
	struct store *s = helper_open_with(
		(struct store_options){ .dir = dir, .segment_bytes_max = segment_bytes_max });
	for (unsigned i = 0; i < EVENTS; i++) {
		char delivery[32];
		unsigned char *noise = helper_noise(3000, i);
		snprintf(delivery, sizeof delivery, "d%u", i);
		helper_append_bytes(s, delivery, (struct bytes){ noise, 3000 });
		free(noise);
	}
	store_close(s);
}

struct tally {
	unsigned errors, warnings;
	uint64_t events;
	char first[512];
};

static void
count_error(uint64_t seq, const char *text, void *context)
{
	struct tally *t = context;
	if (t->errors++ == 0)
		snprintf(t->first, sizeof t->first, "%" PRIu64 ": %s", seq, text);
}

static void
count_warning(uint64_t seq, const char *text, void *context)
{
	struct tally *t = context;
	(void)seq;
	(void)text;
	t->warnings++;
}

static void
note_progress(uint64_t events, uint64_t bytes, void *context)
{
	struct tally *t = context;
	(void)bytes;
	t->events = events;
}

static enum rc
verify(struct store_verify_options options, struct tally *t, struct store_verify_report *report)
{
	struct err e;
	*t = (struct tally){ 0 };
	options.found = count_error;
	options.warned = count_warning;
	options.progress = note_progress;
	options.context = t;
	enum rc rc = store_verify_parallel(&options, report, &e);
	assert_int_equal(report->error_count, t->errors);
	assert_int_equal(report->warning_count, t->warnings);
	assert_true((rc == RC_CORRUPT) == (t->errors > 0));
	return rc;
}

static void
any_number_of_processes_finds_the_same(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store_verify_report one, many;
	struct tally t;
	fill(dir, 20000);
	assert_int_equal(verify((struct store_verify_options){ .dir = dir, .jobs = 1 }, &t, &one), RC_OK);
	assert_true(one.checked_events == EVENTS && one.first_seq == 1 && one.last_seq == EVENTS);
	assert_true(t.events == EVENTS && t.warnings == 0 && one.statements > 10);
	for (unsigned jobs = 0; jobs < 40; jobs += 3) {
		assert_int_equal(
			verify((struct store_verify_options){ .dir = dir, .jobs = jobs }, &t, &many), RC_OK);
		/* index and ledger are counted by the whole, so the reports are the same to the byte */
		assert_memory_equal(&one, &many, sizeof one);
	}
	assert_int_equal(verify((struct store_verify_options){ .dir = dir, .first = 8, .last = 31 }, &t,
				 &many),
		RC_OK);
	assert_true(many.checked_events == 24 && many.first_seq == 8 && many.last_seq == 31);
	assert_int_equal(
		verify((struct store_verify_options){ .dir = dir, .first = EVENTS + 1 }, &t, &many), RC_OK);
	assert_true(many.checked_events == 0);
	helper_remove(dir);
}

/* Whoever reads the page dies or reports; either way it is a finding and the rest is still checked. */
static void
a_killed_child_is_a_finding(void **state)
{
	(void)state;
	char *dir = helper_dir(), *name = "00000000000000000001.mdb";
	struct arena *a = arena_new(4096);
	struct store_verify_report report;
	struct store_reader *r;
	const struct store_segment_stat *segments;
	size_t count;
	struct tally t;
	struct stat st;
	struct err e;
	fill(dir, 20000);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_segments(r, a, &segments, &count, &e), RC_OK);
	store_reader_close(r);
	uint64_t in_first = segments[0].last_seq;
	assert_int_equal(chmod(path_in(dir, name), 0640), 0);
	assert_int_equal(stat(path_in(dir, name), &st), 0);
	/* Every page but the two roots becomes rubbish: LMDB follows pointers into nowhere. */
	int fd = open(path_in(dir, name), O_WRONLY | O_CLOEXEC);
	unsigned char *noise = helper_noise((size_t)st.st_size, 77);
	assert_true(pwrite(fd, noise, (size_t)st.st_size - 8192, 8192) == st.st_size - 8192);
	close(fd);
	free(noise);
	assert_int_equal(verify((struct store_verify_options){ .dir = dir }, &t, &report), RC_CORRUPT);
	assert_true(t.errors >= 1 && t.errors <= 3);
	assert_true(report.checked_events >= EVENTS - in_first && report.last_seq == EVENTS);
	arena_free(a);
	helper_remove(dir);
}

/* A run that is killed leaves its state behind; one that ends removes it. */
static void
an_interrupted_run_is_taken_up(void **state)
{
	(void)state;
	char *dir = helper_dir(), file[4096];
	struct store_verify_report report;
	struct tally t;
	snprintf(file, sizeof file, "%s/state", dir);
	fill(dir, 20000);
	struct store_verify_options options = { .dir = dir, .jobs = 1, .state = file, .resume = true };
	/* Killed in the middle, once the file names two or three segments. */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)verify(options, &t, &report);
		_exit(0);
	}
	struct stat st;
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (stat(file, &st) == 0 && st.st_size > 500) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			break;
		}
	}
	bool interrupted = fs_exists(file);
	assert_int_equal(verify(options, &t, &report), RC_OK);
	assert_true(report.checked_events == EVENTS && report.last_seq == EVENTS);
	assert_int_equal(report.resumed > 0, interrupted);
	assert_false(fs_exists(file)); /* done */
	helper_remove(dir);
}

static void
what_changed_is_read_again(void **state)
{
	(void)state;
	char *dir = helper_dir(), file[4096];
	struct store_verify_report report;
	struct arena *a = arena_new(4096);
	struct tally t;
	struct bytes text;
	struct err e;
	snprintf(file, sizeof file, "%s/state", dir);
	fill(dir, 20000);
	struct store_verify_options options = { .dir = dir, .jobs = 1, .state = file, .resume = true };
	/* Catch the file before the run removes it: the last write names all segments but the open one. */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)verify(options, &t, &report);
		_exit(0);
	}
	text = (struct bytes){ NULL, 0 };
	for (bool alive = true; alive;) {
		struct bytes now;
		alive = waitpid(pid, NULL, WNOHANG) == 0;
		if (fs_read(file, 1 << 20, a, &now, &e) == RC_OK && now.len >= text.len)
			text = now;
	}
	if (text.len == 0)
		skip(); /* it was too fast for us */
	assert_int_equal(fs_write(file, text, 0600, &e), RC_OK);
	assert_int_equal(verify(options, &t, &report), RC_OK);
	assert_true(report.resumed > 0);
	/* A bit flips in the first segment: the time of change tells, so it is read again. */
	assert_int_equal(fs_write(file, text, 0600, &e), RC_OK);
	char *first = path_in(dir, "00000000000000000001.mdb");
	assert_int_equal(chmod(first, 0640), 0);
	int fd = open(first, O_RDWR | O_CLOEXEC);
	unsigned char byte;
	assert_true(pread(fd, &byte, 1, 20000) == 1);
	byte ^= 1;
	assert_true(pwrite(fd, &byte, 1, 20000) == 1);
	close(fd);
	assert_int_equal(verify(options, &t, &report), RC_CORRUPT);
	arena_free(a);
	helper_remove(dir);
}

/* An entry of the index that no event stands behind. */
static void
a_dangling_index_entry_is_found(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store_verify_report report;
	struct tally t;
	fill(dir, 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		MDB_env *env;
		MDB_txn *txn;
		MDB_dbi keys;
		struct err e;
		unsigned char key[INDEX_KEY_BYTES] = { 1, 2, 3 }, value[INDEX_VALUE_BYTES] = { 0 };
		value[7] = 5; /* event 5 */
		MDB_val k = { sizeof key, key }, v = { sizeof value, value };
		bool ok = db_open(path_in(dir, "index.mdb"), DB_WRITE, &env, &e) == RC_OK &&
			mdb_txn_begin(env, NULL, 0, &txn) == 0 &&
			mdb_dbi_open(txn, INDEX_KEYS, 0, &keys) == 0 &&
			mdb_put(txn, keys, &k, &v, 0) == 0 && mdb_txn_commit(txn) == 0;
		db_close(env);
		_exit(ok ? 0 : 1);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(verify((struct store_verify_options){ .dir = dir }, &t, &report), RC_CORRUPT);
	assert_int_equal(t.errors, 1);
	assert_non_null(strstr(t.first, "5: the dedupe index names this event for another delivery"));
	helper_remove(dir);
}

static void
an_index_that_lacks_events_is_found(void **state)
{
	(void)state;
	char *dir = helper_dir(), *other = helper_dir();
	struct store_verify_report report;
	struct tally t;
	struct err e;
	struct arena *a = arena_new(4096);
	struct bytes text;
	fill(dir, 0);
	/* No index at all is no damage, only worth a word. */
	assert_int_equal(unlink(path_in(dir, "index.mdb")), 0);
	assert_int_equal(verify((struct store_verify_options){ .dir = dir }, &t, &report), RC_OK);
	assert_int_equal(t.warnings, 1);
	/* An index of other deliveries. */
	assert_int_equal(fs_read(path_in(dir, "LOG"), 4096, a, &text, &e), RC_OK);
	assert_int_equal(fs_write(path_in(other, "LOG"), text, 0640, &e), RC_OK);
	struct store *s = helper_open(other);
	for (int i = 0; i < EVENTS; i++) {
		char delivery[32];
		snprintf(delivery, sizeof delivery, "other%d", i);
		helper_append(s, delivery, "x");
	}
	store_close(s);
	assert_int_equal(fs_read(path_in(other, "index.mdb"), 64 << 20, a, &text, &e), RC_OK);
	assert_int_equal(fs_write(path_in(dir, "index.mdb"), text, 0640, &e), RC_OK);
	assert_int_equal(verify((struct store_verify_options){ .dir = dir }, &t, &report), RC_CORRUPT);
	assert_int_equal(t.errors, EVENTS);
	arena_free(a);
	helper_remove(dir);
	helper_remove(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_processes_finds_the_same),
		cmocka_unit_test(a_killed_child_is_a_finding),
		cmocka_unit_test(an_interrupted_run_is_taken_up),
		cmocka_unit_test(what_changed_is_read_again),
		cmocka_unit_test(a_dangling_index_entry_is_found),
		cmocka_unit_test(an_index_that_lacks_events_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
