/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/log.h"

/* What log_line writes to stderr while body runs, without the time in front. */
struct capture {
	FILE *file;
	int saved;
	char text[64 * 1024];
};

static void
capture_start(struct capture *c)
{
	c->file = tmpfile();
	assert_non_null(c->file);
	c->saved = dup(STDERR_FILENO);
	assert_true(dup2(fileno(c->file), STDERR_FILENO) >= 0);
}

static const char *
capture_end(struct capture *c)
{
	assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
	close(c->saved);
	rewind(c->file);
	size_t n = fread(c->text, 1, sizeof c->text - 1, c->file);
	c->text[n] = '\0';
	fclose(c->file);
	const char *space = strchr(c->text, ' ');
	return space == NULL ? "" : space + 1;
}

static void
plain_values_stay_bare(void **state UNUSED)
{
	struct capture c;
	capture_start(&c);
	LOG_INFO("store.open", F_S("path", "/var/x-1_2.3:4"), F_U("seq", UINT64_MAX), F_I("lag", -3),
		F_B("b", ((struct bytes){ (const unsigned char *)"abc", 2 })));
	assert_string_equal(capture_end(&c),
		"info store.open path=/var/x-1_2.3:4 seq=18446744073709551615 lag=-3 b=ab\n");
}

static void
input_cannot_forge_a_line_or_a_field(void **state UNUSED)
{
	struct capture c;
	capture_start(&c);
	LOG_WARN("x.y", F_S("v", "a\n2026-01-01T00:00:00Z error fake.id x=1"), F_S("w", "a b=\"c\"\\"),
		F_S("e", ""), F_S("u", "\xc3\xa9\x1b[31m\x7f"), F_S("n", NULL));
	assert_string_equal(capture_end(&c),
		"warn x.y v=\"a\\x0a2026-01-01T00:00:00Z error fake.id x=1\" w=\"a b=\\\"c\\\"\\\\\" e=\"\" "
		"u=\"\\xc3\\xa9\\x1b[31m\\x7f\" n=\"\"\n");
}

static void
long_values_are_cut_and_the_line_still_ends(void **state UNUSED)
{
	static char big[LIMIT_LOG_VALUE_BYTES * 20];
	memset(big, 1, sizeof big - 1);
	struct capture c;
	capture_start(&c);
	LOG_ERROR("x.y", F_S("v", big));
	/* Four times the value as escapes, and whatever the line's limit cuts. */
	LOG_ERROR("x.z", F_S("a", big), F_S("b", big), F_S("c", big), F_S("d", big), F_S("e", big),
		F_S("f", big));
	LOG_ERROR("x.end", F_S("v", "1"));
	const char *got = capture_end(&c);
	const char *first = strchr(got, '\n');
	assert_non_null(first);
	assert_memory_equal(first - 4, "...\"", 4);
	assert_int_equal(first - got, strlen("error x.y v=\"...\"") + LIMIT_LOG_VALUE_BYTES * 4);
	const char *second = strchr(first + 1, '\n');
	assert_non_null(second);
	assert_true(second - first <= (ptrdiff_t)LIMIT_LOG_LINE_BYTES);
	assert_non_null(strstr(second, " error x.end v=1\n"));
}

static void
the_level_decides(void **state UNUSED)
{
	struct capture c;
	assert_int_equal(setenv("HOOKLOG_LOG_LEVEL", "warn", 1), 0);
	capture_start(&c);
	LOG_DEBUG("a.a", F_U("n", 1));
	LOG_INFO("a.b", F_U("n", 2));
	LOG_WARN("a.c", F_U("n", 3));
	assert_string_equal(capture_end(&c), "warn a.c n=3\n");
	assert_int_equal(setenv("HOOKLOG_LOG_LEVEL", "debug", 1), 0);
	capture_start(&c);
	LOG_DEBUG("a.a", F_U("n", 1));
	assert_string_equal(capture_end(&c), "debug a.a n=1\n");
	/* Nonsense and nothing mean info. */
	assert_int_equal(setenv("HOOKLOG_LOG_LEVEL", "loud", 1), 0);
	capture_start(&c);
	LOG_DEBUG("a.a", F_U("n", 1));
	LOG_INFO("a.b", F_U("n", 2));
	assert_string_equal(capture_end(&c), "info a.b n=2\n");
	assert_int_equal(unsetenv("HOOKLOG_LOG_LEVEL"), 0);
}

static void
an_error_is_logged_under_its_id(void **state UNUSED)
{
	struct capture c;
	struct err e = { 0 };
	err_set(&e, RC_IO, "postgres.down", "no answer");
	capture_start(&c);
	log_err("x.fallback", &e);
	assert_string_equal(capture_end(&c), "error postgres.down error=\"no answer\"\n");
	e.id = NULL;
	snprintf(e.code, sizeof e.code, "57P01");
	capture_start(&c);
	log_err("x.fallback", &e);
	assert_string_equal(capture_end(&c), "error x.fallback error=\"no answer\" code=57P01\n");
}

int
main(void)
{
	unsetenv("HOOKLOG_LOG_LEVEL");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_values_stay_bare),
		cmocka_unit_test(input_cannot_forge_a_line_or_a_field),
		cmocka_unit_test(long_values_are_cut_and_the_line_still_ends),
		cmocka_unit_test(the_level_decides),
		cmocka_unit_test(an_error_is_logged_under_its_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
