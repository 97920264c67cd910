/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_FAILURES_H
#define REPLAY_FAILURES_H

#include "replay/journal.h"

/* The list of failed events of a record: lines that add an event or take it off again, the last
 * line about an event counts. A line cut off by a kill is the last one and is ignored: its event
 * was not settled. One thread at a time. */

struct failures {
	uint64_t *seqs; /* ascending */
	size_t count, cap;
};

/* Reads what is in the file and cuts off a torn last line. RC_CORRUPT (id replay.record), RC_IO.
 */
enum rc failures_read(struct failures *f, int fd, struct err *e) MUST_CHECK;
void failures_free(struct failures *f);
void failures_add(struct failures *f, uint64_t seq);
/* Whether it was there. */
bool failures_remove(struct failures *f, uint64_t seq);

/* What the file says about the events that are on the list, ascending, in a. */
enum rc failures_list(int fd, struct arena *a, const struct journal_failure **list, size_t *count,
	struct err *e) MUST_CHECK;

#endif
