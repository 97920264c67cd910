/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/recover.h"
#include "store/verify.h"

#define NOTE "failed"
/* Enough to meet damage near the end, little enough to be read at every start. */
#define GLANCE_RECORDS 256
#define NOTE_BYTES_MAX 4096
#define PIECE_BYTES ((size_t)1 << 20)
#define DIRECT_ALIGN 4096

void
recover_note_failure(const char *dir, const struct err *e)
{
	struct buf text = buf_new(NOTE_BYTES_MAX);
	struct err ignored;
	char *path = dir_path(dir, NOTE);
	buf_printf(&text, "%s\n", e->text);
	/* On a disk that fails this may fail, too; the log line and the exit code say the same. */
	if (fs_write(path, buf_bytes(&text), 0600, &ignored) != RC_OK)
		log_err("log.failed", &ignored);
	buf_free(&text);
	free(path);
}

/* Reads up to PIECE_BYTES at the place, fewer at the end of the file only. */
static ssize_t
read_piece(int fd, unsigned char *to, off_t at)
{
	size_t have = 0;
	while (have < PIECE_BYTES) {
		ssize_t n = pread(fd, to + have, PIECE_BYTES - have, at + (off_t)have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
		/* What is read past the cache is read in whole blocks; an odd length is the end. */
		if (n % DIRECT_ALIGN != 0)
			break;
	}
	return (ssize_t)have;
}

static enum rc
compare_pieces(int cached, int direct, const char *path, struct err *e)
{
	unsigned char *a = aligned_alloc(DIRECT_ALIGN, PIECE_BYTES), *b = aligned_alloc(DIRECT_ALIGN, PIECE_BYTES);
	enum rc rc = RC_OK;
	ASSERT(a != NULL && b != NULL);
	for (off_t at = 0; rc == RC_OK; at += (off_t)PIECE_BYTES) {
		ssize_t held = read_piece(cached, a, at), there = read_piece(direct, b, at);
		if (there < 0 && errno == EINVAL)
			break; /* not with this file system */
		if (held < 0 || there < 0)
			rc = err_sys(e, RC_IO, "log.failed", errno, "read %s", path);
		else if (held != there || memcmp(a, b, (size_t)held) != 0)
			rc = err_set(e, RC_CORRUPT, "log.damaged",
				"the disk does not hold what was written to %s, near byte %jd; the kernel still does: "
				"copy the folder to another disk now, before a reboot, and start there",
				path, (intmax_t)at);
		if (rc != RC_OK || held < (ssize_t)PIECE_BYTES)
			break;
	}
	free(a);
	free(b);
	return rc;
}

/* After a failed sync the kernel may hold pages as clean that never reached the disk. Asked to forget them it keeps
 * those that another process has mapped, a projector for instance, so they are read past it and compared. Where that
 * cannot be done, as on tmpfs, what could be forgotten is read from the disk by whoever verifies. */
static enum rc
compare_with_disk(const char *dir, uint64_t first_seq, struct err *e)
{
	char name[DIR_NAME_BYTES];
	dir_segment_name(first_seq, name);
	char *path = dir_path(dir, name);
	enum rc rc = RC_OK;
	int cached = open(path, O_RDONLY | O_CLOEXEC), direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (cached < 0)
		rc = err_sys(e, RC_IO, "log.failed", errno, "open %s", path);
	else if (direct >= 0)
		rc = compare_pieces(cached, direct, path, e);
	if (cached >= 0)
		(void)posix_fadvise(cached, 0, 0, POSIX_FADV_DONTNEED);
	if (direct >= 0)
		close(direct);
	if (cached >= 0)
		close(cached);
	free(path);
	return rc;
}

struct findings {
	char first[512];
};

static void
keep_first(uint64_t seq, const char *text, void *context)
{
	struct findings *f = context;
	if (f->first[0] == '\0')
		snprintf(f->first, sizeof f->first, "record %" PRIu64 ": %s", seq, text);
}

/* The child's whole life: checks, writes what it found into the pipe, and says how it went. */
static void
child(const char *dir, uint64_t first_seq, bool thorough, int out)
{
	struct findings f = { .first = "" };
	struct store_verify_report report;
	struct store_reader *r;
	struct store_span span;
	struct err e = { .text = "" };
	uint64_t from = first_seq;
	enum rc rc = RC_OK;
	if (!thorough) {
		rc = store_reader_open(&r, dir, &e);
		if (rc == RC_OK)
			rc = store_span(r, &span, &e);
		if (rc == RC_OK && span.last_seq >= first_seq + GLANCE_RECORDS)
			from = span.last_seq - GLANCE_RECORDS + 1;
		if (rc == RC_OK)
			store_reader_close(r);
	}
	if (rc == RC_OK)
		rc = verify_run(&(struct store_verify_options){ .dir = dir, .first = from,
					.found = keep_first, .context = &f },
			VERIFY_RECORDS, 0, &report, &e);
	/* A new log whose first segment is empty, or gone with an unfinished start. */
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	const char *text = f.first[0] != '\0' ? f.first : e.text;
	if (rc != RC_OK && write(out, text, strlen(text)) < 0)
		_exit(RC_IO);
	_exit((int)rc);
}

static enum rc
check_in_child(const char *dir, uint64_t first_seq, bool thorough, struct err *e)
{
	int pipe_fds[2], status = -1;
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return err_sys(e, RC_IO, NULL, errno, "make a pipe");
	pid_t pid = fork();
	if (pid < 0) {
		int failed = errno;
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		return err_sys(e, RC_IO, NULL, failed, "fork");
	}
	if (pid == 0)
		child(dir, first_seq, thorough, pipe_fds[1]);
	close(pipe_fds[1]);
	char text[512];
	size_t len = 0;
	ssize_t n;
	while (len < sizeof text - 1 &&
		((n = read(pipe_fds[0], text + len, sizeof text - 1 - len)) > 0 || (n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	text[len] = '\0';
	close(pipe_fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == RC_OK)
		return RC_OK;
	if (WIFSIGNALED(status))
		return err_set(e, RC_CORRUPT, "log.damaged",
			"reading the end of the log %s killed the reader (signal %d); run `hooklog log verify`",
			dir, WTERMSIG(status));
	return err_set(e, WEXITSTATUS(status) <= RC_IO ? (enum rc)WEXITSTATUS(status) : RC_CORRUPT,
		WEXITSTATUS(status) == RC_INVALID ? "log.version" : "log.damaged", "%s: %s", dir, text);
}

enum rc
recover_check(const char *dir, struct err *e)
{
	struct arena *a = arena_new(4096);
	char *note = dir_path(dir, NOTE);
	uint64_t *firsts;
	size_t count;
	enum rc rc = dir_segments(dir, a, &firsts, &count, e);
	if (rc != RC_OK || count == 0)
		goto done;
	bool failed_before = fs_exists(note);
	if (failed_before)
		rc = compare_with_disk(dir, firsts[count - 1], e);
	if (rc == RC_OK)
		rc = check_in_child(dir, firsts[count - 1], failed_before, e);
	if (rc == RC_OK && failed_before) {
		LOG_WARN("log.failed", F_S("path", dir),
			F_S("note", "the last run stopped after a failed write; the log is sound, going on"));
		unlink(note);
	}
done:
	free(note);
	arena_free(a);
	return rc;
}
