/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/apply.h"
#include "projector/tables.h"
#include "projector/value.h"

#define PARK_SQL                                                                                   \
	"insert into hooklog.parked_events as p (generation, seq, sqlstate, reason) "              \
	"values ($1, $2, $3, $4) on conflict (generation, seq) do update set "                     \
	"tries = p.tries + 1, reason = excluded.reason, sqlstate = excluded.sqlstate"
#define ADVANCE_SQL "select hooklog.advance($1, $2, $3, $4)"
#define UNPARK_SQL "delete from hooklog.parked_events where generation = $1 and seq = $2"

static enum rc
prepare_table(struct applier *a, const struct definition *d, struct err *e)
{
	enum pg_type types[TABLES_PARAMS_MAX];
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	size_t count = tables_put_upsert(&sql, d, a->generation->schema, types);
	enum rc rc = pg_prepare(a->pg, d->table, buf_cstr(&sql), types, count, e);
	/* Some faults, such as a key without a unique index, are only found by the planner. */
	buf_clear(&sql);
	buf_put_str(&sql, "explain execute ");
	pg_put_identifier(&sql, d->table);
	for (size_t i = 0; i < count; i++)
		buf_put_str(&sql, i == 0 ? "(null" : ", null");
	buf_put_char(&sql, ')');
	if (rc == RC_OK)
		rc = pg_exec(a->pg, buf_cstr(&sql), e);
	buf_free(&sql);
	return rc == RC_OK ? RC_OK : tables_refused(d, NULL, 0, e);
}

enum rc
apply_prepare(struct applier *a, struct err *e)
{
	static const enum pg_type park[] = { PG_INT4, PG_INT8, PG_TEXT, PG_TEXT };
	static const enum pg_type advance[] = { PG_INT4, PG_INT8, PG_INT8, PG_BYTEA };
	/* No parameter changes how an upsert is best done; planning each one for its arrays costs more than
	 * small batches themselves. */
	enum rc rc = pg_exec(a->pg, "set plan_cache_mode = force_generic_plan", e);
	if (rc == RC_OK)
		rc = pg_prepare(a->pg, "hooklog.park", PARK_SQL, park, COUNT_OF(park), e);
	if (rc == RC_OK)
		rc = pg_prepare(a->pg, "hooklog.advance", ADVANCE_SQL, advance, COUNT_OF(advance), e);
	if (rc == RC_OK)
		rc = pg_prepare(a->pg, "hooklog.unpark", UNPARK_SQL, park, 2, e);
	for (size_t i = 0; i < a->catalog->count && rc == RC_OK; i++)
		rc = prepare_table(a, &a->catalog->definitions[i], e);
	return rc;
}

static enum rc
send_table(struct applier *a, const struct fold_table *t, struct err *e)
{
	if (t->count == 0)
		return RC_OK;
	struct pg_array arrays[TABLES_PARAMS_MAX];
	struct pg_param params[TABLES_PARAMS_MAX];
	size_t count;
	enum rc rc = tables_bind(t, arrays, params, &count, e);
	if (rc == RC_OK)
		rc = pg_pipeline_send(a->pg, t->definition->table, params, count, e);
	for (size_t i = 0; i < count; i++)
		pg_array_free(&arrays[i]);
	return rc;
}

static enum rc
send_park(struct applier *a, uint64_t seq, const char *sqlstate, const char *reason, struct err *e)
{
	unsigned char id[4], number[8];
	/* A message that quotes the row may have been cut within a character. */
	struct bytes text = value_storable_text(bytes_str(reason), a->arena);
	const struct pg_param params[] = { pg_param_int4(a->generation->id, id),
		pg_param_int8((int64_t)seq, number),
		sqlstate[0] == '\0' ? (struct pg_param){ PG_TEXT, { NULL, 0 } } : pg_param_text(sqlstate),
		{ PG_TEXT, text } };
	return pg_pipeline_send(a->pg, "hooklog.park", params, COUNT_OF(params), e);
}

static enum rc
send_advance(struct applier *a, const struct store_record *last, struct err *e)
{
	unsigned char id[4], from[8], to[8];
	const struct pg_param params[] = { pg_param_int4(a->generation->id, id),
		pg_param_int8((int64_t)a->generation->seq, from),
		pg_param_int8((int64_t)last->event.seq, to),
		pg_param_bytea(last->chain, sizeof last->chain) };
	return pg_pipeline_send(a->pg, "hooklog.advance", params, COUNT_OF(params), e);
}

static enum rc
send_unpark(struct applier *a, uint64_t seq, struct err *e)
{
	unsigned char id[4], number[8];
	const struct pg_param params[] = { pg_param_int4(a->generation->id, id),
		pg_param_int8((int64_t)seq, number) };
	return pg_pipeline_send(a->pg, "hooklog.unpark", params, COUNT_OF(params), e);
}

/* Why the database refused an event, when it did. */
struct refusal {
	const char *sqlstate, *reason;
	bool without_rows; /* not even its row in events can be stored */
};

/* One attempt at one transaction. */
static enum rc
write_fold(struct applier *a, const struct fold *fold, const struct store_record *records, size_t count,
	const struct refusal *refusal, bool advance, struct err *e)
{
	enum rc rc = pg_pipeline_begin(a->pg, e);
	for (size_t i = 0; i < fold->count && rc == RC_OK && !(refusal != NULL && refusal->without_rows); i++)
		rc = send_table(a, &fold->tables[i], e);
	for (size_t i = 0; i < fold->parked_count && rc == RC_OK; i++)
		rc = send_park(a, fold->parked[i].seq, refusal == NULL ? "" : refusal->sqlstate,
			fold->parked[i].reason, e);
	if (rc == RC_OK && advance)
		rc = send_advance(a, &records[count - 1], e);
	else if (rc == RC_OK && fold->parked_count == 0)
		rc = send_unpark(a, records[0].event.seq, e);
	if (rc != RC_OK) {
		/* A column passed its limit, or the connection broke: the pipeline must still be ended. */
		struct err ignored;
		enum rc ended = pg_pipeline_rollback(a->pg, &ignored);
		return ended == RC_AGAIN ? RC_AGAIN : rc;
	}
	rc = pg_pipeline_commit(a->pg, NULL, e);
	if (rc == RC_OK && advance) {
		a->generation->seq = records[count - 1].event.seq;
		memcpy(a->generation->chain, records[count - 1].chain, STORE_CHAIN_BYTES);
	}
	if (rc == RC_OK) {
		a->parked += fold->parked_count;
		a->altered_values += fold->altered_values;
		a->out_of_range_values += fold->out_of_range_values;
	}
	return rc;
}

static enum rc
write_once(struct applier *a, const struct store_record *records, size_t count,
	const struct refusal *refusal, bool advance, struct err *e)
{
	struct fold fold = { 0 };
	const struct fold_refused refused = { .reason = refusal == NULL ? NULL : refusal->reason };
	arena_reset(a->arena);
	fold_events(a->catalog, records, count, &refused, a->arena, &fold);
	return write_fold(a, &fold, records, count, refusal, advance, e);
}

/* The event alone is refused: park it with its row in events, or, if that is refused too, without. */
static enum rc
park_refused(struct applier *a, const struct store_record *record, bool advance, struct err *e)
{
	char reason[sizeof e->text], code[sizeof e->code];
	memcpy(reason, e->text, sizeof reason);
	memcpy(code, e->code, sizeof code);
	struct refusal refusal = { code, reason, false };
	enum rc rc = write_once(a, record, 1, &refusal, advance, e);
	if (rc == RC_INVALID) {
		refusal.without_rows = true;
		rc = write_once(a, record, 1, &refusal, advance, e);
	}
	return rc;
}

enum rc
apply_batch(struct applier *a, const struct store_record *records, size_t count, const struct fold *folded,
	struct err *e)
{
	/* Halving without recursion: `step` events at a time, doubled again after each success. */
	size_t step = count;
	while (count > 0) {
		if (step > count)
			step = count;
		enum rc rc = folded != NULL ? write_fold(a, folded, records, step, NULL, true, e)
					    : write_once(a, records, step, NULL, true, e);
		folded = NULL; /* it was of all of them */
		if (rc == RC_INVALID && step > 1) {
			step /= 2;
			continue;
		}
		if (rc == RC_INVALID)
			rc = park_refused(a, records, true, e);
		if (rc != RC_OK)
			return rc;
		records += step;
		count -= step;
		step *= 2;
	}
	return RC_OK;
}

enum rc
apply_parked(struct applier *a, const struct store_record *record, struct err *e)
{
	uint64_t parked = a->parked;
	enum rc rc = write_once(a, record, 1, NULL, false, e);
	if (rc == RC_INVALID) {
		struct err first = *e;
		rc = park_refused(a, record, false, e);
		if (rc == RC_OK) {
			*e = first;
			return RC_INVALID;
		}
	}
	if (rc == RC_OK && a->parked > parked)
		return err_set(e, RC_INVALID, "project.parked",
			"event %" PRIu64 " still cannot be projected; `hooklog project parked` tells why",
			record->event.seq);
	return rc;
}
