/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_GUARD_H
#define INGEST_GUARD_H

#include "event/event.h"

/* What is refused before a byte of the body is read. libmicrohttpd 0.9.75 accepts messages two
 * parties can read differently; docs/adr/0007-request-guard.md lists what it lets through and what
 * is done about each. Pure functions: no HTTP library, no state, any thread. */

struct guard_request {
	struct bytes method;
	struct bytes uri;     /* the request target as received, with the query */
	struct bytes version; /* "HTTP/1.1" */
	const struct event_header *headers;
	size_t header_count;
};

/* An answer that is not 202. Strings are static or live as long as the request's arena. */
struct refusal {
	unsigned status;
	const char *id;    /* page in docs/runbooks */
	const char *error; /* one sentence for the sender's delivery list */
	const char *allow; /* value of Allow, or NULL */
};

/* What the head of a sound request says. Borrows from the request. */
struct guard_facts {
	bool http11;
	bool chunked;
	bool form;               /* Content-Type is application/x-www-form-urlencoded */
	uint64_t content_length; /* 0 when absent */
	struct bytes path;       /* without scheme, authority and query */
	struct bytes query;      /* without "?" */
	struct bytes content_type;
};

/* Checks framing and syntax of the head. False: *no says what to answer. */
bool guard_head(const struct guard_request *request, struct guard_facts *facts, struct refusal *no);

/* False when a header of the NULL-terminated list occurs more than once. */
bool guard_once(const struct guard_request *request, const char *const *names, struct refusal *no);

/* Checks that the announced body can be taken: coding and size. */
bool guard_body(
	const struct guard_request *request, const struct guard_facts *facts, struct refusal *no);

/* The most bytes a body may have: forms may be longer, since each byte may be escaped to three. */
size_t guard_body_max(const struct guard_facts *facts);

/* The source a path "/in/<source>" names, or a run with data NULL when the path is none. */
struct bytes guard_source_name(struct bytes path);

/* Whether name is [a-z0-9][a-z0-9_-]{0,63}: it appears in URLs, file names and rows. */
bool guard_is_source_name(struct bytes name);

#endif
