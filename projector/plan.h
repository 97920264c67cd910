/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_PLAN_H
#define PROJECTOR_PLAN_H

#include "base/arena.h"
#include "projector/definition.h"

/* Which rows lines an event has to be held against, worked out once when the definitions are loaded: most
 * lines are of other providers or other events, and looking at them all for each event would cost more
 * than what the event itself says. */

struct plan_line {
	size_t table; /* index of the definition */
	const struct rows_line *rows;
};

/* The lines for the events of one name from one provider, in the order of definitions and their lines,
 * which decides between two lines that tell the same row in the same event. */
struct plan_entry {
	struct bytes provider, event; /* empty: any that no other entry has */
	bool own_tables;              /* a definition is of this very provider */
	const struct plan_line *lines;
	size_t count;
};

struct plan {
	const struct plan_entry *entries; /* sorted by provider and event */
	size_t count;
};

/* Everything lives in a; definitions must stay where they are. */
void plan_make(struct plan *p, const struct definition *definitions, size_t count, struct arena *a);

/* Never NULL. Any thread. */
const struct plan_entry *plan_find(const struct plan *p, struct bytes provider, struct bytes event);

#endif
