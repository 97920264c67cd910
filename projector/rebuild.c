/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "projector/session.h"

/* A building generation of these definitions and this log is continued; any other is dropped. */
static enum rc
find_or_create(struct session *s, const struct store_span *span, struct err *e)
{
	enum rc rc;
	while ((rc = generation_find_locked(s->pg, GENERATION_BUILDING, &s->generation, e)) == RC_OK) {
		if (memcmp(s->generation.definition_hash, s->catalog.hash, sizeof s->catalog.hash) == 0 &&
			generation_check_log(&s->generation, s->o->reader, NULL) == RC_OK) {
			LOG_INFO("project.rebuild.continue", F_S("schema", s->generation.schema),
				F_U("seq", s->generation.seq));
			return RC_OK;
		}
		rc = generation_drop(s->pg, &s->generation, e);
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

static enum rc
catch_up(struct session *s, struct err *e)
{
	for (;;) {
		if (session_stopped(s, 0))
			return err_set(e, RC_AGAIN, "project.rebuild-interrupted",
				"stopped at event %" PRIu64 "; run `hooklog project rebuild` again to continue",
				s->generation.seq);
		size_t count;
		enum rc rc = session_step(s, &count, e);
		if (rc != RC_OK || count == 0)
			return rc;
		struct store_span span;
		rc = store_span(s->o->reader, &span, e);
		if (rc != RC_OK)
			return rc;
		if (s->o->progress != NULL)
			s->o->progress(s->generation.seq, span.last_seq, s->o->context);
	}
}

enum rc
projector_rebuild(const struct projector_options *o, struct err *e)
{
	struct session s;
	struct store_span span;
	enum rc rc = session_open(&s, o, e);
	if (rc == RC_OK)
		rc = session_connect(&s, "hooklog rebuild", e);
	if (rc == RC_OK)
		rc = store_span(o->reader, &span, e);
	if (rc == RC_OK)
		rc = find_or_create(&s, &span, e);
	if (rc == RC_OK)
		rc = apply_prepare(&s.applier, e);
	/* The live projector may be ahead by the time we reach the end; each round is shorter. */
	while (rc == RC_OK) {
		rc = catch_up(&s, e);
		if (rc != RC_OK)
			break;
		rc = generation_promote(s.pg, &s.catalog, &s.generation, e);
		if (rc != RC_AGAIN || e->id != NULL)
			break;
		rc = RC_OK;
	}
	if (rc == RC_OK) {
		LOG_INFO("project.rebuilt", F_S("schema", s.generation.schema),
			F_U("seq", s.generation.seq), F_U("parked", s.applier.parked));
		/* The live projector waits for it. */
		rc = generation_unlock(s.pg, &s.generation, e);
	}
	if (rc == RC_OK)
		rc = generation_drop_retired(s.pg, e);
	session_close(&s);
	return rc;
}
