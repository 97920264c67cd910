/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/cmd_project.h"
#include "cli/commands.h"

struct list {
	struct buf out;
	bool json;
	struct store_reader *reader; /* with --show: the event's envelope, too */
	struct arena *a;
};

static const char *
or_dash(const char *text)
{
	return text[0] == '\0' ? "-" : text;
}

static void
put_line(uint64_t seq, const char *sqlstate, const char *reason, const char *parked_at, int64_t tries,
	void *context)
{
	struct list *list = context;
	if (!list->json) {
		buf_printf(&list->out, "%-10" PRIu64 " %s %-6s %s\n", seq, parked_at, or_dash(sqlstate), reason);
		return;
	}
	buf_printf(&list->out, "{\"seq\":%" PRIu64 ",\"parked_at\":\"%s\",\"tries\":%" PRId64
			       ",\"sqlstate\":\"%s\",\"reason\":",
		seq, parked_at, tries, sqlstate);
	buf_put_json(&list->out, bytes_str(reason));
	buf_put_str(&list->out, "}\n");
}

static void
put_field(struct buf *out, const char *name, struct bytes value)
{
	if (value.len > 0)
		buf_printf(out, "%-10s %.*s\n", name, (int)value.len, (const char *)value.data);
}

static void
put_shown(uint64_t seq, const char *sqlstate, const char *reason, const char *parked_at, int64_t tries,
	void *context)
{
	struct list *list = context;
	const struct store_record *record;
	char received[CLOCK_TEXT_BYTES];
	size_t count = 0;
	struct err e;
	if (list->json) {
		put_line(seq, sqlstate, reason, parked_at, tries, context);
		return;
	}
	buf_printf(&list->out, "%-10s %" PRIu64 "\n%-10s %s\n%-10s %s\n%-10s %s, %" PRId64 " %s\n", "event", seq,
		"reason", reason, "sqlstate", or_dash(sqlstate), "parked", parked_at, tries,
		tries == 1 ? "try" : "tries");
	if (store_read(list->reader, seq, 1, SIZE_MAX, list->a, &record, &count, &e) != RC_OK || count == 0) {
		buf_printf(&list->out, "%-10s no longer holds it\n", "log");
		return;
	}
	clock_format_us(record->event.received_at_us, received);
	put_field(&list->out, "received", bytes_str(received));
	put_field(&list->out, "source", record->event.source);
	put_field(&list->out, "type", record->event.event);
	put_field(&list->out, "delivery", record->event.delivery);
	buf_printf(&list->out, "%-10s %zu bytes; `hooklog log show %" PRIu64 "` prints it\n", "body",
		record->event.body.len, seq);
}

static enum rc
retry_all(struct project_context *c, struct buf *out, struct err *e)
{
	struct projector_retried done;
	enum rc rc = projector_parked_retry(&c->options, 0, &done, e);
	if (rc == RC_OK)
		buf_printf(out, "%" PRIu64 " projected, %" PRIu64 " still parked\n", done.projected, done.left);
	if (rc == RC_OK && done.left > 0)
		rc = err_set(e, RC_INVALID, "project.parked",
			"%" PRIu64 " events still cannot be projected; `hooklog project parked` tells why", done.left);
	return rc;
}

static enum rc
run(struct project_context *c, const struct cli_call *call, struct list *list, struct err *e)
{
	const struct cli_value *retry = cli_option(call, "retry"), *drop = cli_option(call, "drop"),
			       *show = cli_option(call, "show"), *all = cli_option(call, "retry-all");
	const struct cli_value *one = retry->given ? retry : drop->given ? drop : show;
	struct projector_retried done;
	if (retry->given + drop->given + show->given + all->given > 1)
		return err_set(e, RC_INVALID, NULL, "only one of --show, --retry, --retry-all and --drop at a time");
	if (one->given && one->u64 == 0)
		return err_set(e, RC_INVALID, NULL, "there is no event 0");
	if (all->given)
		return retry_all(c, &list->out, e);
	if (retry->given)
		return projector_parked_retry(&c->options, retry->u64, &done, e);
	if (drop->given)
		return projector_parked_drop(&c->options, drop->u64, e);
	list->reader = c->reader;
	list->a = c->a;
	return projector_parked_list(&c->options, show->u64, show->given ? put_shown : put_line, list, e);
}

static int
run_parked(const struct cli_call *call)
{
	struct list list = { .out = buf_new(LIMIT_TEXT_BYTES), .json = call->json };
	struct project_context c;
	struct err e;
	enum rc rc = project_open(&c, call, cli_option(call, "retry-all")->given, &e);
	if (rc == RC_OK)
		rc = run(&c, call, &list, &e);
	project_close(&c);
	bool printed = cmd_print(&list.out);
	buf_free(&list.out);
	if (rc != RC_OK)
		return cmd_fail(&e);
	return printed ? EXIT_DONE : EXIT_FAILED;
}

static const struct cli_option parked_options[] = {
	{ "show", CLI_U64, "SEQ", "one of them, with what its envelope says" },
	{ "retry", CLI_U64, "SEQ", "project this event again" },
	{ "retry-all", CLI_FLAG, NULL, "project all of them again; those that still cannot be stay" },
	{ "drop", CLI_U64, "SEQ", "take this event off the list; the log keeps it" },
};

const struct cli_command cmd_project_parked = {
	.name = "project parked",
	.args_help = "",
	.summary = "List, show, retry or drop events that could not be projected.",
	.details = "Without an option: one line per parked event with its reason. Look at the body of one with\n"
		   "`hooklog log show SEQ`. After a change of projection files `hooklog project rebuild` tries them\n"
		   "all, since the tables need it anyway.\n",
	.options = parked_options,
	.option_count = COUNT_OF(parked_options),
	.run = run_parked,
};
