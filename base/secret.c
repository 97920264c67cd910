/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/secret.h"

/* White space around a secret that is read before it is trimmed. */
#define SPACE_BYTES_MAX 64

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

static enum rc
read_all(int fd, const char *path, unsigned char *data, size_t cap, size_t *len, const char *id,
	struct err *e)
{
	*len = 0;
	while (*len < cap) {
		ssize_t n = read(fd, data + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, RC_IO, id, errno, "read %s", path);
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return RC_OK;
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum rc
check_length(size_t len, bool chosen, const char *path, const char *id, struct err *e)
{
	if (len > LIMIT_SECRET_BYTES)
		return err_set(e, RC_INVALID, id, "%s: the secret is longer than %d bytes", path,
			LIMIT_SECRET_BYTES);
	if (len == 0 && chosen)
		return err_set(e, RC_INVALID, id, "%s is empty", path);
	if (len < LIMIT_SECRET_BYTES_MIN && !chosen)
		return err_set(e, RC_INVALID, id,
			"%s: the secret has %zu bytes, which can be guessed; use at least %d, such "
			"as the output of: openssl rand -hex 32",
			path, len, LIMIT_SECRET_BYTES_MIN);
	return RC_OK;
}

enum rc
secret_read(const char *path, enum secret_access access, bool chosen, const char *id,
	struct arena *a, struct bytes *secret, struct err *e)
{
	/* On the stack, to be wiped whatever happens. */
	unsigned char raw[LIMIT_SECRET_BYTES + SPACE_BYTES_MAX];
	size_t have = 0, start = 0;
	int fd = -1;
	enum rc rc = secret_open(&fd, path, access, id, e);
	if (rc != RC_OK)
		return rc;
	rc = read_all(fd, path, raw, sizeof raw, &have, id, e);
	while (have > 0 && is_space(raw[have - 1]))
		have--;
	while (start < have && is_space(raw[start]))
		start++;
	if (rc == RC_OK)
		rc = check_length(have - start, chosen, path, id, e);
	if (rc == RC_OK)
		*secret = arena_copy(a, (struct bytes){ raw + start, have - start });
	crypto_wipe(raw, sizeof raw);
	close(fd);
	return rc;
}

void
secret_forget(struct bytes *secret)
{
	/* The bytes are the arena's, which nobody else reads; struct bytes only lends them as
	 * const. */
	if (secret->len > 0)
		crypto_wipe((void *)(uintptr_t)secret->data, secret->len);
	*secret = (struct bytes){ NULL, 0 };
}
