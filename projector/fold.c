/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/fold.h"
#include "projector/value.h"

/* A tombstone wins over anything else told at the same time. */
#define RANK_DELETED 32000

struct folder {
	const struct catalog *catalog;
	const char *park_reason;
	struct arena *a;
	struct fold *out;
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

static uint64_t
hash_key(const struct definition *d, const struct cell *cells)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (size_t i = 0; i < d->column_count; i++) {
		if (!d->columns[i].key)
			continue;
		const unsigned char *p = cells[i].text.data;
		size_t len = cells[i].text.len;
		if (d->columns[i].type != COLUMN_TEXT) {
			p = (const unsigned char *)&cells[i].integer;
			len = sizeof cells[i].integer;
		}
		for (size_t k = 0; k < len; k++)
			h = (h ^ p[k]) * UINT64_C(0x100000001b3);
	}
	return h ^ h >> 29;
}

static bool
same_key(const struct definition *d, const struct cell *left, const struct cell *right)
{
	for (size_t i = 0; i < d->column_count; i++) {
		if (!d->columns[i].key)
			continue;
		if (d->columns[i].type == COLUMN_TEXT ? !bytes_equal(left[i].text, right[i].text)
						      : left[i].integer != right[i].integer)
			return false;
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

/* The row of this key, made when it is new. cells holds the key columns. */
static struct fold_row *
find_row(struct fold_table *t, const struct cell *cells, struct arena *a)
{
	const struct definition *d = t->definition;
	if (t->count >= t->bucket_count)
		grow(t, a);
	uint64_t hash = hash_key(d, cells);
	struct fold_row **bucket = &t->buckets[hash & (t->bucket_count - 1)];
	for (struct fold_row *row = *bucket; row != NULL; row = row->bucket_next) {
		if (row->hash == hash && same_key(d, row->cells, cells))
			return row;
	}
	struct fold_row *row = arena_zalloc(a, sizeof *row);
	row->cells = arena_alloc(a, (d->column_count + 1) * sizeof *row->cells);
	for (size_t i = 0; i < d->column_count; i++)
		row->cells[i] = d->columns[i].key ? cells[i] : (struct cell){ .null = true };
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

/* Fills the key cells of scratch. *told is false when a part is null: a deleted account, a fork that is
 * gone, nothing to make a row of. Returns a reason to park the event, or NULL. */
static const char *
read_key(struct folder *f, const struct definition *d, struct scope *s, struct cell *scratch, bool *told)
{
	*told = true;
	for (size_t i = 0; i < d->column_count; i++) {
		const struct column *c = &d->columns[i];
		if (!c->key)
			continue;
		bool problem = false;
		value_evaluate(s, &c->value, c->type, &scratch[i], &problem);
		if (problem)
			return arena_printf(f->a, "%s of table %s does not fit type %s (rows %s)", c->name,
				d->table, c->sql_type, s->rows->path[0] == '\0' ? "." : s->rows->path);
		*told = *told && !scratch[i].null;
	}
	return NULL;
}

static const char *
check_object(struct folder *f, struct fold_table *t, struct scope *s, struct cell *scratch)
{
	bool told;
	return read_key(f, t->definition, s, scratch, &told);
}

/* Merges one object of one event. Never gives a reason: check_object found it before. */
static const char *
fold_object(struct folder *f, struct fold_table *t, struct scope *s, struct cell *scratch)
{
	const struct definition *d = t->definition;
	bool told;
	/* A parked event whose envelope does not fit the key, either, has no row in this table. */
	if (read_key(f, d, s, scratch, &told) != NULL || !told)
		return NULL;
	const struct event *ev = &s->record->event;
	struct fold_row *row = find_row(t, scratch, f->a);
	note_sighting(row, ev);
	if (d->kind == DEFINITION_FACT) {
		for (size_t i = 0; i < d->column_count; i++) {
			if (!d->columns[i].key)
				value_evaluate(s, &d->columns[i].value, d->columns[i].type, &row->cells[i], NULL);
		}
		return NULL;
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
	return NULL;
}

static bool
takes_event(const struct rows_line *r, struct bytes event)
{
	for (size_t i = 0; i < r->event_count; i++) {
		if (bytes_is(event, r->events[i]))
			return true;
	}
	return r->event_count == 0;
}

typedef const char *object_fn(struct folder *f, struct fold_table *t, struct scope *s,
	struct cell *scratch);

/* Calls fn for each object of the event that makes a row of the table, until one gives a reason. */
static const char *
each_object(struct folder *f, struct fold_table *t, struct scope *s, struct cell *scratch, object_fn *fn)
{
	const struct definition *d = t->definition;
	for (size_t r = 0; r < d->rows_count; r++) {
		s->rows = &d->rows[r];
		if (!takes_event(s->rows, s->record->event.event))
			continue;
		bool whole = s->rows->path[0] == '\0';
		size_t rows = s->doc == NULL ? whole : jpath_rows(s->doc, s->rows->object_slot);
		for (s->position = 0; s->position < rows; s->position++) {
			if (!whole &&
				jpath_get(s->doc, s->rows->object_slot, s->position).type != JPATH_OBJECT)
				continue;
			if (s->rows->has_where && !value_condition(s, &s->rows->where))
				continue;
			const char *reason = fn(f, t, s, scratch);
			if (reason != NULL)
				return reason;
		}
	}
	return NULL;
}

/* Whether an event of that provider feeds the table. */
static bool
takes_provider(const struct definition *d, struct bytes provider)
{
	return strcmp(d->provider, "*") == 0 || bytes_is(provider, d->provider);
}

static bool
has_own_tables(const struct catalog *c, struct bytes provider)
{
	for (size_t i = 0; i < c->count; i++) {
		if (bytes_is(provider, c->definitions[i].provider))
			return true;
	}
	return false;
}

/* Calls fn for each object of the event in each table it feeds. */
static const char *
each_table(struct folder *f, struct scope *s, struct cell *scratch, object_fn *fn)
{
	for (size_t i = 0; i < f->out->count; i++) {
		struct fold_table *t = &f->out->tables[i];
		if (!takes_provider(t->definition, s->record->event.provider) ||
			(s->parked && strcmp(t->definition->provider, "*") != 0))
			continue;
		const char *reason = each_object(f, t, s, scratch, fn);
		if (reason != NULL)
			return reason;
	}
	return NULL;
}

static void
fold_event(struct folder *f, const struct store_record *record, struct cell *scratch)
{
	struct scope s = { .record = record, .a = f->a };
	struct bytes json;
	struct jpath_doc *doc = NULL;
	struct err e;
	const char *reason = f->park_reason;
	if (reason != NULL) {
		/* Refused by the database: only the envelope counts. */
	} else if (event_payload(&record->event, f->a, &json, &e) != RC_OK ||
		jpath_walk(f->catalog->paths, json, f->a, &doc, &e) != RC_OK) {
		/* Only a provider whose tables need the body makes this a fault. */
		if (has_own_tables(f->catalog, record->event.provider))
			reason = arena_printf(f->a, "%s", e.text);
	} else {
		s.doc = doc;
		/* A key that cannot be stored must be found before any table took a part of the event. */
		reason = each_table(f, &s, scratch, check_object);
	}
	s.altered = s.out_of_range = 0;
	if (reason != NULL) {
		f->out->parked[f->out->parked_count++] = (struct fold_parked){ record->event.seq, reason };
		s.parked = true;
		s.doc = NULL;
	}
	each_table(f, &s, scratch, fold_object);
	f->out->altered_values += s.altered;
	f->out->out_of_range_values += s.out_of_range;
}

void
fold_events(const struct catalog *c, const struct store_record *records, size_t count,
	const char *park_reason, struct arena *a, struct fold *out)
{
	struct folder f = { c, park_reason, a, out };
	*out = (struct fold){ .count = c->count };
	out->tables = arena_zalloc(a, (c->count + 1) * sizeof *out->tables);
	out->parked = arena_alloc(a, (count + 1) * sizeof *out->parked);
	size_t widest = 1;
	for (size_t i = 0; i < c->count; i++) {
		out->tables[i].definition = &c->definitions[i];
		out->tables[i].tail = &out->tables[i].first;
		if (c->definitions[i].column_count > widest)
			widest = c->definitions[i].column_count;
	}
	struct cell *scratch = arena_alloc(a, widest * sizeof *scratch);
	for (size_t i = 0; i < count; i++)
		fold_event(&f, &records[i], scratch);
}
