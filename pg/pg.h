/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PG_PG_H
#define PG_PG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* A connection to PostgreSQL: plain statements, and pipelined transactions that send a whole batch and
 * wait once. The only user of libpq-fe.h. All waiting happens in poll with a deadline, so a server that
 * hangs or a cable that is cut ends in an error, never in a stuck thread. One thread per connection.
 *
 * Every function that talks to the server may return:
 *   RC_AGAIN    the server is unreachable, starting, stopping, out of resources, or the connection broke
 *               or timed out (SQLSTATE classes 08, 40, 53, 55, 57, 58, XX, 25P03): retry later with a
 *               new connection
 *   RC_DENIED   it refuses us: wrong password, no such database or role, no privilege, or it only reads
 *               (28, 3D, 42501, 25006)
 *   RC_INVALID  the data is wrong and will be wrong again (22, 23, 42804, 54)
 *   RC_CONFLICT an error raised by our own functions (class HL)
 *   RC_IO       anything else, such as a missing table
 * with the SQLSTATE in e->code and id postgres.unavailable or postgres.refused where those fit. */

struct pg;

/* Connects. conninfo is a libpq connection string or URL; "" uses the PG* environment and service file.
 * application names us in pg_stat_activity. Sets timeouts, UTC, and client_encoding UTF8 for the session.
 * RC_INVALID as well: the server is older than PostgreSQL 13. Owned by the caller until pg_close. */
enum rc pg_connect(struct pg **pg, const char *conninfo, const char *application, struct err *e)
	MUST_CHECK;

/* NULL is fine. */
void pg_close(struct pg *pg);

/* How long one statement or one pipeline may take; default 60,000. 0: no limit, for rebuilding an
 * index. */
void pg_set_timeout_ms(struct pg *pg, int64_t timeout_ms);

/* Runs one or more statements and drops their rows. */
enum rc pg_exec(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;

/* Where in its SQL the statement that was refused last is wrong, in characters from 1; 0: not known. */
int pg_error_position(const struct pg *pg);

/* Object ids of the types we send (PostgreSQL's pg_type.dat; they never change). */
enum pg_type {
	PG_BOOL = 16,
	PG_BYTEA = 17,
	PG_INT8 = 20,
	PG_INT4 = 23,
	PG_TEXT = 25,
	PG_BOOL_ARRAY = 1000,
	PG_TEXT_ARRAY = 1009,
	PG_INT8_ARRAY = 1016,
	PG_TIMESTAMPTZ = 1184,
	PG_TIMESTAMPTZ_ARRAY = 1185,
};

/* A parameter in binary format; data NULL is SQL null. Borrowed for the call. */
struct pg_param {
	enum pg_type type;
	struct bytes data;
};

struct pg_result; /* rows of one statement, as text */

/* Runs one statement with parameters. *result is owned by the caller until pg_result_free. */
enum rc pg_query(struct pg *pg, const char *sql, const struct pg_param *params, size_t count,
	struct pg_result **result, struct err *e) MUST_CHECK;
size_t pg_rows(const struct pg_result *result);
/* The text of a field, NULL for SQL null; borrowed from result. */
const char *pg_field(const struct pg_result *result, size_t row, size_t column);
/* The bytes of a bytea field of known length into out; false when it is null or has another length. */
bool pg_field_bytes(const struct pg_result *result, size_t row, size_t column, unsigned char *out,
	size_t len);
/* NULL is fine. */
void pg_result_free(struct pg_result *result);

/* Prepares a statement under a name for pg_pipeline_send. */
enum rc pg_prepare(struct pg *pg, const char *name, const char *sql, const enum pg_type *types,
	size_t count, struct err *e) MUST_CHECK;

/* One transaction in one round trip: begin, any number of sends, commit. When a statement fails the whole
 * transaction is undone, *failed (may be NULL) is the number of that send from 0 and the connection is
 * usable again. When the connection breaks during commit the outcome is unknown: read the checkpoint.
 * The parameters are copied before pg_pipeline_send returns. */
enum rc pg_pipeline_begin(struct pg *pg, struct err *e) MUST_CHECK;
enum rc pg_pipeline_send(struct pg *pg, const char *prepared, const struct pg_param *params,
	size_t count, struct err *e) MUST_CHECK;
enum rc pg_pipeline_commit(struct pg *pg, size_t *failed, struct err *e) MUST_CHECK;
/* Gives the transaction up instead. */
enum rc pg_pipeline_rollback(struct pg *pg, struct err *e) MUST_CHECK;

/* ---- COPY ---- */

/* Starts COPY ... FROM STDIN; nothing but pg_copy_put and pg_copy_end until the latter. */
enum rc pg_copy_in(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;

/* Any piece of the data. When the server has refused an earlier piece, pg_copy_end tells. */
enum rc pg_copy_put(struct pg *pg, struct bytes data, struct err *e) MUST_CHECK;

/* Ends the data; *rows is how many the server took. The error of the statement, if any. */
enum rc pg_copy_end(struct pg *pg, uint64_t *rows, struct err *e) MUST_CHECK;

/* Starts COPY ... TO STDOUT; nothing but pg_copy_get until that gave no data. */
enum rc pg_copy_out(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;

/* The next message, which holds one row (in binary format the first one starts with the header), borrowed
 * until the next call; data NULL at the end. */
enum rc pg_copy_get(struct pg *pg, struct bytes *data, struct err *e) MUST_CHECK;

/* ---- building parameters ---- */

/* Microseconds since 1970 as timestamptz in binary format; INT64_MIN is -infinity. False: PostgreSQL has
 * no such time. */
bool pg_timestamptz(int64_t us, int64_t *out);

/* A one-dimensional array parameter in PostgreSQL's binary format (src/backend/utils/adt/arrayfuncs.c,
 * array_recv). Elements are appended in order; pg_array_param ends it. */
struct pg_array {
	struct buf buf;
	enum pg_type type; /* PG_*_ARRAY */
	uint32_t count;
	bool has_null;
};

void pg_array_start(struct pg_array *array, enum pg_type type, size_t max_bytes);
void pg_array_null(struct pg_array *array);
void pg_array_int8(struct pg_array *array, int64_t v);
void pg_array_bool(struct pg_array *array, bool v);
void pg_array_text(struct pg_array *array, struct bytes v);
/* Microseconds since 1970; INT64_MIN is -infinity. Out of PostgreSQL's range gives null. */
void pg_array_timestamptz(struct pg_array *array, int64_t us);
/* The finished parameter, borrowed from array. RC_INVALID: it passed max_bytes. */
enum rc pg_array_param(struct pg_array *array, struct pg_param *param, struct err *e) MUST_CHECK;
void pg_array_free(struct pg_array *array);

/* A single int8 or int4 parameter; buffer holds its bytes. */
struct pg_param pg_param_int8(int64_t v, unsigned char buffer[8]);
struct pg_param pg_param_int4(int32_t v, unsigned char buffer[4]);
struct pg_param pg_param_text(const char *s);
struct pg_param pg_param_bytea(const void *data, size_t len);

/* Appends an SQL identifier in double quotes. */
void pg_put_identifier(struct buf *out, const char *name);

/* Appends a text in single quotes, for statements that take no parameters; the server's
 * standard_conforming_strings is on. */
void pg_put_literal(struct buf *out, const char *text);

#endif
