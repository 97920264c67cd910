/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cli_help.h"

const struct cli_option cli_global_options[CLI_GLOBALS] = {
	[CLI_GLOBAL_CONFIG] = { "config", CLI_STRING, "FILE",
		"configuration file; default: hooklog.conf in the data folder" },
	[CLI_GLOBAL_DATA] = { "data", CLI_STRING, "DIR", "data folder; same as the key data.dir" },
	[CLI_GLOBAL_JSON] = { "json", CLI_FLAG, NULL, "JSON on stdout, for programs" },
	[CLI_GLOBAL_HELP] = { "help", CLI_FLAG, NULL, "what this command does and takes" },
};

static const struct {
	enum cli_exit code;
	const char *meaning;
} exit_codes[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_FAILED, "failed for a reason without a code of its own" },
	{ EXIT_USAGE, "wrong command line" },
	{ EXIT_NOTFOUND, "what was asked for does not exist" },
	{ EXIT_CONFIG, "wrong configuration" },
	{ EXIT_LOG, "the log is locked by another process, full or unavailable" },
	{ EXIT_POSTGRES, "PostgreSQL is unavailable or refuses" },
	{ EXIT_PARTIAL, "done in part; the output says what is missing" },
	{ EXIT_DAMAGE, "a check found damage or differences" },
	{ EXIT_CONFLICT, "it does not fit what is there: other projections, another process at work, views in the way, another history" },
	{ EXIT_MISMATCH, "the tables were not made from this log, or the log is older than they are" },
	{ EXIT_INTERRUPTED, "interrupted by SIGINT or SIGTERM before it was done" },
};

static void
put_option(struct buf *out, const struct cli_option *o)
{
	char left[64];
	snprintf(left, sizeof left, "--%s%s%s", o->name, o->metavar == NULL ? "" : " ",
		o->metavar == NULL ? "" : o->metavar);
	buf_printf(out, "  %-26s %s\n", left, o->help);
}

static void
put_usage(struct buf *out, const struct cli_command *c)
{
	buf_printf(out, "hooklog %s%s%s%s", c->name, c->option_count > 0 ? " [options]" : "",
		c->args_help[0] == '\0' ? "" : " ", c->args_help);
}

void
cli_put_command_help(struct buf *out, const struct cli_command *c)
{
	buf_put_str(out, "usage: ");
	put_usage(out, c);
	buf_printf(out, "\n\n%s\n", c->summary);
	if (c->details != NULL)
		buf_printf(out, "\n%s", c->details);
	if (c->option_count > 0)
		buf_put_str(out, "\nOptions:\n");
	for (size_t i = 0; i < c->option_count; i++)
		put_option(out, &c->options[i]);
	buf_put_str(out, "\nOptions of every command:\n");
	for (size_t i = 0; i < CLI_GLOBALS; i++)
		put_option(out, &cli_global_options[i]);
}

bool
cli_in_group(const struct cli_command *c, const char *group)
{
	size_t len = strlen(group);
	return strncmp(c->name, group, len) == 0 && c->name[len] == ' ';
}

void
cli_put_overview(struct buf *out, const struct cli_command *const *commands, size_t count,
	const char *group)
{
	if (group == NULL)
		buf_put_str(out,
			"usage: hooklog COMMAND [options]\n\nAn append-only log of webhooks and the "
			"PostgreSQL tables made from it.\n\nCommands:\n");
	else
		buf_printf(out, "usage: hooklog %s COMMAND [options]\n\nCommands:\n", group);
	for (size_t i = 0; i < count; i++) {
		if (group == NULL || cli_in_group(commands[i], group))
			buf_printf(out, "  %-26s %s\n", commands[i]->name, commands[i]->summary);
	}
	buf_put_str(out, "\nOptions of every command:\n");
	for (size_t i = 0; i < CLI_GLOBALS; i++)
		put_option(out, &cli_global_options[i]);
	buf_put_str(out, "\nhooklog help COMMAND tells more; hooklog --version tells the version.\n");
}

static void
put_reference_options(struct buf *out, const struct cli_option *options, size_t count)
{
	buf_put_str(out, "| option | meaning |\n|---|---|\n");
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "| `--%s%s%s` | %s |\n", options[i].name,
			options[i].metavar == NULL ? "" : " ",
			options[i].metavar == NULL ? "" : options[i].metavar, options[i].help);
}

void
cli_put_reference(struct buf *out, const struct cli_command *const *commands, size_t count)
{
	buf_put_str(out, "# Command line\n\n<!-- Written by `ninja docs`. -->\n\n"
			 "Data goes to stdout, messages and log lines to stderr.\n\n"
			 "| command | what it does |\n|---|---|\n");
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "| `hooklog %s` | %s |\n", commands[i]->name, commands[i]->summary);
	buf_put_str(out, "\n## Options of every command\n\n");
	put_reference_options(out, cli_global_options, CLI_GLOBALS);
	buf_put_str(out, "\n`--` ends the options. An option's value is the next argument or follows `=`.\n"
			 "\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
	for (size_t i = 0; i < COUNT_OF(exit_codes); i++)
		buf_printf(out, "| %d | %s |\n", (int)exit_codes[i].code, exit_codes[i].meaning);
	for (size_t i = 0; i < count; i++) {
		const struct cli_command *c = commands[i];
		buf_printf(out, "\n## hooklog %s\n\n", c->name);
		buf_put_str(out, "```\n");
		put_usage(out, c);
		buf_printf(out, "\n```\n\n%s\n", c->summary);
		if (c->details != NULL)
			buf_printf(out, "\n%s", c->details);
		if (c->option_count > 0) {
			buf_put_char(out, '\n');
			put_reference_options(out, c->options, c->option_count);
		}
	}
}
