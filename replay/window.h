/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_WINDOW_H
#define REPLAY_WINDOW_H

#include "base/base.h"

/* Which events are settled (delivered, refused or not selected) when they do not become so in the
 * order of the log: all up to `settled`, and those behind it whose bit is set. Of fixed size and
 * without pointers, so that it can be a mapped file: killed at any store, what it says afterwards
 * lacks at most the last event (docs/adr/0020-run-records.md). One thread at a time. */

#define WINDOW_SEQS 65536

struct window {
	uint64_t settled;
	uint64_t bits[WINDOW_SEQS / 64]; /* of sequence % WINDOW_SEQS */
};

/* Everything up to settled is settled, nothing behind. */
void window_reset(struct window *w, uint64_t settled);

/* Makes good what a kill may have left: call it before the first use of a mapped window. */
void window_recover(struct window *w);

/* The last sequence that may be settled now: further ones would need bits still in use. */
uint64_t window_end(const struct window *w);

bool window_has(const struct window *w, uint64_t seq);

/* seq must not be behind window_end. Settling twice is fine. */
void window_settle(struct window *w, uint64_t seq);

/* All from first to last; may end behind window_end only when all before first is settled. */
void window_settle_range(struct window *w, uint64_t first, uint64_t last);

#endif
