/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_SENDER_H
#define REPLAY_SENDER_H

#include "base/arena.h"
#include "replay/target.h"

/* Delivers with several connections at once and keeps the order of events with the same key: the
 * next one leaves when the one before it is settled. Retries with backoff, and stops asking a
 * target that fails again and again (a breaker). Memory is bounded by SENDER_BATCHES batches of
 * events. All functions: the one thread that made it. */

struct sender;

#define SENDER_BATCHES 16

struct sender_outcome {
	const struct event *event;
	bool delivered;
	uint64_t attempts;
	const struct replay_answer *answer;
	const struct err *why; /* with delivered false */
};

struct sender_options {
	const struct replay_target_kind *kind;
	const struct replay_target_options *target;
	size_t concurrency;
	uint64_t retries;         /* attempts after the first one */
	int64_t backoff_first_ms; /* 0: 500 */
	uint64_t rate;            /* events per second; 0: no limit */
	bool keep_going;          /* what is refused is settled as not delivered; else it ends it */
	bool patient;             /* a target that is not there is waited for without end */
	/* An event is settled. Called in any thread, one call at a time, never after sender_close;
	 * sender_lock excludes it. Anything but RC_OK ends the sender; the event is not settled. */
	enum rc (*settled)(const struct sender_outcome *outcome, void *context, struct err *e);
	void *context;
};

/* Opens the target once for each connection and starts the threads. Borrows options and what they
 * point to until sender_close. Errors of the target's open, RC_IO. */
enum rc sender_open(
	struct sender **s, const struct sender_options *options, struct err *e) MUST_CHECK;

/* An arena to read the next events into, or NULL when all of them are in use: sender_wait. Goes
 * back by sender_batch_done when all events that were submitted from it are settled. */
struct sender_batch;
struct sender_batch *sender_batch(struct sender *s);
struct arena *sender_batch_arena(struct sender_batch *batch);
void sender_batch_done(struct sender *s, struct sender_batch *batch);

/* Takes an event whose memory is in the batch. */
void sender_submit(
	struct sender *s, struct sender_batch *batch, const struct event *ev, uint64_t key);

/* Events not yet settled. */
size_t sender_unsettled(struct sender *s);

/* Waits until an event is settled, the sender has ended, stop_fd is readable or timeout_ms passed.
 * Returns events not yet settled. */
size_t sender_wait(struct sender *s, int stop_fd, int64_t timeout_ms);

/* What ended it; RC_OK: nothing. */
enum rc sender_failed(struct sender *s, struct err *e);

struct sender_state {
	uint64_t retried;
	uint64_t breaker_opened; /* how often */
	bool breaker_open;
	char trouble[256]; /* what the last failed attempt said */
};
struct sender_state sender_state(struct sender *s);

void sender_lock(struct sender *s);
void sender_unlock(struct sender *s);

/* Waits for the answers to what is in flight, drops the rest unsettled, ends the threads. NULL is
 * fine. */
void sender_close(struct sender *s);

#endif
