/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/fs.h"

/* A disk that is full or fails, as the writer meets it. */

static atomic_int sync_error;  /* what fdatasync shall fail with; 0: nothing */
static atomic_bool index_only; /* only that of index.mdb */
static atomic_uint syncs_done;
static atomic_int later_s; /* by how much the monotonic clock is put forward */

static bool
is_index(int fd)
{
	char link[32], path[4096];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path);
	return n > 9 && memcmp(path + n - 9, "index.mdb", 9) == 0;
}

/* Stands in for libc's, so that nobody has to wait for what is done every ten seconds. */
int
clock_gettime(clockid_t id, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, id, now);
	if (id == CLOCK_MONOTONIC)
		now->tv_sec += atomic_load(&later_s);
	return result;
}

/* Stands in for libc's, also for liblmdb, which finds the program's symbols first. */
int
fdatasync(int fd)
{
	int failing = atomic_load(&sync_error);
	if (failing != 0 && (!atomic_load(&index_only) || is_index(fd))) {
		errno = failing;
		return -1;
	}
	int result = (int)syscall(SYS_fdatasync, fd);
	if (result == 0)
		atomic_fetch_add(&syncs_done, 1);
	return result;
}

static void
an_ack_comes_after_a_sync(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	for (int i = 0; i < 20; i++) {
		unsigned before = atomic_load(&syncs_done);
		helper_append(s, "", "x");
		assert_true(atomic_load(&syncs_done) > before);
	}
	store_close(s);
	helper_remove(dir);
}

/* After a failed sync nobody knows what is on disk, so nothing is acknowledged until a restart has
 * looked. */
static void
a_failed_sync_stops_the_writer(void **state)
{
	(void)state;
	static const int errors[] = { EIO, EINTR };
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		char *dir = helper_dir(), note[4096];
		struct err e;
		snprintf(note, sizeof note, "%s/failed", dir);
		struct store *s = helper_open(dir);
		helper_append(s, "a", "one");
		struct event ev = helper_event("b", bytes_str("two"));
		atomic_store(&sync_error, errors[i]);
		struct store_result result = store_append(s, &ev);
		assert_int_equal(result.rc, RC_IO);
		assert_string_equal(result.err.id, "log.failed");
		atomic_store(&sync_error, 0);
		assert_int_equal(store_append(s, &ev).rc, RC_IO);
		assert_int_equal(store_health(s, &e), RC_IO);
		assert_string_equal(e.id, "log.failed");
		store_close(s);
		assert_true(fs_exists(note));
		s = helper_open(dir);
		assert_false(fs_exists(note));
		assert_int_equal(store_health(s, &e), RC_OK);
		assert_true(helper_append_bytes(s, "a", bytes_str("one")).duplicate);
		uint64_t seq = helper_append(s, "b", "two");
		store_close(s);
		helper_verify(dir, seq, RC_OK);
		helper_remove(dir);
	}
}

/* The index is on the same disk: when it cannot be written, the log does not go on as if nothing had happened. */
static void
a_failed_index_stops_the_writer(void **state)
{
	(void)state;
	char *dir = helper_dir(), index[4096];
	struct err e;
	struct store_result result = { .rc = RC_OK };
	snprintf(index, sizeof index, "%s/index.mdb", dir);
	struct store *s = helper_open(dir);
	helper_append(s, "a", "one");
	atomic_store(&index_only, true);
	atomic_store(&sync_error, EIO);
	atomic_store(&later_s, 20); /* the next commit hands its entries to the index's thread */
	for (int i = 0; i < 5000 && result.rc == RC_OK; i++) {
		struct event ev = helper_event("", bytes_str("x"));
		result = store_append(s, &ev);
		usleep(1000);
	}
	assert_int_equal(result.rc, RC_IO);
	assert_string_equal(result.err.id, "log.index");
	assert_int_equal(store_health(s, &e), RC_IO);
	atomic_store(&sync_error, 0);
	atomic_store(&index_only, false);
	store_close(s);
	assert_false(fs_exists(index));
	s = helper_open(dir);
	assert_true(helper_append_bytes(s, "a", bytes_str("one")).duplicate);
	uint64_t seq = helper_append(s, "b", "two");
	store_close(s);
	atomic_store(&later_s, 0);
	helper_verify(dir, seq, RC_OK);
	helper_remove(dir);
}

static void
a_full_disk_is_survived(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct err e;
	struct store *s = helper_open(dir);
	helper_append(s, "a", "one");
	struct event ev = helper_event("b", bytes_str("two"));
	atomic_store(&sync_error, ENOSPC);
	assert_int_equal(store_append(s, &ev).rc, RC_FULL);
	assert_int_equal(store_append(s, &ev).rc, RC_FULL);
	assert_int_equal(store_health(s, &e), RC_FULL);
	assert_string_equal(e.id, "disk-full");
	atomic_store(&sync_error, 0);
	struct store_result result = helper_append_bytes(s, "b", bytes_str("two"));
	assert_true(result.seq == 2 && !result.duplicate);
	assert_int_equal(store_health(s, &e), RC_OK);
	store_close(s);
	helper_verify(dir, 2, RC_OK);
	helper_remove(dir);
}

/* Appends noise until the log is full, makes room, and goes on. Runs in a child of its own. */
static int
fill_and_recover(const char *dir, bool (*make_room)(const char *), size_t event_bytes)
{
	struct store *s;
	struct err e;
	struct store_options options = { .dir = dir };
	struct store_result result = { .rc = RC_OK };
	uint64_t last = 0;
	if (store_open(&s, &options, &e) != RC_OK) {
		fprintf(stderr, "open: %s\n", e.text);
		return 2;
	}
	unsigned char *noise = helper_noise(event_bytes, 5);
	for (int i = 0; i < 100000 && result.rc == RC_OK; i++) {
		struct event ev = helper_event("", (struct bytes){ noise, event_bytes });
		result = store_append(s, &ev);
		if (result.rc == RC_OK && result.seq != ++last)
			return 3;
	}
	if (result.rc != RC_FULL || last < 5 || store_health(s, &e) != RC_FULL) {
		fprintf(stderr, "after %" PRIu64 ": %s\n", last, result.err.text);
		return 4;
	}
	struct event ev = helper_event("", (struct bytes){ noise, event_bytes });
	if (store_append(s, &ev).rc != RC_FULL || !make_room(dir))
		return 5;
	result = store_append(s, &ev);
	if (result.rc != RC_OK || result.seq != last + 1 || store_health(s, &e) != RC_OK) {
		fprintf(stderr, "after making room: %s\n", result.err.text);
		return 6;
	}
	free(noise);
	store_close(s);
	struct store_verify_report report;
	if (store_verify(dir, 1, 0, NULL, NULL, &report, &e) != RC_OK || report.last_seq != last + 1)
		return 7;
	return 0;
}

static bool
lift_limit(const char *dir)
{
	(void)dir;
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	return setrlimit(RLIMIT_FSIZE, &none) == 0;
}

static void
a_file_size_limit_is_a_full_disk(void **state)
{
	(void)state;
	char *dir = helper_dir();
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit;
		getrlimit(RLIMIT_FSIZE, &limit);
		limit.rlim_cur = 3000000;
		signal(SIGXFSZ, SIG_IGN);
		_exit(setrlimit(RLIMIT_FSIZE, &limit) == 0 ? fill_and_recover(dir, lift_limit, 10000) : 1);
	}
	int status;
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
	helper_remove(dir);
}

static bool
remount_larger(const char *dir)
{
	return mount("none", dir, "tmpfs", MS_REMOUNT, "size=64m") == 0;
}

#define CANNOT_MOUNT 77

static void
fill_file_system(const char *size, size_t event_bytes)
{
	char *dir = helper_dir(), option[32];
	snprintf(option, sizeof option, "size=%s", size);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* A mount of its own: as root at once, else as root of a user namespace. */
		if ((unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
			mount("none", dir, "tmpfs", 0, option) != 0)
			_exit(CANNOT_MOUNT);
		_exit(fill_and_recover(dir, remount_larger, event_bytes));
	}
	int status;
	assert_true(waitpid(pid, &status, 0) == pid);
	helper_remove(dir);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_MOUNT) {
		printf("SKIP: no mount namespace is to be had\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void
a_full_file_system_recovers_with_room(void **state)
{
	(void)state;
	fill_file_system("1m", 3000);
	fill_file_system("4m", 10000);
	fill_file_system("8m", 300000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ack_comes_after_a_sync),
		cmocka_unit_test(a_failed_sync_stops_the_writer),
		cmocka_unit_test(a_failed_index_stops_the_writer),
		cmocka_unit_test(a_full_disk_is_survived),
		cmocka_unit_test(a_file_size_limit_is_a_full_disk),
		cmocka_unit_test(a_full_file_system_recovers_with_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
