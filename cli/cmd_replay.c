/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/secret.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/replay_report.h"
#include "cli/replay_select.h"
#include "cli/services.h"
#include "replay/journal.h"
#include "replay/replay.h"
#include "replay/target.h"

#define RETRIES_DEFAULT 5
#define CONCURRENCY_MAX 256
/* Who means to try something does not mean more than this. */
#define CONFIRM_EVENTS 10000

/* One call of the command. */
struct replay_call {
	const struct cli_call *call;
	struct config config;
	struct arena *a;
	struct replay_options options;
	struct store_reader *reader;
	struct replay_report report;
};

/* ---- options ---- */

static enum rc
check_options(const struct cli_call *call, const struct replay_options *o, struct err *e)
{
	static const char *const positive[] = { "from", "to", "rate", "limit", "concurrency" };
	const struct replay_select *s = &o->select;
	for (size_t i = 0; i < COUNT_OF(positive); i++)
		if (cli_option(call, positive[i])->given && cli_option(call, positive[i])->u64 == 0)
			return err_set(e, RC_INVALID, NULL, "--%s must be at least 1", positive[i]);
	if (o->concurrency > CONCURRENCY_MAX)
		return err_set(e, RC_INVALID, NULL, "--concurrency is at most %d", CONCURRENCY_MAX);
	if (s->to_seq > 0 && s->from_seq > s->to_seq)
		return err_set(e, RC_INVALID, NULL, "--from is after --to");
	if (s->has_since && s->has_until && s->since_us >= s->until_us)
		return err_set(e, RC_INVALID, NULL, "--since is not before --until");
	return RC_OK;
}

/* A relative path must mean the same file when the run goes on elsewhere. */
static const char *
absolute_target(const char *target, struct arena *a)
{
	char cwd[PATH_MAX];
	const char *path = strncmp(target, "file:", 5) == 0 ? target + 5 : target;
	if (path[0] == '/' || path[0] == '\0' || strcmp(target, "-") == 0 ||
		strstr(target, "://") != NULL || getcwd(cwd, sizeof(cwd)) == NULL)
		return target;
	return arena_printf(a, "%s/%s", cwd, path);
}

/* What may be changed when a run goes on. */
static void
read_delivery(const struct cli_call *call, struct replay_options *o)
{
	if (cli_option(call, "secret-file")->given)
		o->secret_file = cli_option(call, "secret-file")->text;
	if (cli_option(call, "retries")->given)
		o->retries = cli_option(call, "retries")->u64;
	if (cli_option(call, "rate")->given)
		o->rate = cli_option(call, "rate")->u64;
	if (cli_option(call, "concurrency")->given)
		o->concurrency = cli_option(call, "concurrency")->u64;
	o->keep_going |= cli_option(call, "keep-going")->given;
	o->total_order |= cli_option(call, "total-order")->given;
	o->allow_private |= cli_option(call, "allow-private")->given;
	o->http2 |= cli_option(call, "http2")->given;
}

static enum rc
read_new(struct replay_call *c, struct err *e)
{
	const struct cli_call *call = c->call;
	struct replay_options *o = &c->options;
	replay_select_read(call, &o->select);
	o->select.has_since = cli_option(call, "since")->given;
	o->select.since_us = cli_option(call, "since")->time_us;
	o->select.has_until = cli_option(call, "until")->given;
	o->select.until_us = cli_option(call, "until")->time_us;
	o->select.from_seq = cli_option(call, "from")->u64;
	o->select.to_seq = cli_option(call, "to")->u64;
	o->limit = cli_option(call, "limit")->u64;
	o->force = cli_option(call, "force")->given;
	o->target = cli_option(call, "target")->text;
	o->format = cli_option(call, "format")->text;
	bool sends = !cli_option(call, "dry-run")->given && !cli_option(call, "count")->given;
	if (o->target == NULL && sends)
		return err_set(e, RC_INVALID, NULL, "name a --target: -, a file or a URL");
	if (o->target != NULL)
		o->target = absolute_target(o->target, c->a);
	return check_options(call, o, e);
}

/* The run to go on with, or NULL. */
static const char *
old_run(const struct cli_call *call)
{
	const struct cli_value *resume = cli_option(call, "resume");
	return resume->given ? resume->text : cli_option(call, "retry-failed")->text;
}

static enum rc
read_old(struct replay_call *c, struct err *e)
{
	static const char *const allowed[] = { "resume", "retry-failed", "secret-file", "retries",
		"rate", "concurrency", "keep-going", "total-order", "allow-private", "http2", "yes" };
	const struct cli_command *command = c->call->command;
	for (size_t i = 0; i < command->option_count; i++) {
		bool ok = !c->call->options[i].given;
		for (size_t k = 0; k < COUNT_OF(allowed); k++)
			ok = ok || strcmp(command->options[i].name, allowed[k]) == 0;
		if (!ok)
			return err_set(e, RC_INVALID, NULL,
				"--%s is settled by the run that goes on; leave it out",
				command->options[i].name);
	}
	if (cli_option(c->call, "resume")->given && cli_option(c->call, "retry-failed")->given)
		return err_set(e, RC_INVALID, NULL, "give --resume or --retry-failed, not both");
	const char *name = old_run(c->call);
	struct replay_options *o = &c->options;
	enum rc rc = journal_open(&o->journal, c->config.replay_dir, name, e);
	if (rc == RC_OK)
		rc = journal_options(c->config.replay_dir, name, c->a, o, e);
	o->only_failed = cli_option(c->call, "retry-failed")->given;
	o->keep_going |= o->only_failed;
	return rc;
}

static enum rc
read_options(struct replay_call *c, struct err *e)
{
	struct replay_options *o = &c->options;
	o->retries = RETRIES_DEFAULT;
	o->allow = c->config.replay_allow;
	o->ca_file = c->config.replay_ca_file;
	enum rc rc = old_run(c->call) != NULL ? read_old(c, e) : read_new(c, e);
	if (rc != RC_OK)
		return rc;
	read_delivery(c->call, o);
	rc = check_options(c->call, o, e);
	const struct replay_target_kind *kind;
	if (rc == RC_OK && o->target != NULL)
		rc = replay_target_find(o->target, o->format, &kind, e);
	if (rc == RC_OK && o->secret_file != NULL)
		o->secret_file = absolute_target(o->secret_file, c->a);
	return rc != RC_OK || o->secret_file == NULL
		       ? rc
		       : secret_read(o->secret_file, SECRET_GROUP_TOO, false, NULL, c->a,
				 &o->secret, e);
}

/* ---- a run ---- */

static int
run_plan(struct replay_call *c)
{
	struct err e = { 0 };
	struct replay_result result;
	const struct replay_count *counts;
	size_t count;
	enum rc rc = replay_plan(c->reader, &c->options, c->a, &result, &counts, &count, &e);
	cmd_progress_end();
	if (rc != RC_OK)
		return rc == RC_INVALID ? (cmd_fail(&e), EXIT_USAGE) : cmd_fail(&e);
	if (result.interrupted)
		return EXIT_INTERRUPTED;
	if (cli_option(c->call, "count")->given) {
		printf(c->call->json ? "{\"count\":%" PRIu64 "}\n" : "%" PRIu64 "\n", result.sent);
		return EXIT_DONE;
	}
	return replay_report_plan(&result, counts, count, c->call->json) ? EXIT_DONE : EXIT_FAILED;
}

/* Asks a person who may not know how much this is. */
static bool
confirmed(const struct replay_call *c, uint64_t from, uint64_t to)
{
	char shown[512], answer[16] = "";
	if (to < from || to - from < CONFIRM_EVENTS || cli_option(c->call, "yes")->given ||
		!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) ||
		strstr(c->options.target, "://") == NULL)
		return true;
	journal_shown_target(c->options.target, shown, sizeof(shown));
	fprintf(stderr,
		"replay: this sends up to %" PRIu64 " events, seq %" PRIu64 " to %" PRIu64
		", to %s\nGo on? [y/N] ",
		to - from + 1, from, to, shown);
	return fgets(answer, sizeof(answer), stdin) != NULL &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

static const char *
new_run_name(struct arena *a)
{
	char at[CLOCK_TEXT_BYTES];
	unsigned char random[3];
	crypto_random(random, sizeof(random));
	clock_format_us(clock_now_us(), at);
	return arena_printf(a, "r%.4s%.2s%.2sT%.2s%.2s%.2s-%02x%02x%02x", at, at + 5, at + 8,
		at + 11, at + 14, at + 17, random[0], random[1], random[2]);
}

/* Makes the record of a new run; stdout cannot be gone on with, so it has none. */
static enum rc
start_record(struct replay_call *c, uint64_t from, uint64_t to, struct err *e)
{
	struct replay_options *o = &c->options;
	struct store_span span;
	if (strcmp(o->target, "-") == 0)
		return RC_OK;
	enum rc rc = store_span(c->reader, &span, e);
	return rc != RC_OK ? rc
			   : journal_new(&o->journal, c->config.replay_dir, new_run_name(c->a), o,
				     span.log_id, from, to, e);
}

static const char *
run_name(const struct replay_call *c)
{
	return c->options.journal == NULL ? "" : journal_name(c->options.journal);
}

/* Before anything is sent: a run that cannot be noted does not happen. */
static enum rc
audit_start(struct replay_call *c, uint64_t from, uint64_t to, struct err *e)
{
	struct buf fields = buf_new(LIMIT_CONFIG_FILE_BYTES);
	bool resumed = cli_option(c->call, "resume")->given;
	buf_printf(
		&fields, "\"from_seq\":%" PRIu64 ",\"to_seq\":%" PRIu64 ",\"options\":", from, to);
	journal_put_options(&fields, &c->options, true);
	enum rc rc = journal_audit(c->config.replay_dir,
		c->options.only_failed ? "retry"
		: resumed              ? "resume"
				       : "start",
		run_name(c), buf_bytes(&fields), e);
	buf_free(&fields);
	return rc;
}

static void
audit_end(struct replay_call *c, const struct replay_result *r, enum rc rc, const struct err *e)
{
	struct buf fields = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct err failed;
	replay_report_put_json(&fields, r);
	if (rc != RC_OK) {
		buf_put_str(&fields, ",\"error\":");
		buf_put_json(&fields,
			utf8_valid(bytes_str(e->text)) ? bytes_str(e->text) : bytes_str("?"));
	}
	if (journal_audit(c->config.replay_dir, "end", run_name(c), buf_bytes(&fields), &failed) !=
		RC_OK)
		fprintf(stderr, "replay: the end of this run is not in its audit record: %s\n",
			failed.text);
	buf_free(&fields);
}

static int
exit_code(struct replay_call *c, enum rc rc, const struct replay_result *result, struct err *e)
{
	int code = EXIT_DONE;
	if (rc != RC_OK)
		code = cmd_fail(e);
	bool gone = rc == RC_NOTFOUND && e->id != NULL && strcmp(e->id, "replay.gone") == 0;
	if (rc == RC_INVALID && result->sent == 0)
		return EXIT_USAGE;
	if (rc == RC_DENIED || rc == RC_AGAIN || gone || (rc == RC_OK && result->refused > 0))
		code = EXIT_PARTIAL;
	else if (result->interrupted)
		code = EXIT_INTERRUPTED;
	if ((rc != RC_NOTFOUND || gone) && !(rc == RC_CONFLICT && result->sent == 0))
		replay_report_summary(&c->options, result);
	return code;
}

static int
run_send(struct replay_call *c)
{
	struct err e = { 0 };
	struct replay_options *o = &c->options;
	struct replay_result result = { 0 };
	uint64_t from = 0, to = 0;
	enum rc rc = RC_OK;
	bool is_new = o->journal == NULL;
	if (is_new)
		rc = replay_range(c->reader, &o->select, &from, &to, &e);
	else
		from = journal_state(o->journal)->from_seq, to = journal_state(o->journal)->to_seq;
	if (rc == RC_OK && !confirmed(c, from, to)) {
		fprintf(stderr, "replay: nothing was sent\n");
		return EXIT_INTERRUPTED;
	}
	if (rc == RC_OK && is_new)
		rc = start_record(c, from, to, &e);
	if (rc == RC_OK)
		rc = audit_start(c, from, to, &e);
	if (rc != RC_OK)
		return rc == RC_INVALID ? (cmd_fail(&e), EXIT_USAGE) : cmd_fail(&e);
	rc = replay_run(c->reader, o, &result, &e);
	cmd_progress_end();
	audit_end(c, &result, rc, &e);
	int code = exit_code(c, rc, &result, &e);
	if (c->call->json && strcmp(o->target, "-") != 0) {
		struct buf out = buf_new(LIMIT_TEXT_BYTES);
		buf_printf(&out, "{\"run\":\"%s\",", run_name(c));
		replay_report_put_json(&out, &result);
		buf_put_str(&out, "}\n");
		if (!cmd_print(&out) && code == EXIT_DONE)
			code = EXIT_FAILED;
		buf_free(&out);
	}
	/* Nothing happened and nothing ever will: no run to go on with. */
	if (is_new && o->journal != NULL && result.sent + result.refused == 0 &&
		(rc == RC_INVALID || rc == RC_CONFLICT)) {
		char name[JOURNAL_NAME_BYTES];
		snprintf(name, sizeof(name), "%s", journal_name(o->journal));
		journal_close(o->journal);
		o->journal = NULL;
		if (journal_remove(c->config.replay_dir, name, &e) != RC_OK)
			fprintf(stderr, "replay: %s\n", e.text);
	}
	return code;
}

static int
run(const struct cli_call *call)
{
	struct replay_call c = { .call = call,
		.a = arena_new(16384),
		.report = { .start_ms = clock_monotonic_ms(), .shown_ms = clock_monotonic_ms() } };
	struct err e = { 0 };
	int code;
	c.options = (struct replay_options){
		.progress = replay_report_progress, .refused = replay_report_refused,
		.unindexed = replay_report_unindexed, .context = &c.report,
		.stop_fd = -1
	};
	enum rc rc = config_load(&c.config, call, c.a, NULL, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	rc = read_options(&c, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		code = rc == RC_INVALID ? EXIT_USAGE : code;
		goto done;
	}
	c.options.stop_fd = cmd_stop_fd(&e);
	if (c.options.stop_fd < 0 || services_open_reader(&c.config, &c.reader, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (cli_option(call, "dry-run")->given || cli_option(call, "count")->given)
		code = run_plan(&c);
	else
		code = run_send(&c);
done:
	secret_forget(&c.options.secret);
	journal_close(c.options.journal);
	store_reader_close(c.reader);
	if (c.options.stop_fd >= 0)
		close(c.options.stop_fd);
	arena_free(c.a);
	return code;
}

static const struct cli_option options[] = {
	{ "from", CLI_U64, "SEQ", "first event" },
	{ "to", CLI_U64, "SEQ", "last event" },
	{ "since", CLI_TIME, "TIME", "received at this time or later" },
	{ "until", CLI_TIME, "TIME", "received before this time" },
	REPLAY_SELECT_OPTIONS,
	{ "target", CLI_STRING, "TARGET", "where to: -, a file, file:PATH, or an http(s), nats or kafka URL" },
	{ "format", CLI_STRING, "FORMAT", "in which form; see docs/replay.md" },
	{ "secret-file", CLI_STRING, "FILE",
		"sign for an HTTP target with the secret in this file" },
	{ "http2", CLI_FLAG, NULL,
		"speak HTTP/2: to https if it offers that, to http without asking" },
	{ "allow-private", CLI_FLAG, NULL,
		"let the target be any address, not only one of the public internet" },
	{ "concurrency", CLI_U64, "N", "events under way at once; default 1" },
	{ "total-order", CLI_FLAG, NULL, "one event after the other, whatever --concurrency says" },
	{ "rate", CLI_U64, "N", "events per second at most" },
	{ "limit", CLI_U64, "N", "events to send at most" },
	{ "retries", CLI_U64, "N", "attempts after the first one, per event; default 5" },
	{ "keep-going", CLI_FLAG, NULL, "pass over events the target refuses, and list them" },
	{ "resume", CLI_STRING, "RUN", "go on with a run that was interrupted, stopped or killed" },
	{ "retry-failed", CLI_STRING, "RUN", "send what a run lists as failed, and only that" },
	{ "force", CLI_FLAG, NULL, "overwrite the file" },
	{ "yes", CLI_FLAG, NULL, "do not ask before a large run" },
	{ "dry-run", CLI_FLAG, NULL, "tell what would be sent, by kind, and send nothing" },
	{ "count", CLI_FLAG, NULL, "print how many events are selected and send nothing" },
};

const struct cli_command cmd_replay = {
	.name = "replay",
	.args_help = "",
	.summary = "Send recorded events again, to a URL, a file or stdout.",
	.details = "All conditions must hold; NAMES are separated by commas. Events go out one by "
		   "one in the order\n"
		   "of the log; with --concurrency several at once, in order for each repository. "
		   "A file gets one\n"
		   "JSON object per line and appears under its name when it is complete. A URL "
		   "gets each event as\n"
		   "its original request: same headers, same body, without the original "
		   "signature.\n"
		   "\n"
		   "Connection errors, 429 and 5xx are tried again, slower each time and not "
		   "before Retry-After.\n"
		   "410 ends the replay; anything else but 2xx is a refusal and ends it unless "
		   "--keep-going is given.\n"
		   "Exit code 7: not everything arrived; 130: interrupted. The last line on stderr "
		   "says how to go on.\n"
		   "\n"
		   "Targets outside the public internet need --allow-private or replay.allow in "
		   "the configuration,\n"
		   "except localhost, 127.0.0.1 and [::1] written just so.\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run,
};
