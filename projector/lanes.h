/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_LANES_H
#define PROJECTOR_LANES_H

#include "pg/pg.h"

/* Several connections to the database, each with a thread, that work off one list of jobs: what one table needs does not wait for
 * what another one needs. */

#define LANES_MAX 4

struct lanes {
	struct pg *pgs[LANES_MAX];
	size_t count;
};

/* One job of the list. Called by several threads at once, each with a connection of its own. */
typedef enum rc (*lanes_fn)(struct pg *pg, size_t job, void *context, struct err *e);

/* own is the first connection, borrowed, for the thread that calls. Up to wanted in all are opened; fewer when the database has
 * no more of them, which is logged. Their transactions may take as long as they need. */
void lanes_open(struct lanes *lanes, struct pg *own, const char *conninfo, size_t wanted);

/* Closes all but the first. */
void lanes_close(struct lanes *lanes);

/* Does jobs[0..count), taken from the front. After a failure no job is begun any more; its error is given back when those under way
 * have ended. */
enum rc lanes_run(const struct lanes *lanes, const size_t *jobs, size_t count, lanes_fn fn, void *context, struct err *e)
	MUST_CHECK;

#endif
