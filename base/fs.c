/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

/* The folder that holds path, into out. */
static void
parent_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		snprintf(out, PATH_MAX, ".");
	else if (slash == path)
		snprintf(out, PATH_MAX, "/");
	else
		snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
}

enum rc
fs_sync_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, RC_IO, NULL, errno, "open folder %s", path);
	int failed = fsync(fd) == 0 ? 0 : errno;
	close(fd);
	if (failed != 0)
		return err_sys(e, RC_IO, NULL, failed, "sync folder %s", path);
	return RC_OK;
}

enum rc
fs_sync_parent(const char *path, struct err *e)
{
	char parent[PATH_MAX];
	parent_of(path, parent);
	return fs_sync_dir(parent, e);
}

static enum rc
mkdir_one(const char *path, struct err *e)
{
	if (mkdir(path, 0700) == 0) {
		char parent[PATH_MAX];
		parent_of(path, parent);
		return fs_sync_dir(parent, e);
	}
	int failed = errno;
	struct stat st;
	if (failed == EEXIST && stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return RC_OK;
		return err_set(e, RC_IO, "data-dir.unwritable",
			"%s exists and is not a folder; choose another path", path);
	}
	return err_sys(e, RC_IO, "data-dir.unwritable", failed,
		"cannot make folder %s; choose a folder this user may write to", path);
}

enum rc
fs_mkdir(const char *path, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof part)
		return err_set(e, RC_INVALID, NULL, "path is empty or too long: %s", path);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		struct stat st;
		/* Parents that exist may belong to somebody else; only the missing ones are made. */
		if (path[i] == '/' && stat(part, &st) == 0 && S_ISDIR(st.st_mode))
			continue;
		enum rc rc = mkdir_one(part, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc
fs_read(const char *path, size_t max_bytes, struct arena *a, struct bytes *out, struct err *e)
{
	enum rc rc = RC_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno == ENOENT ? RC_NOTFOUND : RC_IO, NULL, errno, "open %s", path);
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		rc = err_set(e, RC_INVALID, NULL, "%s is not a regular file", path);
		goto done;
	}
	if ((uintmax_t)st.st_size > max_bytes) {
		rc = err_set(e, RC_INVALID, NULL, "%s is larger than %zu bytes", path, max_bytes);
		goto done;
	}
	size_t size = (size_t)st.st_size, have = 0;
	unsigned char *data = arena_alloc(a, size + 1);
	while (have < size) {
		ssize_t n = read(fd, data + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = err_sys(e, RC_IO, NULL, errno, "read %s", path);
			goto done;
		}
		if (n == 0)
			break;
		have += (size_t)n;
	}
	data[have] = '\0';
	*out = (struct bytes){ data, have };
done:
	close(fd);
	return rc;
}

static enum rc
write_all(int fd, const char *path, struct bytes data, struct err *e)
{
	while (data.len > 0) {
		ssize_t n = write(fd, data.data, data.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno == ENOSPC ? RC_FULL : RC_IO, NULL, errno, "write %s", path);
		data.data += n;
		data.len -= (size_t)n;
	}
	if (fsync(fd) != 0)
		return err_sys(e, RC_IO, NULL, errno, "sync %s", path);
	return RC_OK;
}

enum rc
fs_write(const char *path, struct bytes data, unsigned mode, struct err *e)
{
	char temporary[PATH_MAX], parent[PATH_MAX];
	if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid()) >=
		sizeof temporary)
		return err_set(e, RC_INVALID, NULL, "path too long: %s", path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return err_sys(e, RC_IO, "data-dir.unwritable", errno,
			"cannot write %s; choose a folder this user may write to", path);
	enum rc rc = write_all(fd, temporary, data, e);
	close(fd);
	if (rc == RC_OK && rename(temporary, path) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "rename %s to %s", temporary, path);
	if (rc != RC_OK) {
		unlink(temporary);
		return rc;
	}
	parent_of(path, parent);
	return fs_sync_dir(parent, e);
}

bool
fs_exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}
