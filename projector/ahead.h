/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_AHEAD_H
#define PROJECTOR_AHEAD_H

#include "projector/fold.h"

/* Reads and folds batches of the log in threads of its own, ahead of who writes them to the database: while
 * PostgreSQL works on one batch, the next ones are made. Folding knows nothing of what was written, so
 * what is written and when stays the business of the caller alone. */

struct ahead;

struct ahead_options {
	const struct catalog *catalog;   /* borrowed */
	struct store_reader *reader;     /* borrowed; nobody else may use it before ahead_stop */
	uint64_t first, last;            /* last 0: to where the log ends by then */
	size_t events_max, bytes_max;    /* of a batch */
	size_t threads;
	struct fold_refused refused;
};

/* A batch as store_read and fold_events gave it; valid until the next ahead_take or ahead_stop. */
struct ahead_batch {
	const struct store_record *records;
	size_t count; /* 0: there are no more */
	struct fold fold;
};

/* Starts the threads. *ahead is the caller's until ahead_stop. RC_AGAIN: the system gives us no thread. */
enum rc ahead_start(struct ahead **ahead, const struct ahead_options *options, struct err *e) MUST_CHECK;

/* Waits for the next batch, in the order of the log. After an error or the end there is only ahead_stop.
 * Errors as store_read. */
enum rc ahead_take(struct ahead *ahead, struct ahead_batch *batch, struct err *e) MUST_CHECK;

/* Ends the threads. NULL is fine. */
void ahead_stop(struct ahead *ahead);

/* Threads that fold the whole log: as many as there are processors, within reason. */
size_t ahead_threads(void);

#endif
