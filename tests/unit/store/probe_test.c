/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/clock.h"
#include "base/fs.h"
#include "store/probe.h"

static atomic_int sync_ms; /* what a flush takes; -1: the real one */
static _Atomic int64_t clock_offset_s;

/* These stand in for libc's. */
int
fdatasync(int fd)
{
	int ms = atomic_load(&sync_ms);
	if (ms > 0)
		clock_sleep_ms(ms);
	return ms >= 0 ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int result = (int)syscall(SYS_clock_gettime, id, ts);
	if (id == CLOCK_REALTIME)
		ts->tv_sec += atomic_load(&clock_offset_s);
	return result;
}

static void
a_flush_that_does_nothing_is_doubted(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct probe p;
	atomic_store(&sync_ms, 3);
	probe_sync(dir, &p);
	assert_true(p.sync_us >= 3000);
	assert_null(p.doubt);
	atomic_store(&sync_ms, -1);
	probe_sync("/does/not/exist", &p);
	assert_true(p.sync_us == -1 && p.doubt == NULL);
	assert_non_null(probe_judge(0, false));
	assert_non_null(probe_judge(4, false));
	assert_null(probe_judge(5, false));
	assert_null(probe_judge(50, false));
	assert_non_null(probe_judge(50, true));
	assert_null(probe_judge(4000, true));
	helper_remove(dir); /* asserts that nothing was left but files; none may be */
}

static void
below_the_floor_nothing_is_taken(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct err e;
	struct store_options options = { .dir = dir, .free_bytes_min = UINT64_MAX / 2 };
	struct store *s = helper_open_with(options);
	struct event ev = helper_event("a", bytes_str("x"));
	struct store_result result = store_append(s, &ev);
	assert_int_equal(result.rc, RC_FULL);
	assert_string_equal(result.err.id, "disk-full");
	assert_int_equal(store_health(s, &e), RC_FULL);
	store_close(s);
	options.free_bytes_min = 1;
	s = helper_open_with(options);
	assert_true(helper_append(s, "a", "x") == 1);
	assert_int_equal(store_health(s, &e), RC_OK);
	store_close(s);
	helper_verify(dir, 1, RC_OK);
	helper_remove(dir);
}

static void
a_clock_set_back_is_told_and_times_never_fall(void **state)
{
	(void)state;
	char *dir = helper_dir(), file[4096], text[8192] = "";
	struct store_reader *r;
	const struct store_record *records;
	struct arena *a = arena_new(4096);
	size_t count;
	struct err e;
	snprintf(file, sizeof file, "%s/stderr", dir);
	int saved = dup(STDERR_FILENO);
	assert_non_null(freopen(file, "w", stderr));
	struct store *s = helper_open(dir);
	helper_append(s, "a", "x");
	atomic_store(&clock_offset_s, -3600);
	helper_append(s, "b", "x");
	helper_append(s, "c", "x");
	atomic_store(&clock_offset_s, 0);
	helper_append(s, "d", "x");
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_read(r, 1, 9, 100000, a, &records, &count, &e), RC_OK);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(count, 4);
	assert_true(records[1].event.received_at_us == records[0].event.received_at_us);
	assert_true(records[2].event.received_at_us == records[0].event.received_at_us);
	assert_true(records[3].event.received_at_us >= records[0].event.received_at_us);
	FILE *f = fopen(file, "r");
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	const char *first = strstr(text, "warn log.clock-step");
	assert_non_null(first);
	assert_null(strstr(first + 1, "warn log.clock-step")); /* once per step */
	assert_non_null(strstr(first, "info log.clock-step"));
	store_reader_close(r);
	store_close(s);
	arena_free(a);
	helper_remove(dir);
}

int
main(void)
{
	atomic_store(&sync_ms, -1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_that_does_nothing_is_doubted),
		cmocka_unit_test(below_the_floor_nothing_is_taken),
		cmocka_unit_test(a_clock_set_back_is_told_and_times_never_fall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
