/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath_internal.h"

static uint32_t
add_node(struct jpath_set *set)
{
	if (set->node_count == set->node_cap) {
		ASSERT(set->node_cap < UINT32_MAX / 4);
		set->node_cap = set->node_cap == 0 ? 64 : 2 * set->node_cap;
		set->nodes = base_realloc(set->nodes, set->node_cap * sizeof *set->nodes);
	}
	set->nodes[set->node_count] = (struct jpath_node){
		.slot = JPATH_NONE,
		.elem = JPATH_NONE,
		.group = JPATH_NONE,
	};
	return set->node_count++;
}

struct jpath_set *
jpath_set_new(void)
{
	struct jpath_set *set = base_zalloc(sizeof *set);
	add_node(set);
	return set;
}

void
jpath_set_free(struct jpath_set *set)
{
	if (set == NULL)
		return;
	for (uint32_t n = 0; n < set->node_count; n++) {
		const struct jpath_node *node = &set->nodes[n];
		for (uint32_t i = 0; node->children != NULL && i <= node->mask; i++)
			free((void *)(uintptr_t)node->children[i].name); /* const to all others */
		free(node->children);
	}
	free(set->nodes);
	free(set->slot_groups);
	free(set);
}

static void
place(struct jpath_child *table, uint32_t mask, struct jpath_child child)
{
	uint32_t i = (uint32_t)child.hash & mask;
	while (table[i].node != JPATH_NONE)
		i = (i + 1) & mask;
	table[i] = child;
}

/* Doubles the table of children when the next one would fill more than half of it: a short search
 * for names that are not in it is what the walker's speed depends on. */
static void
make_room(struct jpath_node *n)
{
	uint32_t size = n->children == NULL ? 0 : n->mask + 1;
	if (2 * (n->child_count + 1) <= size)
		return;
	uint32_t new_size = size == 0 ? 4 : 2 * size;
	struct jpath_child *table = base_alloc(new_size * sizeof *table);
	for (uint32_t i = 0; i < new_size; i++)
		table[i] = (struct jpath_child){ .node = JPATH_NONE };
	for (uint32_t i = 0; i < size; i++) {
		if (n->children[i].node != JPATH_NONE)
			place(table, new_size - 1, n->children[i]);
	}
	free(n->children);
	n->children = table;
	n->mask = new_size - 1;
}

static uint32_t
member_of(struct jpath_set *set, uint32_t parent, struct bytes name)
{
	uint32_t found = jpath_find(&set->nodes[parent], name.data, name.len);
	if (found != JPATH_NONE)
		return found;
	unsigned char *copy = base_alloc(name.len);
	memcpy(copy, name.data, name.len);
	struct jpath_child child = {
		.hash = jpath_hash(name.data, name.len),
		.name = copy,
		.len = (uint32_t)name.len,
		.node = add_node(set), /* moves set->nodes */
	};
	struct jpath_node *n = &set->nodes[parent];
	make_room(n);
	place(n->children, n->mask, child);
	n->child_count++;
	if (name.len > set->name_bytes_max)
		set->name_bytes_max = name.len;
	return child.node;
}

static uint32_t
elem_of(struct jpath_set *set, uint32_t parent)
{
	if (set->nodes[parent].elem == JPATH_NONE) {
		uint32_t elem = add_node(set); /* moves set->nodes */
		set->nodes[parent].elem = elem;
		set->nodes[parent].group = set->group_count++;
	}
	return set->nodes[parent].elem;
}

/* Checks the whole path before anything is added, so that a wrong one leaves no nodes behind. */
static const char *
syntax_error(const char *path)
{
	bool rows = false;
	if (strlen(path) > UINT32_MAX / 8)
		return "it is too long";
	for (const char *p = path; *p != '\0';) {
		size_t len = strcspn(p, ".[]");
		/* Only the document itself can have its [] without a name in front. */
		if (len == 0 && !(p == path && *p == '['))
			return "a member name is empty";
		p += len;
		if (*p == ']')
			return "']' without '['";
		if (*p == '[') {
			if (p[1] != ']')
				return "'[' must be followed by ']'";
			if (rows)
				return "it has more than one []";
			rows = true;
			p += 2;
			if (*p != '\0' && *p != '.')
				return "[] must be followed by '.' or the end";
		}
		if (*p == '.' && *++p == '\0')
			return "it ends with '.'";
	}
	return NULL;
}

enum rc
jpath_add(struct jpath_set *set, const char *path, size_t *slot, struct err *e)
{
	const char *wrong = syntax_error(path);
	if (wrong != NULL)
		return err_set(e, RC_INVALID, "event.path-invalid", "JSON path \"%.256s\": %s",
			path, wrong);

	uint32_t node = 0, group = JPATH_NONE;
	for (const char *p = path; *p != '\0';) {
		size_t len = strcspn(p, ".[");
		if (len > 0)
			node = member_of(
				set, node, (struct bytes){ (const unsigned char *)p, len });
		p += len;
		if (*p == '[') {
			uint32_t elem = elem_of(set, node);
			group = set->nodes[node].group;
			node = elem;
			p += 2;
		}
		if (*p == '.')
			p++;
	}
	struct jpath_node *n = &set->nodes[node];
	if (n->slot == JPATH_NONE) {
		if (set->slot_count == set->slot_cap) {
			/* A slot has 28 bits in an entry. */
			ASSERT(set->slot_cap < UINT32_MAX / 64);
			set->slot_cap = set->slot_cap == 0 ? 64 : 2 * set->slot_cap;
			set->slot_groups = base_realloc(
				set->slot_groups, set->slot_cap * sizeof *set->slot_groups);
		}
		set->slot_groups[set->slot_count] = group;
		n->slot = set->slot_count++;
	}
	*slot = n->slot;
	return RC_OK;
}
