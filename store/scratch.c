/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/scratch.h"

static void
empty_folder(const char *path)
{
	DIR *d = opendir(path);
	if (d == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
}

enum rc
scratch_make(const char *dir, const char *purpose, char **path, struct err *e)
{
	size_t len = strlen(dir), bytes;
	while (len > 1 && dir[len - 1] == '/')
		len--;
	bytes = len + strlen(purpose) + 8;
	*path = base_alloc(bytes);
	snprintf(*path, bytes, "%.*s.%s.tmp", (int)len, dir, purpose);
	empty_folder(*path);
	return fs_mkdir(*path, e);
}

enum rc
scratch_swap(const char *dir, const char *path, struct err *e)
{
	char parent[PATH_MAX];
	enum rc rc = fs_sync_dir(path, e);
	if (rc != RC_OK)
		return rc;
	if (renameat2(AT_FDCWD, path, AT_FDCWD, dir, RENAME_EXCHANGE) != 0)
		return err_sys(e, RC_IO, "data-dir.unwritable", errno,
			"cannot put %s in the place of %s; both must lie on one file system, and "
			"%s must not be "
			"a mount point",
			path, dir, dir);
	snprintf(parent, sizeof parent, "%s/..", dir);
	return fs_sync_dir(parent, e);
}

void
scratch_remove(char *path)
{
	if (path == NULL)
		return;
	empty_folder(path);
	rmdir(path);
	free(path);
}
