/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"

struct fixture {
	struct arena *a;
	char dir[200];
};

static int
setup(void **state)
{
	struct fixture *f = base_zalloc(sizeof *f);
	const char *tmp = getenv("TMPDIR");
	snprintf(f->dir, sizeof f->dir, "%s/fs-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	f->a = arena_new(1024);
	*state = f;
	return mkdtemp(f->dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	static const char *const made[] = { "a/b/c", "a/b", "a", "file", "file.tmp" };
	for (size_t i = 0; i < COUNT_OF(made); i++) {
		const char *path = arena_printf(f->a, "%s/%s", f->dir, made[i]);
		if (unlink(path) != 0)
			(void)rmdir(path);
	}
	/* Fails when a test left anything else. */
	int failed = rmdir(f->dir);
	arena_free(f->a);
	free(f);
	return failed;
}

static void
mkdir_makes_missing_parents_privately(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	const char *deep = arena_printf(f->a, "%s/a/b/c", f->dir);
	assert_int_equal(fs_mkdir(deep, &e), RC_OK);
	struct stat st;
	assert_int_equal(stat(deep, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(fs_mkdir(deep, &e), RC_OK);
	assert_int_equal(fs_mkdir(arena_printf(f->a, "%s/", deep), &e), RC_OK);
	assert_int_equal(fs_sync_dir(deep, &e), RC_OK);
}

static void
mkdir_names_what_is_in_the_way(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	const char *file = arena_printf(f->a, "%s/file", f->dir);
	assert_int_equal(fs_write(file, bytes_str("x"), 0600, &e), RC_OK);
	assert_int_equal(fs_mkdir(file, &e), RC_IO);
	assert_string_equal(e.id, "data-dir.unwritable");
	assert_non_null(strstr(e.text, file));
	assert_int_equal(fs_mkdir(arena_printf(f->a, "%s/below", file), &e), RC_IO);
	assert_int_equal(fs_mkdir("", &e), RC_INVALID);
	assert_int_equal(fs_sync_dir(arena_printf(f->a, "%s/none", f->dir), &e), RC_IO);
}

static void
what_was_written_is_read(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	const char *file = arena_printf(f->a, "%s/file", f->dir);
	const struct bytes data = { (const unsigned char *)"one\0two", 7 };
	struct bytes got;
	assert_false(fs_exists(file));
	assert_int_equal(fs_write(file, data, 0640, &e), RC_OK);
	assert_true(fs_exists(file));
	assert_int_equal(fs_read(file, 7, f->a, &got, &e), RC_OK);
	assert_true(bytes_equal(got, data));
	assert_int_equal(got.data[7], '\0');
	assert_int_equal(fs_write(file, bytes_str("new"), 0600, &e), RC_OK);
	assert_int_equal(fs_read(file, 7, f->a, &got, &e), RC_OK);
	assert_true(bytes_is(got, "new"));
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
reading_is_bounded_and_tells_missing_from_wrong(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct bytes got;
	const char *file = arena_printf(f->a, "%s/file", f->dir);
	assert_int_equal(fs_read(file, 10, f->a, &got, &e), RC_NOTFOUND);
	assert_non_null(strstr(e.text, file));
	assert_int_equal(fs_write(file, bytes_str("12345"), 0600, &e), RC_OK);
	assert_int_equal(fs_read(file, 4, f->a, &got, &e), RC_INVALID);
	assert_int_equal(fs_read(file, 5, f->a, &got, &e), RC_OK);
	assert_int_equal(fs_read(f->dir, 1000, f->a, &got, &e), RC_INVALID);
}

static void
a_failed_write_leaves_the_old_file(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	const char *none = arena_printf(f->a, "%s/none/file", f->dir);
	assert_int_equal(fs_write(none, bytes_str("x"), 0600, &e), RC_IO);
	assert_non_null(strstr(e.text, none));
	/* A folder cannot be replaced by a file; the temporary file must be gone, see teardown. */
	const char *folder = arena_printf(f->a, "%s/a", f->dir);
	assert_int_equal(fs_mkdir(folder, &e), RC_OK);
	assert_int_equal(fs_write(folder, bytes_str("x"), 0600, &e), RC_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mkdir_makes_missing_parents_privately, setup, teardown),
		cmocka_unit_test_setup_teardown(mkdir_names_what_is_in_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_is_bounded_and_tells_missing_from_wrong, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old_file, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
