/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENT_JPATH_INTERNAL_H
#define EVENT_JPATH_INTERNAL_H

#include "event/jpath.h"

/* What the files of the path extractor share. Nobody else includes this. */

#define JPATH_NONE UINT32_MAX

/* One member name below a node. The hash is compared first, the name only when it is equal. */
struct jpath_child {
	uint64_t hash;
	const unsigned char *name; /* owned by the set */
	uint32_t len;
	uint32_t node; /* JPATH_NONE: free place of the table */
};

/* One place in a document that some path names or passes through. Node 0 is the document itself. A
 * node's number is higher than its parent's. */
struct jpath_node {
	uint32_t slot;  /* the path that ends here, or JPATH_NONE */
	uint32_t elem;  /* the node of [] below, or JPATH_NONE */
	uint32_t group; /* with elem: which set of rows its elements are */
	uint32_t child_count;
	uint32_t mask; /* children has mask + 1 places, at most half of them in use; NULL: none */
	struct jpath_child *children;
};

struct jpath_set {
	struct jpath_node *nodes;
	uint32_t node_count, node_cap;
	uint32_t *slot_groups; /* per slot: its rows, or JPATH_NONE for a path without [] */
	uint32_t slot_count, slot_cap;
	uint32_t group_count;
	size_t name_bytes_max; /* of the longest member name */
};

static inline uint64_t
jpath_load64(const unsigned char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

/* Mixes the length and at most 16 bytes of a name. The tables hold only names of our own paths, so
 * nobody outside can make them collide. */
static inline uint64_t
jpath_hash(const unsigned char *p, size_t len)
{
	uint64_t a = 0, b = 0;
	if (len >= 8) {
		a = jpath_load64(p);
		b = jpath_load64(p + len - 8);
	} else if (len >= 4) {
		uint32_t low, high;
		memcpy(&low, p, sizeof low);
		memcpy(&high, p + len - 4, sizeof high);
		a = low;
		b = high;
	} else if (len > 0) {
		a = (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
	}
	uint64_t h = (a ^ len) * UINT64_C(0x9e3779b97f4a7c15);
	h ^= b * UINT64_C(0xc2b2ae3d27d4eb4f);
	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

/* The node of the member below n, or JPATH_NONE. */
static inline uint32_t
jpath_find(const struct jpath_node *n, const unsigned char *name, size_t len)
{
	if (n->children == NULL)
		return JPATH_NONE;
	uint64_t hash = jpath_hash(name, len);
	for (uint32_t i = (uint32_t)hash & n->mask;; i = (i + 1) & n->mask) {
		const struct jpath_child *c = &n->children[i];
		if (c->node == JPATH_NONE)
			return JPATH_NONE;
		if (c->hash == hash && c->len == len && memcmp(c->name, name, len) == 0)
			return c->node;
	}
}

/* Resolves the escapes of a string's inside, which the walker has checked, into out, which has room
 * for in.len bytes; returns how many were written. \u0000 and lone surrogates become U+FFFD and set
 * *altered, which is never cleared. */
size_t jpath_unescape(struct bytes in, unsigned char *out, bool *altered);

#endif
