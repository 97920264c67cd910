/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_STATE_H
#define PROJECTOR_STATE_H

#include "pg/pg.h"
#include "projector/fold.h"

/* Every row of all tables as the log tells them, in memory: what the database would hold after all
 * batches, by the same rule as the upsert of tables.c. When the rows outgrow the memory allowed, those in
 * the upper half of the hash range are dropped and the log is read once more for them, so a log of any
 * size fits; several passes cost time, not room. One thread. */

/* One row, in one piece: the versions of the groups, that of the tombstone if there is one, then the
 * declared columns as COPY's binary format has them (length, -1 for null, and bytes; but jsonb and arrays
 * as their text). */
struct state_row {
	struct state_row *next;
	uint64_t hash;
	uint64_t first_seq, last_seq, deleted_seq;
	int64_t webhook_at_us, api_at_us, deleted_at_us;
	enum event_origin origin;
	uint32_t field_bytes, field_room;
	bool seen;    /* for who compares */
	uint64_t sum; /* row_hash of what the database was last told, 0: nothing; for who sends */
	struct version versions[];
};

struct state_table {
	const struct definition *definition;
	struct state_row **buckets;
	size_t bucket_count, count;
};

struct state {
	const struct catalog *catalog;
	struct state_table *tables; /* one per definition */
	size_t bytes, bytes_max;
	uint64_t low, last;         /* the hashes of this pass, both included */
	bool first_pass;
	bool overflow; /* a row was too large to be kept; the state is not complete */
	struct buf scratch;
};

/* bytes_max is for the rows alone. */
void state_open(struct state *st, const struct catalog *c, size_t bytes_max);
void state_close(struct state *st);

/* Empties st and starts the pass after the present one. False: there is none, all hashes were covered. */
bool state_next_pass(struct state *st);

/* Merges one folded row of a batch into the table. The merged row, valid until the next merge, or NULL: it is not of
 * this pass, or outgrew the memory and was dropped, or it was too large. */
struct state_row *state_merge(struct state *st, struct state_table *t, const struct fold_row *row);

/* Whether no two events make the same row, so that rows need not be kept to be merged. */
bool state_is_streamed(const struct definition *d);

/* Versions a row of the table has: groups, and one for tombstones. */
size_t state_version_count(const struct definition *d);

/* The declared columns of a row. */
struct bytes state_fields(const struct definition *d, const struct state_row *row);

/* The next field of such bytes; false when it is null. *rest is moved on. */
bool state_field(struct bytes *rest, struct bytes *field);

/* The row with these fields, of which only the keys count; NULL: none. *hash_in_pass tells whether it
 * would be in this pass. */
struct state_row *state_find(const struct state *st, const struct state_table *t, struct bytes fields,
	bool *hash_in_pass);

/* Puts other fields in the place of a row's; the row may move. */
struct state_row *state_replace_fields(struct state *st, struct state_table *t, struct state_row *row,
	struct bytes fields);

/* Appends a cell, or all cells of a row, as fields. */
void state_put_cell(struct buf *out, const struct cell *cell, enum column_type type);
void state_put_cells(struct buf *out, const struct definition *d, const struct cell *cells);

/* Appends the declared columns and the bookkeeping, as COPY TO gives them in the order of
 * tables_put_columns, with jsonb and arrays as text. */
void state_put_fields(struct buf *out, const struct definition *d, const struct state_row *row);

/* FNV-1a from h, and a last step that spreads it over all bits. */
uint64_t state_hash_bytes(uint64_t h, const void *data, size_t len);
uint64_t state_mix(uint64_t h);

/* Appends a row of COPY's binary format. */
void state_put_copy(struct buf *out, const struct definition *d, const struct state_row *row);
/* The same of a row that was not merged. */
void state_put_copy_folded(struct buf *out, const struct definition *d, const struct fold_row *row);
extern const char state_copy_header[19];
/* The fields of the next row of a COPY to stdout in that format, borrowed until the next call; data is NULL behind the
 * last one. Errors of pg_copy_get. */
enum rc state_get_copied(struct pg *pg, struct bytes *fields, struct err *e) MUST_CHECK;

#endif
