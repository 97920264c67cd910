/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "replay/target.h"

/* Escaping makes at most six bytes of one. */
#define LINE_BYTES_MAX (6 * LIMIT_RECORD_BYTES)

struct ndjson {
	FILE *out;
	bool is_stdout, force;
	char path[PATH_MAX];
	char unfinished[PATH_MAX]; /* the file that is written; path appears when it is whole */
	struct buf line;
};

static bool
ndjson_accepts(const char *spec)
{
	return spec[0] != '\0' && (strncmp(spec, "file:", 5) == 0 || strstr(spec, "://") == NULL);
}

static enum rc
open_file(struct ndjson *t, struct err *e)
{
	if (!t->force && fs_exists(t->path))
		return err_set(e, RC_CONFLICT, NULL,
			"%s exists; choose another name or give --force", t->path);
	int n = snprintf(t->unfinished, sizeof(t->unfinished), "%s.XXXXXX", t->path);
	if (n < 0 || (size_t)n >= sizeof(t->unfinished)) {
		t->unfinished[0] = '\0';
		return err_set(e, RC_INVALID, NULL, "the path of the target is too long");
	}
	int fd = mkstemp(t->unfinished);
	if (fd < 0) {
		t->unfinished[0] = '\0';
		return err_sys(e, RC_IO, NULL, errno, "cannot write beside %s", t->path);
	}
	t->out = fdopen(fd, "w");
	if (t->out == NULL) {
		close(fd);
		return err_sys(e, RC_IO, NULL, errno, "open %s", t->path);
	}
	return RC_OK;
}

static enum rc
ndjson_close(void *state, bool complete, struct err *e)
{
	struct ndjson *t = state;
	enum rc rc = RC_OK;
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
	buf_free(&t->line);
	free(t);
	return rc;
}

static bool
ndjson_keeps(const void *state)
{
	return ((const struct ndjson *)state)->is_stdout;
}

static enum rc
ndjson_open(void **state, const struct replay_target_options *options, struct err *e)
{
	const char *spec = options->spec;
	if (options->secret.len > 0)
		return err_set(
			e, RC_INVALID, NULL, "a file is not signed; leave out --secret-file");
	struct ndjson *t = base_zalloc(sizeof(*t));
	t->line = buf_new(LINE_BYTES_MAX);
	t->force = options->force;
	*state = t;
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
		rc = open_file(t, e);
	if (rc != RC_OK) {
		(void)ndjson_close(t, false, NULL);
		*state = NULL;
	}
	return rc;
}

static enum rc
ndjson_send(void *state, const struct event *ev, struct replay_answer *answer UNUSED, struct err *e)
{
	struct ndjson *t = state;
	buf_clear(&t->line);
	event_put_json(&t->line, ev);
	buf_put_char(&t->line, '\n');
	if (t->line.overflow)
		return err_set(e, RC_INVALID, NULL, "event %" PRIu64 " is too large for one line",
			ev->seq);
	/* To a reader an event is sent when it left this process; a file counts as a whole. */
	if (fwrite(t->line.data, 1, t->line.len, t->out) != t->line.len ||
		(t->is_stdout && fflush(t->out) != 0))
		return err_sys(
			e, RC_IO, NULL, errno, "write %s", t->is_stdout ? "stdout" : t->path);
	return RC_OK;
}

const struct replay_target_kind replay_target_ndjson = {
	.name = "ndjson",
	.accepts = ndjson_accepts,
	.open = ndjson_open,
	.send = ndjson_send,
	.keeps = ndjson_keeps,
	.close = ndjson_close,
};
