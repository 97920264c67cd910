/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATE_HISTOGRAM_H
#define SIMULATE_HISTOGRAM_H

#include "base/base.h"

/* Latencies in microseconds by powers of two, each cut into 32 equal parts: a percentile is at most
 * 1/32 too high, whatever its size. One thread at a time. */

#define HISTOGRAM_PARTS 32
#define HISTOGRAM_CELLS (60 * HISTOGRAM_PARTS)

struct histogram {
	uint64_t cells[HISTOGRAM_CELLS];
	uint64_t count;
	int64_t max_us;
};

static inline size_t
histogram_cell(uint64_t us)
{
	if (us < HISTOGRAM_PARTS)
		return (size_t)us;
	/* The highest bit says which power, the five bits below it which part. */
	unsigned shift = 63u - (unsigned)__builtin_clzll(us) - 5u;
	return (size_t)(shift + 1) * HISTOGRAM_PARTS + (size_t)((us >> shift) - HISTOGRAM_PARTS);
}

/* The highest value of a cell. */
static inline uint64_t
histogram_cell_max(size_t cell)
{
	if (cell < HISTOGRAM_PARTS)
		return cell;
	unsigned shift = (unsigned)(cell / HISTOGRAM_PARTS) - 1;
	uint64_t first = (uint64_t)(HISTOGRAM_PARTS + cell % HISTOGRAM_PARTS) << shift;
	return first + ((uint64_t)1 << shift) - 1;
}

static inline void
histogram_add(struct histogram *h, int64_t us)
{
	h->cells[histogram_cell(us < 0 ? 0 : (uint64_t)us)]++;
	h->count++;
	h->max_us = us > h->max_us ? us : h->max_us;
}

/* The value that percent of all are not above; 0 when there are none. */
static inline int64_t
histogram_percentile(const struct histogram *h, unsigned percent)
{
	uint64_t want = (h->count * percent + 99) / 100, seen = 0;
	for (size_t i = 0; want > 0 && i < HISTOGRAM_CELLS; i++) {
		seen += h->cells[i];
		if (seen >= want) {
			int64_t us = (int64_t)histogram_cell_max(i);
			return us < h->max_us ? us : h->max_us;
		}
	}
	return 0;
}

#endif
