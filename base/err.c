/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/err.h"

static void
fill(struct err *e, enum rc rc, const char *id, int sys)
{
	e->rc = rc;
	e->sys = sys;
	e->id = id;
	e->code[0] = '\0';
}

enum rc
err_set(struct err *e, enum rc rc, const char *id, const char *fmt, ...)
{
	if (e == NULL)
		return rc;
	fill(e, rc, id, 0);
	va_list args;
	va_start(args, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	return rc;
}

enum rc
err_sys(struct err *e, enum rc rc, const char *id, int sys, const char *fmt, ...)
{
	if (e == NULL)
		return rc;
	fill(e, rc, id, sys);
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof e->text) {
		char reason[128];
		/* The GNU strerror_r may return a static string instead of filling the buffer. */
		const char *text = strerror_r(sys, reason, sizeof reason);
		snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", text);
	}
	return rc;
}

enum rc
err_wrap(struct err *e, const char *fmt, ...)
{
	char inner[sizeof e->text];
	memcpy(inner, e->text, sizeof inner);
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof e->text)
		snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", inner);
	return e->rc;
}

const char *
rc_name(enum rc rc)
{
	static const char *const names[] = { "ok", "again", "not found", "invalid", "denied", "full",
		"corrupt", "conflict", "io" };
	return (size_t)rc < COUNT_OF(names) ? names[rc] : "unknown";
}
