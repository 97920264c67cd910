/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

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

#endif
