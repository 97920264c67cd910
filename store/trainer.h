/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TRAINER_H
#define STORE_TRAINER_H

#include "store/pack.h"

/* Trains zstd dictionaries from recent events in a thread of its own, and gives them to a packer. Never
 * in anybody's way: a log without a dictionary is larger, that is all. Any thread. */
struct trainer;

/* Borrows p until trainer_free. RC_IO: no thread could be started. */
enum rc trainer_new(struct trainer **t, struct packer *p, struct err *e) MUST_CHECK;

/* Waits for a training under way. NULL is fine. */
void trainer_free(struct trainer *t);

/* Offers an event; some are kept. The first training starts by itself when there are enough. */
void trainer_offer(struct trainer *t, struct bytes envelope, struct bytes body);

/* A segment was opened: trains anew if enough has been seen since. What comes of it replaces the dictionary only
 * when it makes samples it was not trained with noticeably smaller. */
void trainer_kick(struct trainer *t);

/* The log has a dictionary already, so the first training can wait for the next segment. */
void trainer_has_dict(struct trainer *t);

/* Waits until no training is wanted or under way; for tests. */
void trainer_drain(struct trainer *t);

#endif
