/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/store.h"

/* Takes what is found. */
typedef void (*verify_say_fn)(void *context, bool warning, uint64_t seq, const char *text);

/* How much of it. */
enum verify_scope {
	VERIFY_ALL,
	VERIFY_PART,    /* one part of a whole: leaves out what concerns the whole */
	VERIFY_PART_WITHOUT_INDEX,
	VERIFY_RECORDS, /* leaves out also what only a stopped or finished writer guarantees or can mend by
			 * itself: the dedupe index, head, signed statements */
};

/* owned_last: events after it are not counted in report->owned. */
enum rc verify_run(const struct store_verify_options *options, enum verify_scope scope,
	uint64_t owned_last, struct store_verify_report *report, struct err *e) MUST_CHECK;

/* ---- the dedupe index as a whole, for verify ---- */

struct index_count {
	uint64_t last_seq; /* what the index covers; 0: there is no index */
	uint64_t entries;  /* entries that name an event from first to last_seq */
};

/* Counts, and says what names an event beyond the index's own end. */
enum rc verify_index_count(const char *dir, uint64_t first, struct index_count *c, verify_say_fn say,
	void *context, struct err *e) MUST_CHECK;

/* Looks every entry's event up and says which ones name another delivery's; slow, at random places. */
enum rc verify_index_entries(const char *dir, uint64_t first, uint64_t last, verify_say_fn say,
	void *context, struct err *e) MUST_CHECK;

/* ---- the signed statements, for verify ---- */

/* What was signed about records, by rising number; and what to say about the ledger as a whole. */
struct signed_claims {
	const struct store_statement **by_seq; /* STORE_CHECKPOINT and STORE_SEAL */
	size_t count;
	struct ledger_view *view; /* NULL: there is no ledger */
	/* Kept elsewhere; among by_seq, too. */
	const struct store_statement *noted;
	size_t noted_count, noted_bad_lines;
};

/* Reads the ledger and the noted lines into a. A ledger that is none is said, not an error. */
enum rc claims_read(struct signed_claims *c, const struct store_verify_options *options, struct arena *a,
	verify_say_fn say, void *context, struct err *e) MUST_CHECK;

/* Checks every signature and that each key was introduced by the one before; key: as in
 * store_verify_options. */
void claims_check(const struct signed_claims *c, const unsigned char log_id[STORE_LOG_ID_BYTES],
	const unsigned char *key, verify_say_fn say, void *context);

/* The newest seal of the segment, or NULL. */
const struct store_statement *claims_seal(const struct signed_claims *c, uint64_t first_seq);

#endif
