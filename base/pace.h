/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include "base/base.h"

/* A rate limiter without drift: the n-th event is due at start + n / rate, so rounding and late
 * wake-ups do not add up. Somebody who fell behind by more than PACE_CATCH_UP_US (a slow target, a
 * suspended laptop) starts anew from now: no burst makes up for the pause. Knows no clock: the
 * caller passes microseconds of clock_monotonic_us. One thread at a time. */

#define PACE_CATCH_UP_US 100000

struct pace {
	uint64_t per_s; /* 0: no limit */
	int64_t start_us;
	uint64_t count; /* events since start_us */
};

/* per_s: events per second; 0: no limit. */
struct pace pace_new(uint64_t per_s, int64_t now_us);

/* Takes the next event's turn and returns in how many microseconds it is due: 0 means now. The
 * caller must send it, however long it waited. */
int64_t pace_next_us(struct pace *p, int64_t now_us);

#endif
