/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "replay/journal.h"

/* What is known about one run. */
struct known {
	const char *name, *status;
	struct journal_state state;
	struct replay_options options;
	const struct journal_failure *failures;
	size_t failure_count;
};

static enum rc
read_run(const char *dir, const char *name, struct arena *a, struct known *k, struct err *e)
{
	bool running = false;
	*k = (struct known){ .name = name };
	enum rc rc =
		journal_read(dir, name, a, &k->state, &running, &k->failures, &k->failure_count, e);
	if (rc == RC_OK)
		rc = journal_options(dir, name, a, &k->options, e);
	k->status = journal_status_name(k->state.status);
	if (running)
		k->status = "running";
	else if (k->state.status == JOURNAL_STARTED)
		k->status = "killed";
	return rc;
}

static void
put_json(struct buf *out, const struct known *k, bool failures)
{
	char started[CLOCK_TEXT_BYTES], updated[CLOCK_TEXT_BYTES];
	const struct journal_state *s = &k->state;
	clock_format_us(s->started_us, started);
	clock_format_us(s->updated_us, updated);
	buf_printf(out,
		"{\"run\":\"%s\",\"status\":\"%s\",\"started_at\":\"%s\",\"updated_at\":\"%s\","
		"\"from_seq\":%" PRIu64 ",\"to_seq\":%" PRIu64 ",\"next_seq\":%" PRIu64
		",\"sent\":%" PRIu64 ",\"failed\":%zu,\"retried\":%" PRIu64
		",\"body_bytes\":%" PRIu64 ",\"error\":",
		k->name, k->status, started, updated, s->from_seq, s->to_seq, s->window.settled + 1,
		s->sent, k->failure_count, s->retried, s->body_bytes);
	buf_put_json(out, utf8_valid(bytes_str(s->error)) ? bytes_str(s->error) : bytes_str("?"));
	buf_put_str(out, ",\"options\":");
	journal_put_options(out, &k->options, true);
	for (size_t i = 0; failures && i < k->failure_count; i++) {
		const struct journal_failure *f = &k->failures[i];
		char at[CLOCK_TEXT_BYTES];
		clock_format_us(f->at_us, at);
		buf_printf(out,
			"%s{\"seq\":%" PRIu64 ",\"status\":%d,\"attempts\":%" PRIu64
			",\"at\":\"%s\",\"why\":",
			i == 0 ? ",\"failures\":[" : ",", f->seq, f->status, f->attempts, at);
		buf_put_json(out, bytes_str(f->why));
		buf_put_str(out, i + 1 == k->failure_count ? "}]" : "}");
	}
	buf_put_str(out, "}\n");
}

static void
put_text(struct buf *out, const struct known *k, bool failures)
{
	char started[CLOCK_TEXT_BYTES], target[512];
	const struct journal_state *s = &k->state;
	clock_format_us(s->started_us, started);
	journal_shown_target(
		k->options.target == NULL ? "?" : k->options.target, target, sizeof(target));
	buf_printf(out,
		"%-24s %-11s %.19sZ  seq %" PRIu64 " to %" PRIu64 "  sent %" PRIu64
		"  failed %zu  %s\n",
		k->name, k->status, started, s->from_seq, s->to_seq, s->sent, k->failure_count,
		target);
	if (!failures)
		return;
	if (s->error[0] != '\0')
		buf_printf(out, "stopped by: %s\n", s->error);
	if (s->status != JOURNAL_COMPLETE)
		buf_printf(out, "go on: hooklog replay --resume %s (seq %" PRIu64 ")\n", k->name,
			s->window.settled + 1);
	for (size_t i = 0; i < k->failure_count; i++)
		buf_printf(out, "%12" PRIu64 "  %3d  %s\n", k->failures[i].seq,
			k->failures[i].status, k->failures[i].why);
	if (k->failure_count > 0)
		buf_printf(out, "again: hooklog replay --retry-failed %s\n", k->name);
}

static int
run(const struct cli_call *call)
{
	struct arena *a = arena_new(65536);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct config c;
	struct err e = { 0 };
	const char *const *names = NULL;
	size_t count = 0;
	bool one = call->arg_count > 0;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK && one) {
		names = &call->args[0];
		count = 1;
	} else if (rc == RC_OK) {
		rc = journal_list(c.replay_dir, a, &names, &count, &e);
	}
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct known *k = arena_alloc(a, sizeof(*k));
		rc = read_run(c.replay_dir, names[i], a, k, &e);
		if (rc == RC_OK && call->json)
			put_json(&out, k, one);
		else if (rc == RC_OK)
			put_text(&out, k, one);
	}
	int code = EXIT_DONE;
	if (rc != RC_OK)
		code = cmd_fail(&e);
	else if (!cmd_print(&out))
		code = EXIT_FAILED;
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_replay_runs = {
	.name = "replay runs",
	.args_help = "[RUN]",
	.args_max = 1,
	.summary = "List the replays there were, or one with what it could not deliver.",
	.details = "A run that was interrupted, stopped or killed goes on with 'hooklog replay "
		   "--resume "
		   "RUN'; what it\n"
		   "passed over is sent again with 'hooklog replay --retry-failed RUN'.\n",
	.run = run,
};
