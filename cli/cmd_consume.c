/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "ingest/consume.h"

#define RETRIES_DEFAULT 5
#define SLEEP_S_MAX 86400
#define PROGRESS_EVERY_MS 10000

static void
on_progress(const struct consume_result *r, void *context)
{
	int64_t *shown_ms = context, now = clock_monotonic_ms();
	if (isatty(STDERR_FILENO)) {
		cmd_progress("consumed %" PRIu64 " messages, added %" PRIu64
			     " events, known already %" PRIu64 ", set aside %" PRIu64,
			r->taken, r->added, r->duplicates, r->quarantined);
	} else if (now - *shown_ms >= PROGRESS_EVERY_MS) {
		*shown_ms = now;
		LOG_INFO("consume.progress", F_U("taken", r->taken), F_U("added", r->added),
			F_U("duplicates", r->duplicates), F_U("quarantined", r->quarantined),
			F_U("last_seq", r->last_seq));
	}
}

static bool
print_result(const struct consume_result *r, bool json)
{
	struct buf out = buf_new(4096);
	if (json)
		buf_printf(&out,
			"{\"cycles\":%" PRIu64 ",\"taken\":%" PRIu64 ",\"added\":%" PRIu64
			",\"duplicates\":%" PRIu64 ",\"quarantined\":%" PRIu64 ",\"own\":%" PRIu64
			",\"retried\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
			",\"interrupted\":%s}\n",
			r->cycles, r->taken, r->added, r->duplicates, r->quarantined, r->own,
			r->retried, r->first_seq, r->last_seq, r->interrupted ? "true" : "false");
	else
		buf_printf(&out,
			"consumed %" PRIu64 " messages: added %" PRIu64
			" events, known already %" PRIu64 ", set aside %" PRIu64
			", of this log itself %" PRIu64 "\n",
			r->taken, r->added, r->duplicates, r->quarantined, r->own);
	bool ok = cmd_print(&out);
	buf_free(&out);
	return ok;
}

static enum rc
read_options(const struct cli_call *call, const struct config *c, struct arena *a,
	struct consume_options *o, struct err *e)
{
	const struct cli_value *batch = cli_option(call, "batch");
	const struct cli_value *cycles = cli_option(call, "cycles");
	const struct cli_value *retries = cli_option(call, "retries");
	uint64_t sleep_s = cli_option(call, "sleep")->u64;
	if (batch->given && (batch->u64 == 0 || batch->u64 > STORE_APPEND_EVENTS_MAX))
		return err_set(e, RC_INVALID, NULL, "--batch is 1 to %d", STORE_APPEND_EVENTS_MAX);
	if (cycles->given && cycles->u64 == 0)
		return err_set(e, RC_INVALID, NULL, "--cycles must be at least 1");
	if (sleep_s > SLEEP_S_MAX)
		return err_set(e, RC_INVALID, NULL, "--sleep is at most %d", SLEEP_S_MAX);
	if (!cli_option(call, "from")->given || !cli_option(call, "source")->given)
		return err_set(e, RC_INVALID, NULL,
			"name the broker and whose events these are: --from URL --source NAME");
	*o = (struct consume_options){ .from = cli_option(call, "from")->text,
		.source = cli_option(call, "source")->text,
		.event = cli_option(call, "event")->text,
		.sources_dir = c->sources_dir,
		.salt_file = arena_printf(a, "%s/redaction.salt", c->data_dir),
		.quarantine = { .dir = c->quarantine_dir,
			.bytes_max = c->quarantine_bytes_max,
			.per_second_max = c->quarantine_requests_per_second_max },
		.store = services_store_options(c),
		.batch = batch->given ? (size_t)batch->u64 : STORE_APPEND_EVENTS_MAX,
		.cycles = cycles->u64,
		.idle_exit = cli_option(call, "idle-exit")->given,
		.sleep_ms = (int64_t)sleep_s * 1000,
		.retries = retries->given ? retries->u64 : RETRIES_DEFAULT,
		.progress = on_progress };
	return RC_OK;
}

static int
exit_code(enum rc rc, const struct consume_result *r, const struct err *e)
{
	if (rc == RC_OK)
		return r->interrupted && !r->cycles ? EXIT_INTERRUPTED : EXIT_DONE;
	int code = cmd_fail(e);
	if (rc == RC_INVALID && r->taken == 0)
		return EXIT_USAGE;
	return rc == RC_AGAIN || rc == RC_DENIED ? EXIT_PARTIAL : code;
}

static int
run_consume(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct config c;
	struct consume_options o;
	struct consume_result result = { 0 };
	struct err e = { 0 };
	int64_t shown_ms = clock_monotonic_ms();
	int code = EXIT_DONE, stop_fd = -1;
	if (config_load(&c, call, a, NULL, &e) != RC_OK || (stop_fd = cmd_stop_fd(&e)) < 0) {
		code = cmd_fail(&e);
		goto done;
	}
	if (read_options(call, &c, a, &o, &e) != RC_OK) {
		cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	o.stop_fd = stop_fd;
	o.context = &shown_ms;
	enum rc rc = consume_run(&o, &result, &e);
	cmd_progress_end();
	if (rc == RC_OK || result.taken > 0)
		code = print_result(&result, call->json) ? EXIT_DONE : EXIT_FAILED;
	if (code == EXIT_DONE)
		code = exit_code(rc, &result, &e);
done:
	if (stop_fd >= 0)
		close(stop_fd);
	arena_free(a);
	return code;
}

static const struct cli_option options[] = {
	{ "from", CLI_STRING, "URL",
		"nats://HOST[:PORT]/STREAM or kafka://HOST[:PORT]/TOPIC; see docs/brokers.md" },
	{ "source", CLI_STRING, "NAME", "whose events these are; its provider reads the messages" },
	{ "event", CLI_STRING, "TYPE", "type of the messages that name none" },
	{ "batch", CLI_U64, "N", "messages of one cycle at most; default 256" },
	{ "cycles", CLI_U64, "N", "end after so many" },
	{ "idle-exit", CLI_FLAG, NULL, "end after a cycle in which nothing came" },
	{ "sleep", CLI_U64, "SECONDS", "pause between cycles; default 0" },
	{ "retries", CLI_U64, "N",
		"failures in a row that end it, with --cycles or --idle-exit; default 5" },
};

const struct cli_command cmd_consume = {
	.name = "consume",
	.args_help = "",
	.summary = "Take messages of a broker into the log.",
	.details = "A cycle takes a batch, appends it, and tells the broker when it is on disk; killed "
		   "at any\n"
		   "moment, nothing is lost, and what comes twice is recognised by its position. A "
		   "message that\n"
		   "is no delivery of the source's provider is set aside, as `hooklog quarantine list` "
		   "shows, and\n"
		   "the others go on.\n"
		   "\n"
		   "Runs until SIGINT or SIGTERM and waits for a broker that is away, unless --cycles "
		   "or\n"
		   "--idle-exit say otherwise. Appends through `hooklog ingest` or `up` when one of "
		   "them has the\n"
		   "log open. Exit code 7: the broker could not be reached, or refuses.\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run_consume,
};
