/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_FIGURES_H
#define PROJECTOR_FIGURES_H

#include "projector/apply.h"
#include "projector/projector.h"

/* How a running projector keeps its figures. Each does nothing when f is NULL. In the projector's thread. */

/* It has its lock and is at the generation's checkpoint. */
void figures_attached(struct projector_figures *f, const struct generation *g);

/* It has lost that; trouble: it will try again since the database is in trouble. */
void figures_detached(struct projector_figures *f, bool trouble);

/* A batch was written. */
void figures_moved(struct projector_figures *f, const struct applier *before, const struct applier *after);

/* Counts the parked events of the generation, when that was not done for some seconds. */
enum rc figures_read_parked(struct projector_figures *f, struct pg *pg, const struct generation *g,
	struct err *e) MUST_CHECK;

#endif
