/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/cmd.h"

/* cmd_fail's exit code, and what it wrote to stderr. */
static int
fail_with(enum rc rc, const char *id, char text[512])
{
	struct err e = { .rc = rc, .id = id, .text = "it broke" };
	FILE *file = tmpfile();
	assert_non_null(file);
	int saved = dup(STDERR_FILENO);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	int code = cmd_fail(&e);
	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	text[fread(text, 1, 511, file)] = '\0';
	fclose(file);
	return code;
}

static void
the_code_follows_result_and_id(void **state UNUSED)
{
	static const struct {
		enum rc rc;
		const char *id;
		int code;
	} rows[] = {
		{ RC_INVALID, "config.invalid", EXIT_CONFIG },
		{ RC_NOTFOUND, "config.missing", EXIT_CONFIG },
		{ RC_AGAIN, "log.locked", EXIT_LOG },
		{ RC_FULL, "log.full", EXIT_LOG },
		{ RC_IO, "log.sync", EXIT_LOG },
		{ RC_CORRUPT, "log.damaged", EXIT_DAMAGE },
		{ RC_NOTFOUND, "log.missing", EXIT_NOTFOUND },
		{ RC_IO, "postgres.down", EXIT_POSTGRES },
		{ RC_CONFLICT, "postgres.other-log", EXIT_CONFLICT },
		{ RC_CONFLICT, "projector.other-log", EXIT_CONFLICT },
		{ RC_CONFLICT, "project.log-mismatch", EXIT_MISMATCH },
		{ RC_CONFLICT, "project.locked", EXIT_CONFLICT },
		{ RC_IO, NULL, EXIT_FAILED },
		{ RC_IO, "logger.x", EXIT_FAILED },
	};
	char text[512];
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(fail_with(rows[i].rc, rows[i].id, text), rows[i].code);
		assert_memory_equal(text, "hooklog: it broke\n", 18);
	}
}

static void
the_page_is_named(void **state UNUSED)
{
	char text[512];
	fail_with(RC_AGAIN, "log.locked", text);
	assert_string_equal(text,
		"hooklog: it broke\nhooklog: see docs/runbooks/log.locked.md\n");
	fail_with(RC_AGAIN, NULL, text);
	assert_string_equal(text, "hooklog: it broke\n");
}

/* In a child process, since blocked signals cannot be given back to cmocka. */
static int
watch_signals(int signal_number)
{
	struct err e;
	int fd = cmd_stop_fd(&e);
	if (fd < 0 || cmd_stopped(fd) || cmd_stopped(-1))
		return 1;
	if (raise(SIGPIPE) != 0 || raise(SIGXFSZ) != 0 || raise(signal_number) != 0)
		return 2;
	/* Nobody reads it, so it stays visible to every thread that looks. */
	return cmd_stopped(fd) && cmd_stopped(fd) ? 42 : 3;
}

static void
a_stop_is_seen_and_stays(void **state UNUSED)
{
	static const int signals[] = { SIGTERM, SIGINT };
	for (size_t i = 0; i < COUNT_OF(signals); i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(watch_signals(signals[i]));
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 42);
	}
}

static void
a_child_can_be_stopped_again(void **state UNUSED)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e;
		if (cmd_stop_fd(&e) < 0)
			_exit(1);
		cmd_unblock_signals();
		raise(SIGTERM);
		_exit(2);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_code_follows_result_and_id),
		cmocka_unit_test(the_page_is_named),
		cmocka_unit_test(a_stop_is_seen_and_stays),
		cmocka_unit_test(a_child_can_be_stopped_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
