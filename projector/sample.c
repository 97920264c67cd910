/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/fold.h"
#include "projector/session.h"
#include "projector/tables.h"

/* A projection tried on events of the log, in a transaction that is rolled back. */

#define SCHEMA "hooklog_check"

/* Events looked at, from the newest back, to find those that make rows. */
#define LOOK_BACK_MAX 200000

/* Rows that are printed. */
#define ROWS_SHOWN 20

struct sampler {
	struct session *s;
	const struct definition *d;
	const struct projector_sample_options *options;
	struct buf *out;
	uint64_t *seqs; /* events that make rows or cannot be projected, newest first */
	size_t count;
	uint64_t looked_at, parked, refused;
};

/* Folds one event; whether it concerns the table. */
static bool
concerns(struct sampler *t, const struct store_record *record, struct fold *fold)
{
	arena_reset(t->s->applier.arena);
	fold_events(&t->s->catalog, record, 1, NULL, t->s->applier.arena, fold);
	return fold->tables[0].count > 0 || fold->parked_count > 0;
}

/* Finds the newest events that concern the table. */
static enum rc
look_back(struct sampler *t, const struct store_span *span, struct err *e)
{
	uint64_t end = span->last_seq + 1;
	while (end > span->first_seq && t->count < t->options->events && t->looked_at < LOOK_BACK_MAX) {
		uint64_t first = end - span->first_seq > 500 ? end - 500 : span->first_seq;
		const struct store_record *records;
		size_t count;
		arena_reset(t->s->read);
		enum rc rc = store_read(t->s->o->reader, first, (size_t)(end - first), SIZE_MAX, t->s->read,
			&records, &count, e);
		if (rc == RC_NOTFOUND)
			return RC_OK; /* only removed segments are left */
		if (rc != RC_OK)
			return rc;
		for (size_t i = count; i > 0 && t->count < t->options->events; i--) {
			struct fold fold;
			t->looked_at++;
			if (concerns(t, &records[i - 1], &fold))
				t->seqs[t->count++] = records[i - 1].event.seq;
		}
		end = first;
	}
	return RC_OK;
}

static enum rc
create(struct sampler *t, struct err *e)
{
	struct buf sql = buf_new(LIMIT_TEXT_BYTES);
	enum rc rc = pg_exec(t->s->pg, "begin; create schema " SCHEMA, e);
	if (rc == RC_OK) {
		tables_put_create(&sql, t->d, SCHEMA);
		rc = pg_exec(t->s->pg, buf_cstr(&sql), e);
		if (rc != RC_OK)
			rc = tables_refused(t->d, buf_cstr(&sql), pg_error_position(t->s->pg), e);
	}
	buf_free(&sql);
	return rc;
}

/* Writes the rows of one event. What PostgreSQL refuses is said and undone alone. */
static enum rc
write_event(struct sampler *t, const char *upsert, const struct fold *fold, uint64_t seq, struct err *e)
{
	struct pg_array arrays[TABLES_PARAMS_MAX];
	struct pg_param params[TABLES_PARAMS_MAX];
	struct pg_result *r = NULL;
	size_t count;
	enum rc rc = pg_exec(t->s->pg, "savepoint event", e);
	if (rc != RC_OK)
		return rc;
	rc = tables_bind(&fold->tables[0], arrays, params, &count, e);
	if (rc == RC_OK)
		rc = pg_query(t->s->pg, upsert, params, count, &r, e);
	pg_result_free(r);
	for (size_t i = 0; i < count; i++)
		pg_array_free(&arrays[i]);
	if (rc == RC_INVALID) {
		t->refused++;
		buf_printf(t->out, "event %" PRIu64 ": %s\n", seq, e->text);
		return pg_exec(t->s->pg, "rollback to savepoint event", e);
	}
	return rc == RC_OK ? pg_exec(t->s->pg, "release savepoint event", e) : rc;
}

static enum rc
write_all(struct sampler *t, struct err *e)
{
	enum pg_type types[TABLES_PARAMS_MAX];
	struct buf upsert = buf_new(LIMIT_CONFIG_FILE_BYTES);
	tables_put_upsert(&upsert, t->d, SCHEMA, types);
	enum rc rc = RC_OK;
	for (size_t i = t->count; i > 0 && rc == RC_OK; i--) { /* in the order of the log */
		const struct store_record *record;
		size_t count;
		struct fold fold;
		arena_reset(t->s->read);
		rc = store_read(t->s->o->reader, t->seqs[i - 1], 1, SIZE_MAX, t->s->read, &record, &count, e);
		if (rc != RC_OK || count == 0 || !concerns(t, record, &fold))
			continue;
		if (fold.parked_count > 0) {
			t->parked++;
			buf_printf(t->out, "event %" PRIu64 ": %s\n", t->seqs[i - 1], fold.parked[0].reason);
			continue;
		}
		rc = write_event(t, buf_cstr(&upsert), &fold, t->seqs[i - 1], e);
	}
	buf_free(&upsert);
	return rc;
}

/* Line and column of the column's line in the file. */
static void
put_place(struct buf *out, const struct definition *d, const struct column *c)
{
	const char *line = strstr(d->ddl, "create table ");
	size_t len = strlen(c->name);
	int number = 1;
	for (const char *p = d->ddl; p < line; p++)
		number += *p == '\n';
	for (; line != NULL; number++) {
		const char *name = line + strspn(line, " \t");
		if (strncmp(name, c->name, len) == 0 && (name[len] == ' ' || name[len] == '\t')) {
			buf_printf(out, "%s:%d:%d: ", d->file, number, (int)(name - line) + 1);
			return;
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	buf_printf(out, "%s: ", d->file);
}

/* A path that never leads to anything is the most frequent mistake. */
static enum rc
report_empty_columns(struct sampler *t, uint64_t *rows, struct err *e)
{
	const struct definition *d = t->d;
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct pg_result *r = NULL;
	buf_put_str(&sql, "select count(*)");
	for (size_t i = 0; i < d->column_count; i++)
		buf_printf(&sql, ", count(%s)", d->columns[i].name);
	buf_printf(&sql, " from " SCHEMA ".%s", d->table);
	enum rc rc = pg_query(t->s->pg, buf_cstr(&sql), NULL, 0, &r, e);
	*rows = rc == RC_OK ? strtoull(pg_field(r, 0, 0), NULL, 10) : 0;
	for (size_t i = 0; rc == RC_OK && *rows > 0 && i < d->column_count; i++) {
		if (strcmp(pg_field(r, 0, i + 1), "0") != 0)
			continue;
		put_place(t->out, d, &d->columns[i]);
		buf_printf(t->out, "column %s is null in every row (= %s)\n", d->columns[i].name,
			d->columns[i].source);
	}
	pg_result_free(r);
	buf_free(&sql);
	return rc;
}

static enum rc
put_rows(struct sampler *t, struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct pg_result *r = NULL;
	buf_put_str(&sql, "select row_to_json(x) from (select ");
	for (size_t i = 0; i < t->d->column_count; i++)
		buf_printf(&sql, "%s%s", i == 0 ? "" : ", ", t->d->columns[i].name);
	for (size_t i = 0; i < t->d->generated_count; i++)
		buf_printf(&sql, ", %s", t->d->generated[i].name);
	buf_printf(&sql, " from " SCHEMA ".%s limit %d) x", t->d->table, ROWS_SHOWN);
	enum rc rc = pg_query(t->s->pg, buf_cstr(&sql), NULL, 0, &r, e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(r); i++)
		buf_printf(t->out, "%s\n", pg_field(r, i, 0));
	pg_result_free(r);
	buf_free(&sql);
	return rc;
}

enum rc
projector_sample(const struct projector_options *o, const struct projector_sample_options *options,
	struct buf *out, uint64_t *wrong, struct err *e)
{
	struct session s = { .o = o, .names = arena_new(256 * 1024), .read = arena_new(1024 * 1024),
		.applier = { .arena = arena_new(1024 * 1024) } };
	struct sampler t = { .s = &s, .options = options, .out = out };
	struct store_span span;
	uint64_t rows = 0;
	enum rc rc = catalog_load_one(&s.catalog, o->definitions_dir, options->file_or_table, s.names, e);
	bool loaded = rc == RC_OK;
	t.d = s.catalog.definitions;
	t.seqs = base_alloc((options->events + 1) * sizeof *t.seqs);
	if (rc == RC_OK)
		rc = store_span(o->reader, &span, e);
	if (rc == RC_OK)
		rc = look_back(&t, &span, e);
	if (rc == RC_OK)
		rc = session_reach(&s, "hooklog check", e);
	if (rc == RC_OK)
		rc = create(&t, e);
	if (rc == RC_OK)
		rc = write_all(&t, e);
	if (rc == RC_OK)
		rc = report_empty_columns(&t, &rows, e);
	if (rc == RC_OK)
		rc = put_rows(&t, e);
	if (s.pg != NULL)
		(void)!pg_exec(s.pg, "rollback", NULL);
	*wrong = t.parked + t.refused;
	if (rc == RC_OK)
		buf_printf(out, "%" PRIu64 " rows of %zu events, %" PRIu64 " of which cannot be projected; looked at the "
				"newest %" PRIu64 " events\n", rows, t.count, *wrong, t.looked_at);
	free(t.seqs);
	if (!loaded)
		s.catalog.paths = NULL;
	session_close(&s);
	return rc;
}
