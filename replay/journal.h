/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_JOURNAL_H
#define REPLAY_JOURNAL_H

#include "replay/replay.h"
#include "replay/window.h"

/* What is kept on disk about a run, so that a killed one goes on where it was: a folder with
 * options.json (what was asked for), state (how far it came; a mapped file of fixed size) and
 * failed.ndjson (what the target refused). docs/adr/0020-run-records.md. One thread at a time. */

enum journal_status {
	JOURNAL_STARTED = 0, /* under way, or killed */
	JOURNAL_COMPLETE,    /* gone through; there may be failures */
	JOURNAL_INTERRUPTED,
	JOURNAL_STOPPED, /* by an error */
};

#define JOURNAL_NAME_BYTES 64
#define JOURNAL_TEXT_BYTES 512

/* The mapped file, in the machine's byte order: it is of use on this machine only. */
struct journal_state {
	char magic[8];
	uint32_t version;
	uint32_t status;
	unsigned char log_id[STORE_LOG_ID_BYTES];
	uint64_t from_seq, to_seq;
	int64_t started_us, updated_us;
	uint64_t sent, retried, body_bytes;
	uint64_t failed;  /* listed now */
	uint64_t done[4]; /* for the owner: what of its controls was carried out */
	uint64_t breaker_open;
	char error[JOURNAL_TEXT_BYTES]; /* what stopped it, or the last trouble; "" */
	char error_id[JOURNAL_NAME_BYTES];
	struct window window;
};

/* Makes dir/name, which must not exist. RC_CONFLICT: it does. RC_INVALID: an option is not UTF-8.
 * RC_IO, RC_FULL. */
enum rc journal_new(struct journal **r, const char *dir, const char *name,
	const struct replay_options *o, const unsigned char log_id[STORE_LOG_ID_BYTES],
	uint64_t from_seq, uint64_t to_seq, struct err *e) MUST_CHECK;

/* Opens one that exists, for this process alone. RC_NOTFOUND. RC_AGAIN (id replay.running): another
 * process has it. RC_CORRUPT (id replay.record): it is damaged. */
enum rc journal_open(
	struct journal **r, const char *dir, const char *name, struct err *e) MUST_CHECK;

/* Removes dir/name and what is in it. RC_IO. */
enum rc journal_remove(const char *dir, const char *name, struct err *e) MUST_CHECK;

/* Makes what is known durable and lets go of it. NULL is fine. */
void journal_close(struct journal *r);

/* Reads options.json of dir/name into *o, strings in a: everything but the secret, callbacks and
 * what belongs to a process. */
enum rc journal_options(const char *dir, const char *name, struct arena *a,
	struct replay_options *o, struct err *e) MUST_CHECK;

/* Replaces options.json. */
enum rc journal_rewrite(const char *dir, const char *name, const struct replay_options *o,
	struct err *e) MUST_CHECK;

const char *journal_name(const struct journal *r);
struct journal_state *journal_state(struct journal *r);

/* Lists an event as failed, durably, before anybody counts it as settled. RC_IO, RC_FULL. */
enum rc journal_failed(struct journal *r, uint64_t seq, int status, uint64_t attempts,
	const char *why, struct err *e) MUST_CHECK;

/* Takes an event off the list, if it is on it. */
enum rc journal_mended(struct journal *r, uint64_t seq, struct err *e) MUST_CHECK;

/* The numbers of the failed events, ascending; borrowed until the next change. */
const uint64_t *journal_failures(const struct journal *r, size_t *count);

/* Makes the state durable if that was longer than a second ago; with now, in any case. */
void journal_sync(struct journal *r, bool now);

/* One failed event of a list. In an arena. */
struct journal_failure {
	uint64_t seq, attempts;
	int64_t at_us;
	int status;
	const char *why;
};

/* Reads a record without opening it. failures may be NULL. *running: a process has it. */
enum rc journal_read(const char *dir, const char *name, struct arena *a,
	struct journal_state *state, bool *running, const struct journal_failure **failures,
	size_t *failure_count, struct err *e) MUST_CHECK;

/* Names of the records in dir, sorted, in a. A folder that does not exist has none. */
enum rc journal_list(const char *dir, struct arena *a, const char *const **names, size_t *count,
	struct err *e) MUST_CHECK;

/* Appends the options as a JSON object. shown: without what may be secret in a target. */
void journal_put_options(struct buf *out, const struct replay_options *o, bool shown);

/* The target without user, query and fragment, for people and audit records. */
void journal_shown_target(const char *target, char *out, size_t out_bytes);

/* "started", ... */
const char *journal_status_name(uint32_t status);

/* Appends one line to dir/audit.ndjson and makes it durable: time, user and process, then what
 * fields holds, members of a JSON object. RC_IO, RC_FULL. */
enum rc journal_audit(const char *dir, const char *action, const char *name, struct bytes fields,
	struct err *e) MUST_CHECK;

#endif
