/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include "base/arena.h"
#include "base/err.h"

/* Files and folders. Paths are NUL-terminated. Any thread. Errors name the path and the remedy. */

/* Makes path and its missing parents with mode 0700 for each new one; fsyncs every parent that got a
 * new entry. RC_IO: a part exists and is no folder, or is not writable. */
enum rc fs_mkdir(const char *path, struct err *e) MUST_CHECK;

/* Makes the folder's entries durable. */
enum rc fs_sync_dir(const char *path, struct err *e) MUST_CHECK;

/* fs_sync_dir of the folder that holds path. */
enum rc fs_sync_parent(const char *path, struct err *e) MUST_CHECK;

/* Reads a whole regular file into a. RC_NOTFOUND; RC_INVALID when it is larger than max_bytes. */
enum rc fs_read(const char *path, size_t max_bytes, struct arena *a, struct bytes *out,
	struct err *e) MUST_CHECK;

/* Replaces path as a whole: temporary file with the mode, fsync, rename, fsync of the folder. After a
 * crash the old or the new content is there, never a part. */
enum rc fs_write(const char *path, struct bytes data, unsigned mode, struct err *e) MUST_CHECK;

bool fs_exists(const char *path);

#endif
