/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/secret_file.h"
#include "cli/services.h"
#include "replay/replay.h"

#define RETRIES_DEFAULT 5
#define PROGRESS_EVERY_MS 100
#define REFUSED_SHOWN 20

/* What the callbacks need. */
struct report {
	int64_t start_ms, shown_ms;
	uint64_t refused_shown;
};

static void
on_progress(const struct replay_result *r, void *context)
{
	struct report *report = context;
	int64_t now = clock_monotonic_ms();
	if (now - report->shown_ms < PROGRESS_EVERY_MS)
		return;
	report->shown_ms = now;
	uint64_t total = r->to_seq - r->from_seq + 1, done = r->next_seq - r->from_seq;
	int64_t ms = now - report->start_ms;
	uint64_t left_s = done == 0 ? 0 : (total - done) * (uint64_t)ms / done / 1000;
	cmd_progress("%3" PRIu64 "%%  seq %" PRIu64 " of %" PRIu64 "  sent %" PRIu64
		     "  refused %" PRIu64 "  retried %" PRIu64 "  %" PRIu64 "/s  %" PRIu64
		     " s left",
		100 * done / total, r->next_seq - 1, r->to_seq, r->sent, r->refused, r->retried,
		ms == 0 ? 0 : r->sent * 1000 / (uint64_t)ms, left_s);
}

static void
on_refused(uint64_t seq UNUSED, const struct err *why, void *context)
{
	struct report *report = context;
	if (report->refused_shown++ >= REFUSED_SHOWN)
		return;
	cmd_progress_end();
	fprintf(stderr, "replay: %s\n", why->text);
	if (report->refused_shown == REFUSED_SHOWN)
		fprintf(stderr, "replay: further refusals are only counted\n");
}

static void
put_result_json(struct buf *out, const struct replay_result *r)
{
	buf_printf(out,
		"\"sent\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"retried\":%" PRIu64
		",\"scanned\":%" PRIu64 ",\"body_bytes\":%" PRIu64 ",\"from_seq\":%" PRIu64
		",\"to_seq\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
		",\"next_seq\":%" PRIu64 ",\"elapsed_ms\":%" PRId64
		",\"complete\":%s,\"interrupted\":%s",
		r->sent, r->refused, r->retried, r->scanned, r->body_bytes, r->from_seq, r->to_seq,
		r->first_seq, r->last_seq, r->next_seq, r->elapsed_us / 1000,
		r->complete ? "true" : "false", r->interrupted ? "true" : "false");
}

static void
print_summary(const struct replay_result *r)
{
	fprintf(stderr,
		"replay: sent %" PRIu64 ", refused %" PRIu64 ", retried %" PRIu64
		", elapsed %" PRId64 ".%03" PRId64 " s",
		r->sent, r->refused, r->retried, r->elapsed_us / 1000000,
		r->elapsed_us / 1000 % 1000);
	if (!r->complete)
		fprintf(stderr, ", next: --from %" PRIu64, r->next_seq);
	fputc('\n', stderr);
}

static bool
print_plan(
	const struct replay_result *r, const struct replay_count *counts, size_t count, bool json)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	if (json) {
		buf_put_str(&out, "{\"dry_run\":true,");
		put_result_json(&out, r);
		buf_put_str(&out, ",\"events\":[");
		for (size_t i = 0; i < count; i++) {
			buf_put_str(&out, i == 0 ? "{\"provider\":" : ",{\"provider\":");
			buf_put_json(&out, counts[i].provider);
			buf_put_str(&out, ",\"event\":");
			/* The name is a header of a request and may be anything. */
			buf_put_json(&out,
				utf8_valid(counts[i].event) ? counts[i].event : bytes_str("?"));
			buf_printf(&out, ",\"count\":%" PRIu64 ",\"body_bytes\":%" PRIu64 "}",
				counts[i].events, counts[i].body_bytes);
		}
		buf_put_str(&out, "]}\n");
	} else if (r->sent == 0) {
		buf_put_str(&out, "nothing would be sent\n");
	} else {
		buf_printf(&out,
			"would send %" PRIu64 " events, %" PRIu64 " bytes, seq %" PRIu64
			" to %" PRIu64 "\n",
			r->sent, r->body_bytes, r->first_seq, r->last_seq);
		for (size_t i = 0; i < count; i++) {
			struct bytes name = counts[i].event;
			bool plain = name.len > 0 && utf8_valid(name);
			for (size_t k = 0; plain && k < name.len; k++)
				plain = name.data[k] > 0x20 && name.data[k] != 0x7f;
			buf_printf(&out, "%12" PRIu64 "  %12" PRIu64 " bytes  ", counts[i].events,
				counts[i].body_bytes);
			buf_put_bytes(&out, counts[i].provider);
			buf_put_char(&out, ' ');
			buf_put_bytes(&out, plain ? name : bytes_str("(unnamed)"));
			buf_put_char(&out, '\n');
		}
	}
	bool ok = cmd_print(&out);
	buf_free(&out);
	return ok;
}

static enum rc
read_options(const struct cli_call *call, struct arena *a, struct replay_options *o, struct err *e)
{
	struct replay_select *s = &o->select;
	s->from_seq = cli_option(call, "from")->u64;
	s->to_seq = cli_option(call, "to")->u64;
	s->has_since = cli_option(call, "since")->given;
	s->since_us = cli_option(call, "since")->time_us;
	s->has_until = cli_option(call, "until")->given;
	s->until_us = cli_option(call, "until")->time_us;
	s->sources = cli_option(call, "source")->text;
	s->providers = cli_option(call, "provider")->text;
	s->origins = cli_option(call, "origin")->text;
	s->events = cli_option(call, "event")->text;
	s->actions = cli_option(call, "action")->text;
	s->senders = cli_option(call, "sender")->text;
	s->where = cli_option(call, "where")->text;
	s->repository = cli_option(call, "repository")->text;
	s->delivery = cli_option(call, "delivery")->text;
	o->target = cli_option(call, "target")->text;
	o->force = cli_option(call, "force")->given;
	o->keep_going = cli_option(call, "keep-going")->given;
	const struct cli_value *retries = cli_option(call, "retries");
	o->retries = retries->given ? retries->u64 : RETRIES_DEFAULT;
	o->rate = cli_option(call, "rate")->u64;
	o->limit = cli_option(call, "limit")->u64;

	static const char *const positive[] = { "from", "to", "rate", "limit" };
	for (size_t i = 0; i < COUNT_OF(positive); i++)
		if (cli_option(call, positive[i])->given && cli_option(call, positive[i])->u64 == 0)
			return err_set(e, RC_INVALID, NULL, "--%s must be at least 1", positive[i]);
	if (s->to_seq > 0 && s->from_seq > s->to_seq)
		return err_set(e, RC_INVALID, NULL, "--from is after --to");
	if (s->has_since && s->has_until && s->since_us >= s->until_us)
		return err_set(e, RC_INVALID, NULL, "--since is not before --until");
	if (o->target == NULL && !cli_option(call, "dry-run")->given &&
		!cli_option(call, "count")->given)
		return err_set(e, RC_INVALID, NULL, "name a --target: -, a file or a URL");
	const char *secret_file = cli_option(call, "secret-file")->text;
	return secret_file == NULL ? RC_OK : secret_read(secret_file, a, &o->secret, e);
}

static int
run_plan(const struct cli_call *call, struct store_reader *reader, struct replay_options *o,
	struct arena *a)
{
	struct err e = { 0 };
	struct replay_result result;
	const struct replay_count *counts;
	size_t count;
	enum rc rc = replay_plan(reader, o, a, &result, &counts, &count, &e);
	cmd_progress_end();
	if (rc != RC_OK)
		return rc == RC_INVALID ? (cmd_fail(&e), EXIT_USAGE) : cmd_fail(&e);
	if (result.interrupted)
		return EXIT_INTERRUPTED;
	if (cli_option(call, "count")->given) {
		printf(call->json ? "{\"count\":%" PRIu64 "}\n" : "%" PRIu64 "\n", result.sent);
		return EXIT_DONE;
	}
	return print_plan(&result, counts, count, call->json) ? EXIT_DONE : EXIT_FAILED;
}

static int
run_send(const struct cli_call *call, struct store_reader *reader, struct replay_options *o)
{
	struct err e = { 0 };
	struct replay_result result;
	enum rc rc = replay_run(reader, o, &result, &e);
	cmd_progress_end();
	if (rc == RC_INVALID && result.sent == 0) {
		cmd_fail(&e);
		return EXIT_USAGE;
	}
	int code = EXIT_DONE;
	if (rc != RC_OK)
		code = cmd_fail(&e);
	if (rc == RC_DENIED || rc == RC_AGAIN || (rc == RC_OK && result.refused > 0))
		code = EXIT_PARTIAL;
	else if (result.interrupted)
		code = EXIT_INTERRUPTED;
	if (rc != RC_NOTFOUND && !(rc == RC_CONFLICT && result.sent == 0))
		print_summary(&result);
	if (call->json && strcmp(o->target, "-") != 0) {
		struct buf out = buf_new(LIMIT_TEXT_BYTES);
		buf_put_char(&out, '{');
		put_result_json(&out, &result);
		buf_put_str(&out, "}\n");
		if (!cmd_print(&out) && code == EXIT_DONE)
			code = EXIT_FAILED;
		buf_free(&out);
	}
	return code;
}

static int
run(const struct cli_call *call)
{
	struct arena *a = arena_new(16384);
	struct store_reader *reader = NULL;
	struct config c;
	struct err e = { 0 };
	struct report report = { .start_ms = clock_monotonic_ms() };
	struct replay_options o = {
		.progress = on_progress, .refused = on_refused, .context = &report, .stop_fd = -1
	};
	int code;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	rc = read_options(call, a, &o, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		code = rc == RC_INVALID ? EXIT_USAGE : code;
		goto done;
	}
	o.stop_fd = cmd_stop_fd(&e);
	if (o.stop_fd < 0 || services_open_reader(&c, &reader, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (cli_option(call, "dry-run")->given || cli_option(call, "count")->given)
		code = run_plan(call, reader, &o, a);
	else
		code = run_send(call, reader, &o);
done:
	secret_forget(&o.secret);
	store_reader_close(reader);
	if (o.stop_fd >= 0)
		close(o.stop_fd);
	arena_free(a);
	return code;
}

static const struct cli_option options[] = {
	{ "from", CLI_U64, "SEQ", "first event" },
	{ "to", CLI_U64, "SEQ", "last event" },
	{ "since", CLI_TIME, "TIME", "received at this time or later" },
	{ "until", CLI_TIME, "TIME", "received before this time" },
	{ "source", CLI_STRING, "NAMES", "received by one of these sources" },
	{ "provider", CLI_STRING, "NAMES", "of one of these providers" },
	{ "origin", CLI_STRING, "NAMES",
		"that came in one of these ways: webhook, backfill, poll, reconcile, import" },
	{ "event", CLI_STRING, "NAMES",
		"of one of these types; pull_request.closed names an action too" },
	{ "action", CLI_STRING, "NAMES", "whose payload names one of these actions" },
	{ "sender", CLI_STRING, "NAMES", "caused by one of these users: login or number" },
	{ "repository", CLI_STRING, "REPO", "about this repository: owner/name or its number" },
	{ "delivery", CLI_STRING, "ID", "with this delivery id" },
	{ "where", CLI_STRING, "PATH=VALUE",
		"whose payload has this value there; also != < <= > >=, several with ' and '" },
	{ "target", CLI_STRING, "TARGET", "where to: -, a file, file:PATH or an http(s) URL" },
	{ "secret-file", CLI_STRING, "FILE",
		"sign for an HTTP target with the secret in this file" },
	{ "rate", CLI_U64, "N", "events per second at most" },
	{ "limit", CLI_U64, "N", "events to send at most" },
	{ "retries", CLI_U64, "N", "attempts after the first one, per event; default 5" },
	{ "keep-going", CLI_FLAG, NULL, "pass over events the target refuses" },
	{ "force", CLI_FLAG, NULL, "overwrite the file" },
	{ "dry-run", CLI_FLAG, NULL, "tell what would be sent, by kind, and send nothing" },
	{ "count", CLI_FLAG, NULL, "print how many events are selected and send nothing" },
};

const struct cli_command cmd_replay = {
	.name = "replay",
	.args_help = "",
	.summary = "Send recorded events again, to a URL, a file or stdout.",
	.details = "All conditions must hold; NAMES are separated by commas. Events go out one by "
		   "one in the order\n"
		   "of the log. A file gets one JSON object per line and appears under its name "
		   "when it is\n"
		   "complete. A URL gets each event as its original request: same headers, same "
		   "body, without the\n"
		   "original signature.\n"
		   "\n"
		   "Connection errors, 429 and 5xx are tried again, slower each time and not "
		   "before Retry-After.\n"
		   "Anything else but 2xx is a refusal and ends the replay unless --keep-going is "
		   "given. Exit code\n"
		   "7: not everything arrived; 130: interrupted. The last line on stderr names the "
		   "--from to go on\n"
		   "with.\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run,
};
