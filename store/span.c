/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/dir.h"
#include "store/reader.h"

/* A wake-up that got lost costs this much, and nothing else. */
#define LOST_WAKEUP_MS 1000
/* Without inotify (all watches of the user are taken) waiting is asking this often. */
#define POLL_MS 20

enum rc
store_span(struct store_reader *r, struct store_span *span, struct err *e)
{
	*span = (struct store_span){ 0 };
	memcpy(span->log_id, segment_set_log_id(r->set), STORE_LOG_ID_BYTES);
	bool refreshed = false;
	for (;;) {
		struct segment *s;
		MDB_txn *txn;
		uint64_t first, last;
		enum rc rc = RC_OK;
		if (r->count == 0 && !refreshed) {
			refreshed = true;
			rc = reader_refresh(r, e);
		}
		if (rc != RC_OK || r->count == 0)
			return rc;
		rc = reader_enter(r, r->count - 1, &s, &txn, e);
		if (rc == RC_NOTFOUND && !refreshed) {
			r->count = 0;
			continue;
		}
		if (rc != RC_OK)
			return rc;
		rc = segment_range(s, txn, &first, &last, e);
		reader_leave(s, txn);
		if (rc != RC_OK)
			return rc;
		/* Has the writer gone on to the next segment? */
		if (last != 0) {
			char name[DIR_NAME_BYTES];
			dir_segment_name(last + 1, name);
			char *path = dir_path(segment_set_dir(r->set), name);
			bool more = access(path, F_OK) == 0;
			free(path);
			if (more) {
				rc = reader_refresh(r, e);
				if (rc != RC_OK)
					return rc;
				continue;
			}
		}
		/* The last segment may be empty still; then the log ends with the one before. */
		span->last_seq = last != 0 ? last : r->firsts[r->count - 1] - 1;
		span->first_seq = span->last_seq >= r->firsts[0] ? r->firsts[0] : 0;
		if (span->first_seq == 0)
			span->last_seq = 0;
		return RC_OK;
	}
}

static void
watch(struct store_reader *r)
{
	r->inotify_tried = true;
	r->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->inotify < 0)
		return;
	char *path = dir_path(segment_set_dir(r->set), "head");
	if (inotify_add_watch(r->inotify, path, IN_MODIFY) < 0) {
		close(r->inotify);
		r->inotify = -1;
	}
	free(path);
}

static void
drain(int inotify)
{
	char events[4096];
	while (read(inotify, events, sizeof events) > 0)
		continue;
}

enum rc
store_wait(struct store_reader *r, uint64_t seq, int64_t timeout_ms, int wake_fd, struct err *e)
{
	int64_t until_ms = clock_monotonic_ms() + timeout_ms;
	if (!r->inotify_tried)
		watch(r);
	for (;;) {
		struct store_span span;
		/* First empty the signal, then look: what comes between wakes the poll. */
		if (r->inotify >= 0)
			drain(r->inotify);
		enum rc rc = store_span(r, &span, e);
		if (rc != RC_OK)
			return rc;
		if (span.last_seq > seq)
			return RC_OK;
		int64_t left_ms = until_ms - clock_monotonic_ms();
		int64_t nap_ms = r->inotify >= 0 ? LOST_WAKEUP_MS : POLL_MS;
		if (left_ms <= 0)
			return err_set(e, RC_AGAIN, NULL, "no event after %" PRIu64 " yet", seq);
		/* poll ignores negative descriptors. */
		struct pollfd fds[] = { { .fd = r->inotify, .events = POLLIN },
			{ .fd = wake_fd, .events = POLLIN } };
		int n = poll(fds, COUNT_OF(fds), (int)(left_ms < nap_ms ? left_ms : nap_ms));
		if (n < 0 && errno != EINTR)
			return err_sys(e, RC_IO, NULL, errno, "wait for the log");
		if (n > 0 && fds[1].revents != 0)
			return err_set(e, RC_AGAIN, NULL, "woken while waiting for the log");
	}
}

static enum rc
received_at(const struct segment *s, MDB_txn *txn, uint64_t seq, int64_t *at_us, struct err *e)
{
	struct bytes record;
	struct record_header h;
	enum rc rc = segment_get(s, txn, seq, &record, e);
	if (rc == RC_NOTFOUND)
		return err_set(e, RC_CORRUPT, "log.damaged", "record %" PRIu64 " is missing", seq);
	if (rc == RC_OK)
		rc = record_open(record, seq, &h, e);
	if (rc == RC_OK)
		*at_us = h.received_at_us;
	return rc;
}

/* Times never fall from one number to the next, so halving finds the place. */
static enum rc
search_segment(const struct segment *s, MDB_txn *txn, int64_t at_us, uint64_t *seq, struct err *e)
{
	uint64_t low, last;
	enum rc rc = segment_range(s, txn, &low, &last, e);
	if (rc != RC_OK || last == 0) {
		*seq = s->first_seq;
		return rc;
	}
	uint64_t high = last + 1;
	while (rc == RC_OK && low < high) {
		uint64_t middle = low + (high - low) / 2;
		int64_t middle_us = 0;
		rc = received_at(s, txn, middle, &middle_us, e);
		if (middle_us < at_us)
			low = middle + 1;
		else
			high = middle;
	}
	*seq = low;
	return rc;
}

/* Whether the event that opens segment index came before at_us. An empty segment, which only the last
 * one can be, has no such event. */
static enum rc
opens_before(struct store_reader *r, size_t index, int64_t at_us, bool *before, struct err *e)
{
	struct segment *s;
	MDB_txn *txn;
	uint64_t first, last;
	int64_t opened_us = 0;
	*before = false;
	enum rc rc = reader_enter(r, index, &s, &txn, e);
	if (rc != RC_OK)
		return rc;
	rc = segment_range(s, txn, &first, &last, e);
	if (rc == RC_OK && last != 0) {
		rc = received_at(s, txn, first, &opened_us, e);
		*before = opened_us < at_us;
	}
	reader_leave(s, txn);
	return rc;
}

enum rc
store_seq_at(struct store_reader *r, int64_t at_us, uint64_t *seq, struct err *e)
{
	*seq = 1;
	enum rc rc = reader_refresh(r, e);
	if (rc != RC_OK || r->count == 0)
		return rc;
	/* The last segment that opens before at_us holds the place or ends just before it. */
	size_t low = 0, high = r->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		bool before;
		rc = opens_before(r, middle, at_us, &before, e);
		if (rc != RC_OK)
			return rc;
		if (before)
			low = middle + 1;
		else
			high = middle;
	}
	struct segment *s;
	MDB_txn *txn;
	rc = reader_enter(r, low == 0 ? 0 : low - 1, &s, &txn, e);
	if (rc != RC_OK)
		return rc;
	rc = search_segment(s, txn, at_us, seq, e);
	reader_leave(s, txn);
	return rc;
}

static enum rc
stat_segment(struct store_reader *r, size_t index, struct store_segment_stat *out, struct err *e)
{
	struct segment *s;
	MDB_txn *txn;
	mdb_filehandle_t fd;
	struct stat st;
	enum rc rc = reader_enter(r, index, &s, &txn, e);
	if (rc != RC_OK)
		return rc;
	*out = (struct store_segment_stat){ .sealed = index + 1 < r->count };
	dir_segment_name(s->first_seq, out->name);
	rc = segment_range(s, txn, &out->first_seq, &out->last_seq, e);
	if (rc == RC_OK && out->last_seq != 0)
		rc = received_at(s, txn, out->first_seq, &out->first_at_us, e);
	if (rc == RC_OK && out->last_seq != 0)
		rc = received_at(s, txn, out->last_seq, &out->last_at_us, e);
	out->state = !out->sealed ? STORE_SEGMENT_OPEN
		: index < r->archived_count ? STORE_SEGMENT_REMOVED
					    : STORE_SEGMENT_SEALED;
	mdb_env_get_fd(s->env, &fd);
	if (rc == RC_OK && fstat(fd, &st) == 0)
		out->file_bytes = (uint64_t)st.st_size;
	reader_leave(s, txn);
	return rc;
}

enum rc
store_segments(struct store_reader *r, struct arena *a, const struct store_segment_stat **segments,
	size_t *count, struct err *e)
{
	*segments = NULL;
	*count = 0;
	enum rc rc = reader_refresh(r, e);
	if (rc != RC_OK || r->count == 0)
		return rc;
	struct store_segment_stat *stats = arena_zalloc(a, r->count * sizeof *stats);
	const struct archived_segment *archived;
	size_t archived_count;
	segment_set_list_archive(r->set, a, &archived, &archived_count);
	for (size_t i = 0; rc == RC_OK && i < r->count; i++) {
		rc = stat_segment(r, i, &stats[i], e);
		for (size_t j = 0; rc == RC_OK && j < archived_count; j++) {
			if (archived[j].first_seq != stats[i].first_seq || archived[j].last_seq != stats[i].last_seq)
				continue;
			memcpy(stats[i].archive_file, archived[j].file, sizeof stats[i].archive_file);
			if (stats[i].state == STORE_SEGMENT_SEALED)
				stats[i].state = STORE_SEGMENT_ARCHIVED;
		}
	}
	*segments = stats;
	*count = r->count;
	return rc;
}
