/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_LOAD_INTERNAL_H
#define PROJECTOR_LOAD_INTERNAL_H

#include "projector/lanes.h"
#include "projector/load.h"

/* What load_tables.c and load_check.c share. Nobody else includes this. */

/* The rows of a table: how many, and the sum of their hashes, which knows no order. */
struct load_sum {
	uint64_t rows, hash;
};

struct load {
	struct session *s;
	struct load_target target;
	struct lanes lanes;
	char created_at[64]; /* of the generation's row */
	bool has_foreign_keys;
	bool last_pass;
	struct state state;
	struct buf *streams;   /* per table: rows of streamed tables on their way */
	struct load_sum *sent; /* per table */
	size_t *jobs;          /* tables, in the order in which they are worked at */
	size_t job_count;
	struct pg_result *indexes, *constraints;
};

const struct definition *load_definition(const struct load *l, size_t table);
bool load_wants(const struct load *l, const struct definition *d);
void load_put_table(struct buf *out, const struct load *l, const struct definition *d);

void load_add(struct load_sum *sum, uint64_t hash);

/* Of the row that begins at start and ends where out does, without its number of fields. */
uint64_t load_hash(const struct buf *out, size_t start, const struct definition *d);

/* RC_AGAIN, id project.rebuild-interrupted: stop_fd. */
enum rc load_check_stop(const struct load *l, struct err *e) MUST_CHECK;

/* Runs fn for each of l->jobs, with as many connections as it may: what belongs to one transaction,
 * or must come in an order, needs one. */
enum rc load_run(struct load *l, lanes_fn fn, struct err *e) MUST_CHECK;

/* A job: RC_CORRUPT, id project.differs, when the table has other rows than were sent. */
enum rc load_check_table(struct pg *pg, size_t table, void *context, struct err *e) MUST_CHECK;

#endif
