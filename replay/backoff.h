/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_BACKOFF_H
#define REPLAY_BACKOFF_H

#include "base/base.h"

/* How long to wait before attempt + 1, in microseconds: first_ms (0: 500 ms) doubled each time up to 30 s, with
 * jitter so that many replays do not knock in step, and at least retry_after_s (-1: nothing is asked for), of which an
 * hour counts. Any thread. */
int64_t replay_backoff_us(int64_t first_ms, uint64_t attempt, int64_t retry_after_s);

#endif
