/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider_table.h"

/* Stripe: docs/providers/stripe.md. */

#define SIGNATURE_HEADER "Stripe-Signature"
#define SIGNATURES_MAX 8

static const char *const secret_headers[] = { SIGNATURE_HEADER, NULL };
static const struct provider_setup setup = {
	.scheme = "stripe-v1",
	.window_s = 300,
	.secret_headers = secret_headers,
};

/* "t=1614556800,v1=<64 digits>[,v1=...][,v0=...]" taken apart. v0 is a test's and proves nothing.
 */
struct signature {
	struct bytes timestamp;
	struct bytes v1[SIGNATURES_MAX];
	size_t count;
};

static bool
read_item(struct bytes item, struct signature *s)
{
	const unsigned char *equals = item.len > 0 ? memchr(item.data, '=', item.len) : NULL;
	if (equals == NULL || equals == item.data)
		return false;
	const struct bytes key = { item.data, (size_t)(equals - item.data) };
	const struct bytes value = { equals + 1, item.len - key.len - 1 };
	int64_t seconds;
	if (bytes_is(key, "t")) {
		bool first = s->timestamp.data == NULL;
		s->timestamp = value;
		return first && provider_parse_seconds(value, &seconds);
	}
	if (!bytes_is(key, "v1"))
		return value.len > 0;
	if (s->count == SIGNATURES_MAX || !provider_hex_formed("", value))
		return false;
	s->v1[s->count++] = value;
	return true;
}

static bool
read_signature(struct bytes text, struct signature *s)
{
	*s = (struct signature){ .count = 0 };
	for (;;) {
		const unsigned char *comma = text.len > 0 ? memchr(text.data, ',', text.len) : NULL;
		size_t len = comma == NULL ? text.len : (size_t)(comma - text.data);
		if (!read_item((struct bytes){ text.data, len }, s))
			return false;
		if (comma == NULL)
			return s->count > 0 && s->timestamp.data != NULL;
		text = (struct bytes){ comma + 1, text.len - len - 1 };
	}
}

static enum rc
check_secret(const struct provider_setup *p UNUSED, struct bytes secret, struct err *e)
{
	if (secret.len > 6 && memcmp(secret.data, "whsec_", 6) == 0)
		return RC_OK;
	return err_set(e, RC_INVALID, "ingest.source",
		"the signing secret of a Stripe endpoint starts with whsec_; an API key does not "
		"do");
}

static enum rc
read_claims(const struct provider_setup *p UNUSED, const struct event *head,
	struct provider_claims *claims, struct err *e UNUSED)
{
	struct signature s;
	claims->signature = event_header_value(head, SIGNATURE_HEADER);
	if (claims->signature.data != NULL && read_signature(claims->signature, &s))
		claims->timestamp = s.timestamp;
	return RC_OK;
}

static bool
signature_formed(const struct provider_setup *p UNUSED, struct bytes signature)
{
	struct signature s;
	return read_signature(signature, &s);
}

/* The key is the secret as it is written, with its prefix: nothing is decoded. */
static bool
verify(const struct provider_check *c, struct bytes secret)
{
	const struct bytes parts[] = { c->claims->timestamp, bytes_str("."), c->message };
	struct signature s;
	unsigned char got[SHA256_BYTES], want[CRYPTO_MAC_BYTES_MAX];
	bool matched = false;
	if (secret.len == 0 || !read_signature(c->claims->signature, &s))
		return false;
	crypto_hmac_parts(CRYPTO_SHA256, secret, parts, COUNT_OF(parts), want);
	for (size_t i = 0; i < s.count; i++) {
		bool readable = crypto_unhex(s.v1[i], got, sizeof got);
		matched |= crypto_equal(want, got, sizeof got) && readable;
	}
	return matched;
}

static enum rc
read_body(const struct provider_check *c, struct provider_content *content, struct err *e UNUSED)
{
	static const char *const paths[] = { "id", "type" };
	struct bytes values[COUNT_OF(paths)];
	provider_json(c->body, paths, values, COUNT_OF(paths), c->a);
	content->claims.delivery = values[0];
	content->claims.event = values[1];
	return RC_OK;
}

static enum rc
make_ping(const struct provider_setup *p UNUSED, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e UNUSED)
{
	struct bytes at = provider_now(a), id = provider_uuid(a);
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str(arena_printf(a,
		"{\"id\":\"evt_hooklog_%.8s\",\"object\":\"event\",\"type\":\"hooklog.test\","
		"\"created\":%.*s,\"livemode\":false,\"data\":{\"object\":{}}}",
		(const char *)id.data, (int)at.len, (const char *)at.data));
	provider_ping_add(ping, "User-Agent", bytes_str("Stripe/1.0 hooklog"));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json; charset=utf-8"));
	const struct bytes parts[] = { at, bytes_str("."), ping->body };
	const char *prefix = arena_printf(a, "t=%.*s,v1=", (int)at.len, (const char *)at.data);
	provider_ping_sign(ping, SIGNATURE_HEADER, prefix, secret, parts, COUNT_OF(parts), a);
	return RC_OK;
}

const struct provider provider_stripe = {
	.name = "stripe",
	.label = "Stripe",
	.setup = &setup,
	.sender_makes_secret = true,
	.body_is_id = true,
	.check_secret = check_secret,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.read_body = read_body,
	.ping = make_ping,
};
