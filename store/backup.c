/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "store/dir.h"
#include "store/ledger.h"
#include "store/manifest.h"
#include "store/ops.h"
#include "store/raw.h"
#include "store/scratch.h"
#include "store/signkey.h"

/* What one read transaction copies of the open segment: long ones keep the writer from reusing
 * pages. */
#define STEP_BYTES ((size_t)4 << 20)

/* Files of the log's folder that go along as they are; the last one only when asked for: who has such a
 * backup can sign. `checkpoints` comes before the segments, so that the copy never ends before what was
 * signed. */
static const char *const small_files[] = { "LOG", "checkpoints", "removed", SIGNKEY_NAME };

struct backup {
	struct store_reader *r;
	const char *log_dir, *dir;
	struct arena *a; /* for the whole run */
	struct manifest old, now;
	uint64_t end; /* the last event to copy */
	uint64_t held_from; /* the first one the log holds itself */
	bool archive; /* finished segments only, named by date */
	bool with_key;
	store_progress_fn progress;
	void *context;
	struct store_backup_report *report;
};

/* A name in the backup's folder that the earlier manifest does not use, so that it stays valid
 * until the new one is there. */
static void
free_name(
	const struct backup *b, const char *stem, const char *suffix, char out[MANIFEST_FILE_BYTES])
{
	snprintf(out, MANIFEST_FILE_BYTES, "%s%s", stem, suffix);
	for (unsigned i = 2; manifest_names(&b->old, out); i++)
		snprintf(out, MANIFEST_FILE_BYTES, "%s-%u%s", stem, i, suffix);
}

static int64_t
mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool
takes(const struct backup *b, const char *name)
{
	if (strcmp(name, SIGNKEY_NAME) == 0)
		return b->with_key;
	/* An archive ends before what was signed of the open segment. */
	return !b->archive || strcmp(name, LEDGER_NAME) != 0;
}

static enum rc
copy_small(struct backup *b, const char *name, struct err *e)
{
	struct manifest_file *f = &b->now.files[b->now.file_count];
	char *path = dir_path(b->log_dir, name);
	enum rc rc = RC_OK;
	if (fs_exists(path)) {
		*f = (struct manifest_file){ 0 };
		snprintf(f->name, sizeof f->name, "%s", name);
		free_name(b, name, "", f->file);
		rc = copy_file(path, b->dir, f->file, manifest_file_mode(name), f->sha256, &f->bytes, e);
		b->now.file_count += rc == RC_OK;
	} else if (strcmp(name, SIGNKEY_NAME) == 0) {
		rc = err_set(e, RC_NOTFOUND, "log.checkpoints", "%s is not there; back up without the key",
			path);
	}
	free(path);
	return rc;
}

static enum rc
copy_sealed(struct backup *b, const struct store_segment_stat *s, struct err *e)
{
	struct stat st;
	char stem[64], date[CLOCK_TEXT_BYTES] = "";
	struct manifest_segment *m = &b->now.segments[b->now.segment_count];
	const struct manifest_segment *old = manifest_find(&b->old, s->first_seq);
	char *path = dir_path(b->log_dir, s->name);
	enum rc rc = stat(path, &st) == 0 ? RC_OK : err_sys(e, RC_IO, NULL, errno, "stat %s", path);
	if (rc != RC_OK)
		goto done;
	if (old != NULL && old->sealed && old->last_seq == s->last_seq &&
		old->bytes == (uint64_t)st.st_size && old->mtime_ns == mtime_ns(&st)) {
		*m = *old;
		goto done;
	}
	*m = (struct manifest_segment){ .first_seq = s->first_seq,
		.last_seq = s->last_seq,
		.sealed = true,
		.mtime_ns = mtime_ns(&st) };
	if (b->archive)
		clock_format_us(s->first_at_us, date);
	snprintf(stem, sizeof stem, "%.10s%s%020" PRIu64 "-%020" PRIu64, date,
		b->archive ? "_" : "", s->first_seq, s->last_seq);
	free_name(b, stem, ".mdb", m->file);
	rc = copy_file(path, b->dir, m->file, b->archive ? 0444 : 0440, m->sha256, &m->bytes, e);
	b->report->segments_copied++;
	b->report->bytes_copied += m->bytes;
done:
	b->now.segment_count += rc == RC_OK;
	free(path);
	return rc;
}

/* Copies the records from first to end into a new segment file in the folder scratch. */
static enum rc
rebuild_open(struct backup *b, const char *scratch, uint64_t first, struct err *e)
{
	struct arena *a = arena_new((size_t)1 << 20);
	struct raw_build *build = NULL;
	const struct raw_meta *metas;
	size_t count;
	enum rc rc = RC_OK;
	for (uint64_t seq = first; rc == RC_OK && seq <= b->end;) {
		struct raw_batch batch;
		arena_reset(a);
		rc = raw_read(b->r, seq, b->end, STEP_BYTES, a, &batch, e);
		if (rc == RC_OK && (batch.count == 0 || batch.segment_first != first))
			rc = err_set(
				e, RC_CORRUPT, "log.damaged", "record %" PRIu64 " is missing", seq);
		if (rc == RC_OK && build == NULL)
			rc = raw_build_new(
				&build, scratch, b->now.log_id, first, batch.prev_chain, e);
		for (size_t i = 0; rc == RC_OK && i < batch.count; i++)
			rc = raw_build_record(
				build, batch.records[i].seq, batch.records[i].bytes, e);
		seq += batch.count;
	}
	/* Last, so that every dictionary a copied record needs is among them. */
	if (rc == RC_OK)
		rc = raw_read_meta(b->r, first, a, &metas, &count, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = raw_build_meta(build, metas[i].key, metas[i].value, e);
	if (rc == RC_OK)
		rc = raw_build_end(build, e);
	raw_build_free(build);
	arena_free(a);
	return rc;
}

/* The segment that is written to cannot be copied as a file. */
static enum rc
copy_open(struct backup *b, const struct store_segment_stat *s, struct err *e)
{
	char stem[64], name[DIR_NAME_BYTES];
	char *scratch = NULL, *path = NULL;
	struct manifest_segment *m = &b->now.segments[b->now.segment_count];
	const struct manifest_segment *old = manifest_find(&b->old, s->first_seq);
	if (old != NULL && !old->sealed && old->last_seq == b->end) {
		*m = *old;
		b->now.segment_count++;
		return RC_OK;
	}
	*m = (struct manifest_segment){ .first_seq = s->first_seq, .last_seq = b->end };
	snprintf(stem, sizeof stem, "%020" PRIu64 "-%020" PRIu64, s->first_seq, b->end);
	free_name(b, stem, ".open.mdb", m->file);
	/* Inside: what lies around the folder may belong to somebody else. */
	char *beside = dir_path(b->dir, ".segment");
	enum rc rc = scratch_make(beside, "open", &scratch, e);
	free(beside);
	if (rc == RC_OK)
		rc = rebuild_open(b, scratch, s->first_seq, e);
	if (rc == RC_OK) {
		dir_segment_name(s->first_seq, name);
		path = dir_path(scratch, name);
		rc = copy_file(path, b->dir, m->file, 0440, m->sha256, &m->bytes, e);
	}
	b->report->segments_copied++;
	b->report->bytes_copied += m->bytes;
	b->now.segment_count += rc == RC_OK;
	free(path);
	scratch_remove(scratch);
	return rc;
}

/* The segments in the log's folder; a reader with an archive lists what the log has let go of, too. */
static enum rc
list_held(struct backup *b, const struct store_segment_stat **segments, size_t *count, struct err *e)
{
	enum rc rc = store_segments(b->r, b->a, segments, count, e);
	while (rc == RC_OK && *count > 0 && (*segments)->state == STORE_SEGMENT_REMOVED) {
		++*segments;
		--*count;
	}
	/* From the name: a segment without events has no first one. */
	b->held_from = rc == RC_OK && *count > 0 ? strtoull((*segments)->name, NULL, 10) : UINT64_MAX;
	return rc;
}

static enum rc
copy_segments(struct backup *b, struct err *e)
{
	const struct store_segment_stat *s;
	size_t count;
	enum rc rc = list_held(b, &s, &count, e);
	if (rc != RC_OK)
		return rc;
	b->now.segments =
		arena_alloc(b->a, (count + b->old.segment_count + 1) * sizeof *b->now.segments);
	/* What the log has let go of stays. */
	for (size_t i = 0; i < b->old.segment_count; i++) {
		if (b->old.segments[i].sealed && b->old.segments[i].first_seq < b->held_from)
			b->now.segments[b->now.segment_count++] = b->old.segments[i];
	}
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (s[i].last_seq == 0 || s[i].first_seq > b->end ||
			(b->archive && !s[i].sealed))
			continue;
		rc = s[i].sealed && s[i].last_seq <= b->end ? copy_sealed(b, &s[i], e)
							    : copy_open(b, &s[i], e);
		if (b->progress != NULL)
			b->progress(s[i].last_seq, b->report->bytes_copied, b->context);
	}
	return rc;
}

static enum rc
chain_at(struct backup *b, uint64_t seq, unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	struct raw_batch batch;
	enum rc rc = raw_read(b->r, seq, seq, 1, b->a, &batch, e);
	if (rc == RC_OK && batch.count == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "the log has no event %" PRIu64, seq);
	if (rc == RC_OK)
		memcpy(chain, batch.records[0].header.chain, STORE_CHAIN_BYTES);
	return rc;
}

/* The chain value the copy ends with. */
static enum rc
end_chain(struct backup *b, struct err *e)
{
	enum rc rc = chain_at(b, b->end, b->now.chain, e);
	/* Everything archived has been removed from the log, and nothing came since. */
	if (rc == RC_NOTFOUND && b->old.last_seq == b->end) {
		memcpy(b->now.chain, b->old.chain, sizeof b->now.chain);
		rc = RC_OK;
	}
	return rc;
}

/* Whether this log may go on where the earlier backup ended. */
static enum rc
check_old(struct backup *b, struct err *e)
{
	unsigned char chain[STORE_CHAIN_BYTES];
	const struct manifest *old = &b->old;
	if (strcmp(old->kind, b->now.kind) != 0)
		return err_set(e, RC_INVALID, "log.backup-conflict",
			"%s holds %s files, not %s files; name another folder", b->dir, old->kind,
			b->now.kind);
	if (memcmp(old->log_id, b->now.log_id, STORE_LOG_ID_BYTES) != 0)
		return err_set(e, RC_CONFLICT, "log.backup-conflict",
			"%s holds a backup of another log; name another folder", b->dir);
	if (old->last_seq > b->end)
		return err_set(e, RC_CONFLICT, "log.backup-conflict",
			"the backup in %s reaches event %" PRIu64 ", the log only %" PRIu64
			": it was set back; name another folder",
			b->dir, old->last_seq, b->end);
	if (old->last_seq == 0)
		return RC_OK;
	enum rc rc = chain_at(b, old->last_seq, chain, e);
	if (rc == RC_NOTFOUND)
		return RC_OK; /* removed meanwhile */
	if (rc == RC_OK && memcmp(chain, old->chain, sizeof chain) != 0)
		rc = err_set(e, RC_CONFLICT, "log.backup-conflict",
			"event %" PRIu64
			" of the log is not the one in the backup %s: the log was set back and "
			"went on; name another folder",
			old->last_seq, b->dir);
	return rc;
}

/* Only an empty folder, or one with a manifest, is taken. */
static enum rc
check_folder(struct backup *b, struct err *e)
{
	enum rc rc = manifest_read(b->dir, b->a, &b->old, e);
	if (rc == RC_OK)
		return check_old(b, e);
	if (rc != RC_NOTFOUND)
		return rc;
	const struct store_segment_stat *s;
	size_t count;
	rc = list_held(b, &s, &count, e);
	if (rc != RC_OK)
		return rc;
	DIR *d = opendir(b->dir);
	if (d == NULL)
		return err_sys(e, RC_IO, NULL, errno, "open folder %s", b->dir);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		uint64_t first = dir_copy_first(entry->d_name);
		/* An interrupted first run leaves copies without a manifest, but of what the log holds. */
		if (first != 0 && first < b->held_from)
			rc = err_set(e, RC_CORRUPT, "log.backup-damaged",
				"%s has lost its " MANIFEST_NAME
				", and %s is not in the log any more: put the " MANIFEST_NAME
				" back, or name another folder", b->dir, entry->d_name);
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0 || dir_is_copy(entry->d_name))
			continue;
		rc = err_set(e, RC_INVALID, "log.backup-conflict",
			"%s is no empty folder and holds no backup (there is %s); name another one",
			b->dir, entry->d_name);
	}
	closedir(d);
	return rc;
}

static void
sum_up(struct backup *b)
{
	struct store_backup_report *r = b->report;
	for (size_t i = 0; i < b->now.segment_count; i++)
		r->bytes += b->now.segments[i].bytes;
	r->segments = b->now.segment_count;
	r->last_seq = b->end;
	r->first_seq = b->now.segment_count == 0 ? 0 : b->now.segments[0].first_seq;
	memcpy(r->chain, b->now.chain, STORE_CHAIN_BYTES);
}

static uint64_t
last_archived(const struct manifest *m)
{
	return m->segment_count == 0 ? 0 : m->segments[m->segment_count - 1].last_seq;
}

static enum rc
copy_log(struct store_reader *r, const char *log_dir, const char *dir, bool archive, bool with_key,
	store_progress_fn progress, void *context, struct store_backup_report *report,
	struct err *e)
{
	struct backup b = { .r = r,
		.log_dir = log_dir,
		.dir = dir,
		.archive = archive,
		.with_key = with_key,
		.progress = progress,
		.context = context,
		.report = report };
	struct manifest_file files[COUNT_OF(small_files)];
	struct store_span span;
	int lock_fd = -1, maintenance_fd = -1;
	*report = (struct store_backup_report){ 0 };
	b.a = arena_new((size_t)1 << 16);
	b.now.files = files;
	snprintf(b.now.kind, sizeof b.now.kind, "%s", archive ? "archive" : "backup");
	enum rc rc = fs_mkdir(dir, e);
	if (rc == RC_OK)
		rc = manifest_lock(dir, &lock_fd, e);
	/* Between the copies of a segment and of its seal nobody may redact. */
	if (rc == RC_OK)
		rc = dir_lock_maintenance(log_dir, &maintenance_fd, e);
	if (rc == RC_OK)
		rc = store_span(r, &span, e);
	if (rc != RC_OK)
		goto done;
	memcpy(b.now.log_id, span.log_id, STORE_LOG_ID_BYTES);
	b.end = b.now.last_seq = span.last_seq;
	rc = check_folder(&b, e);
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(small_files); i++) {
		if (takes(&b, small_files[i]))
			rc = copy_small(&b, small_files[i], e);
	}
	/* What was signed meanwhile is copied, too. */
	if (rc == RC_OK)
		rc = store_span(r, &span, e);
	b.end = b.now.last_seq = span.last_seq;
	if (rc == RC_OK)
		rc = copy_segments(&b, e);
	if (b.archive)
		b.end = b.now.last_seq = last_archived(&b.now);
	if (rc == RC_OK && b.end > 0)
		rc = end_chain(&b, e);
	if (rc == RC_OK)
		rc = manifest_write(dir, &b.now, e);
	if (rc == RC_OK)
		rc = manifest_clear_unnamed(dir, &b.now, b.held_from, e);
	if (rc == RC_OK)
		sum_up(&b);
done:
	if (lock_fd >= 0)
		close(lock_fd);
	if (maintenance_fd >= 0)
		close(maintenance_fd);
	arena_free(b.a);
	return rc;
}

enum rc
store_backup(struct store_reader *r, const char *log_dir, const char *dir, bool with_key,
	store_progress_fn progress, void *context, struct store_backup_report *report,
	struct err *e)
{
	return copy_log(r, log_dir, dir, false, with_key, progress, context, report, e);
}

enum rc
store_archive(struct store_reader *r, const char *log_dir, const char *dir,
	store_progress_fn progress, void *context, struct store_backup_report *report,
	struct err *e)
{
	return copy_log(r, log_dir, dir, true, false, progress, context, report, e);
}
