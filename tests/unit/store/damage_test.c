/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-TIMEOUT: 1800 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/fs.h"

#define EVENTS 24

static struct bytes
body_of(unsigned i, struct arena *a)
{
	/* Small and large, compressible and not: in leaf pages and in overflow pages. */
	size_t size = i % 4 == 0 ? 6000 : 30 + i * 17;
	unsigned char *p;
	if (i % 2 == 0) {
		p = helper_noise(size, i);
		struct bytes copy = arena_copy(a, (struct bytes){ p, size });
		free(p);
		return copy;
	}
	p = arena_alloc(a, size);
	memset(p, 'a' + (int)i, size);
	return (struct bytes){ p, size };
}

static void
fill(const char *dir, uint64_t segment_bytes_max)
{
	struct arena *a = arena_new(4096);
	struct store *s = helper_open_with(
		(struct store_options){ .dir = dir, .segment_bytes_max = segment_bytes_max });
	for (unsigned i = 0; i < EVENTS; i++) {
		char delivery[16];
		snprintf(delivery, sizeof delivery, "d%u", i);
		helper_append_bytes(s, delivery, body_of(i, a));
	}
	store_close(s);
	arena_free(a);
}

/* What a reader got out of a damaged log. */
enum outcome { ALL_RIGHT = 10, REPORTED = 11, WRONG = 12 };

static enum outcome
read_all(const char *dir)
{
	struct store_reader *r;
	struct arena *a = arena_new(1 << 16), *bodies = arena_new(1 << 16);
	struct err e;
	uint64_t seq = 1;
	if (store_reader_open(&r, dir, &e) != RC_OK)
		return REPORTED;
	while (seq <= EVENTS) {
		const struct store_record *records;
		size_t count;
		arena_reset(a);
		if (store_read(r, seq, 7, 100000, a, &records, &count, &e) != RC_OK)
			return REPORTED;
		if (count == 0) {
			/* The log looks shorter. Only verify can tell, from head. */
			struct store_verify_report report;
			store_reader_close(r);
			return store_verify(dir, 1, 0, NULL, NULL, &report, &e) == RC_OK ? WRONG : REPORTED;
		}
		for (size_t i = 0; i < count; i++, seq++) {
			const struct event *ev = &records[i].event;
			char delivery[16];
			snprintf(delivery, sizeof delivery, "d%u", (unsigned)seq - 1);
			if (ev->seq != seq || !bytes_equal(ev->body, body_of((unsigned)seq - 1, bodies)) ||
				!bytes_is(ev->delivery, delivery) || !bytes_is(ev->hook, "17"))
				return WRONG;
		}
	}
	store_reader_close(r);
	arena_free(a);
	arena_free(bodies);
	return ALL_RIGHT;
}

static enum outcome
verify_all(const char *dir)
{
	struct store_verify_report report;
	struct err e;
	if (store_verify(dir, 1, 0, NULL, NULL, &report, &e) != RC_OK)
		return REPORTED;
	return report.last_seq == EVENTS ? ALL_RIGHT : WRONG;
}

/* Runs f in a child, whose death by a signal is a report, too; 5 s of going round in circles as well. */
static enum outcome
in_child(enum outcome (*f)(const char *), const char *dir)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT };
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* The sanitizer's own reports of LMDB reading wild pages are not wanted here. */
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(WRONG);
		/* cmocka's handlers would go on with the tests in here. */
		for (size_t i = 0; i < COUNT_OF(deadly); i++)
			signal(deadly[i], SIG_DFL);
		alarm(5);
		_exit((int)f(dir));
	}
	int status;
	while (waitpid(child, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	if (WIFSIGNALED(status))
		return REPORTED;
	return WEXITSTATUS(status) >= ALL_RIGHT && WEXITSTATUS(status) <= WRONG
		? (enum outcome)WEXITSTATUS(status)
		: REPORTED;
}

/* Opens and closes the file: the children must not inherit it, or it counts as opened twice. */
static void
flip(const char *path, uint64_t where, unsigned char mask)
{
	unsigned char byte = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && pread(fd, &byte, 1, (off_t)where) == 1);
	byte ^= mask;
	assert_true(pwrite(fd, &byte, 1, (off_t)where) == 1);
	close(fd);
}

static void
flips_are_never_served(void **state)
{
	(void)state;
	char *dir = helper_dir(), path[4096];
	fill(dir, 0);
	snprintf(path, sizeof path, "%s/%s", dir, "00000000000000000001.mdb");
	assert_int_equal(in_child(read_all, dir), ALL_RIGHT);
	assert_int_equal(in_child(verify_all, dir), ALL_RIGHT);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	const char *soak = getenv("TEST_SOAK");
	unsigned rounds = soak != NULL ? 5000 : 300, reported = 0;
	for (unsigned i = 0; i < rounds; i++) {
		unsigned char *random = helper_noise(16, i + 1000), mask = (unsigned char)(1u << random[9] % 8);
		uint64_t where;
		memcpy(&where, random, sizeof where);
		where %= (uint64_t)st.st_size;
		free(random);
		flip(path, where, mask);
		enum outcome got = in_child(read_all, dir);
		if (got == WRONG)
			fail_msg("a flip at %" PRIu64 " was served", where);
		enum outcome verified = in_child(verify_all, dir);
		if (verified == WRONG || (got == REPORTED && verified != REPORTED))
			fail_msg("a flip at %" PRIu64 " was not found by verify", where);
		reported += verified == REPORTED;
		flip(path, where, mask);
	}
	/* Most of the file is records, the rest free or spare. */
	assert_true(reported > rounds / 3 && reported < rounds);
	assert_int_equal(in_child(verify_all, dir), ALL_RIGHT);
	helper_remove(dir);
}

static void
a_cut_file_is_refused(void **state)
{
	(void)state;
	char *dir = helper_dir(), path[4096];
	fill(dir, 0);
	snprintf(path, sizeof path, "%s/%s", dir, "00000000000000000001.mdb");
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 4096), 0);
	assert_int_equal(in_child(read_all, dir), REPORTED);
	assert_int_equal(in_child(verify_all, dir), REPORTED);
	struct store *s;
	struct err e;
	struct store_options options = { .dir = dir };
	assert_int_equal(store_open(&s, &options, &e), RC_CORRUPT);
	assert_string_equal(e.id, "log.damaged");
	helper_remove(dir);
}

/* A whole record replaced by another valid one: checksums fit, the chain does not. Done by taking a
 * segment of a log with the same id and other content. */
static void
a_forged_segment_breaks_the_chain(void **state)
{
	(void)state;
	char *dir = helper_dir(), *other = helper_dir(), from[4096], to[4096];
	struct arena *a = arena_new(4096);
	struct bytes log;
	struct err e;
	fill(dir, 20000);
	snprintf(from, sizeof from, "%s/LOG", dir);
	snprintf(to, sizeof to, "%s/LOG", other);
	assert_int_equal(fs_read(from, 4096, a, &log, &e), RC_OK);
	assert_int_equal(fs_write(to, log, 0600, &e), RC_OK);
	fill(other, 20000);
	struct store_reader *r;
	const struct store_segment_stat *segments;
	size_t count;
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_segments(r, a, &segments, &count, &e), RC_OK);
	store_reader_close(r);
	assert_true(count >= 3);
	assert_int_equal(in_child(verify_all, dir), ALL_RIGHT);
	assert_int_equal(in_child(verify_all, other), ALL_RIGHT);
	snprintf(from, sizeof from, "%s/%s", other, segments[1].name);
	snprintf(to, sizeof to, "%s/%s", dir, segments[1].name);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(in_child(verify_all, dir), REPORTED);
	arena_free(a);
	helper_remove(dir);
	helper_remove(other);
}

static void
a_lost_tail_is_noticed(void **state)
{
	(void)state;
	char *dir = helper_dir(), path[4096];
	fill(dir, 0);
	snprintf(path, sizeof path, "%s/head", dir);
	static const unsigned char more[8] = { EVENTS + 1 };
	int fd = open(path, O_WRONLY);
	assert_true(pwrite(fd, more, sizeof more, 0) == 8);
	close(fd);
	struct store *s;
	struct err e;
	struct store_options options = { .dir = dir };
	assert_int_equal(store_open(&s, &options, &e), RC_CORRUPT);
	assert_string_equal(e.id, "log.lost-tail");
	assert_int_equal(in_child(verify_all, dir), REPORTED);
	assert_int_equal(unlink(path), 0);
	s = helper_open(dir);
	store_close(s);
	helper_verify(dir, EVENTS, RC_OK);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flips_are_never_served),
		cmocka_unit_test(a_cut_file_is_refused),
		cmocka_unit_test(a_forged_segment_breaks_the_chain),
		cmocka_unit_test(a_lost_tail_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
