/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

#define CLOCK_TEXT_BYTES 40

/* Microseconds since 1970-01-01 UTC. May step when an administrator sets the clock. */
int64_t clock_now_us(void);

/* Milliseconds and microseconds of a clock that never steps; only differences mean something. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

/* Sleeps; a signal may end it early. */
void clock_sleep_ms(int64_t ms);

/* Writes "2026-03-01T12:00:00.123456Z". */
void clock_format_us(int64_t us, char out[CLOCK_TEXT_BYTES]);

/* Reads an RFC 3339 date-time ("2026-03-01T12:00:00Z", optional fraction, offset "+02:00", also with
 * a space for the T) or a date ("2026-03-01") into microseconds since 1970. False when text is
 * neither, or names a day or time that does not exist. Accepts years 0001 to 9999. */
bool clock_parse_us(struct bytes text, int64_t *us);

#endif
