/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pace.h"

struct pace
pace_new(uint64_t per_s, int64_t now_us)
{
	return (struct pace){ .per_s = per_s, .start_us = now_us };
}

int64_t
pace_next_us(struct pace *p, int64_t now_us)
{
	if (p->per_s == 0)
		return 0;
	/* Whole seconds are carried over, so the product below stays exact for ever. */
	while (p->count >= p->per_s) {
		p->count -= p->per_s;
		p->start_us += 1000000;
	}
	int64_t due_us = p->start_us + (int64_t)((double)p->count * 1e6 / (double)p->per_s);
	if (now_us - due_us > PACE_CATCH_UP_US) {
		p->start_us = now_us;
		p->count = 0;
		due_us = now_us;
	}
	p->count++;
	return due_us > now_us ? due_us - now_us : 0;
}
