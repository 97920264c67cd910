/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider/generic.h"
#include "ingest/provider_table.h"

/* Whoever has no provider of his own here: everything is the source's configuration. */

static enum rc
read_claims(const struct provider_setup *base, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	const struct generic_setup *s = (const struct generic_setup *)base;
	const struct provider_headers names = { NULL, s->id_header, s->hook_header,
		s->proof_header };
	enum rc rc = provider_read_headers(&names, head, claims, e);
	if (rc != RC_OK)
		return rc;
	struct bytes event = { NULL, 0 };
	if (s->event_header != NULL)
		event = event_header_value(head, s->event_header);
	if (!provider_is_claim(event))
		return err_set(
			e, RC_INVALID, "ingest.malformed", "%s is malformed", s->event_header);
	if (event.data != NULL)
		claims->event = event;
	if (s->timestamp_header != NULL)
		claims->timestamp = event_header_value(head, s->timestamp_header);
	/* verify looks for the key; without any query there is nothing to look at. */
	if (s->auth == GENERIC_QUERY && head->query.len > 0)
		claims->signature = head->query;
	return RC_OK;
}

/* The MAC a signature header states. */
static bool
read_mac(const struct generic_setup *s, struct bytes text, unsigned char mac[CRYPTO_MAC_BYTES_MAX])
{
	size_t prefix = strlen(s->prefix), want = crypto_hash_bytes(s->hash), len = 0;
	if (text.len < prefix || memcmp(text.data, s->prefix, prefix) != 0)
		return false;
	text = (struct bytes){ text.data + prefix, text.len - prefix };
	if (!s->is_base64)
		return crypto_unhex(text, mac, want);
	return crypto_unbase64(text, mac, CRYPTO_MAC_BYTES_MAX, &len) && len == want;
}

static bool
signature_formed(const struct provider_setup *base, struct bytes signature)
{
	const struct generic_setup *s = (const struct generic_setup *)base;
	unsigned char mac[CRYPTO_MAC_BYTES_MAX];
	return s->auth == GENERIC_HMAC ? read_mac(s, signature, mac) : signature.len > 0;
}

static void
mac_of(const struct generic_setup *s, const struct provider_claims *claims, struct bytes body,
	struct bytes secret, unsigned char mac[CRYPTO_MAC_BYTES_MAX])
{
	struct bytes parts[GENERIC_PARTS_MAX];
	for (size_t i = 0; i < s->part_count; i++) {
		switch (s->parts[i].kind) {
		case GENERIC_PART_TEXT:
			parts[i] = s->parts[i].text;
			break;
		case GENERIC_PART_ID:
			parts[i] = claims->delivery;
			break;
		case GENERIC_PART_TIMESTAMP:
			parts[i] = claims->timestamp;
			break;
		case GENERIC_PART_BODY:
			parts[i] = body;
			break;
		}
	}
	crypto_hmac_parts(s->hash, secret, parts, s->part_count, mac);
}

/* base64 of user:password, as it stands behind "Basic ". */
static struct bytes
basic_of(struct bytes secret, struct arena *a)
{
	struct buf text = buf_new(4 * 1024);
	crypto_put_base64(&text, secret);
	struct bytes copy = arena_copy(a, buf_bytes(&text));
	crypto_wipe(text.data, text.len);
	buf_free(&text);
	return copy;
}

static bool
verify(const struct provider_check *c, struct bytes secret)
{
	const struct generic_setup *s = (const struct generic_setup *)c->setup;
	unsigned char got[CRYPTO_MAC_BYTES_MAX], want[CRYPTO_MAC_BYTES_MAX];
	switch (s->auth) {
	case GENERIC_HMAC:
		if (secret.len == 0 || !read_mac(s, c->claims->signature, got))
			return false;
		mac_of(s, c->claims, c->message, secret, want);
		return crypto_equal(got, want, crypto_hash_bytes(s->hash));
	case GENERIC_BASIC:
		return provider_token_matches(
			provider_authorization(c->head, "Basic"), basic_of(secret, c->a));
	case GENERIC_BEARER:
		return provider_token_matches(provider_authorization(c->head, "Bearer"), secret);
	case GENERIC_HEADER:
		return provider_token_matches(c->claims->signature, secret);
	case GENERIC_QUERY:
		return provider_token_matches(
			provider_query_value(c->head->query, s->query_key, c->a), secret);
	case GENERIC_NONE:
		break;
	}
	return false;
}

static enum rc
read_body(const struct provider_check *c, struct provider_content *content, struct err *e UNUSED)
{
	const struct generic_setup *s = (const struct generic_setup *)c->setup;
	const char *paths[2];
	struct bytes *claims[2], values[2];
	size_t count = 0;
	if (s->event_path != NULL) {
		claims[count] = &content->claims.event;
		paths[count++] = s->event_path;
	}
	if (s->id_path != NULL) {
		claims[count] = &content->claims.delivery;
		paths[count++] = s->id_path;
	}
	if (count > 0)
		provider_json(c->body, paths, values, count, c->a);
	for (size_t i = 0; i < count; i++)
		*claims[i] = values[i];
	return RC_OK;
}

static void
add_proof(const struct generic_setup *s, struct bytes secret, struct arena *a,
	struct provider_ping *ping, const struct provider_claims *claims)
{
	unsigned char mac[CRYPTO_MAC_BYTES_MAX];
	struct buf text = buf_new(8 * 1024);
	switch (s->auth) {
	case GENERIC_HMAC:
		mac_of(s, claims, ping->body, secret, mac);
		buf_put_str(&text, s->prefix);
		if (s->is_base64)
			crypto_put_base64(&text, (struct bytes){ mac, crypto_hash_bytes(s->hash) });
		else
			buf_put_hex(&text, mac, crypto_hash_bytes(s->hash));
		break;
	case GENERIC_BASIC:
		buf_put_str(&text, "Basic ");
		buf_put_bytes(&text, basic_of(secret, a));
		break;
	case GENERIC_BEARER:
		buf_put_str(&text, "Bearer ");
		buf_put_bytes(&text, secret);
		break;
	case GENERIC_HEADER:
		buf_put_bytes(&text, secret);
		break;
	case GENERIC_QUERY:
		buf_printf(&text, "%s=", s->query_key);
		for (size_t i = 0; i < secret.len; i++)
			buf_printf(&text, "%%%02X", secret.data[i]);
		ping->query = arena_copy(a, buf_bytes(&text));
		break;
	case GENERIC_NONE:
		break;
	}
	if (s->proof_header != NULL)
		provider_ping_add(ping, s->proof_header, arena_copy(a, buf_bytes(&text)));
	buf_free(&text);
}

static enum rc
make_ping(const struct provider_setup *base, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e UNUSED)
{
	const struct generic_setup *s = (const struct generic_setup *)base;
	const struct provider_claims claims = { .delivery = provider_uuid(a),
		.timestamp = provider_now(a) };
	memset(ping, 0, sizeof *ping);
	/* What the pointers point to is not in it: the body is its own id then. */
	ping->body = bytes_str(arena_printf(a, "{\"hooklog\":\"test\",\"id\":\"%.*s\"}",
		(int)claims.delivery.len, (const char *)claims.delivery.data));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	if (s->event_header != NULL)
		provider_ping_add(ping, s->event_header, bytes_str("hooklog.test"));
	if (s->id_header != NULL)
		provider_ping_add(ping, s->id_header, claims.delivery);
	if (s->hook_header != NULL)
		provider_ping_add(ping, s->hook_header, bytes_str("test"));
	if (s->timestamp_header != NULL)
		provider_ping_add(ping, s->timestamp_header, claims.timestamp);
	if (secret.len > 0)
		add_proof(s, secret, a, ping, &claims);
	return RC_OK;
}

const struct provider provider_generic = {
	.name = "generic",
	.label = "generic",
	.setup = &generic_unset.base,
	.body_is_id = true,
	.options = generic_options,
	.configure = generic_configure,
	.check_secret = generic_check_secret,
	.make_secret = generic_make_secret,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.read_body = read_body,
	.ping = make_ping,
};
