/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STATS_H
#define STORE_STATS_H

#include "store/store.h"

/* Publishes the writer's part of store_stats for other processes. Never fails. */
void stats_write(const char *dir, const struct store_stats *st);
void stats_remove(const char *dir);

#endif
