/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "projector/session.h"

/* With fewer events waiting than these, folding them takes no time worth a thread. */
#define AHEAD_EVENTS_MIN 256

enum rc
session_open(struct session *s, const struct projector_options *o, struct err *e)
{
	*s = (struct session){ .o = o };
	s->names = arena_new(256 * 1024);
	s->read = arena_new(1024 * 1024);
	enum rc rc = catalog_load_hosts(&s->catalog, o->definitions_dir, o->hosts == NULL ? "" : o->hosts, s->names,
		e);
	s->applier = (struct applier){ .catalog = &s->catalog, .generation = &s->generation,
		.arena = arena_new(1024 * 1024) };
	return rc;
}

void
session_close(struct session *s)
{
	session_stop_ahead(s);
	pg_close(s->pg);
	catalog_free(&s->catalog);
	arena_free(s->names);
	arena_free(s->read);
	arena_free(s->applier.arena);
}

enum rc
session_reach(struct session *s, const char *application, struct err *e)
{
	enum rc rc = pg_connect(&s->pg, s->o->conninfo, application, e);
	s->applier.pg = s->pg;
	if (rc == RC_AGAIN && s->o->unreachable_hint != NULL)
		rc = err_wrap(e, "%s", s->o->unreachable_hint);
	return rc;
}

enum rc
session_connect(struct session *s, const char *application, struct err *e)
{
	session_stop_ahead(s);
	pg_close(s->pg);
	s->pg = NULL;
	enum rc rc = session_reach(s, application, e);
	if (rc == RC_OK)
		rc = generation_setup(s->pg, e);
	return rc;
}

enum rc
session_look(struct session *s, const struct projector_options *o, struct err *e)
{
	enum rc rc = session_open(s, o, e);
	if (rc == RC_OK)
		rc = session_reach(s, "hooklog", e);
	struct pg_result *r = NULL;
	if (rc == RC_OK)
		rc = pg_query(s->pg, "select to_regclass('hooklog.audit') is not null", NULL, 0, &r, e);
	if (rc == RC_OK && strcmp(pg_field(r, 0, 0), "t") != 0)
		rc = err_set(e, RC_NOTFOUND, NULL,
			"nothing was projected into this database by this version yet; start `hooklog up` or "
			"`hooklog project run`");
	pg_result_free(r);
	if (rc == RC_OK)
		rc = generation_find(s->pg, GENERATION_LIVE, &s->generation, e);
	return rc;
}

enum rc
session_check_definitions(const struct session *s, struct err *e)
{
	if (memcmp(s->generation.definition_hash, s->catalog.hash, sizeof s->catalog.hash) == 0)
		return RC_OK;
	return err_set(e, RC_CONFLICT, "project.definitions-changed",
		"the tables were made by other projections than this program has; make them anew "
		"with `hooklog project rebuild`");
}

enum rc
session_read_refused(struct session *s, uint64_t **refused, size_t *count, struct err *e)
{
	unsigned char id[4];
	const struct pg_param param = pg_param_int4(s->generation.id, id);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(s->pg,
		"select seq from hooklog.parked_events where generation = $1 and sqlstate is not null "
		"order by seq",
		&param, 1, &r, e);
	*count = rc == RC_OK ? pg_rows(r) : 0;
	*refused = base_alloc((*count + 1) * sizeof **refused);
	for (size_t i = 0; i < *count; i++)
		(*refused)[i] = strtoull(pg_field(r, i, 0), NULL, 10);
	pg_result_free(r);
	return rc;
}

enum rc
session_read(struct session *s, uint64_t seq, size_t max, const struct store_record **records,
	size_t *count, struct err *e)
{
	arena_reset(s->read);
	enum rc rc = store_read(s->o->reader, seq, max, s->o->batch_bytes_max, s->read, records, count, e);
	return session_read_error(rc, seq, e);
}

enum rc
session_read_error(enum rc rc, uint64_t seq, struct err *e)
{
	if (rc == RC_NOTFOUND)
		return err_set(e, RC_CONFLICT, "project.log-mismatch",
			"the log no longer holds event %" PRIu64 ", which comes next; restore the archived "
			"segments and run again", seq);
	return rc;
}

void
session_stop_ahead(struct session *s)
{
	ahead_stop(s->ahead);
	s->ahead = NULL;
}

/* Starts reading ahead when that many events are waiting. */
static enum rc
start_ahead(struct session *s, struct err *e)
{
	struct store_span span;
	enum rc rc = store_span(s->o->reader, &span, e);
	if (rc != RC_OK || span.last_seq < s->generation.seq + AHEAD_EVENTS_MIN)
		return rc;
	const struct ahead_options options = { .catalog = &s->catalog, .reader = s->o->reader,
		.first = s->generation.seq + 1, .last = s->o->stop_seq, .events_max = s->o->batch_events_max,
		.bytes_max = s->o->batch_bytes_max, .threads = 1 };
	return ahead_start(&s->ahead, &options, e);
}

static enum rc
step_ahead(struct session *s, size_t *count, struct err *e)
{
	struct ahead_batch batch;
	enum rc rc = ahead_take(s->ahead, &batch, e);
	rc = session_read_error(rc, s->generation.seq + 1, e);
	*count = rc == RC_OK ? batch.count : 0;
	if (*count > 0) {
		ASSERT(batch.records[0].event.seq == s->generation.seq + 1);
		rc = apply_batch(&s->applier, batch.records, batch.count, &batch.fold, e);
	}
	if (rc != RC_OK || *count == 0)
		session_stop_ahead(s);
	return rc;
}

enum rc
session_step(struct session *s, size_t *count, struct err *e)
{
	const struct store_record *records;
	size_t max = s->o->batch_events_max;
	*count = 0;
	if (s->ahead != NULL)
		return step_ahead(s, count, e);
	if (s->o->stop_seq > 0 && s->generation.seq >= s->o->stop_seq)
		return RC_OK;
	if (s->o->stop_seq > 0 && s->o->stop_seq - s->generation.seq < max)
		max = (size_t)(s->o->stop_seq - s->generation.seq);
	enum rc rc = session_read(s, s->generation.seq + 1, max, &records, count, e);
	if (rc == RC_OK && *count > 0)
		rc = apply_batch(&s->applier, records, *count, NULL, e);
	/* A batch as large as that was waiting when it was read: there may be more. */
	if (rc == RC_OK && *count >= AHEAD_EVENTS_MIN / 2)
		rc = start_ahead(s, e);
	return rc;
}

bool
session_stopped(const struct session *s, int64_t timeout_ms)
{
	struct pollfd fd = { .fd = s->o->stop_fd, .events = POLLIN };
	return poll(&fd, 1, (int)timeout_ms) > 0;
}
