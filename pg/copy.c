/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "pg/conn.h"

static enum rc
start(struct pg *pg, const char *sql, ExecStatusType wanted, struct err *e)
{
	PGresult *result;
	if (PQsendQuery(pg->conn, sql) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	enum rc rc = conn_next_result(pg, conn_deadline(pg), &result, e);
	if (rc != RC_OK)
		return rc;
	if (PQresultStatus(result) == wanted) {
		PQclear(result);
		return RC_OK;
	}
	rc = conn_result_error(pg, result, e);
	PQclear(result);
	(void)!conn_collect(pg, NULL, NULL);
	return rc;
}

enum rc
pg_copy_in(struct pg *pg, const char *sql, struct err *e)
{
	return start(pg, sql, PGRES_COPY_IN, e);
}

enum rc
pg_copy_put(struct pg *pg, struct bytes data, struct err *e)
{
	/* libpq grows its buffer as far as it is asked to; pieces keep it small. */
	while (data.len > 0) {
		size_t piece = data.len < 65536 ? data.len : 65536;
		if (PQputCopyData(pg->conn, (const char *)data.data, (int)piece) != 1)
			return conn_error(pg, "send to PostgreSQL", e);
		enum rc rc = conn_flush(pg, conn_deadline(pg), e);
		if (rc != RC_OK)
			return rc;
		data.data += piece;
		data.len -= piece;
	}
	return RC_OK;
}

enum rc
pg_copy_end(struct pg *pg, uint64_t *rows, struct err *e)
{
	*rows = 0;
	if (PQputCopyEnd(pg->conn, NULL) != 1)
		return conn_error(pg, "send to PostgreSQL", e);
	PGresult *kept = NULL;
	enum rc rc = conn_collect(pg, &kept, e);
	if (rc == RC_OK && kept != NULL)
		*rows = strtoull(PQcmdTuples(kept), NULL, 10);
	PQclear(kept);
	return rc;
}

enum rc
pg_copy_out(struct pg *pg, const char *sql, struct err *e)
{
	return start(pg, sql, PGRES_COPY_OUT, e);
}

enum rc
pg_copy_get(struct pg *pg, struct bytes *data, struct err *e)
{
	PQfreemem(pg->copy_chunk);
	pg->copy_chunk = NULL;
	*data = (struct bytes){ NULL, 0 };
	int64_t deadline_ms = conn_deadline(pg);
	for (;;) {
		int len = PQgetCopyData(pg->conn, &pg->copy_chunk, 1);
		if (len > 0) {
			*data = (struct bytes){ (const unsigned char *)pg->copy_chunk, (size_t)len };
			return RC_OK;
		}
		if (len == -1)
			return conn_collect(pg, NULL, e);
		if (len < 0)
			return conn_error(pg, "read from PostgreSQL", e);
		if (!conn_wait(pg, POLLIN, deadline_ms))
			return conn_timed_out(pg, e);
		if (PQconsumeInput(pg->conn) != 1)
			return conn_error(pg, "read from PostgreSQL", e);
	}
}
