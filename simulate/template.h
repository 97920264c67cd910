/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATE_TEMPLATE_H
#define SIMULATE_TEMPLATE_H

#include "base/buf.h"

/* Appends a JSON template: ' stands for the quotation mark, so that templates read well in C, and
 *
 *	%s  const char *   a JSON string, escaped; NULL gives null
 *	%u  const char *   text inside a string, as it is; must need no escapes
 *	%i  int64_t        a number
 *	%n  int64_t        a number, null for 0
 *	%b  int            true or false
 *	%%                 a per cent sign
 *	%t  int64_t        microseconds as "2026-03-01T12:00:00Z" with its quotation marks; null for
 *0
 *
 * Every number must be an int64_t: a compiler cannot check these. */
void template_put(struct buf *out, const char *template, ...);

/* The text of %t without quotation marks; at_us must be after 1970. */
void template_time(int64_t at_us, char out[24]);

#endif
