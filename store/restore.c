/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/dir.h"
#include "store/manifest.h"
#include "store/ops.h"
#include "store/scratch.h"

struct findings {
	int out;
	bool any;
};

static void
tell_first(uint64_t seq, const char *text, void *context)
{
	struct findings *f = context;
	char line[512];
	if (f->any)
		return;
	f->any = true;
	int len = snprintf(line, sizeof line, "event %" PRIu64 ": %s", seq, text);
	if (write(f->out, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1) < 0)
		return;
}

/* Verifies the log in dir as a whole; it must end with want_last. Damage in LMDB's own pages kills who meets
 * it, so somebody else looks. RC_CORRUPT (id log.backup-damaged): *e names the first finding. */
static enum rc
verify_in_child(const char *dir, uint64_t want_last, struct err *e)
{
	int fds[2], status = -1;
	char text[512];
	if (pipe(fds) != 0)
		return err_sys(e, RC_IO, NULL, errno, "make a pipe");
	pid_t child = fork();
	if (child == 0) {
		struct store_verify_report report;
		struct findings f = { .out = fds[1] };
		struct err ce = { .text = "" };
		enum rc rc = store_verify(dir, 1, 0, tell_first, &f, &report, &ce);
		if (rc != RC_OK && !f.any)
			tell_first(0, ce.text, &f);
		if (rc == RC_OK && report.last_seq != want_last) {
			tell_first(
				report.last_seq, "the log ends here, but not in the manifest", &f);
			rc = RC_CORRUPT;
		}
		_exit((int)rc);
	}
	close(fds[1]);
	ssize_t n = 0;
	size_t len = 0;
	while (child > 0 && len < sizeof text - 1 &&
		((n = read(fds[0], text + len, sizeof text - 1 - len)) > 0 ||
			(n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	text[len] = '\0';
	close(fds[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == RC_OK)
		return RC_OK;
	if (child < 0)
		return err_set(e, RC_IO, NULL, "fork failed");
	return err_set(e, RC_CORRUPT, "log.backup-damaged", "verify finds damage: %s",
		len > 0 ? text : "reading it killed the checking process");
}

/* Copies one file of the backup and compares what passed with the manifest. */
static enum rc
fetch(const char *dir, const char *file, const char *scratch, const char *name, unsigned mode,
	uint64_t want_bytes, const unsigned char want[SHA256_BYTES], struct err *e)
{
	unsigned char sha256[SHA256_BYTES];
	uint64_t bytes;
	char *path = dir_path(dir, file);
	enum rc rc = copy_file(path, scratch, name, mode, sha256, &bytes, e);
	if (rc == RC_NOTFOUND)
		rc = err_set(e, RC_CORRUPT, "log.backup-damaged", "%s is missing", path);
	if (rc == RC_OK && (bytes != want_bytes || memcmp(sha256, want, sizeof sha256) != 0))
		rc = err_set(e, RC_CORRUPT, "log.backup-damaged",
			"%s is not the file that was backed up", path);
	free(path);
	return rc;
}

static enum rc
fetch_all(const char *dir, const struct manifest *m, const char *scratch,
	store_progress_fn progress, void *context, struct store_backup_report *report,
	struct err *e)
{
	char name[DIR_NAME_BYTES];
	enum rc rc = RC_OK;
	bool described = false;
	for (size_t i = 0; rc == RC_OK && i < m->segment_count; i++) {
		const struct manifest_segment *s = &m->segments[i];
		dir_segment_name(s->first_seq, name);
		rc = fetch(dir, s->file, scratch, name, s->sealed ? 0440 : 0640, s->bytes,
			s->sha256, e);
		report->bytes_copied += s->bytes;
		report->segments_copied++;
		if (progress != NULL)
			progress(s->last_seq, report->bytes_copied, context);
	}
	for (size_t i = 0; rc == RC_OK && i < m->file_count; i++) {
		const struct manifest_file *f = &m->files[i];
		described = described || strcmp(f->name, "LOG") == 0;
		rc = fetch(dir, f->file, scratch, f->name, manifest_file_mode(f->name), f->bytes, f->sha256,
			e);
	}
	if (rc == RC_OK && !described)
		rc = dir_write_log(scratch, m->log_id, e);
	return rc;
}

/* Takes the lock of a log that may be replaced: one without events. */
static enum rc
claim(const char *log_dir, int *lock_fd, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct store_reader *r = NULL;
	struct store_span span = { 0 };
	uint64_t *firsts;
	size_t count = 0;
	enum rc rc = fs_mkdir(log_dir, e);
	if (rc == RC_OK)
		rc = dir_lock(log_dir, lock_fd, e);
	if (rc == RC_OK)
		rc = dir_segments(log_dir, a, &firsts, &count, e);
	if (rc == RC_OK && count > 0)
		rc = store_reader_open(&r, log_dir, e);
	if (rc == RC_OK && count > 0)
		rc = store_span(r, &span, e);
	store_reader_close(r);
	/* Segments that cannot be read are somebody's, too. */
	if ((rc != RC_OK && rc != RC_AGAIN && count > 0) || span.last_seq != 0)
		rc = err_set(e, RC_CONFLICT, "log.not-empty",
			"%s holds a log with events; move it away first, or name another data "
			"folder with --data",
			log_dir);
	arena_free(a);
	return rc;
}

enum rc
store_restore(const char *dir, const char *log_dir, store_progress_fn progress, void *context,
	struct store_backup_report *report, struct err *e)
{
	struct arena *a = arena_new((size_t)1 << 16);
	struct manifest m;
	char *scratch = NULL;
	int lock_fd = -1;
	*report = (struct store_backup_report){ 0 };
	enum rc rc = manifest_read(dir, a, &m, e);
	if (rc == RC_NOTFOUND)
		rc = err_set(e, RC_NOTFOUND, "log.backup-damaged",
			"there is no " MANIFEST_NAME " in %s: it is no finished backup", dir);
	if (rc == RC_OK)
		rc = claim(log_dir, &lock_fd, e);
	if (rc == RC_OK)
		rc = scratch_make(log_dir, "restore", &scratch, e);
	if (rc == RC_OK)
		rc = fetch_all(dir, &m, scratch, progress, context, report, e);
	if (rc == RC_OK)
		rc = verify_in_child(scratch, m.last_seq, e);
	if (rc == RC_OK)
		rc = scratch_swap(log_dir, scratch, e);
	scratch_remove(scratch);
	if (lock_fd >= 0)
		close(lock_fd);
	if (rc == RC_OK) {
		report->segments = m.segment_count;
		report->bytes = report->bytes_copied;
		report->first_seq = m.segment_count == 0 ? 0 : m.segments[0].first_seq;
		report->last_seq = m.last_seq;
		memcpy(report->chain, m.chain, STORE_CHAIN_BYTES);
	}
	arena_free(a);
	return rc;
}
