/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "cli/commands.h"

#define ROW(name) &cmd_##name,
const struct cli_command *const command_table[] = { COMMANDS(ROW) };
const size_t command_count = COUNT_OF(command_table);

int
main(int argc, char **argv)
{
	struct cli_call call;
	struct err e = { 0 };
	switch (cli_parse(command_table, command_count, argc, (const char *const *)argv, &call, &e)) {
	case RC_OK:
		return cmd_flush(call.command->run(&call));
	case RC_NOTFOUND: /* help or the version was asked for and printed */
		return cmd_flush(EXIT_DONE);
	default:
		cmd_fail(&e);
		return EXIT_USAGE;
	}
}
