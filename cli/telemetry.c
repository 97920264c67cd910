/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/statvfs.h>

#include "cli/telemetry.h"
#include "replay/subscription.h"

/* Enough for the largest commit and the growth of the dedupe index. */
#define DISK_BYTES_MIN ((uint64_t)128 * 1024 * 1024)
/* The most a commit writes, with room to spare. */
#define MAP_BYTES_MIN ((uint64_t)256 * 1024 * 1024)

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

static void
put_seconds(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.6f\n", name, help, name, type, name, value);
}

static void
put_commits(struct buf *out, const struct store *s)
{
	static const char name[] = "hooklog_log_commit_seconds";
	struct store_commits c;
	uint64_t sum = 0;
	store_commits(s, &c);
	buf_printf(out, "# HELP %s Time a commit took, its sync included.\n# TYPE %s histogram\n", name,
		name);
	for (size_t i = 0; i < STORE_COMMIT_BUCKETS; i++) {
		sum += c.buckets[i];
		buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
			(double)store_commit_bounds_us[i] / 1e6, sum);
	}
	sum += c.buckets[STORE_COMMIT_BUCKETS];
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n", name,
		sum, name, (double)c.time_us / 1e6, name, sum);
	put(out, "hooklog_log_committed_events_total", "counter",
		"Events in these commits, duplicates included.", c.events);
}

static void
put_stats(struct buf *out, const struct store_stats *st)
{
	put_seconds(out, "hooklog_log_map_used_ratio", "gauge",
		"Part of its map that the open segment takes; it is finished long before 1.",
		st->map_bytes == 0 ? 0 : (double)st->map_used_bytes / (double)st->map_bytes);
	put(out, "hooklog_log_readers", "gauge", "Read transactions running in the open segment.",
		st->readers);
	put_seconds(out, "hooklog_log_oldest_reader_age_seconds", "gauge",
		"How long the oldest of them has been running; the segment grows meanwhile.",
		(double)st->oldest_reader_ms / 1e3);
	put(out, "hooklog_log_slow_readers_total", "counter", "Read transactions of more than 5 s.",
		(uint64_t)st->slow_readers);
	put(out, "hooklog_log_clock_steps_total", "counter", "Times the clock was set back.",
		(uint64_t)st->clock_steps);
}

void
telemetry_collect(struct buf *out, void *context)
{
	const struct telemetry *t = context;
	struct store_reader *reader = NULL;
	struct store_span span;
	struct store_stats stats;
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
		if (store_stats(reader, &stats, &e) == RC_OK)
			put_stats(out, &stats);
	}
	put_commits(out, t->store);
	if (disk(t->log_dir, &free_bytes, &size_bytes)) {
		put(out, "hooklog_log_disk_free_bytes", "gauge",
			"Room on the file system of the log.", free_bytes);
		put(out, "hooklog_log_disk_size_bytes", "gauge",
			"Size of the file system of the log.", size_bytes);
	}
	if (reader != NULL)
		subscriptions_put_metrics(out, t->subscriptions_dir, reader);
	if (reader != NULL && t->figures != NULL)
		projector_put_metrics(out, t->figures, reader);
	store_reader_close(reader);
	arena_free(a);
}

static bool
map_is_ready(struct buf *out, struct store *store)
{
	struct store_reader *reader = NULL;
	struct store_stats st;
	struct err e;
	if (store_reader_from(store, &reader, &e) != RC_OK || store_stats(reader, &st, &e) != RC_OK) {
		store_reader_close(reader);
		buf_printf(out, "[-] map: %s\n", e.text);
		return false;
	}
	store_reader_close(reader);
	uint64_t left = st.map_bytes > st.map_used_bytes ? st.map_bytes - st.map_used_bytes : 0;
	/* Nothing is open yet in a log without events. */
	bool room = st.map_bytes == 0 || left >= MAP_BYTES_MIN;
	buf_printf(out, "[%c] map: %" PRIu64 " MiB used, %" PRIu64 " MiB left\n", room ? '+' : '-',
		st.map_used_bytes >> 20, left >> 20);
	return room;
}

bool
telemetry_ready(struct buf *out, void *context)
{
	const struct telemetry *t = context;
	uint64_t free_bytes = 0, size_bytes = 0;
	bool map = map_is_ready(out, t->store);
	if (!disk(t->log_dir, &free_bytes, &size_bytes)) {
		buf_put_str(out, "[-] disk: cannot be asked\n");
		return false;
	}
	bool room = free_bytes >= DISK_BYTES_MIN;
	buf_printf(out, "[%c] disk: %" PRIu64 " MiB free\n", room ? '+' : '-', free_bytes >> 20);
	return room && map;
}
