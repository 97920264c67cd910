/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLI_HELP_H
#define BASE_CLI_HELP_H

#include "base/cli.h"

/* What base/cli.c and its help texts share. Nobody else includes this. */

enum cli_global {
	CLI_GLOBAL_CONFIG,
	CLI_GLOBAL_DATA,
	CLI_GLOBAL_JSON,
	CLI_GLOBAL_HELP,
	CLI_GLOBALS,
};

/* The options every command takes. */
extern const struct cli_option cli_global_options[CLI_GLOBALS];

/* Whether c belongs to group, which is the first of its two words. */
bool cli_in_group(const struct cli_command *c, const char *group);

/* Appends the answer to `hooklog help COMMAND`. */
void cli_put_command_help(struct buf *out, const struct cli_command *c);

/* Appends the list of all commands, or with a group of those that start with this word. */
void cli_put_overview(struct buf *out, const struct cli_command *const *commands, size_t count,
	const char *group);

#endif
