/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "projector/projector.h"

static int
run_cli(const struct cli_call *call UNUSED)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	cli_put_reference(&out, command_table, command_count);
	bool printed = cmd_print(&out);
	buf_free(&out);
	return printed ? EXIT_DONE : EXIT_FAILED;
}

static int
run_config(const struct cli_call *call UNUSED)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	cfg_put_reference(&out, config_keys, config_key_count);
	bool printed = cmd_print(&out);
	buf_free(&out);
	return printed ? EXIT_DONE : EXIT_FAILED;
}

static int
run_schema(const struct cli_call *call UNUSED)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct err e;
	int code = EXIT_DONE;
	if (projector_put_schema(&out, &e) != RC_OK)
		code = cmd_fail(&e);
	else if (!cmd_print(&out))
		code = EXIT_FAILED;
	buf_free(&out);
	return code;
}

const struct cli_command cmd_docs_cli = {
	.name = "docs cli",
	.args_help = "",
	.summary = "Print the reference page of the command line.",
	.run = run_cli,
};

const struct cli_command cmd_docs_config = {
	.name = "docs config",
	.args_help = "",
	.summary = "Print the reference page of the configuration.",
	.run = run_config,
};

const struct cli_command cmd_docs_schema = {
	.name = "docs schema",
	.args_help = "",
	.summary = "Print the reference page of the tables and their columns.",
	.run = run_schema,
};
