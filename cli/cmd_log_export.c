/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/ops.h"

#define BATCH_EVENTS 256
#define BATCH_BYTES ((size_t)8 * 1024 * 1024)
/* One line of JSON: every byte of a body may become six. */
#define LINE_BYTES_MAX (7 * LIMIT_RECORD_BYTES)

static const struct cli_option options[] = {
	{ "format", CLI_STRING, "FORMAT", "ndjson (default) or archive" },
	{ "output", CLI_STRING, "FILE", "where to; default, or -: stdout" },
	{ "from", CLI_U64, "SEQ", "first event, default the first one held" },
	{ "to", CLI_U64, "SEQ", "last event, default the last one there is now" },
	{ "since", CLI_TIME, "TIME", "only what was received at or after this time" },
	{ "until", CLI_TIME, "TIME", "only what was received before this time" },
};

struct job {
	const struct cli_call *call;
	struct store_reader *reader;
	uint64_t first, last; /* last 0: nothing to write */
	bool archive;
	const char *output; /* NULL: stdout */
	char *temporary;
	int fd;
	struct store_export_report report;
};

static enum rc
parse_format(struct job *j, struct err *e)
{
	const struct cli_value *format = cli_option(j->call, "format");
	const struct cli_value *output = cli_option(j->call, "output");
	if (output->given && strcmp(output->text, "-") != 0)
		j->output = output->text;
	j->archive = format->given && strcmp(format->text, "archive") == 0;
	if (format->given && !j->archive && strcmp(format->text, "ndjson") != 0)
		return err_set(
			e, RC_INVALID, NULL, "--format is ndjson or archive, not %s", format->text);
	if (j->archive && j->output == NULL && isatty(STDOUT_FILENO))
		return err_set(e, RC_INVALID, NULL,
			"an archive is no text for a terminal; name a file with --output, or use a "
			"pipe");
	return RC_OK;
}

/* Both ends of what is wanted, as of now: what comes during a long export is the next one's. */
static enum rc
find_range(struct job *j, struct err *e)
{
	struct store_span span;
	uint64_t seq;
	const struct cli_value *from = cli_option(j->call, "from"), *to = cli_option(j->call, "to");
	const struct cli_value *since = cli_option(j->call, "since"),
			       *until = cli_option(j->call, "until");
	enum rc rc = store_span(j->reader, &span, e);
	if (rc != RC_OK)
		return rc;
	j->first = from->given ? from->u64 : span.first_seq;
	j->last = to->given && to->u64 < span.last_seq ? to->u64 : span.last_seq;
	if (since->given) {
		rc = store_seq_at(j->reader, since->time_us, &seq, e);
		j->first = seq > j->first ? seq : j->first;
	}
	if (rc == RC_OK && until->given) {
		rc = store_seq_at(j->reader, until->time_us, &seq, e);
		j->last = seq - 1 < j->last ? seq - 1 : j->last;
	}
	if (rc == RC_OK && span.last_seq != 0 && j->first < span.first_seq)
		return err_set(e, RC_NOTFOUND, "log.removed",
			"event %" PRIu64 " is not held any more; the log starts with %" PRIu64,
			j->first, span.first_seq);
	if (j->first > j->last)
		j->first = j->last = 0;
	return rc;
}

static enum rc
open_output(struct job *j, struct err *e)
{
	j->fd = STDOUT_FILENO;
	if (j->output == NULL)
		return RC_OK;
	size_t bytes = strlen(j->output) + 5;
	j->temporary = base_alloc(bytes);
	snprintf(j->temporary, bytes, "%s.tmp", j->output);
	j->fd = open(j->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return err_sys(
			e, RC_IO, "data-dir.unwritable", errno, "cannot write %s", j->temporary);
	return RC_OK;
}

/* A file gets its name when it is complete and on disk. */
static enum rc
close_output(struct job *j, enum rc rc, struct err *e)
{
	if (j->temporary == NULL)
		return rc;
	if (rc == RC_OK && fsync(j->fd) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "sync %s", j->temporary);
	if (j->fd >= 0)
		close(j->fd);
	if (rc == RC_OK && rename(j->temporary, j->output) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "rename %s to %s", j->temporary, j->output);
	if (rc == RC_OK)
		rc = fs_sync_parent(j->output, e);
	if (rc != RC_OK)
		unlink(j->temporary);
	free(j->temporary);
	return rc;
}

static enum rc
write_all(int fd, struct bytes data, struct err *e)
{
	while (data.len > 0) {
		ssize_t n = write(fd, data.data, data.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_IO,
				NULL, errno, "write the events");
		data.data += n;
		data.len -= (size_t)n;
	}
	return RC_OK;
}

static enum rc
write_lines(struct job *j, struct err *e)
{
	struct arena *a = arena_new((size_t)1 << 16);
	struct buf out = buf_new(LINE_BYTES_MAX);
	const struct store_record *records;
	size_t count = 0;
	enum rc rc = RC_OK;
	for (uint64_t seq = j->first; rc == RC_OK && seq != 0 && seq <= j->last; seq += count) {
		uint64_t left = j->last - seq + 1;
		arena_reset(a);
		rc = store_read(j->reader, seq, left < BATCH_EVENTS ? (size_t)left : BATCH_EVENTS,
			BATCH_BYTES, a, &records, &count, e);
		for (size_t i = 0; rc == RC_OK && i < count; i++) {
			event_put_json(&out, &records[i].event);
			buf_put_char(&out, '\n');
			/* Many small ones go out at once. */
			if (i + 1 < count && out.len < BATCH_BYTES / 8)
				continue;
			rc = write_all(j->fd, buf_bytes(&out), e);
			j->report.bytes += out.len;
			buf_clear(&out);
		}
		j->report.events += rc == RC_OK ? count : 0;
		j->report.first_seq = j->first;
		j->report.last_seq = seq + count - 1;
		cmd_progress("exported %" PRIu64 " events", j->report.events);
	}
	buf_free(&out);
	arena_free(a);
	return rc;
}

static void
show_progress(uint64_t events, uint64_t bytes, void *context UNUSED)
{
	cmd_progress("exported %" PRIu64 " events, %" PRIu64 " MiB", events, bytes >> 20);
}

/* On stdout when that is free, else on stderr. */
static void
put_report(const struct job *j)
{
	const struct store_export_report *r = &j->report;
	struct buf out = buf_new(4096);
	if (j->call->json) {
		buf_printf(&out,
			"{\"events\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
			",\"bytes\":%" PRIu64,
			r->events, r->first_seq, r->last_seq, r->bytes);
		if (j->archive) {
			buf_put_str(&out, ",\"chain\":\"");
			buf_put_hex(&out, r->chain, sizeof r->chain);
			buf_put_str(&out, "\",\"sha256\":\"");
			buf_put_hex(&out, r->sha256, sizeof r->sha256);
			buf_put_char(&out, '"');
		}
		buf_put_str(&out, "}\n");
	} else {
		buf_printf(&out,
			"exported %" PRIu64 " events, %" PRIu64 " to %" PRIu64 ", %" PRIu64
			" bytes\n",
			r->events, r->first_seq, r->last_seq, r->bytes);
		if (j->archive) {
			buf_put_str(&out, "sha256 ");
			buf_put_hex(&out, r->sha256, sizeof r->sha256);
			buf_put_char(&out, '\n');
		}
	}
	fputs(buf_cstr(&out), j->output == NULL ? stderr : stdout);
	buf_free(&out);
}

static int
run_export(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct config c;
	struct job j = { .call = call, .fd = -1 };
	struct err e = { 0 };
	int code = EXIT_DONE;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK && parse_format(&j, &e) != RC_OK) {
		code = cmd_fail(&e);
		code = code == EXIT_FAILED ? EXIT_USAGE : code;
		goto done;
	}
	if (rc == RC_OK)
		rc = services_open_reader(&c, &j.reader, &e);
	if (rc == RC_OK)
		rc = find_range(&j, &e);
	if (rc == RC_OK)
		rc = open_output(&j, &e);
	if (rc == RC_OK) {
		if (j.archive)
			rc = store_export(j.reader, j.first, j.first == 0 ? 0 : j.last, j.fd,
				show_progress, NULL, &j.report, &e);
		else
			rc = write_lines(&j, &e);
		rc = close_output(&j, rc, &e);
	}
	cmd_progress_end();
	if (rc != RC_OK)
		code = cmd_fail(&e);
	else
		put_report(&j);
done:
	store_reader_close(j.reader);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_export = {
	.name = "log export",
	.args_help = "",
	.summary = "Write events to a file: as lines of JSON, or losslessly as an archive",
	.details = "An archive holds the records as they are stored, with checksums and chain, and "
		   "what is needed\n"
		   "to read them; its last frame says how many there are and their hash. `log "
		   "import` makes the\n"
		   "same log of it. JSON lines (docs/reference/ndjson.md) are for other programs.\n"
		   "Safe while hooklog runs. A file gets its name when it is complete.\n"
		   "  hooklog log export --format archive --output webhooks.archive\n"
		   "  hooklog log export --since 2026-11-01 | jq .event\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run_export,
};
