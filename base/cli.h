/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLI_H
#define BASE_CLI_H

#include "base/buf.h"
#include "base/err.h"

/* The command line as data: each command is a row, from which parsing, help, near-miss suggestions
 * and docs/reference/cli.md are made. */

/* Exit codes; documented in docs/reference/cli.md and tested. */
enum cli_exit {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,      /* anything without a code of its own */
	EXIT_USAGE = 2,       /* wrong command line */
	EXIT_NOTFOUND = 3,    /* what was asked for does not exist */
	EXIT_CONFIG = 4,      /* wrong configuration */
	EXIT_LOG = 5,         /* the log is locked by another process, full or unavailable */
	EXIT_POSTGRES = 6,    /* PostgreSQL is unavailable or refuses */
	EXIT_PARTIAL = 7,     /* done in part; the output says what is missing */
	EXIT_DAMAGE = 8,      /* a check found damage or differences */
	EXIT_CONFLICT = 9,    /* it does not fit what is there: other definitions, another holder, another history */
	EXIT_MISMATCH = 10,   /* the tables were not made from this log */
	EXIT_INTERRUPTED = 130,
};

enum cli_type {
	CLI_FLAG,   /* --name */
	CLI_STRING, /* --name VALUE */
	CLI_U64,    /* --name N, decimal, also with _ between digits */
	CLI_TIME,   /* --name RFC 3339 time or date */
};

struct cli_option {
	const char *name;    /* without dashes */
	enum cli_type type;
	const char *metavar; /* "SEQ", "URL", ...; NULL for a flag */
	const char *help;    /* one line */
};

struct cli_value {
	bool given;
	const char *text; /* borrowed from argv */
	uint64_t u64;
	int64_t time_us;
};

#define CLI_VERSION "0.1.0"
#define CLI_OPTIONS_MAX 48
#define CLI_ARGS_MAX 24

/* What a command was called with. Borrowed from argv and the command row. */
struct cli_call {
	const struct cli_command *command;
	struct cli_value options[CLI_OPTIONS_MAX]; /* same index as command->options */
	const char *args[CLI_ARGS_MAX];            /* the rest, NULL-terminated */
	size_t arg_count;
	const char *config_path; /* --config, or NULL */
	const char *data_dir;    /* --data, or NULL */
	bool json;               /* --json */
};

struct cli_command {
	const char *name;      /* "log show": one or two words */
	const char *args_help; /* "SEQ", "[SEQ...]" or "" */
	size_t args_min, args_max;
	const char *summary;   /* one line for the list */
	const char *details;   /* paragraphs for --help, or NULL; ends with a newline */
	const struct cli_option *options;
	size_t option_count;
	int (*run)(const struct cli_call *call); /* returns an enum cli_exit */
};

/* Finds the command in argv, parses its options and fills *call. RC_INVALID: usage error; *e holds the
 * message with the nearest right spelling. RC_NOTFOUND: help was asked for and printed to stdout. */
enum rc cli_parse(const struct cli_command *const *commands, size_t count, int argc,
	const char *const *argv, struct cli_call *call, struct err *e) MUST_CHECK;

/* The value of an option of the call's command by name; asserts that the row has it. */
const struct cli_value *cli_option(const struct cli_call *call, const char *name);

/* Appends docs/reference/cli.md: every command, its options, the exit codes. */
void cli_put_reference(struct buf *out, const struct cli_command *const *commands, size_t count);

/* The candidate nearest to word by edit distance, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *candidates, size_t count);

/* The exit code for an error that stopped a command. */
enum cli_exit cli_exit_of(enum rc rc);

#endif
