/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/window.h"

/* Only half of the bits are in use at a time: settled+1 to settled+WINDOW_SEQS/2. `settled` moves
 * before the bits behind it are cleared, so a kill between the two leaves bits that would mean
 * later sequences. Those are at least WINDOW_SEQS/2 away, and window_recover clears that half. In
 * the other order the same kill would forget events that are settled.
 *
 * After a power cut pages of the file can be of different age. Bits newer than `settled` stand for
 * events that were settled then; bits older than it are in the cleared half. Either way no event
 * counts as settled that was not. */

static uint64_t
mask_of(uint64_t seq)
{
	return UINT64_C(1) << (seq % 64);
}

static uint64_t *
word_of(struct window *w, uint64_t seq)
{
	return &w->bits[seq % WINDOW_SEQS / 64];
}

void
window_reset(struct window *w, uint64_t settled)
{
	memset(w->bits, 0, sizeof(w->bits));
	__atomic_store_n(&w->settled, settled, __ATOMIC_RELEASE);
}

static void
advance(struct window *w)
{
	uint64_t next = w->settled + 1;
	while ((*word_of(w, next) & mask_of(next)) != 0) {
		/* The compiler must not swap the two. */
		__atomic_store_n(&w->settled, next, __ATOMIC_RELEASE);
		__atomic_and_fetch(word_of(w, next), ~mask_of(next), __ATOMIC_RELEASE);
		next++;
	}
}

void
window_recover(struct window *w)
{
	for (uint64_t i = WINDOW_SEQS / 2 + 1; i <= WINDOW_SEQS; i++)
		*word_of(w, w->settled + i) &= ~mask_of(w->settled + i);
	advance(w);
}

uint64_t
window_end(const struct window *w)
{
	return w->settled + WINDOW_SEQS / 2;
}

bool
window_has(const struct window *w, uint64_t seq)
{
	if (seq <= w->settled)
		return true;
	return seq <= window_end(w) && (w->bits[seq % WINDOW_SEQS / 64] & mask_of(seq)) != 0;
}

void
window_settle(struct window *w, uint64_t seq)
{
	if (seq <= w->settled)
		return;
	ASSERT(seq <= window_end(w));
	__atomic_or_fetch(word_of(w, seq), mask_of(seq), __ATOMIC_RELEASE);
	advance(w);
}

void
window_settle_range(struct window *w, uint64_t first, uint64_t last)
{
	/* In steps of half the window, each as safe against a kill as a single event. */
	while (first <= w->settled + 1 && w->settled < last) {
		uint64_t old = w->settled, end = window_end(w) < last ? window_end(w) : last;
		__atomic_store_n(&w->settled, end, __ATOMIC_RELEASE);
		for (uint64_t seq = old + 1; seq <= end; seq++) {
			if (seq % 64 == 0 && end - seq >= 63) {
				__atomic_store_n(word_of(w, seq), 0, __ATOMIC_RELEASE);
				seq += 63;
			} else {
				__atomic_and_fetch(word_of(w, seq), ~mask_of(seq), __ATOMIC_RELEASE);
			}
		}
		advance(w);
	}
	for (uint64_t seq = first; seq <= last && seq > w->settled; seq++)
		window_settle(w, seq);
}
