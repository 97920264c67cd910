/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "projector/session.h"

/* The list of events that could not be projected. */

/* Those of the live generation, or one of them; seq 0: all. */
static enum rc
read_list(struct session *s, uint64_t seq, struct pg_result **r, struct err *e)
{
	unsigned char id[4], number[8];
	const struct pg_param params[] = { pg_param_int4(s->generation.id, id),
		pg_param_int8((int64_t)seq, number) };
	enum rc rc = pg_query(s->pg,
		"select seq, coalesce(sqlstate, ''), reason, "
		"to_char(parked_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), tries "
		"from hooklog.parked_events where generation = $1 and $2 in (0, seq) order by seq",
		params, COUNT_OF(params), r, e);
	if (rc == RC_OK && seq > 0 && pg_rows(*r) == 0)
		rc = err_set(e, RC_NOTFOUND, NULL,
			"event %" PRIu64 " is not parked; `hooklog project parked` lists those that are", seq);
	return rc;
}

enum rc
projector_parked_list(const struct projector_options *o, uint64_t seq, projector_parked_fn found, void *context,
	struct err *e)
{
	struct session s;
	struct pg_result *r = NULL;
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK)
		rc = read_list(&s, seq, &r, e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(r); i++)
		found(strtoull(pg_field(r, i, 0), NULL, 10), pg_field(r, i, 1), pg_field(r, i, 2),
			pg_field(r, i, 3), strtoll(pg_field(r, i, 4), NULL, 10), context);
	pg_result_free(r);
	session_close(&s);
	return rc;
}

static enum rc
retry_one(struct session *s, uint64_t seq, struct err *e)
{
	const struct store_record *record;
	size_t count = 0;
	arena_reset(s->read);
	enum rc rc = store_read(s->o->reader, seq, 1, SIZE_MAX, s->read, &record, &count, e);
	if (rc == RC_OK && count == 0)
		rc = RC_NOTFOUND;
	if (rc == RC_NOTFOUND)
		return err_set(e, RC_NOTFOUND, NULL, "the log no longer holds event %" PRIu64, seq);
	return rc == RC_OK ? apply_parked(&s->applier, record, e) : rc;
}

enum rc
projector_parked_retry(const struct projector_options *o, uint64_t seq, struct projector_retried *done,
	struct err *e)
{
	struct session s;
	struct pg_result *r = NULL;
	*done = (struct projector_retried){ 0 };
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK)
		rc = read_list(&s, seq, &r, e);
	if (rc == RC_OK)
		rc = session_check_definitions(&s, e);
	if (rc == RC_OK)
		rc = apply_prepare(&s.applier, e);
	for (size_t i = 0; rc == RC_OK && i < pg_rows(r) && !session_stopped(&s, 0); i++) {
		rc = retry_one(&s, strtoull(pg_field(r, i, 0), NULL, 10), e);
		done->projected += rc == RC_OK;
		done->left += rc == RC_INVALID || rc == RC_NOTFOUND;
		/* Of many, one that still cannot be is no reason to stop. */
		if (seq == 0 && (rc == RC_INVALID || rc == RC_NOTFOUND))
			rc = RC_OK;
	}
	pg_result_free(r);
	session_close(&s);
	return rc;
}

enum rc
projector_parked_drop(const struct projector_options *o, uint64_t seq, struct err *e)
{
	struct session s;
	struct pg_result *r = NULL;
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK)
		rc = read_list(&s, seq, &r, e);
	if (rc == RC_OK)
		rc = pg_exec(s.pg, "begin", e);
	if (rc == RC_OK)
		rc = generation_audit(s.pg, "drop parked", &s.generation, seq, seq, pg_field(r, 0, 2), e);
	if (rc == RC_OK) {
		char sql[160];
		snprintf(sql, sizeof sql,
			"delete from hooklog.parked_events where generation = %d and seq = %" PRIu64 "; commit",
			s.generation.id, seq);
		rc = pg_exec(s.pg, sql, e);
	}
	pg_result_free(r);
	session_close(&s);
	return rc;
}
