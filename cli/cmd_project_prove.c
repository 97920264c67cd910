/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/cmd_project.h"
#include "cli/commands.h"

struct differences {
	struct buf out;
	bool json;
	uint64_t count, max;
};

static void
put_json_or_null(struct buf *out, const char *text)
{
	if (text == NULL)
		buf_put_str(out, "null");
	else
		buf_put_json(out, bytes_str(text));
}

static void
put_difference(const struct projector_difference *d, void *context)
{
	struct differences *all = context;
	if (all->count++ >= all->max)
		return;
	struct buf *out = &all->out;
	if (all->json) {
		buf_printf(out, "{\"table\":\"%s\",\"key\":", d->view);
		buf_put_json(out, bytes_str(d->key));
		buf_printf(out, ",\"what\":\"%s\"", d->what);
		if (d->column != NULL) {
			buf_printf(out, ",\"column\":\"%s\",\"live\":", d->column);
			put_json_or_null(out, d->live);
			buf_put_str(out, ",\"log\":");
			put_json_or_null(out, d->folded);
		}
		buf_put_str(out, "}\n");
	} else if (d->column == NULL) {
		buf_printf(out, "%s %s: %s\n", d->view, d->key, d->what);
	} else {
		buf_printf(out, "%s %s: %s is %s, the log says %s\n", d->view, d->key, d->column, d->live,
			d->folded);
	}
}

static void
put_report(struct buf *out, const struct projector_verify_report *r, bool json)
{
	if (!json)
		buf_printf(out, "%-32s %12s %12s  %-16s %-16s\n", "table", "rows", "different", "hash of table",
			"hash of log");
	for (size_t i = 0; i < r->table_count; i++) {
		const struct projector_verify_table *t = &r->tables[i];
		if (t->skipped)
			continue;
		buf_printf(out,
			json ? "{\"table\":\"%s\",\"rows\":%" PRIu64 ",\"different\":%" PRIu64
			       ",\"table_hash\":\"%016" PRIx64 "\",\"log_hash\":\"%016" PRIx64 "\"}\n"
			     : "%-32s %12" PRIu64 " %12" PRIu64 "  %016" PRIx64 " %016" PRIx64 "\n",
			t->view, t->rows, t->differences, t->live_hash, t->folded_hash);
	}
	buf_printf(out,
		json ? "{\"seq\":%" PRIu64 ",\"different\":%" PRIu64 ",\"equal\":%s}\n"
		     : "\nat event %" PRIu64 ": %" PRIu64 " rows differ: %s\n",
		r->seq, r->differences,
		json ? (r->differences == 0 ? "true" : "false")
		     : (r->differences == 0 ? "the tables are what the log says" : "the tables are WRONG"));
}

static void
show_progress(uint64_t seq, uint64_t last_seq, void *context UNUSED)
{
	cmd_progress("reading event %" PRIu64 " of %" PRIu64, seq, last_seq);
}

static int
run_verify(const struct cli_call *call)
{
	struct project_context c;
	struct err e;
	struct differences all = { .out = buf_new(LIMIT_TEXT_BYTES), .json = call->json, .max = 1000 };
	const struct cli_value *limit = cli_option(call, "limit");
	if (limit->given)
		all.max = limit->u64;
	struct projector_verify_report *report = base_zalloc(sizeof *report);
	const struct projector_verify_options options = { .table = cli_option(call, "table")->text,
		.to = cli_option(call, "to")->u64, .found = put_difference, .context = &all };
	enum rc rc = project_open(&c, call, true, &e);
	bool interrupted = false;
	if (rc == RC_OK) {
		c.options.progress = show_progress;
		rc = projector_verify(&c.options, &options, report, &e);
		cmd_progress_end();
		interrupted = rc == RC_AGAIN && cmd_stopped(c.stop_fd);
	}
	project_close(&c);
	int code = EXIT_DONE;
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		code = interrupted ? EXIT_INTERRUPTED : code;
	} else {
		if (all.count > all.max && !all.json)
			buf_printf(&all.out, "... and %" PRIu64 " more\n", all.count - all.max);
		put_report(&all.out, report, call->json);
		if (!cmd_print(&all.out))
			code = EXIT_FAILED;
		if (report->differences > 0) {
			err_set(&e, RC_CORRUPT, "project.differs", "%" PRIu64 " rows are not what the log says",
				report->differences);
			code = cmd_fail(&e);
		}
	}
	buf_free(&all.out);
	free(report);
	return code;
}

static const struct cli_option verify_options[] = {
	{ "table", CLI_STRING, "TABLE", "only this table" },
	{ "to", CLI_U64, "SEQ", "only what events up to this one tell, default the tables' checkpoint" },
	{ "limit", CLI_U64, "N", "list at most so many differences, default 1000" },
};

const struct cli_command cmd_project_verify = {
	.name = "project verify",
	.args_help = "",
	.summary = "Prove that the tables are what the log says.",
	.details = "Folds the log up to the tables' checkpoint in memory and compares every row with it, column by\n"
		   "column. Changes nothing; a projector may run. Lists differing rows and columns, missing and\n"
		   "surplus rows, and for each table an order-free hash of both sides. Exit code 8 when they\n"
		   "differ. Memory: projector.memory_bytes_max; more rows take more passes over the log.\n",
	.options = verify_options,
	.option_count = COUNT_OF(verify_options),
	.run = run_verify,
};

/* ---- explain ---- */

struct explanations {
	struct buf out;
	bool json;
};

static void
put_explanation_json(struct buf *out, const struct projector_explanation *x)
{
	buf_printf(out, "{\"table\":\"%s\",\"group\":\"%s\",\"seq\":%" PRIu64, x->view, x->group, x->seq);
	if (x->event != NULL) {
		char at[CLOCK_TEXT_BYTES];
		clock_format_us(x->received_at_us, at);
		buf_printf(out, ",\"received_at\":\"%s\",\"event\":", at);
		buf_put_json(out, bytes_str(x->event));
		buf_put_str(out, ",\"action\":");
		put_json_or_null(out, x->action);
		buf_put_str(out, ",\"delivery\":");
		buf_put_json(out, bytes_str(x->delivery));
	}
	if (x->version_at != NULL)
		buf_printf(out, ",\"version_at\":\"%s\",\"version_rank\":%d", x->version_at, x->version_rank);
	buf_put_str(out, ",\"values\":{");
	for (size_t i = 0; i < x->value_count; i++) {
		buf_printf(out, "%s\"%s\":", i == 0 ? "" : ",", x->values[i].column);
		put_json_or_null(out, x->values[i].text);
	}
	buf_put_str(out, "}}\n");
}

static void
put_explanation(const struct projector_explanation *x, void *context)
{
	struct explanations *all = context;
	struct buf *out = &all->out;
	if (all->json) {
		put_explanation_json(out, x);
		return;
	}
	char at[CLOCK_TEXT_BYTES];
	clock_format_us(x->received_at_us, at);
	if (x->seq == 0)
		buf_printf(out, "%s: no event told it\n", x->group);
	else if (x->event == NULL)
		buf_printf(out, "%s: event %" PRIu64 ", which the log no longer holds\n", x->group, x->seq);
	else
		buf_printf(out, "%s: event %" PRIu64 " of %s, %s%s%s, delivery %s\n", x->group, x->seq, at, x->event,
			x->action == NULL ? "" : ".", x->action == NULL ? "" : x->action, x->delivery);
	if (x->seq != 0 && x->version_at != NULL)
		buf_printf(out, "\tversion %s, rank %d\n", x->version_at, x->version_rank);
	for (size_t i = 0; i < x->value_count; i++)
		buf_printf(out, "\t%-20s %s\n", x->values[i].column,
			x->values[i].text == NULL ? "null" : x->values[i].text);
}

static int
run_explain(const struct cli_call *call)
{
	struct project_context c;
	struct err e;
	struct explanations all = { .out = buf_new(LIMIT_TEXT_BYTES), .json = call->json };
	const struct projector_explain_options options = { .table = call->args[0], .key = call->args + 1,
		.key_count = call->arg_count - 1, .found = put_explanation, .context = &all };
	enum rc rc = project_open(&c, call, false, &e);
	if (rc == RC_OK)
		rc = projector_explain(&c.options, &options, &e);
	project_close(&c);
	int code = rc == RC_OK ? EXIT_DONE : cmd_fail(&e);
	if (rc == RC_OK && !cmd_print(&all.out))
		code = EXIT_FAILED;
	buf_free(&all.out);
	return code;
}

const struct cli_command cmd_project_explain = {
	.name = "project explain",
	.args_help = "TABLE KEY...",
	.args_min = 2,
	.args_max = 10,
	.summary = "Show which events made a row what it is.",
	.details = "KEY is the row's primary key, one argument per column. For each group of columns: the event that\n"
		   "told it last, the version it won with, and the values. Events that told the same thing and lost,\n"
		   "being older, are not listed. `hooklog log show SEQ` shows an event.\n",
	.run = run_explain,
};

/* ---- as-of ---- */

/* The last event received at or before a time. */
static enum rc
seq_until(struct store_reader *r, int64_t at_us, uint64_t *seq, struct err *e)
{
	enum rc rc = store_seq_at(r, at_us + 1, seq, e);
	if (rc == RC_OK)
		*seq -= *seq > 0;
	if (rc == RC_OK && *seq == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "the log has no event received by then");
	return rc;
}

static int
run_as_of(const struct cli_call *call)
{
	const struct cli_value *seq = cli_option(call, "seq"), *at = cli_option(call, "time"),
			       *schema = cli_option(call, "schema");
	struct project_context c = { .stop_fd = -1 };
	struct err e;
	uint64_t parked = 0, last = seq->u64;
	bool interrupted = false;
	if (seq->given == at->given || !schema->given) {
		err_set(&e, RC_INVALID, NULL, "name --schema, and one of --seq and --time");
		cmd_fail(&e);
		return EXIT_USAGE;
	}
	enum rc rc = project_open(&c, call, true, &e);
	if (rc == RC_OK && at->given)
		rc = seq_until(c.reader, at->time_us, &last, &e);
	if (rc == RC_OK) {
		c.options.progress = show_progress;
		rc = projector_as_of(&c.options, last, schema->text, &parked, &e);
		cmd_progress_end();
		interrupted = rc == RC_AGAIN && cmd_stopped(c.stop_fd);
	}
	project_close(&c);
	if (rc != RC_OK) {
		int code = cmd_fail(&e);
		return interrupted ? EXIT_INTERRUPTED : code;
	}
	printf("schema %s holds the tables as they were at event %" PRIu64 "\n", schema->text, last);
	if (parked > 0)
		printf("%" PRIu64 " events could not be projected\n", parked);
	return EXIT_DONE;
}

static const struct cli_option as_of_options[] = {
	{ "seq", CLI_U64, "SEQ", "the last event that counts" },
	{ "time", CLI_TIME, "TIME", "instead: the last event received by then" },
	{ "schema", CLI_STRING, "NAME", "a schema that does not exist yet" },
};

const struct cli_command cmd_project_as_of = {
	.name = "project as-of",
	.args_help = "",
	.summary = "Build the tables as they were at an event or a time.",
	.details = "Folds the log up to there into a new schema, with the projections of today. The live tables are\n"
		   "not touched. The tables do not change afterwards: `drop schema NAME cascade` removes them.\n",
	.options = as_of_options,
	.option_count = COUNT_OF(as_of_options),
	.run = run_as_of,
};
