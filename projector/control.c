/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/session.h"
#include "projector/tables.h"

/* What operators do to generations; each in one transaction with its row in hooklog.audit. */

static enum rc
end(struct pg *pg, enum rc rc, struct err *e)
{
	if (rc == RC_OK)
		return pg_exec(pg, "commit", e);
	(void)!pg_exec(pg, "rollback", NULL);
	return rc;
}

static enum rc
set_paused(struct session *s, const struct generation *g, bool paused, const char *note, struct err *e)
{
	char sql[160];
	snprintf(sql, sizeof sql,
		"update hooklog.generations set paused_at = %s, updated_at = now() where id = %d",
		paused ? "now()" : "null", g->id);
	enum rc rc = pg_exec(s->pg, sql, e);
	if (rc == RC_OK)
		rc = generation_audit(s->pg, paused ? "pause" : "resume", g, g->seq, g->seq, note, e);
	return rc;
}

/* Begins a transaction in which nobody else moves or swaps anything, and reads the live generation. */
static enum rc
begin_alone(struct session *s, struct err *e)
{
	enum rc rc = pg_exec(s->pg, "begin; lock table hooklog.generations in share row exclusive mode", e);
	if (rc == RC_OK)
		rc = generation_find(s->pg, GENERATION_LIVE, &s->generation, e);
	return rc;
}

enum rc
projector_pause(const struct projector_options *o, bool paused, uint64_t *seq, struct err *e)
{
	struct session s;
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK) {
		rc = begin_alone(&s, e);
		if (rc == RC_OK && s.generation.paused != paused)
			rc = set_paused(&s, &s.generation, paused, NULL, e);
		rc = end(s.pg, rc, e);
	}
	*seq = s.generation.seq;
	session_close(&s);
	return rc;
}

static enum rc
find_previous(struct session *s, struct generation *g, struct err *e)
{
	struct pg_result *r = NULL;
	enum rc rc = pg_query(s->pg,
		"select id from hooklog.generations where status = 'retired' "
		"order by live_at desc nulls last, id desc limit 1",
		NULL, 0, &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no earlier generation to go back to");
	int id = rc == RC_OK ? (int)strtol(pg_field(r, 0, 0), NULL, 10) : 0;
	pg_result_free(r);
	return rc == RC_OK ? generation_find_id(s->pg, id, g, e) : rc;
}

enum rc
projector_rollback(const struct projector_options *o, struct projector_rollback *done, struct err *e)
{
	struct session s;
	struct generation previous;
	*done = (struct projector_rollback){ 0 };
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK) {
		rc = begin_alone(&s, e);
		if (rc == RC_OK)
			rc = find_previous(&s, &previous, e);
		if (rc == RC_OK)
			rc = generation_exchange(s.pg, &s.generation, &previous, "rollback", e);
		/* Otherwise `up` would take the other projections for a reason to rebuild at once. */
		if (rc == RC_OK &&
			memcmp(previous.definition_hash, s.catalog.hash, sizeof s.catalog.hash) != 0) {
			done->paused = true;
			rc = set_paused(&s, &previous, true, "made by other projections than the program has", e);
		}
		rc = end(s.pg, rc, e);
	}
	if (rc == RC_OK) {
		snprintf(done->schema, sizeof done->schema, "%s", previous.schema);
		snprintf(done->replaced, sizeof done->replaced, "%s", s.generation.schema);
		done->seq = previous.seq;
		done->replaced_seq = s.generation.seq;
	}
	session_close(&s);
	return rc;
}

enum rc
projector_drop(const struct projector_options *o, uint64_t id, struct err *e)
{
	struct session s;
	struct generation g;
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK && id > INT32_MAX)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no generation %" PRIu64, id);
	if (rc == RC_OK)
		rc = generation_find_id(s.pg, (int)id, &g, e);
	if (rc == RC_OK)
		rc = generation_lock(s.pg, &g, e); /* of a rebuild at work */
	if (rc == RC_OK) {
		rc = begin_alone(&s, e);
		if (rc == RC_OK)
			rc = generation_find_id(s.pg, (int)id, &g, e);
		if (rc == RC_OK && g.status == GENERATION_LIVE)
			rc = err_set(e, RC_INVALID, NULL, "generation %d is live; it cannot be dropped", g.id);
		if (rc == RC_OK)
			rc = generation_drop(s.pg, &g, e);
		rc = end(s.pg, rc, e);
	}
	session_close(&s);
	return rc;
}

/* The log's hash at seq; that of nothing is zero. */
static enum rc
chain_at(struct session *s, uint64_t seq, unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	memset(chain, 0, STORE_CHAIN_BYTES);
	const struct store_record *record;
	size_t count = 0;
	if (seq == 0)
		return RC_OK;
	enum rc rc = session_read(s, seq, 1, &record, &count, e);
	if (rc == RC_OK && count == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "the log has no event %" PRIu64, seq);
	if (rc == RC_OK)
		memcpy(chain, record->chain, STORE_CHAIN_BYTES);
	return rc;
}

enum rc
projector_reset(const struct projector_options *o, uint64_t to, uint64_t *from, struct err *e)
{
	struct session s;
	unsigned char chain[STORE_CHAIN_BYTES], id[4], number[8];
	struct pg_result *r = NULL;
	*from = 0;
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK)
		rc = generation_find_locked(s.pg, GENERATION_LIVE, &s.generation, e);
	if (rc == RC_OK)
		rc = generation_check_log(&s.generation, o->reader, e);
	if (rc == RC_OK && to > s.generation.seq)
		rc = err_set(e, RC_INVALID, NULL, "the checkpoint is at %" PRIu64 " and can only go back",
			s.generation.seq);
	if (rc == RC_OK)
		rc = chain_at(&s, to, chain, e);
	if (rc == RC_OK) {
		*from = s.generation.seq;
		const struct pg_param params[] = { pg_param_int4(s.generation.id, id),
			pg_param_int8((int64_t)to, number), pg_param_bytea(chain, sizeof chain) };
		rc = pg_exec(s.pg, "begin", e);
		if (rc == RC_OK)
			rc = pg_query(s.pg,
				"update hooklog.generations set seq = $2, chain = $3, updated_at = now() "
				"where id = $1",
				params, COUNT_OF(params), &r, e);
		if (rc == RC_OK)
			rc = generation_audit(s.pg, "reset", &s.generation, *from, to, NULL, e);
		rc = end(s.pg, rc, e);
	}
	pg_result_free(r);
	session_close(&s);
	return rc;
}
