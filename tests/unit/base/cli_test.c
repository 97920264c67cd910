/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cli.h"

static int
run_nothing(const struct cli_call *call UNUSED)
{
	return EXIT_DONE;
}

static const struct cli_option show_options[] = {
	{ "limit", CLI_U64, "N", "at most N" },
	{ "since", CLI_TIME, "TIME", "from TIME on" },
	{ "source", CLI_STRING, "NAME", "only NAME" },
	{ "raw", CLI_FLAG, NULL, "as it came" },
};

static const struct cli_command replay = { .name = "replay", .args_help = "", .summary = "Replay.",
	.run = run_nothing };
static const struct cli_command log_show = { .name = "log show", .args_help = "SEQ...", .args_min = 1,
	.args_max = 3, .summary = "Show.", .details = "Shows events.\n", .options = show_options,
	.option_count = COUNT_OF(show_options), .run = run_nothing };
static const struct cli_command log_verify = { .name = "log verify", .args_help = "",
	.summary = "Verify.", .run = run_nothing };
static const struct cli_command *const commands[] = { &log_show, &log_verify, &replay };

static struct cli_call call;
static struct err e;

/* Parses a line of words separated by one blank, "_" standing for a blank within a word; words live in
 * a static array since the call borrows them. */
static enum rc
parse(const char *line)
{
	static char words[20][64];
	const char *argv[21] = { "hooklog" };
	int argc = 1;
	while (*line != '\0') {
		size_t len = strcspn(line, " ");
		snprintf(words[argc], sizeof words[0], "%.*s", (int)len, line);
		argv[argc] = words[argc];
		argc++;
		line += len + (line[len] == ' ');
	}
	memset(&e, 0, sizeof e);
	return cli_parse(commands, COUNT_OF(commands), argc, argv, &call, &e);
}

static void
options_and_arguments_in_any_order(void **state UNUSED)
{
	assert_int_equal(parse("--data /d log show 1 --limit 1_000 2 --raw --source=a=b --json "
			       "--since 2026-03-01 --config c"),
		RC_OK);
	assert_ptr_equal(call.command, &log_show);
	assert_int_equal(call.arg_count, 2);
	assert_string_equal(call.args[0], "1");
	assert_string_equal(call.args[1], "2");
	assert_null(call.args[2]);
	assert_int_equal(cli_option(&call, "limit")->u64, 1000);
	assert_string_equal(cli_option(&call, "source")->text, "a=b");
	assert_int_equal(cli_option(&call, "since")->time_us, INT64_C(1772323200000000));
	assert_true(cli_option(&call, "raw")->given);
	assert_string_equal(call.data_dir, "/d");
	assert_string_equal(call.config_path, "c");
	assert_true(call.json);
}

static void
nothing_given_is_nothing_set(void **state UNUSED)
{
	assert_int_equal(parse("log show 5"), RC_OK);
	for (size_t i = 0; i < COUNT_OF(show_options); i++)
		assert_false(call.options[i].given);
	assert_null(call.data_dir);
	assert_null(call.config_path);
	assert_false(call.json);
	assert_int_equal(parse("replay"), RC_OK);
	assert_ptr_equal(call.command, &replay);
}

static void
two_dashes_end_the_options(void **state UNUSED)
{
	assert_int_equal(parse("log show --raw -- --limit -x --"), RC_OK);
	assert_int_equal(call.arg_count, 3);
	assert_string_equal(call.args[0], "--limit");
	assert_string_equal(call.args[2], "--");
	assert_false(cli_option(&call, "limit")->given);
	/* One dash alone is an argument, or a value. */
	assert_int_equal(parse("log show - --source -"), RC_OK);
	assert_string_equal(call.args[0], "-");
	assert_string_equal(cli_option(&call, "source")->text, "-");
	assert_int_equal(parse("log show 1 --source=--x"), RC_OK);
	assert_string_equal(cli_option(&call, "source")->text, "--x");
	assert_int_equal(parse("log show 1 --source="), RC_OK);
	assert_string_equal(cli_option(&call, "source")->text, "");
}

static void
usage_errors_name_the_remedy(void **state UNUSED)
{
	static const struct {
		const char *line, *message;
	} rows[] = {
		{ "", "no command given; 'hooklog help' lists them" },
		{ "log", "'log' needs one more word; 'hooklog help log' lists them" },
		{ "log shwo 1", "unknown command 'log shwo'; did you mean 'hooklog log show'?" },
		{ "lgo show 1", "unknown command 'lgo'; did you mean 'hooklog log show'?" },
		{ "replya", "unknown command 'replya'; did you mean 'hooklog replay'?" },
		{ "verify", "unknown command 'verify'; did you mean 'hooklog log verify'?" },
		{ "zebra", "unknown command 'zebra'; 'hooklog help' lists them" },
		{ "log zebra", "unknown command 'log zebra'; 'hooklog help log' lists them" },
		{ "log show", "'hooklog log show' needs SEQ...; 'hooklog help log show' tells more" },
		{ "log show 1 2 3 4", "'4' is one argument too many for 'hooklog log show SEQ...'" },
		{ "replay now", "'now' is one argument too many for 'hooklog replay'" },
		{ "log show 1 --limti 3", "unknown option '--limti'; did you mean --limit?" },
		{ "log show 1 --jsno", "unknown option '--jsno'; did you mean --json?" },
		{ "log show 1 --zebra=3", "unknown option '--zebra'; 'hooklog help log show' lists them" },
		{ "log show 1 -l", "unknown option '-l'; 'hooklog help log show' lists them" },
		{ "replay --limit 3", "unknown option '--limit'; 'hooklog help replay' lists them" },
		{ "--limit 3 log show", "unknown option '--limit'; 'hooklog help' lists them" },
		{ "log show 1 --limit", "option --limit needs a value: --limit N, or --limit=N when it starts "
					"with --" },
		{ "log show 1 --limit --raw", "option --limit needs a value: --limit N, or --limit=N when it "
					      "starts with --" },
		{ "log show 1 --raw=yes", "option --raw takes no value" },
		{ "log show 1 --raw --raw", "option --raw is given twice" },
		{ "log show 1 --limit 3 --limit=4", "option --limit is given twice" },
		{ "log show 1 --limit -3", "option --limit: '-3' is not a whole number" },
		{ "log show 1 --limit 3x", "option --limit: '3x' is not a whole number" },
		{ "log show 1 --limit 1__0", "option --limit: '1__0' is not a whole number" },
		{ "log show 1 --limit _1", "option --limit: '_1' is not a whole number" },
		{ "log show 1 --limit 1_", "option --limit: '1_' is not a whole number" },
		{ "log show 1 --limit 18446744073709551616",
			"option --limit: '18446744073709551616' is not a whole number" },
		{ "log show 1 --since yesterday", "option --since: 'yesterday' is not a time such as "
						  "2026-03-01T12:00:00Z or a date such as 2026-03-01" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(parse(rows[i].line), RC_INVALID);
		assert_string_equal(e.text, rows[i].message);
	}
	assert_int_equal(parse("log show 1 --limit 18446744073709551615"), RC_OK);
	assert_true(cli_option(&call, "limit")->u64 == UINT64_MAX);
}

/* What parse prints to stdout. */
static const char *
printed(const char *line, enum rc want)
{
	static char text[16384];
	FILE *file = tmpfile();
	assert_non_null(file);
	fflush(stdout);
	int saved = dup(STDOUT_FILENO);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	enum rc rc = parse(line);
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	if (rc != want)
		fail_msg("'%s' gave %s", line, rc_name(rc));
	return text;
}

static void
help_is_everywhere(void **state UNUSED)
{
	static const char *const overview[] = { "help", "--help", "-h", "--json --help" };
	for (size_t i = 0; i < COUNT_OF(overview); i++) {
		const char *text = printed(overview[i], RC_NOTFOUND);
		for (size_t c = 0; c < COUNT_OF(commands); c++)
			assert_non_null(strstr(text, commands[c]->name));
	}
	static const char *const show[] = { "help log show", "log show --help", "log show -h",
		"--help log show", "log show 1 2 3 4 5 --help", "log show 1 --limit 3 -h" };
	for (size_t i = 0; i < COUNT_OF(show); i++) {
		const char *text = printed(show[i], RC_NOTFOUND);
		assert_memory_equal(text, "usage: hooklog log show [options] SEQ...\n", 41);
		assert_non_null(strstr(text, "\nShows events.\n"));
		assert_non_null(strstr(text, "--limit N "));
		assert_non_null(strstr(text, "--data DIR "));
	}
	static const char *const group[] = { "help log", "log --help", "log -h", "--help log" };
	for (size_t i = 0; i < COUNT_OF(group); i++) {
		const char *text = printed(group[i], RC_NOTFOUND);
		assert_non_null(strstr(text, "log verify"));
		assert_null(strstr(text, "replay"));
	}
	assert_string_equal(printed("help zebra", RC_INVALID), "");
	assert_string_equal(printed("zebra --help", RC_INVALID), "");
	assert_string_equal(printed("--version", RC_NOTFOUND), "hooklog " CLI_VERSION "\n");
	/* Behind -- it is an argument like any other. */
	assert_string_equal(printed("log show -- --help", RC_OK), "");
}

static void
near_misses(void **state UNUSED)
{
	static const char *const words[] = { "status", "rebuild", "check", "run" };
	static const struct {
		const char *word, *nearest;
	} rows[] = {
		{ "status", "status" }, { "statsu", "status" }, { "stauts", "status" }, { "rebuid", "rebuild" },
		{ "chekc", "check" }, { "rnu", "run" }, { "runn", "run" }, { "zebra", NULL }, { "", NULL },
		{ "r", NULL },
		{ "a-very-long-word-that-is-longer-than-anything-this-function-compares-with", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *got = cli_nearest(rows[i].word, words, COUNT_OF(words));
		if (rows[i].nearest == NULL)
			assert_null(got);
		else
			assert_string_equal(got, rows[i].nearest);
	}
	assert_null(cli_nearest("x", NULL, 0));
}

static void
exit_codes_are_the_documented_ones(void **state UNUSED)
{
	assert_int_equal(cli_exit_of(RC_OK), 0);
	assert_int_equal(cli_exit_of(RC_NOTFOUND), 3);
	assert_int_equal(cli_exit_of(RC_FULL), 5);
	assert_int_equal(cli_exit_of(RC_CORRUPT), 8);
	assert_int_equal(cli_exit_of(RC_CONFLICT), 9);
	assert_int_equal(cli_exit_of(RC_IO), 1);
	assert_int_equal(cli_exit_of(RC_AGAIN), 1);
	assert_int_equal(cli_exit_of(RC_INVALID), 1);
	assert_int_equal(cli_exit_of(RC_DENIED), 1);
	struct buf out = buf_new(100000);
	cli_put_reference(&out, commands, COUNT_OF(commands));
	static const int codes[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130 };
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		char row[16];
		snprintf(row, sizeof row, "\n| %d | ", codes[i]);
		assert_non_null(strstr(buf_cstr(&out), row));
	}
	assert_non_null(strstr(buf_cstr(&out), "\n## hooklog log show\n"));
	assert_non_null(strstr(buf_cstr(&out), "| `--limit N` | at most N |\n"));
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_arguments_in_any_order),
		cmocka_unit_test(nothing_given_is_nothing_set),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(usage_errors_name_the_remedy),
		cmocka_unit_test(help_is_everywhere),
		cmocka_unit_test(near_misses),
		cmocka_unit_test(exit_codes_are_the_documented_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
