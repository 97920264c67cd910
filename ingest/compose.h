/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_COMPOSE_H
#define INGEST_COMPOSE_H

#include "ingest/delivery.h"
#include "ingest/redact.h"

/* From what came in and what was found out about it to the events that are stored. */

/* The headers that are ours; those that a sender made up are left out. When a request came in that
 * was admitted from the quarantine, since the log gives every event the time it was stored: */
#define COMPOSE_RECEIVED_HEADER "X-Hooklog-Received-At"
/* Which event of a batch it was, "2/5": */
#define COMPOSE_BATCH_HEADER "X-Hooklog-Batch"

struct compose {
	const struct source *source;
	const struct provider_content *content;
	const struct event_header *headers;
	size_t header_count;
	struct bytes path, query, content_type, remote, body;
	const unsigned char *salt;
	enum event_origin origin;
	enum event_verified verified;
	const char *key_id;
	int64_t received_at_us; /* 0: now, and no header */
	const struct relay *relay;
};

/* One event, or those of a batch, in a. Headers and claims are copied: when the wait for the commit
 * is given up, the HTTP library forgets the request while the store still reads the events. Bodies
 * and parts are borrowed. */
void compose_events(const struct compose *c, struct arena *a, struct event **events, size_t *count);

#endif
