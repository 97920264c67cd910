/* SPDX-License-Identifier: Apache-2.0 */
#include "event/sign.h"

static const char github_prefix[] = "sha256=";

void
sign_github(struct bytes secret, struct bytes body, struct buf *out)
{
	unsigned char mac[SHA256_BYTES];
	crypto_hmac_sha256(secret, body, mac);
	buf_put_str(out, github_prefix);
	buf_put_hex(out, mac, sizeof mac);
}

bool
sign_github_matches(struct bytes secret, struct bytes body, struct bytes header_value)
{
	const size_t prefix = sizeof github_prefix - 1;
	unsigned char want[SHA256_BYTES], got[SHA256_BYTES];
	if (secret.len == 0 || header_value.len != prefix + 2 * SHA256_BYTES ||
		memcmp(header_value.data, github_prefix, prefix) != 0 ||
		!crypto_unhex((struct bytes){ header_value.data + prefix, 2 * SHA256_BYTES }, got,
			SHA256_BYTES))
		return false;
	crypto_hmac_sha256(secret, body, want);
	return crypto_equal(want, got, sizeof want);
}

/* ---- relays ---- */

/* Lines, since no value of a header holds a line feed; the first one says what this is, so that a
 * signature made for anything else with the same secret does not fit. */
static void
relay_mac(struct bytes secret, const struct sign_relay *r, struct bytes body,
	unsigned char mac[SHA256_BYTES])
{
	const struct bytes values[] = { r->received_at, r->origin, r->event, r->delivery, r->hook };
	unsigned char hash[SHA256_BYTES];
	size_t len = 128;
	for (size_t i = 0; i < COUNT_OF(values); i++)
		len += values[i].len + 1;
	struct buf text = buf_new(len);
	crypto_sha256(body, hash);
	buf_printf(&text, "hooklog-relay-1\n%" PRId64 "\n", r->signed_at_s);
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		buf_put_bytes(&text, values[i]);
		buf_put_char(&text, '\n');
	}
	buf_put_hex(&text, hash, sizeof hash);
	ASSERT(!text.overflow);
	crypto_hmac_sha256(secret, buf_bytes(&text), mac);
	buf_free(&text);
}

void
sign_relay(struct bytes secret, const struct sign_relay *r, struct bytes body, struct buf *out)
{
	unsigned char mac[SHA256_BYTES];
	relay_mac(secret, r, body, mac);
	buf_printf(out, "t=%" PRId64 ",v1=", r->signed_at_s);
	buf_put_hex(out, mac, sizeof mac);
}

bool
sign_relay_read(struct bytes value, int64_t *signed_at_s, unsigned char mac[SHA256_BYTES])
{
	size_t at = 2;
	*signed_at_s = 0;
	if (value.len < 2 || memcmp(value.data, "t=", 2) != 0)
		return false;
	for (; at < value.len && value.data[at] >= '0' && value.data[at] <= '9' && at < 14; at++)
		*signed_at_s = *signed_at_s * 10 + (value.data[at] - '0');
	return at > 2 && value.len == at + 4 + 2 * SHA256_BYTES &&
	       memcmp(value.data + at, ",v1=", 4) == 0 &&
	       crypto_unhex((struct bytes){ value.data + at + 4, 2 * SHA256_BYTES }, mac,
		       SHA256_BYTES);
}

bool
sign_relay_matches(struct bytes secret, const struct sign_relay *r, struct bytes body,
	const unsigned char mac[SHA256_BYTES])
{
	unsigned char want[SHA256_BYTES];
	if (secret.len == 0)
		return false;
	relay_mac(secret, r, body, want);
	return crypto_equal(want, mac, sizeof want);
}

/* ---- Standard Webhooks ---- */

#define SIGNATURES_MAX 8
/* Longest of "{id}.{timestamp}." in front of a body. */
#define HEAD_BYTES_MAX ((size_t)64 * 1024)

static const struct {
	const char *version;
	size_t bytes;
} kinds[] = {
	[SIGN_STANDARD_V1] = { "v1", SHA256_BYTES },
	[SIGN_STANDARD_V1A] = { "v1a", ED25519_SIGNATURE_BYTES },
};

static bool
strip(struct bytes *text, const char *prefix)
{
	size_t len = strlen(prefix);
	if (text->len < len || memcmp(text->data, prefix, len) != 0)
		return false;
	text->data += len;
	text->len -= len;
	return true;
}

bool
sign_standard_key_read(struct bytes text, struct sign_standard_key *key)
{
	memset(key, 0, sizeof *key);
	if (strip(&text, "whsec_")) {
		key->can_sign = true;
		return crypto_unbase64(text, key->bytes, sizeof key->bytes, &key->len) &&
		       key->len >= 24;
	}
	key->kind = SIGN_STANDARD_V1A;
	if (strip(&text, "whpk_"))
		return crypto_unbase64(text, key->bytes + ED25519_KEY_BYTES, ED25519_KEY_BYTES,
			       &key->len) &&
		       key->len == ED25519_KEY_BYTES;
	if (!strip(&text, "whsk_") ||
		!crypto_unbase64(text, key->bytes, sizeof key->bytes, &key->len) ||
		key->len != sizeof key->bytes)
		return false;
	/* A public half of another key would sign what nobody can check. */
	unsigned char public_key[ED25519_KEY_BYTES];
	crypto_ed25519_public(key->bytes, public_key);
	key->can_sign = true;
	return memcmp(public_key, key->bytes + ED25519_KEY_BYTES, sizeof public_key) == 0;
}

struct signature {
	unsigned char bytes[ED25519_SIGNATURE_BYTES];
};

/* Takes "version,base64" apart. False: malformed. *ours: it is of that kind. */
static bool
read_one(struct bytes one, enum sign_standard_kind kind, struct signature *signature, bool *ours)
{
	const unsigned char *comma = one.len > 0 ? memchr(one.data, ',', one.len) : NULL;
	if (comma == NULL || comma == one.data || comma + 1 == one.data + one.len)
		return false;
	size_t len = 0, version = (size_t)(comma - one.data);
	const struct bytes text = { comma + 1, one.len - version - 1 };
	*ours = bytes_is((struct bytes){ one.data, version }, kinds[kind].version);
	if (*ours)
		return crypto_unbase64(text, signature->bytes, sizeof signature->bytes, &len) &&
		       len == kinds[kind].bytes;
	return memchr(text.data, ',', text.len) == NULL;
}

static bool
read_list(struct bytes list, enum sign_standard_kind kind, struct signature *signatures,
	size_t *count)
{
	*count = 0;
	for (;;) {
		const unsigned char *space = list.len > 0 ? memchr(list.data, ' ', list.len) : NULL;
		size_t len = space == NULL ? list.len : (size_t)(space - list.data);
		bool ours = false;
		if (*count == SIGNATURES_MAX || !read_one((struct bytes){ list.data, len }, kind,
							&signatures[*count], &ours))
			return false;
		*count += ours;
		if (space == NULL)
			return *count > 0;
		list = (struct bytes){ space + 1, list.len - len - 1 };
	}
}

bool
sign_standard_formed(enum sign_standard_kind kind, struct bytes header_value)
{
	struct signature signatures[SIGNATURES_MAX];
	size_t count;
	return read_list(header_value, kind, signatures, &count);
}

static void
mac_of(const struct sign_standard_key *key, const struct sign_standard_message *m,
	unsigned char mac[CRYPTO_MAC_BYTES_MAX])
{
	const struct bytes dot = bytes_str(".");
	const struct bytes parts[] = { m->id, dot, m->timestamp, dot, m->body };
	crypto_hmac_parts(
		CRYPTO_SHA256, (struct bytes){ key->bytes, key->len }, parts, COUNT_OF(parts), mac);
}

/* Ed25519 reads its message twice, so it has to be in one piece. */
static struct buf
whole_message(const struct sign_standard_message *m)
{
	struct buf whole = buf_new(m->body.len + HEAD_BYTES_MAX);
	buf_put_bytes(&whole, m->id);
	buf_put_char(&whole, '.');
	buf_put_bytes(&whole, m->timestamp);
	buf_put_char(&whole, '.');
	buf_put_bytes(&whole, m->body);
	return whole;
}

bool
sign_standard_matches(const struct sign_standard_key *key,
	const struct sign_standard_message *message, struct bytes header_value)
{
	struct signature signatures[SIGNATURES_MAX];
	size_t count;
	bool matched = false;
	if (key->len == 0 || !read_list(header_value, key->kind, signatures, &count))
		return false;
	if (key->kind == SIGN_STANDARD_V1) {
		unsigned char want[CRYPTO_MAC_BYTES_MAX];
		mac_of(key, message, want);
		for (size_t i = 0; i < count; i++)
			matched |= crypto_equal(want, signatures[i].bytes, SHA256_BYTES);
		return matched;
	}
	struct buf whole = whole_message(message);
	for (size_t i = 0; i < count && !whole.overflow; i++)
		matched |= crypto_ed25519_verify(
			key->bytes + ED25519_KEY_BYTES, buf_bytes(&whole), signatures[i].bytes);
	buf_free(&whole);
	return matched;
}

bool
sign_standard(const struct sign_standard_key *key, const struct sign_standard_message *message,
	struct buf *out)
{
	if (!key->can_sign)
		return false;
	buf_put_str(out, kinds[key->kind].version);
	buf_put_char(out, ',');
	if (key->kind == SIGN_STANDARD_V1) {
		unsigned char mac[CRYPTO_MAC_BYTES_MAX];
		mac_of(key, message, mac);
		crypto_put_base64(out, (struct bytes){ mac, SHA256_BYTES });
		return true;
	}
	unsigned char signature[ED25519_SIGNATURE_BYTES];
	struct buf whole = whole_message(message);
	bool fits = !whole.overflow;
	if (fits) {
		crypto_ed25519_sign(key->bytes, buf_bytes(&whole), signature);
		crypto_put_base64(out, (struct bytes){ signature, sizeof signature });
	}
	buf_free(&whole);
	return fits;
}
