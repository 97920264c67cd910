/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DOOR_H
#define STORE_DOOR_H

#include "store/ops.h"

/* log/door: a socket of the log's folder through which another process of the same user appends to
 * the running log, as `log import` and `log redact` do. One request per connection; local and of
 * one program version, so its bytes are no format to keep. */

struct door;

/* Makes the socket and starts its thread. A file system that has no sockets costs a warning and
 * leaves *d NULL. */
enum rc door_open(struct door **d, struct store *s, const char *dir, struct err *e) MUST_CHECK;

/* Waits for the request under way; before the writer ends. NULL is fine. */
void door_close(struct door *d);

enum door_request { DOOR_PING = 1, DOOR_APPEND = 2, DOOR_ROLL = 3, DOOR_RESEAL = 4, DOOR_ROTATE_KEY = 5 };

/* How long the writer may take to seal a segment again, or to change the key. */
#define DOOR_RESEAL_MS 25000

/* One request to the writer behind dir/door. For DOOR_RESEAL results[0].seq names the segment. RC_AGAIN: nobody answers. */
enum rc door_ask(const char *dir, enum door_request request, const struct event *events,
	size_t count, struct store_result *results, struct err *e) MUST_CHECK;

/* Submits in order, stops at the first that is refused, waits for all; results as in
 * store_appender_append. Any thread. */
void door_append_all(
	struct store *s, const struct event *events, size_t count, struct store_result *results);

#endif
