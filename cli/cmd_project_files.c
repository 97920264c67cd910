/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/cmd_project.h"
#include "cli/commands.h"

/* The projection files: begin one, check one, try one. */

#define SAMPLE_MAX 100000

static int
print_and_free(struct buf *out, enum rc rc, const struct err *e, int code)
{
	bool printed = cmd_print(out);
	buf_free(out);
	if (rc != RC_OK)
		return cmd_fail(e);
	return printed ? code : EXIT_FAILED;
}

static int
run_sample(const struct cli_call *call)
{
	struct project_context c;
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct err e;
	uint64_t wrong = 0, events = cli_option(call, "sample")->u64;
	enum rc rc = project_open(&c, call, false, &e);
	if (rc == RC_OK && call->arg_count == 0)
		rc = err_set(&e, RC_INVALID, NULL, "--sample needs the FILE or TABLE to try");
	if (rc == RC_OK && (events == 0 || events > SAMPLE_MAX))
		rc = err_set(&e, RC_INVALID, NULL, "--sample takes 1 to %d events", SAMPLE_MAX);
	if (rc == RC_OK) {
		const struct projector_sample_options options = { call->args[0], (size_t)events };
		rc = projector_sample(&c.options, &options, &out, &wrong, &e);
	}
	project_close(&c);
	return print_and_free(&out, rc, &e, wrong == 0 ? EXIT_DONE : EXIT_FAILED);
}

static int
run_check(const struct cli_call *call)
{
	if (cli_option(call, "sample")->given)
		return run_sample(call);
	struct arena *a = arena_new(64 * 1024);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct config config;
	struct err e;
	enum rc rc = config_load(&config, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = projector_check(config.projector_dir, call->args[0], cli_option(call, "sql")->given, &out,
			&e);
	arena_free(a);
	return print_and_free(&out, rc, &e, EXIT_DONE);
}

/* SOURCE, EVENT, SOURCE/EVENT, or the name of a file of JSON. */
static enum rc
read_from(struct projector_starter *starter, const char *from, struct arena *a, struct err *e)
{
	size_t len = strlen(from);
	if (len > 5 && strcmp(from + len - 5, ".json") == 0)
		return fs_read(from, LIMIT_TEXT_BYTES, a, &starter->json, e);
	const char *slash = strchr(from, '/');
	starter->source = slash == NULL ? from
		: arena_string(a, (struct bytes){ (const unsigned char *)from, (size_t)(slash - from) });
	if (slash != NULL && slash[1] != '\0')
		starter->event = slash + 1;
	return RC_OK;
}

static enum rc
write_new(const struct buf *text, const char *path, struct err *e)
{
	if (access(path, F_OK) == 0)
		return err_set(e, RC_INVALID, NULL, "%s exists; name another file with --output, or remove it", path);
	return fs_write(path, buf_bytes(text), 0644, e);
}

static int
run_new(const struct cli_call *call)
{
	struct project_context c;
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct projector_starter starter = { .name = call->args[0] };
	const char *output = cli_option(call, "output")->text, *from = cli_option(call, "from")->text, *path = NULL;
	struct err e;
	enum rc rc = project_open(&c, call, false, &e);
	if (rc == RC_OK && from == NULL)
		rc = err_set(&e, RC_INVALID, NULL, "name with --from what to go by: SOURCE, EVENT or SOURCE/EVENT, or a file of JSON");
	if (rc == RC_OK)
		rc = read_from(&starter, from, c.a, &e);
	if (rc == RC_OK)
		rc = projector_start(&c.options, &starter, &out, &e);
	if (rc == RC_OK && (output == NULL || strcmp(output, "-") != 0)) {
		const char *dir = c.config.projector_dir;
		path = output != NULL ? output
			: dir[0] == '\0' ? arena_printf(c.a, "%s.sql", starter.name)
					 : arena_printf(c.a, "%s/%s.sql", dir, starter.name);
		rc = write_new(&out, path, &e);
		buf_clear(&out);
		buf_printf(&out, "wrote %s; look it over, then try it: hooklog project check %s%s --sample 100\n", path,
			strchr(path, '/') == NULL ? "./" : "", path);
	}
	if (rc != RC_OK)
		buf_clear(&out);
	project_close(&c);
	return print_and_free(&out, rc, &e, EXIT_DONE);
}

static const struct cli_option check_options[] = {
	{ "sql", CLI_FLAG, NULL, "print the SQL made from each definition" },
	{ "sample", CLI_U64, "N", "try it on the newest N events that make rows" },
};

const struct cli_command cmd_project_check = {
	.name = "project check",
	.args_help = "[TABLE|FILE]",
	.args_max = 1,
	.summary = "Check the projection files and list what they make; try one.",
	.details = "Reads the built-in projections and those of projector.dir, or one FILE, and needs no database.\n"
		   "With --sample it makes the table in a transaction that is rolled back, projects events of the log\n"
		   "into it, and prints what is wrong with which event, columns that stay null, and rows. Errors point\n"
		   "at file:line:column. Exit code 1: some event cannot be projected.\n",
	.options = check_options,
	.option_count = COUNT_OF(check_options),
	.run = run_check,
};

static const struct cli_option new_options[] = {
	{ "from", CLI_STRING, "SOURCE/EVENT", "events of the log to go by: a source or provider, their type, or both; or a file that ends with .json" },
	{ "output", CLI_STRING, "FILE", "where to write it, - for stdout; default NAME.sql in projector.dir, else here" },
};

const struct cli_command cmd_project_new = {
	.name = "project new",
	.args_help = "NAME",
	.args_min = 1,
	.args_max = 1,
	.summary = "Begin a projection file for a table NAME, guessed from events.",
	.details = "Looks at up to 200 of the newest such events. The object called like the event, or the one with an id,\n"
		   "makes the row; its members become columns, with the types their values have. What only some events\n"
		   "hold goes into the group full. Change it as you like.\n",
	.options = new_options,
	.option_count = COUNT_OF(new_options),
	.run = run_new,
};
