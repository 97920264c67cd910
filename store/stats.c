/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/dir.h"
#include "store/probe.h"
#include "store/reader.h"
#include "store/stats.h"
#include "store/watch.h"

/* The writer's own figures, for other processes: the file `stats`, written anew every few seconds and
 * never synced. Of fixed length, so that who reads it meets the old or the new one. */

#define NAME "stats"
#define LINE_BYTES 512

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{ "written_at_us", offsetof(struct store_stats, written_at_us) },
	{ "sync_us", offsetof(struct store_stats, sync_us) },
	{ "oldest_reader_ms", offsetof(struct store_stats, oldest_reader_ms) },
	{ "slow_readers", offsetof(struct store_stats, slow_readers) },
	{ "cleared_readers", offsetof(struct store_stats, cleared_readers) },
	{ "clock_steps", offsetof(struct store_stats, clock_steps) },
};

void
stats_write(const char *dir, const struct store_stats *st)
{
	char text[LINE_BYTES];
	size_t len = 0;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		int64_t v;
		memcpy(&v, (const char *)st + fields[i].offset, sizeof v);
		len += (size_t)snprintf(text + len, sizeof text - len, "%s %" PRId64 "\n", fields[i].name, v);
	}
	ASSERT(len < sizeof text);
	memset(text + len, '\n', sizeof text - len);
	char *path = dir_path(dir, NAME);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd >= 0) {
		/* Figures only: without room there are none. */
		if (pwrite(fd, text, sizeof text, 0) != (ssize_t)sizeof text)
			unlink(path);
		close(fd);
	}
	free(path);
}

void
stats_remove(const char *dir)
{
	char *path = dir_path(dir, NAME);
	unlink(path);
	free(path);
}

static void
stats_read(const char *dir, struct store_stats *st)
{
	struct arena *a = arena_new(2 * LINE_BYTES);
	struct bytes text;
	char *path = dir_path(dir, NAME);
	if (fs_read(path, LINE_BYTES, a, &text, NULL) == RC_OK) {
		const char *at = (const char *)text.data;
		for (size_t i = 0; i < COUNT_OF(fields); i++) {
			const char *found = strstr(at, fields[i].name);
			if (found == NULL)
				continue;
			int64_t v = strtoll(found + strlen(fields[i].name), NULL, 10);
			memcpy((char *)st + fields[i].offset, &v, sizeof v);
		}
	}
	free(path);
	arena_free(a);
}

enum rc
store_stats(struct store_reader *r, struct store_stats *st, struct err *e)
{
	struct segment *s;
	struct watch_now now;
	*st = (struct store_stats){ .sync_us = -1 };
	stats_read(segment_set_dir(r->set), st);
	st->free_bytes = probe_free_bytes(segment_set_dir(r->set));
	enum rc rc = reader_refresh(r, e);
	if (rc != RC_OK || r->count == 0)
		return rc;
	rc = segment_acquire(r->set, r->firsts[r->count - 1], &s, e);
	if (rc != RC_OK)
		return rc;
	watch_now(s->env, &now);
	segment_release(s);
	st->readers = now.readers;
	st->oldest_reader_txns = now.oldest_txns;
	st->oldest_reader_pid = now.oldest_pid;
	st->map_bytes = now.map_bytes;
	st->map_used_bytes = now.map_used_bytes;
	return RC_OK;
}
