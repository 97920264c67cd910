/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_DELIVERY_H
#define INGEST_DELIVERY_H

#include "event/sign.h"
#include "ingest/guard.h"
#include "ingest/sources.h"

/* A replay of another hooklog, to a source that trusts it: that one's signature stands for the
 * provider's, and what it says about the event for what the provider would read. */
struct relay {
	bool given;
	struct sign_relay what;
	int64_t received_at_us;
	enum event_origin origin;
	unsigned char mac[SHA256_BYTES];
};

/* What a source's provider makes of one request, in the order of work: head, time, signature over
 * the raw body, and only then what the body says. No HTTP library, no store; one thread at a time.
 */
struct delivery {
	const struct source *source;
	struct arena *arena;
	struct event head; /* headers, query, content_type */
	struct provider_claims claims;
	struct relay relay;
	/* The sender's test, which it never signs: to be answered with 200 and not stored. */
	bool unsigned_ping;
	struct provider_content content; /* after delivery_read_body */
};

/* Reads the head. Borrows all three while d is in use. False: *no says what to answer. */
bool delivery_begin(struct delivery *d, const struct source *source,
	const struct guard_request *request, const struct guard_facts *facts, struct arena *a,
	struct refusal *no);

/* Whether the timestamp that the signature covers is near enough to now_s, seconds since 1970. Only
 * when a delivery comes in: later, every stored one would be too old. */
bool delivery_check_time(const struct delivery *d, int64_t now_s, struct refusal *no);

/* Whether the body was signed with one of the secrets active at now_us; *key_id names it. True with
 * "" for a source that takes unsigned deliveries. */
bool delivery_verify(struct delivery *d, struct bytes body, int64_t now_us, const char **key_id);

/* Fills d->content. After delivery_verify said yes. */
bool delivery_read_body(struct delivery *d, struct bytes body, struct refusal *no);

#endif
