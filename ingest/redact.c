/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "ingest/redact.h"

/* For every source, since a sender may put any of them into any request. */
static const char *const secret_headers[] = {
	"Authorization",
	"Cookie",
	"Proxy-Authorization",
	"X-Gitlab-Token",
	NULL,
};

/* Hex digits of the HMAC that are kept. */
#define HASH_BYTES 8

static bool
in_list(struct bytes name, const char *const *list)
{
	for (; list != NULL && *list != NULL; list++) {
		if (bytes_is_nocase(name, *list))
			return true;
	}
	return false;
}

bool
redact_is_secret(const struct provider_setup *setup, struct bytes name)
{
	static const char hub[] = "X-Hub-Signature";
	if (name.len >= sizeof hub - 1 &&
		strncasecmp((const char *)name.data, hub, sizeof hub - 1) == 0)
		return true;
	return in_list(name, secret_headers) || in_list(name, setup->secret_headers);
}

/* The scheme of Authorization may be written in any case (RFC 9110 §11.1); the same credentials get the
 * same hash. */
static struct bytes
spell_scheme(struct bytes value, struct arena *a)
{
	static const char *const schemes[] = { "Basic ", "Bearer " };
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		size_t len = strlen(schemes[i]);
		if (value.len <= len ||
			!bytes_is_nocase((struct bytes){ value.data, len }, schemes[i]))
			continue;
		unsigned char *copy = arena_alloc(a, value.len);
		memcpy(copy, schemes[i], len);
		memcpy(copy + len, value.data + len, value.len - len);
		return (struct bytes){ copy, value.len };
	}
	return value;
}

struct bytes
redact_value(const unsigned char salt[REDACT_SALT_BYTES], struct bytes value, struct arena *a)
{
	unsigned char mac[SHA256_BYTES];
	struct buf text = buf_new(64);
	crypto_hmac_sha256(
		(struct bytes){ salt, REDACT_SALT_BYTES }, spell_scheme(value, a), mac);
	buf_put_str(&text, "redacted:");
	buf_put_hex(&text, mac, HASH_BYTES);
	struct bytes kept = arena_copy(a, buf_bytes(&text));
	buf_free(&text);
	return kept;
}

/* text, decoded when it can be. */
static struct bytes
plain(struct bytes text, struct arena *a)
{
	struct bytes decoded = provider_unescape(text, true, a);
	return decoded.data == NULL ? text : decoded;
}

struct bytes
redact_query(const struct provider_setup *setup, const unsigned char salt[REDACT_SALT_BYTES],
	struct bytes query, struct arena *a)
{
	const char *key = setup->secret_query;
	struct buf text = buf_new(2 * query.len + 1024);
	if (key == NULL || query.len == 0) {
		buf_free(&text);
		return arena_copy(a, query);
	}
	for (struct bytes rest = query;;) {
		const unsigned char *end = memchr(rest.data, '&', rest.len);
		size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);
		const unsigned char *equals = memchr(rest.data, '=', len);
		size_t name = equals == NULL ? len : (size_t)(equals - rest.data);
		if (name < len && bytes_is(plain((struct bytes){ rest.data, name }, a), key)) {
			const struct bytes value = { equals + 1, len - name - 1 };
			buf_put(&text, rest.data, name + 1);
			buf_put_bytes(&text, redact_value(salt, plain(value, a), a));
		} else {
			buf_put(&text, rest.data, len);
		}
		if (end == NULL)
			break;
		buf_put_char(&text, '&');
		rest = (struct bytes){ end + 1, rest.len - len - 1 };
		if (rest.len == 0)
			break;
	}
	struct bytes kept = arena_copy(a, buf_bytes(&text));
	buf_free(&text);
	return kept;
}

enum rc
redact_salt(const char *path, unsigned char salt[REDACT_SALT_BYTES], struct err *e)
{
	struct arena *a = arena_new(256);
	struct bytes data = { NULL, 0 };
	enum rc rc = fs_read(path, REDACT_SALT_BYTES + 1, a, &data, e);
	if (rc == RC_NOTFOUND) {
		crypto_random(salt, REDACT_SALT_BYTES);
		rc = fs_write(path, (struct bytes){ salt, REDACT_SALT_BYTES }, 0600, e);
	} else if (rc == RC_OK && data.len == REDACT_SALT_BYTES) {
		memcpy(salt, data.data, REDACT_SALT_BYTES);
	} else if (rc == RC_OK || rc == RC_INVALID) {
		rc = err_set(e, RC_INVALID, "ingest.salt",
			"%s is not the %d bytes it was made with; move it away to get a new salt",
			path, REDACT_SALT_BYTES);
	}
	arena_free(a);
	return rc;
}
