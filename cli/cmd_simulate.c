/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/receiver_at.h"
#include "simulate/simulate.h"

#define COUNT_DEFAULT 1000
#define SEED_DEFAULT 1
#define SOURCE_DEFAULT "github"
#define CONCURRENCY_MAX 256

static void
on_progress(const struct simulate_result *r, void *context)
{
	const struct simulate_options *o = context;
	uint64_t per_s = r->elapsed_us == 0 ? 0 : r->sent * 1000000 / (uint64_t)r->elapsed_us;
	char total[32] = "";
	if (o->count > 0)
		snprintf(total, sizeof(total), " of %" PRIu64, o->count);
	cmd_progress("sent %" PRIu64 "%s  duplicates %" PRIu64 "  refused %" PRIu64
		     "  retried %" PRIu64 "  %" PRIu64 "/s",
		r->sent, total, r->duplicates, r->refused, r->retried, per_s);
}

static bool
print_result(const struct simulate_result *r, bool json)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	double seconds = (double)r->elapsed_us / 1e6;
	double per_s = r->elapsed_us > 0 ? (double)r->sent / seconds : 0;
	if (json)
		buf_printf(&out,
			"{\"sent\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"duplicates\":%" PRIu64
			",\"refused\":%" PRIu64 ",\"retried\":%" PRIu64 ",\"body_bytes\":%" PRIu64
			",\"elapsed_ms\":%" PRId64
			",\"events_per_s\":%.1f,\"latency_us\":{\"p50\":%" PRId64
			",\"p99\":%" PRId64 ",\"max\":%" PRId64 "},\"interrupted\":%s}\n",
			r->sent, r->accepted, r->duplicates, r->refused, r->retried, r->body_bytes,
			r->elapsed_us / 1000, per_s, r->p50_us, r->p99_us, r->max_us,
			r->interrupted ? "true" : "false");
	else
		buf_printf(&out,
			"sent %" PRIu64 ", accepted %" PRIu64 ", duplicates %" PRIu64
			", refused %" PRIu64 ", retried %" PRIu64
			", %.1f events/s in %.3f s, latency p50 %.2f ms, p99 %.2f ms, "
			"max %.2f ms\n",
			r->sent, r->accepted, r->duplicates, r->refused, r->retried, per_s, seconds,
			(double)r->p50_us / 1e3, (double)r->p99_us / 1e3, (double)r->max_us / 1e3);
	bool ok = cmd_print(&out);
	buf_free(&out);
	return ok;
}

/* The events on stdout, one JSON object per line. */
static int
write_events(const struct simulate_options *o)
{
	struct simulate_forge *f = simulate_forge_new(o->seed);
	struct buf line = buf_new(LIMIT_BODY_BYTES + 1024);
	int code = EXIT_DONE;
	for (uint64_t i = 0; (o->count == 0 || i < o->count) && code == EXIT_DONE; i++) {
		struct simulate_event ev;
		if (cmd_stopped(o->stop_fd)) {
			code = o->count == 0 ? EXIT_DONE : EXIT_INTERRUPTED;
			break;
		}
		simulate_forge_next(f, &ev);
		buf_clear(&line);
		buf_printf(&line, "{\"event\":\"%s\",\"delivery\":\"%s\",\"body\":", ev.event,
			ev.delivery);
		buf_put_bytes(&line, ev.body);
		buf_put_str(&line, "}\n");
		if (!cmd_print(&line))
			code = EXIT_FAILED;
	}
	buf_free(&line);
	simulate_forge_free(f);
	return code;
}

static bool
is_name(const char *s)
{
	size_t len = strlen(s);
	return len > 0 && len <= LIMIT_SOURCE_NAME_BYTES && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       len;
}

static enum rc
read_number(const struct cli_call *call, const char *name, uint64_t fallback, uint64_t min,
	uint64_t max, uint64_t *out, struct err *e)
{
	const struct cli_value *v = cli_option(call, name);
	*out = v->given ? v->u64 : fallback;
	if (*out < min || *out > max)
		return err_set(e, RC_INVALID, NULL, "--%s must be %" PRIu64 " to %" PRIu64, name,
			min, max);
	return RC_OK;
}

static enum rc
read_options(const struct cli_call *call, struct simulate_options *o, struct err *e)
{
	uint64_t concurrency, form, duplicate;
	const char *output = cli_option(call, "output")->text;
	if (output != NULL && strcmp(output, "-") != 0)
		return err_set(e, RC_INVALID, NULL, "--output takes only -, which is stdout");
	enum rc rc = read_number(call, "count", COUNT_DEFAULT, 0, UINT64_MAX, &o->count, e);
	if (rc == RC_OK)
		rc = read_number(call, "seed", SEED_DEFAULT, 0, UINT64_MAX, &o->seed, e);
	if (rc == RC_OK)
		rc = read_number(call, "rate", 0, 0, UINT64_MAX, &o->rate, e);
	if (rc == RC_OK)
		rc = read_number(call, "concurrency", 1, 1, CONCURRENCY_MAX, &concurrency, e);
	if (rc == RC_OK)
		rc = read_number(call, "form-share", 0, 0, 100, &form, e);
	if (rc == RC_OK)
		rc = read_number(call, "duplicate-share", 0, 0, 100, &duplicate, e);
	if (rc != RC_OK)
		return rc;
	o->concurrency = (unsigned)concurrency;
	o->form_percent = (unsigned)form;
	o->duplicate_percent = (unsigned)duplicate;
	return RC_OK;
}

/* URL and secret: what was named, else what the configuration says about the source. */
static enum rc
find_receiver(const struct cli_call *call, const struct config *c, struct arena *a,
	struct simulate_options *o, struct err *e)
{
	const char *source = cli_option(call, "source")->text;
	const char *url = cli_option(call, "url")->text;
	const char *secret_file = cli_option(call, "secret-file")->text;
	if (source != NULL && !is_name(source))
		return err_set(
			e, RC_INVALID, NULL, "'%.100s' cannot be the name of a source", source);
	const char *named = source != NULL ? source : SOURCE_DEFAULT;
	o->url = url;
	if (url == NULL) {
		struct receiver_at at;
		enum rc rc = receiver_at(&at, c, NULL, named, a, e);
		if (rc != RC_OK)
			return rc;
		o->url = at.url;
		o->unix_socket = at.unix_socket;
		o->pin = at.pin;
	}
	if (secret_file == NULL)
		secret_file = arena_printf(a, "%s/%s.secret", c->sources_dir, named);
	enum rc rc = secret_read(secret_file, SECRET_GROUP_TOO, false, NULL, a, &o->secret, e);
	/* Another machine's receiver may know other secrets, or want none: then it says so. */
	if (rc == RC_NOTFOUND && url != NULL && source == NULL &&
		cli_option(call, "secret-file")->text == NULL)
		return RC_OK;
	if (rc == RC_NOTFOUND && cli_option(call, "secret-file")->text == NULL)
		return err_set(e, RC_NOTFOUND, NULL,
			"there is no secret of source %s (%s); make the source with `hooklog "
			"source add %s "
			"--provider github`, or give --secret-file or --url",
			named, secret_file, named);
	return rc;
}

static int
send_events(const struct cli_call *call, struct simulate_options *o)
{
	struct err e = { 0 };
	struct simulate_result r;
	enum rc rc = simulate_send(o, &r, &e);
	cmd_progress_end();
	int code = EXIT_DONE;
	if (rc != RC_OK)
		code = cmd_fail(&e);
	else if (r.refused > 0)
		code = EXIT_FAILED;
	else if (r.interrupted && o->count > 0)
		code = EXIT_INTERRUPTED;
	if (r.refused > 0)
		fprintf(stderr,
			"simulate: %" PRIu64 " requests were refused, the first with status %d\n",
			r.refused, r.first_refusal);
	if (!print_result(&r, call->json) && code == EXIT_DONE)
		code = EXIT_FAILED;
	return code;
}

static int
run(const struct cli_call *call)
{
	struct arena *a = arena_new(16384);
	struct config c;
	struct err e = { 0 };
	struct simulate_options o = { .progress = on_progress, .stop_fd = -1 };
	o.context = &o;
	int code;
	if (config_load(&c, call, a, NULL, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (read_options(call, &o, &e) != RC_OK) {
		cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	o.stop_fd = cmd_stop_fd(&e);
	if (o.stop_fd < 0) {
		code = cmd_fail(&e);
		goto done;
	}
	if (cli_option(call, "output")->given) {
		code = write_events(&o);
		goto done;
	}
	if (find_receiver(call, &c, a, &o, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	code = send_events(call, &o);
done:
	secret_forget(&o.secret);
	if (o.stop_fd >= 0)
		close(o.stop_fd);
	arena_free(a);
	return code;
}

static const struct cli_option options[] = {
	{ "url", CLI_STRING, "URL", "where to; default http://<ingest.listen>/in/<source>" },
	{ "source", CLI_STRING, "NAME", "whose URL and secret to use; default github" },
	{ "secret-file", CLI_STRING, "FILE", "sign with the secret in this file" },
	{ "count", CLI_U64, "N", "events to send, default 1000; 0: until interrupted" },
	{ "seed", CLI_U64, "N", "which forge; the same seed gives the same events, default 1" },
	{ "rate", CLI_U64, "N", "events per second at most" },
	{ "concurrency", CLI_U64, "N", "connections, default 1; with more the order is not kept" },
	{ "form-share", CLI_U64, "PERCENT", "events sent as a form instead of JSON" },
	{ "duplicate-share", CLI_U64, "PERCENT", "events delivered twice" },
	{ "output", CLI_STRING, "-", "write the events to stdout and send nothing" },
};

const struct cli_command cmd_simulate = {
	.name = "simulate",
	.args_help = "",
	.summary = "Play a forge: send invented webhooks to a receiver.",
	.details = "Repositories, pull requests, issues and builds live whole lives and tell about "
		   "them in signed\n"
		   "webhooks shaped as GitHub's. The seed decides everything, so a second run with "
		   "the same seed\n"
		   "is answered with duplicates.\n"
		   "\n"
		   "429 and 503 are waited for. Exit code 1: something was refused or nobody "
		   "answered.\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run,
};
