/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/replay_report.h"

/* What stderr gets, which is no terminal here. */
static void
said(const struct replay_result *r, struct replay_report *report, char *text, size_t size)
{
	FILE *file = tmpfile();
	assert_non_null(file);
	int saved = dup(STDERR_FILENO);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	replay_report_progress(r, report);
	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	size_t n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
}

/* What is left is reckoned from what this process did: 100 events took 10 s, another 100 are left. */
static void
a_run_that_goes_on_knows_its_own_rate(void **state UNUSED)
{
	char text[512];
	int64_t now = clock_monotonic_ms();
	struct replay_report report = { .start_ms = now - 10000, .shown_ms = now };
	struct replay_result r = { .from_seq = 1, .to_seq = 1000, .next_seq = 801 };
	said(&r, &report, text, sizeof text);
	assert_string_equal(text, ""); /* a line every ten seconds */
	report.shown_ms = now - 10000;
	r.next_seq = 901;
	r.sent = 100;
	said(&r, &report, text, sizeof text);
	assert_non_null(strstr(text, "replay:  90%  seq 900 of 1000  sent 100 "));
	assert_non_null(strstr(text, "  10 s left\n"));
	said(&r, &report, text, sizeof text);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_run_that_goes_on_knows_its_own_rate) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
