/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SOURCE_STATE_H
#define INGEST_SOURCE_STATE_H

#include "ingest/sources.h"

/* The part of a source that outlives a reload. Counted references; any thread. */

struct source_state *source_state_new(void);
struct source_state *source_state_retain(struct source_state *s);
void source_state_release(struct source_state *s);

#endif
