/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "projector/session.h"

enum rc
session_open(struct session *s, const struct projector_options *o, struct err *e)
{
	*s = (struct session){ .o = o };
	s->names = arena_new(256 * 1024);
	s->read = arena_new(1024 * 1024);
	enum rc rc = catalog_load(&s->catalog, o->definitions_dir, s->names, e);
	s->applier = (struct applier){ .catalog = &s->catalog, .generation = &s->generation,
		.arena = arena_new(1024 * 1024) };
	return rc;
}

void
session_close(struct session *s)
{
	pg_close(s->pg);
	catalog_free(&s->catalog);
	arena_free(s->names);
	arena_free(s->read);
	arena_free(s->applier.arena);
}

enum rc
session_connect(struct session *s, const char *application, struct err *e)
{
	pg_close(s->pg);
	s->pg = NULL;
	enum rc rc = pg_connect(&s->pg, s->o->conninfo, application, e);
	s->applier.pg = s->pg;
	if (rc == RC_OK)
		rc = generation_setup(s->pg, e);
	return rc;
}

enum rc
session_step(struct session *s, size_t *count, struct err *e)
{
	const struct store_record *records;
	arena_reset(s->read);
	enum rc rc = store_read(s->o->reader, s->generation.seq + 1, s->o->batch_events_max,
		s->o->batch_bytes_max, s->read, &records, count, e);
	if (rc == RC_NOTFOUND)
		return err_set(e, RC_CONFLICT, "project.log-mismatch",
			"the log no longer holds event %" PRIu64 ", which comes next; restore the archived "
			"segments and run again", s->generation.seq + 1);
	if (rc == RC_OK && *count > 0)
		rc = apply_batch(&s->applier, records, *count, e);
	return rc;
}

bool
session_stopped(const struct session *s, int64_t timeout_ms)
{
	struct pollfd fd = { .fd = s->o->stop_fd, .events = POLLIN };
	return poll(&fd, 1, (int)timeout_ms) > 0;
}
