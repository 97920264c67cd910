/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "event/jpath.h"
#include "event/sign.h"
#include "ingest/provider.h"

bool
provider_is_claim(struct bytes text)
{
	if (text.len > PROVIDER_CLAIM_BYTES_MAX || !utf8_valid(text))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = text.data[i];
		/* 0xc2 0x80 to 0xc2 0x9f are the control characters above ASCII. */
		if (c < 0x20 || c == 0x7f || (c == 0xc2 && text.data[i + 1] < 0xa0))
			return false;
	}
	return true;
}

static enum rc
read_one(const struct event *head, const char *name, bool required, struct bytes *value,
	struct err *e)
{
	*value = (struct bytes){ (const unsigned char *)"", 0 };
	if (name == NULL)
		return RC_OK;
	struct bytes found = event_header_value(head, name);
	if (required && found.len == 0)
		return err_set(e, RC_INVALID, "ingest.malformed", "%s is missing", name);
	if (!provider_is_claim(found))
		return err_set(e, RC_INVALID, "ingest.malformed", "%s is malformed", name);
	if (found.data != NULL)
		*value = found;
	return RC_OK;
}

enum rc
provider_read_headers(const struct provider_headers *names, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	enum rc rc = read_one(head, names->event, true, &claims->event, e);
	/* Without its id a delivery could not be told from its own repetition. */
	if (rc == RC_OK)
		rc = read_one(head, names->delivery, true, &claims->delivery, e);
	if (rc == RC_OK)
		rc = read_one(head, names->hook, false, &claims->hook, e);
	if (names->signature != NULL)
		claims->signature = event_header_value(head, names->signature);
	return rc;
}

static bool
unhex_behind(const char *prefix, struct bytes signature, unsigned char mac[SHA256_BYTES])
{
	size_t len = strlen(prefix);
	if (signature.len != len + 2 * (size_t)SHA256_BYTES ||
		memcmp(signature.data, prefix, len) != 0)
		return false;
	return crypto_unhex(
		(struct bytes){ signature.data + len, signature.len - len }, mac, SHA256_BYTES);
}

bool
provider_hex_formed(const char *prefix, struct bytes signature)
{
	unsigned char mac[SHA256_BYTES];
	return unhex_behind(prefix, signature, mac);
}

bool
provider_hex_matches(const char *prefix, struct bytes signature, struct bytes secret,
	const struct bytes *parts, size_t count)
{
	unsigned char got[SHA256_BYTES], want[CRYPTO_MAC_BYTES_MAX];
	if (secret.len == 0 || !unhex_behind(prefix, signature, got))
		return false;
	crypto_hmac_parts(CRYPTO_SHA256, secret, parts, count, want);
	return crypto_equal(want, got, sizeof got);
}

bool
provider_form_message(struct provider_check *c)
{
	struct event ev = { .content_type = c->head->content_type, .body = c->body };
	struct err ignored;
	if (event_payload(&ev, c->a, &c->message, &ignored) != RC_OK)
		return false;
	/* Whatever stands beside the payload would be stored without having been signed. */
	bool is_form = c->message.data != c->body.data || c->message.len != c->body.len;
	return !is_form || memchr(c->body.data, '&', c->body.len) == NULL;
}

enum rc
provider_forge_read(const struct provider_forge *forge, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	enum rc rc = provider_read_headers(&forge->headers, head, claims, e);
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(forge->copies); i++) {
		const char *name = forge->copies[i].name, *prefix = forge->copies[i].prefix;
		if (name == NULL)
			break;
		struct bytes copy = event_header_value(head, name);
		size_t len = strlen(prefix);
		if (copy.data == NULL || claims->signature.data == NULL)
			continue;
		/* Without a secret the forges send the prefix alone. */
		if (copy.len < len || memcmp(copy.data, prefix, len) != 0 ||
			!bytes_equal((struct bytes){ copy.data + len, copy.len - len },
				claims->signature))
			rc = err_set(e, RC_DENIED, "ingest.signature",
				"%s and %s are different signatures", forge->headers.signature,
				name);
	}
	return rc;
}

bool
provider_forge_formed(const struct provider_setup *setup UNUSED, struct bytes signature)
{
	return provider_hex_formed("", signature);
}

bool
provider_forge_verify(const struct provider_check *c, struct bytes secret)
{
	return provider_hex_matches("", c->claims->signature, secret, &c->message, 1);
}

void
provider_forge_ping(const struct provider_forge *forge, struct bytes secret, struct arena *a,
	struct provider_ping *ping)
{
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str(
		"{\"ref\":\"refs/heads/main\",\"before\":\"\",\"after\":\"\",\"commits\":[],"
		"\"repository\":{\"id\":0,\"name\":\"test\",\"full_name\":\"hooklog/test\"},"
		"\"pusher\":{\"id\":0,\"login\":\"hooklog\"}}");
	provider_ping_add(ping, "User-Agent", bytes_str("hooklog"));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	provider_ping_add(ping, forge->headers.event, bytes_str("push"));
	provider_ping_add(ping, forge->headers.delivery, provider_uuid(a));
	provider_ping_sign(ping, forge->headers.signature, "", secret, &ping->body, 1, a);
	for (size_t i = 0; i < COUNT_OF(forge->copies) && forge->copies[i].name != NULL; i++)
		provider_ping_sign(ping, forge->copies[i].name, forge->copies[i].prefix, secret,
			&ping->body, 1, a);
}

static struct bytes
text_of(struct jpath_value value, struct arena *a)
{
	struct bytes text = bytes_str("");
	bool altered = false;
	if (value.type == JPATH_STRING)
		text = jpath_text(value, a, &altered);
	else if (value.type == JPATH_NUMBER)
		text = value.raw;
	/* Two ids that only differ in what cannot be written would become one. */
	return altered || !provider_is_claim(text) ? bytes_str("") : text;
}

bool
provider_json(struct bytes json, const char *const *paths, struct bytes *values, size_t count,
	struct arena *a)
{
	size_t slots[8];
	struct jpath_doc *doc = NULL;
	struct err ignored;
	ASSERT(count <= COUNT_OF(slots));
	struct jpath_set *set = jpath_set_new();
	bool right = true;
	for (size_t i = 0; i < count; i++) {
		values[i] = bytes_str("");
		right = right && jpath_add(set, paths[i], &slots[i], &ignored) == RC_OK;
	}
	right = right && jpath_walk(set, json, a, &doc, &ignored) == RC_OK;
	for (size_t i = 0; right && i < count; i++) {
		if (jpath_rows(doc, slots[i]) > 0)
			values[i] = text_of(jpath_get(doc, slots[i], 0), a);
	}
	jpath_set_free(set);
	return right;
}

bool
provider_token_matches(struct bytes token, struct bytes secret)
{
	unsigned char got[SHA256_BYTES], want[SHA256_BYTES];
	if (secret.len == 0 || token.data == NULL)
		return false;
	crypto_sha256(token, got);
	crypto_sha256(secret, want);
	return crypto_equal(got, want, sizeof got);
}

struct bytes
provider_authorization(const struct event *head, const char *scheme)
{
	struct bytes value = event_header_value(head, "Authorization");
	size_t len = strlen(scheme);
	if (value.len <= len || value.data[len] != ' ' ||
		!bytes_is_nocase((struct bytes){ value.data, len }, scheme))
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ value.data + len + 1, value.len - len - 1 };
}

struct bytes
provider_unescape(struct bytes text, bool plus_is_space, struct arena *a)
{
	unsigned char *out = arena_alloc(a, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		out[n] = text.data[i];
		if (text.data[i] == '+' && plus_is_space) {
			out[n] = ' ';
		} else if (text.data[i] == '%') {
			if (text.len - i < 3 ||
				!crypto_unhex((struct bytes){ text.data + i + 1, 2 }, &out[n], 1))
				return (struct bytes){ NULL, 0 };
			i += 2;
		}
		n++;
	}
	return (struct bytes){ out, n };
}

struct bytes
provider_query_value(struct bytes query, const char *key, struct arena *a)
{
	const struct bytes none = { NULL, 0 };
	struct bytes found = none;
	size_t len = strlen(key);
	while (query.len > 0) {
		const unsigned char *end = memchr(query.data, '&', query.len);
		size_t item = end == NULL ? query.len : (size_t)(end - query.data);
		if (item > len && query.data[len] == '=' && memcmp(query.data, key, len) == 0) {
			if (found.data != NULL)
				return none;
			found = (struct bytes){ query.data + len + 1, item - len - 1 };
		}
		size_t used = item + (end != NULL);
		query = (struct bytes){ query.data + used, query.len - used };
	}
	return found.data == NULL ? none : provider_unescape(found, true, a);
}

bool
provider_parse_seconds(struct bytes text, int64_t *seconds)
{
	*seconds = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		*seconds = *seconds * 10 + (text.data[i] - '0');
		if (i == 15)
			return false;
	}
	return text.len > 0;
}

struct bytes
provider_now(struct arena *a)
{
	return bytes_str(arena_printf(a, "%" PRId64, clock_now_us() / 1000000));
}

struct bytes
provider_uuid(struct arena *a)
{
	unsigned char r[16];
	crypto_random(r, sizeof r);
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	return bytes_str(arena_printf(a,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
		r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
		r[15]));
}

void
provider_ping_add(struct provider_ping *ping, const char *name, struct bytes value)
{
	ASSERT(ping->header_count < PROVIDER_PING_HEADERS);
	ping->headers[ping->header_count++] = (struct event_header){ bytes_str(name), value };
}

void
provider_ping_sign(struct provider_ping *ping, const char *name, const char *prefix,
	struct bytes secret, const struct bytes *parts, size_t count, struct arena *a)
{
	if (secret.len == 0)
		return;
	unsigned char mac[CRYPTO_MAC_BYTES_MAX];
	struct buf text = buf_new(256);
	crypto_hmac_parts(CRYPTO_SHA256, secret, parts, count, mac);
	buf_put_str(&text, prefix);
	buf_put_hex(&text, mac, SHA256_BYTES);
	provider_ping_add(ping, name, arena_copy(a, buf_bytes(&text)));
	buf_free(&text);
}

enum rc
provider_ping_standard(struct provider_ping *ping, struct bytes id, struct bytes secret,
	struct arena *a, struct err *e)
{
	const struct sign_standard_message message = { id, provider_now(a), ping->body };
	provider_ping_add(ping, SIGN_STANDARD_ID, id);
	provider_ping_add(ping, SIGN_STANDARD_TIMESTAMP, message.timestamp);
	if (secret.len == 0)
		return RC_OK;
	struct sign_standard_key key;
	struct buf text = buf_new(256);
	bool done = sign_standard_key_read(secret, &key) && sign_standard(&key, &message, &text);
	crypto_wipe(&key, sizeof key);
	if (done)
		provider_ping_add(ping, SIGN_STANDARD_SIGNATURE, arena_copy(a, buf_bytes(&text)));
	buf_free(&text);
	return done ? RC_OK
		    : err_set(e, RC_INVALID, "ingest.source",
			      "this source only has a public key: nobody but the sender can sign "
			      "for it");
}

const char *
provider_option_value(const struct provider_pair *pairs, size_t count, const char *name)
{
	const char *value = NULL;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(pairs[i].name, name) == 0)
			value = pairs[i].value;
	}
	return value;
}
