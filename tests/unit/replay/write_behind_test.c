/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "replay/write_behind.h"

#define MIB ((size_t)1024 * 1024)

static unsigned char content[21 * MIB];

/* A disk as a rule, and memory, which has no way past the page cache. */
static const char *const folders[] = { "/tmp", "/dev/shm" };

static int
make_file(const char *folder)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/hooklog-behind-test.XXXXXX", folder);
	int fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* Hands over the first len bytes in three pieces at a time, of all lengths. */
static int
put_all(struct write_behind *w, size_t len)
{
	int failed = 0;
	size_t step = 1;
	for (size_t at = 0; failed == 0 && at < len; step = step * 3 % 200003) {
		struct iovec pieces[3];
		for (size_t i = 0; i < 3; i++) {
			size_t n = step * i < len - at ? step * i : len - at;
			pieces[i] = (struct iovec){ content + at, n };
			at += n;
		}
		failed = write_behind_put(w, pieces, 3);
	}
	return failed;
}

static void
the_file_is_what_was_put(void **state UNUSED)
{
	static const size_t lengths[] = { 0, 1, MIB - 1, MIB, MIB + 1, 16 * MIB, 16 * MIB + 4096, 21 * MIB - 7 };
	unsigned char *got = malloc(sizeof(content));
	assert_non_null(got);
	for (size_t f = 0; f < COUNT_OF(folders); f++) {
		for (size_t i = 0; i < COUNT_OF(lengths); i++) {
			int fd = make_file(folders[f]);
			struct stat st;
			struct write_behind *w = write_behind_new(fd);
			assert_int_equal(put_all(w, lengths[i]), 0);
			assert_int_equal(write_behind_finish(w), 0);
			write_behind_free(w);
			assert_int_equal(fstat(fd, &st), 0);
			assert_int_equal(st.st_size, lengths[i]);
			assert_int_equal(pread(fd, got, lengths[i], 0), lengths[i]);
			assert_memory_equal(got, content, lengths[i]);
			close(fd);
		}
	}
	free(got);
}

static void
may_end_early(void **state UNUSED)
{
	for (size_t len = 0; len <= 18 * MIB; len += 9 * MIB) {
		int fd = make_file(folders[0]);
		struct write_behind *w = write_behind_new(fd);
		assert_int_equal(put_all(w, len), 0);
		write_behind_free(w);
		close(fd);
	}
	write_behind_free(NULL);
}

/* A limit on the size of files, in the middle of a block, as a full disk would be. */
static void
a_write_that_fails_is_told(void **state UNUSED)
{
	struct rlimit before, low;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (size_t f = 0; f < COUNT_OF(folders); f++) {
		/* Blocks that were handed over; and the rest, which only the end writes. */
		for (int rest = 0; rest < 2; rest++) {
			int fd = make_file(folders[f]);
			low = before;
			low.rlim_cur = rest ? 2 * MIB + 1000 : MIB + 1000;
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
			struct write_behind *w = write_behind_new(fd);
			int failed = put_all(w, rest ? 2 * MIB + 2000 : 21 * MIB);
			/* More than fits in memory: it was told before the end. */
			assert_int_equal(failed, rest ? 0 : EFBIG);
			assert_int_equal(write_behind_finish(w), EFBIG);
			write_behind_free(w);
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
			close(fd);
		}
	}
}

int
main(void)
{
	uint64_t x = 1;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (unsigned char)((x = x * 6364136223846793005u + 1442695040888963407u) >> 56);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_is_what_was_put),
		cmocka_unit_test(may_end_early),
		cmocka_unit_test(a_write_that_fails_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
