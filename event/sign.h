/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENT_SIGN_H
#define EVENT_SIGN_H

#include "base/buf.h"
#include "base/crypto.h"

/* How deliveries are signed: one place for those who check a signature (ingest) and those who make
 * one (replay, simulate). Any thread; nothing is kept. */

/* GitHub's header for the signature (docs.github.com, "Validating webhook deliveries"); Gitea and
 * Forgejo send it too. */
#define SIGN_GITHUB_HEADER "X-Hub-Signature-256"

/* Appends the header's value for a body: "sha256=" and the HMAC-SHA-256 of the raw body as 64
 * lower-case hexadecimal digits. */
void sign_github(struct bytes secret, struct bytes body, struct buf *out);

/* Whether header_value signs the body with the secret: exactly "sha256=" and 64 hexadecimal digits
 * of either case. Takes the same time for every wrong signature of the right form. An empty secret
 * signs nothing: always false. */
bool sign_github_matches(struct bytes secret, struct bytes body, struct bytes header_value);

/* ---- from one hooklog to another (docs/adr/0032-trusted-replays.md) ---- */

/* "t=<seconds since 1970>,v1=<HMAC-SHA-256, 64 hexadecimal digits>" */
#define SIGN_RELAY_SIGNATURE "X-Hooklog-Signature"
/* What it covers, beside the body: "" for those that are not there. */
#define SIGN_RELAY_RECEIVED "X-Hooklog-First-Received-At"
#define SIGN_RELAY_ORIGIN "X-Hooklog-First-Origin"
#define SIGN_RELAY_EVENT "X-Hooklog-Event"
#define SIGN_RELAY_DELIVERY "X-Hooklog-Delivery"
#define SIGN_RELAY_HOOK "X-Hooklog-Hook"
#define SIGN_RELAY_WINDOW_S 300

struct sign_relay {
	struct bytes received_at, origin, event, delivery, hook;
	int64_t signed_at_s;
};

/* Appends the header's value. */
void sign_relay(struct bytes secret, const struct sign_relay *relay, struct bytes body,
	struct buf *out);

/* Takes the header's value apart. False: it is none. */
bool sign_relay_read(
	struct bytes header_value, int64_t *signed_at_s, unsigned char mac[SHA256_BYTES]);

/* Whether mac is that of the secret. An empty secret signs nothing: always false. */
bool sign_relay_matches(struct bytes secret, const struct sign_relay *relay, struct bytes body,
	const unsigned char mac[SHA256_BYTES]);

/* ---- Standard Webhooks (standardwebhooks.com, specification 1.0) ---- */

#define SIGN_STANDARD_ID "webhook-id"
#define SIGN_STANDARD_TIMESTAMP "webhook-timestamp"
#define SIGN_STANDARD_SIGNATURE "webhook-signature"
/* How far the timestamp may be from the receiver's clock. */
#define SIGN_STANDARD_WINDOW_S 300

enum sign_standard_kind {
	SIGN_STANDARD_V1,  /* HMAC-SHA-256; whsec_ and 24 to 64 bytes in base64 */
	SIGN_STANDARD_V1A, /* Ed25519; whpk_ and the public key, or whsk_ and seed and public key */
};

struct sign_standard_key {
	enum sign_standard_kind kind;
	bool can_sign;           /* not with a public key */
	unsigned char bytes[64]; /* V1A: seed, public key */
	size_t len;
};

/* What a signature covers: "{id}.{timestamp}.{body}". */
struct sign_standard_message {
	struct bytes id, timestamp, body;
};

/* Reads a key with its prefix. False: it is none. The caller wipes it. */
bool sign_standard_key_read(struct bytes text, struct sign_standard_key *key);

/* Whether header_value is a list of "version,base64" with single spaces between them that has one
 * to eight signatures of that kind, each of the right length. Other versions are let pass. */
bool sign_standard_formed(enum sign_standard_kind kind, struct bytes header_value);

/* Whether such a list has a signature of the message by the key. */
bool sign_standard_matches(const struct sign_standard_key *key,
	const struct sign_standard_message *message, struct bytes header_value);

/* Appends "v1," or "v1a," and the signature in base64. False: this key cannot sign. */
bool sign_standard(const struct sign_standard_key *key, const struct sign_standard_message *message,
	struct buf *out);

#endif
