/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RECOVER_H
#define STORE_RECOVER_H

#include "store/store.h"

/* What happens between a writer that died or gave up and the next one. */

/* Leaves a note that the writer stopped after a failed write: the page cache is not to be believed. */
void recover_note_failure(const char *dir, const struct err *e);

/* Looks at the end of the log in a child process before this one opens it, since damage in LMDB's
 * pages kills who reads them. After a noted failure, compares the last segment with what the disk holds, past the
 * page cache, reads all of it, and removes the note when it is sound. Call with the writer's lock held and no
 * segment open. RC_CORRUPT: damaged, or the disk holds something else. */
enum rc recover_check(const char *dir, struct err *e) MUST_CHECK;

#endif
