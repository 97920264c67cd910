/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/arena.h"
#include "base/err.h"

/* Files that hold secrets. */

/* Who else may have rights on the file: nobody, or its group, as with what systemd hands over (its ACL
 * shows as rights of the group) and with the group ssl-cert. */
enum secret_access { SECRET_OWNER_ONLY, SECRET_GROUP_TOO };

/* Opens it for reading once nobody can read it who should not: a regular file of this user or root, with
 * no rights for others. *fd is the caller's. From the first call on the process leaves no core dump and
 * no debugger may look into it. Errors have the id given (a literal) and the remedy in their text.
 * RC_NOTFOUND; RC_INVALID: no regular file, or others have rights; RC_IO. Any thread. */
enum rc secret_open(int *fd, const char *path, enum secret_access access, const char *id,
	struct err *e) MUST_CHECK;

/* Reads the secret in such a file: its content without the white space around it, LIMIT_SECRET_BYTES_MIN to
 * LIMIT_SECRET_BYTES of it, or any number from 1 on when others have chosen it (chosen: a password, a token).
 * What was read on the way is wiped; *secret is in a, and secret_forget wipes it. Errors as secret_open;
 * RC_INVALID also: too short, too long. */
enum rc secret_read(const char *path, enum secret_access access, bool chosen, const char *id,
	struct arena *a, struct bytes *secret, struct err *e) MUST_CHECK;

/* Overwrites what secret_read gave, and empties it. Call it before the arena goes. */
void secret_forget(struct bytes *secret);

#endif
