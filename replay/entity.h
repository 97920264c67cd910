/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_ENTITY_H
#define REPLAY_ENTITY_H

#include "event/event.h"

/* What an event is about, for keeping the order of events about one thing
 * (docs/adr/0021-order-of-deliveries.md). */
struct replay_entities;

struct replay_entities *replay_entities_new(void);
void replay_entities_free(struct replay_entities *x); /* NULL is fine */

/* A number that is the same for all events of one source about one repository or, where the payload
 * names none, for all of those of the source. Two entities may share a number: that costs
 * concurrency, not order. a: scratch, for this call only. */
uint64_t replay_entity(const struct replay_entities *x, const struct event *ev, struct arena *a);

#endif
