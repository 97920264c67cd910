/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "replay/failures.h"
#include "replay/journal.h"

#define MAGIC "HLREPLAY"
#define VERSION 1
#define SYNC_EVERY_MS 1000

struct journal {
	char name[JOURNAL_NAME_BYTES];
	int fd; /* of state; holds the lock */
	struct journal_state *state;
	int failed_fd;
	struct failures failures;
	int64_t synced_ms;
};

static enum rc
write_failed(struct err *e, const char *what)
{
	enum rc rc = errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_IO;
	return err_sys(e, rc, rc == RC_FULL ? "disk-full" : NULL, errno, "write %s", what);
}

/* A lock that only asks can see without taking it; ends with the process. */
static bool
lock(int fd, bool only_ask)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (only_ask)
		return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type == F_UNLCK;
	return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

/* Opens the folder's files; locks and maps the state. */
static enum rc
attach(struct journal *r, const char *dir, const char *name, int flags, struct err *e)
{
	char path[PATH_MAX];
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(path, sizeof(path), "%s/%s/state", dir, name);
	r->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (r->fd < 0 && errno == ENOENT)
		return err_set(e, RC_NOTFOUND, NULL, "there is no '%s' in %s", name, dir);
	if (r->fd < 0)
		return err_sys(e, RC_IO, NULL, errno, "open %s", path);
	if (!lock(r->fd, false))
		return err_set(
			e, RC_AGAIN, "replay.running", "another process is at work on '%s'", name);
	struct stat st;
	if ((flags & O_CREAT) != 0 && ftruncate(r->fd, sizeof(*r->state)) != 0)
		return write_failed(e, path);
	if (fstat(r->fd, &st) != 0 || st.st_size != (off_t)sizeof(*r->state))
		return err_set(e, RC_CORRUPT, "replay.record", "%s is damaged", path);
	/* A page that cannot be written back later would be a signal: take the blocks now. */
	int failed = posix_fallocate(r->fd, 0, sizeof(*r->state));
	if (failed != 0 && failed != EOPNOTSUPP && failed != EINVAL) {
		errno = failed;
		return write_failed(e, path);
	}
	void *map = mmap(NULL, sizeof(*r->state), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (map == MAP_FAILED)
		return err_sys(e, RC_IO, NULL, errno, "map %s", path);
	r->state = map;
	snprintf(path, sizeof(path), "%s/%s/failed.ndjson", dir, name);
	r->failed_fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (r->failed_fd < 0)
		return err_sys(e, RC_IO, NULL, errno, "open %s", path);
	return RC_OK;
}

static struct journal *
allocate(void)
{
	struct journal *r = base_zalloc(sizeof(*r));
	r->fd = r->failed_fd = -1;
	return r;
}

enum rc
journal_new(struct journal **out, const char *dir, const char *name, const struct replay_options *o,
	const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t from_seq, uint64_t to_seq,
	struct err *e)
{
	char path[PATH_MAX];
	struct journal *r = allocate();
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	enum rc rc = fs_mkdir(dir, e);
	if (rc == RC_OK && mkdir(path, 0700) != 0)
		rc = errno == EEXIST ? err_set(e, RC_CONFLICT, NULL, "'%s' exists", name)
				     : err_sys(e, RC_IO, NULL, errno, "make %s", path);
	if (rc == RC_OK)
		rc = journal_rewrite(dir, name, o, e);
	if (rc == RC_OK)
		rc = attach(r, dir, name, O_CREAT | O_EXCL, e);
	if (rc != RC_OK) {
		journal_close(r);
		return rc;
	}
	struct journal_state *s = r->state;
	s->version = VERSION;
	memcpy(s->log_id, log_id, STORE_LOG_ID_BYTES);
	s->from_seq = from_seq;
	s->to_seq = to_seq;
	s->started_us = s->updated_us = clock_now_us();
	window_reset(&s->window, from_seq - 1);
	memcpy(s->magic, MAGIC, sizeof(s->magic));
	journal_sync(r, true);
	rc = fs_sync_dir(path, e);
	if (rc == RC_OK)
		rc = fs_sync_dir(dir, e);
	if (rc != RC_OK)
		journal_close(r);
	else
		*out = r;
	return rc;
}

enum rc
journal_open(struct journal **out, const char *dir, const char *name, struct err *e)
{
	struct journal *r = allocate();
	enum rc rc = RC_OK;
	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
		strlen(name) >= JOURNAL_NAME_BYTES)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no '%.100s' in %s", name, dir);
	if (rc == RC_OK)
		rc = attach(r, dir, name, 0, e);
	if (rc == RC_OK && (memcmp(r->state->magic, MAGIC, sizeof(r->state->magic)) != 0 ||
				   r->state->version != VERSION))
		rc = err_set(e, RC_CORRUPT, "replay.record", "the state of '%s' is damaged", name);
	if (rc == RC_OK)
		rc = failures_read(&r->failures, r->failed_fd, e);
	if (rc != RC_OK) {
		journal_close(r);
		return rc;
	}
	window_recover(&r->state->window);
	r->state->failed = r->failures.count;
	*out = r;
	return RC_OK;
}

enum rc
journal_remove(const char *dir, const char *name, struct err *e)
{
	static const char *const files[] = { "state", "failed.ndjson", "options.json",
		"control.json" };
	char path[PATH_MAX];
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, name, files[i]);
		if (unlink(path) != 0 && errno != ENOENT)
			return err_sys(e, RC_IO, NULL, errno, "remove %s", path);
	}
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (rmdir(path) != 0)
		return err_sys(e, RC_IO, NULL, errno, "remove %s", path);
	return RC_OK;
}

void
journal_close(struct journal *r)
{
	if (r == NULL)
		return;
	if (r->state != NULL) {
		journal_sync(r, true);
		munmap(r->state, sizeof(*r->state));
	}
	if (r->failed_fd >= 0)
		close(r->failed_fd);
	if (r->fd >= 0)
		close(r->fd);
	failures_free(&r->failures);
	free(r);
}

const char *
journal_name(const struct journal *r)
{
	return r->name;
}

struct journal_state *
journal_state(struct journal *r)
{
	return r->state;
}

void
journal_sync(struct journal *r, bool now)
{
	int64_t ms = clock_monotonic_ms();
	if (!now && ms - r->synced_ms < SYNC_EVERY_MS)
		return;
	r->synced_ms = ms;
	r->state->updated_us = clock_now_us();
	/* What a failed sync loses is sent again: no event is lost by it. */
	(void)msync(r->state, sizeof(*r->state), MS_SYNC);
}

static enum rc
append_line(int fd, const struct buf *line, const char *what, struct err *e)
{
	if (write(fd, line->data, line->len) != (ssize_t)line->len || fdatasync(fd) != 0)
		return write_failed(e, what);
	return RC_OK;
}

enum rc
journal_failed(struct journal *r, uint64_t seq, int status, uint64_t attempts, const char *why,
	struct err *e)
{
	char at[CLOCK_TEXT_BYTES];
	struct buf line = buf_new(16384);
	clock_format_us(clock_now_us(), at);
	buf_printf(&line,
		"{\"seq\":%" PRIu64 ",\"status\":%d,\"attempts\":%" PRIu64
		",\"at\":\"%s\",\"why\":",
		seq, status, attempts, at);
	buf_put_json(&line, utf8_valid(bytes_str(why)) ? bytes_str(why) : bytes_str("?"));
	buf_put_str(&line, "}\n");
	enum rc rc = append_line(r->failed_fd, &line, "failed.ndjson", e);
	buf_free(&line);
	if (rc == RC_OK)
		failures_add(&r->failures, seq);
	r->state->failed = r->failures.count;
	return rc;
}

enum rc
journal_mended(struct journal *r, uint64_t seq, struct err *e)
{
	if (!failures_remove(&r->failures, seq))
		return RC_OK;
	struct buf line = buf_new(128);
	buf_printf(&line, "{\"seq\":%" PRIu64 ",\"delivered\":true}\n", seq);
	enum rc rc = append_line(r->failed_fd, &line, "failed.ndjson", e);
	buf_free(&line);
	r->state->failed = r->failures.count;
	return rc;
}

const uint64_t *
journal_failures(const struct journal *r, size_t *count)
{
	*count = r->failures.count;
	return r->failures.seqs;
}

enum rc
journal_read(const char *dir, const char *name, struct arena *a, struct journal_state *state,
	bool *running, const struct journal_failure **list, size_t *count, struct err *e)
{
	const char *path = arena_printf(a, "%s/%s/state", dir, name);
	bool plain = name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
	enum rc rc = RC_OK;
	int failed_fd = -1;
	int fd = plain ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return err_set(e, RC_NOTFOUND, NULL, "there is no '%s' in %s", name, dir);
	*running = !lock(fd, true);
	if (pread(fd, state, sizeof(*state), 0) != (ssize_t)sizeof(*state) ||
		memcmp(state->magic, MAGIC, sizeof(state->magic)) != 0 ||
		state->version != VERSION) {
		rc = err_set(e, RC_CORRUPT, "replay.record", "%s is damaged", path);
		goto done;
	}
	state->error[sizeof(state->error) - 1] = state->error_id[sizeof(state->error_id) - 1] =
		'\0';
	if (list == NULL)
		goto done;
	failed_fd = open(arena_printf(a, "%s/%s/failed.ndjson", dir, name), O_RDONLY | O_CLOEXEC);
	*list = NULL;
	*count = 0;
	if (failed_fd >= 0)
		rc = failures_list(failed_fd, a, list, count, e);
done:
	if (failed_fd >= 0)
		close(failed_fd);
	close(fd);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	return strcmp(*x, *y);
}

enum rc
journal_list(
	const char *dir, struct arena *a, const char *const **names, size_t *count, struct err *e)
{
	size_t cap = 64, n = 0;
	const char **list = arena_alloc(a, cap * sizeof(*list));
	*names = list;
	*count = 0;
	DIR *d = opendir(dir);
	if (d == NULL && errno == ENOENT)
		return RC_OK;
	if (d == NULL)
		return err_sys(e, RC_IO, NULL, errno, "open %s", dir);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		const char *state = arena_printf(a, "%s/%s/state", dir, entry->d_name);
		if (entry->d_name[0] == '.' || !fs_exists(state))
			continue;
		if (n == cap) {
			const char **more = arena_alloc(a, 2 * cap * sizeof(*list));
			memcpy(more, list, cap * sizeof(*list));
			list = more;
			cap *= 2;
		}
		list[n++] = arena_string(a, bytes_str(entry->d_name));
	}
	closedir(d);
	qsort(list, n, sizeof(*list), by_name);
	*names = list;
	*count = n;
	return RC_OK;
}

const char *
journal_status_name(uint32_t status)
{
	static const char *const names[] = { "started", "complete", "interrupted", "stopped" };
	return status < COUNT_OF(names) ? names[status] : "unknown";
}

enum rc
journal_audit(
	const char *dir, const char *action, const char *name, struct bytes fields, struct err *e)
{
	char at[CLOCK_TEXT_BYTES], path[PATH_MAX], space[4096];
	struct passwd entry, *user = NULL;
	struct buf line = buf_new(LIMIT_CONFIG_FILE_BYTES);
	enum rc rc = fs_mkdir(dir, e);
	if (rc != RC_OK)
		return rc;
	(void)getpwuid_r(getuid(), &entry, space, sizeof(space), &user);
	clock_format_us(clock_now_us(), at);
	buf_printf(&line, "{\"at\":\"%s\",\"action\":\"%s\",\"name\":", at, action);
	buf_put_json(&line, bytes_str(name));
	buf_printf(&line, ",\"uid\":%u,\"user\":", (unsigned)getuid());
	buf_put_json(&line, bytes_str(user == NULL ? "" : user->pw_name));
	buf_printf(&line, ",\"pid\":%ld%s", (long)getpid(), fields.len > 0 ? "," : "");
	buf_put_bytes(&line, fields);
	buf_put_str(&line, "}\n");
	snprintf(path, sizeof(path), "%s/audit.ndjson", dir);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = err_sys(e, RC_IO, NULL, errno, "open %s", path);
	} else {
		rc = append_line(fd, &line, path, e);
		close(fd);
	}
	buf_free(&line);
	return rc;
}
