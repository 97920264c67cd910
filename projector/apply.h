/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_APPLY_H
#define PROJECTOR_APPLY_H

#include "projector/fold.h"
#include "projector/generation.h"

/* Writes batches of events into one generation's tables. */
struct applier {
	struct pg *pg;                   /* borrowed; locked for the generation */
	const struct catalog *catalog;   /* borrowed */
	struct generation *generation;   /* borrowed; its checkpoint is moved on */
	struct arena *arena;             /* of one transaction; reset by apply_batch */
	uint64_t parked;                 /* events parked so far */
	uint64_t altered_values;         /* texts stored with U+FFFD for what PostgreSQL cannot hold */
	uint64_t out_of_range_values;    /* values stored as null since they do not fit their column */
};

/* Prepares the statements on a's connection. */
enum rc apply_prepare(struct applier *a, struct err *e) MUST_CHECK;

/* Writes records[0..count), which follow the checkpoint without a gap, together with the moved checkpoint
 * in one transaction. folded is what they fold to, or NULL to have it done here. When the database refuses the data, the batch is halved until the event that is to
 * blame is alone; that one is parked and the rest goes on. Data errors never stop the projection.
 * RC_AGAIN: the connection is lost or the server is in trouble; nothing or everything of the last
 * transaction was written: connect again and read the checkpoint. RC_CONFLICT: the checkpoint was moved
 * by somebody else (code HL001) or the generation was retired (HL002). */
enum rc apply_batch(struct applier *a, const struct store_record *records, size_t count,
	const struct fold *folded, struct err *e) MUST_CHECK;

/* Projects one parked event again, without moving the checkpoint, and takes it off the list.
 * RC_INVALID: it still cannot be projected; *e says why and the list keeps it. */
enum rc apply_parked(struct applier *a, const struct store_record *record, struct err *e) MUST_CHECK;

#endif
