/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crypto.h"
#include "base/fs.h"
#include "base/limits.h"
#include "cli/secret_file.h"

/* White space a file may have around the secret. */
#define SPACE_BYTES_MAX 64

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum rc
secret_read(const char *path, struct arena *a, struct bytes *secret, struct err *e)
{
	enum rc rc = fs_read(path, LIMIT_SECRET_BYTES + SPACE_BYTES_MAX, a, secret, e);
	if (rc != RC_OK)
		return rc;
	while (secret->len > 0 && is_space(secret->data[0])) {
		secret->data++;
		secret->len--;
	}
	while (secret->len > 0 && is_space(secret->data[secret->len - 1]))
		secret->len--;
	size_t len = secret->len;
	if (len >= LIMIT_SECRET_BYTES_MIN && len <= LIMIT_SECRET_BYTES)
		return RC_OK;
	secret_forget(secret);
	return err_set(e, RC_INVALID, NULL, "the secret in %s has %zu bytes; it must have %d to %d",
		path, len, LIMIT_SECRET_BYTES_MIN, LIMIT_SECRET_BYTES);
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
