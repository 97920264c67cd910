/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/ops.h"

static const char *
state_name(enum store_segment_state state)
{
	switch (state) {
	case STORE_SEGMENT_OPEN:
		return "open";
	case STORE_SEGMENT_SEALED:
		return "sealed";
	case STORE_SEGMENT_ARCHIVED:
		return "archived";
	case STORE_SEGMENT_REMOVED:
		return "removed";
	}
	return "";
}

static void
put_segment(struct buf *out, const struct store_segment_stat *s)
{
	char first_at[CLOCK_TEXT_BYTES] = "-";
	if (s->first_at_us != 0)
		clock_format_us(s->first_at_us, first_at);
	buf_printf(out, "%10" PRIu64 "  %10" PRIu64 "  %8s  %9.1f MiB  %-27s  %s\n",
		s->last_seq == 0 ? s->first_seq : s->first_seq, s->last_seq, state_name(s->state),
		(double)s->file_bytes / (1024.0 * 1024.0), first_at, s->archive_file);
}

static void
put_segment_json(struct buf *out, const struct store_segment_stat *s)
{
	char first_at[CLOCK_TEXT_BYTES], last_at[CLOCK_TEXT_BYTES];
	buf_printf(out,
		"{\"name\":\"%s\",\"state\":\"%s\",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
		",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64,
		s->name, state_name(s->state), s->first_seq, s->last_seq,
		s->last_seq == 0 ? 0 : s->last_seq - s->first_seq + 1, s->file_bytes);
	if (s->first_at_us != 0) {
		clock_format_us(s->first_at_us, first_at);
		clock_format_us(s->last_at_us, last_at);
		buf_printf(out, ",\"first_at\":\"%s\",\"last_at\":\"%s\"", first_at, last_at);
	}
	if (s->archive_file[0] != '\0')
		buf_printf(out, ",\"archive_file\":\"%s\"", s->archive_file);
	buf_put_str(out, "}\n");
}

static int
run_segments(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct config c;
	struct store_reader *r = NULL;
	const struct store_segment_stat *segments;
	size_t count = 0;
	struct err e = { 0 };
	int code = EXIT_DONE;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = services_open_reader(&c, &r, &e);
	if (rc == RC_OK)
		rc = store_segments(r, a, &segments, &count, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (!call->json)
		buf_put_str(&out, "     first        last     state           size  first event    "
				  "              in the archive\n");
	for (size_t i = 0; i < count; i++) {
		if (call->json)
			put_segment_json(&out, &segments[i]);
		else
			put_segment(&out, &segments[i]);
	}
	if (!cmd_print(&out))
		code = EXIT_FAILED;
done:
	store_reader_close(r);
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_segments = {
	.name = "log segments",
	.args_help = "",
	.summary = "List the log's segments: open, sealed, archived, removed",
	.details = "open: being written. sealed: finished, immutable. archived: sealed, and a copy "
		   "is in\n"
		   "store.archive_dir. removed: pruned from the log; read from the archive while "
		   "that is mounted.\n"
		   "With --json one object per line.\n",
	.run = run_segments,
};
