/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_RUN_H
#define REPLAY_RUN_H

#include "base/limits.h"
#include "base/pace.h"
#include "replay/journal.h"
#include "replay/target.h"

/* What the files of one replay share. Only replay/run*.c include this. */

#define RUN_BATCH_EVENTS 256
#define RUN_BATCH_BYTES ((size_t)4 * 1024 * 1024)
#define RUN_SEND_EVENTS_MAX 128

struct run {
	const struct replay_options *options;
	struct replay_result *result;
	struct store_reader *reader;
	struct replay_filter *filter;
	struct store_finder *finder; /* NULL: every event needs a look */
	bool told_unindexed;
	const struct replay_target_kind *kind; /* NULL: a dry run */
	struct replay_target_options target_options;
	struct window *window; /* of the record, or own */
	struct window *own_window;
	uint64_t sent_before; /* by earlier processes of this run */
	struct arena *batch, *scratch;
	/* One at a time. */
	void *target;
	struct buf text;
	struct pace pace;
	const struct event *pending[RUN_SEND_EVENTS_MAX];
	size_t pending_count, pending_bytes;
	int64_t reported_us; /* 0: not yet */
	/* A dry run's counts. */
	struct arena *counts_arena;
	struct replay_count *counts;
	size_t count, capacity;
};

/* Whether the event still is to be sent. */
bool run_wants(struct run *run, const struct event *ev);

/* Counts the answer to one event and settles it: delivered, or passed over because of why. RC_IO,
 * RC_FULL: the record cannot be written; the event is not settled. */
enum rc run_settle(struct run *run, const struct event *ev, bool delivered, uint64_t attempts,
	const struct replay_answer *answer, const struct err *why, struct err *e) MUST_CHECK;

/* Whether the limit leaves room for one more beside those under way. */
bool run_has_room(const struct run *run, size_t under_way);

/* Waits; true when a stop was asked for. With 0 it only looks. */
bool run_stopped_within_us(const struct run *run, int64_t us);

void run_progress(const struct run *run);

/* Between two events: true when a stop was asked for. Reports progress unless that was a moment ago. */
bool run_look(struct run *run);

/* Sets *e: there is no room for what stands for the event. RC_DENIED (id replay.refused). */
enum rc run_too_large(const struct event *ev, struct err *e);

void run_count_event(struct run *run, const struct event *ev);

/* From which number on events need a look, at or after *next, and how many to read: at most
 * RUN_BATCH_EVENTS. Behind the range: none. Those in between are for the caller to settle. */
uint64_t run_next(struct run *run, uint64_t next, size_t *count);

/* Reads from next_seq to the end of the range and sends, or counts, what is selected; one at a
 * time, or several. Sets result->complete or ->interrupted. */
enum rc run_one_by_one(struct run *run, struct err *e) MUST_CHECK;
enum rc run_many(struct run *run, struct err *e) MUST_CHECK;
/* For a file or stdout, as fast as the machine can; ends like run_one_by_one. */
enum rc run_file(struct run *run, struct err *e) MUST_CHECK;
/* For a target that tells later what it has stored; opens and closes it. */
enum rc run_stream(struct run *run, struct err *e) MUST_CHECK;

#endif
