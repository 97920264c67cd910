/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

/* A core dump or a debugger would show the secrets. Not with the sanitizers: their search for leaks
 * attaches to the process. */
static void
protect_process(void)
{
	const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
#ifndef SANITIZED
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

static enum rc
check_file(int fd, const char *path, enum secret_access access, const char *id, struct err *e)
{
	struct stat st;
	unsigned forbidden = access == SECRET_OWNER_ONLY ? 077 : 07;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, RC_INVALID, id, "%s is not a regular file", path);
	if ((st.st_mode & forbidden) != 0)
		return err_set(e, RC_INVALID, id,
			"%s can be read by others (mode %03o); run: chmod %s %s", path,
			(unsigned)st.st_mode & 0777u, access == SECRET_OWNER_ONLY ? "600" : "o-rwx",
			path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, RC_INVALID, id,
			"%s belongs to another user (%u), who can change it; run: chown %u %s",
			path, (unsigned)st.st_uid, (unsigned)geteuid(), path);
	return RC_OK;
}

enum rc
secret_open(int *fd, const char *path, enum secret_access access, const char *id, struct err *e)
{
	protect_process();
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return err_sys(e, errno == ENOENT ? RC_NOTFOUND : RC_IO, id, errno,
			"cannot open the secret file %s", path);
	enum rc rc = check_file(*fd, path, access, id, e);
	if (rc != RC_OK) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}
