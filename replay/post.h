/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_POST_H
#define REPLAY_POST_H

#include "base/limits.h"
#include "http/http.h"
#include "replay/target.h"

/* What targets that send HTTP requests share: the URL, where it may lead, the headers that say
 * where a request comes from, and what an answer means. One thread. */
struct post;

/* Headers of one request: stored ones, those for events that came without, and ours. */
#define POST_HEADERS_MAX (LIMIT_HEADERS + 24)

struct post_headers {
	struct http_header list[POST_HEADERS_MAX];
	size_t count;
};

bool post_accepts(const char *spec);

/* Borrows options until post_close. RC_INVALID: a URL that is none, or holds a user or password. */
enum rc post_open(
	struct post **p, const struct replay_target_options *options, struct err *e) MUST_CHECK;
void post_close(struct post *p);

/* Adds a header unless there is nothing to say. Borrows both until the request was sent. */
void post_header(struct post_headers *h, const char *name, struct bytes value);

/* Adds X-Hooklog-Log, X-Hooklog-Replay and X-Hooklog-Delivery for a request about the events. */
void post_own_headers(
	struct post *p, struct post_headers *h, const struct event *const *events, size_t count);

/* Whether a header of the original request may be sent again: none that describes the connection,
 * none that holds a secret or a signature of the source's, none of an earlier replay. */
bool post_may_send(const struct event_header *header);

/* Whether the secret is a key of Standard Webhooks that can sign. */
bool post_can_sign_standard(const struct post *p);

/* Adds the Standard Webhooks headers (webhook-id, -timestamp, -signature; standardwebhooks.com)
 * over body with a fresh timestamp; without a secret there is no signature. */
void post_sign_standard(struct post *p, struct post_headers *h, const char *id, struct bytes body);

/* Posts body and judges the answer as send of a target. query: of the original request, added when
 * the URL has none; may be empty. */
enum rc post_send(struct post *p, const struct post_headers *h, struct bytes query,
	struct bytes body, const struct event *const *events, size_t count,
	struct replay_answer *answer, struct err *e) MUST_CHECK;

/* The id of the log in hexadecimal. */
const char *post_log_id(const struct post *p);
struct bytes post_secret(const struct post *p);

#endif
