/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_COMMITS_H
#define STORE_COMMITS_H

#include <stdatomic.h>

#include "store/store.h"

/* Counts the writer's commits for store_commits: written by its thread, read by any. */
struct commits {
	atomic_ullong events, time_us, buckets[STORE_COMMIT_BUCKETS + 1];
};

/* One commit of so many events that took took_us. */
void commits_note(struct commits *c, size_t events, int64_t took_us);

#endif
