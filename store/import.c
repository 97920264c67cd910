/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/dir.h"
#include "store/door.h"
#include "store/raw.h"
#include "store/scratch.h"
#include "store/stream.h"
#include "store/writer.h"

#define RETRY_MS 200
#define GIVE_UP_MS 60000
#define PROGRESS_EVENTS 1000
#define DICTS_MAX 64

/* ---- the appender ---- */

struct store_appender {
	struct store *local; /* NULL: another process writes */
	char *dir, *archive_dir;
};

enum rc
store_appender_open(struct store_appender **out, const struct store_options *options, struct err *e)
{
	struct store_appender *a = base_zalloc(sizeof *a);
	*out = NULL;
	a->dir = base_strdup(options->dir);
	a->archive_dir = base_strdup(options->archive_dir == NULL ? "" : options->archive_dir);
	enum rc rc = store_open(&a->local, options, e);
	if (rc == RC_AGAIN)
		rc = door_ask(a->dir, DOOR_PING, NULL, 0, NULL, e);
	if (rc != RC_OK) {
		store_appender_close(a);
		return rc;
	}
	*out = a;
	return RC_OK;
}

bool
store_appender_remote(const struct store_appender *a)
{
	return a->local == NULL;
}

void
store_appender_close(struct store_appender *a)
{
	if (a == NULL)
		return;
	store_close(a->local);
	free(a->dir);
	free(a->archive_dir);
	free(a);
}

enum rc
store_appender_append(struct store_appender *a, const struct event *events, size_t count,
	struct store_result *results, struct err *e)
{
	ASSERT(count <= STORE_APPEND_EVENTS_MAX);
	if (a->local == NULL)
		return door_ask(a->dir, DOOR_APPEND, events, count, results, e);
	door_append_all(a->local, events, count, results);
	return RC_OK;
}

enum rc
store_appender_roll(struct store_appender *a, struct err *e)
{
	struct store_result result = { 0 };
	if (a->local != NULL)
		return store_roll(a->local, e);
	enum rc rc = door_ask(a->dir, DOOR_ROLL, NULL, 0, &result, e);
	if (rc == RC_OK && result.rc != RC_OK) {
		*e = result.err;
		rc = result.rc;
	}
	return rc;
}

enum rc
store_appender_rotate_key(struct store_appender *a, struct err *e)
{
	struct store_result result = { 0 };
	int lock_fd;
	/* A backup copies the key and what says whose turn it is. */
	enum rc rc = dir_lock_maintenance(a->dir, &lock_fd, e);
	if (rc != RC_OK)
		return rc;
	if (a->local != NULL)
		rc = keeper_rotate_key(a->local->keeper, DOOR_RESEAL_MS, e);
	else
		rc = door_ask(a->dir, DOOR_ROTATE_KEY, NULL, 0, &result, e);
	if (rc == RC_OK && result.rc != RC_OK) {
		*e = result.err;
		rc = result.rc;
	}
	close(lock_fd);
	return rc;
}

enum rc
store_appender_reseal(struct store_appender *a, uint64_t first_seq, struct err *e)
{
	struct store_result result = { .seq = first_seq };
	if (a->local != NULL)
		return keeper_reseal(a->local->keeper, first_seq, DOOR_RESEAL_MS, e);
	enum rc rc = door_ask(a->dir, DOOR_RESEAL, NULL, 0, &result, e);
	if (rc == RC_OK && result.rc != RC_OK) {
		*e = result.err;
		rc = result.rc;
	}
	return rc;
}

enum rc
store_appender_reader(struct store_appender *a, struct store_reader **r, struct err *e)
{
	return a->local != NULL ? store_reader_from(a->local, r, e)
				: store_reader_open_archived(r, a->dir, a->archive_dir, e);
}

static void
count_result(struct store_import_report *report, const struct store_result *result)
{
	if (result->duplicate) {
		report->duplicates++;
		return;
	}
	if (report->added++ == 0)
		report->first_seq = result->seq;
	report->last_seq = result->seq;
}

/* How many of a batch go in one request. */
static size_t
piece(const struct event *events, size_t count)
{
	size_t n = 0, bytes = 0;
	while (n < count && n < STORE_APPEND_EVENTS_MAX) {
		bytes += events[n].body.len;
		if (n > 0 && bytes > STORE_APPEND_BYTES_MAX)
			break;
		n++;
	}
	return n;
}

enum rc
store_import_events(struct store_appender *a, const struct event *events, size_t count,
	struct store_import_report *report, struct err *e)
{
	struct store_result *results = base_alloc(STORE_APPEND_EVENTS_MAX * sizeof *results);
	int64_t moved_at_ms = clock_monotonic_ms();
	enum rc rc = RC_OK;
	while (rc == RC_OK && count > 0) {
		size_t n = piece(events, count), done = 0;
		rc = store_appender_append(a, events, n, results, e);
		while (rc == RC_OK && done < n && results[done].rc == RC_OK)
			count_result(report, &results[done++]);
		events += done;
		count -= done;
		if (done > 0)
			moved_at_ms = clock_monotonic_ms();
		if (rc != RC_OK || done == n)
			continue;
		if ((results[done].rc != RC_FULL && results[done].rc != RC_AGAIN) ||
			clock_monotonic_ms() - moved_at_ms > GIVE_UP_MS) {
			*e = results[done].err;
			rc = results[done].rc;
		} else {
			clock_sleep_ms(RETRY_MS);
		}
	}
	free(results);
	return rc;
}

/* ---- reading the stream ---- */

struct importer {
	const struct store_options *options;
	struct bytes head;
	int fd;
	bool origin_import;
	store_progress_fn progress;
	void *context;
	struct store_import_report *report;
	struct stream_reader *stream;
	struct stream_frame frame;
	uint64_t bytes;
};

static enum rc
get_from_fd(void *context, unsigned char *data, size_t size, size_t *got, struct err *e)
{
	struct importer *im = context;
	ssize_t n;
	if (im->head.len > 0) {
		*got = size < im->head.len ? size : im->head.len;
		memcpy(data, im->head.data, *got);
		im->head.data += *got;
		im->head.len -= *got;
		return RC_OK;
	}
	do {
		n = read(im->fd, data, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, RC_IO, NULL, errno, "read the archive");
	*got = (size_t)n;
	im->bytes += (uint64_t)n;
	return RC_OK;
}

/* The next frame; *end after the footer, behind which nothing may follow. */
static enum rc
next(struct importer *im, bool *end, struct err *e)
{
	enum rc rc = stream_next(im->stream, &im->frame, e);
	*end = rc == RC_NOTFOUND;
	if (rc == RC_OK && im->frame.type == STREAM_RECORD &&
		++im->report->events % PROGRESS_EVENTS == 0 && im->progress != NULL)
		im->progress(im->report->events, im->bytes, im->context);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static void
note_added(struct importer *im)
{
	if (im->report->added++ == 0)
		im->report->first_seq = im->frame.seq;
	im->report->last_seq = im->frame.seq;
}

/* ---- lossless, into nothing ---- */

/* Builds all segments of the stream in the folder dir. */
static enum rc
build_all(struct importer *im, const char *dir, struct err *e)
{
	struct raw_build *b = NULL;
	bool end = false;
	enum rc rc = RC_OK;
	while (rc == RC_OK) {
		rc = next(im, &end, e);
		if (rc != RC_OK || end)
			break;
		const struct stream_frame *f = &im->frame;
		if (f->type == STREAM_SEGMENT) {
			if (b != NULL)
				rc = raw_build_end(b, e);
			raw_build_free(b);
			b = NULL;
			if (rc == RC_OK)
				rc = raw_build_new(
					&b, dir, stream_log_id(im->stream), f->seq, f->chain, e);
		} else if (f->type == STREAM_META) {
			rc = raw_build_meta(b, f->key, f->data, e);
		} else if (f->type == STREAM_RECORD) {
			rc = raw_build_record(b, f->seq, f->data, e);
			note_added(im);
		}
	}
	if (rc == RC_OK && b != NULL)
		rc = raw_build_end(b, e);
	raw_build_free(b);
	return rc;
}

/* Whether a lossless import may take the place of what is in dir: nothing, or a log without events.
 * The lock keeps writers away meanwhile. */
static enum rc
is_empty(const char *dir, int *lock_fd, bool *empty, struct err *e)
{
	struct store_reader *r = NULL;
	struct store_span span = { 0 };
	enum rc rc = dir_lock(dir, lock_fd, e);
	if (rc != RC_OK) {
		*empty = false;
		return rc == RC_AGAIN ? RC_OK : rc;
	}
	rc = store_reader_open(&r, dir, e);
	if (rc == RC_OK)
		rc = store_span(r, &span, e);
	store_reader_close(r);
	*empty = rc == RC_NOTFOUND || (rc == RC_OK && span.last_seq == 0);
	if (*empty)
		return RC_OK;
	close(*lock_fd);
	*lock_fd = -1;
	return rc;
}

/* Everything is made in a folder beside, which changes places with dir when it is complete. */
static enum rc
import_lossless(struct importer *im, struct err *e)
{
	char *scratch = NULL;
	im->report->mode = STORE_IMPORT_LOSSLESS;
	enum rc rc = scratch_make(im->options->dir, "import", &scratch, e);
	if (rc == RC_OK)
		rc = build_all(im, scratch, e);
	if (rc == RC_OK)
		rc = dir_write_log(scratch, stream_log_id(im->stream), e);
	if (rc == RC_OK)
		rc = scratch_swap(im->options->dir, scratch, e);
	scratch_remove(scratch);
	return rc;
}

/* ---- as new events ---- */

struct merger {
	struct importer *im;
	struct store_appender *appender;
	struct store_reader
		*reader; /* of the log itself, when the stream was made of it; else NULL */
	struct store_span span;
	struct arena *a, *compare_arena;
	struct unpacker *unpacker;
	struct dict *dicts[DICTS_MAX]; /* of the stream's current segment */
	size_t dict_count;
	struct event *events;
	size_t count;
};

static void
forget_dicts(struct merger *m)
{
	while (m->dict_count > 0)
		dict_unref(m->dicts[--m->dict_count]);
}

/* A dictionary is stored behind its checksum, 8 bytes; frames have their own. */
static enum rc
keep_dict(struct merger *m, const struct stream_frame *f, struct err *e)
{
	static const char prefix[] = "dict.";
	if (f->key.len < sizeof prefix - 1 || memcmp(f->key.data, prefix, sizeof prefix - 1) != 0)
		return RC_OK;
	struct dict *d = f->data.len <= 8
				 ? NULL
				 : dict_new((struct bytes){ f->data.data + 8, f->data.len - 8 });
	if (d == NULL || m->dict_count == DICTS_MAX) {
		dict_unref(d);
		return err_set(e, RC_CORRUPT, "log.archive-damaged",
			"the archive holds a dictionary that is none, or too many");
	}
	m->dicts[m->dict_count++] = d;
	return RC_OK;
}

static enum rc
flush(struct merger *m, struct err *e)
{
	enum rc rc = store_import_events(m->appender, m->events, m->count, m->im->report, e);
	m->count = 0;
	arena_reset(m->a);
	m->events = arena_alloc(m->a, STORE_APPEND_EVENTS_MAX * sizeof *m->events);
	return rc;
}

/* Whether the log still holds this very record. */
static enum rc
compare(struct merger *m, const struct stream_frame *f, bool *same, struct err *e)
{
	struct raw_batch batch;
	*same = false;
	if (m->reader == NULL || f->seq > m->span.last_seq || f->seq < m->span.first_seq)
		return RC_OK;
	arena_reset(m->compare_arena);
	enum rc rc = raw_read(m->reader, f->seq, f->seq, 1, m->compare_arena, &batch, e);
	if (rc == RC_NOTFOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	*same = batch.count == 1 &&
		memcmp(batch.records[0].header.chain, f->chain, STORE_CHAIN_BYTES) == 0;
	if (!*same)
		return err_set(e, RC_CONFLICT, "log.archive-conflict",
			"event %" PRIu64
			" of the archive is not that of the log, though both have the same "
			"id: the log was set back and went on",
			f->seq);
	return RC_OK;
}

static enum rc
merge_record(struct merger *m, struct err *e)
{
	const struct stream_frame *f = &m->im->frame;
	const struct dict *d = NULL;
	struct bytes envelope, body;
	bool same;
	enum rc rc = compare(m, f, &same, e);
	if (rc == RC_OK && same) {
		m->im->report->duplicates++;
		return RC_OK;
	}
	if (rc == RC_OK && f->header.redacted) {
		m->im->report->skipped++;
		return RC_OK;
	}
	for (size_t i = 0; i < m->dict_count; i++) {
		if (dict_id(m->dicts[i]) == f->header.dict_id)
			d = m->dicts[i];
	}
	if (rc == RC_OK && f->header.dict_id != 0 && d == NULL)
		rc = err_set(e, RC_CORRUPT, "log.archive-damaged",
			"event %" PRIu64 " needs a dictionary the archive does not hold", f->seq);
	if (rc == RC_OK)
		rc = unpack(m->unpacker, &f->header, record_payload(f->data), d, m->a, &envelope,
			&body, e);
	if (rc != RC_OK)
		return rc;
	struct event *ev = &m->events[m->count];
	*ev = (struct event){ 0 };
	rc = event_decode(envelope, m->a, ev, e);
	if (rc != RC_OK)
		return rc;
	ev->body = body;
	if (m->im->origin_import)
		ev->origin = EVENT_ORIGIN_IMPORT;
	m->count++;
	if (m->count == STORE_APPEND_EVENTS_MAX ||
		arena_used_bytes(m->a) > STORE_APPEND_BYTES_MAX / 2)
		return flush(m, e);
	return RC_OK;
}

static enum rc
merge_frames(struct merger *m, struct err *e)
{
	bool end = false;
	enum rc rc = RC_OK;
	m->events = arena_alloc(m->a, STORE_APPEND_EVENTS_MAX * sizeof *m->events);
	while (rc == RC_OK) {
		rc = next(m->im, &end, e);
		if (rc != RC_OK || end)
			break;
		if (m->im->frame.type == STREAM_SEGMENT)
			forget_dicts(m);
		else if (m->im->frame.type == STREAM_META)
			rc = keep_dict(m, &m->im->frame, e);
		else if (m->im->frame.type == STREAM_RECORD)
			rc = merge_record(m, e);
	}
	/* What came before the damage is sound, and is kept. */
	struct err ignored;
	enum rc flushed = flush(m, rc == RC_OK ? e : &ignored);
	return rc == RC_OK ? flushed : rc;
}

static enum rc
import_merge(struct importer *im, struct err *e)
{
	struct merger m = { .im = im, .unpacker = unpacker_new() };
	m.a = arena_new((size_t)1 << 20);
	m.compare_arena = arena_new((size_t)1 << 16);
	im->report->mode = STORE_IMPORT_MERGE;
	enum rc rc = store_appender_open(&m.appender, im->options, e);
	if (rc == RC_OK)
		rc = store_appender_reader(m.appender, &m.reader, e);
	if (rc == RC_OK)
		rc = store_span(m.reader, &m.span, e);
	if (rc == RC_OK &&
		memcmp(m.span.log_id, stream_log_id(im->stream), STORE_LOG_ID_BYTES) != 0) {
		store_reader_close(m.reader);
		m.reader = NULL;
	}
	if (rc == RC_OK)
		rc = merge_frames(&m, e);
	forget_dicts(&m);
	store_reader_close(m.reader);
	store_appender_close(m.appender);
	unpacker_free(m.unpacker);
	arena_free(m.compare_arena);
	arena_free(m.a);
	return rc;
}

enum rc
store_import(const struct store_options *options, struct bytes head, int fd, bool origin_import,
	store_progress_fn progress, void *context, struct store_import_report *report,
	struct err *e)
{
	struct importer im = { .options = options,
		.head = head,
		.fd = fd,
		.origin_import = origin_import,
		.progress = progress,
		.context = context,
		.report = report };
	int lock_fd = -1;
	bool empty;
	*report = (struct store_import_report){ .mode = STORE_IMPORT_MERGE };
	enum rc rc = stream_reader_new(&im.stream, get_from_fd, &im, e);
	if (rc == RC_OK)
		rc = fs_mkdir(options->dir, e);
	if (rc == RC_OK)
		rc = is_empty(options->dir, &lock_fd, &empty, e);
	if (rc == RC_OK)
		rc = empty ? import_lossless(&im, e) : import_merge(&im, e);
	if (lock_fd >= 0)
		close(lock_fd);
	stream_reader_free(im.stream);
	if (rc != RC_OK && report->mode == STORE_IMPORT_LOSSLESS)
		report->added = report->first_seq = report->last_seq = 0;
	return rc;
}
