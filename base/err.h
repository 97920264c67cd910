/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/base.h"

/* The error model (docs/adr/0004-error-model.md): a result code says what the caller can do, a
 * struct err says what happened. Where something fails it fills the err; on the way up a caller may
 * add context once with err_wrap; it is logged or printed once, at the top. */

enum rc {
	RC_OK = 0,
	RC_AGAIN,    /* not now: try again later, nothing was lost */
	RC_NOTFOUND, /* the thing asked for does not exist */
	RC_INVALID,  /* the input is wrong; the same input will fail again */
	RC_DENIED,   /* not allowed, or a signature did not match */
	RC_FULL,     /* disk, map or queue is full; works again when there is room */
	RC_CORRUPT,  /* stored data is damaged; stop and run verify */
	RC_CONFLICT, /* log and tables, or two processes, disagree about history or ownership */
	RC_IO,       /* a device, the network or a server failed */
};

struct err {
	enum rc rc;
	int sys;         /* errno, or 0 */
	const char *id;  /* stable dotted id, the name of a page in docs/runbooks; static storage */
	char code[8];    /* native code, such as a SQLSTATE, or "" */
	char text[1024]; /* one sentence for a person, with the remedy where there is one */
};

/* Fills *e and returns rc, so that failing is one statement. e may be NULL. id is a string literal
 * or NULL. Any thread; no allocation. */
enum rc err_set(struct err *e, enum rc rc, const char *id, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* As err_set, with ": <strerror>" appended and e->sys set. */
enum rc err_sys(struct err *e, enum rc rc, const char *id, int sys, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

/* Puts "context: " in front of the text and returns e->rc. */
enum rc err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The name of a result code: "ok", "again", ... Static storage. */
const char *rc_name(enum rc rc);

#endif
