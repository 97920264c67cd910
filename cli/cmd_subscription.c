/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/replay_select.h"
#include "cli/services.h"
#include "replay/subscription.h"
#include "replay/target.h"
#include "replay/token.h"

#define RETRIES_DEFAULT 5
#define CONCURRENCY_MAX 256

/* What all of the commands need. */
struct sub {
	const struct cli_call *call;
	struct config config;
	struct arena *a;
	struct store_reader *reader;
	struct store_span span;
};

static enum rc
sub_open(struct sub *s, const struct cli_call *call, struct err *e)
{
	*s = (struct sub){ .call = call, .a = arena_new(65536) };
	enum rc rc = config_load(&s->config, call, s->a, NULL, e);
	if (rc == RC_OK)
		rc = services_open_reader(&s->config, &s->reader, e);
	return rc == RC_OK ? store_span(s->reader, &s->span, e) : rc;
}

static int
sub_close(struct sub *s, enum rc rc, const struct err *e)
{
	int code = rc == RC_OK ? EXIT_DONE : cmd_fail(e);
	if (rc == RC_INVALID && e->id == NULL)
		code = EXIT_USAGE;
	store_reader_close(s->reader);
	arena_free(s->a);
	return code;
}

/* The position named by --from or --since; with neither, the given one. */
static enum rc
position(struct sub *s, uint64_t otherwise, uint64_t *seq, struct err *e)
{
	const struct cli_value *from = cli_option(s->call, "from");
	const struct cli_value *since = cli_option(s->call, "since");
	*seq = otherwise;
	if (from->given && since->given)
		return err_set(e, RC_INVALID, NULL, "give --from or --since, not both");
	if (from->given)
		*seq = from->u64;
	if (since->given)
		return store_seq_at(s->reader, since->time_us, seq, e);
	if (*seq == 0)
		return err_set(e, RC_INVALID, NULL, "--from must be at least 1");
	/* It would wait for that number, and never see what comes before. */
	if (*seq > s->span.last_seq + 1)
		return err_set(e, RC_INVALID, NULL,
			"the log ends at event %" PRIu64 ": --from can be %" PRIu64 " at most",
			s->span.last_seq, s->span.last_seq + 1);
	if (s->span.first_seq > 0 && *seq < s->span.first_seq)
		return err_set(e, RC_NOTFOUND, "replay.range-gone",
			"event %" PRIu64 " is not in the log any more; it begins with %" PRIu64, *seq,
			s->span.first_seq);
	return RC_OK;
}

static const char *
absolute(const char *path, struct arena *a)
{
	char cwd[PATH_MAX];
	if (path == NULL || path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		return path;
	return arena_printf(a, "%s/%s", cwd, path);
}

/* One that is pulled has nothing to do with how something is sent. */
static enum rc
read_pull(const struct cli_call *call, struct replay_options *o, struct err *e)
{
	static const char *const sending[] = { "target", "format", "secret-file", "http2", "allow-private",
		"concurrency", "total-order", "rate", "retries" };
	struct replay_filter *filter;
	for (size_t i = 0; i < COUNT_OF(sending); i++)
		if (cli_option(call, sending[i])->given)
			return err_set(e, RC_INVALID, NULL, "--pull goes without --%s", sending[i]);
	o->target = SUBSCRIPTION_PULL;
	enum rc rc = replay_filter_new(&filter, &o->select, e);
	if (rc == RC_OK)
		replay_filter_free(filter);
	return rc;
}

static enum rc
read_add(struct sub *s, struct replay_options *o, struct err *e)
{
	const struct cli_call *call = s->call;
	const struct replay_target_kind *kind;
	struct replay_filter *filter;
	replay_select_read(call, &o->select);
	o->target = cli_option(call, "target")->text;
	o->format = cli_option(call, "format")->text;
	o->secret_file = absolute(cli_option(call, "secret-file")->text, s->a);
	o->allow_private = cli_option(call, "allow-private")->given;
	o->http2 = cli_option(call, "http2")->given;
	o->concurrency = cli_option(call, "concurrency")->u64;
	o->total_order = cli_option(call, "total-order")->given;
	o->rate = cli_option(call, "rate")->u64;
	const struct cli_value *retries = cli_option(call, "retries");
	o->retries = retries->given ? retries->u64 : RETRIES_DEFAULT;
	if (!subscription_name_valid(call->args[0]))
		return err_set(e, RC_INVALID, NULL,
			"a name has up to 40 letters, digits, '-' and '_', a letter first, not "
			"'%.100s'",
			call->args[0]);
	if (cli_option(call, "pull")->given)
		return read_pull(call, o, e);
	if (o->concurrency > CONCURRENCY_MAX)
		return err_set(e, RC_INVALID, NULL, "--concurrency is at most %d", CONCURRENCY_MAX);
	if (o->target == NULL)
		return err_set(e, RC_INVALID, NULL, "name a --target, an http(s) URL, or --pull");
	if (strcmp(o->target, SUBSCRIPTION_PULL) == 0)
		return err_set(e, RC_INVALID, NULL, "the target is an http(s) URL");
	enum rc rc = replay_target_find(o->target, o->format, &kind, e);
	if (rc == RC_OK && !kind->concurrent)
		rc = err_set(e, RC_INVALID, NULL,
			"a subscription sends single events to a URL; '%s' is for replays",
			kind->name);
	if (rc == RC_OK)
		rc = replay_filter_new(&filter, &o->select, e);
	if (rc != RC_OK)
		return rc;
	replay_filter_free(filter);
	if (o->secret_file == NULL)
		return RC_OK;
	struct bytes secret = { NULL, 0 };
	rc = secret_read(o->secret_file, SECRET_GROUP_TOO, false, NULL, s->a, &secret, e);
	secret_forget(&secret);
	return rc;
}

static enum rc
audit(struct sub *s, const char *action, const struct replay_options *o, uint64_t seq,
	struct err *e)
{
	struct buf fields = buf_new(LIMIT_CONFIG_FILE_BYTES);
	if (o != NULL) {
		buf_printf(&fields, "\"from_seq\":%" PRIu64 ",\"options\":", seq);
		journal_put_options(&fields, o, true);
	} else if (seq > 0) {
		buf_printf(&fields, "\"seq\":%" PRIu64, seq);
	}
	enum rc rc = journal_audit(
		s->config.subscriptions_dir, action, s->call->args[0], buf_bytes(&fields), e);
	buf_free(&fields);
	return rc;
}

static int
run_add(const struct cli_call *call)
{
	struct sub s;
	struct err e = { 0 };
	struct replay_options o = { .stop_fd = -1 };
	struct journal *journal = NULL;
	uint64_t from = 0;
	enum rc rc = sub_open(&s, call, &e);
	if (rc == RC_OK)
		rc = read_add(&s, &o, &e);
	if (rc == RC_OK)
		rc = position(&s, s.span.last_seq + 1, &from, &e);
	if (rc == RC_OK)
		rc = audit(&s, "add", &o, from, &e);
	if (rc == RC_OK)
		rc = journal_new(&journal, s.config.subscriptions_dir, call->args[0], &o,
			s.span.log_id, from, UINT64_MAX, &e);
	journal_close(journal);
	bool unserved = rc == RC_OK && strcmp(o.target, SUBSCRIPTION_PULL) == 0 &&
			s.config.subscription_listen[0] == '\0';
	if (rc == RC_OK && !call->json)
		printf("subscription %s starts at event %" PRIu64 "%s\n", call->args[0], from,
			unserved ? "; set subscription.listen, or nobody can pull it" : "");
	else if (rc == RC_OK)
		printf("{\"name\":\"%s\",\"next_seq\":%" PRIu64 "}\n", call->args[0], from);
	return sub_close(&s, rc, &e);
}

/* ---- looking ---- */

struct known {
	const char *name, *status;
	struct journal_state state;
	struct subscription_control control;
	struct replay_options options;
	const struct journal_failure *failures;
	size_t failure_count;
	uint64_t next_seq, lag;
};

static enum rc
look(struct sub *s, const char *name, struct known *k, struct err *e)
{
	bool served = false;
	const char *dir = s->config.subscriptions_dir;
	*k = (struct known){ .name = name };
	enum rc rc = journal_read(
		dir, name, s->a, &k->state, &served, &k->failures, &k->failure_count, e);
	if (rc == RC_OK)
		rc = journal_options(dir, name, s->a, &k->options, e);
	if (rc == RC_OK)
		rc = subscription_control_read(dir, name, &k->control, e);
	if (rc != RC_OK)
		return rc;
	k->next_seq = k->state.window.settled + 1;
	if (k->control.sought != k->state.done[SUBSCRIPTION_DONE_SOUGHT])
		k->next_seq = k->control.seek_seq;
	k->lag = k->next_seq <= s->span.last_seq ? s->span.last_seq - k->next_seq + 1 : 0;
	bool resuming = k->control.resumed != k->state.done[SUBSCRIPTION_DONE_RESUMED];
	k->status = k->control.paused                                 ? "paused"
		    : k->state.status == JOURNAL_STOPPED && !resuming ? "stopped"
		    : !served                                         ? "not served"
		    : k->state.breaker_open                           ? "unreachable"
								      : "active";
	return RC_OK;
}

static void
put_json(struct buf *out, const struct known *k, bool failures)
{
	const struct journal_state *st = &k->state;
	buf_printf(out,
		"{\"name\":\"%s\",\"status\":\"%s\",\"next_seq\":%" PRIu64 ",\"lag\":%" PRIu64
		",\"sent\":%" PRIu64 ",\"failed\":%zu,\"retried\":%" PRIu64
		",\"body_bytes\":%" PRIu64 ",\"error\":",
		k->name, k->status, k->next_seq, k->lag, st->sent, k->failure_count, st->retried,
		st->body_bytes);
	buf_put_json(out, utf8_valid(bytes_str(st->error)) ? bytes_str(st->error) : bytes_str("?"));
	buf_put_str(out, ",\"options\":");
	journal_put_options(out, &k->options, true);
	for (size_t i = 0; failures && i < k->failure_count; i++) {
		const struct journal_failure *f = &k->failures[i];
		buf_printf(out,
			"%s{\"seq\":%" PRIu64 ",\"status\":%d,\"attempts\":%" PRIu64 ",\"why\":",
			i == 0 ? ",\"failures\":[" : ",", f->seq, f->status, f->attempts);
		buf_put_json(out, bytes_str(f->why));
		buf_put_str(out, i + 1 == k->failure_count ? "}]" : "}");
	}
	buf_put_str(out, "}\n");
}

static void
put_text(struct buf *out, const struct known *k, bool failures)
{
	char target[512];
	journal_shown_target(
		k->options.target == NULL ? "?" : k->options.target, target, sizeof(target));
	buf_printf(out,
		"%-20s %-11s next %" PRIu64 "  lag %" PRIu64 "  sent %" PRIu64 "  failed %zu  %s\n",
		k->name, k->status, k->next_seq, k->lag, k->state.sent, k->failure_count, target);
	if (failures && k->state.error[0] != '\0')
		buf_printf(out, "error: %s\n", k->state.error);
	for (size_t i = 0; failures && i < k->failure_count; i++)
		buf_printf(out, "%12" PRIu64 "  %3d  %s\n", k->failures[i].seq,
			k->failures[i].status, k->failures[i].why);
}

static int
run_list(const struct cli_call *call)
{
	struct sub s;
	struct err e = { 0 };
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	const char *const *names = NULL;
	size_t count = 0;
	bool one = call->arg_count > 0;
	enum rc rc = sub_open(&s, call, &e);
	if (rc == RC_OK && one) {
		names = &call->args[0];
		count = 1;
	} else if (rc == RC_OK) {
		rc = journal_list(s.config.subscriptions_dir, s.a, &names, &count, &e);
	}
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct known *k = arena_alloc(s.a, sizeof(*k));
		rc = look(&s, names[i], k, &e);
		if (rc == RC_OK && call->json)
			put_json(&out, k, one);
		else if (rc == RC_OK)
			put_text(&out, k, one);
	}
	bool printed = rc != RC_OK || cmd_print(&out);
	buf_free(&out);
	int code = sub_close(&s, rc, &e);
	return printed ? code : EXIT_FAILED;
}

/* ---- telling ---- */

enum wish { PAUSE, RESUME, SEEK, RETRY, REMOVE };

static enum rc
wish_for(struct sub *s, enum wish wish, struct err *e)
{
	static const char *const actions[] = { "pause", "resume", "seek", "retry", "remove" };
	const char *dir = s->config.subscriptions_dir, *name = s->call->args[0];
	struct known *k = arena_alloc(s->a, sizeof(*k));
	uint64_t seq = 0;
	enum rc rc = look(s, name, k, e);
	struct subscription_control *c = &k->control;
	if (rc == RC_OK && wish == SEEK && !cli_option(s->call, "from")->given &&
		!cli_option(s->call, "since")->given)
		rc = err_set(e, RC_INVALID, NULL, "name the position with --from or --since");
	if (rc == RC_OK && wish == RETRY && strcmp(k->options.target, SUBSCRIPTION_PULL) == 0)
		rc = err_set(e, RC_INVALID, NULL, "'%s' is pulled: nothing is sent, nothing failed", name);
	if (rc == RC_OK && wish == SEEK)
		rc = position(s, 1, &seq, e);
	if (rc == RC_OK)
		rc = audit(s, actions[wish], NULL, seq, e);
	if (rc != RC_OK)
		return rc;
	c->paused = wish == PAUSE || (wish != RESUME && c->paused);
	c->resumed += wish == RESUME;
	c->retried += wish == RETRY;
	c->removed = wish == REMOVE;
	if (wish == SEEK) {
		c->sought++;
		c->seek_seq = seq;
	}
	rc = subscription_control_write(dir, name, c, e);
	if (rc == RC_OK && wish == REMOVE)
		rc = token_revoke(dir, NULL, name, e);
	if (rc != RC_OK || wish != REMOVE)
		return rc;
	/* Who serves it removes it; otherwise nobody does. */
	struct journal *journal = NULL;
	struct err busy;
	if (journal_open(&journal, dir, name, &busy) != RC_OK)
		return RC_OK;
	rc = journal_remove(dir, name, e);
	journal_close(journal);
	return rc;
}

static int
tell(const struct cli_call *call, enum wish wish)
{
	struct sub s;
	struct err e = { 0 };
	enum rc rc = sub_open(&s, call, &e);
	if (rc == RC_OK)
		rc = wish_for(&s, wish, &e);
	return sub_close(&s, rc, &e);
}

static int
run_pause(const struct cli_call *call)
{
	return tell(call, PAUSE);
}

static int
run_resume(const struct cli_call *call)
{
	return tell(call, RESUME);
}

static int
run_seek(const struct cli_call *call)
{
	return tell(call, SEEK);
}

static int
run_retry(const struct cli_call *call)
{
	return tell(call, RETRY);
}

static int
run_remove(const struct cli_call *call)
{
	return tell(call, REMOVE);
}

static int
run_serve(const struct cli_call *call)
{
	struct sub s;
	struct err e = { 0 };
	enum rc rc = sub_open(&s, call, &e);
	int stop_fd = -1;
	if (rc == RC_OK) {
		stop_fd = cmd_stop_fd(&e);
		rc = stop_fd < 0 ? e.rc : RC_OK;
	}
	if (rc == RC_OK) {
		const struct subscriptions_options o =
			services_subscriptions(&s.config, s.reader, stop_fd);
		LOG_INFO("subscription.serving", F_S("dir", o.dir));
		subscriptions_run(&o);
	}
	if (stop_fd >= 0)
		close(stop_fd);
	return sub_close(&s, rc, &e);
}

static const struct cli_option add_options[] = {
	{ "target", CLI_STRING, "URL", "where to" },
	{ "pull", CLI_FLAG, NULL, "nowhere: the consumer fetches, with a token of `hooklog token add`" },
	{ "format", CLI_STRING, "FORMAT", "in which form; see docs/replay.md" },
	{ "secret-file", CLI_STRING, "FILE", "sign with the secret in this file" },
	{ "from", CLI_U64, "SEQ", "first event; default: the next one that comes" },
	{ "since", CLI_TIME, "TIME", "first event received at this time or later" },
	REPLAY_SELECT_OPTIONS,
	{ "http2", CLI_FLAG, NULL,
		"speak HTTP/2: to https if it offers that, to http without asking" },
	{ "allow-private", CLI_FLAG, NULL,
		"let the target be any address, not only one of the public internet" },
	{ "concurrency", CLI_U64, "N", "events under way at once; default 1" },
	{ "total-order", CLI_FLAG, NULL, "one event after the other, whatever --concurrency says" },
	{ "rate", CLI_U64, "N", "events per second at most" },
	{ "retries", CLI_U64, "N", "attempts after the first one, per event; default 5" },
};

static const struct cli_option seek_options[] = {
	{ "from", CLI_U64, "SEQ", "next event to send" },
	{ "since", CLI_TIME, "TIME", "the first event received at this time or later" },
};

#define NAMED(word, what, does)                                                                    \
	.name = "subscription " word, .args_help = "NAME", .args_min = 1, .args_max = 1,           \
	.summary = what, .run = does

const struct cli_command cmd_subscription_add = {
	NAMED("add", "Let a URL, or a consumer that pulls, follow the log from now on or from an event.", run_add),
	.details =
		"Served by `hooklog up` and `hooklog subscription run`, which notice it by "
		"themselves. "
		"Deliveries\n"
		"follow the rules of `hooklog replay`; what is refused, or failed with 500 again "
		"and "
		"again, goes to\n"
		"a list and does not hold up the rest. A target that is not there is waited for.\n",
	.options = add_options, .option_count = COUNT_OF(add_options)
};
const struct cli_command cmd_subscription_list = { .name = "subscription list",
	.args_help = "",
	.summary = "List subscriptions with position, lag and failures.",
	.run = run_list };
const struct cli_command cmd_subscription_show = { NAMED(
	"show", "Show one subscription and the events it could not deliver.", run_list) };
const struct cli_command cmd_subscription_pause = { NAMED(
	"pause", "Stop sending; the position stays.", run_pause) };
const struct cli_command cmd_subscription_resume = { NAMED(
	"resume", "Go on after a pause, or after the target was gone.", run_resume) };
const struct cli_command cmd_subscription_seek = { NAMED("seek", "Go on at another event.",
							   run_seek),
	.options = seek_options, .option_count = COUNT_OF(seek_options) };
const struct cli_command cmd_subscription_retry = { NAMED(
	"retry", "Send the failed events once more.", run_retry) };
const struct cli_command cmd_subscription_remove = { NAMED(
	"remove", "Remove a subscription, its position and its list of failures.", run_remove) };
const struct cli_command cmd_subscription_run = { .name = "subscription run",
	.args_help = "",
	.summary = "Serve all subscriptions, until SIGINT or SIGTERM.",
	.run = run_serve };
