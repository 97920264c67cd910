/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_SUBSCRIPTION_H
#define REPLAY_SUBSCRIPTION_H

#include "replay/journal.h"

/* Subscriptions: a target that follows the log, or a consumer that pulls, with a name and a durable
 * position. A subscription is a record as a run has one (replay/journal.h), in <dir>/<name>/, and control.json,
 * by which other processes tell the one that serves it what they want. docs/subscriptions.md. */

/* What is wanted. A number that differs from the one carried out (journal_state.done) is work to
 * do. */
struct subscription_control {
	bool paused, removed;
	uint64_t resumed;  /* how often; starts it again after it stopped */
	uint64_t sought;   /* how often; */
	uint64_t seek_seq; /* next event to send then */
	uint64_t retried;  /* how often the failed ones were to be sent again */
};

enum { SUBSCRIPTION_DONE_RESUMED, SUBSCRIPTION_DONE_SOUGHT, SUBSCRIPTION_DONE_RETRIED };

/* Whether a name can be one: letters, digits, '-', '_', at most 40, a letter first (it is a token
 * of RFC 8941 in X-Hooklog-Replay). */
bool subscription_name_valid(const char *name);

/* The target of one that is pulled: replay/pull.h. */
#define SUBSCRIPTION_PULL "pull"
/* False also when its record cannot be read: then it is no use in either way. */
bool subscription_is_pulled(const char *dir, const char *name, struct arena *a);

/* RC_NOTFOUND; RC_CORRUPT (id replay.record). A subscription without the file wants nothing. */
enum rc subscription_control_read(const char *dir, const char *name,
	struct subscription_control *control, struct err *e) MUST_CHECK;
enum rc subscription_control_write(const char *dir, const char *name,
	const struct subscription_control *control, struct err *e) MUST_CHECK;

struct subscriptions_options {
	const char *dir;
	const char *allow, *ca_file; /* as in replay_options */
	struct store_reader *reader; /* the calling thread's */
	int stop_fd;
	const char *listen; /* of those that are pulled, as base/listen.h; "": they are not served */
	size_t connections_max;
	int64_t write_timeout_ms;
};

/* Serves all subscriptions of the folder, each push subscription in a thread of its own, and those that
 * are added meanwhile, until stop_fd is readable. Logs what becomes of each. */
void subscriptions_run(const struct subscriptions_options *options);

/* Appends metrics of all subscriptions of the folder, whoever serves them. */
void subscriptions_put_metrics(struct buf *out, const char *dir, struct store_reader *r);

/* Serves one until stop_fd is readable or it was removed; a thread of its own. reader is this
 * thread's. RC_AGAIN (id replay.running): another process serves it. */
enum rc subscription_serve(const struct subscriptions_options *options, const char *name,
	struct store_reader *reader, struct err *e) MUST_CHECK;

#endif
