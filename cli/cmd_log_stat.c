/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/store.h"

/* The key that signs, and how far it has signed; both NULL-like when there is none. */
struct signed_so_far {
	const unsigned char *key; /* NULL: none */
	const struct store_statement *newest;
};

static struct signed_so_far
signed_so_far(const char *dir, struct arena *a)
{
	struct signed_so_far s = { NULL, NULL };
	const struct store_statement *st;
	size_t count;
	/* What is wrong with the file is verify's to say. */
	if (store_statements(dir, a, &st, &count, NULL) != RC_OK)
		return s;
	for (size_t i = 0; i < count; i++) {
		if (st[i].kind == STORE_KEY)
			s.key = st[i].new_key;
		else
			s.newest = &st[i];
	}
	return s;
}

static void
put_stat_json(struct buf *out, const struct store_span *span, const struct signed_so_far *sig,
	const struct store_segment_stat *s, size_t n, uint64_t bytes, const struct store_stats *f)
{
	buf_put_str(out, "{\"log_id\":\"");
	buf_put_hex(out, span->log_id, STORE_LOG_ID_BYTES);
	buf_printf(out, "\",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"key\":",
		span->first_seq, span->last_seq, bytes);
	if (sig->key != NULL) {
		buf_put_char(out, '"');
		buf_put_hex(out, sig->key, ED25519_KEY_BYTES);
		buf_put_char(out, '"');
	} else {
		buf_put_str(out, "null");
	}
	buf_printf(out, ",\"signed_seq\":%" PRIu64 ",\"segments\":[",
		sig->newest == NULL ? 0 : sig->newest->seq);
	for (size_t i = 0; i < n; i++) {
		char first_at[CLOCK_TEXT_BYTES], last_at[CLOCK_TEXT_BYTES];
		clock_format_us(s[i].first_at_us, first_at);
		clock_format_us(s[i].last_at_us, last_at);
		buf_printf(out,
			"%s{\"name\":\"%s\",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
			",\"bytes\":%" PRIu64 ",\"first_at\":\"%s\",\"last_at\":\"%s\",\"sealed\":%s}",
			i > 0 ? "," : "", s[i].name, s[i].first_seq, s[i].last_seq, s[i].file_bytes,
			first_at, last_at, s[i].sealed ? "true" : "false");
	}
	buf_put_str(out, "],\"readers\":{");
	buf_printf(out,
		"\"running\":%" PRIu64 ",\"oldest_txns\":%" PRIu64 ",\"oldest_pid\":%" PRId64
		",\"oldest_ms\":%" PRId64 ",\"slow\":%" PRId64 ",\"cleared\":%" PRId64 "}",
		f->readers, f->oldest_reader_txns, f->oldest_reader_pid, f->oldest_reader_ms,
		f->slow_readers, f->cleared_readers);
	buf_printf(out,
		",\"free_bytes\":%" PRIu64 ",\"sync_us\":%" PRId64 ",\"clock_steps\":%" PRId64
		",\"writer_seen_us\":%" PRId64 "}\n",
		f->free_bytes, f->sync_us, f->clock_steps, f->written_at_us);
}

static void
put_stat(struct buf *out, const char *dir, const struct store_span *span, const struct signed_so_far *sig,
	const struct store_segment_stat *s, size_t n, uint64_t bytes)
{
	buf_printf(out, "log       %s\nid        ", dir);
	buf_put_hex(out, span->log_id, STORE_LOG_ID_BYTES);
	if (span->last_seq == 0)
		buf_put_str(out, "\nevents    none yet\n");
	else
		buf_printf(out, "\nevents    %" PRIu64 " to %" PRIu64 "\n", span->first_seq, span->last_seq);
	if (sig->key != NULL) {
		buf_put_str(out, "key       ");
		buf_put_hex(out, sig->key, ED25519_KEY_BYTES);
		buf_put_char(out, '\n');
	}
	if (sig->newest != NULL) {
		char at[CLOCK_TEXT_BYTES];
		clock_format_us((int64_t)sig->newest->at_us, at);
		buf_printf(out, "signed    to %" PRIu64 " at %s\n", sig->newest->seq, at);
	}
	buf_printf(out, "on disk   %.1f MiB in %zu segments\n", (double)bytes / (1024.0 * 1024.0), n);
	for (size_t i = 0; i < n; i++) {
		char last_at[CLOCK_TEXT_BYTES];
		clock_format_us(s[i].last_at_us, last_at);
		buf_printf(out, "  %s  %8" PRIu64 " events  %8.1f MiB  %s  last %s\n", s[i].name,
			s[i].last_seq == 0 ? 0 : s[i].last_seq - s[i].first_seq + 1,
			(double)s[i].file_bytes / (1024.0 * 1024.0), s[i].sealed ? "sealed" : "open  ",
			s[i].last_seq == 0 ? "-" : last_at);
	}
}

static int
run_stat(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct config c;
	struct store_reader *r = NULL;
	struct store_span span;
	const struct store_segment_stat *segments;
	size_t count;
	uint64_t bytes = 0;
	struct store_stats figures;
	struct err e = { 0 };
	int code = EXIT_DONE;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = services_open_reader(&c, &r, &e);
	if (rc == RC_OK)
		rc = store_span(r, &span, &e);
	if (rc == RC_OK)
		rc = store_segments(r, a, &segments, &count, &e);
	if (rc == RC_OK)
		rc = store_stats(r, &figures, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	for (size_t i = 0; i < count; i++)
		bytes += segments[i].file_bytes;
	struct signed_so_far sig = signed_so_far(c.log_dir, a);
	if (call->json)
		put_stat_json(&out, &span, &sig, segments, count, bytes, &figures);
	else
		put_stat(&out, c.log_dir, &span, &sig, segments, count, bytes);
	if (!cmd_print(&out))
		code = EXIT_FAILED;
done:
	store_reader_close(r);
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_stat = {
	.name = "log stat",
	.args_help = "",
	.summary = "Print the log's id, its range, the key that signs it and its segments",
	.run = run_stat,
};
