/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>

#include "base/log.h"
#include "projector/load.h"

/* Batches the new tables may be behind the live ones when the swap begins: what the live projector waits
 * for. Doubled with each round that ends farther away, so that a swap comes whatever the load. */
#define SWAP_BATCHES 1

/* Events that may be added to the rows in memory after they were loaded: what that takes is little beside the setting. */
#define FOLLOW_EVENTS_MAX 100000

/* Rows that differ and are named in the log; the message has their number. */
#define DIFFERENCES_TOLD 20

/* A building generation of these definitions and this log is continued; any other is dropped, and so is one at whose
 * first event a load was cut off: some of its tables may be filled already. */
static enum rc
find_or_create(struct session *s, const struct store_span *span, struct err *e)
{
	enum rc rc;
	while ((rc = generation_find_locked(s->pg, GENERATION_BUILDING, &s->generation, e)) == RC_OK) {
		if (s->generation.seq > 0 &&
			memcmp(s->generation.definition_hash, s->catalog.hash, sizeof s->catalog.hash) == 0 &&
			generation_check_log(&s->generation, s->o->reader, NULL) == RC_OK) {
			LOG_INFO("project.rebuild.continue", F_S("schema", s->generation.schema),
				F_U("seq", s->generation.seq));
			return RC_OK;
		}
		rc = generation_drop(s->pg, &s->generation, e);
		if (rc == RC_OK)
			rc = generation_unlock(s->pg, &s->generation, e);
		if (rc != RC_OK)
			return rc;
	}
	if (rc != RC_NOTFOUND)
		return rc;
	rc = generation_create(s->pg, &s->catalog, span->log_id, &s->generation, e);
	if (rc == RC_OK)
		rc = generation_lock(s->pg, &s->generation, e);
	return rc;
}

/* Projects until the checkpoint is at target or after it. */
static enum rc
reach(struct session *s, uint64_t target, struct err *e)
{
	while (s->generation.seq < target) {
		if (session_stopped(s, 0))
			return err_set(e, RC_AGAIN, "project.rebuild-interrupted",
				"stopped at event %" PRIu64 "; run `hooklog project rebuild` again to continue",
				s->generation.seq);
		size_t count;
		enum rc rc = session_step(s, &count, e);
		if (rc != RC_OK || count == 0)
			return rc;
		if (s->o->progress != NULL)
			s->o->progress(s->generation.seq, target, s->o->context);
	}
	return RC_OK;
}

/* With the live checkpoint held still: the rest, and the swap. */
static enum rc
finish(struct session *s, const struct generation *live, struct err *e)
{
	struct generation still;
	enum rc rc = generation_gate(s->pg, live, true, e);
	if (rc != RC_OK)
		return rc;
	rc = generation_find(s->pg, GENERATION_LIVE, &still, e);
	if (rc == RC_OK)
		rc = reach(s, still.seq, e);
	if (rc == RC_OK)
		rc = generation_promote(s->pg, &s->generation, e);
	enum rc opened = generation_gate(s->pg, live, false, rc == RC_OK ? e : NULL);
	return rc == RC_OK ? opened : rc;
}

/* Follows the live generation until the distance is small enough, then swaps. When both advance at one
 * pace, as under a load neither can keep up with, the distance would stay what it is for ever. */
static enum rc
follow_and_swap(struct session *s, struct err *e)
{
	uint64_t distance_max = SWAP_BATCHES * (uint64_t)s->o->batch_events_max;
	for (;;) {
		struct generation live;
		enum rc rc = generation_find(s->pg, GENERATION_LIVE, &live, e);
		if (rc == RC_NOTFOUND ||
			(rc == RC_OK && memcmp(live.log_id, s->generation.log_id, sizeof live.log_id) != 0))
			return generation_promote(s->pg, &s->generation, e);
		if (rc != RC_OK)
			return rc;
		if (live.seq <= s->generation.seq || live.seq - s->generation.seq <= distance_max) {
			rc = finish(s, &live, e);
			/* 55P03: a transaction of the live projector lasts longer than lock_timeout. Without an
			 * id: another live generation came in between. */
			if (rc != RC_AGAIN || (e->id != NULL && strcmp(e->code, "55P03") != 0))
				return rc;
		} else {
			rc = reach(s, live.seq, e);
			if (rc != RC_OK)
				return rc;
			distance_max *= 2;
		}
	}
}

static void
tell_difference(const struct projector_difference *d, void *context)
{
	unsigned *told = context;
	if ((*told)++ < DIFFERENCES_TOLD)
		LOG_WARN("project.differs", F_S("table", d->view), F_S("key", d->key), F_S("what", d->what),
			F_S("column", d->column == NULL ? "" : d->column));
}

/* Folds the log once more and compares every row, as `project verify` does for the live tables. */
static enum rc
prove(struct session *s, struct err *e)
{
	unsigned told = 0;
	const struct projector_verify_options options = { .generation = s->generation.id, .found = tell_difference,
		.context = &told };
	struct projector_verify_report *report = base_zalloc(sizeof *report);
	session_stop_ahead(s);
	enum rc rc = projector_verify(s->o, &options, report, e);
	if (rc == RC_OK && report->differences > 0)
		rc = err_set(e, RC_CORRUPT, "project.differs",
			"%" PRIu64 " rows of the new tables are not what the log says; nothing was swapped", report->differences);
	if (rc == RC_OK)
		LOG_INFO("project.rebuild.verified", F_S("schema", s->generation.schema), F_U("seq", report->seq));
	free(report);
	return rc;
}

/* Fills an empty generation at once when that is worth it. *load stays NULL otherwise, and when the database refuses the data
 * as a whole, which is left to the way event by event. */
static enum rc
fill(struct session *s, const struct store_span *span, struct load **load, struct err *e)
{
	if (s->generation.seq > 0 || span->last_seq < s->o->bulk_events_min || span->last_seq == 0)
		return RC_OK;
	uint64_t parked = s->applier.parked;
	enum rc rc = load_generation(s, span->last_seq, load, e);
	if (rc != RC_INVALID)
		return rc;
	LOG_WARN("project.rebuild.one-by-one", F_S("reason", e->text));
	s->applier.parked = parked;
	rc = generation_unlock(s->pg, &s->generation, e);
	return rc == RC_OK ? find_or_create(s, span, e) : rc;
}

/* Before anybody is shown the tables. What was loaded by this process is compared by sums, which costs little; when these
 * differ, or there are none, or it is asked for, the log is folded once more, which names the rows. */
static enum rc
check(struct session *s, struct load *load, struct err *e)
{
	if (load != NULL && !s->o->prove) {
		enum rc rc = load_check(load, e);
		if (rc == RC_OK)
			LOG_INFO("project.rebuild.checked", F_S("schema", s->generation.schema), F_U("seq", s->generation.seq));
		if (rc != RC_CORRUPT)
			return rc;
		LOG_WARN("project.rebuild.sums", F_S("reason", e->text));
	}
	return prove(s, e);
}

/* Follows what was appended meanwhile, and checks: afterwards, if the rows are still in memory and the new events few. */
static enum rc
follow_and_check(struct session *s, struct load *load, struct err *e)
{
	struct store_span span;
	enum rc rc = store_span(s->o->reader, &span, e);
	bool before = load != NULL && !s->o->prove &&
		(!load_is_whole(load) || span.last_seq - s->generation.seq > FOLLOW_EVENTS_MAX);
	if (rc == RC_OK && before)
		rc = check(s, load, e);
	if (rc == RC_OK)
		rc = reach(s, span.last_seq, e);
	if (rc == RC_OK && !before)
		rc = check(s, load, e);
	return rc;
}

/* Notes with the generation what the rebuild took so far. */
static enum rc
note_memory(struct session *s, uint64_t *bytes, struct err *e)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	*bytes = (uint64_t)usage.ru_maxrss * 1024;
	unsigned char id[4], number[8];
	const struct pg_param params[] = { pg_param_int4(s->generation.id, id),
		pg_param_int8((int64_t)*bytes, number) };
	struct pg_result *r = NULL;
	enum rc rc = pg_query(s->pg,
		"update hooklog.generations set rebuild_memory_bytes = greatest(rebuild_memory_bytes, $2) "
		"where id = $1", params, COUNT_OF(params), &r, e);
	pg_result_free(r);
	return rc;
}

enum rc
projector_rebuild(const struct projector_options *o, struct err *e)
{
	struct session s;
	struct store_span span;
	struct load *load = NULL;
	enum rc rc = session_open(&s, o, e);
	if (rc == RC_OK)
		rc = session_connect(&s, "hooklog rebuild", e);
	if (rc == RC_OK)
		rc = store_span(o->reader, &span, e);
	if (rc == RC_OK)
		rc = find_or_create(&s, &span, e);
	if (rc == RC_OK)
		rc = fill(&s, &span, &load, e);
	if (rc == RC_OK)
		rc = apply_prepare(&s.applier, e);
	if (rc == RC_OK)
		rc = follow_and_check(&s, load, e);
	load_free(load);
	uint64_t memory_bytes;
	if (rc == RC_OK)
		rc = note_memory(&s, &memory_bytes, e);
	if (rc == RC_OK)
		rc = follow_and_swap(&s, e);
	if (rc == RC_OK) {
		LOG_INFO("project.rebuilt", F_S("schema", s.generation.schema),
			F_U("seq", s.generation.seq), F_U("parked", s.applier.parked),
			F_U("memory_bytes", memory_bytes));
		/* The live projector waits for it. */
		rc = generation_unlock(s.pg, &s.generation, e);
	}
	if (rc == RC_OK)
		rc = generation_drop_retired(s.pg, e);
	session_close(&s);
	return rc;
}
