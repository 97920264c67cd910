/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PG_CONN_H
#define PG_CONN_H

#include <libpq-fe.h>

#include "pg/pg.h"

/* What conn.c and copy.c share. */

struct pg {
	PGconn *conn;
	int64_t timeout_ms;
	size_t sends;     /* statements of the open pipeline, without BEGIN */
	char *copy_chunk; /* what pg_copy_get gave out last */
	int error_position; /* of the last refusal in its statement, in characters from 1; 0: it has none */
};

/* Fill *e: the connection is broken; the server refused; it did not answer in time. */
enum rc conn_error(const struct pg *pg, const char *doing, struct err *e);
enum rc conn_result_error(struct pg *pg, const PGresult *result, struct err *e);
enum rc conn_timed_out(struct pg *pg, struct err *e);

/* When what starts now must be answered, on the monotonic clock. */
int64_t conn_deadline(const struct pg *pg);

/* Waits for the socket; false after the deadline. */
bool conn_wait(const struct pg *pg, short events, int64_t deadline_ms);

/* Sends what is queued while reading what comes, so that neither side waits for the other's buffer. */
enum rc conn_flush(struct pg *pg, int64_t deadline_ms, struct err *e) MUST_CHECK;

/* The next result, NULL at the end of a statement. */
enum rc conn_next_result(struct pg *pg, int64_t deadline_ms, PGresult **result, struct err *e) MUST_CHECK;

/* Reads all results of one statement or one script; the last good one into *kept when it is wanted. */
enum rc conn_collect(struct pg *pg, PGresult **kept, struct err *e) MUST_CHECK;

#endif
