/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

/* Memory that lives exactly as long as one request or one batch. Allocations are never freed one by
 * one; arena_reset gives all of them back and keeps the first block for the next batch. One thread
 * at a time. */
struct arena;

/* first_block_bytes: size of the block kept over resets. Owned by the caller until arena_free. */
struct arena *arena_new(size_t first_block_bytes);

/* NULL is fine. */
void arena_free(struct arena *a);

/* Ends the life of everything allocated from a. */
void arena_reset(struct arena *a);

/* size bytes aligned for any type, not zeroed. Valid until reset. Aborts when memory is out. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
void *arena_zalloc(struct arena *a, size_t size) __attribute__((returns_nonnull));

/* A copy of b in the arena. */
struct bytes arena_copy(struct arena *a, struct bytes b);

/* A NUL-terminated copy of b in the arena. */
char *arena_string(struct arena *a, struct bytes b);

char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Bytes handed out since the last reset: what a batch limit compares against. */
size_t arena_used_bytes(const struct arena *a);

#endif
