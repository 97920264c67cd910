/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/store.h"

/* Events read in one go by tail and show. */
#define BATCH_EVENTS 256
#define BATCH_BYTES ((size_t)8 * 1024 * 1024)
/* One line of JSON: every byte of a body may become six. */
#define LINE_BYTES_MAX (7 * LIMIT_RECORD_BYTES)
#define TAIL_DEFAULT 10
/* How long a wait may take before it starts again; a stop ends it at once. */
#define WAIT_MS 60000

/* Appends text for a terminal: what is not printable ASCII shows as "?", "-" when there is nothing. */
static void
put_plain(struct buf *out, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_put_char(out, text.data[i] > 0x20 && text.data[i] < 0x7f ? (char)text.data[i] : '?');
	if (text.len == 0)
		buf_put_char(out, '-');
}

static void
put_line(struct buf *out, const struct event *ev)
{
	char at[CLOCK_TEXT_BYTES];
	clock_format_us(ev->received_at_us, at);
	buf_printf(out, "%8" PRIu64 "  %s  ", ev->seq, at);
	put_plain(out, ev->source);
	buf_put_str(out, "  ");
	put_plain(out, ev->event);
	buf_put_str(out, "  ");
	put_plain(out, ev->delivery);
	buf_printf(out, "  %zu B%s\n", ev->body.len,
		(ev->flags & EVENT_FLAG_REDACTED) != 0	    ? "  redacted"
			: (ev->flags & EVENT_FLAG_KEY_REUSED) != 0 ? "  delivery id reused"
								   : "");
}

static void
put_event(struct buf *out, const struct event *ev, bool json)
{
	if (!json) {
		put_line(out, ev);
		return;
	}
	event_put_json(out, ev);
	buf_put_char(out, '\n');
}

/* Prints records one by one, so that memory stays at one line. */
static bool
print_records(const struct store_record *records, size_t count, bool json)
{
	struct buf out = buf_new(LINE_BYTES_MAX);
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++) {
		buf_clear(&out);
		put_event(&out, &records[i].event, json);
		ok = cmd_print(&out);
	}
	buf_free(&out);
	return ok && fflush(stdout) == 0;
}

static enum rc
open_log(const struct cli_call *call, struct arena *a, struct config *c, struct store_reader **r,
	struct err *e)
{
	enum rc rc = config_load(c, call, a, NULL, e);
	return rc == RC_OK ? services_open_reader(c, r, e) : rc;
}

/* ---- log tail ---- */

static const struct cli_option tail_options[] = {
	{ "count", CLI_U64, "N", "events to start with, default 10" },
	{ "follow", CLI_FLAG, NULL, "go on with events as they arrive, until interrupted" },
};

/* Prints from seq on: to the end, or for ever. */
static int
tail(struct store_reader *r, uint64_t seq, bool follow, bool json, int stop_fd)
{
	struct arena *a = arena_new((size_t)1 << 16);
	const struct store_record *records;
	size_t count;
	struct err e = { 0 };
	int code = EXIT_DONE;
	while (!cmd_stopped(stop_fd)) {
		arena_reset(a);
		if (store_read(r, seq, BATCH_EVENTS, BATCH_BYTES, a, &records, &count, &e) != RC_OK) {
			code = cmd_fail(&e);
			break;
		}
		if (!print_records(records, count, json)) {
			code = EXIT_FAILED;
			break;
		}
		seq += count;
		if (count > 0)
			continue;
		if (!follow)
			break;
		enum rc rc = store_wait(r, seq - 1, WAIT_MS, stop_fd, &e);
		if (rc != RC_OK && rc != RC_AGAIN) {
			code = cmd_fail(&e);
			break;
		}
	}
	arena_free(a);
	return code;
}

static int
run_tail(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct config c;
	struct store_reader *r = NULL;
	struct store_span span;
	struct err e = { 0 };
	const struct cli_value *wanted = cli_option(call, "count");
	uint64_t count = wanted->given ? wanted->u64 : TAIL_DEFAULT;
	bool follow = cli_option(call, "follow")->given;
	int stop_fd = -1, code = EXIT_DONE;
	enum rc rc = open_log(call, a, &c, &r, &e);
	if (rc == RC_OK)
		rc = store_span(r, &span, &e);
	if (rc == RC_OK && follow && (stop_fd = cmd_stop_fd(&e)) < 0)
		rc = e.rc;
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	uint64_t from = span.last_seq >= count ? span.last_seq - count + 1 : 1;
	if (from < span.first_seq)
		from = span.first_seq;
	code = tail(r, from, follow, call->json, stop_fd);
done:
	if (stop_fd >= 0)
		close(stop_fd);
	store_reader_close(r);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_tail = {
	.name = "log tail",
	.args_help = "",
	.summary = "Print the newest events, and with --follow those that arrive",
	.details = "One line per event: number, time of arrival (UTC), source, event, delivery id, size.\n"
		   "With --json one JSON object per line, the body included (docs/reference/ndjson.md).\n",
	.options = tail_options,
	.option_count = COUNT_OF(tail_options),
	.run = run_tail,
};

/* ---- log show ---- */

static const struct cli_option show_options[] = {
	{ "delivery", CLI_STRING, "ID", "the events with this delivery id, instead of numbers" },
	{ "body", CLI_FLAG, NULL, "print nothing but the bodies, byte for byte" },
};

static void
put_field(struct buf *out, const char *name, struct bytes value)
{
	buf_printf(out, "%-13s ", name);
	put_plain(out, value);
	buf_put_char(out, '\n');
}

/* Whether text does nothing to a terminal but show itself: UTF-8, of control characters only tab and the
 * ends of lines, not those of C1 (U+009B begins an escape sequence) and none that turn the direction of
 * writing, by which text can be made to look like other text. */
static bool
is_harmless(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char *c = text.data + i;
		size_t left = text.len - i;
		bool ends_line = c[0] == '\n' || (c[0] == '\r' && left > 1 && c[1] == '\n');
		if ((c[0] < 0x20 && c[0] != '\t' && !ends_line) || c[0] == 0x7f)
			return false;
		if (c[0] == 0xc2 && left > 1 && c[1] < 0xa0)
			return false;
		/* U+202A to U+202E, U+2066 to U+2069. */
		if (c[0] == 0xe2 && left > 2 &&
			((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
				(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)))
			return false;
	}
	return utf8_valid(text);
}

/* Everything of the envelope, then the body when a terminal can take it. */
static void
put_details(struct buf *out, const struct store_record *record)
{
	const struct event *ev = &record->event;
	char at[CLOCK_TEXT_BYTES];
	clock_format_us(ev->received_at_us, at);
	buf_printf(out, "seq           %" PRIu64 "\nreceived      %s\norigin        %s\n", ev->seq, at,
		event_origin_name(ev->origin));
	put_field(out, "source", ev->source);
	put_field(out, "provider", ev->provider);
	put_field(out, "event", ev->event);
	put_field(out, "delivery", ev->delivery);
	put_field(out, "hook", ev->hook);
	put_field(out, "verified by", ev->scheme);
	put_field(out, "key", ev->key_id);
	put_field(out, "method", ev->method);
	put_field(out, "path", ev->path);
	put_field(out, "query", ev->query);
	put_field(out, "remote", ev->remote);
	if ((ev->flags & EVENT_FLAG_REDACTED) != 0)
		buf_put_str(out, "redacted      the body was erased; its hash is below\n");
	if ((ev->flags & EVENT_FLAG_KEY_REUSED) != 0)
		buf_printf(out, "same key as   %" PRIu64 "\n", ev->same_key_seq);
	buf_put_str(out, "body sha256   ");
	unsigned char sha256[SHA256_BYTES];
	event_body_sha256(ev, sha256);
	buf_put_hex(out, sha256, sizeof sha256);
	buf_put_str(out, "\nchain         ");
	buf_put_hex(out, record->chain, STORE_CHAIN_BYTES);
	buf_printf(out, "\nstored        %" PRIu64 " B for a body of %zu B\n", record->stored_bytes,
		ev->body.len);
	for (size_t i = 0; i < ev->header_count; i++) {
		buf_put_str(out, "header        ");
		put_plain(out, ev->headers[i].name);
		buf_put_str(out, ": ");
		put_plain(out, ev->headers[i].value);
		buf_put_char(out, '\n');
	}
	buf_put_char(out, '\n');
	if (is_harmless(ev->body))
		buf_put_bytes(out, ev->body);
	else
		buf_put_str(out, "(not text; --body writes it out)");
	buf_put_char(out, '\n');
}

static bool
parse_seq(const char *text, uint64_t *seq)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	*seq = (uint64_t)v;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && v > 0;
}

static bool
show_record(const struct store_record *record, const struct cli_call *call, struct buf *out)
{
	buf_clear(out);
	if (cli_option(call, "body")->given)
		buf_put_bytes(out, record->event.body);
	else if (call->json)
		put_event(out, &record->event, true);
	else
		put_details(out, record);
	return cmd_print(out);
}

static int
show_number(struct store_reader *r, const char *text, const struct cli_call *call, struct arena *a,
	struct buf *out)
{
	const struct store_record *record;
	size_t count;
	uint64_t seq;
	struct err e = { 0 };
	enum rc rc = RC_OK;
	if (!parse_seq(text, &seq))
		rc = err_set(&e, RC_INVALID, NULL, "%s is no event number", text);
	if (rc == RC_OK)
		rc = store_read(r, seq, 1, 1, a, &record, &count, &e);
	if (rc == RC_OK && count == 0)
		rc = err_set(&e, RC_NOTFOUND, NULL, "there is no event %" PRIu64 " yet", seq);
	if (rc != RC_OK)
		return cmd_fail(&e);
	return show_record(record, call, out) ? EXIT_DONE : EXIT_FAILED;
}

/* Shows what has this delivery id; the index says where to look. */
static int
show_delivery(struct store_reader *r, const char *id, const struct cli_call *call, struct arena *a,
	struct buf *out)
{
	const struct store_record *records;
	struct store_span span;
	size_t count;
	uint64_t shown = 0, first, last;
	struct err e = { 0 };
	const struct store_wanted wanted = { .delivery = bytes_str(id) };
	struct store_finder *f = store_finder_open(r, &wanted);
	if (store_finder_problem(f) != NULL)
		fprintf(stderr, "log show: reading every event: %s\n", store_finder_problem(f));
	enum rc rc = store_span(r, &span, &e);
	bool printed = true;
	uint64_t seq = span.first_seq;
	while (rc == RC_OK && printed && span.first_seq != 0 && seq <= span.last_seq) {
		store_finder_next(f, seq, &first, &last);
		uint64_t room = last - first;
		if (first > span.last_seq)
			break;
		arena_reset(a);
		rc = store_read(r, first, room < BATCH_EVENTS ? (size_t)room + 1 : BATCH_EVENTS, BATCH_BYTES,
			a, &records, &count, &e);
		if (rc == RC_OK && count == 0)
			break;
		for (size_t i = 0; rc == RC_OK && printed && i < count; i++) {
			seq = records[i].event.seq + 1;
			if (!bytes_is_nocase(records[i].event.delivery, id))
				continue;
			printed = show_record(&records[i], call, out);
			shown++;
		}
	}
	store_finder_close(f);
	if (rc == RC_OK && printed && shown == 0)
		rc = err_set(&e, RC_NOTFOUND, NULL, "no event of the log has the delivery id %.200s", id);
	if (rc != RC_OK)
		return cmd_fail(&e);
	return printed ? EXIT_DONE : EXIT_FAILED;
}

static int
run_show(const struct cli_call *call)
{
	struct arena *a = arena_new(4096), *event = arena_new((size_t)1 << 16);
	struct buf out = buf_new(LINE_BYTES_MAX);
	struct config c;
	struct store_reader *r = NULL;
	struct err e = { 0 };
	const struct cli_value *delivery = cli_option(call, "delivery");
	int code = EXIT_DONE;
	if (delivery->given == (call->arg_count > 0) || (delivery->given && delivery->text[0] == '\0')) {
		err_set(&e, RC_INVALID, NULL, "name events by their numbers or by --delivery ID");
		(void)cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	if (open_log(call, a, &c, &r, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (delivery->given)
		code = show_delivery(r, delivery->text, call, event, &out);
	for (size_t i = 0; code == EXIT_DONE && i < call->arg_count; i++) {
		arena_reset(event);
		code = show_number(r, call->args[i], call, event, &out);
	}
done:
	store_reader_close(r);
	buf_free(&out);
	arena_free(event);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_show = {
	.name = "log show",
	.args_help = "[SEQ...]",
	.args_max = CLI_ARGS_MAX - 1,
	.summary = "Print events by number or delivery id, with everything known of them",
	.details = "With --body the exact bytes that were received and nothing else, as in\n"
		   "  hooklog log show 42 --body | jq .\n"
		   "Several events may have one delivery id: of other sources, or with another body. The case\n"
		   "of letters does not count.\n",
	.options = show_options,
	.option_count = COUNT_OF(show_options),
	.run = run_show,
};
