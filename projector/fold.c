/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/fold.h"
#include "projector/value.h"

/* A tombstone wins over anything else told at the same time. */
#define RANK_DELETED 32000

/* One object of an event that makes a row. */
struct found {
	struct fold_table *table;
	const struct rows_line *rows;
	size_t position; /* in the rows' array */
	size_t key;      /* its first cell in keys */
};

struct folder {
	const struct catalog *catalog;
	const struct fold_refused *refused;
	struct arena *a;
	struct fold *out;
	struct jpath_walker *walker;
	/* Of the event at hand: */
	struct found *found;
	size_t found_count, found_room;
	struct cell *keys; /* cells of the key columns alone */
	size_t key_count, key_room;
};

int
version_compare(const struct version *left, const struct version *right)
{
	if (left->at_us != right->at_us)
		return left->at_us < right->at_us ? -1 : 1;
	if (left->rank != right->rank)
		return left->rank < right->rank ? -1 : 1;
	if (left->seq != right->seq)
		return left->seq < right->seq ? -1 : 1;
	return 0;
}

/* key holds the cells of the key columns alone, in their order. */
static uint64_t
hash_key(const struct definition *d, const struct cell *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (size_t i = 0; i < d->column_count; i++) {
		if (!d->columns[i].key)
			continue;
		const unsigned char *p = key->text.data;
		size_t len = key->text.len;
		if (d->columns[i].type != COLUMN_TEXT) {
			p = (const unsigned char *)&key->integer;
			len = sizeof key->integer;
		}
		for (size_t k = 0; k < len; k++)
			h = (h ^ p[k]) * UINT64_C(0x100000001b3);
		key++;
	}
	return h ^ h >> 29;
}

static bool
has_key(const struct definition *d, const struct cell *cells, const struct cell *key)
{
	for (size_t i = 0; i < d->column_count; i++) {
		if (!d->columns[i].key)
			continue;
		if (d->columns[i].type == COLUMN_TEXT ? !bytes_equal(cells[i].text, key->text)
						      : cells[i].integer != key->integer)
			return false;
		key++;
	}
	return true;
}

static void
grow(struct fold_table *t, struct arena *a)
{
	t->bucket_count = t->bucket_count == 0 ? 64 : t->bucket_count * 4;
	t->buckets = arena_zalloc(a, t->bucket_count * sizeof(struct fold_row *));
	for (struct fold_row *row = t->first; row != NULL; row = row->next) {
		struct fold_row **bucket = &t->buckets[row->hash & (t->bucket_count - 1)];
		row->bucket_next = *bucket;
		*bucket = row;
	}
}

/* The row of this key, made when it is new. */
static struct fold_row *
find_row(struct fold_table *t, const struct cell *key, struct arena *a)
{
	const struct definition *d = t->definition;
	if (t->count >= t->bucket_count)
		grow(t, a);
	uint64_t hash = hash_key(d, key);
	struct fold_row **bucket = &t->buckets[hash & (t->bucket_count - 1)];
	for (struct fold_row *row = *bucket; row != NULL; row = row->bucket_next) {
		if (row->hash == hash && has_key(d, row->cells, key))
			return row;
	}
	struct fold_row *row = arena_zalloc(a, sizeof *row);
	row->cells = arena_alloc(a, (d->column_count + 1) * sizeof *row->cells);
	for (size_t i = 0; i < d->column_count; i++)
		row->cells[i] = d->columns[i].key ? *key++ : (struct cell){ .null = true };
	for (size_t i = 0; i < GROUPS_MAX; i++)
		row->versions[i] = (struct version){ .at_us = INT64_MIN, .rank = -1 };
	row->life = (struct version){ .at_us = INT64_MIN, .rank = -1 };
	row->deleted_at_us = row->webhook_at_us = row->api_at_us = INT64_MIN;
	row->first_seq = UINT64_MAX;
	row->hash = hash;
	row->bucket_next = *bucket;
	*bucket = row;
	*t->tail = row;
	t->tail = &row->next;
	t->count++;
	return row;
}

static bool
is_tombstone(struct scope *s, const struct definition *d)
{
	const struct operand action = { .kind = OPERAND_ROOT, .text = "action", .index = d->action_index };
	for (size_t i = 0; i < d->tombstone_count; i++) {
		const struct tombstone *t = &d->tombstones[i];
		const struct condition gone = { action, t->action };
		if (bytes_is(s->record->event.event, t->event) &&
			(t->action == NULL || value_condition(s, &gone)) &&
			(!t->has_where || value_condition(s, &t->where)))
			return true;
	}
	return false;
}

static void
note_sighting(struct fold_row *row, const struct event *ev)
{
	if (ev->seq < row->first_seq)
		row->first_seq = ev->seq;
	if (ev->seq >= row->last_seq) {
		row->last_seq = ev->seq;
		row->origin = ev->origin;
	}
	bool api = ev->origin == EVENT_ORIGIN_BACKFILL || ev->origin == EVENT_ORIGIN_POLL ||
		ev->origin == EVENT_ORIGIN_RECONCILE;
	int64_t *told_at = api ? &row->api_at_us : &row->webhook_at_us;
	if (ev->received_at_us > *told_at)
		*told_at = ev->received_at_us;
}

static void
merge_groups(struct fold_row *row, struct scope *s, const struct definition *d,
	const struct version *version)
{
	struct cell told;
	for (size_t g = 0; g < d->group_count; g++) {
		const struct column *anchor = &d->columns[d->group_anchor[g]];
		if (version_compare(version, &row->versions[g]) <= 0 ||
			!value_evaluate(s, &anchor->value, anchor->type, &told, NULL))
			continue;
		row->versions[g] = *version;
		for (size_t i = 0; i < d->column_count; i++) {
			if (!d->columns[i].key && d->columns[i].group == g)
				value_evaluate(s, &d->columns[i].value, d->columns[i].type, &row->cells[i],
					NULL);
		}
	}
}

static void
merge_life(struct fold_row *row, struct scope *s, const struct definition *d, struct version version)
{
	bool deleted = s->rows->rank > 0 && is_tombstone(s, d);
	if (deleted)
		version.rank = RANK_DELETED;
	if (version_compare(&version, &row->life) <= 0)
		return;
	row->life = version;
	row->deleted_at_us = deleted ? s->record->event.received_at_us : INT64_MIN;
	row->deleted_seq = deleted ? version.seq : 0;
}

/* Appends the cells of the key to f->keys. *told is false when a part is null: a deleted account, a fork that
 * is gone, nothing to make a row of. Returns a reason to park the event, or NULL. */
static const char *
read_key(struct folder *f, const struct definition *d, struct scope *s, bool *told)
{
	*told = true;
	for (size_t i = 0; i < d->column_count; i++) {
		const struct column *c = &d->columns[i];
		if (!c->key)
			continue;
		bool problem = false;
		if (f->key_count == f->key_room) {
			f->key_room = f->key_room == 0 ? 64 : 2 * f->key_room;
			f->keys = base_realloc(f->keys, f->key_room * sizeof *f->keys);
		}
		struct cell *cell = &f->keys[f->key_count++];
		value_evaluate(s, &c->value, c->type, cell, &problem);
		if (problem)
			return arena_printf(f->a, "%s of table %s does not fit type %s (rows %s)", c->name,
				d->table, c->sql_type, s->rows->path[0] == '\0' ? "." : s->rows->path);
		*told = *told && !cell->null;
	}
	return NULL;
}

/* Adds the object at s->rows and s->position. */
static const char *
find_object(struct folder *f, struct fold_table *t, struct scope *s)
{
	bool told;
	size_t key = f->key_count;
	const char *reason = read_key(f, t->definition, s, &told);
	if (reason != NULL || !told) {
		f->key_count = key;
		return reason;
	}
	if (f->found_count == f->found_room) {
		f->found_room = f->found_room == 0 ? 64 : 2 * f->found_room;
		f->found = base_realloc(f->found, f->found_room * sizeof *f->found);
	}
	f->found[f->found_count++] = (struct found){ t, s->rows, s->position, key };
	return NULL;
}

static const char *
find_in_line(struct folder *f, struct fold_table *t, struct scope *s)
{
	size_t slot = s->rows->object_slot;
	bool whole = s->rows->path[0] == '\0';
	if (!whole && (s->doc == NULL || !jpath_has(s->doc, slot)))
		return NULL;
	size_t rows = s->doc == NULL ? 1 : jpath_rows(s->doc, slot);
	for (s->position = 0; s->position < rows; s->position++) {
		if (!whole && jpath_get(s->doc, slot, s->position).type != JPATH_OBJECT)
			continue;
		if (s->rows->has_where && !value_condition(s, &s->rows->where))
			continue;
		const char *reason = find_object(f, t, s);
		/* A parked event whose envelope does not fit the key, either, has no row in this table. */
		if (reason != NULL && !s->parked)
			return reason;
	}
	return NULL;
}

/* Finds the objects of the event that make rows, with their keys; stops at what cannot be stored. */
static const char *
find_objects(struct folder *f, const struct plan_entry *plan, struct scope *s)
{
	f->found_count = f->key_count = 0;
	for (size_t i = 0; i < plan->count; i++) {
		struct fold_table *t = &f->out->tables[plan->lines[i].table];
		if (s->parked && strcmp(t->definition->provider, "*") != 0)
			continue;
		s->rows = plan->lines[i].rows;
		const char *reason = find_in_line(f, t, s);
		if (reason != NULL)
			return reason;
	}
	return NULL;
}

/* Merges one object of one event. */
static void
fold_object(struct folder *f, const struct found *object, struct scope *s)
{
	struct fold_table *t = object->table;
	const struct definition *d = t->definition;
	const struct event *ev = &s->record->event;
	s->rows = object->rows;
	s->position = object->position;
	struct fold_row *row = find_row(t, &f->keys[object->key], f->a);
	note_sighting(row, ev);
	if (d->kind == DEFINITION_FACT) {
		for (size_t i = 0; i < d->column_count; i++) {
			if (!d->columns[i].key)
				value_evaluate(s, &d->columns[i].value, d->columns[i].type, &row->cells[i], NULL);
		}
		return;
	}
	int rank = s->rows->rank + value_rank(s, d);
	struct version version = { ev->received_at_us, rank, ev->seq };
	if (d->version.count > 0) {
		struct cell at;
		value_evaluate(s, &d->version, COLUMN_TIMESTAMPTZ, &at, NULL);
		version.at_us = at.null ? INT64_MIN : at.integer;
		version.rank = at.null ? 0 : rank;
	}
	merge_groups(row, s, d, &version);
	if (d->tombstone_count > 0)
		merge_life(row, s, d, version);
}

/* Why the database refused the event, or NULL. */
static const char *
refusal(const struct fold_refused *r, uint64_t seq)
{
	if (r == NULL || r->reason == NULL || r->seqs == NULL)
		return r == NULL ? NULL : r->reason;
	for (size_t low = 0, end = r->count; low < end;) {
		size_t middle = low + (end - low) / 2;
		if (r->seqs[middle] == seq)
			return r->reason;
		if (r->seqs[middle] < seq)
			low = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

static void
fold_event(struct folder *f, const struct store_record *record)
{
	const struct host *host = hosts_find(&f->catalog->hosts, record->event.source);
	const struct plan_entry *plan = plan_find(&f->catalog->plan,
		hosts_provider(host, record->event.provider, f->a), record->event.event);
	struct scope s = { .record = record, .host = host == NULL ? NULL : host->name, .a = f->a };
	struct bytes json;
	struct err e;
	const char *reason = refusal(f->refused, record->event.seq);
	if (reason != NULL) {
		/* Refused by the database: only the envelope counts. */
	} else if (event_payload(&record->event, f->a, &json, &e) != RC_OK ||
		jpath_walker_walk(f->walker, json, &s.doc, &e) != RC_OK) {
		/* Only a provider whose tables need the body makes this a fault. */
		if (plan->own_tables)
			reason = arena_printf(f->a, "%s", e.text);
	}
	/* A key that cannot be stored must be found before any table took a part of the event. */
	if (reason == NULL)
		reason = find_objects(f, plan, &s);
	if (reason != NULL) {
		f->out->parked[f->out->parked_count++] = (struct fold_parked){ record->event.seq, reason };
		s.parked = true;
		s.doc = NULL;
		s.altered = s.out_of_range = 0;
		(void)!find_objects(f, plan, &s);
	}
	for (size_t i = 0; i < f->found_count; i++)
		fold_object(f, &f->found[i], &s);
	f->out->altered_values += s.altered;
	f->out->out_of_range_values += s.out_of_range;
}

void
fold_events(const struct catalog *c, const struct store_record *records, size_t count,
	const struct fold_refused *refused, struct arena *a, struct fold *out)
{
	struct folder f = { .catalog = c, .refused = refused, .a = a, .out = out,
		.walker = jpath_walker_new(c->paths) };
	*out = (struct fold){ .count = c->count };
	out->tables = arena_zalloc(a, (c->count + 1) * sizeof *out->tables);
	out->parked = arena_alloc(a, (count + 1) * sizeof *out->parked);
	for (size_t i = 0; i < c->count; i++) {
		out->tables[i].definition = &c->definitions[i];
		out->tables[i].tail = &out->tables[i].first;
	}
	for (size_t i = 0; i < count; i++)
		fold_event(&f, &records[i]);
	jpath_walker_free(f.walker);
	free(f.found);
	free(f.keys);
}
