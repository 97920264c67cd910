/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/secret.h"

static char path[] = "/tmp/hooklog-secret-test.XXXXXX";

static void
write_file(const char *text, size_t len, mode_t mode)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static enum rc
read_secret(enum secret_access access, bool chosen, struct arena *a, struct bytes *secret,
	struct err *e)
{
	*secret = (struct bytes){ NULL, 0 };
	return secret_read(path, access, chosen, "test.secret", a, secret, e);
}

static void
only_what_is_long_enough_and_without_white_space(void **state UNUSED)
{
	struct arena *a = arena_new(4096);
	struct bytes secret;
	struct err e;
	static char large[LIMIT_SECRET_BYTES + 1];
	memset(large, 'x', sizeof large);
	write_file(" \t\r\na secret of length\n\n", 23, 0600);
	assert_int_equal(read_secret(SECRET_OWNER_ONLY, false, a, &secret, &e), RC_OK);
	assert_true(bytes_is(secret, "a secret of length"));
	const unsigned char *was = secret.data;
	secret_forget(&secret);
	assert_true(secret.len == 0 && was[0] == 0 && was[17] == 0);
	write_file("short\n", 6, 0600);
	assert_int_equal(read_secret(SECRET_OWNER_ONLY, false, a, &secret, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "has 5 bytes, which can be guessed"));
	assert_null(strstr(e.text, "short"));
	/* Others chose it: a password. */
	assert_int_equal(read_secret(SECRET_OWNER_ONLY, true, a, &secret, &e), RC_OK);
	assert_true(bytes_is(secret, "short"));
	write_file(" \n", 2, 0600);
	assert_int_equal(read_secret(SECRET_OWNER_ONLY, true, a, &secret, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "is empty"));
	write_file(large, LIMIT_SECRET_BYTES, 0600);
	assert_int_equal(read_secret(SECRET_OWNER_ONLY, false, a, &secret, &e), RC_OK);
	assert_int_equal(secret.len, LIMIT_SECRET_BYTES);
	write_file(large, sizeof large, 0600);
	assert_int_equal(read_secret(SECRET_OWNER_ONLY, false, a, &secret, &e), RC_INVALID);
	assert_string_equal(e.id, "test.secret");
	arena_free(a);
}

static void
not_what_others_can_read(void **state UNUSED)
{
	struct arena *a = arena_new(4096);
	struct bytes secret;
	struct err e;
	write_file("a secret of length", 18, 0640);
	assert_int_equal(read_secret(SECRET_OWNER_ONLY, false, a, &secret, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "chmod 600"));
	assert_int_equal(read_secret(SECRET_GROUP_TOO, false, a, &secret, &e), RC_OK);
	write_file("a secret of length", 18, 0604);
	assert_int_equal(read_secret(SECRET_GROUP_TOO, false, a, &secret, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "chmod o-rwx"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(read_secret(SECRET_GROUP_TOO, false, a, &secret, &e), RC_NOTFOUND);
	/* Nothing that blocks, or has no end. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(read_secret(SECRET_GROUP_TOO, false, a, &secret, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "not a regular file"));
	arena_free(a);
}

static int
set_up(void **state UNUSED)
{
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int
tear_down(void **state UNUSED)
{
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_long_enough_and_without_white_space),
		cmocka_unit_test(not_what_others_can_read),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
