/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/log.h"
#include "projector/load.h"
#include "projector/tables.h"

/* Rows of one table that go to the database together. */
#define COPY_BYTES ((size_t)1024 * 1024)

/* The program, libpq and rows on their way to it: measured, some 80 MiB. */
#define BESIDE_BYTES ((size_t)96 * 1024 * 1024)

/* For rows and batches. */
static size_t
memory_bytes(const struct projector_options *o)
{
	size_t max = o->memory_bytes_max == 0 ? (size_t)1 << 30 : o->memory_bytes_max;
	return max > 2 * BESIDE_BYTES ? max - BESIDE_BYTES : max;
}

size_t
load_state_bytes(const struct projector_options *o)
{
	return memory_bytes(o) / 8 * 5;
}

/* Bodies a batch may have, of what is left: each thread has two, which take up to three times that with
 * what they fold to and what arenas waste. */
static size_t
batch_bytes(const struct projector_options *o, size_t threads)
{
	return memory_bytes(o) / 8 * 3 / (2 * threads * 3);
}

static enum rc
take(struct state *st, const struct fold *fold, const struct load_hooks *h, struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < fold->count && rc == RC_OK; i++) {
		const struct fold_table *t = &fold->tables[i];
		if (h->streamed != NULL && state_is_streamed(t->definition)) {
			if (st->first_pass && t->count > 0)
				rc = h->streamed(i, t, h->context, e);
			continue;
		}
		for (const struct fold_row *row = t->first; row != NULL; row = row->next)
			state_merge(st, &st->tables[i], row);
	}
	for (size_t i = 0; i < fold->parked_count && rc == RC_OK && st->first_pass && h->parked != NULL; i++)
		rc = h->parked(fold->parked[i].seq, fold->parked[i].reason, h->context, e);
	return rc;
}

/* Batches are read and folded by several threads and merged here. */
static enum rc
start_ahead(struct session *s, uint64_t first, uint64_t last, const struct load_hooks *h, struct err *e)
{
	struct ahead_options options = { .catalog = &s->catalog, .reader = s->o->reader, .first = first,
		.last = last, .events_max = s->o->batch_events_max, .bytes_max = s->o->batch_bytes_max,
		.threads = ahead_threads(),
		.refused = { h->refused_count > 0 ? "refused" : NULL, h->refused, h->refused_count } };
	size_t share = batch_bytes(s->o, options.threads);
	if (options.bytes_max > share)
		options.bytes_max = share;
	return ahead_start(&s->ahead, &options, e);
}

enum rc
load_pass(struct session *s, struct state *st, uint64_t first, uint64_t last, const struct load_hooks *h,
	unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	enum rc rc = first > last ? RC_OK : start_ahead(s, first, last, h, e);
	for (uint64_t seq = first; rc == RC_OK && seq <= last;) {
		struct ahead_batch batch;
		if (session_stopped(s, 0)) {
			rc = err_set(e, RC_AGAIN, "project.rebuild-interrupted",
				"stopped while reading the log, at event %" PRIu64 "; run it again", seq);
			break;
		}
		rc = session_read_error(ahead_take(s->ahead, &batch, e), seq, e);
		if (rc == RC_OK && batch.count == 0)
			rc = err_set(e, RC_CONFLICT, "project.log-mismatch",
				"the log ends before event %" PRIu64, seq);
		if (rc == RC_OK)
			rc = take(st, &batch.fold, h, e);
		if (rc != RC_OK)
			break;
		seq += batch.count;
		memcpy(chain, batch.records[batch.count - 1].chain, STORE_CHAIN_BYTES);
		if (s->o->progress != NULL)
			s->o->progress(seq - 1, last, s->o->context);
	}
	session_stop_ahead(s);
	return rc;
}

/* ---- into the database ---- */

struct loader {
	struct session *s;
	const struct load_target *target;
	struct state state;
	struct buf *streams;   /* per table: rows of streamed tables on their way */
	uint64_t *sent;        /* per table */
	struct pg_result *indexes, *constraints;
};

static void
put_table(struct buf *out, const struct session *s, const struct definition *d)
{
	pg_put_identifier(out, s->generation.schema);
	buf_printf(out, ".%s", d->table);
}

static bool
is_wanted(const struct loader *l, const struct definition *d)
{
	return l->target->only == NULL || l->target->only == d;
}

static enum rc
copy_begin(struct loader *l, const struct definition *d, struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	buf_put_str(&sql, "copy ");
	put_table(&sql, l->s, d);
	buf_put_str(&sql, " (");
	tables_put_columns(&sql, d);
	buf_put_str(&sql, ") from stdin (format binary)");
	enum rc rc = pg_copy_in(l->s->pg, buf_cstr(&sql), e);
	buf_free(&sql);
	const struct bytes header = { (const unsigned char *)state_copy_header, sizeof state_copy_header };
	return rc == RC_OK ? pg_copy_put(l->s->pg, header, e) : rc;
}

static enum rc
copy_finish(struct loader *l, const struct definition *d, struct err *e)
{
	static const unsigned char trailer[] = { 0xff, 0xff };
	uint64_t rows;
	enum rc put = pg_copy_put(l->s->pg, (struct bytes){ trailer, sizeof trailer }, e);
	if (put != RC_OK)
		return put;
	enum rc rc = pg_copy_end(l->s->pg, &rows, e);
	return rc == RC_OK ? RC_OK : err_wrap(e, "load table %s", d->table);
}

static enum rc
send_stream(struct loader *l, size_t table, struct err *e)
{
	const struct definition *d = &l->s->catalog.definitions[table];
	struct buf *rows = &l->streams[table];
	if (rows->overflow)
		return err_set(e, RC_INVALID, NULL, "a row of table %s is too large", d->table);
	if (rows->len == 0)
		return RC_OK;
	enum rc rc = copy_begin(l, d, e);
	if (rc == RC_OK)
		rc = pg_copy_put(l->s->pg, buf_bytes(rows), e);
	if (rc == RC_OK)
		rc = copy_finish(l, d, e);
	buf_clear(rows);
	return rc;
}

static enum rc
take_streamed(size_t table, const struct fold_table *rows, void *context, struct err *e)
{
	struct loader *l = context;
	for (const struct fold_row *row = is_wanted(l, rows->definition) ? rows->first : NULL; row != NULL; row = row->next) {
		state_put_copy_folded(&l->streams[table], rows->definition, row);
		l->sent[table]++;
		if (l->streams[table].len >= COPY_BYTES || l->streams[table].overflow) {
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
	struct loader *l = context;
	l->s->applier.parked++;
	if (l->target->parked != NULL)
		l->target->parked(seq, reason, l->target->context);
	if (!l->target->generation)
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
send_table(struct loader *l, size_t table, struct err *e)
{
	const struct state_table *t = &l->state.tables[table];
	if (t->count == 0 || !is_wanted(l, t->definition))
		return RC_OK;
	struct buf rows = buf_new(4 * LIMIT_PG_PARAM_BYTES);
	enum rc rc = copy_begin(l, t->definition, e);
	for (size_t b = 0; b < t->bucket_count && rc == RC_OK; b++) {
		for (const struct state_row *row = t->buckets[b]; row != NULL; row = row->next)
			state_put_copy(&rows, t->definition, row);
		if (rows.len >= 65536 || b + 1 == t->bucket_count) {
			rc = pg_copy_put(l->s->pg, buf_bytes(&rows), e);
			buf_clear(&rows);
		}
	}
	buf_free(&rows);
	if (rc == RC_OK)
		rc = copy_finish(l, t->definition, e);
	l->sent[table] += t->count;
	return rc;
}

static enum rc
send_all(struct loader *l, unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	const struct load_target *target = l->target;
	const struct load_hooks hooks = { .streamed = take_streamed, .parked = take_parked, .context = l,
		.refused = target->refused, .refused_count = target->refused_count };
	enum rc rc;
	do {
		rc = load_pass(l->s, &l->state, target->first, target->last, &hooks, chain, e);
		if (rc == RC_OK && l->state.overflow)
			rc = err_set(e, RC_INVALID, NULL, "a row is too large");
		for (size_t i = 0; i < l->s->catalog.count && rc == RC_OK; i++) {
			rc = send_stream(l, i, e);
			if (rc == RC_OK)
				rc = send_table(l, i, e);
		}
		if (rc == RC_OK && target->generation)
			LOG_INFO("project.rebuild.pass", F_S("schema", l->s->generation.schema),
				F_U("bytes", l->state.bytes), F_U("to", target->last),
				F_U("percent", l->state.last / (UINT64_MAX / 100)));
	} while (rc == RC_OK && state_next_pass(&l->state));
	return rc;
}

/* Remembers the schema's constraints with an index, and its indexes, and drops them. */
static enum rc
drop_indexes(struct loader *l, struct err *e)
{
	struct pg *pg = l->s->pg;
	const struct pg_param schema = pg_param_text(l->s->generation.schema);
	/* One that a foreign key needs stays, and so do all others then: a rare case, kept simple. */
	enum rc rc = pg_query(pg,
		"select format('alter table %s drop constraint %I', conrelid::regclass, conname), "
		"format('alter table %s add constraint %I %s', conrelid::regclass, conname, "
		"pg_get_constraintdef(oid)) from pg_constraint c "
		"where connamespace = $1::regnamespace and contype in ('p', 'u', 'x') and not exists "
		"(select from pg_constraint f where f.connamespace = c.connamespace and f.contype = 'f') "
		"order by conname",
		&schema, 1, &l->constraints, e);
	if (rc == RC_OK)
		rc = pg_query(pg,
			"select 'drop index ' || i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) "
			"from pg_index i join pg_class c on c.oid = i.indexrelid "
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
make_indexes(struct loader *l, struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < pg_rows(l->constraints); i++)
		rc = pg_exec(l->s->pg, pg_field(l->constraints, i, 1), e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(l->indexes); i++)
		rc = pg_exec(l->s->pg, pg_field(l->indexes, i, 1), e);
	return rc;
}

/* What arrived is what was sent, before anybody is shown it. */
static enum rc
count_rows(struct loader *l, struct err *e)
{
	enum rc rc = RC_OK;
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	for (size_t i = 0; rc == RC_OK && i < l->s->catalog.count; i++) {
		const struct definition *d = &l->s->catalog.definitions[i];
		struct pg_result *r = NULL;
		if (!is_wanted(l, d))
			continue;
		buf_clear(&sql);
		buf_put_str(&sql, "select count(*) from ");
		put_table(&sql, l->s, d);
		rc = pg_query(l->s->pg, buf_cstr(&sql), NULL, 0, &r, e);
		uint64_t have = rc == RC_OK ? strtoull(pg_field(r, 0, 0), NULL, 10) : 0;
		if (rc == RC_OK && have != l->sent[i])
			rc = err_set(e, RC_INVALID, NULL, "table %s has %" PRIu64 " rows, not %" PRIu64,
				d->table, have, l->sent[i]);
		pg_result_free(r);
		buf_clear(&sql);
		buf_put_str(&sql, "analyze ");
		put_table(&sql, l->s, d);
		if (rc == RC_OK)
			rc = pg_exec(l->s->pg, buf_cstr(&sql), e);
	}
	buf_free(&sql);
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
load_tables(struct session *s, const struct load_target *target, unsigned char chain[STORE_CHAIN_BYTES],
	struct err *e)
{
	struct loader l = { .s = s, .target = target };
	size_t tables = s->catalog.count;
	l.streams = base_zalloc((tables + 1) * sizeof *l.streams);
	l.sent = base_zalloc((tables + 1) * sizeof *l.sent);
	for (size_t i = 0; i < tables; i++)
		l.streams[i] = buf_new(4 * LIMIT_PG_PARAM_BYTES);
	state_open(&l.state, &s->catalog, load_state_bytes(s->o));
	enum rc rc = drop_indexes(&l, e);
	if (rc == RC_OK)
		rc = send_all(&l, chain, e);
	if (rc == RC_OK)
		rc = make_indexes(&l, e);
	if (rc == RC_OK)
		rc = count_rows(&l, e);
	pg_result_free(l.constraints);
	pg_result_free(l.indexes);
	state_close(&l.state);
	for (size_t i = 0; i < tables; i++)
		buf_free(&l.streams[i]);
	free(l.streams);
	free(l.sent);
	return rc;
}

enum rc
load_begin(struct session *s, struct err *e)
{
	/* Folding and building an index may take long; nobody else waits for this transaction. */
	pg_set_timeout_ms(s->pg, 0);
	return pg_exec(s->pg, "begin; set local idle_in_transaction_session_timeout = 0; "
		"set local statement_timeout = 0", e);
}

enum rc
load_end(struct session *s, enum rc rc, struct err *e)
{
	if (rc == RC_OK)
		rc = pg_exec(s->pg, "commit", e);
	else
		(void)!pg_exec(s->pg, "rollback", NULL);
	pg_set_timeout_ms(s->pg, 60000);
	return rc;
}

enum rc
load_generation(struct session *s, uint64_t last, struct err *e)
{
	const struct load_target target = { .first = 1, .last = last, .generation = true };
	unsigned char chain[STORE_CHAIN_BYTES] = { 0 };
	uint64_t parked = s->applier.parked;
	enum rc rc = load_begin(s, e);
	if (rc == RC_OK)
		rc = load_tables(s, &target, chain, e);
	if (rc == RC_OK)
		rc = advance(s, last, chain, e);
	rc = load_end(s, rc, e);
	if (rc == RC_OK) {
		s->generation.seq = last;
		memcpy(s->generation.chain, chain, sizeof chain);
	} else if (rc == RC_INVALID) {
		LOG_WARN("project.rebuild.one-by-one", F_S("reason", e->text));
		s->applier.parked = parked;
		rc = RC_OK;
	}
	return rc;
}
