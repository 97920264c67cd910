/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SILENCE_H
#define INGEST_SILENCE_H

#include "base/base.h"

/* Whether a sender has been quiet for far longer than it usually is: a webhook that somebody
 * removed, or a proxy that no longer lets it through, is not seen in any error. What is usual is
 * the longest pause of each of the last eight days, so that nights and weekends are part of it.
 * Times in microseconds of a clock that does not step and never was negative in the last
 * SILENCE_DAYS. One thread at a time. */

#define SILENCE_DAYS 8
/* Before so many events nothing is usual. */
#define SILENCE_EVENTS_MIN 20

struct silence {
	int64_t started_us;
	int64_t last_us; /* of the last event, or of the start */
	int64_t day;
	int64_t longest_us[SILENCE_DAYS];
	uint64_t events;
};

void silence_start(struct silence *s, int64_t now_us);

/* Events in their order, those from before the start first; one that comes later than a newer one is
 * left out. */
void silence_event(struct silence *s, int64_t now_us);

/* The pause from which on it counts as silent: after_us when that is not 0, else three times the
 * longest usual one and at least ten minutes; 0: not known yet. */
int64_t silence_limit_us(const struct silence *s, int64_t after_us);

/* Whether it is silent. In the first ten minutes after the start it is not, unless limit_us is less:
 * what could not be received before is no pause of the sender's. */
bool silence_is_over(const struct silence *s, int64_t now_us, int64_t limit_us);

#endif
