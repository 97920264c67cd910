/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/secret.h"
#include "ingest/sources.h"

/* How secrets get into the process, and stay there. */

#define SOURCE_ID "ingest.source"

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

static enum rc
read_secret(const char *path, enum secret_access access, unsigned char *out, size_t *len,
	struct err *e)
{
	struct arena *a = arena_new(LIMIT_SECRET_BYTES);
	struct bytes secret = { NULL, 0 };
	enum rc rc = secret_read(path, access, false, SOURCE_ID, a, &secret, e);
	if (rc == RC_OK) {
		*len = secret.len;
		memcpy(out, secret.data, secret.len);
	}
	secret_forget(&secret);
	arena_free(a);
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
