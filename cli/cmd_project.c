/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/cmd_project.h"
#include "cli/commands.h"
#include "cli/project_listen.h"

enum rc
project_open(struct project_context *c, const struct cli_call *call, bool stoppable, struct err *e)
{
	*c = (struct project_context){ .a = arena_new(64 * 1024), .stop_fd = -1 };
	enum rc rc = config_load(&c->config, call, c->a, NULL, e);
	if (rc == RC_OK && stoppable) {
		c->stop_fd = cmd_stop_fd(e);
		rc = c->stop_fd < 0 ? e->rc : RC_OK;
	}
	if (rc == RC_OK)
		rc = services_open_reader(&c->config, &c->reader, e);
	if (rc == RC_OK) {
		c->options = services_projector(&c->config, c->reader, c->a);
		c->options.stop_fd = c->stop_fd;
	}
	return rc;
}

void
project_close(struct project_context *c)
{
	store_reader_close(c->reader);
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	arena_free(c->a);
}

static int
run_run(const struct cli_call *call)
{
	struct project_context c;
	struct err e;
	struct projector_figures figures = { 0 };
	struct project_listen listen = { 0 };
	const struct cli_value *to = cli_option(call, "to");
	enum rc rc = project_open(&c, call, true, &e);
	c.options.stop_seq = to->u64;
	c.options.figures = &figures;
	if (rc == RC_OK && to->given && to->u64 == 0)
		rc = err_set(&e, RC_INVALID, NULL, "--to 0: there is no event 0; leave --to away to go on for ever");
	if (rc == RC_OK)
		rc = project_listen_start(&listen, c.config.projector_listen, &figures, c.reader, &e);
	if (rc == RC_OK)
		rc = projector_run(&c.options, &e);
	project_listen_stop(&listen);
	project_close(&c);
	return rc == RC_OK ? EXIT_DONE : cmd_fail(&e);
}

static void
show_progress(uint64_t seq, uint64_t last_seq, void *context UNUSED)
{
	cmd_progress("rebuilding: event %" PRIu64 " of %" PRIu64 " (%.0f %%)", seq, last_seq,
		last_seq == 0 ? 100.0 : (double)seq * 100.0 / (double)last_seq);
}

static int
run_rebuild(const struct cli_call *call)
{
	struct project_context c;
	struct err e;
	enum rc rc = project_open(&c, call, true, &e);
	bool interrupted = false;
	if (rc == RC_OK) {
		c.options.progress = show_progress;
		c.options.prove = cli_option(call, "verify")->given;
		rc = projector_rebuild(&c.options, &e);
		cmd_progress_end();
		interrupted = rc == RC_AGAIN && cmd_stopped(c.stop_fd);
	}
	project_close(&c);
	if (rc == RC_OK)
		return EXIT_DONE;
	int code = cmd_fail(&e);
	return interrupted ? EXIT_INTERRUPTED : code;
}

/* -1 is for what is not known. */
static void
put_known(struct buf *out, const char *name, double value)
{
	if (value < 0)
		buf_printf(out, "\"%s\":null,", name);
	else
		buf_printf(out, "\"%s\":%.1f,", name, value);
}

static void
put_status_json(struct buf *out, const struct projector_status *s)
{
	buf_printf(out,
		"{\"log_first_seq\":%" PRIu64 ",\"log_last_seq\":%" PRIu64 ",\"lag_events\":%" PRIu64
		",\"lag_bytes\":%" PRIu64 ",\"lag_seconds\":%.3f,",
		s->log_first_seq, s->log_last_seq, s->lag_events, s->lag_bytes, s->lag_seconds);
	put_known(out, "events_per_second", s->events_per_second);
	put_known(out, "eta_seconds", s->eta_seconds);
	buf_printf(out, "\"running\":%s,\"generations\":[", s->running ? "true" : "false");
	for (size_t i = 0; i < s->generation_count; i++) {
		const struct projector_generation_status *g = &s->generations[i];
		buf_printf(out,
			"%s{\"id\":%d,\"schema\":\"%s\",\"status\":\"%s\",\"seq\":%" PRIu64
			",\"parked\":%" PRIu64 ",\"paused\":%s,\"current_definitions\":%s,\"rebuild_memory_bytes\":",
			i == 0 ? "" : ",", g->id, g->schema, g->status, g->seq, g->parked,
			g->paused ? "true" : "false", g->current_definitions ? "true" : "false");
		if (g->rebuild_memory_bytes > 0)
			buf_printf(out, "%" PRIu64 "}", g->rebuild_memory_bytes);
		else
			buf_put_str(out, "null}");
	}
	buf_put_str(out, "]}\n");
}

static void
put_status_text(struct buf *out, const struct projector_status *s)
{
	buf_printf(out, "log        %" PRIu64 " to %" PRIu64 "\n", s->log_first_seq, s->log_last_seq);
	buf_printf(out, "lag        %" PRIu64 " events, %" PRIu64 " bytes, %.1f s\n", s->lag_events, s->lag_bytes,
		s->lag_seconds);
	buf_printf(out, "projector  %s", s->running ? "running" : "not running");
	if (s->events_per_second >= 0)
		buf_printf(out, ", %.0f events/s", s->events_per_second);
	if (s->eta_seconds >= 0)
		buf_printf(out, ", there in %.0f s", s->eta_seconds);
	else if (s->events_per_second >= 0)
		buf_put_str(out, ", not catching up");
	buf_put_str(out, "\n\n");
	buf_put_str(out, "schema     status     up to seq     parked  definitions\n");
	for (size_t i = 0; i < s->generation_count; i++) {
		const struct projector_generation_status *g = &s->generations[i];
		buf_printf(out, "%-10s %-10s %-13" PRIu64 " %-7" PRIu64 " %s\n", g->schema, g->status, g->seq,
			g->parked, g->current_definitions ? "current" : "needs rebuild");
		if (g->rebuild_memory_bytes > 0)
			buf_printf(out, "           rebuilt with at most %.0f MiB of memory\n",
				(double)g->rebuild_memory_bytes / 1048576);
		if (g->paused)
			buf_printf(out, "           paused: `hooklog project resume` lets its projector go on\n");
	}
}

static int
run_status(const struct cli_call *call)
{
	struct project_context c;
	struct projector_status status;
	struct err e;
	enum rc rc = project_open(&c, call, false, &e);
	if (rc == RC_OK)
		rc = projector_status(&c.options, &status, &e);
	project_close(&c);
	if (rc != RC_OK)
		return cmd_fail(&e);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	if (call->json)
		put_status_json(&out, &status);
	else
		put_status_text(&out, &status);
	bool printed = cmd_print(&out);
	buf_free(&out);
	return printed ? EXIT_DONE : EXIT_FAILED;
}

static const struct cli_option run_options[] = {
	{ "to", CLI_U64, "SEQ", "stop once this event is in the tables" },
};

const struct cli_command cmd_project_run = {
	.name = "project run",
	.args_help = "",
	.summary = "Keep the PostgreSQL tables up to date with the log.",
	.details = "Runs in the foreground until SIGINT or SIGTERM. Makes its schemas on first use. A database\n"
		   "that is down is waited for; one that refuses us, or tables of another log, end it.\n",
	.options = run_options,
	.option_count = COUNT_OF(run_options),
	.run = run_run,
};

static const struct cli_option rebuild_options[] = {
	{ "verify", CLI_FLAG, NULL, "compare each row with a second fold of the log before the swap" },
};

const struct cli_command cmd_project_rebuild = {
	.name = "project rebuild",
	.args_help = "",
	.summary = "Make all tables anew from the first event and swap them in.",
	.details = "Fills a new generation beside the live one, which goes on being updated and read, then\n"
		   "points the views in hooklog and gh at it in one transaction. Interrupted, it continues\n"
		   "where it was when run again. The replaced generation is kept until the next rebuild.\n"
		   "Before the swap the new tables are read back and must add up to what was written to them.\n"
		   "With --verify the log is folded once more and each row compared, which takes about as long\n"
		   "as the rebuild.\n",
	.options = rebuild_options,
	.option_count = COUNT_OF(rebuild_options),
	.run = run_rebuild,
};

const struct cli_command cmd_project_status = {
	.name = "project status",
	.args_help = "",
	.summary = "Show checkpoint, lag, generations and parked events.",
	.details = "The lag is what the log has and the live tables do not: events, bytes of their bodies (estimated\n"
		   "over 10,000 events), and the age of the oldest. While a projector works on it, its pace over one\n"
		   "second and when it will be there. \"needs rebuild\": the projection files are not those the tables\n"
		   "were made from.\n",
	.run = run_status,
};
