/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>

#include <libpq-fe.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pg/conn.h"
#include "pg/sqlstate.h"

struct pg_result {
	PGresult *result;
};

/* libpq ends its messages with a newline and spreads them over lines. */
static void
one_line(char *text)
{
	size_t len = strlen(text);
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		text[--len] = '\0';
	for (char *p = text; *p != '\0'; p++) {
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	}
}

enum rc
conn_error(const struct pg *pg, const char *doing, struct err *e)
{
	enum rc rc = err_set(e, RC_AGAIN, "postgres.unavailable", "%s: %s", doing,
		PQerrorMessage(pg->conn));
	if (e != NULL)
		one_line(e->text);
	return rc;
}

enum rc
conn_result_error(struct pg *pg, const PGresult *result, struct err *e)
{
	const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	pg->error_position = position == NULL ? 0 : (int)strtol(position, NULL, 10);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (state == NULL)
		return conn_error(pg, "PostgreSQL", e);
	const char *id;
	enum rc rc = sqlstate_rc(state, &id);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	err_set(e, rc, id, "PostgreSQL: %s%s%s", message == NULL ? "error" : message,
		detail == NULL ? "" : "; ", detail == NULL ? "" : detail);
	if (e != NULL) {
		snprintf(e->code, sizeof e->code, "%s", state);
		one_line(e->text);
	}
	return rc;
}

int64_t
conn_deadline(const struct pg *pg)
{
	return pg->timeout_ms == 0 ? INT64_MAX : clock_monotonic_ms() + pg->timeout_ms;
}

bool
conn_wait(const struct pg *pg, short events, int64_t deadline_ms)
{
	for (;;) {
		int64_t left = deadline_ms - clock_monotonic_ms();
		if (left <= 0)
			return false;
		struct pollfd fd = { .fd = PQsocket(pg->conn), .events = events };
		int n = poll(&fd, 1, left > 1000 ? 1000 : (int)left);
		if (n > 0 || (n < 0 && errno != EINTR))
			return true;
	}
}

enum rc
conn_timed_out(struct pg *pg, struct err *e)
{
	/* The answer may still come; only a new connection is in a known state. */
	return err_set(e, RC_AGAIN, "postgres.unavailable",
		"PostgreSQL did not answer within %" PRId64 " ms", pg->timeout_ms);
}

enum rc
conn_flush(struct pg *pg, int64_t deadline_ms, struct err *e)
{
	for (;;) {
		int left = PQflush(pg->conn);
		if (left == 0)
			return RC_OK;
		if (left < 0)
			return conn_error(pg, "send to PostgreSQL", e);
		if (!conn_wait(pg, POLLIN | POLLOUT, deadline_ms))
			return conn_timed_out(pg, e);
		if (PQconsumeInput(pg->conn) != 1)
			return conn_error(pg, "read from PostgreSQL", e);
	}
}

enum rc
conn_next_result(struct pg *pg, int64_t deadline_ms, PGresult **result, struct err *e)
{
	*result = NULL;
	enum rc rc = conn_flush(pg, deadline_ms, e);
	if (rc != RC_OK)
		return rc;
	while (PQisBusy(pg->conn)) {
		if (!conn_wait(pg, POLLIN, deadline_ms))
			return conn_timed_out(pg, e);
		if (PQconsumeInput(pg->conn) != 1)
			return conn_error(pg, "read from PostgreSQL", e);
	}
	*result = PQgetResult(pg->conn);
	return RC_OK;
}

static bool
is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
		status == PGRES_EMPTY_QUERY;
}

enum rc
conn_collect(struct pg *pg, PGresult **kept, struct err *e)
{
	enum rc rc = RC_OK;
	int64_t deadline_ms = conn_deadline(pg);
	for (;;) {
		PGresult *result;
		struct err failure = { 0 };
		enum rc read = conn_next_result(pg, deadline_ms, &result, &failure);
		if (read != RC_OK) {
			if (e != NULL)
				*e = failure;
			return read;
		}
		if (result == NULL)
			return rc;
		if (!is_good(result)) {
			if (rc == RC_OK)
				rc = conn_result_error(pg, result, e);
		} else if (kept != NULL) {
			PQclear(*kept);
			*kept = result;
			result = NULL;
		}
		PQclear(result);
		if (PQstatus(pg->conn) != CONNECTION_OK)
			return rc == RC_OK ? conn_error(pg, "PostgreSQL", e) : rc;
	}
}

/* libpq's own refusals, before any server was asked. */
static bool
is_refusal(const char *text)
{
	static const char *const refusals[] = { "no password supplied", "missing \"=\" after",
		"definition of service" };
	/* An option or its value; what a server says starts with "connection to server". */
	if (strncmp(text, "invalid ", strlen("invalid ")) == 0)
		return true;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		if (strstr(text, refusals[i]) != NULL)
			return true;
	}
	return false;
}

static enum rc
login_error(const struct pg *pg, struct err *e)
{
	const char *text = PQerrorMessage(pg->conn);
	char state[6] = "";
	const char *id = NULL;
	enum rc rc = RC_AGAIN;
	if (sqlstate_of_login(text, state))
		rc = sqlstate_rc(state, &id);
	else if (is_refusal(text))
		rc = RC_DENIED;
	if (rc == RC_DENIED)
		err_set(e, rc, "postgres.refused",
			"PostgreSQL refuses the connection; check postgres.url or PG*: %s", text);
	else
		rc = err_set(e, RC_AGAIN, "postgres.unavailable", "connect to PostgreSQL: %s", text);
	if (e == NULL)
		return rc;
	snprintf(e->code, sizeof e->code, "%s", state);
	char *location = strstr(e->text, "\nLOCATION:"); /* of the server's source: no help here */
	if (location != NULL)
		*location = '\0';
	one_line(e->text);
	return rc;
}

static enum rc
start(struct pg *pg, const char *conninfo, const char *application, struct err *e)
{
	const char *const keys[] = { "dbname", "fallback_application_name", "connect_timeout",
		"tcp_user_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count",
		"client_encoding", NULL };
	const char *const values[] = { conninfo, application, "5", "10000", "10", "5", "3", "UTF8",
		NULL };
	pg->conn = PQconnectStartParams(keys, values, 1);
	ASSERT(pg->conn != NULL);
	PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	int64_t deadline_ms = clock_monotonic_ms() + 10000;
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	while (PQstatus(pg->conn) != CONNECTION_BAD) {
		if (state == PGRES_POLLING_OK)
			return RC_OK;
		if (state == PGRES_POLLING_FAILED)
			break;
		if (!conn_wait(pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
			return err_set(e, RC_AGAIN, "postgres.unavailable",
				"connecting to PostgreSQL timed out; check host, port and firewall");
		state = PQconnectPoll(pg->conn);
	}
	return login_error(pg, e);
}

enum rc
pg_connect(struct pg **out, const char *conninfo, const char *application, struct err *e)
{
	struct pg *pg = base_zalloc(sizeof *pg);
	pg->timeout_ms = 60000;
	enum rc rc = start(pg, conninfo, application, e);
	if (rc != RC_OK)
		goto done;
	if (PQserverVersion(pg->conn) < 130000) {
		rc = err_set(e, RC_INVALID, "postgres.refused",
			"PostgreSQL %d is too old; hooklog needs 13 or newer",
			PQserverVersion(pg->conn) / 10000);
		goto done;
	}
	PQsetnonblocking(pg->conn, 1);
	PQsetNoticeProcessor(pg->conn, NULL, NULL);
	rc = pg_exec(pg,
		"set timezone = 'UTC'; set standard_conforming_strings = on; set lock_timeout = '30s';"
		"set idle_in_transaction_session_timeout = '60s'; set datestyle = 'ISO';"
		/* A little longer than we wait, so that nothing goes on that nobody waits for. */
		"set statement_timeout = '70s';"
		/* So that the server, too, notices a cut cable, and lets go of the projector's lock. */
		"set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;"
		"set synchronous_commit = off; set client_min_messages = warning",
		e);
done:
	if (rc != RC_OK) {
		pg_close(pg);
		pg = NULL;
	}
	*out = pg;
	return rc;
}

void
pg_close(struct pg *pg)
{
	if (pg == NULL)
		return;
	PQfreemem(pg->copy_chunk);
	PQfinish(pg->conn);
	free(pg);
}

void
pg_set_timeout_ms(struct pg *pg, int64_t timeout_ms)
{
	pg->timeout_ms = timeout_ms;
}

enum rc
pg_exec(struct pg *pg, const char *sql, struct err *e)
{
	if (PQsendQuery(pg->conn, sql) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	return conn_collect(pg, NULL, e);
}

#define PARAMS_MAX 128

/* libpq wants parallel arrays. */
struct param_arrays {
	Oid types[PARAMS_MAX];
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX];
	int formats[PARAMS_MAX];
};

static void
spread(const struct pg_param *params, size_t count, struct param_arrays *out)
{
	ASSERT(count <= PARAMS_MAX);
	for (size_t i = 0; i < count; i++) {
		out->types[i] = (Oid)params[i].type;
		out->values[i] = (const char *)params[i].data.data;
		out->lengths[i] = (int)params[i].data.len;
		out->formats[i] = 1;
	}
}

enum rc
pg_query(struct pg *pg, const char *sql, const struct pg_param *params, size_t count,
	struct pg_result **out, struct err *e)
{
	struct param_arrays p;
	spread(params, count, &p);
	*out = NULL;
	if (PQsendQueryParams(pg->conn, sql, (int)count, p.types, p.values, p.lengths, p.formats, 0) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	PGresult *kept = NULL;
	enum rc rc = conn_collect(pg, &kept, e);
	if (rc != RC_OK) {
		PQclear(kept);
		return rc;
	}
	*out = base_alloc(sizeof **out);
	(*out)->result = kept;
	return RC_OK;
}

size_t
pg_rows(const struct pg_result *result)
{
	return (size_t)PQntuples(result->result);
}

const char *
pg_field(const struct pg_result *result, size_t row, size_t column)
{
	if (PQgetisnull(result->result, (int)row, (int)column))
		return NULL;
	return PQgetvalue(result->result, (int)row, (int)column);
}

bool
pg_field_bytes(const struct pg_result *result, size_t row, size_t column, unsigned char *out, size_t len)
{
	const char *text = pg_field(result, row, column);
	if (text == NULL)
		return false;
	size_t have;
	unsigned char *data = PQunescapeBytea((const unsigned char *)text, &have);
	bool right = data != NULL && have == len;
	if (right)
		memcpy(out, data, len);
	PQfreemem(data);
	return right;
}

void
pg_result_free(struct pg_result *result)
{
	if (result == NULL)
		return;
	PQclear(result->result);
	free(result);
}

enum rc
pg_prepare(struct pg *pg, const char *name, const char *sql, const enum pg_type *types, size_t count,
	struct err *e)
{
	Oid oids[PARAMS_MAX];
	ASSERT(count <= PARAMS_MAX);
	for (size_t i = 0; i < count; i++)
		oids[i] = (Oid)types[i];
	if (PQsendPrepare(pg->conn, name, sql, (int)count, oids) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	return conn_collect(pg, NULL, e);
}

enum rc
pg_pipeline_begin(struct pg *pg, struct err *e)
{
	pg->sends = 0;
	if (PQenterPipelineMode(pg->conn) != 1)
		return conn_error(pg, "start a pipeline", e);
	if (PQsendQueryParams(pg->conn, "begin", 0, NULL, NULL, NULL, NULL, 0) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	return RC_OK;
}

enum rc
pg_pipeline_send(struct pg *pg, const char *prepared, const struct pg_param *params, size_t count,
	struct err *e)
{
	struct param_arrays p;
	spread(params, count, &p);
	if (PQsendQueryPrepared(pg->conn, prepared, (int)count, p.values, p.lengths, p.formats, 0) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	pg->sends++;
	return conn_flush(pg, conn_deadline(pg), e);
}

/* Reads the answers of the pipeline up to its sync: first BEGIN, then each send, then COMMIT. */
static enum rc
drain_pipeline(struct pg *pg, size_t *failed, struct err *e)
{
	enum rc rc = RC_OK;
	int64_t deadline_ms = conn_deadline(pg);
	size_t answered = 0;
	bool ended_one = false; /* a NULL result ends each statement; two in a row: nothing is left */
	for (;;) {
		PGresult *result;
		struct err failure = { 0 };
		enum rc read = conn_next_result(pg, deadline_ms, &result, &failure);
		if (read != RC_OK) {
			if (e != NULL)
				*e = failure;
			return read;
		}
		if (result == NULL) {
			if (ended_one || PQstatus(pg->conn) != CONNECTION_OK)
				return rc == RC_OK ? conn_error(pg, "PostgreSQL", e) : rc;
			ended_one = true;
			answered++;
			continue;
		}
		ended_one = false;
		ExecStatusType status = PQresultStatus(result);
		if (!is_good(result) && status != PGRES_PIPELINE_SYNC &&
			status != PGRES_PIPELINE_ABORTED && rc == RC_OK) {
			rc = conn_result_error(pg, result, e);
			if (failed != NULL)
				*failed = answered == 0 ? 0 : answered - 1;
		}
		PQclear(result);
		if (status == PGRES_PIPELINE_SYNC)
			return rc;
	}
}

static enum rc
end_pipeline(struct pg *pg, const char *how, size_t *failed, struct err *e)
{
	if (PQsendQueryParams(pg->conn, how, 0, NULL, NULL, NULL, NULL, 0) != 1 ||
		PQpipelineSync(pg->conn) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	enum rc rc = drain_pipeline(pg, failed, e);
	if (PQstatus(pg->conn) != CONNECTION_OK || PQexitPipelineMode(pg->conn) != 1)
		return rc == RC_OK ? conn_error(pg, "end a pipeline", e) : rc;
	if (rc == RC_OK)
		return RC_OK;
	/* The failed transaction is still open. When undoing it fails too, the connection is gone, and
	 * with it the transaction: the first error is the one to tell. */
	struct err ignored;
	enum rc undone UNUSED = pg_exec(pg, "rollback", &ignored);
	return rc;
}

enum rc
pg_pipeline_commit(struct pg *pg, size_t *failed, struct err *e)
{
	return end_pipeline(pg, "commit", failed, e);
}

enum rc
pg_pipeline_rollback(struct pg *pg, struct err *e)
{
	return end_pipeline(pg, "rollback", NULL, e);
}

void
pg_put_identifier(struct buf *out, const char *name)
{
	buf_put_char(out, '"');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '"')
			buf_put_char(out, '"');
		buf_put_char(out, *p);
	}
	buf_put_char(out, '"');
}

void
pg_put_literal(struct buf *out, const char *text)
{
	buf_put_char(out, '\'');
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\'')
			buf_put_char(out, '\'');
		buf_put_char(out, *p);
	}
	buf_put_char(out, '\'');
}

int
pg_error_position(const struct pg *pg)
{
	return pg->error_position;
}
