/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/secret.h"
#include "ingest/sources.h"

/* How secrets get into the process, and stay there. */

#define SOURCE_ID "ingest.source"
/* White space around a secret that is read before it is trimmed. */
#define SECRET_FILE_SLACK 64

void
source_key_id(struct bytes secret, char out[SOURCE_KEY_ID_BYTES + 1])
{
	/* The prefix keeps the id useless as a step towards any other hash of the secret. */
	const struct bytes parts[] = { bytes_str("hooklog key id"), secret };
	unsigned char hash[SHA256_BYTES];
	crypto_sha256_parts(parts, COUNT_OF(parts), hash);
	snprintf(out, SOURCE_KEY_ID_BYTES + 1, "%02x%02x%02x%02x", hash[0], hash[1], hash[2],
		hash[3]);
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum rc
check_secret(struct bytes secret, const char *where, struct err *e)
{
	if (secret.len < LIMIT_SECRET_BYTES_MIN)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: the secret has %zu bytes, which can be guessed; use at least %d, such "
			"as the output of: openssl rand -hex 32",
			where, secret.len, LIMIT_SECRET_BYTES_MIN);
	if (secret.len > LIMIT_SECRET_BYTES)
		return err_set(e, RC_INVALID, SOURCE_ID, "%s: the secret is longer than %d bytes",
			where, LIMIT_SECRET_BYTES);
	return RC_OK;
}

static enum rc
read_file(int fd, const char *path, unsigned char *data, size_t cap, size_t *len, struct err *e)
{
	*len = 0;
	while (*len < cap) {
		ssize_t n = read(fd, data + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, RC_IO, SOURCE_ID, errno, "read %s", path);
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return RC_OK;
}

static enum rc
read_secret(const char *path, enum secret_access access, unsigned char *out, size_t *len,
	struct err *e)
{
	/* Not fs_read: its memory is not wiped. */
	unsigned char raw[LIMIT_SECRET_BYTES + SECRET_FILE_SLACK];
	size_t have = 0, start = 0;
	int fd = -1;
	enum rc rc = secret_open(&fd, path, access, SOURCE_ID, e);
	if (rc != RC_OK)
		return rc;
	rc = read_file(fd, path, raw, sizeof raw, &have, e);
	if (rc != RC_OK)
		goto done;
	while (have > 0 && is_space(raw[have - 1]))
		have--;
	while (start < have && is_space(raw[start]))
		start++;
	rc = check_secret((struct bytes){ raw + start, have - start }, path, e);
	if (rc != RC_OK)
		goto done;
	*len = have - start;
	memcpy(out, raw + start, *len);
done:
	crypto_wipe(raw, sizeof raw);
	close(fd);
	return rc;
}

enum rc
source_read_secret(const char *path, unsigned char *out, size_t *len, struct err *e)
{
	return read_secret(path, SECRET_OWNER_ONLY, out, len, e);
}

enum rc
source_read_credential(const char *name, unsigned char *out, size_t *len, struct err *e)
{
	char path[4096];
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	if (dir == NULL || dir[0] == '\0')
		return err_set(e, RC_NOTFOUND, SOURCE_ID,
			"%s: CREDENTIALS_DIRECTORY is not set; add LoadCredential=%s:<file> to the "
			"unit",
			name, name);
	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
		(size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
		return err_set(e, RC_INVALID, SOURCE_ID, "\"%s\" is no name of a credential", name);
	return read_secret(path, SECRET_GROUP_TOO, out, len, e);
}

bool
source_secret_active(const struct source_secret *secret, int64_t at_us)
{
	return secret->value.len > 0 && at_us >= secret->not_before_us &&
	       at_us < secret->not_after_us;
}

struct bytes
source_signing_secret(const struct source *source, int64_t now_us)
{
	for (size_t i = 0; i < source->secret_count; i++) {
		if (source_secret_active(&source->secrets[i], now_us))
			return source->secrets[i].value;
	}
	return (struct bytes){ NULL, 0 };
}
