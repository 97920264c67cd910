/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/manifest.h"
#include "store/ops.h"
#include "tests/crash/upkeep.h"
#include "tests/tools/folder.h"

#define PATH_BYTES 400
/* What is done is told as one rising number: the last event archived, or this and how many redactions. */
#define REDACTIONS 1000

static void
path_below(const char *root, const char *name, char out[PATH_BYTES])
{
	snprintf(out, PATH_BYTES, "%s/%s", root, name);
}

/* What the manifest in a folder says is the last event there; 0: there is none. */
static uint64_t
archived_last(const char *folder, struct check_outcome *out)
{
	struct err e;
	struct manifest m;
	struct arena *a = arena_new(1 << 14);
	enum rc rc = manifest_read(folder, a, &m, &e);
	uint64_t last = rc == RC_OK ? m.last_seq : 0;
	if (rc != RC_OK && rc != RC_NOTFOUND)
		check_wrong(out, "the manifest: %s", e.text);
	arena_free(a);
	return last;
}

void
upkeep_append(const struct work *w)
{
	struct store *s = work_open(w);
	work_append(s, 49, 64, 2);
	store_close(s);
}

/* ---- redaction ---- */

static void
redact(const struct work *w, uint64_t seq, uint64_t done)
{
	struct store_redact_report report;
	struct err e;
	const struct store_options options = { .dir = w->dir, .archive_dir = w->archive_dir,
		.segment_bytes_max = w->segment_bytes_max };
	shim_mark(MODEL_SUBMIT, CHECK_AUDIT | seq);
	if (store_redact(&options, seq, "asked for", &report, &e) != RC_OK)
		work_fail("redact", &e);
	shim_mark(MODEL_ACK, report.audit_seq);
	shim_mark(MODEL_DONE, REDACTIONS + done);
}

void
upkeep_redact_two(const struct work *w)
{
	redact(w, 2, 1);
	redact(w, 26, 2);
}

void
upkeep_redact_newest(const struct work *w)
{
	struct store_reader *r;
	struct store_span span;
	struct err e;
	if (store_reader_open(&r, w->dir, &e) != RC_OK || store_span(r, &span, &e) != RC_OK)
		work_fail("look", &e);
	store_reader_close(r);
	redact(w, span.last_seq, 3);
}

static bool
file_holds(const char *path, struct bytes text)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool found = false;
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		ASSERT(data != MAP_FAILED);
		found = memmem(data, (size_t)st.st_size, text.data, text.len) != NULL;
		munmap(data, (size_t)st.st_size);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

static bool
folder_holds(const char *path, struct bytes text)
{
	bool found = false;
	DIR *d = opendir(path);
	for (struct dirent *entry; d != NULL && !found && (entry = readdir(d)) != NULL;) {
		char file[PATH_BYTES + 300];
		snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		found = entry->d_type == DT_REG && file_holds(file, text);
	}
	if (d != NULL)
		closedir(d);
	return found;
}

/* Whether any file of log and archive holds the body event seq had. It is noise, which is not compressed. */
static bool
body_is_anywhere(const char *root, const struct check_expect *expect, uint64_t seq)
{
	struct check_event c = { .body = NULL };
	char log[PATH_BYTES], archive[PATH_BYTES];
	path_below(root, CHECK_LOG, log);
	path_below(root, CHECK_ARCHIVE, archive);
	check_event_make(&c, expect->ids[seq - 1]);
	struct bytes part = { c.body + 16, 64 };
	bool found = folder_holds(log, part) || folder_holds(archive, part);
	check_event_free(&c);
	return found;
}

static bool
is_redacted(struct store_reader *r, uint64_t seq)
{
	struct arena *a = arena_new(1 << 14);
	const struct store_record *records;
	size_t count;
	struct err e;
	bool yes = store_read(r, seq, 1, 1, a, &records, &count, &e) == RC_OK && count == 1 &&
		(records[0].event.flags & EVENT_FLAG_REDACTED) != 0;
	arena_free(a);
	return yes;
}

/* How many of the redactions, in their order, are complete: read as redacted, and nothing left of the body. */
static uint64_t
redacted(const char *root, const struct check_expect *expect, const struct store_options *options,
	uint64_t last, struct check_outcome *out)
{
	struct store_reader *r;
	struct err e;
	uint64_t done = 0;
	if (store_reader_open_archived(&r, options->dir, options->archive_dir, &e) != RC_OK) {
		check_wrong(out, "read: %s", e.text);
		return 0;
	}
	for (size_t i = 0; i < expect->count; i++) {
		uint64_t seq = expect->ids[i] & UINT32_MAX;
		if ((expect->ids[i] & CHECK_AUDIT) == 0)
			continue;
		if (seq > last || !is_redacted(r, seq) || body_is_anywhere(root, expect, seq))
			break;
		done++;
	}
	store_reader_close(r);
	return done;
}

static void
keep_finding(uint64_t seq, const char *text, void *context)
{
	struct check_outcome *out = context;
	if (!out->bad)
		check_wrong(out, "after redacting again, verify, %" PRIu64 ": %s", seq, text);
}

void
upkeep_check_redacted(const char *root, const struct check_expect *expect, struct check_outcome *out)
{
	char dir[PATH_BYTES], archive[PATH_BYTES];
	struct store_redact_report redact_report;
	struct store_verify_report report;
	struct err e = { .text = "" };
	uint64_t asked = 0;
	path_below(root, CHECK_LOG, dir);
	path_below(root, CHECK_ARCHIVE, archive);
	const struct store_options options = { .dir = dir, .segment_bytes_max = expect->segment_bytes_max,
		.archive_dir = access(archive, F_OK) == 0 ? archive : NULL };
	uint64_t done = redacted(root, expect, &options, out->last, out);
	out->done = done > 0 ? REDACTIONS + done : archived_last(archive, out);
	for (size_t i = 0; !out->bad && i < expect->count; i++) {
		uint64_t seq = expect->ids[i] & UINT32_MAX;
		if ((expect->ids[i] & CHECK_AUDIT) == 0 || seq > out->last)
			continue;
		asked++;
		if (store_redact(&options, seq, "asked for", &redact_report, &e) != RC_OK)
			check_wrong(out, "redacting %" PRIu64 " again: %s", seq, e.text);
	}
	if (!out->bad && redacted(root, expect, &options, out->last, out) < asked)
		check_wrong(out, "redacted again, the body is still there");
	if (!out->bad && store_verify(dir, 1, 0, keep_finding, out, &report, &e) != RC_OK &&
		e.rc != RC_NOTFOUND)
		check_wrong(out, "after redacting again, verify: %s", e.text);
}

/* ---- backup ---- */

static enum rc
back_up(const char *dir, const char *backup, struct store_backup_report *report, struct err *e)
{
	struct store_reader *r;
	enum rc rc = store_reader_open(&r, dir, e);
	if (rc != RC_OK)
		return rc;
	rc = store_backup(r, dir, backup, false, NULL, NULL, report, e);
	store_reader_close(r);
	return rc;
}

void
upkeep_back_up(const struct work *w)
{
	struct store_backup_report report;
	struct err e;
	if (back_up(w->dir, w->backup_dir, &report, &e) != RC_OK)
		work_fail("backup", &e);
	shim_mark(MODEL_DONE, report.last_seq);
}

/* Makes a log of the backup and compares it. */
static void
check_restored(const char *root, const char *backup, const struct check_expect *expect,
	struct check_outcome *out)
{
	char restored[PATH_BYTES];
	struct store_backup_report report;
	struct store_reader *r;
	struct check_outcome found = { .bad = false };
	struct err e;
	path_below(root, "restored", restored);
	if (store_restore(backup, restored, NULL, NULL, &report, &e) != RC_OK) {
		check_wrong(out, "restore: %s", e.text);
		return;
	}
	if (store_reader_open(&r, restored, &e) != RC_OK) {
		check_wrong(out, "read what was restored: %s", e.text);
		return;
	}
	if (!check_read(r, expect, &found))
		check_wrong(out, "restored: %.200s", found.text);
	else if (found.last > out->last)
		check_wrong(out, "the backup ends with %" PRIu64 ", the log with %" PRIu64, found.last, out->last);
	store_reader_close(r);
	folder_remove(restored);
	out->done = found.last;
}

void
upkeep_check_backup(const char *root, const struct check_expect *expect, struct check_outcome *out)
{
	char dir[PATH_BYTES], backup[PATH_BYTES], restored[PATH_BYTES];
	struct store_backup_report report, again;
	struct err e = { .text = "" };
	path_below(root, CHECK_LOG, dir);
	path_below(root, CHECK_BACKUP, backup);
	path_below(root, "restored", restored);
	if (archived_last(backup, out) > 0)
		check_restored(root, backup, expect, out);
	if (out->bad)
		return;
	if (back_up(dir, backup, &report, &e) != RC_OK)
		check_wrong(out, "backing up again: %s", e.text);
	else if (store_restore(backup, restored, NULL, NULL, &again, &e) != RC_OK)
		check_wrong(out, "restore after backing up again: %s", e.text);
	else if (again.last_seq != out->last + expect->write_on)
		check_wrong(out, "backed up again, it ends with %" PRIu64, again.last_seq);
}

/* ---- archive and retention ---- */

static enum rc
archive(const char *dir, const char *archive_dir, struct store_backup_report *report, struct err *e)
{
	struct store_reader *r;
	enum rc rc = store_reader_open_archived(&r, dir, archive_dir, e);
	if (rc != RC_OK)
		return rc;
	rc = store_archive(r, dir, archive_dir, NULL, NULL, report, e);
	store_reader_close(r);
	return rc;
}

void
upkeep_archive(const struct work *w)
{
	struct store_backup_report report;
	struct err e;
	if (archive(w->dir, w->archive_dir, &report, &e) != RC_OK)
		work_fail("archive", &e);
	shim_mark(MODEL_DONE, report.last_seq);
}

static enum rc
prune(const char *dir, const char *archive_dir, size_t *count, struct err *e)
{
	struct arena *a = arena_new(1 << 14);
	const struct store_prune_rule rule = { .keep_segments = 2 };
	const struct store_pruned *pruned;
	enum rc rc = store_prune(dir, archive_dir, &rule, true, a, &pruned, count, e);
	arena_free(a);
	return rc;
}

void
upkeep_prune(const struct work *w)
{
	size_t count;
	struct err e = { .text = "nothing was removed" };
	if (prune(w->dir, w->archive_dir, &count, &e) != RC_OK || count == 0)
		work_fail("prune", &e);
}

/* All events are read by check_log, with the archive; here it goes on with what may have been interrupted, and
 * then everything must be there still, and known. */
void
upkeep_check_archive(const char *root, const struct check_expect *expect, struct check_outcome *out)
{
	char dir[PATH_BYTES], archive_dir[PATH_BYTES];
	struct store_backup_report report;
	struct err e = { .text = "" };
	size_t count;
	path_below(root, CHECK_LOG, dir);
	path_below(root, CHECK_ARCHIVE, archive_dir);
	out->done = archived_last(archive_dir, out);
	if (out->bad)
		return;
	if (archive(dir, archive_dir, &report, &e) != RC_OK)
		check_wrong(out, "archiving again: %s", e.text);
	else if (prune(dir, archive_dir, &count, &e) != RC_OK)
		check_wrong(out, "pruning again: %s", e.text);
	if (out->bad)
		return;
	struct check_outcome after;
	uint64_t ids[4096];
	ASSERT(out->last + expect->write_on <= COUNT_OF(ids));
	memcpy(ids, expect->ids, out->last * sizeof *ids);
	for (unsigned i = 0; i < expect->write_on; i++)
		ids[out->last + i] = CHECK_WRITTEN_ON + i;
	const struct check_expect expect_after = { .ids = ids, .count = out->last + expect->write_on,
		.segment_bytes_max = expect->segment_bytes_max, .archived = true };
	check_log(root, &expect_after, &after);
	if (after.bad)
		check_wrong(out, "pruned again: %.200s", after.text);
	else if (after.last != expect_after.count)
		check_wrong(out, "pruned again, it ends with %" PRIu64, after.last);
}
