/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_REPLAY_REPORT_H
#define CLI_REPLAY_REPORT_H

#include "replay/replay.h"

/* What `hooklog replay` tells: while it runs to stderr, in a person's words; at the end also as JSON. */

/* The context of the three callbacks of replay_options below. */
struct replay_report {
	int64_t start_ms, shown_ms; /* of clock_monotonic_ms */
	uint64_t begun_seq; /* the first event that was not done when it began; 0: not known yet */
	uint64_t refused_shown;
};

void replay_report_progress(const struct replay_result *r, void *context);
void replay_report_refused(uint64_t seq, const struct err *why, void *context);
void replay_report_unindexed(const char *why, void *context);

/* Appends the members of a JSON object. */
void replay_report_put_json(struct buf *out, const struct replay_result *r);

/* How a run ended, and how to go on. */
void replay_report_summary(const struct replay_options *o, const struct replay_result *r);

/* Prints what a run would send; false: stdout is gone. */
bool replay_report_plan(const struct replay_result *r, const struct replay_count *counts,
	size_t count, bool json);

#endif
