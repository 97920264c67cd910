/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/log.h"
#include "projector/load_internal.h"
#include "projector/row_hash.h"
#include "projector/tables.h"

/* What was folded, into the database: COPY, then indexes and statistics. */

/* Rows of one table that go to the database together. */
#define COPY_BYTES ((size_t)1024 * 1024)

/* Rows from which on a table is emptied first, to be filled with frozen rows: since a file goes with it, the commit waits for the
 * disk then, whatever synchronous_commit says (RecordTransactionCommit). */
#define FREEZE_ROWS_MIN 50000

const struct definition *
load_definition(const struct load *l, size_t table)
{
	return &l->s->catalog.definitions[table];
}

void
load_put_table(struct buf *out, const struct load *l, const struct definition *d)
{
	pg_put_identifier(out, l->s->generation.schema);
	buf_printf(out, ".%s", d->table);
}

bool
load_wants(const struct load *l, const struct definition *d)
{
	return l->target.only == NULL || l->target.only == d;
}

static enum rc
on_table(struct pg *pg, const struct load *l, const char *verb, const struct definition *d, struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	buf_printf(&sql, "%s ", verb);
	load_put_table(&sql, l, d);
	enum rc rc = pg_exec(pg, buf_cstr(&sql), e);
	buf_free(&sql);
	return rc;
}

/* ---- sending ---- */

void
load_add(struct load_sum *sum, uint64_t hash)
{
	sum->rows++;
	sum->hash += hash;
}

uint64_t
load_hash(const struct buf *out, size_t start, const struct definition *d)
{
	return row_hash(d, (struct bytes){ out->data + start + 2, out->len - start - 2 });
}

/* Rows that arrive in a table made in the same transaction need nobody's look at whether that one has ended. */
static enum rc
copy_begin(struct pg *pg, const struct load *l, const struct definition *d, bool freeze, struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	buf_put_str(&sql, "copy ");
	load_put_table(&sql, l, d);
	buf_put_str(&sql, " (");
	tables_put_columns(&sql, d);
	buf_printf(&sql, ") from stdin (format binary%s)", freeze ? ", freeze" : "");
	enum rc rc = pg_copy_in(pg, buf_cstr(&sql), e);
	buf_free(&sql);
	const struct bytes header = { (const unsigned char *)state_copy_header, sizeof state_copy_header };
	return rc == RC_OK ? pg_copy_put(pg, header, e) : rc;
}

static enum rc
copy_finish(struct pg *pg, const struct definition *d, struct err *e)
{
	static const unsigned char trailer[] = { 0xff, 0xff };
	uint64_t rows;
	enum rc put = pg_copy_put(pg, (struct bytes){ trailer, sizeof trailer }, e);
	if (put != RC_OK)
		return put;
	enum rc rc = pg_copy_end(pg, &rows, e);
	return rc == RC_OK ? RC_OK : err_wrap(e, "load table %s", d->table);
}

/* A table that is emptied in the transaction that fills it may be filled with frozen rows, and nothing is logged twice. Not those of
 * foreign keys: they can only be emptied together. */
static bool
can_freeze(const struct load *l)
{
	return l->target.generation && l->state.first_pass && !l->has_foreign_keys;
}

static enum rc
send_stream(struct load *l, size_t table, struct err *e)
{
	const struct definition *d = load_definition(l, table);
	struct pg *pg = l->s->pg;
	struct buf *rows = &l->streams[table];
	if (rows->overflow)
		return err_set(e, RC_INVALID, NULL, "a row of table %s is too large", d->table);
	if (rows->len == 0)
		return RC_OK;
	enum rc rc = copy_begin(pg, l, d, can_freeze(l), e);
	if (rc == RC_OK)
		rc = pg_copy_put(pg, buf_bytes(rows), e);
	if (rc == RC_OK)
		rc = copy_finish(pg, d, e);
	buf_clear(rows);
	return rc;
}

static enum rc
take_streamed(size_t table, const struct fold_table *rows, void *context, struct err *e)
{
	struct load *l = context;
	struct buf *out = &l->streams[table];
	for (const struct fold_row *row = load_wants(l, rows->definition) ? rows->first : NULL; row != NULL; row = row->next) {
		size_t start = out->len;
		state_put_copy_folded(out, rows->definition, row);
		if (!out->overflow)
			load_add(&l->sent[table], load_hash(out, start, rows->definition));
		if (out->len >= COPY_BYTES || out->overflow) {
			enum rc rc = send_stream(l, table, e);
			if (rc != RC_OK)
				return rc;
		}
	}
	return RC_OK;
}

static enum rc
take_parked(uint64_t seq, const char *reason, void *context, struct err *e)
{
	struct load *l = context;
	l->s->applier.parked++;
	if (l->target.parked != NULL)
		l->target.parked(seq, reason, l->target.context);
	if (!l->target.generation)
		return RC_OK;
	unsigned char id[4], number[8];
	const struct pg_param params[] = { pg_param_int4(l->s->generation.id, id),
		pg_param_int8((int64_t)seq, number), pg_param_text(reason) };
	struct pg_result *r = NULL;
	enum rc rc = pg_query(l->s->pg,
		"insert into hooklog.parked_events (generation, seq, reason) values ($1, $2, $3)", params,
		COUNT_OF(params), &r, e);
	pg_result_free(r);
	return rc;
}

static enum rc
send_table(struct pg *pg, struct load *l, size_t table, bool freeze, struct err *e)
{
	const struct state_table *t = &l->state.tables[table];
	if (t->count == 0 || !load_wants(l, t->definition))
		return RC_OK;
	struct buf rows = buf_new(4 * LIMIT_PG_PARAM_BYTES);
	enum rc rc = copy_begin(pg, l, t->definition, freeze, e);
	for (size_t b = 0; b < t->bucket_count && rc == RC_OK; b++) {
		for (struct state_row *row = t->buckets[b]; row != NULL && !rows.overflow; row = row->next) {
			size_t start = rows.len;
			state_put_copy(&rows, t->definition, row);
			if (!rows.overflow)
				load_add(&l->sent[table], row->sum = load_hash(&rows, start, t->definition));
		}
		if (rows.overflow)
			rc = err_set(e, RC_INVALID, NULL, "a row of table %s is too large", t->definition->table);
		else if (rows.len >= 65536 || b + 1 == t->bucket_count) {
			rc = pg_copy_put(pg, buf_bytes(&rows), e);
			buf_clear(&rows);
		}
	}
	buf_free(&rows);
	return rc == RC_OK ? copy_finish(pg, t->definition, e) : rc;
}

/* ---- indexes ---- */

/* Remembers the schema's constraints with an index, and its indexes, each with its table, and drops them. */
static enum rc
drop_indexes(struct load *l, struct err *e)
{
	struct pg *pg = l->s->pg;
	const struct pg_param schema = pg_param_text(l->s->generation.schema);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg, "select exists (select from pg_constraint where connamespace = $1::regnamespace and contype = 'f')",
		&schema, 1, &r, e);
	l->has_foreign_keys = rc == RC_OK && pg_field(r, 0, 0)[0] == 't';
	pg_result_free(r);
	/* One that a foreign key needs stays, and so do all others then: a rare case, kept simple. */
	if (rc == RC_OK)
		rc = pg_query(pg,
			"select format('alter table %s drop constraint %I', conrelid::regclass, conname), "
			"format('alter table %s add constraint %I %s', conrelid::regclass, conname, "
			"pg_get_constraintdef(c.oid)), t.relname from pg_constraint c join pg_class t on t.oid = c.conrelid "
			"where connamespace = $1::regnamespace and contype in ('p', 'u', 'x') and not exists "
			"(select from pg_constraint f where f.connamespace = c.connamespace and f.contype = 'f') "
			"order by conname",
			&schema, 1, &l->constraints, e);
	if (rc == RC_OK)
		rc = pg_query(pg,
			"select 'drop index ' || i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), t.relname "
			"from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid "
			"where c.relnamespace = $1::regnamespace and not exists "
			"(select from pg_constraint where conindid = i.indexrelid) order by c.relname",
			&schema, 1, &l->indexes, e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(l->constraints); i++)
		rc = pg_exec(pg, pg_field(l->constraints, i, 0), e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(l->indexes); i++)
		rc = pg_exec(pg, pg_field(l->indexes, i, 0), e);
	return rc;
}

static enum rc
make_again(struct pg *pg, const struct pg_result *dropped, const struct definition *d, struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < pg_rows(dropped); i++) {
		if (strcmp(pg_field(dropped, i, 2), d->table) == 0)
			rc = pg_exec(pg, pg_field(dropped, i, 1), e);
	}
	return rc;
}

/* ---- one table ---- */

enum rc
load_check_stop(const struct load *l, struct err *e)
{
	if (!session_stopped(l->s, 0))
		return RC_OK;
	return err_set(e, RC_AGAIN, "project.rebuild-interrupted", "stopped while tables were filled; run it again");
}

/* Within a transaction on a connection that has no lock of its own: that the generation is still the one we fill, and stays until
 * the transaction ends. A process that was frozen, and its rebuild begun anew by another one, gets an error here. */
static enum rc
hold_generation(struct pg *pg, const struct load *l, struct err *e)
{
	unsigned char id[4];
	const struct pg_param params[] = { pg_param_int4(l->s->generation.id, id), pg_param_text(l->created_at) };
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg,
		"select from hooklog.generations where id = $1 and created_at::text = $2 and seq = 0 and status = 'building' for share",
		params, COUNT_OF(params), &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_CONFLICT, "project.locked", "another process makes generation %d", l->s->generation.id);
	pg_result_free(r);
	return rc;
}

/* Statistics for the first plans, from a small sample. With columns named, the server's counter of changes stays what it is
 * (pgstat_report_analyze), so autovacuum comes for the large sample when it has the time. */
static enum rc
analyze(struct pg *pg, const struct load *l, const struct definition *d, struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	buf_put_str(&sql, "set local default_statistics_target = 20; analyze ");
	load_put_table(&sql, l, d);
	buf_put_str(&sql, " (");
	tables_put_columns(&sql, d);
	buf_put_str(&sql, ")");
	enum rc rc = pg_exec(pg, buf_cstr(&sql), e);
	buf_free(&sql);
	return rc;
}

static enum rc
fill_table(struct pg *pg, size_t table, void *context, struct err *e)
{
	struct load *l = context;
	const struct definition *d = load_definition(l, table);
	bool own = l->target.generation; /* transaction */
	bool freeze = can_freeze(l) && !state_is_streamed(d) && l->state.tables[table].count >= FREEZE_ROWS_MIN;
	enum rc rc = load_check_stop(l, e);
	if (rc == RC_OK && own)
		rc = load_begin(pg, e);
	if (rc != RC_OK)
		return rc;
	if (own)
		rc = hold_generation(pg, l, e);
	if (rc == RC_OK && freeze)
		rc = on_table(pg, l, "truncate", d, e);
	if (rc == RC_OK)
		rc = send_table(pg, l, table, freeze, e);
	if (rc == RC_OK && l->last_pass)
		rc = make_again(pg, l->constraints, d, e);
	if (rc == RC_OK && l->last_pass)
		rc = make_again(pg, l->indexes, d, e);
	if (rc == RC_OK && l->last_pass && load_wants(l, d))
		rc = analyze(pg, l, d, e);
	return own ? load_end(pg, rc, e) : rc;
}

static uint64_t
rows_of(const struct load *l, size_t table)
{
	return l->sent[table].rows + l->state.tables[table].count;
}

/* Those with most rows first: what is left for the end is small then, and the lanes end together. Foreign keys need the order of
 * the catalog. */
static void
order_jobs(struct load *l)
{
	l->job_count = 0;
	for (size_t i = 0; i < l->s->catalog.count; i++) {
		if (!l->last_pass && l->state.tables[i].count == 0)
			continue;
		size_t at = l->job_count++;
		for (; at > 0 && !l->has_foreign_keys && rows_of(l, l->jobs[at - 1]) < rows_of(l, i); at--)
			l->jobs[at] = l->jobs[at - 1];
		l->jobs[at] = i;
	}
}

/* ---- all tables ---- */

enum rc
load_run(struct load *l, lanes_fn fn, struct err *e)
{
	if (l->lanes.count == 0)
		lanes_open(&l->lanes, l->s->pg, l->s->o->conninfo,
			l->target.generation && !l->has_foreign_keys ? ahead_threads() : 1);
	return lanes_run(&l->lanes, l->jobs, l->job_count, fn, l, e);
}

/* The first pass is one transaction of the first connection, whose lock on the generation it stands under. */
static enum rc
begin_pass(struct load *l, struct err *e)
{
	enum rc rc = l->target.generation ? load_begin(l->s->pg, e) : RC_OK;
	if (rc == RC_OK)
		rc = drop_indexes(l, e);
	for (size_t i = 0; i < l->s->catalog.count && rc == RC_OK && can_freeze(l); i++) {
		if (state_is_streamed(load_definition(l, i)))
			rc = on_table(l->s->pg, l, "truncate", load_definition(l, i), e);
	}
	return rc;
}

static enum rc
fold_pass(struct load *l, unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	const struct load_target *target = &l->target;
	const struct load_hooks hooks = { .streamed = take_streamed, .parked = take_parked, .context = l,
		.refused = target->refused, .refused_count = target->refused_count };
	bool first = l->state.first_pass;
	enum rc rc = first ? begin_pass(l, e) : RC_OK;
	if (rc == RC_OK)
		rc = load_pass(l->s, &l->state, target->first, target->last, &hooks, chain, e);
	if (rc == RC_OK && l->state.overflow)
		rc = err_set(e, RC_INVALID, NULL, "a row is too large");
	for (size_t i = 0; i < l->s->catalog.count && rc == RC_OK; i++)
		rc = send_stream(l, i, e);
	return first && target->generation ? load_end(l->s->pg, rc, e) : rc;
}

static enum rc
fill_all(struct load *l, unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	for (;;) {
		enum rc rc = fold_pass(l, chain, e);
		l->last_pass = l->state.last == UINT64_MAX;
		order_jobs(l);
		if (rc == RC_OK)
			rc = load_run(l, fill_table, e);
		if (rc != RC_OK)
			return rc;
		if (l->target.generation)
			LOG_INFO("project.rebuild.pass", F_S("schema", l->s->generation.schema),
				F_U("bytes", l->state.bytes), F_U("to", l->target.last),
				F_U("percent", l->state.last / (UINT64_MAX / 100)));
		if (l->last_pass) /* its rows stay, for who checks */
			return RC_OK;
		(void)!state_next_pass(&l->state);
	}
}

static struct load *
open_load(struct session *s, const struct load_target *target)
{
	struct load *l = base_zalloc(sizeof *l);
	size_t tables = s->catalog.count;
	l->s = s;
	l->target = *target;
	l->streams = base_zalloc((tables + 1) * sizeof *l->streams);
	l->sent = base_zalloc((tables + 1) * sizeof *l->sent);
	l->jobs = base_zalloc((tables + 1) * sizeof *l->jobs);
	for (size_t i = 0; i < tables; i++)
		l->streams[i] = buf_new(4 * LIMIT_PG_PARAM_BYTES);
	state_open(&l->state, &s->catalog, load_state_bytes(s->o));
	return l;
}

void
load_free(struct load *l)
{
	if (l == NULL)
		return;
	lanes_close(&l->lanes);
	pg_result_free(l->constraints);
	pg_result_free(l->indexes);
	state_close(&l->state);
	for (size_t i = 0; i < l->s->catalog.count; i++)
		buf_free(&l->streams[i]);
	free(l->streams);
	free(l->sent);
	free(l->jobs);
	free(l);
}

enum rc
load_tables(struct session *s, const struct load_target *target, unsigned char chain[STORE_CHAIN_BYTES],
	struct err *e)
{
	struct load *l = open_load(s, target);
	enum rc rc = fill_all(l, chain, e);
	if (rc == RC_OK)
		rc = load_run(l, load_check_table, e);
	load_free(l);
	return rc;
}

enum rc
load_begin(struct pg *pg, struct err *e)
{
	/* Folding and building an index may take long; nobody else waits for this transaction. */
	pg_set_timeout_ms(pg, 0);
	return pg_exec(pg, "begin; set local idle_in_transaction_session_timeout = 0; "
		"set local statement_timeout = 0", e);
}

enum rc
load_end(struct pg *pg, enum rc rc, struct err *e)
{
	if (rc == RC_OK)
		rc = pg_exec(pg, "commit", e);
	else
		(void)!pg_exec(pg, "rollback", NULL);
	pg_set_timeout_ms(pg, 60000);
	return rc;
}

static enum rc
find_created_at(struct load *l, struct err *e)
{
	unsigned char id[4];
	const struct pg_param param = pg_param_int4(l->s->generation.id, id);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(l->s->pg, "select created_at::text from hooklog.generations where id = $1", &param, 1, &r, e);
	if (rc == RC_OK && pg_rows(r) == 1)
		snprintf(l->created_at, sizeof l->created_at, "%s", pg_field(r, 0, 0));
	pg_result_free(r);
	return rc;
}

static enum rc
advance(struct session *s, uint64_t last, const unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	unsigned char id[4], to[8];
	const struct pg_param params[] = { pg_param_int4(s->generation.id, id),
		pg_param_int8((int64_t)last, to), pg_param_bytea(chain, STORE_CHAIN_BYTES) };
	struct pg_result *r = NULL;
	enum rc rc = pg_query(s->pg, "select hooklog.advance($1, 0, $2, $3)", params, COUNT_OF(params), &r, e);
	pg_result_free(r);
	return rc;
}

enum rc
load_generation(struct session *s, uint64_t last, struct load **load, struct err *e)
{
	const struct load_target target = { .first = 1, .last = last, .generation = true };
	unsigned char chain[STORE_CHAIN_BYTES] = { 0 };
	struct load *l = open_load(s, &target);
	enum rc rc = find_created_at(l, e);
	if (rc == RC_OK)
		rc = fill_all(l, chain, e);
	if (rc == RC_OK)
		rc = advance(s, last, chain, e);
	*load = rc == RC_OK ? l : NULL;
	if (rc != RC_OK) {
		load_free(l);
		return rc;
	}
	s->generation.seq = last;
	memcpy(s->generation.chain, chain, sizeof chain);
	return RC_OK;
}
