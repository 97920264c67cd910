/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_LOAD_H
#define PROJECTOR_LOAD_H

#include "projector/session.h"
#include "projector/state.h"

/* Folding the log from its first event to a given one, without a database. */

/* What one pass over the log tells beside the state's rows. */
struct load_hooks {
	/* Events the database refused: folded as what cannot be projected. Sorted. */
	const uint64_t *refused;
	size_t refused_count;
	/* Rows of tables that are never merged (state_is_streamed); NULL: they are kept like others. First
	 * pass only. */
	enum rc (*streamed)(size_t table, const struct fold_table *rows, void *context, struct err *e);
	/* A row that was just merged; may be NULL. */
	void (*merged)(size_t table, struct state_row *row, void *context);
	/* Events that cannot be projected; may be NULL. First pass only. */
	enum rc (*parked)(uint64_t seq, const char *reason, void *context, struct err *e);
	void *context;
};

/* Merges events first to last into st, of whose present pass they are. *chain gets the log's hash at last.
 * RC_AGAIN, id project.rebuild-interrupted: stop_fd. Other errors as session_step. */
enum rc load_pass(struct session *s, struct state *st, uint64_t first, uint64_t last, const struct load_hooks *hooks,
	unsigned char chain[STORE_CHAIN_BYTES], struct err *e) MUST_CHECK;

/* What of projector.memory_bytes_max is for rows: batches and what malloc wastes need the rest. */
size_t load_state_bytes(const struct projector_options *o);

/* What load_tables makes. */
struct load_target {
	uint64_t first, last;
	const struct definition *only; /* NULL: all tables */
	bool generation;               /* parked events are listed in hooklog.parked_events */
	const uint64_t *refused;       /* as in load_hooks */
	size_t refused_count;
	void (*parked)(uint64_t seq, const char *reason, void *context); /* may be NULL */
	void *context;
};

/* A transaction that may take long, and its end: commit, or rollback when rc is an error. */
enum rc load_begin(struct pg *pg, struct err *e) MUST_CHECK;
enum rc load_end(struct pg *pg, enum rc rc, struct err *e) MUST_CHECK;

/* Within such a transaction: folds, sends with COPY into the empty tables of schema s->generation.schema,
 * makes their indexes afterwards, reads them back. RC_INVALID: the database refuses the data as a whole. RC_CORRUPT, id
 * project.differs: a table does not hold what was sent to it. */
enum rc load_tables(struct session *s, const struct load_target *target,
	unsigned char chain[STORE_CHAIN_BYTES], struct err *e) MUST_CHECK;

struct load; /* what a generation was filled with */

/* Fills the empty tables of the building generation, whose lock s->pg holds, with events 1 to last: folded in memory, sent
 * with COPY and indexed afterwards, several tables at once, each in a transaction of its own; the checkpoint
 * moves when all are there. Until then it is 0, and what a killed rebuild leaves is to be dropped. *load is the caller's
 * until load_free. RC_INVALID: the database refuses the data as a whole: the way event by event finds those to be parked.
 * RC_AGAIN: as load_pass, or the database is away. After any error *load is NULL. */
enum rc load_generation(struct session *s, uint64_t last, struct load **load, struct err *e) MUST_CHECK;

/* Whether all rows are still in memory, so that events after the last one can be added for load_check. */
bool load_is_whole(const struct load *load);

/* Reads all tables of the generation, at its checkpoint, and compares them with what the log told when it was folded and, after
 * the last event that load_generation was given, tells: number and sum of the rows of each table. With such events
 * load_is_whole must hold.
 * RC_CORRUPT, id project.differs: a table has other rows. RC_AGAIN: as load_pass, or the database is away. */
enum rc load_check(struct load *load, struct err *e) MUST_CHECK;

/* NULL is fine. */
void load_free(struct load *load);

#endif
