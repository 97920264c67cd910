/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

struct block {
	struct block *next;
	size_t size;
	size_t used;
	_Alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct block *first; /* kept over resets */
	struct block *head;  /* the block being filled; older ones follow ->next down to first */
	size_t used_bytes;
};

static struct block *
block_new(size_t size, struct block *next)
{
	struct block *b = base_alloc(sizeof *b + size);
	b->next = next;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *
arena_new(size_t first_block_bytes)
{
	struct arena *a = base_zalloc(sizeof *a);
	a->first = block_new(first_block_bytes < 256 ? 256 : first_block_bytes, NULL);
	a->head = a->first;
	return a;
}

void
arena_reset(struct arena *a)
{
	while (a->head != a->first) {
		struct block *next = a->head->next;
		free(a->head);
		a->head = next;
	}
	a->first->used = 0;
	a->used_bytes = 0;
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	free(a->first);
	free(a);
}

void *
arena_alloc(struct arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	ASSERT(size <= SIZE_MAX - align);
	size = (size + align - 1) / align * align;
	if (a->head->size - a->head->used < size) {
		/* Doubling keeps the number of blocks logarithmic in the size of the batch. */
		size_t next = a->head->size * 2;
		a->head = block_new(next < size ? size : next, a->head);
	}
	void *p = a->head->data + a->head->used;
	a->head->used += size;
	a->used_bytes += size;
	return p;
}

void *
arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

struct bytes
arena_copy(struct arena *a, struct bytes b)
{
	unsigned char *p = arena_alloc(a, b.len);
	if (b.len > 0)
		memcpy(p, b.data, b.len);
	return (struct bytes){ p, b.len };
}

char *
arena_string(struct arena *a, struct bytes b)
{
	char *p = arena_alloc(a, b.len + 1);
	if (b.len > 0)
		memcpy(p, b.data, b.len);
	p[b.len] = '\0';
	return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list args, again;
	va_start(args, fmt);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	ASSERT(n >= 0);
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

size_t
arena_used_bytes(const struct arena *a)
{
	return a->used_bytes;
}
