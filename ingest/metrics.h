/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_METRICS_H
#define INGEST_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"

/* Counters of the receiver and their text for Prometheus (exposition format 0.0.4). Labels take
 * values from fixed lists or the names of sources, never what a sender made up. Any thread. */

enum outcome {
	OUTCOME_STORED,
	OUTCOME_DUPLICATE,
	OUTCOME_ANSWERED,  /* 200 without anything stored: a handshake, a sender's test, health */
	OUTCOME_MALFORMED, /* 400, 405, 415 */
	OUTCOME_UNAUTHORIZED, /* 401, 403 */
	OUTCOME_NOT_FOUND,    /* 404 */
	OUTCOME_LOOP,         /* 409 */
	OUTCOME_TOO_LARGE,    /* 413 */
	OUTCOME_BUSY,         /* 503 */
	OUTCOME_OTHER,
	OUTCOME_COUNT,
};

#define METRICS_BUCKETS 14

struct metrics {
	atomic_ullong buckets[METRICS_BUCKETS + 1]; /* the last one: longer than all */
	atomic_ullong duration_us, body_bytes, quarantined, admitted;
	atomic_ullong unknown[OUTCOME_COUNT]; /* requests that named no source */
	atomic_ullong reloads, reloads_failed, connections, connections_refused;
};

/* The outcome of an answer; stored and duplicate tell two kinds of 202 apart. */
enum outcome metrics_outcome(unsigned status, bool stored, bool duplicate);
const char *metrics_outcome_name(enum outcome outcome);

void metrics_duration(struct metrics *m, int64_t us);

/* The text's parts: a family's two head lines, then its samples. type: "counter", "gauge",
 * "histogram". */
void metrics_put_family(struct buf *out, const char *name, const char *type, const char *help);
/* labels: a="b",c="d" or NULL. */
void metrics_put(struct buf *out, const char *name, const char *labels, double value);
void metrics_put_duration(struct buf *out, const struct metrics *m);

#endif
