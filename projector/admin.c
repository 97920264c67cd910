/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "projector/session.h"
#include "projector/tables.h"

static enum rc
read_generations(struct session *s, struct projector_status *out, struct err *e)
{
	struct pg_param hash = pg_param_bytea(s->catalog.hash, sizeof s->catalog.hash);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(s->pg,
		"select id, schema_name, status, seq, definition_hash = $1, "
		"(select count(*) from hooklog.parked_events p where p.generation = g.id), "
		"exists (select from pg_locks l where l.locktype = 'advisory' and l.objid = g.id "
		"and l.classid = " GENERATION_LOCK_CLASS " and l.database = "
		"(select oid from pg_database where datname = current_database())), paused_at is not null, "
		"coalesce(rebuild_memory_bytes, 0) "
		"from hooklog.generations g order by id desc limit 16",
		&hash, 1, &r, e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct projector_generation_status *g = &out->generations[out->generation_count++];
		g->id = (int)strtol(pg_field(r, i, 0), NULL, 10);
		snprintf(g->schema, sizeof g->schema, "%s", pg_field(r, i, 1));
		snprintf(g->status, sizeof g->status, "%s", pg_field(r, i, 2));
		g->seq = strtoull(pg_field(r, i, 3), NULL, 10);
		g->current_definitions = pg_field(r, i, 4)[0] == 't';
		g->parked = strtoull(pg_field(r, i, 5), NULL, 10);
		g->paused = pg_field(r, i, 7)[0] == 't';
		g->rebuild_memory_bytes = strtoull(pg_field(r, i, 8), NULL, 10);
		if (strcmp(g->status, "live") == 0)
			out->running = pg_field(r, i, 6)[0] == 't';
	}
	pg_result_free(r);
	return rc;
}

/* Bodies of the events behind the checkpoint, from the first of them. */
#define LAG_EVENTS_READ 10000
#define LAG_BATCH_BYTES ((size_t)32 * 1024 * 1024)

static enum rc
read_lag(struct session *s, struct projector_status *out, struct err *e)
{
	struct store_span span;
	enum rc rc = store_span(s->o->reader, &span, e);
	if (rc != RC_OK)
		return rc;
	out->log_first_seq = span.first_seq;
	out->log_last_seq = span.last_seq;
	if (span.last_seq <= s->generation.seq)
		return RC_OK;
	out->lag_events = span.last_seq - s->generation.seq;
	uint64_t read = 0;
	double bytes = 0;
	while (rc == RC_OK && read < out->lag_events && read < LAG_EVENTS_READ) {
		const struct store_record *next;
		size_t count;
		arena_reset(s->read);
		rc = store_read(s->o->reader, s->generation.seq + 1 + read, 1000, LAG_BATCH_BYTES, s->read, &next,
			&count, e);
		if (rc != RC_OK || count == 0)
			break;
		if (read == 0)
			out->lag_seconds = (double)(clock_now_us() - next->event.received_at_us) / 1e6;
		for (size_t i = 0; i < count; i++)
			bytes += (double)next[i].event.body.len;
		read += count;
	}
	if (read > 0)
		out->lag_bytes = (uint64_t)(bytes * ((double)out->lag_events / (double)read));
	return rc;
}

/* Looks again a second later. */
static enum rc
measure_pace(struct session *s, struct projector_status *out, struct err *e)
{
	struct generation then;
	struct store_span span;
	int64_t started_ms = clock_monotonic_ms();
	if (out->lag_events == 0 || !out->running)
		return RC_OK;
	(void)session_stopped(s, 1000);
	enum rc rc = generation_find_id(s->pg, s->generation.id, &then, e);
	if (rc == RC_OK)
		rc = store_span(s->o->reader, &span, e);
	double seconds = (double)(clock_monotonic_ms() - started_ms) / 1e3;
	if (rc != RC_OK || seconds <= 0 || then.seq < s->generation.seq)
		return rc == RC_NOTFOUND ? RC_OK : rc; /* swapped or reset meanwhile */
	double done = (double)(then.seq - s->generation.seq) / seconds;
	double arrived = (double)(span.last_seq - out->log_last_seq) / seconds;
	double left = span.last_seq > then.seq ? (double)(span.last_seq - then.seq) : 0;
	out->events_per_second = done;
	if (left <= 0)
		out->eta_seconds = 0;
	else if (done > arrived)
		out->eta_seconds = left / (done - arrived);
	return RC_OK;
}

enum rc
projector_status(const struct projector_options *o, struct projector_status *out, struct err *e)
{
	struct session s;
	*out = (struct projector_status){ .events_per_second = -1, .eta_seconds = -1 };
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK)
		rc = read_generations(&s, out, e);
	if (rc == RC_OK)
		rc = read_lag(&s, out, e);
	if (rc == RC_OK)
		rc = measure_pace(&s, out, e);
	session_close(&s);
	return rc;
}

enum rc
projector_check(const char *definitions_dir, const char *only, bool sql, struct buf *out, struct err *e)
{
	struct arena *a = arena_new(256 * 1024);
	struct catalog c = { .paths = NULL };
	enum rc rc = only == NULL ? catalog_load(&c, definitions_dir, a, e)
				  : catalog_load_one(&c, definitions_dir, only, a, e);
	for (size_t i = 0; rc == RC_OK && i < c.count; i++) {
		const struct definition *d = &c.definitions[i];
		if (!sql) {
			buf_printf(out, "%-20s %-24s %zu columns, %zu groups, %zu row paths  %s\n", d->table,
				d->view, d->column_count, d->group_count, d->rows_count, d->file);
			continue;
		}
		enum pg_type types[TABLES_PARAMS_MAX];
		tables_put_create(out, d, "gh_gN");
		tables_put_upsert(out, d, "gh_gN", types);
		buf_put_str(out, ";\n");
		tables_put_view(out, d->view, "gh_gN", d->table);
	}
	if (c.paths != NULL)
		catalog_free(&c);
	arena_free(a);
	return rc;
}
