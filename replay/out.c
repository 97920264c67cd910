/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "replay/out.h"

/* Some lines of 10 KB. Small enough to be in the processor's cache still when it is written out. */
#define OUT_BUFFER_BYTES ((size_t)128 * 1024)
/* The disk is told to begin when so much more is there for it, so that less is left for the end. */
#define OUT_AHEAD_BYTES ((int64_t)8 * 1024 * 1024)

struct out {
	FILE *out;
	char *buffer;
	int64_t written, begun; /* bytes of the file, and how many the disk was told of */
	bool is_stdout, force;
	char path[PATH_MAX];
	char unfinished[PATH_MAX]; /* the file that is written; path appears when it is whole */
};

bool
out_accepts(const char *spec)
{
	return spec[0] != '\0' && (strncmp(spec, "file:", 5) == 0 || strstr(spec, "://") == NULL);
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
	int fd = has_run ? open(t->unfinished,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)
			 : mkstemp(t->unfinished);
	if (fd < 0) {
		t->unfinished[0] = '\0';
		return err_sys(e, RC_IO, NULL, errno, "cannot write beside %s", t->path);
	}
	t->out = fdopen(fd, "w");
	if (t->out == NULL) {
		close(fd);
		return err_sys(e, RC_IO, NULL, errno, "open %s", t->path);
	}
	t->buffer = base_alloc(OUT_BUFFER_BYTES);
	(void)setvbuf(t->out, t->buffer, _IOFBF, OUT_BUFFER_BYTES);
	return RC_OK;
}

enum rc
out_close(struct out *t, bool complete, struct err *e)
{
	enum rc rc = RC_OK;
	if (t == NULL)
		return RC_OK;
	if (t->out != NULL && fflush(t->out) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "write %s", t->is_stdout ? "stdout" : t->path);
	if (t->is_stdout)
		goto done;
	if (rc == RC_OK && complete && fsync(fileno(t->out)) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "sync %s", t->path);
	if (t->out != NULL)
		fclose(t->out);
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
	free(t->buffer);
	free(t);
	return rc;
}

bool
out_keeps(const struct out *t)
{
	return t->is_stdout;
}

enum rc
out_open(struct out **out, const struct replay_target_options *options, struct err *e)
{
	const char *spec = options->spec;
	if (options->secret.len > 0)
		return err_set(
			e, RC_INVALID, NULL, "a file is not signed; leave out --secret-file");
	struct out *t = base_zalloc(sizeof(*t));
	t->force = options->force;
	*out = t;
	if (strcmp(spec, "-") == 0) {
		t->is_stdout = true;
		t->out = stdout;
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
	if (rc != RC_OK) {
		(void)out_close(t, false, NULL);
		*out = NULL;
	}
	return rc;
}

enum rc
out_write(struct out *t, struct bytes data, struct err *e)
{
	if (fwrite(data.data, 1, data.len, t->out) != data.len ||
		(t->is_stdout && fflush(t->out) != 0))
		return err_sys(
			e, RC_IO, NULL, errno, "write %s", t->is_stdout ? "stdout" : t->path);
	t->written += (int64_t)data.len;
	if (!t->is_stdout && t->written - t->begun >= OUT_AHEAD_BYTES) {
		/* Only a hint: the sync at the end counts. What is buffered here is not lost by it. */
		(void)sync_file_range(fileno(t->out), t->begun, t->written - t->begun,
			SYNC_FILE_RANGE_WRITE);
		t->begun = t->written;
	}
	return RC_OK;
}
