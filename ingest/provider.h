/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_PROVIDER_H
#define INGEST_PROVIDER_H

#include "event/event.h"

/* What tells one kind of sender from another: one struct provider, one file in ingest/provider/,
 * one row in ingest/provider_table.h. Which provider, which scheme and which secrets apply is
 * decided by the source in the URL, never by what the sender writes into its headers. All members
 * are called from any thread and keep nothing. */

/* How the deliveries of one source are checked: what its .conf says, or what the provider does when
 * it says nothing. Constant once made. A provider with options embeds it as the first member. */
struct provider_setup {
	const char *scheme; /* what verify checks: "hmac-sha256"; goes into each event */
	int64_t window_s;   /* most that claims.timestamp may differ from our clock; 0: no check */
	/* Headers a delivery may have once at most, NULL-terminated. */
	const char *const *single_headers;
	/* The same for those that prove something; they are redacted as well. */
	const char *const *secret_headers;
	const char *secret_query; /* key of the query whose value is redacted, or NULL */
};

/* A key that the .conf of a source may have. The list ends with a NULL name. */
struct provider_option {
	const char *name;
	bool repeats;     /* may be given more than once */
	const char *help; /* one line: what it takes */
};

struct provider_pair {
	const char *name, *value; /* in the sources' arena */
};

/* What a delivery says about itself. Claims until verify has answered, and most providers sign the
 * body only. Borrowed from the request. */
struct provider_claims {
	struct bytes event;     /* type of the event, "" */
	struct bytes delivery;  /* id of the delivery, "" */
	struct bytes hook;      /* id of the hook, "": an id is unique within it */
	struct bytes signature; /* what is to be checked, data NULL when there is nothing */
	struct bytes timestamp; /* decimal seconds since 1970 that the signature covers, or "" */
};

/* One request, as the members below see it. */
struct provider_check {
	const struct provider_setup *setup;
	const struct event *head; /* headers, query, content_type */
	struct bytes body;        /* as received */
	struct bytes message;     /* what was signed: the body unless `message` says otherwise */
	const struct provider_claims *claims;
	struct arena *a; /* the request's */
};

/* One of several events in one request. */
struct provider_part {
	struct bytes event, delivery, hook;
	struct bytes body, content_type;
};

/* What the body says once it is known to be right. */
struct provider_content {
	struct provider_claims claims; /* in: those of the head */
	bool is_batch;                 /* parts take the place of claims and body */
	const struct provider_part *parts;
	size_t part_count;
	struct bytes reply;     /* the answer once it is stored; data NULL: 202 with the number */
	const char *reply_type; /* its Content-Type; the status is 200 */
};

#define PROVIDER_REPLY_HEADERS 4

/* An answer to OPTIONS. */
struct provider_reply {
	struct {
		const char *name, *value; /* static, or in the request's arena */
	} headers[PROVIDER_REPLY_HEADERS];
	size_t header_count;
};

#define PROVIDER_PING_HEADERS 12

/* A harmless delivery that looks like the provider's own, for `source test` and `up`. */
struct provider_ping {
	struct event_header headers[PROVIDER_PING_HEADERS]; /* with Content-Type, without Host */
	size_t header_count;
	struct bytes query; /* to be added to the URL, without "?", or "" */
	struct bytes body;
};

struct provider {
	const char *name;  /* MUST; in configuration and records */
	const char *label; /* MUST; for people */
	/* MUST; of a source that sets no options. */
	const struct provider_setup *setup;
	/* The sender makes the secret: `source add` wants it in a file and invents none. */
	bool sender_makes_secret;
	/* A delivery that names no id is known by its body, so that its repetition is recognised.
	 */
	bool body_is_id;
	/* The type of an event that comes unsigned whatever was configured: answered with 200 and
	 * forgotten. MAY. */
	const char *unsigned_ping;

	/* MAY, together; options ends with a NULL name, and configure makes of the pairs, which are
	 * all of known names, a setup in a. release gives back what is not in a.
	 * RC_INVALID: the message names the key. */
	const struct provider_option *options;
	enum rc (*configure)(const struct provider_pair *pairs, size_t count, struct arena *a,
		const struct provider_setup **setup, struct err *e);
	void (*release)(const struct provider_setup *setup);

	/* MAY; whether a secret has the form verify needs. RC_INVALID: the message says which. */
	enum rc (*check_secret)(
		const struct provider_setup *setup, struct bytes secret, struct err *e);
	/* MAY; appends a new random secret; without it, 64 hexadecimal digits. */
	void (*make_secret)(const struct provider_setup *setup, struct buf *out);

	/* MUST; fills *claims, which is empty, from the head. RC_INVALID: a header that this
	 * provider always sends is missing or malformed. RC_DENIED: what the signature needs is.
	 * RC_CONFLICT: a format it does not know, 415.
	 * The message goes to the sender. */
	enum rc (*read)(const struct provider_setup *setup, const struct event *head,
		struct provider_claims *claims, struct err *e);
	/* MUST; whether the signature has the right form, so that a hopeless body need not be read.
	 */
	bool (*signature_formed)(const struct provider_setup *setup, struct bytes signature);
	/* MAY; sets c->message, in c->a. False: there is nothing that could have been signed. */
	bool (*message)(struct provider_check *c);
	/* MUST; whether claims.signature over the message was made with the secret. Time must not
	 * depend on how wrong it is. */
	bool (*verify)(const struct provider_check *c, struct bytes secret);

	/* MAY; what the body tells, after verify. RC_INVALID: it is no delivery of this provider;
	 * only for what cannot be stored as it is. RC_FULL: more events than one request may have.
	 */
	enum rc (*read_body)(
		const struct provider_check *c, struct provider_content *content, struct err *e);
	/* MAY; the answer to OPTIONS. RC_DENIED: not to this sender. */
	enum rc (*options_reply)(const struct provider_setup *setup, const struct event *head,
		struct arena *a, struct provider_reply *reply, struct err *e);

	/* MUST; makes a delivery with a fresh id, signed unless secret is empty. All in a.
	 * RC_INVALID: this secret can only check. */
	enum rc (*ping)(const struct provider_setup *setup, struct bytes secret, struct arena *a,
		struct provider_ping *ping, struct err *e);
};

/* NULL: no such provider. */
const struct provider *provider_find(struct bytes name);

/* All providers' names, "github, ...", for messages. Appends to out. */
void provider_put_names(struct buf *out);

/* ---- parts that providers are made of: ingest/provider_parts.c ---- */

/* Names, ids and types end up in rows, URLs and terminals: UTF-8 without control characters, at
 * most this long. */
#define PROVIDER_CLAIM_BYTES_MAX 512
bool provider_is_claim(struct bytes text);

/* Where a provider's headers are; NULL: it has none. */
struct provider_headers {
	const char *event, *delivery, *hook, *signature;
};

/* Fills the claims from headers. Event and delivery are required when named.
 * RC_INVALID: missing or malformed. */
enum rc provider_read_headers(const struct provider_headers *names, const struct event *head,
	struct provider_claims *claims, struct err *e);

/* prefix and the hexadecimal digits of a SHA-256; nothing before, nothing behind. */
bool provider_hex_formed(const char *prefix, struct bytes signature);

/* Whether signature is prefix and the HMAC-SHA-256 of the concatenated parts, in hexadecimal. */
bool provider_hex_matches(const char *prefix, struct bytes signature, struct bytes secret,
	const struct bytes *parts, size_t count);

/* The payload field of a form, which must be its only field, or the body of anything else. */
bool provider_form_message(struct provider_check *c);

/* Gogs and its descendants: the bare hexadecimal HMAC of the JSON document, which a form carries
 * encoded, and copies of it for receivers made for others. */
struct provider_forge {
	struct provider_headers headers;
	/* Headers that, when sent, say the same behind their prefix. */
	struct {
		const char *name, *prefix;
	} copies[4];
};

/* RC_DENIED: a copy says something else. */
enum rc provider_forge_read(const struct provider_forge *forge, const struct event *head,
	struct provider_claims *claims, struct err *e);
bool provider_forge_formed(const struct provider_setup *setup, struct bytes signature);
bool provider_forge_verify(const struct provider_check *c, struct bytes secret);
void provider_forge_ping(const struct provider_forge *forge, struct bytes secret, struct arena *a,
	struct provider_ping *ping);

/* Reads members of a JSON document as text, by the paths of event/jpath.h: strings decoded, numbers
 * as they are written. What is absent, of another type, or no good as a claim is the empty run.
 * False: not JSON; all values are empty then. */
bool provider_json(struct bytes json, const char *const *paths, struct bytes *values, size_t count,
	struct arena *a);

/* Whether a token is the secret, in time that tells neither content nor length. */
bool provider_token_matches(struct bytes token, struct bytes secret);

/* What stands behind a scheme such as "Bearer" in Authorization, or data NULL. */
struct bytes provider_authorization(const struct event *head, const char *scheme);

/* The value of a key of the query, decoded, in a; data NULL: it is not there, there twice, or
 * malformed. */
struct bytes provider_query_value(struct bytes query, const char *key, struct arena *a);

/* One round of percent-decoding, in a; data NULL: malformed. plus_is_space: as in a form. */
struct bytes provider_unescape(struct bytes text, bool plus_is_space, struct arena *a);

/* Decimal digits only; false also when there are more than 15. */
bool provider_parse_seconds(struct bytes text, int64_t *seconds);

/* Our clock as decimal digits, in a. */
struct bytes provider_now(struct arena *a);

/* A random UUID (RFC 9562 §5.4), in a. */
struct bytes provider_uuid(struct arena *a);

void provider_ping_add(struct provider_ping *ping, const char *name, struct bytes value);

/* Adds prefix and the HMAC-SHA-256 of the concatenated parts in hexadecimal as a header, unless the
 * secret is empty. */
void provider_ping_sign(struct provider_ping *ping, const char *name, const char *prefix,
	struct bytes secret, const struct bytes *parts, size_t count, struct arena *a);

/* Adds id, timestamp and signature of Standard Webhooks; the signature unless the secret is empty.
 * RC_INVALID: the secret is no key that signs. */
enum rc provider_ping_standard(struct provider_ping *ping, struct bytes id, struct bytes secret,
	struct arena *a, struct err *e);

/* The last pair of that name, or NULL. */
const char *provider_option_value(
	const struct provider_pair *pairs, size_t count, const char *name);

#endif
