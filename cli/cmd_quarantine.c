/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "ingest/admit.h"

/* How long the receiver may take to admit a request: it looks for them about twice a second. */
#define ANSWER_MS 15000

struct session {
	struct arena *a;
	struct config config;
	struct ring *ring;
	int code;
	struct buf out;
};

static bool
open_session(struct session *s, const struct cli_call *call)
{
	struct err e = { 0 };
	*s = (struct session){ .a = arena_new(16 * 1024), .out = buf_new(LIMIT_TEXT_BYTES) };
	enum rc rc = config_load(&s->config, call, s->a, NULL, &e);
	if (rc == RC_OK) {
		rc = ring_open(&s->ring,
			arena_printf(s->a, "%s/" QUARANTINE_FILE, s->config.quarantine_dir), 0, &e);
		if (rc == RC_NOTFOUND)
			err_set(&e, RC_NOTFOUND, NULL, "%s: no request has been kept yet",
				s->config.quarantine_dir);
	}
	s->code = rc == RC_OK ? EXIT_DONE : cmd_fail(&e);
	return rc == RC_OK;
}

static int
close_session(struct session *s)
{
	if (s->code == EXIT_DONE && !cmd_print(&s->out))
		s->code = EXIT_FAILED;
	ring_close(s->ring);
	buf_free(&s->out);
	arena_free(s->a);
	return s->code;
}

/* False after a message. */
static bool
parse_id(const char *text, uint64_t *id)
{
	char *end = NULL;
	*id = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0')
		return true;
	fprintf(stderr,
		"hooklog: \"%s\" is no id of a request; `hooklog quarantine list` shows them\n",
		text);
	return false;
}

/* Text of a stranger for a terminal: everything but printable ASCII as \xNN. */
static void
put_safe(struct buf *out, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < 0x20 || text.data[i] >= 0x7f)
			buf_printf(out, "\\x%02x", text.data[i]);
		else
			buf_put_char(out, (char)text.data[i]);
	}
}

/* ---- list ---- */

static void
put_entry(struct buf *out, const struct quarantined *q, bool json)
{
	char at[CLOCK_TEXT_BYTES];
	const struct event *ev = &q->event;
	clock_format_us(q->entry.at_us, at);
	if (!json) {
		buf_printf(out, "%6" PRIu64 "  %.19sZ  %-8s  %-12.*s  %3u  %8zu  ", q->entry.id, at,
			quarantine_state_name(q->entry.state), (int)ev->source.len,
			(const char *)ev->source.data, q->status, ev->body.len);
		put_safe(out, ev->event);
		buf_put_str(out, "  ");
		put_safe(out, bytes_str(q->error));
		buf_put_char(out, '\n');
		return;
	}
	buf_printf(out,
		"{\"id\":%" PRIu64 ",\"received_at\":\"%s\",\"state\":\"%s\",\"seq\":%" PRIu64
		",\"status\":%u,\"reason\":",
		q->entry.id, at, quarantine_state_name(q->entry.state), q->entry.seq, q->status);
	buf_put_json(out, bytes_str(q->reason_id));
	buf_put_str(out, ",\"error\":");
	buf_put_json(out, bytes_str(q->error));
	buf_put_str(out, ",\"request\":");
}

static int
run_list(const struct cli_call *call)
{
	struct session s;
	struct err e = { 0 };
	const struct ring_entry *entries = NULL;
	struct arena *each = arena_new(64 * 1024);
	bool all = cli_option(call, "all")->given;
	size_t count = 0, shown = 0;
	if (!open_session(&s, call))
		goto done;
	if (ring_list(s.ring, s.a, &entries, &count, &e) != RC_OK) {
		s.code = cmd_fail(&e);
		goto done;
	}
	for (size_t i = 0; i < count; i++) {
		struct quarantined q;
		arena_reset(each);
		if (!all && entries[i].state != RING_WAITING)
			continue;
		enum rc rc = quarantine_read(s.ring, entries[i].id, each, &q, &e);
		if (rc == RC_NOTFOUND)
			continue; /* it made room meanwhile */
		if (rc != RC_OK) {
			s.code = cmd_fail(&e);
			goto done;
		}
		if (shown++ == 0 && !call->json)
			buf_put_str(&s.out, "    id  received              state     source        "
					    "ans     bytes  event  reason\n");
		put_entry(&s.out, &q, call->json);
		if (call->json) {
			/* The body is for `show`. */
			q.event.body = bytes_str("");
			event_put_json(&s.out, &q.event);
			buf_put_str(&s.out, "}\n");
		}
	}
	if (shown == 0)
		fputs("hooklog: the quarantine is empty\n", stderr);
done:
	arena_free(each);
	return close_session(&s);
}

/* ---- show ---- */

static void
put_text(struct buf *out, const struct quarantined *q)
{
	const struct event *ev = &q->event;
	char at[CLOCK_TEXT_BYTES];
	clock_format_us(q->entry.at_us, at);
	buf_printf(out, "request   %" PRIu64 ", %s\nreceived  %s from %.*s\nanswered  %u %s: %s\n",
		q->entry.id, quarantine_state_name(q->entry.state), at, (int)ev->remote.len,
		(const char *)ev->remote.data, q->status, q->reason_id, q->error);
	if (q->entry.state == RING_ADMITTED)
		buf_printf(out, "stored    as %" PRIu64 "\n", q->entry.seq);
	buf_put_char(out, '\n');
	put_safe(out, ev->method);
	buf_put_char(out, ' ');
	put_safe(out, ev->path);
	buf_put_str(out, ev->query.len > 0 ? "?" : "");
	put_safe(out, ev->query);
	buf_put_char(out, '\n');
	for (size_t i = 0; i < ev->header_count; i++) {
		put_safe(out, ev->headers[i].name);
		buf_put_str(out, ": ");
		put_safe(out, ev->headers[i].value);
		buf_put_char(out, '\n');
	}
	buf_printf(
		out, "\n%zu bytes of body; --body prints them, --json all of it\n", ev->body.len);
}

static int
run_show(const struct cli_call *call)
{
	struct session s;
	struct err e = { 0 };
	struct quarantined q;
	uint64_t id = 0;
	if (!open_session(&s, call))
		return close_session(&s);
	if (!parse_id(call->args[0], &id)) {
		s.code = EXIT_USAGE;
	} else if (quarantine_read(s.ring, id, s.a, &q, &e) != RC_OK) {
		s.code = cmd_fail(&e);
	} else if (cli_option(call, "body")->given) {
		buf_put_bytes(&s.out, q.event.body);
	} else if (call->json) {
		put_entry(&s.out, &q, true);
		event_put_json(&s.out, &q.event);
		buf_put_str(&s.out, "}\n");
	} else {
		put_text(&s.out, &q);
	}
	return close_session(&s);
}

/* ---- admit ---- */

/* What is needed to admit without a receiver. */
struct writer {
	struct store *store;
	struct sources *sources;
	unsigned char salt[REDACT_SALT_BYTES];
};

/* RC_AGAIN: a receiver has the log; it has to be asked. */
static enum rc
open_writer(struct writer *w, const struct session *s, struct err *e)
{
	enum rc rc = services_open_log(&s->config, &w->store, e);
	if (rc == RC_OK)
		rc = sources_load(&w->sources, s->config.sources_dir, e);
	if (rc == RC_OK)
		rc = redact_salt(
			arena_printf(s->a, "%s/redaction.salt", s->config.data_dir), w->salt, e);
	return rc;
}

static void
put_admitted(struct buf *out, uint64_t id, const struct admitted *done, bool json)
{
	if (json)
		buf_printf(out, "{\"id\":%" PRIu64 ",\"seq\":%" PRIu64 ",\"duplicate\":%s}\n", id,
			done->seq, done->duplicate ? "true" : "false");
	else
		buf_printf(out, "request %" PRIu64 "  %s %" PRIu64 "\n", id,
			done->duplicate ? "is already in the log as" : "stored as", done->seq);
}

static int
run_admit(const struct cli_call *call)
{
	struct session s;
	struct writer w = { .store = NULL };
	struct err e = { 0 };
	bool unverified = cli_option(call, "unverified")->given;
	size_t refused = 0;
	if (!open_session(&s, call))
		return close_session(&s);
	enum rc rc = open_writer(&w, &s, &e);
	bool ask = rc == RC_AGAIN;
	if (rc != RC_OK && !ask) {
		s.code = cmd_fail(&e);
		goto done;
	}
	for (size_t i = 0; i < call->arg_count; i++) {
		struct admitted admitted;
		uint64_t id = 0;
		if (!parse_id(call->args[i], &id)) {
			s.code = EXIT_USAGE;
			goto done;
		}
		const struct admit how = { s.ring, w.sources, w.store, w.salt, unverified };
		rc = ask ? admit_ask(s.config.quarantine_dir, id, unverified, ANSWER_MS, &admitted,
				   &e)
			 : admit_one(&how, id, &admitted, &e);
		if (rc == RC_OK) {
			put_admitted(&s.out, id, &admitted, call->json);
			continue;
		}
		int code = cmd_fail(&e);
		if (rc != RC_DENIED && rc != RC_INVALID && rc != RC_NOTFOUND) {
			s.code = code;
			goto done;
		}
		refused++;
		if (call->arg_count == 1)
			s.code = rc == RC_NOTFOUND ? EXIT_NOTFOUND : EXIT_FAILED;
	}
	if (refused > 0 && call->arg_count > 1) {
		cmd_print(&s.out);
		buf_clear(&s.out);
		s.code = refused == call->arg_count ? EXIT_FAILED : EXIT_PARTIAL;
	}
done:
	store_close(w.store);
	sources_release(w.sources);
	crypto_wipe(w.salt, sizeof w.salt);
	return close_session(&s);
}

/* ---- drop ---- */

static int
run_drop(const struct cli_call *call)
{
	struct session s;
	struct err e = { 0 };
	const struct ring_entry *entries = NULL;
	size_t count = 0, dropped = 0;
	bool all = cli_option(call, "all")->given;
	if (all == (call->arg_count > 0)) {
		fputs("hooklog: quarantine drop: either ids or --all\n", stderr);
		return EXIT_USAGE;
	}
	if (!open_session(&s, call))
		return close_session(&s);
	if (all && ring_list(s.ring, s.a, &entries, &count, &e) != RC_OK) {
		s.code = cmd_fail(&e);
		count = 0;
	}
	for (size_t i = 0; i < (all ? count : call->arg_count); i++) {
		struct ring_entry entry = { 0 };
		struct bytes data;
		uint64_t id = all ? entries[i].id : 0;
		if (!all && !parse_id(call->args[i], &id)) {
			s.code = EXIT_USAGE;
			break;
		}
		enum rc rc = ring_read(s.ring, id, s.a, &entry, &data, &e);
		if (rc == RC_OK && entry.state == RING_WAITING)
			rc = ring_mark(s.ring, id, RING_DROPPED, 0, &e);
		else if (rc == RC_OK && !all)
			rc = err_set(&e, RC_INVALID, NULL, "request %" PRIu64 " was %s already", id,
				quarantine_state_name(entry.state));
		else if (rc == RC_OK || (rc == RC_NOTFOUND && all))
			continue;
		if (rc != RC_OK) {
			s.code = cmd_fail(&e);
			break;
		}
		dropped++;
	}
	fprintf(stderr, "hooklog: %zu dropped\n", dropped);
	return close_session(&s);
}

static const struct cli_option list_options[] = {
	{ "all", CLI_FLAG, NULL, "also those that were admitted or dropped" },
};

static const struct cli_option show_options[] = {
	{ "body", CLI_FLAG, NULL, "print the body as it came, and nothing else" },
};

static const struct cli_option admit_options[] = {
	{ "unverified", CLI_FLAG, NULL,
		"store it although its signature does not match; the event says so" },
};

static const struct cli_option drop_options[] = {
	{ "all", CLI_FLAG, NULL, "drop everything that waits" },
};

const struct cli_command cmd_quarantine_list = {
	.name = "quarantine list",
	.args_help = "",
	.summary = "List the refused deliveries that were kept.",
	.details = "Requests to a source that were refused for their signature or form are kept,\n"
		   "the newest of them, in a file of fixed size beside the log (quarantine.*).\n",
	.options = list_options,
	.option_count = COUNT_OF(list_options),
	.run = run_list,
};

const struct cli_command cmd_quarantine_show = {
	.name = "quarantine show",
	.args_help = "ID",
	.args_min = 1,
	.args_max = 1,
	.summary = "Show a refused delivery: why, headers, body.",
	.details = "Values of headers that tell a secret are kept as salted hashes only.\n",
	.options = show_options,
	.option_count = COUNT_OF(show_options),
	.run = run_show,
};

const struct cli_command cmd_quarantine_admit = {
	.name = "quarantine admit",
	.args_help = "ID...",
	.args_min = 1,
	.args_max = CLI_ARGS_MAX - 1,
	.summary = "Put refused deliveries into the log, after their source was corrected.",
	.details =
		"Each is checked again with the secrets that its source has now. The event gets\n"
		"the next number and the time it is stored; when it came in stands in its\n"
		"header X-Hooklog-Received-At. A running receiver does it when there is one.\n"
		"Exit code 1: refused again; 7: some of them were.\n",
	.options = admit_options,
	.option_count = COUNT_OF(admit_options),
	.run = run_admit,
};

const struct cli_command cmd_quarantine_drop = {
	.name = "quarantine drop",
	.args_help = "[ID...]",
	.args_max = CLI_ARGS_MAX - 1,
	.summary = "Mark refused deliveries as not wanted.",
	.details =
		"They are no longer listed and cannot be admitted; newer ones take their place.\n",
	.options = drop_options,
	.option_count = COUNT_OF(drop_options),
	.run = run_drop,
};
