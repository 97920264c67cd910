/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/silence.h"

#define DAY_US ((int64_t)86400 * 1000000)
#define LIMIT_MIN_US ((int64_t)600 * 1000000)
#define FACTOR 3

void
silence_start(struct silence *s, int64_t now_us)
{
	*s = (struct silence){ .started_us = now_us, .last_us = now_us, .day = now_us / DAY_US };
}

void
silence_event(struct silence *s, int64_t now_us)
{
	int64_t pause_us = now_us - s->last_us, day = now_us / DAY_US;
	if (s->events > 0 && pause_us < 0)
		return;
	for (int64_t d = s->day + 1; d <= day && d <= s->day + SILENCE_DAYS; d++)
		s->longest_us[d % SILENCE_DAYS] = 0;
	s->day = day;
	/* The time before the first event that is known tells nothing. */
	if (s->events > 0 && pause_us > s->longest_us[day % SILENCE_DAYS])
		s->longest_us[day % SILENCE_DAYS] = pause_us;
	s->last_us = now_us;
	s->events++;
}

int64_t
silence_limit_us(const struct silence *s, int64_t after_us)
{
	int64_t longest_us = 0;
	if (after_us > 0)
		return after_us;
	if (s->events < SILENCE_EVENTS_MIN)
		return 0;
	for (size_t i = 0; i < SILENCE_DAYS; i++) {
		if (s->longest_us[i] > longest_us)
			longest_us = s->longest_us[i];
	}
	return longest_us * FACTOR > LIMIT_MIN_US ? longest_us * FACTOR : LIMIT_MIN_US;
}

bool
silence_is_over(const struct silence *s, int64_t now_us, int64_t limit_us)
{
	int64_t grace_us = limit_us < LIMIT_MIN_US ? limit_us : LIMIT_MIN_US;
	return limit_us > 0 && now_us - s->last_us > limit_us && now_us - s->started_us > grace_us;
}
