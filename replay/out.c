/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "replay/out.h"
#include "replay/write_behind.h"

struct out {
	int fd; /* -1: not open */
	struct write_behind *behind; /* of a file that is open */
	bool is_stdout, force;
	char path[PATH_MAX];
	char unfinished[PATH_MAX]; /* the file that is written; path appears when it is whole */
};

bool
out_accepts(const char *spec)
{
	return spec[0] != '\0' && (strncmp(spec, "file:", 5) == 0 || strstr(spec, "://") == NULL);
}

/* Whether another path may help, and nothing else. */
static bool
is_about_path(int code)
{
	return code == ENOENT || code == ENOTDIR || code == EACCES || code == EPERM ||
	       code == EROFS || code == ENAMETOOLONG || code == ELOOP;
}

static enum rc
open_file(struct out *t, const char *run, struct err *e)
{
	if (!t->force && fs_exists(t->path))
		return err_set(e, RC_CONFLICT, NULL,
			"%s exists; choose another name or give --force", t->path);
	/* A run that goes on after a kill writes over what it left. */
	bool has_run = run != NULL && run[0] != '\0';
	int n = snprintf(
		t->unfinished, sizeof(t->unfinished), "%s.%s", t->path, has_run ? run : "XXXXXX");
	if (n < 0 || (size_t)n >= sizeof(t->unfinished)) {
		t->unfinished[0] = '\0';
		return err_set(e, RC_INVALID, NULL, "the path of the target is too long");
	}
	t->fd = has_run ? open(t->unfinished,
				  O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)
			: mkostemp(t->unfinished, O_CLOEXEC);
	if (t->fd < 0) {
		t->unfinished[0] = '\0';
		return err_sys(e, is_about_path(errno) ? RC_INVALID : RC_IO, NULL, errno,
			"cannot write beside %s", t->path);
	}
	t->behind = write_behind_new(t->fd);
	return RC_OK;
}

enum rc
out_close(void *state, bool complete, struct err *e)
{
	struct out *t = state;
	enum rc rc = RC_OK;
	if (t == NULL || t->is_stdout)
		goto done;
	int unwritten = complete ? write_behind_finish(t->behind) : 0;
	if (unwritten != 0)
		rc = err_sys(e, RC_IO, NULL, unwritten, "write %s", t->path);
	else if (complete && fsync(t->fd) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "sync %s", t->path);
	write_behind_free(t->behind);
	if (t->fd >= 0)
		close(t->fd);
	if (rc == RC_OK && complete) {
		/* The check at the start was only a courtesy; this one holds against another
		 * process. */
		int failed = renameat2(AT_FDCWD, t->unfinished, AT_FDCWD, t->path,
			t->force ? 0 : RENAME_NOREPLACE);
		if (failed != 0 && (errno == EINVAL || errno == ENOSYS))
			failed = rename(t->unfinished, t->path);
		if (failed != 0 && errno == EEXIST)
			rc = err_set(e, RC_CONFLICT, NULL,
				"%s appeared meanwhile; choose another name or give --force",
				t->path);
		else if (failed != 0)
			rc = err_sys(e, RC_IO, NULL, errno, "rename to %s", t->path);
		else
			t->unfinished[0] = '\0';
	}
	if (t->unfinished[0] != '\0')
		unlink(t->unfinished);
done:
	free(t);
	return rc;
}

bool
out_keeps(const void *state)
{
	return ((const struct out *)state)->is_stdout;
}

enum rc
out_open(void **state, const struct replay_target_options *options, struct err *e)
{
	const char *spec = options->spec;
	if (options->secret.len > 0)
		return err_set(
			e, RC_INVALID, NULL, "a file is not signed; leave out --secret-file");
	struct out *t = base_zalloc(sizeof(*t));
	t->force = options->force;
	t->fd = -1;
	if (strcmp(spec, "-") == 0) {
		t->is_stdout = true;
		t->fd = STDOUT_FILENO;
		*state = t;
		return RC_OK;
	}
	if (strncmp(spec, "file://", 7) == 0)
		spec += 7;
	else if (strncmp(spec, "file:", 5) == 0)
		spec += 5;
	enum rc rc = RC_OK;
	if (spec[0] == '\0' || strlen(spec) >= sizeof(t->path))
		rc = err_set(e, RC_INVALID, NULL, "the target names no file");
	snprintf(t->path, sizeof(t->path), "%s", spec);
	if (rc == RC_OK)
		rc = open_file(t, options->run, e);
	if (rc != RC_OK)
		(void)out_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

/* Whole, or the reason why not. */
static enum rc
write_stdout(int fd, struct iovec *pieces, size_t count, struct err *e)
{
	size_t first = 0;
	while (first < count) {
		size_t n = count - first < IOV_MAX ? count - first : IOV_MAX;
		ssize_t written = writev(fd, pieces + first, (int)n);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return err_sys(e, RC_IO, NULL, errno, "write stdout");
		size_t left = (size_t)written;
		for (; first < count && left >= pieces[first].iov_len; first++)
			left -= pieces[first].iov_len;
		if (left > 0) {
			pieces[first].iov_base = (unsigned char *)pieces[first].iov_base + left;
			pieces[first].iov_len -= left;
		}
	}
	return RC_OK;
}

enum rc
out_write(void *state, struct iovec *pieces, size_t count, struct err *e)
{
	struct out *t = state;
	if (t->is_stdout)
		return write_stdout(t->fd, pieces, count, e);
	int failed = write_behind_put(t->behind, pieces, count);
	return failed == 0 ? RC_OK : err_sys(e, RC_IO, NULL, failed, "write %s", t->path);
}
