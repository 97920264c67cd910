/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SECRET_FILE_H
#define CLI_SECRET_FILE_H

#include "base/arena.h"
#include "base/err.h"

/* Reads a secret: the content of a file without the white space around it. *secret points into a;
 * call secret_forget before the arena goes. RC_NOTFOUND, RC_IO. RC_INVALID: fewer than
 * LIMIT_SECRET_BYTES_MIN or more than LIMIT_SECRET_BYTES bytes. */
enum rc secret_read(
	const char *path, struct arena *a, struct bytes *secret, struct err *e) MUST_CHECK;

/* Overwrites what secret_read gave, and empties it. */
void secret_forget(struct bytes *secret);

#endif
