/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include "store/store.h"

/* Sends recorded events again: docs/replay.md. All functions are for one thread, which may be any.
 */

/* Which events. Zero and NULL mean "any"; all conditions must hold. Strings are borrowed. */
struct replay_select {
	uint64_t from_seq, to_seq; /* inclusive */
	bool has_since, has_until;
	int64_t since_us, until_us; /* of received_at; since inclusive, until exclusive */
	const char *sources;        /* names with commas between them */
	const char *providers;      /* with commas */
	const char *origins;        /* with commas: names of event_origin_name */
	const char *events;         /* with commas; "pull_request.closed" also names the action */
	const char *actions;        /* with commas */
	const char *senders;        /* with commas: logins in any case, or numeric ids */
	const char *repository;     /* "owner/name" in any case, or the numeric id */
	const char *delivery;
	/* "PATH=VALUE" with a path of event/jpath.h, also != < <= > >=, several with " and "
	 * between them. Whole numbers compare by value, anything else as text; of a path with []
	 * one element must do; a path the payload does not have never matches. */
	const char *where;
};

/* A selection made ready for matching. */
struct replay_filter;

/* Borrows select until replay_filter_free. RC_INVALID: an empty item in a list, an origin that does
 * not exist, a repository that is neither owner/name nor a number, a condition that is none. */
enum rc replay_filter_new(
	struct replay_filter **f, const struct replay_select *select, struct err *e) MUST_CHECK;
void replay_filter_free(struct replay_filter *f);

/* Whether ev is selected by anything but sequence and time. A payload that is no JSON, or names no
 * repository, sender or action, does not match a condition on it. The payload is read only where
 * the envelope cannot decide. a: scratch, for this call only. */
bool replay_filter_matches(const struct replay_filter *f, const struct event *ev, struct arena *a);

/* Which events of the log of r need a look, when sources or a delivery are selected; else NULL. Owned by
 * the caller. */
struct store_finder *replay_filter_finder(const struct replay_filter *f, struct store_reader *r);

/* First and last sequence the selection can hold in the log of r; *from > *to: none. A range
 * without an end stops at what is the end now, so a replay into its own log is finite. RC_NOTFOUND
 * (id replay.range-gone): from_seq is before the first event still held. RC_IO, RC_CORRUPT. */
enum rc replay_range(struct store_reader *r, const struct replay_select *select, uint64_t *from,
	uint64_t *to, struct err *e) MUST_CHECK;

/* How often the target answered with this status. */
struct replay_status {
	int status; /* 0: no answer */
	uint64_t count;
};
#define REPLAY_STATUSES 16

struct replay_result {
	uint64_t sent;
	uint64_t refused;
	uint64_t retried;             /* attempts beyond the first ones */
	uint64_t scanned;             /* events looked at */
	uint64_t body_bytes;          /* of the events sent */
	uint64_t from_seq, to_seq;    /* what the selection came to; from_seq > to_seq: nothing */
	uint64_t first_seq, last_seq; /* of the events sent or, in a dry run, to be sent; 0: none */
	uint64_t next_seq;            /* all before it is done; to_seq + 1 when all is */
	uint64_t breaker_opened;      /* how often the target was left alone for a while */
	struct replay_status statuses[REPLAY_STATUSES]; /* of HTTP; further ones are not counted */
	size_t status_count;
	int64_t elapsed_us;
	bool interrupted;
	bool complete; /* the whole selection was gone through; with refused > 0 not all arrived */
};

struct journal;

/* The strings are borrowed. */
struct replay_options {
	struct replay_select select;
	const char *target;       /* "-", a path, "file:PATH", "http://...", "https://..." */
	const char *format;       /* name of a kind of target; NULL: the usual one of the target */
	const char *secret_file;  /* where the secret came from, for the record of the run */
	struct bytes secret;      /* signs for an HTTP target; empty: no signature */
	const char *allow;        /* hosts and ranges beyond the public internet; NULL: none */
	const char *ca_file;      /* as in http_options */
	bool allow_private;       /* any address */
	bool http2;               /* as in http_options */
	bool force;               /* overwrite a file */
	bool keep_going;          /* pass over refused events */
	bool total_order;         /* one event at a time, whatever concurrency says */
	bool only_failed;         /* only what journal lists as failed */
	uint64_t concurrency;     /* events under way at once; 0: 1 */
	uint64_t retries;         /* per event */
	uint64_t rate;            /* events per second; 0: no limit */
	uint64_t limit;           /* events to send; 0: no limit */
	int64_t backoff_first_ms; /* wait before the first retry, doubled each time; 0: 500 */
	int stop_fd;              /* readable: stop after what is in flight; -1: never */
	/* May be NULL. Keeps what is done, so that the run can go on after a kill; its range
	 * counts, not the one of select. */
	struct journal *journal;
	/* Both may be NULL; called one at a time, progress in the caller's thread. progress: from
	 * time to time. refused: for each event that is passed over; why is borrowed. */
	void (*progress)(const struct replay_result *so_far, void *context);
	void (*refused)(uint64_t seq, const struct err *why, void *context);
	/* May be NULL. Once, when the selection has to read everything because the log's index cannot be
	 * used; why is borrowed. */
	void (*unindexed)(const char *why, void *context);
	void *context;
};

/* Sends what is selected: one event after the other in the order of the log or, with concurrency,
 * several at once while events about one entity keep their order (replay/entity.h). *result is
 * valid whatever is returned. RC_OK: gone through or interrupted; result says which. RC_INVALID:
 * wrong selection or target, nothing was sent. RC_CONFLICT: the target is the log itself (id
 * replay.loop) or the file exists. RC_DENIED (id replay.refused): the target refused an event.
 * RC_AGAIN (id replay.unreachable): no answer, or 429 or 5xx, after all retries. RC_NOTFOUND (id
 * replay.gone): the target answered 410. RC_INVALID (id replay.address): the target has no address
 * of the public internet. RC_NOTFOUND, RC_CORRUPT, RC_FULL, RC_IO. */
enum rc replay_run(struct store_reader *r, const struct replay_options *options,
	struct replay_result *result, struct err *e) MUST_CHECK;

struct replay_count {
	struct bytes provider, event;
	uint64_t events, body_bytes;
};

/* What replay_run would send: fills *result (sent counts what would be) and *counts in a, one per
 * provider and event name, most frequent first. Errors as replay_run. The target may be NULL. */
enum rc replay_plan(struct store_reader *r, const struct replay_options *options, struct arena *a,
	struct replay_result *result, const struct replay_count **counts, size_t *count,
	struct err *e) MUST_CHECK;

#endif
