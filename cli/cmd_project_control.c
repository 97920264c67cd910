/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "cli/cmd_project.h"
#include "cli/commands.h"

static int
set_paused(const struct cli_call *call, bool paused)
{
	struct project_context c;
	struct err e;
	uint64_t seq;
	enum rc rc = project_open(&c, call, false, &e);
	if (rc == RC_OK)
		rc = projector_pause(&c.options, paused, &seq, &e);
	project_close(&c);
	if (rc != RC_OK)
		return cmd_fail(&e);
	printf("%s at event %" PRIu64 "\n", paused ? "paused" : "goes on", seq);
	return EXIT_DONE;
}

static int
run_pause(const struct cli_call *call)
{
	return set_paused(call, true);
}

static int
run_resume(const struct cli_call *call)
{
	return set_paused(call, false);
}

static int
run_rollback(const struct cli_call *call)
{
	struct project_context c;
	struct projector_rollback done;
	struct err e;
	enum rc rc = project_open(&c, call, false, &e);
	if (rc == RC_OK)
		rc = projector_rollback(&c.options, &done, &e);
	project_close(&c);
	if (rc != RC_OK)
		return cmd_fail(&e);
	printf("%s is live, at event %" PRIu64 "; %s was, at event %" PRIu64 "\n", done.schema, done.seq,
		done.replaced, done.replaced_seq);
	if (done.paused)
		printf("It was made by other projections than this program has, so its projector is paused. Put the\n"
		       "program or files back that made it, then run `hooklog project resume`.\n");
	return EXIT_DONE;
}

static int
run_drop(const struct cli_call *call)
{
	struct project_context c;
	struct err e;
	enum rc rc = project_open(&c, call, false, &e);
	for (size_t i = 0; i < call->arg_count && rc == RC_OK; i++) {
		const char *text = call->args[i];
		if (strncmp(text, "gh_g", 4) == 0)
			text += 4;
		char *rest;
		uint64_t id = strtoull(text, &rest, 10);
		if (*rest != '\0' || rest == text || text[0] == '-')
			rc = err_set(&e, RC_INVALID, NULL, "\"%s\" is no number of a generation", call->args[i]);
		else
			rc = projector_drop(&c.options, id, &e);
		if (rc == RC_OK)
			printf("dropped generation %" PRIu64 "\n", id);
	}
	project_close(&c);
	return rc == RC_OK ? EXIT_DONE : cmd_fail(&e);
}

static int
run_reset(const struct cli_call *call)
{
	struct project_context c;
	struct err e;
	uint64_t to = cli_option(call, "to")->u64, from;
	enum rc rc = project_open(&c, call, false, &e);
	if (rc == RC_OK)
		rc = projector_reset(&c.options, to, &from, &e);
	project_close(&c);
	if (rc != RC_OK)
		return cmd_fail(&e);
	printf("checkpoint moved from event %" PRIu64 " to event %" PRIu64 "\n", from, to);
	return EXIT_DONE;
}

const struct cli_command cmd_project_pause = {
	.name = "project pause",
	.args_help = "",
	.summary = "Let the projector wait, wherever it runs.",
	.details = "The tables stand still until `project resume`; the log goes on. A projector that runs keeps its\n"
		   "connection and lock and notices within a second, one that starts waits as well.\n",
	.run = run_pause,
};

const struct cli_command cmd_project_resume = {
	.name = "project resume",
	.args_help = "",
	.summary = "Let a paused projector go on.",
	.run = run_resume,
};

const struct cli_command cmd_project_rollback = {
	.name = "project rollback",
	.args_help = "",
	.summary = "Show the tables again that the last rebuild replaced.",
	.details = "Points the views at the previous generation in one transaction. Its projector goes on from where\n"
		   "those tables stood. When they were made by other projections than this program has, they are\n"
		   "paused, so that nothing makes them anew. Running it again goes forward again.\n",
	.run = run_rollback,
};

const struct cli_command cmd_project_drop = {
	.name = "project drop",
	.args_help = "GENERATION...",
	.args_min = 1,
	.args_max = 16,
	.summary = "Drop tables that are not live, to give their room back.",
	.details = "GENERATION is a number or schema as in `project status`. Views of yours that stand directly on such\n"
		   "a schema go with it; those on gh and hooklog are not touched.\n",
	.run = run_drop,
};

static const struct cli_option reset_options[] = {
	{ "to", CLI_U64, "SEQ", "the event the tables are to have seen last, default 0" },
};

const struct cli_command cmd_project_reset = {
	.name = "project reset",
	.args_help = "",
	.summary = "Move the checkpoint back, so that events are projected again.",
	.details = "For tables that were restored or edited by hand. Rows that are right do not change by being told\n"
		   "the same again. The projector must not run. To make tables from nothing, use `project rebuild`.\n",
	.options = reset_options,
	.option_count = COUNT_OF(reset_options),
	.run = run_reset,
};
