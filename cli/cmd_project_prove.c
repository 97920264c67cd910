/* SPDX-License-Identifier: Apache-2.0 */
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
