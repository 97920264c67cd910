/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_VALUE_H
#define PROJECTOR_VALUE_H

#include "projector/catalog.h"
#include "projector/fold.h"

/* Evaluates the expressions of a definition for one row of one event. */

struct scope {
	const struct store_record *record;
	const struct jpath_doc *doc; /* NULL: the payload is not JSON; only the envelope counts */
	const struct rows_line *rows;
	const char *host; /* of the forge, as configured for the source; NULL: none is */
	size_t position; /* of the row in the rows' array */
	bool parked;
	struct arena *a;
	uint64_t altered, out_of_range;
};

/* text as a text column can hold it, in a or borrowed: NUL and each byte that is not UTF-8 become
 * U+FFFD. */
struct bytes value_storable_text(struct bytes text, struct arena *a);

/* Whether a condition holds. */
bool value_condition(struct scope *s, const struct condition *c);

/* What the value named by "rank:" adds to the rank of the rows line; 0 when it is not listed. */
int value_rank(struct scope *s, const struct definition *d);

/* Evaluates x for a column of that type. Returns whether the expression is told: an alternative applies,
 * even with null. *problem (may be NULL) is set when a value exists that the type cannot hold. */
bool value_evaluate(struct scope *s, const struct expression *x, enum column_type type,
	struct cell *out, bool *problem);

#endif
