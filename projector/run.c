/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "projector/figures.h"
#include "projector/session.h"
#include "projector/views.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 30000

/* How long a start waits for the lock: the connection of a killed predecessor may outlive it. */
#define LOCK_PATIENCE_MS 3000

/* How long a wait for the next event lasts before connection and generation are looked after. */
#define IDLE_MS 1000

/* The live generation, made when the database is new; locked, checked against definitions and log. */
static enum rc
attach(struct session *s, struct err *e)
{
	enum rc rc = generation_find_locked(s->pg, GENERATION_LIVE, &s->generation, e);
	bool made = rc == RC_NOTFOUND;
	if (made) {
		struct store_span span;
		rc = store_span(s->o->reader, &span, e);
		if (rc == RC_OK)
			rc = generation_create(s->pg, &s->catalog, span.log_id, &s->generation, e);
		if (rc == RC_OK)
			rc = generation_promote(s->pg, &s->generation, e);
		if (rc == RC_OK)
			rc = generation_find_locked(s->pg, GENERATION_LIVE, &s->generation, e);
	}
	if (rc == RC_OK && s->generation.paused) {
		rc = err_set(e, RC_CONFLICT, NULL, "generation %d is paused", s->generation.id);
		snprintf(e->code, sizeof e->code, "HL003");
	}
	if (rc == RC_OK)
		rc = session_check_definitions(s, e);
	if (rc == RC_OK)
		rc = generation_check_log(&s->generation, s->o->reader, e);
	if (rc == RC_OK)
		rc = generation_check_writable(s->pg, &s->generation, e);
	if (rc == RC_OK && !made)
		rc = views_grant(s->pg, &s->catalog.hosts, e);
	if (rc == RC_OK)
		rc = apply_prepare(&s->applier, e);
	if (rc == RC_OK) {
		figures_attached(s->o->figures, &s->generation);
		rc = figures_read_parked(s->o->figures, s->pg, &s->generation, e);
	}
	if (rc == RC_OK)
		LOG_INFO("project.attached", F_S("schema", s->generation.schema),
			F_U("seq", s->generation.seq));
	return rc;
}

/* While no events come: finds a broken connection and a swapped generation before an event does. */
static enum rc
look_after(struct session *s, struct err *e)
{
	struct generation live;
	enum rc rc = generation_find(s->pg, GENERATION_LIVE, &live, e);
	if (rc == RC_OK && live.id != s->generation.id) {
		rc = err_set(e, RC_CONFLICT, NULL, "generation %d was retired", s->generation.id);
		snprintf(e->code, sizeof e->code, "HL002");
	} else if (rc == RC_OK && live.paused) {
		rc = err_set(e, RC_CONFLICT, NULL, "generation %d is paused", live.id);
		snprintf(e->code, sizeof e->code, "HL003");
	}
	if (rc == RC_OK)
		rc = figures_read_parked(s->o->figures, s->pg, &s->generation, e);
	return rc;
}

/* With the lock kept: until somebody resumes, or another generation is live. RC_OK also at stop_fd. */
static enum rc
wait_resumed(struct session *s, struct err *e)
{
	struct generation live;
	do {
		enum rc rc = generation_find(s->pg, GENERATION_LIVE, &live, e);
		if (rc != RC_OK)
			return rc;
		if (!live.paused || live.id != s->generation.id)
			return RC_OK;
	} while (!session_stopped(s, IDLE_MS));
	return RC_OK;
}

/* Says what a batch could not store as it came; the log keeps it as it came. */
static void
report(const struct applier *before, const struct applier *after)
{
	if (after->parked > before->parked)
		LOG_WARN("project.parked", F_U("events", after->parked - before->parked),
			F_S("next", "hooklog project parked"));
	if (after->altered_values > before->altered_values ||
		after->out_of_range_values > before->out_of_range_values)
		LOG_INFO("project.values", F_U("seq", after->generation->seq),
			F_U("altered", after->altered_values - before->altered_values),
			F_U("out_of_range", after->out_of_range_values - before->out_of_range_values));
}

/* Projects until something happens: RC_OK means stop_fd or stop_seq. */
static enum rc
tail(struct session *s, int64_t *backoff_ms, struct err *e)
{
	while (!session_stopped(s, 0) && (s->o->stop_seq == 0 || s->generation.seq < s->o->stop_seq)) {
		size_t count;
		const struct applier before = s->applier;
		enum rc rc = session_step(s, &count, e);
		report(&before, &s->applier);
		if (rc == RC_OK && count > 0) {
			figures_moved(s->o->figures, &before, &s->applier);
			rc = figures_read_parked(s->o->figures, s->pg, &s->generation, e);
		}
		if (rc != RC_OK)
			return rc;
		if (count > 0) {
			*backoff_ms = BACKOFF_MIN_MS;
			LOG_DEBUG("project.batch", F_U("events", count), F_U("seq", s->generation.seq));
			continue;
		}
		rc = store_wait(s->o->reader, s->generation.seq, IDLE_MS, s->o->stop_fd, e);
		if (rc == RC_AGAIN)
			rc = look_after(s, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* Whether an error is worth another try. */
static bool
may_pass(const struct err *e, bool attached, int64_t waited_ms)
{
	/* A server that answered once and refuses now is being worked on; one that refused from the start
	 * was configured wrongly. */
	if (e->rc == RC_DENIED)
		return attached;
	/* Our own broken connection may hold the lock until the server notices. */
	if (e->rc == RC_CONFLICT && e->id != NULL && strcmp(e->id, "project.locked") == 0)
		return attached || waited_ms < LOCK_PATIENCE_MS;
	return e->rc == RC_AGAIN;
}

enum rc
projector_run(const struct projector_options *o, struct err *e)
{
	struct session s;
	int64_t backoff_ms = BACKOFF_MIN_MS, waited_ms = 0; /* for the lock */
	bool attached = false;
	enum rc rc = session_open(&s, o, e);
	while (rc == RC_OK) {
		rc = session_connect(&s, "hooklog project", e);
		if (rc == RC_OK)
			rc = attach(&s, e);
		attached = attached || rc == RC_OK;
		if (rc == RC_OK)
			rc = tail(&s, &backoff_ms, e);
		figures_detached(o->figures, rc == RC_AGAIN);
		if (rc == RC_OK)
			break;
		if (rc == RC_CONFLICT && strcmp(e->code, "HL002") == 0) {
			LOG_INFO("project.swapped", F_S("retired", s.generation.schema));
			rc = RC_OK;
			continue;
		}
		if (rc == RC_CONFLICT && strcmp(e->code, "HL003") == 0) {
			LOG_INFO("project.paused", F_S("schema", s.generation.schema),
				F_U("seq", s.generation.seq), F_S("next", "hooklog project resume"));
			attached = true;
			rc = wait_resumed(&s, e);
			if (rc == RC_OK && session_stopped(&s, 0))
				break;
			if (rc == RC_OK) {
				LOG_INFO("project.resumed", F_S("schema", s.generation.schema));
				continue;
			}
		}
		if (!may_pass(e, attached, waited_ms))
			break;
		log_err(rc == RC_CONFLICT ? "project.locked" : "postgres.unavailable", e);
		rc = RC_OK;
		if (session_stopped(&s, backoff_ms))
			break;
		waited_ms += e->rc == RC_CONFLICT ? backoff_ms : 0;
		backoff_ms = backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff_ms * 2;
	}
	session_close(&s);
	return rc;
}
