/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_SESSION_H
#define PROJECTOR_SESSION_H

#include "projector/ahead.h"
#include "projector/apply.h"
#include "projector/projector.h"

/* What every task of the projector needs: the definitions, a connection, an arena per batch. */
struct session {
	const struct projector_options *o;
	struct arena *names;  /* of the catalog */
	struct arena *read;   /* records of one batch */
	struct ahead *ahead;  /* while far behind the log's end: batches that are coming; else NULL */
	struct catalog catalog;
	struct generation generation;
	struct applier applier;
	struct pg *pg;
};

/* Loads the definitions; no connection yet. */
enum rc session_open(struct session *s, const struct projector_options *o, struct err *e) MUST_CHECK;
void session_close(struct session *s);

/* Connects under a name, and changes nothing. */
enum rc session_reach(struct session *s, const char *application, struct err *e) MUST_CHECK;

/* Connects (again) under a name and makes the control schema. */
enum rc session_connect(struct session *s, const char *application, struct err *e) MUST_CHECK;

/* session_open, and connects without changing anything: looking must not create schemas. The generation is
 * the live one. RC_NOTFOUND: nothing was ever projected into this database. */
enum rc session_look(struct session *s, const struct projector_options *o, struct err *e) MUST_CHECK;

/* RC_CONFLICT, id project.definitions-changed: the generation was made by other projections. */
enum rc session_check_definitions(const struct session *s, struct err *e) MUST_CHECK;

/* The events of the generation that are parked since the database refused them, sorted; *refused is the
 * caller's to free, also after an error. */
enum rc session_read_refused(struct session *s, uint64_t **refused, size_t *count, struct err *e) MUST_CHECK;

/* store_read into s->read, at most max events, and not more bytes than a batch may have.
 * RC_CONFLICT, id project.log-mismatch: the log no longer holds seq. */
enum rc session_read(struct session *s, uint64_t seq, size_t max, const struct store_record **records,
	size_t *count, struct err *e) MUST_CHECK;

/* Reads the next batch behind the generation's checkpoint and writes it; far behind the log's end the batches
 * after it are read and folded meanwhile. *count is 0 at the log's end, and at stop_seq. */
enum rc session_step(struct session *s, size_t *count, struct err *e) MUST_CHECK;

/* Forgets the batches that are coming: the next step starts at the checkpoint. The reader is free again. */
void session_stop_ahead(struct session *s);

/* err_set for RC_NOTFOUND of a read at seq, which is project.log-mismatch; other errors stay as they are. */
enum rc session_read_error(enum rc rc, uint64_t seq, struct err *e);

/* Whether stop_fd became readable within timeout_ms. */
bool session_stopped(const struct session *s, int64_t timeout_ms);

#endif
