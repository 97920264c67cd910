/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/ops.h"

/* One line of JSON: every byte of a body may become six. */
#define LINE_BYTES_MAX (7 * LIMIT_RECORD_BYTES)
#define PIECE_BYTES ((size_t)1 << 18)
/* Bodies collected before they go to the log. */
#define BATCH_BYTES ((size_t)8 * 1024 * 1024)

static const struct cli_option options[] = {
	{ "origin", CLI_STRING, "WHICH",
		"keep (default) each event's own origin, or import: mark all as imported" },
};

/* Lines being read. */
struct lines {
	int fd;
	struct buf buf;
	size_t start; /* of what is not taken yet */
	bool end;
	uint64_t number; /* of the line taken last, from 1 */
};

/* Reads on. What was taken is dropped first, so that memory stays at the longest line. */
static enum rc
lines_fill(struct lines *l, struct err *e)
{
	unsigned char *piece = base_alloc(PIECE_BYTES);
	ssize_t n;
	if (l->start > 0) {
		size_t rest = l->buf.len - l->start;
		memmove(l->buf.data, l->buf.data + l->start, rest);
		l->buf.len = rest;
		l->start = 0;
	}
	do {
		n = read(l->fd, piece, PIECE_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		buf_put(&l->buf, piece, (size_t)n);
	l->end = n == 0;
	free(piece);
	if (n < 0)
		return err_sys(e, RC_IO, NULL, errno, "read the lines");
	if (l->buf.overflow)
		return err_set(e, RC_INVALID, "event.line-invalid",
			"line %" PRIu64 " is longer than %zu bytes", l->number + 1, LINE_BYTES_MAX);
	return RC_OK;
}

/* The next line that is not empty, without its newline, valid until lines_fill; *more: there was
 * none complete in memory. */
static bool
lines_take(struct lines *l, struct bytes *line)
{
	while (l->start < l->buf.len) {
		const unsigned char *from = l->buf.data + l->start;
		size_t left = l->buf.len - l->start;
		const unsigned char *newline = memchr(from, '\n', left);
		if (newline == NULL && !l->end)
			return false;
		size_t len = newline == NULL ? left : (size_t)(newline - from);
		l->start += newline == NULL ? len : len + 1;
		l->number++;
		if (len > 0 && from[len - 1] == '\r')
			len--;
		*line = (struct bytes){ from, len };
		if (len > 0)
			return true;
	}
	return false;
}

struct import {
	struct store_appender *appender;
	struct event_parser *parser;
	struct lines lines;
	bool origin_import;
	struct arena *a;
	struct event events[STORE_APPEND_EVENTS_MAX];
	size_t count;
	struct store_import_report report;
};

static enum rc
flush(struct import *im, struct err *e)
{
	enum rc rc = store_import_events(im->appender, im->events, im->count, &im->report, e);
	im->count = 0;
	arena_reset(im->a);
	cmd_progress("imported %" PRIu64 " events, %" PRIu64 " known already", im->report.added,
		im->report.duplicates);
	return rc;
}

static enum rc
take_line(struct import *im, struct bytes line, struct err *e)
{
	struct event *ev = &im->events[im->count];
	enum rc rc = event_from_json(im->parser, arena_copy(im->a, line), im->a, ev, e);
	if (rc != RC_OK)
		return err_wrap(e, "line %" PRIu64, im->lines.number);
	im->report.events++;
	if ((ev->flags & EVENT_FLAG_REDACTED) != 0) {
		im->report.skipped++;
		return RC_OK;
	}
	if (im->origin_import)
		ev->origin = EVENT_ORIGIN_IMPORT;
	im->count++;
	if (im->count == STORE_APPEND_EVENTS_MAX || arena_used_bytes(im->a) > BATCH_BYTES)
		return flush(im, e);
	return RC_OK;
}

static enum rc
import_lines(struct import *im, struct err *e)
{
	enum rc rc = RC_OK;
	while (rc == RC_OK) {
		struct bytes line;
		while (rc == RC_OK && lines_take(&im->lines, &line))
			rc = take_line(im, line, e);
		if (rc != RC_OK || im->lines.end)
			break;
		rc = lines_fill(&im->lines, e);
	}
	/* Lines before a wrong one are imported all the same. */
	struct err ignored;
	enum rc flushed = flush(im, rc == RC_OK ? e : &ignored);
	return rc == RC_OK ? flushed : rc;
}

static void
show_progress(uint64_t events, uint64_t bytes, void *context UNUSED)
{
	cmd_progress("read %" PRIu64 " events, %" PRIu64 " MiB", events, bytes >> 20);
}

static void
put_report(const struct store_import_report *r, bool json)
{
	struct buf out = buf_new(4096);
	const char *mode = r->mode == STORE_IMPORT_LOSSLESS ? "lossless" : "merge";
	if (json)
		buf_printf(&out,
			"{\"mode\":\"%s\",\"events\":%" PRIu64 ",\"added\":%" PRIu64
			",\"duplicates\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"first_seq\":%" PRIu64
			",\"last_seq\":%" PRIu64 "}\n",
			mode, r->events, r->added, r->duplicates, r->skipped, r->first_seq,
			r->last_seq);
	else
		buf_printf(&out,
			"%s: read %" PRIu64 " events, added %" PRIu64 ", known already %" PRIu64
			", redacted %" PRIu64 "\n",
			r->mode == STORE_IMPORT_LOSSLESS ? "imported losslessly"
							 : "imported as new events",
			r->events, r->added, r->duplicates, r->skipped);
	if (!json && r->added > 0)
		buf_printf(
			&out, "now events %" PRIu64 " to %" PRIu64 "\n", r->first_seq, r->last_seq);
	if (!cmd_print(&out))
		fprintf(stderr, "hooklog: the import is done all the same\n");
	buf_free(&out);
}

/* Reads until it is clear what the input is, or it ends. */
static enum rc
peek(struct lines *l, bool *archive, struct err *e)
{
	const struct bytes magic = bytes_str(STORE_EXPORT_MAGIC);
	enum rc rc = RC_OK;
	while (rc == RC_OK && l->buf.len < magic.len && !l->end)
		rc = lines_fill(l, e);
	*archive = rc == RC_OK && l->buf.len >= magic.len &&
		   memcmp(l->buf.data, magic.data, magic.len) == 0;
	return rc;
}

static enum rc
import(struct import *im, const struct store_options *store, struct err *e)
{
	bool archive;
	enum rc rc = peek(&im->lines, &archive, e);
	if (rc != RC_OK)
		return rc;
	if (archive)
		return store_import(store, buf_bytes(&im->lines.buf), im->lines.fd,
			im->origin_import, show_progress, NULL, &im->report, e);
	im->report.mode = STORE_IMPORT_MERGE;
	im->parser = event_parser_new();
	im->a = arena_new((size_t)1 << 20);
	rc = store_appender_open(&im->appender, store, e);
	if (rc == RC_OK)
		rc = import_lines(im, e);
	store_appender_close(im->appender);
	event_parser_free(im->parser);
	arena_free(im->a);
	return rc;
}

static int
run_import(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct import *im = arena_zalloc(a, sizeof *im);
	struct config c;
	struct err e = { 0 };
	const char *path = call->args[0];
	const struct cli_value *origin = cli_option(call, "origin");
	int code = EXIT_DONE;
	im->lines = (struct lines){ .fd = -1, .buf = buf_new(LINE_BYTES_MAX) };
	enum rc rc = config_load(&c, call, a, NULL, &e);
	im->origin_import = origin->given && strcmp(origin->text, "import") == 0;
	if (rc == RC_OK && origin->given && !im->origin_import &&
		strcmp(origin->text, "keep") != 0) {
		err_set(&e, RC_INVALID, NULL, "--origin is keep or import, not %s", origin->text);
		cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	if (rc == RC_OK) {
		im->lines.fd =
			strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
		if (im->lines.fd < 0)
			rc = err_sys(&e, errno == ENOENT ? RC_NOTFOUND : RC_IO, NULL, errno,
				"open %s", path);
	}
	if (rc == RC_OK) {
		const struct store_options store = services_store_options(&c);
		rc = import(im, &store, &e);
		cmd_progress_end();
		if (rc == RC_OK || im->report.added > 0)
			put_report(&im->report, call->json);
	}
	if (rc != RC_OK)
		code = cmd_fail(&e);
done:
	if (im->lines.fd > STDIN_FILENO)
		close(im->lines.fd);
	buf_free(&im->lines.buf);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_import = {
	.name = "log import",
	.args_help = "FILE",
	.args_min = 1,
	.args_max = 1,
	.summary = "Take events out of a file of `log export` into the log; - is stdin",
	.details = "An archive imported where no log is, or one without events that nobody writes, "
		   "becomes the same\n"
		   "log: same id, numbers, times, bytes and chain, and as a whole or not at all. "
		   "Into a log with\n"
		   "events, running or not, archives and JSON lines are appended as new events: "
		   "new numbers, received\n"
		   "now, origin kept. Deliveries that are there already are recognised and not "
		   "stored twice, so an\n"
		   "import can be repeated; events without a delivery id cannot be recognised in "
		   "JSON lines.\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run_import,
};
