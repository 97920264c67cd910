/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "event/jpath_internal.h"
#include "event/jpath_scan.h"

/* How a walk remembers what it found. Every value that a path asks for is appended to one list of
 * entries, in the order of the document. `at` says which entry is a slot's value; the values of a
 * row are the entries between two marks. A member that occurs twice is rare: when it does, the
 * entries of the first one's value, which are one run, are erased. So memory and time grow with the
 * document and not with what paths times rows could be. */

struct entry {
	uint32_t start, len; /* in the document */
	uint32_t tag;        /* slot or group number << 4 | kind */
};

/* The kind of an entry is its jpath_type, where JPATH_ABSENT means erased, or this. */
#define KIND_ROWS 8u /* an array whose rows were taken; the number is its group */

struct group {
	uint32_t *starts; /* first entry of each row; one more entry for the end of the last */
	uint32_t rows, cap;
};

struct jpath_doc {
	const struct jpath_set *set;
	struct bytes json;
	struct entry *entries;
	uint32_t entry_count;
	uint32_t *at; /* per slot: its entry + 1, or 0 */
	struct group *groups;
};

/* Per node: the object it was last a member of, and which entries its value there made. */
struct visit {
	uint32_t object, first, end;
};

struct frame {
	uint32_t node;   /* JPATH_NONE: nobody asked for anything in here */
	uint32_t elem;   /* the node of its elements, or JPATH_NONE */
	uint32_t object; /* for an object with a node: its number in the document, from 1 */
	uint32_t entry;  /* its own entry + 1, or 0 */
	unsigned char closer;
};

struct walker {
	const struct jpath_set *set;
	struct arena *a;
	struct jpath_doc *doc;
	const unsigned char *start;
	struct jpath_scan scan; /* the end of the document, and what is wrong with it */
	struct visit *visits;
	uint32_t entry_count, entry_cap;
	uint32_t object_count;
	bool erased; /* since the row began: it has entries to drop */
	size_t depth;
	struct frame stack[LIMIT_JSON_DEPTH];
};

/* ---- what was found ---- */

static uint32_t
offset(const struct walker *w, const unsigned char *p)
{
	return (uint32_t)(p - w->start);
}

/* Appends an entry and returns its number + 1. */
static uint32_t
add_entry(struct walker *w, uint32_t id, uint32_t kind, uint32_t start, uint32_t len)
{
	if (w->entry_count == w->entry_cap) {
		struct entry *old = w->doc->entries;
		w->entry_cap *= 2;
		w->doc->entries = arena_alloc(w->a, w->entry_cap * sizeof *old);
		memcpy(w->doc->entries, old, w->entry_count * sizeof *old);
	}
	w->doc->entries[w->entry_count] = (struct entry){ start, len, id << 4 | kind };
	return ++w->entry_count;
}

static void
erase_entries(struct walker *w, uint32_t first, uint32_t end)
{
	w->erased = w->erased || first < end;
	for (uint32_t i = first; i < end; i++) {
		struct entry *entry = &w->doc->entries[i];
		if ((entry->tag & 15) == KIND_ROWS)
			w->doc->groups[entry->tag >> 4].rows = 0;
		entry->tag &= ~UINT32_C(15);
	}
}

/* Makes an entry for the value of type at [p, q) if a path ends at the node. */
static inline uint32_t
capture(struct walker *w, uint32_t node, enum jpath_type type, const unsigned char *p,
	const unsigned char *q)
{
	uint32_t slot = w->set->nodes[node].slot;
	if (slot == JPATH_NONE)
		return 0;
	uint32_t entry = add_entry(w, slot, (uint32_t)type, offset(w, p), (uint32_t)(q - p));
	w->doc->at[slot] = entry;
	return entry;
}

/* Drops what was erased in the last row, so that reading a row never looks at more entries than
 * there are paths. Nothing refers to entries of a row but its mark: what is inside of it is closed.
 */
static void
finish_row(struct walker *w, const struct group *g)
{
	if (!w->erased || g->rows == 0)
		return;
	struct entry *entries = w->doc->entries;
	uint32_t kept = g->starts[g->rows - 1];
	for (uint32_t i = kept; i < w->entry_count; i++) {
		if ((entries[i].tag & 15) != JPATH_ABSENT)
			entries[kept++] = entries[i];
	}
	w->entry_count = kept;
	w->erased = false;
}

static void
mark_row(struct walker *w, struct group *g)
{
	finish_row(w, g);
	if (g->rows + 1 >= g->cap) {
		uint32_t *old = g->starts;
		uint32_t cap = g->cap == 0 ? 16 : 2 * g->cap;
		g->starts = arena_alloc(w->a, cap * sizeof *old);
		if (g->rows > 0)
			memcpy(g->starts, old, g->rows * sizeof *old);
		g->cap = cap;
	}
	g->starts[g->rows++] = w->entry_count;
}

/* The node of the member with the name between the quotes, or JPATH_NONE. */
static uint32_t
child_of(struct walker *w, uint32_t parent, struct bytes name, bool escaped)
{
	const struct jpath_node *n = &w->set->nodes[parent];
	if (!escaped)
		return jpath_find(n, name.data, name.len);
	/* No byte takes more than six to write, so a longer name is none of ours. */
	if (name.len > 6 * w->set->name_bytes_max)
		return JPATH_NONE;
	unsigned char *text = base_alloc(name.len);
	bool altered = false;
	size_t len = jpath_unescape(name, text, &altered);
	uint32_t child = altered ? JPATH_NONE : jpath_find(n, text, len);
	free(text);
	return child;
}

/* ---- the walk ---- */

static const unsigned char *
scalar(struct walker *w, const unsigned char *p, uint32_t node)
{
	const unsigned char *q;
	enum jpath_type type;
	bool escaped = false;
	switch (*p) {
	case '"':
		type = JPATH_STRING;
		q = jpath_string(&w->scan, p, &escaped);
		break;
	case 't':
		type = JPATH_TRUE;
		q = jpath_word(&w->scan, p, "true");
		break;
	case 'f':
		type = JPATH_FALSE;
		q = jpath_word(&w->scan, p, "false");
		break;
	case 'n':
		type = JPATH_NULL;
		q = jpath_word(&w->scan, p, "null");
		break;
	default:
		if (*p != '-' && (*p < '0' || *p > '9'))
			return jpath_fail(&w->scan, p, "not a value");
		type = JPATH_NUMBER;
		q = jpath_number(&w->scan, p);
	}
	if (q != NULL && node != JPATH_NONE) {
		capture(w, node, type, p, q);
		w->visits[node].end = w->entry_count;
	}
	return q;
}

static const unsigned char *
open_container(struct walker *w, const unsigned char *p, uint32_t node)
{
	if (w->depth == LIMIT_JSON_DEPTH)
		return jpath_fail(&w->scan, p, "nested too deeply");
	struct frame *f = &w->stack[w->depth++];
	bool object = *p == '{';
	f->node = node;
	f->elem = JPATH_NONE;
	f->closer = object ? '}' : ']';
	if (node == JPATH_NONE)
		return p + 1;
	f->entry = capture(w, node, object ? JPATH_OBJECT : JPATH_ARRAY, p, p);
	if (object) {
		f->object = ++w->object_count;
	} else if (w->set->nodes[node].elem != JPATH_NONE) {
		uint32_t group = w->set->nodes[node].group;
		f->elem = w->set->nodes[node].elem;
		w->doc->groups[group].rows = 0;
		add_entry(w, group, KIND_ROWS, offset(w, p), 0);
	}
	return p + 1;
}

static void
close_container(struct walker *w, const struct frame *f, const unsigned char *after)
{
	if (f->entry != 0) {
		struct entry *entry = &w->doc->entries[f->entry - 1];
		entry->len = offset(w, after) - entry->start;
	}
	if (f->elem != JPATH_NONE) {
		struct group *g = &w->doc->groups[w->set->nodes[f->node].group];
		finish_row(w, g);
		if (g->rows > 0)
			g->starts[g->rows] = w->entry_count;
	}
	w->visits[f->node].end = w->entry_count;
}

/* Steps over a member's name and ':' to its value, whose node goes to *node. */
static inline const unsigned char *
member(struct walker *w, const struct frame *f, const unsigned char *p, uint32_t *node)
{
	bool escaped = false;
	if (p == w->scan.end || *p != '"')
		return jpath_fail(&w->scan, p, "expected the name of a member");
	const unsigned char *name = p + 1;
	p = jpath_string(&w->scan, p, &escaped);
	if (p == NULL)
		return NULL;
	*node = JPATH_NONE;
	if (f->node != JPATH_NONE) {
		struct bytes text = { name, (size_t)(p - 1 - name) };
		uint32_t child = child_of(w, f->node, text, escaped);
		if (child != JPATH_NONE) {
			struct visit *v = &w->visits[child];
			if (v->object == f->object) /* twice in one object: the last one counts */
				erase_entries(w, v->first, v->end);
			*v = (struct visit){ f->object, w->entry_count, w->entry_count };
		}
		*node = child;
	}
	p = jpath_space(p, w->scan.end);
	if (p == w->scan.end || *p != ':')
		return jpath_fail(&w->scan, p, "expected ':'");
	return jpath_space(p + 1, w->scan.end);
}

/* From behind a value, or behind the bracket just opened, to the next value; closes what ends on
 * the way. The document is at its end when w->depth is 0 afterwards. */
static inline const unsigned char *
next_value(struct walker *w, const unsigned char *p, uint32_t *node, bool opened)
{
	while (w->depth > 0) {
		const struct frame *f = &w->stack[w->depth - 1];
		p = jpath_space(p, w->scan.end);
		if (p == w->scan.end)
			return jpath_fail(&w->scan, p, "an object or array does not end");
		if (*p == f->closer) {
			p++;
			if (f->node != JPATH_NONE)
				close_container(w, f, p);
			w->depth--;
			opened = false;
			continue;
		}
		if (!opened) {
			if (*p != ',')
				return jpath_fail(&w->scan, p,
					"expected ',' or the end of the object or array");
			p = jpath_space(p + 1, w->scan.end);
		}
		if (f->closer == '}')
			return member(w, f, p, node);
		*node = f->elem;
		if (f->elem != JPATH_NONE)
			mark_row(w, &w->doc->groups[w->set->nodes[f->node].group]);
		return p;
	}
	return p;
}

static bool
walk(struct walker *w)
{
	static const unsigned char mark[3] = { 0xef, 0xbb, 0xbf };
	if (w->scan.end - w->start >= 3 && memcmp(w->start, mark, sizeof mark) == 0)
		return jpath_fail(&w->scan, w->start, "a byte order mark") != NULL;
	const unsigned char *p = jpath_space(w->start, w->scan.end);
	uint32_t node = 0;
	do {
		if (p == w->scan.end)
			return jpath_fail(&w->scan, p, "a value is missing") != NULL;
		bool opened = *p == '{' || *p == '[';
		p = opened ? open_container(w, p, node) : scalar(w, p, node);
		if (p != NULL)
			p = next_value(w, p, &node, opened);
		if (p == NULL)
			return false;
	} while (w->depth > 0);
	p = jpath_space(p, w->scan.end);
	return p == w->scan.end || jpath_fail(&w->scan, p, "something behind the value") != NULL;
}

/* Everything w has room for, from a. */
static void
make_room(struct walker *w, const struct jpath_set *set, struct arena *a)
{
	struct jpath_doc *d = arena_zalloc(a, sizeof *d);
	w->set = d->set = set;
	w->a = a;
	w->doc = d;
	w->visits = arena_zalloc(a, set->node_count * sizeof *w->visits);
	w->entry_cap = set->slot_count + set->group_count + 16;
	w->object_count = 0;
	d->entries = arena_alloc(a, w->entry_cap * sizeof *d->entries);
	d->at = arena_zalloc(a, set->slot_count * sizeof *d->at);
	d->groups = arena_zalloc(a, set->group_count * sizeof *d->groups);
}

static enum rc
walk_document(struct walker *w, struct bytes json, struct err *e)
{
	static const unsigned char nothing[1] = { 0 };
	if (json.len > UINT32_MAX / 2)
		return err_set(e, RC_INVALID, "event.json-invalid",
			"not JSON that can be read: over 2 GiB");
	if (json.len == 0)
		json.data = nothing;
	w->start = json.data;
	w->scan.end = json.data + json.len;
	w->entry_count = 0;
	w->erased = false;
	w->scan.wrong = NULL;
	w->scan.wrong_at = NULL;
	w->depth = 0;
	w->doc->json = json;
	bool good = walk(w);
	w->doc->entry_count = w->entry_count;
	if (!good)
		return err_set(e, RC_INVALID, "event.json-invalid", "not JSON: %s at byte %zu",
			w->scan.wrong, (size_t)(w->scan.wrong_at - w->start));
	return RC_OK;
}

enum rc
jpath_walk(const struct jpath_set *set, struct bytes json, struct arena *a, struct jpath_doc **doc,
	struct err *e)
{
	struct walker w; /* its stack is large and used from the bottom: not initialised */
	make_room(&w, set, a);
	enum rc rc = walk_document(&w, json, e);
	if (rc == RC_OK)
		*doc = w.doc;
	return rc;
}

/* ---- one document after the other ---- */

/* What a walker keeps at most: a document of another order of size is rare. */
#define KEEP_BYTES ((size_t)4 * 1024 * 1024)

struct jpath_walker {
	struct walker walker;
	struct arena *a;
};

struct jpath_walker *
jpath_walker_new(const struct jpath_set *set)
{
	struct jpath_walker *walker = base_alloc(sizeof *walker);
	walker->a = arena_new(256 * 1024);
	make_room(&walker->walker, set, walker->a);
	return walker;
}

void
jpath_walker_free(struct jpath_walker *walker)
{
	if (walker == NULL)
		return;
	arena_free(walker->a);
	free(walker);
}

/* Forgets the last document by what it holds, which is less than what there are paths. Visits may stay:
 * objects are numbered on. */
static void
forget(struct walker *w)
{
	struct jpath_doc *d = w->doc;
	for (uint32_t i = 0; i < d->entry_count; i++) {
		uint32_t id = d->entries[i].tag >> 4;
		if ((d->entries[i].tag & 15) == KIND_ROWS)
			d->groups[id].rows = 0;
		else
			d->at[id] = 0;
	}
}

enum rc
jpath_walker_walk(struct jpath_walker *walker, struct bytes json, const struct jpath_doc **doc, struct err *e)
{
	struct walker *w = &walker->walker;
	if (arena_used_bytes(walker->a) > KEEP_BYTES || w->object_count > UINT32_MAX / 2) {
		arena_reset(walker->a);
		make_room(w, w->set, walker->a);
	} else {
		forget(w);
	}
	enum rc rc = walk_document(w, json, e);
	if (rc == RC_OK)
		*doc = w->doc;
	return rc;
}

/* ---- reading what was found ---- */

bool
jpath_has(const struct jpath_doc *doc, size_t slot)
{
	ASSERT(slot < doc->set->slot_count);
	uint32_t group = doc->set->slot_groups[slot];
	return group == JPATH_NONE ? doc->at[slot] != 0 : doc->groups[group].rows > 0;
}

size_t
jpath_rows(const struct jpath_doc *doc, size_t slot)
{
	ASSERT(slot < doc->set->slot_count);
	uint32_t group = doc->set->slot_groups[slot];
	return group == JPATH_NONE ? 1 : doc->groups[group].rows;
}

struct jpath_value
jpath_get(const struct jpath_doc *doc, size_t slot, size_t row)
{
	ASSERT(slot < doc->set->slot_count);
	uint32_t group = doc->set->slot_groups[slot];
	uint32_t first = 0, end = 0;
	if (group == JPATH_NONE && row == 0 && doc->at[slot] != 0) {
		first = doc->at[slot] - 1;
		end = first + 1;
	} else if (group != JPATH_NONE && row < doc->groups[group].rows) {
		first = doc->groups[group].starts[row];
		end = doc->groups[group].starts[row + 1];
	}
	for (uint32_t i = first; i < end; i++) {
		const struct entry *entry = &doc->entries[i];
		if (entry->tag >> 4 == slot && (entry->tag & 15) != JPATH_ABSENT)
			return (struct jpath_value){ (enum jpath_type)(entry->tag & 15),
				{ doc->json.data + entry->start, entry->len } };
	}
	return (struct jpath_value){ .type = JPATH_ABSENT };
}
