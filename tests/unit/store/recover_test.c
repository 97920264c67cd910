/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan */
#undef _FORTIFY_SOURCE /* whose macros define what is defined here */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/fs.h"

/* The start after a write that failed: the kernel may go on showing what never reached the disk. */

static bool disk_differs; /* whether the disk holds another byte than the kernel shows */
static int direct_fd = -1;

/* These stand in for libc's. What is opened to be read past the page cache is remembered, and read as the other bytes
 * that a failed write left on the disk; so the test needs no such disk, nor a file system that can do it. */
int
open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags & ~O_DIRECT, mode);
	if ((flags & O_DIRECT) != 0)
		direct_fd = fd;
	return fd;
}

ssize_t
pread(int fd, void *to, size_t len, off_t at)
{
	ssize_t n = syscall(SYS_pread64, fd, to, len, at);
	if (disk_differs && fd == direct_fd && at == 0 && n > 9000)
		((unsigned char *)to)[9000] ^= 1;
	return n;
}

static void
the_disk_is_asked_after_a_failure(void **state)
{
	(void)state;
	char *dir = helper_dir(), note[4096];
	const struct store_options options = { .dir = dir };
	struct store *s = helper_open(dir);
	struct err e;
	helper_append(s, "a", "one");
	store_close(s);
	snprintf(note, sizeof note, "%s/failed", dir);
	/* After an orderly end nobody looks so closely. */
	disk_differs = true;
	s = helper_open(dir);
	store_close(s);
	assert_int_equal(direct_fd, -1);
	/* After a failure the difference is found, and also the next time: the note stays. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fs_write(note, bytes_str("sync: Input/output error\n"), 0600, &e), RC_OK);
		assert_int_equal(store_open(&s, &options, &e), RC_CORRUPT);
		assert_string_equal(e.id, "log.damaged");
		assert_non_null(strstr(e.text, "copy the folder to another disk"));
		assert_true(direct_fd >= 0 && fs_exists(note));
	}
	/* When the disk holds the same all is well. */
	disk_differs = false;
	s = helper_open(dir);
	assert_false(fs_exists(note));
	helper_append(s, "b", "two");
	store_close(s);
	helper_verify(dir, 2, RC_OK);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_disk_is_asked_after_a_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
