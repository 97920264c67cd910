/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/replay_report.h"
#include "replay/journal.h"

#define PROGRESS_EVERY_MS 100
#define PROGRESS_LINE_EVERY_MS 10000
#define REFUSED_SHOWN 20

void
replay_report_progress(const struct replay_result *r, void *context)
{
	struct replay_report *c = context;
	int64_t now = clock_monotonic_ms();
	bool terminal = isatty(STDERR_FILENO);
	c->begun_seq = c->begun_seq == 0 ? r->next_seq : c->begun_seq;
	if (now - c->shown_ms < (terminal ? PROGRESS_EVERY_MS : PROGRESS_LINE_EVERY_MS))
		return;
	c->shown_ms = now;
	uint64_t total = r->to_seq - r->from_seq + 1, done = r->next_seq - r->from_seq;
	int64_t ms = now - c->start_ms;
	/* What an earlier process of the run has done took none of this time. */
	uint64_t since = r->next_seq - c->begun_seq;
	uint64_t left_s = since == 0 ? 0 : (total - done) * (uint64_t)ms / since / 1000;
	char line[256];
	snprintf(line, sizeof(line),
		"%3" PRIu64 "%%  seq %" PRIu64 " of %" PRIu64 "  sent %" PRIu64 "  refused %" PRIu64
		"  retried %" PRIu64 "  %" PRIu64 "/s  %" PRIu64 " s left",
		total == 0 ? 100 : 100 * done / total, r->next_seq - 1, r->to_seq, r->sent,
		r->refused, r->retried, ms == 0 ? 0 : r->sent * 1000 / (uint64_t)ms, left_s);
	if (terminal)
		cmd_progress("%s", line);
	else
		fprintf(stderr, "replay: %s\n", line);
}

void
replay_report_refused(uint64_t seq UNUSED, const struct err *why, void *context)
{
	struct replay_report *c = context;
	if (c->refused_shown++ >= REFUSED_SHOWN)
		return;
	cmd_progress_end();
	fprintf(stderr, "replay: %s\n", why->text);
	if (c->refused_shown == REFUSED_SHOWN)
		fprintf(stderr, "replay: further refusals are only counted\n");
}

void
replay_report_unindexed(const char *why, void *context UNUSED)
{
	cmd_progress_end();
	fprintf(stderr, "replay: reading every event of the range: %s\n", why);
}

void
replay_report_put_json(struct buf *out, const struct replay_result *r)
{
	buf_printf(out,
		"\"sent\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"retried\":%" PRIu64
		",\"scanned\":%" PRIu64 ",\"body_bytes\":%" PRIu64 ",\"from_seq\":%" PRIu64
		",\"to_seq\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
		",\"next_seq\":%" PRIu64 ",\"breaker_opened\":%" PRIu64 ",\"elapsed_ms\":%" PRId64
		",\"complete\":%s,\"interrupted\":%s,\"statuses\":{",
		r->sent, r->refused, r->retried, r->scanned, r->body_bytes, r->from_seq, r->to_seq,
		r->first_seq, r->last_seq, r->next_seq, r->breaker_opened, r->elapsed_us / 1000,
		r->complete ? "true" : "false", r->interrupted ? "true" : "false");
	for (size_t i = 0; i < r->status_count; i++)
		buf_printf(out, "%s\"%d\":%" PRIu64, i == 0 ? "" : ",", r->statuses[i].status,
			r->statuses[i].count);
	buf_put_char(out, '}');
}

void
replay_report_summary(const struct replay_options *o, const struct replay_result *r)
{
	const struct journal *journal = o->journal;
	if (journal != NULL && r->refused > 0)
		fprintf(stderr,
			"replay: listed by 'hooklog replay runs %s', sent again by 'hooklog replay "
			"--retry-failed %s'\n",
			journal_name(journal), journal_name(journal));
	for (size_t i = 0; i < r->status_count; i++)
		if (r->statuses[i].status != 0)
			fprintf(stderr, "%s %d: %" PRIu64, i == 0 ? "replay: answers" : ",",
				r->statuses[i].status, r->statuses[i].count);
	if (r->status_count > 0 && r->statuses[0].status != 0)
		fputc('\n', stderr);
	fprintf(stderr,
		"replay: sent %" PRIu64 ", refused %" PRIu64 ", retried %" PRIu64
		", elapsed %" PRId64 ".%03" PRId64 " s",
		r->sent, r->refused, r->retried, r->elapsed_us / 1000000,
		r->elapsed_us / 1000 % 1000);
	if (!r->complete && journal == NULL)
		fprintf(stderr, ", next: --from %" PRIu64, r->next_seq);
	else if (!r->complete && !o->only_failed)
		fprintf(stderr, ", next: --resume %s (seq %" PRIu64 ")", journal_name(journal),
			r->next_seq);
	fputc('\n', stderr);
}

static void
put_counts_json(struct buf *out, const struct replay_result *r, const struct replay_count *counts,
	size_t count)
{
	buf_put_str(out, "{\"dry_run\":true,");
	replay_report_put_json(out, r);
	buf_put_str(out, ",\"events\":[");
	for (size_t i = 0; i < count; i++) {
		buf_put_str(out, i == 0 ? "{\"provider\":" : ",{\"provider\":");
		buf_put_json(out, counts[i].provider);
		buf_put_str(out, ",\"event\":");
		/* The name is a header of a request and may be anything. */
		buf_put_json(out, utf8_valid(counts[i].event) ? counts[i].event : bytes_str("?"));
		buf_printf(out, ",\"count\":%" PRIu64 ",\"body_bytes\":%" PRIu64 "}",
			counts[i].events, counts[i].body_bytes);
	}
	buf_put_str(out, "]}\n");
}

bool
replay_report_plan(
	const struct replay_result *r, const struct replay_count *counts, size_t count, bool json)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	if (json) {
		put_counts_json(&out, r, counts, count);
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
