/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "base/arena.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/xxh.h"

/* One webhook as it was received, and its envelope: the one structure every folder above passes
 * around. The strings and the body are borrowed: whoever fills an event says how long they live. */

/* How an event came into the log. The values are stored: never renumber. */
enum event_origin {
	EVENT_ORIGIN_WEBHOOK = 0,
	EVENT_ORIGIN_BACKFILL = 1,
	EVENT_ORIGIN_POLL = 2,
	EVENT_ORIGIN_RECONCILE = 3,
	EVENT_ORIGIN_IMPORT = 4,
	EVENT_ORIGIN_REPLAY = 5,
	EVENT_ORIGIN_OPERATOR = 6, /* written by hooklog itself when a person changed the log */
	EVENT_ORIGIN_BROKER = 7,   /* taken out of a message broker */
	EVENT_ORIGIN_LAST = EVENT_ORIGIN_BROKER,
};

/* The answer of the signature check at ingest. The values are stored: never renumber. */
enum event_verified {
	EVENT_VERIFIED_NONE = 0,   /* the source has no secret */
	EVENT_VERIFIED_OK = 1,     /* a signature over the raw body matched */
	EVENT_VERIFIED_FAILED = 2, /* admitted by an operator although it did not match */
};

/* The event has the same source, hook id and delivery id as event same_key_seq but another body. */
#define EVENT_FLAG_KEY_REUSED 0x0001u
/* The body was erased by `hooklog log redact`: it is empty, body_xxh128 and erased_sha256 are those of the
 * erased bytes.
 * Never stored in this field; the record's version says it. */
#define EVENT_FLAG_REDACTED 0x10000u

struct event_header {
	struct bytes name;
	/* Exactly as received, or, for a header that carries a secret, "redacted:<salted hash>". */
	struct bytes value;
};

struct event {
	uint64_t seq;           /* given by the log; 0 before */
	int64_t received_at_us; /* given by the log; never goes back from one seq to the next */
	/* For the log, which does not store it: when another hooklog received it. 0: it comes now. */
	int64_t relayed_at_us;
	unsigned flags;         /* EVENT_FLAG_*; given by the log */
	uint64_t same_key_seq;  /* given by the log with EVENT_FLAG_KEY_REUSED, else 0 */
	enum event_origin origin;
	enum event_verified verified;
	struct bytes source;   /* name of the source that received it */
	struct bytes provider; /* "github", ... */
	struct bytes event;    /* the provider's name of the event type, "" when it named none */
	struct bytes delivery; /* the provider's id of the delivery, "" when it gave none */
	struct bytes hook;     /* the provider's id of the hook, "" when it gave none */
	struct bytes scheme;   /* what was verified: "hmac-sha256", "none" */
	struct bytes key_id;   /* which of the source's keys matched, "" when none */
	struct bytes method;   /* "POST" */
	struct bytes path;     /* "/in/github" */
	struct bytes query;    /* without "?", "" when there was none */
	struct bytes content_type;
	struct bytes remote; /* address of the peer, "203.0.113.7:41234" */
	const struct event_header *headers;
	size_t header_count;
	struct bytes body; /* exactly as received */
	/* Of the body, filled in by the log: what tells two bodies apart and finds an accident on the way to the
	 * disk. That nobody changed it is what the chain is for, which is SHA-256 over everything stored. */
	unsigned char body_xxh128[XXH128_BYTES];
	unsigned char erased_sha256[SHA256_BYTES]; /* with EVENT_FLAG_REDACTED, else zero */
};

/* Appends the envelope (everything but seq, received_at, flags, same_key_seq and the body, which
 * the record carries beside it) to out as one msgpack map with short string keys, listed in
 * docs/on-disk-format.md. Borrows ev. */
void event_encode(const struct event *ev, struct buf *out);

/* Reads an envelope written by event_encode. The strings of *ev point into data, the header list is
 * in a; both must outlive *ev. Fields the record carries stay untouched. Unknown keys are skipped,
 * so an older program reads a newer record; a key that occurs twice is damage. Safe on any bytes;
 * uses at most 32 times data.len of a. *ev is untouched unless RC_OK.
 * RC_CORRUPT: not such an envelope, or an origin or verified of a newer program. */
enum rc event_decode(
	struct bytes data, struct arena *a, struct event *ev, struct err *e) MUST_CHECK;

/* The value of the header of that name (case ignored), or a run with data NULL. */
struct bytes event_header_value(const struct event *ev, const char *name);

/* SHA-256 of the body, of the erased one when it was redacted. Hashes the body. */
void event_body_sha256(const struct event *ev, unsigned char out[SHA256_BYTES]);

/* The JSON document an event carries: its body, or the first `payload` field, decoded, when the
 * content type is application/x-www-form-urlencoded (WHATWG URL §5.1). The result points into
 * ev->body or into a.
 * RC_INVALID: the body was erased (id event.redacted); a form without a payload field, or with a broken percent escape. */
enum rc event_payload(
	const struct event *ev, struct arena *a, struct bytes *json, struct err *e) MUST_CHECK;

/* The origin of that name. False: there is none. */
bool event_origin_parse(struct bytes name, enum event_origin *origin);

/* "webhook", "backfill", ... Static storage. */
const char *event_origin_name(enum event_origin origin);

/* Appends ev as one JSON object on one line, without the newline: the NDJSON form of `log show
 * --json`, `log tail --json` and `replay`. A body that is a JSON object or array on one line (jpath_is_line)
 * is the value of "body" as it came; any other one is a string, in "body" when it is UTF-8, else in
 * "body_base64". All give back the exact bytes (docs/adr/0030-bodies-in-ndjson.md). May set out->overflow: a body of control
 * characters takes six bytes for each. docs/reference/ndjson.md lists the keys. */
void event_put_json(struct buf *out, const struct event *ev);

/* The same line for who writes the body from where it is: appends what stands before it. True: what
 * follows is ev->body as it is, then '}'. False: the body is there already, and '}' follows. */
bool event_put_json_head(struct buf *out, const struct event *ev);

/* Reads such lines; immutable, any thread. */
struct event_parser;
struct event_parser *event_parser_new(void);
void event_parser_free(struct event_parser *p); /* NULL is fine */

/* Reads one line of event_put_json, or one with fewer keys: source and body (or body_base64) must be
 * there, a missing origin is EVENT_ORIGIN_IMPORT. Strings point into line or into a. body_xxh128 and body_sha256,
 * when the line has them, must be those of the body, but for a redacted event.
 * RC_INVALID: not such a line. Safe on any bytes. */
enum rc event_from_json(const struct event_parser *p, struct bytes line, struct arena *a,
	struct event *ev, struct err *e) MUST_CHECK;

#endif
