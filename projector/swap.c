/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/generation.h"
#include "projector/tables.h"
#include "projector/views.h"

/* Which generation the stable views show. */

/* What stands on the views that change when the generation becomes live. */
static enum rc
clear_way(struct views_change *c, const struct generation *g, struct err *e)
{
	unsigned char id[4];
	const struct pg_param param = pg_param_int4(g->id, id);
	return views_clear_way(c,
		"with pair as ("
		" select x.v, format('%I.%I', g.schema_name, coalesce(x.t, split_part(x.v, '.', 2))) as t"
		" from hooklog.generations g, unnest(g.views, g.tables) as x (v, t) where g.id = $1"
		" union all"
		" select v, null from hooklog.generations o, unnest(o.views) v"
		" where o.status = 'live' and o.id <> $1"
		" and v not in (select unnest(views) from hooklog.generations where id = $1)) "
		"select dependent, kind, string_agg(stands_on, ', ') from hooklog.views_in_the_way("
		"(select array_agg(v order by v) from pair), (select array_agg(t order by v) from pair)) "
		"group by 1, 2 order by 1",
		&param, e);
}

/* Views of tables that the new generation does not have still show the old one. */
static enum rc
drop_stale_views(struct pg *pg, const struct generation *old, const struct generation *g, struct err *e)
{
	char sql[1024];
	snprintf(sql, sizeof sql,
		"do $stale$ declare v text; begin for v in "
		"select unnest(views) from hooklog.generations where id = %d except "
		"select unnest(views) from hooklog.generations where id = %d "
		"loop execute format('drop view if exists %%I.%%I', split_part(v, '.', 1), "
		"split_part(v, '.', 2)); end loop; end $stale$",
		old->id, g->id);
	return pg_exec(pg, sql, e);
}

/* From what the row of the generation says, not from our own projections: they may be others. */
static enum rc
swap_views(struct pg *pg, const struct generation *g, struct err *e)
{
	unsigned char id[4];
	const struct pg_param param = pg_param_int4(g->id, id);
	struct pg_result *r = NULL;
	struct buf sql = buf_new(LIMIT_TEXT_BYTES);
	enum rc rc = pg_query(pg,
		"select x.v, coalesce(x.t, split_part(x.v, '.', 2)) from hooklog.generations g, "
		"unnest(g.views, g.tables) as x (v, t) where g.id = $1 order by 1",
		&param, 1, &r, e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		buf_clear(&sql);
		tables_put_view(&sql, pg_field(r, i, 0), g->schema, pg_field(r, i, 1));
		rc = pg_exec(pg, buf_cstr(&sql), e);
		if (rc != RC_OK)
			err_wrap(e, "point view %s at %s", pg_field(r, i, 0), g->schema);
	}
	pg_result_free(r);
	buf_free(&sql);
	return rc;
}

static enum rc
set_status(struct pg *pg, const struct generation *g, const char *status, struct err *e)
{
	char sql[256];
	snprintf(sql, sizeof sql,
		"update hooklog.generations set status = '%s', updated_at = now(), "
		"live_at = case when '%s' = 'live' then now() else live_at end where id = %d",
		status, status, g->id);
	return pg_exec(pg, sql, e);
}

/* The hosts of a generation, NULL: none, from its row: the program may be set to others. */
static enum rc
hosts_of(struct pg *pg, const struct generation *g, struct hosts *hosts, struct arena *a, struct err *e)
{
	unsigned char id[4];
	const struct pg_param param = pg_param_int4(g == NULL ? 0 : g->id, id);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg, "select hosts from hooklog.generations where id = $1", &param, 1, &r, e);
	if (rc == RC_OK)
		rc = hosts_parse(hosts, pg_rows(r) == 0 ? "" : arena_string(a, bytes_str(pg_field(r, 0, 0))), a, e);
	pg_result_free(r);
	return rc;
}

enum rc
generation_exchange(struct pg *pg, const struct generation *old, const struct generation *g,
	const char *action, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct hosts before = { 0 }, after = { 0 };
	struct views_change change = { .pg = pg, .before = &before, .after = &after, .grants = buf_new(LIMIT_TEXT_BYTES) };
	/* Other transactions need not be on the disk when they end (docs/adr/0026-projecting-fast.md): whoever is told of this one
	 * must find it after a crash, and the write-ahead log is in order, so all that made the tables is there then, too. */
	enum rc rc = pg_exec(pg, "set local synchronous_commit = on", e);
	if (rc == RC_OK)
		rc = hosts_of(pg, old, &before, a, e);
	if (rc == RC_OK)
		rc = hosts_of(pg, g, &after, a, e);
	if (rc == RC_OK)
		rc = clear_way(&change, g, e);
	if (rc == RC_OK && old != NULL)
		rc = set_status(pg, old, "retired", e);
	if (rc == RC_OK)
		rc = set_status(pg, g, "live", e);
	if (rc == RC_OK)
		rc = swap_views(pg, g, e);
	if (rc == RC_OK && old != NULL)
		rc = drop_stale_views(pg, old, g, e);
	if (rc == RC_OK)
		rc = views_install(&change, e);
	if (rc == RC_OK)
		rc = views_grant(pg, &after, e);
	if (rc == RC_OK)
		rc = generation_audit(pg, action, g, old == NULL ? 0 : old->seq, g->seq,
			old == NULL ? NULL : old->schema, e);
	buf_free(&change.grants);
	arena_free(a);
	return rc;
}

enum rc
generation_promote(struct pg *pg, struct generation *g, struct err *e)
{
	struct generation live, fresh;
	/* The lock keeps the live projector from moving its checkpoint while the two are compared. */
	enum rc rc = pg_exec(pg, "begin; lock table hooklog.generations in share row exclusive mode", e);
	if (rc == RC_OK)
		rc = generation_find(pg, GENERATION_LIVE, &live, e);
	bool had_live = rc == RC_OK;
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	if (rc == RC_OK)
		rc = generation_find(pg, GENERATION_BUILDING, &fresh, e);
	if (rc == RC_OK && fresh.id != g->id)
		rc = err_set(e, RC_CONFLICT, "project.locked", "generation %d is no longer being built", g->id);
	if (rc == RC_OK && had_live && memcmp(live.log_id, fresh.log_id, sizeof live.log_id) == 0 &&
		live.seq > fresh.seq)
		rc = err_set(e, RC_AGAIN, NULL, "generation %d is at %" PRIu64 ", the live one at %" PRIu64,
			g->id, fresh.seq, live.seq);
	if (rc == RC_OK)
		rc = generation_exchange(pg, had_live ? &live : NULL, &fresh, "promote", e);
	if (rc == RC_OK)
		rc = pg_exec(pg, "commit", e);
	else
		(void)!pg_exec(pg, "rollback", NULL);
	if (rc == RC_OK)
		g->status = GENERATION_LIVE;
	return rc;
}
