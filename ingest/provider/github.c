/* SPDX-License-Identifier: Apache-2.0 */
#include "event/sign.h"
#include "ingest/provider_table.h"

/* GitHub and GitHub Enterprise Server: docs/providers/github.md. */

#define EVENT_HEADER "X-GitHub-Event"
#define DELIVERY_HEADER "X-GitHub-Delivery"
#define HOOK_HEADER "X-GitHub-Hook-ID"

/* Longer than any that GitHub has ever sent: names are words, ids are GUIDs and integers. */
#define CLAIM_BYTES_MAX 128

static const char *const single_headers[] = {
	EVENT_HEADER,
	DELIVERY_HEADER,
	HOOK_HEADER,
	SIGN_GITHUB_HEADER,
	"X-Hub-Signature",
	NULL,
};

/* Event names and ids end up in rows, URLs and terminals: visible ASCII or nothing. */
static bool
is_claim(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] <= 0x20 || text.data[i] >= 0x7f)
			return false;
	}
	return text.len <= CLAIM_BYTES_MAX;
}

static enum rc
read_claims(const struct event *head, struct provider_claims *claims, struct err *e)
{
	claims->event = event_header_value(head, EVENT_HEADER);
	claims->delivery = event_header_value(head, DELIVERY_HEADER);
	claims->hook = event_header_value(head, HOOK_HEADER);
	claims->signature = event_header_value(head, SIGN_GITHUB_HEADER);
	if (claims->event.len == 0)
		return err_set(e, RC_INVALID, "ingest.malformed", EVENT_HEADER " is missing");
	/* Without its id a delivery could not be told from its own repetition. */
	if (claims->delivery.len == 0)
		return err_set(e, RC_INVALID, "ingest.malformed", DELIVERY_HEADER " is missing");
	if (!is_claim(claims->event) || !is_claim(claims->delivery) || !is_claim(claims->hook))
		return err_set(
			e, RC_INVALID, "ingest.malformed", "an X-GitHub-* header is malformed");
	return RC_OK;
}

static bool
signature_formed(struct bytes signature)
{
	static const char prefix[] = "sha256=";
	size_t len = sizeof prefix - 1;
	unsigned char mac[SHA256_BYTES];
	if (signature.len < len || memcmp(signature.data, prefix, len) != 0)
		return false;
	return crypto_unhex(
		(struct bytes){ signature.data + len, signature.len - len }, mac, sizeof mac);
}

/* The MAC covers the bytes as sent, for form bodies too: still percent-encoded. */
static bool
verify(struct bytes secret, struct bytes body, struct bytes signature)
{
	return sign_github_matches(secret, body, signature);
}

static void
add_header(struct provider_ping *ping, const char *name, struct bytes value)
{
	ASSERT(ping->header_count < PROVIDER_PING_HEADERS);
	ping->headers[ping->header_count++] = (struct event_header){ bytes_str(name), value };
}

static void
make_ping(struct bytes secret, struct arena *a, struct provider_ping *ping)
{
	unsigned char r[16];
	crypto_random(r, sizeof r);
	char *delivery = arena_printf(a,
		"%02x%02x%02x%02x-%02x%02x-4%01x%02x-a%01x%02x-%02x%02x%02x%02x%02x%02x", r[0],
		r[1], r[2], r[3], r[4], r[5], r[6] & 15u, r[7], r[8] & 15u, r[9], r[10], r[11],
		r[12], r[13], r[14], r[15]);
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str(
		"{\"zen\":\"Keep it logically awesome.\",\"hook_id\":0,"
		"\"hook\":{\"type\":\"Repository\",\"id\":0,\"name\":\"web\",\"active\":true,"
		"\"events\":[\"*\"],\"config\":{\"content_type\":\"json\"}}}");
	add_header(ping, "User-Agent", bytes_str("GitHub-Hookshot/hooklog"));
	add_header(ping, "Content-Type", bytes_str("application/json"));
	add_header(ping, EVENT_HEADER, bytes_str("ping"));
	add_header(ping, DELIVERY_HEADER, bytes_str(delivery));
	add_header(ping, HOOK_HEADER, bytes_str("0"));
	if (secret.len > 0) {
		struct buf signature = buf_new(128);
		sign_github(secret, ping->body, &signature);
		add_header(ping, SIGN_GITHUB_HEADER, arena_copy(a, buf_bytes(&signature)));
		buf_free(&signature);
	}
}

const struct provider provider_github = {
	.name = "github",
	.label = "GitHub",
	.scheme = "hmac-sha256",
	.single_headers = single_headers,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.ping = make_ping,
};
