/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crypto.h"
#include "base/limits.h"
#include "projector/generation.h"
#include "projector/tables.h"
#include "sql/sql.h"

#define COLUMNS "id, schema_name, status, log_id, seq, chain, definition_hash, paused_at is not null"
#define NEW_COLUMNS "id, schema_name, status, log_id, seq, chain, definition_hash, views, tables, hosts"

static const char *const status_names[] = { "building", "live", "retired" };

static long
step_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return strtol(slash == NULL ? path : slash + 1, NULL, 10);
}

/* Applies the file when that was not done; when it was, it must have been this file. */
static enum rc
apply_step(struct pg *pg, const char *path, const char *text, struct err *e)
{
	long version = step_of(path);
	unsigned char number[8], want[SHA256_BYTES], have[SHA256_BYTES];
	struct pg_param step = pg_param_int8(version, number);
	struct pg_result *found = NULL;
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	crypto_sha256(bytes_str(text), want);
	enum rc rc = pg_query(pg, "select sha256 from hooklog.schema_steps where step = $1", &step, 1, &found, e);
	if (rc == RC_OK && pg_rows(found) == 0) {
		/* One script is one transaction: simple queries sent together are. */
		buf_printf(&sql, "%s\ninsert into hooklog.schema_steps (step, sha256) values (%ld, '\\x", text, version);
		buf_put_hex(&sql, want, sizeof want);
		buf_put_str(&sql, "');\n");
		rc = pg_exec(pg, buf_cstr(&sql), e);
	} else if (rc == RC_OK && (!pg_field_bytes(found, 0, 0, have, sizeof have) ||
					  memcmp(have, want, sizeof have) != 0)) {
		rc = err_set(e, RC_CONFLICT, "project.schema-steps",
			"step %ld of the schema hooklog was applied by another version of this program; use that one",
			version);
	}
	if (rc != RC_OK)
		err_wrap(e, "%s", path);
	pg_result_free(found);
	buf_free(&sql);
	return rc;
}

/* A newer program may have added what this one would not keep up. */
static enum rc
check_newest(struct pg *pg, long newest, struct err *e)
{
	struct pg_result *found = NULL;
	enum rc rc = pg_query(pg, "select coalesce(max(step), 0) from hooklog.schema_steps", NULL, 0, &found, e);
	long there = rc == RC_OK ? strtol(pg_field(found, 0, 0), NULL, 10) : 0;
	pg_result_free(found);
	if (there > newest)
		rc = err_set(e, RC_CONFLICT, "project.schema-steps",
			"the schema hooklog is at step %ld, this program knows %ld; use the newer one", there, newest);
	return rc;
}

enum rc
generation_setup(struct pg *pg, struct err *e)
{
	/* Creating a schema twice at once fails even with "if not exists", hence the lock. */
	enum rc rc = pg_exec(pg, "select pg_advisory_lock(" GENERATION_LOCK_CLASS ", 0)", e);
	if (rc != RC_OK)
		return rc;
	struct pg_result *found = NULL;
	rc = pg_query(pg,
		"select to_regclass('hooklog.schema_steps') is not null, exists (select from pg_attribute where "
		"attrelid = to_regclass('hooklog.schema_steps') and attname = 'sha256')",
		NULL, 0, &found, e);
	bool bare = rc == RC_OK && strcmp(pg_field(found, 0, 0), "t") != 0;
	if (rc == RC_OK && !bare && strcmp(pg_field(found, 0, 1), "t") != 0)
		rc = err_set(e, RC_CONFLICT, "project.schema-steps",
			"the schema hooklog was set up by a version that kept no hashes of its steps; make the tables "
			"anew in another database");
	pg_result_free(found);
	for (size_t i = 0; i < sql_file_count && rc == RC_OK && bare; i++) {
		if (strcmp(sql_files[i].path, "sql/control/0000_steps.sql") == 0)
			rc = pg_exec(pg, sql_files[i].text, e);
	}
	long newest = 0;
	for (size_t i = 0; i < sql_file_count && rc == RC_OK; i++) {
		if (strncmp(sql_files[i].path, "sql/control/", 12) != 0)
			continue;
		rc = apply_step(pg, sql_files[i].path, sql_files[i].text, e);
		newest = step_of(sql_files[i].path);
	}
	if (rc == RC_OK)
		rc = check_newest(pg, newest, e);
	enum rc unlocked = pg_exec(pg, "select pg_advisory_unlock(" GENERATION_LOCK_CLASS ", 0)",
		rc == RC_OK ? e : NULL);
	return rc == RC_OK ? unlocked : rc;
}

static enum rc
read_row(const struct pg_result *r, struct generation *g, struct err *e)
{
	*g = (struct generation){ .id = (int)strtol(pg_field(r, 0, 0), NULL, 10) };
	snprintf(g->schema, sizeof g->schema, "%s", pg_field(r, 0, 1));
	for (size_t i = 0; i < COUNT_OF(status_names); i++) {
		if (strcmp(pg_field(r, 0, 2), status_names[i]) == 0)
			g->status = (enum generation_status)i;
	}
	g->seq = strtoull(pg_field(r, 0, 4), NULL, 10);
	g->paused = pg_field(r, 0, 7)[0] == 't';
	if (!pg_field_bytes(r, 0, 3, g->log_id, sizeof g->log_id) ||
		!pg_field_bytes(r, 0, 5, g->chain, sizeof g->chain) ||
		!pg_field_bytes(r, 0, 6, g->definition_hash, sizeof g->definition_hash))
		return err_set(e, RC_CORRUPT, "project.log-mismatch",
			"row %d of hooklog.generations is damaged; run `hooklog project rebuild`", g->id);
	return RC_OK;
}

enum rc
generation_find(struct pg *pg, enum generation_status status, struct generation *g, struct err *e)
{
	struct pg_param param = pg_param_text(status_names[status]);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg,
		"select " COLUMNS " from hooklog.generations where status = $1 order by id desc limit 1",
		&param, 1, &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no %s generation of the tables",
			status_names[status]);
	else if (rc == RC_OK)
		rc = read_row(r, g, e);
	pg_result_free(r);
	return rc;
}

enum rc
generation_find_id(struct pg *pg, int id, struct generation *g, struct err *e)
{
	unsigned char number[4];
	struct pg_param param = pg_param_int4(id, number);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg, "select " COLUMNS " from hooklog.generations where id = $1", &param, 1, &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no generation %d", id);
	else if (rc == RC_OK)
		rc = read_row(r, g, e);
	pg_result_free(r);
	return rc;
}

static enum rc
insert_row(struct pg *pg, const struct catalog *c, const unsigned char log_id[STORE_LOG_ID_BYTES],
	struct generation *g, struct err *e)
{
	static const unsigned char no_chain[STORE_CHAIN_BYTES];
	struct pg_result *r = NULL;
	struct buf views = buf_new(LIMIT_CONFIG_FILE_BYTES), tables = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct buf hosts = buf_new(LIMIT_CONFIG_FILE_BYTES);
	for (size_t i = 0; i < c->count; i++) {
		buf_printf(&views, "%s%s", i == 0 ? "" : ",", c->definitions[i].view);
		buf_printf(&tables, "%s%s", i == 0 ? "" : ",", c->definitions[i].table);
	}
	for (size_t i = 0; i < c->hosts.count; i++)
		buf_printf(&hosts, "%s%s=%s", i == 0 ? "" : ",", c->hosts.list[i].source, c->hosts.list[i].name);
	struct pg_param params[] = { pg_param_bytea(log_id, STORE_LOG_ID_BYTES),
		pg_param_bytea(no_chain, sizeof no_chain), pg_param_bytea(c->hash, sizeof c->hash),
		pg_param_text(buf_cstr(&views)), pg_param_text(buf_cstr(&tables)), pg_param_text(buf_cstr(&hosts)) };
	enum rc rc = pg_query(pg,
		"with next as (select coalesce(max(id), 0) + 1 as id from hooklog.generations) "
		"insert into hooklog.generations (" NEW_COLUMNS ") "
		"select id, 'gh_g' || id, 'building', $1, 0, $2, $3, string_to_array($4, ','), "
		"string_to_array($5, ','), $6 from next "
		"returning " COLUMNS,
		params, COUNT_OF(params), &r, e);
	if (rc == RC_OK)
		rc = read_row(r, g, e);
	else if (strcmp(e->code, "23505") == 0)
		rc = err_set(e, RC_CONFLICT, "project.locked",
			"another process is making tables right now; try again");
	pg_result_free(r);
	buf_free(&views);
	buf_free(&tables);
	buf_free(&hosts);
	return rc;
}

enum rc
generation_create(struct pg *pg, const struct catalog *c,
	const unsigned char log_id[STORE_LOG_ID_BYTES], struct generation *g, struct err *e)
{
	struct buf sql = buf_new(LIMIT_TEXT_BYTES);
	enum rc rc = pg_exec(pg, "begin", e);
	if (rc == RC_OK)
		rc = insert_row(pg, c, log_id, g, e);
	if (rc == RC_OK) {
		buf_put_str(&sql, "create schema ");
		pg_put_identifier(&sql, g->schema);
		buf_put_str(&sql, ";\n");
		rc = pg_exec(pg, buf_cstr(&sql), e);
	}
	for (size_t i = 0; i < c->count && rc == RC_OK; i++) {
		buf_clear(&sql);
		tables_put_create(&sql, &c->definitions[i], g->schema);
		rc = pg_exec(pg, buf_cstr(&sql), e);
		if (rc != RC_OK)
			rc = tables_refused(&c->definitions[i], buf_cstr(&sql), pg_error_position(pg), e);
	}
	if (rc == RC_OK)
		rc = pg_exec(pg, "commit", e);
	else
		(void)!pg_exec(pg, "rollback", NULL);
	buf_free(&sql);
	return rc;
}

enum rc
generation_lock(struct pg *pg, const struct generation *g, struct err *e)
{
	char sql[128];
	snprintf(sql, sizeof sql, "select pg_try_advisory_lock(" GENERATION_LOCK_CLASS ", %d)", g->id);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg, sql, NULL, 0, &r, e);
	if (rc == RC_OK && strcmp(pg_field(r, 0, 0), "t") != 0)
		rc = err_set(e, RC_CONFLICT, "project.locked",
			"another projector is writing generation %d; stop it first, or let it work", g->id);
	pg_result_free(r);
	return rc;
}

enum rc
generation_unlock(struct pg *pg, const struct generation *g, struct err *e)
{
	char sql[128];
	snprintf(sql, sizeof sql, "select pg_advisory_unlock(" GENERATION_LOCK_CLASS ", %d)", g->id);
	return pg_exec(pg, sql, e);
}

enum rc
generation_gate(struct pg *pg, const struct generation *g, bool close, struct err *e)
{
	char sql[128];
	snprintf(sql, sizeof sql, "select pg_advisory_%s(" GENERATION_GATE_CLASS ", %d)",
		close ? "lock" : "unlock", g->id);
	return pg_exec(pg, sql, e);
}

enum rc
generation_find_locked(struct pg *pg, enum generation_status status, struct generation *g, struct err *e)
{
	for (;;) {
		struct generation before;
		enum rc rc = generation_find(pg, status, &before, e);
		if (rc == RC_OK)
			rc = generation_lock(pg, &before, e);
		if (rc != RC_OK)
			return rc;
		rc = generation_find(pg, status, g, e);
		if (rc == RC_OK && g->id == before.id)
			return RC_OK;
		/* It was promoted or dropped between the two. */
		if (rc == RC_OK || rc == RC_NOTFOUND)
			rc = generation_unlock(pg, &before, e);
		if (rc != RC_OK)
			return rc;
	}
}

enum rc
generation_check_writable(struct pg *pg, const struct generation *g, struct err *e)
{
	unsigned char id[4], seq[8];
	const struct pg_param params[] = { pg_param_int4(g->id, id), pg_param_int8((int64_t)g->seq, seq),
		pg_param_bytea(g->chain, sizeof g->chain) };
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg, "select hooklog.advance($1, $2, $2, $3)", params, COUNT_OF(params), &r, e);
	pg_result_free(r);
	return rc;
}

enum rc
generation_audit(struct pg *pg, const char *action, const struct generation *g, uint64_t from_seq,
	uint64_t to_seq, const char *note, struct err *e)
{
	unsigned char id[4], from[8], to[8];
	const struct pg_param params[] = { pg_param_text(action), pg_param_int4(g->id, id),
		pg_param_int8((int64_t)from_seq, from), pg_param_int8((int64_t)to_seq, to),
		note == NULL ? (struct pg_param){ PG_TEXT, { NULL, 0 } } : pg_param_text(note) };
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg,
		"insert into hooklog.audit (action, generation, from_seq, to_seq, note) "
		"values ($1, $2, $3, $4, $5)",
		params, COUNT_OF(params), &r, e);
	pg_result_free(r);
	return rc;
}

enum rc
generation_drop(struct pg *pg, const struct generation *g, struct err *e)
{
	struct buf sql = buf_new(4096);
	buf_put_str(&sql, "drop schema if exists ");
	pg_put_identifier(&sql, g->schema);
	buf_printf(&sql,
		" cascade; insert into hooklog.audit (action, generation, from_seq, note) "
		"select 'drop', id, seq, status from hooklog.generations where id = %d; "
		"delete from hooklog.generations where id = %d",
		g->id, g->id);
	enum rc rc = pg_exec(pg, buf_cstr(&sql), e);
	buf_free(&sql);
	return rc;
}

enum rc
generation_drop_retired(struct pg *pg, struct err *e)
{
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg,
		"select id, schema_name from hooklog.generations where status = 'retired' "
		"order by id desc offset 1",
		NULL, 0, &r, e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct generation g = { .id = (int)strtol(pg_field(r, i, 0), NULL, 10) };
		snprintf(g.schema, sizeof g.schema, "%s", pg_field(r, i, 1));
		rc = generation_drop(pg, &g, e);
	}
	pg_result_free(r);
	return rc;
}

enum rc
generation_check_log(const struct generation *g, struct store_reader *r, struct err *e)
{
	struct store_span span;
	enum rc rc = store_span(r, &span, e);
	if (rc != RC_OK)
		return rc;
	if (memcmp(span.log_id, g->log_id, sizeof span.log_id) != 0)
		return err_set(e, RC_CONFLICT, "project.log-mismatch",
			"the tables were made from another log; to make them from this one run "
			"`hooklog project rebuild`");
	if (g->seq > span.last_seq)
		return err_set(e, RC_CONFLICT, "project.log-mismatch",
			"the tables hold events up to %" PRIu64 " but the log ends at %" PRIu64
			": it was restored from an older copy; run `hooklog project rebuild`",
			g->seq, span.last_seq);
	if (g->seq == 0 || g->seq < span.first_seq)
		return RC_OK;
	struct arena *a = arena_new(64 * 1024);
	const struct store_record *record;
	size_t count = 0;
	rc = store_read(r, g->seq, 1, SIZE_MAX, a, &record, &count, e);
	if (rc == RC_OK && (count != 1 || memcmp(record->chain, g->chain, sizeof g->chain) != 0))
		rc = err_set(e, RC_CONFLICT, "project.log-mismatch",
			"event %" PRIu64 " of the log is not the one the tables were made from; run "
			"`hooklog log verify`, then `hooklog project rebuild`",
			g->seq);
	arena_free(a);
	return rc;
}
