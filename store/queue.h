/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "store/writer.h"

/* The way from the threads that submit events (store_submit and its kin, store.h) to the writer thread, whose side
 * this is. */

/* Waits until there are events or there is something else to do: s->closing, s->roll_wanted. Under s->lock. */
void queue_wait(struct store *s);

/* Takes from the head of the queue what one commit may carry, in order; at least one event, a batch never in parts.
 * *count: how many. Under s->lock; there must be some. The caller owns them. */
struct item *queue_take(struct store *s, size_t *count);

/* A commit of count events took so long. To be called before their answers go out: whoever comes then is counted
 * already. Not under s->lock. */
void queue_note_commit(struct store *s, size_t count, int64_t took_us);

#endif
