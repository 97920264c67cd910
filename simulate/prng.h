/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATE_PRNG_H
#define SIMULATE_PRNG_H

#include "base/base.h"

/* SplitMix64 (Steele, Lea, Flood 2014): one word of state, the same numbers everywhere. Not for
 * secrets. */
struct prng {
	uint64_t state;
};

static inline uint64_t
prng_next(struct prng *p)
{
	uint64_t z = p->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 to n - 1; the bias of the remainder is far below what anybody can see here. */
static inline unsigned
prng_below(struct prng *p, unsigned n)
{
	return (unsigned)(prng_next(p) >> 33) % n;
}

static inline bool
prng_percent(struct prng *p, unsigned percent)
{
	return prng_below(p, 100) < percent;
}

#endif
