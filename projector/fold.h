/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_FOLD_H
#define PROJECTOR_FOLD_H

#include "projector/catalog.h"
#include "store/store.h"

/* Folds a batch of events into rows: at most one row per key and table, whatever the batch holds. A row
 * is the maximum over the versions of what its events told, per column group, so the same events in
 * another order or in other batches give the same row. */

/* When something was told: compared by at, then rank, then seq. */
struct version {
	int64_t at_us; /* INT64_MIN: the object carried no time, anything stamped is newer */
	int rank;
	uint64_t seq; /* 0: never told */
};

struct cell {
	bool null;
	int64_t integer;   /* COLUMN_INT*, COLUMN_BOOL, COLUMN_TIMESTAMPTZ */
	struct bytes text; /* the other types */
};

struct fold_row {
	struct cell *cells; /* one per column */
	struct version versions[GROUPS_MAX];
	struct version life; /* of deleted_at; only with tombstones */
	int64_t deleted_at_us; /* INT64_MIN: not deleted */
	uint64_t deleted_seq;
	uint64_t first_seq, last_seq;
	enum event_origin origin; /* of last_seq */
	int64_t webhook_at_us, api_at_us; /* last told by a webhook, by an API; INT64_MIN: never */
	struct fold_row *next; /* in the order of first appearance */
	struct fold_row *bucket_next;
	uint64_t hash;
};

struct fold_table {
	const struct definition *definition;
	struct fold_row *first, **tail;
	size_t count;
	struct fold_row **buckets;
	size_t bucket_count;
};

struct fold_parked {
	uint64_t seq;
	const char *reason;
};

struct fold {
	struct fold_table *tables; /* one per definition of the catalog */
	size_t count;
	struct fold_parked *parked; /* events that cannot be projected */
	size_t parked_count;
	uint64_t altered_values;     /* texts in which NUL or lone surrogates became U+FFFD */
	uint64_t out_of_range_values; /* values that did not fit their column and became null */
};

/* Events that the database has refused: treated as what cannot be projected. */
struct fold_refused {
	const char *reason;   /* NULL: none was */
	const uint64_t *seqs; /* sorted; NULL: all were */
	size_t count;
};

/* Folds records[0..count) into *out. refused may be NULL. Everything lives in a; texts may point into the records. Never
 * fails: an event that is not JSON, or whose key cannot be stored, is in parked, and then only its row in
 * tables of provider * remains, made from the envelope. Any thread. */
void fold_events(const struct catalog *c, const struct store_record *records, size_t count,
	const struct fold_refused *refused, struct arena *a, struct fold *out);

/* Less than, equal or greater than zero. */
int version_compare(const struct version *left, const struct version *right);

#endif
