/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_WRITE_BEHIND_H
#define REPLAY_WRITE_BEHIND_H

#include <sys/uio.h>

#include "base/base.h"

/* Writes a new file while its bytes are still being made: they are collected in blocks, and a thread of its own hands
 * full ones to the disk, past the page cache where the file system can (O_DIRECT), so that the kernel copies
 * nothing and the disk is busy from the first block on (docs/adr/0035-files-by-turns.md). Memory: 16 blocks of
 * 1 MiB. One thread at a time calls it. */

struct write_behind;

/* Writes to fd from its first byte on. fd is an empty regular file, stays the caller's and open until
 * write_behind_free. */
struct write_behind *write_behind_new(int fd);

/* Copies the pieces. 0, or the error number of what has failed so far, which need not be about these bytes. Waits while
 * the disk is 16 blocks behind. */
int write_behind_put(struct write_behind *w, const struct iovec *pieces, size_t count) MUST_CHECK;

/* Returns when everything is written, though not synced. 0 or an error number. Nothing can be put afterwards. */
int write_behind_finish(struct write_behind *w) MUST_CHECK;

/* Without write_behind_finish before, what is not written yet is dropped. NULL is fine. */
void write_behind_free(struct write_behind *w);

#endif
