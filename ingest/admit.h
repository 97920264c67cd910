/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_ADMIT_H
#define INGEST_ADMIT_H

#include "ingest/quarantine.h"
#include "store/store.h"

/* From the quarantine into the log. Only the process that writes the log can do it; others ask it
 * with a file in the quarantine's folder, which only its owner can write into. */

struct admit {
	struct ring *ring;
	const struct sources *sources; /* as they are today */
	struct store *store;
	const unsigned char *salt;
	bool unverified; /* store it although its signature does not match: verified = failed */
};

struct admitted {
	uint64_t seq; /* of its first event */
	bool duplicate;
};

/* Checks the request again with today's secrets (a time it was signed with is compared with when it
 * came in), stores it with the header X-Hooklog-Received-At, and marks it.
 * RC_NOTFOUND: no such request, or its source is gone. RC_DENIED: the signature does not match.
 * RC_INVALID: admitted or dropped already, or no delivery of its provider. Others: store_append. */
enum rc admit_one(
	const struct admit *how, uint64_t id, struct admitted *out, struct err *e) MUST_CHECK;

/* For who does not write the log: has the receiver admit the request and waits for its answer.
 * RC_AGAIN: it did not answer within timeout_ms. Else as admit_one. */
enum rc admit_ask(const char *dir, uint64_t id, bool unverified, int64_t timeout_ms,
	struct admitted *out, struct err *e) MUST_CHECK;

/* For the receiver: does what was asked for. ring of *how may be NULL: it is opened when needed. */
void admit_answer_all(const char *dir, const struct admit *how);

#endif
