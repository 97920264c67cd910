/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_QUARANTINE_H
#define INGEST_QUARANTINE_H

#include "ingest/delivery.h"
#include "ingest/redact.h"
#include "ingest/ring.h"

/* Requests to a source that were refused for what they say, not for our own trouble: kept whole, so
 * that they can be admitted once a secret was corrected. They lie in a ring of fixed size in a file
 * of their own, never in the log, and only so many a second are kept: whoever floods the receiver
 * with rubbish pushes out older rubbish, and nothing else.
 *
 * Values that are secrets are replaced as in the log. A signature is kept when it proves a secret
 * without telling it, since admitting checks it again. */

#define QUARANTINE_FILE "ring"

struct quarantine_options {
	const char *dir;         /* holds the ring and the requests to admit; made when needed */
	uint64_t bytes_max;      /* size of the ring; 0: nothing is kept */
	uint64_t per_second_max; /* requests kept */
};

struct quarantine;

/* Nothing is made before the first request is kept. */
struct quarantine *quarantine_new(const struct quarantine_options *options);

/* NULL is fine. */
void quarantine_free(struct quarantine *q);

/* Whether a body of so many bytes would be kept now. Any thread, as quarantine_keep. */
bool quarantine_wants(struct quarantine *q, uint64_t body_bytes);

/* What is known of a refused request. */
struct quarantine_refused {
	const struct delivery *delivery;
	const struct guard_request *head;
	const struct guard_facts *facts;
	const struct refusal *refusal;
	const unsigned char *salt;
	enum event_origin origin;
	struct bytes remote, body;
};

/* Keeps a request. RC_AGAIN: the rate is used up. RC_INVALID: too large. RC_CORRUPT, RC_IO,
 * RC_FULL: the file; the id is ingest.quarantine. */
enum rc quarantine_keep(struct quarantine *q, const struct quarantine_refused *refused,
	uint64_t *id, struct err *e) MUST_CHECK;

/* One kept request. Strings are in the arena it was read into. */
struct quarantined {
	struct ring_entry entry;
	unsigned status;
	const char *reason_id, *error;
	struct event event; /* received_at_us is that of the request */
};

/* RC_NOTFOUND, RC_CORRUPT, RC_IO. */
enum rc quarantine_read(struct ring *ring, uint64_t id, struct arena *a, struct quarantined *out,
	struct err *e) MUST_CHECK;

/* "waiting", "admitted", "dropped". */
const char *quarantine_state_name(enum ring_state state);

#endif
