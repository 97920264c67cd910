/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"
#include "base/err.h"

/* Log lines: one event per line on stderr, logfmt, a stable dotted id first:
 *
 *	2026-03-01T12:00:00.123456Z info store.open path=/var/lib/hooklog/log seq=812
 *
 * Every error id has a page docs/runbooks/<id>.md. Values that are not plain printable ASCII are
 * quoted and escaped, and cut at LIMIT_LOG_VALUE_BYTES, so input cannot forge a line. No payloads, no secrets.
 * The level is the environment variable HOOKLOG_LOG_LEVEL (debug, info, warn, error; default info),
 * read per call: there is no state to set up or to share between threads. Any thread. */

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_field {
	const char *key;
	enum { LOG_FIELD_STR, LOG_FIELD_BYTES, LOG_FIELD_U64, LOG_FIELD_I64 } type;
	union {
		const char *s;
		struct bytes b;
		uint64_t u;
		int64_t i;
	} value;
};

#define F_S(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_STR, .value.s = (v) })
#define F_B(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_BYTES, .value.b = (v) })
#define F_U(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_U64, .value.u = (v) })
#define F_I(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_I64, .value.i = (v) })

#define LOG_AT(level, id, ...)                                                                     \
	log_line((level), (id), (const struct log_field[]){ __VA_ARGS__ },                         \
		sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))
#define LOG_DEBUG(id, ...) LOG_AT(LOG_LEVEL_DEBUG, id, __VA_ARGS__)
#define LOG_INFO(id, ...) LOG_AT(LOG_LEVEL_INFO, id, __VA_ARGS__)
#define LOG_WARN(id, ...) LOG_AT(LOG_LEVEL_WARN, id, __VA_ARGS__)
#define LOG_ERROR(id, ...) LOG_AT(LOG_LEVEL_ERROR, id, __VA_ARGS__)

void log_line(enum log_level level, const char *id, const struct log_field *fields, size_t count);

/* One error line for e under e->id, or under fallback_id when e carries none. */
void log_err(const char *fallback_id, const struct err *e);

#endif
