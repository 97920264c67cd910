/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/statvfs.h>

#include "cli/telemetry.h"
#include "replay/subscription.h"

/* Enough for the largest commit and the growth of the dedupe index. */
#define DISK_BYTES_MIN ((uint64_t)128 * 1024 * 1024)

static void
put(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name,
		value);
}

static bool
disk(const char *dir, uint64_t *free_bytes, uint64_t *size_bytes)
{
	struct statvfs st;
	if (statvfs(dir, &st) != 0)
		return false;
	*free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	*size_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	return true;
}

void
telemetry_collect(struct buf *out, void *context)
{
	const struct telemetry *t = context;
	struct store_reader *reader = NULL;
	struct store_span span;
	const struct store_segment_stat *segments = NULL;
	struct arena *a = arena_new(16 * 1024);
	struct err e;
	size_t count = 0;
	uint64_t bytes = 0, free_bytes = 0, size_bytes = 0;
	put(out, "hooklog_log_healthy", "gauge", "1: the log takes events.",
		store_health(t->store, &e) == RC_OK);
	if (store_reader_from(t->store, &reader, &e) == RC_OK &&
		store_span(reader, &span, &e) == RC_OK &&
		store_segments(reader, a, &segments, &count, &e) == RC_OK) {
		for (size_t i = 0; i < count; i++)
			bytes += segments[i].file_bytes;
		put(out, "hooklog_log_last_seq", "gauge", "Number of the newest event.",
			span.last_seq);
		put(out, "hooklog_log_first_seq", "gauge", "Number of the oldest event held.",
			span.first_seq);
		put(out, "hooklog_log_bytes", "gauge", "Size of the log's segments on disk.", bytes);
		put(out, "hooklog_log_segments", "gauge", "Segments of the log.", count);
	}
	if (disk(t->log_dir, &free_bytes, &size_bytes)) {
		put(out, "hooklog_log_disk_free_bytes", "gauge",
			"Room on the file system of the log.", free_bytes);
		put(out, "hooklog_log_disk_size_bytes", "gauge",
			"Size of the file system of the log.", size_bytes);
	}
	if (reader != NULL)
		subscriptions_put_metrics(out, t->subscriptions_dir, reader);
	store_reader_close(reader);
	arena_free(a);
}

bool
telemetry_ready(struct buf *out, void *context)
{
	const struct telemetry *t = context;
	uint64_t free_bytes = 0, size_bytes = 0;
	if (!disk(t->log_dir, &free_bytes, &size_bytes)) {
		buf_put_str(out, "[-] disk: cannot be asked\n");
		return false;
	}
	bool room = free_bytes >= DISK_BYTES_MIN;
	buf_printf(out, "[%c] disk: %" PRIu64 " MiB free\n", room ? '+' : '-', free_bytes >> 20);
	return room;
}
