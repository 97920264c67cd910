/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_PULL_H
#define REPLAY_PULL_H

#include "replay/subscription.h"

/* Pull subscriptions: consumers that fetch, over HTTP (docs/subscriptions.md, docs/adr/0031-pull.md).
 * Each is a record as a push subscription has one, whose target is SUBSCRIPTION_PULL; its window says
 * what was acknowledged. */

struct pull;

struct pull_options {
	const struct subscriptions_options *subscriptions; /* borrowed */
	const char *listen;
	size_t connections_max;
	int64_t write_timeout_ms;
};

/* Starts answering. Borrows the reader of the subscriptions' options for the call only. RC_INVALID,
 * RC_IO (id ingest.listen). */
enum rc pull_start(
	struct pull **p, const struct pull_options *options, struct err *e) MUST_CHECK;

/* Now and then, one thread: takes up subscriptions that were added, paused, moved or removed. names: all
 * of the folder that are pulled. */
void pull_tick(struct pull *p, const char *const *names, size_t count);

const char *pull_address(const struct pull *p);

/* The stop_fd of the subscriptions must be readable: it ends what waits. NULL is fine. */
void pull_stop(struct pull *p);

#endif
