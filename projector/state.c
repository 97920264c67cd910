/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/state.h"

/* What malloc adds to a row, and its place in the buckets. */
#define ROW_OVERHEAD_BYTES 24

size_t
state_version_count(const struct definition *d)
{
	return d->kind == DEFINITION_FACT ? 0 : d->group_count + (d->tombstone_count > 0);
}

static unsigned char *
fields_of(const struct definition *d, const struct state_row *row)
{
	return (unsigned char *)(uintptr_t)&row->versions[state_version_count(d)];
}

struct bytes
state_fields(const struct definition *d, const struct state_row *row)
{
	return (struct bytes){ fields_of(d, row), row->field_bytes };
}

bool
state_field(struct bytes *rest, struct bytes *field)
{
	ASSERT(rest->len >= 4);
	const unsigned char *p = rest->data;
	uint32_t len = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	rest->data += 4;
	rest->len -= 4;
	*field = (struct bytes){ rest->data, len == UINT32_MAX ? 0 : len };
	ASSERT(rest->len >= field->len);
	rest->data += field->len;
	rest->len -= field->len;
	return len != UINT32_MAX;
}

uint64_t
state_hash_bytes(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	return h;
}

uint64_t
state_mix(uint64_t h) /* splitmix64's last step: every bit of the range depends on every bit of h */
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static uint64_t
hash_keys(const struct definition *d, struct bytes fields)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < d->column_count; i++) {
		struct bytes field;
		state_field(&fields, &field);
		if (d->columns[i].key)
			h = state_hash_bytes(h, field.data, field.len);
	}
	return state_mix(h);
}

static bool
same_keys(const struct definition *d, struct bytes left, struct bytes right)
{
	for (size_t i = 0; i < d->column_count; i++) {
		struct bytes l, r;
		state_field(&left, &l);
		state_field(&right, &r);
		if (d->columns[i].key && !bytes_equal(l, r))
			return false;
	}
	return true;
}

void
state_open(struct state *st, const struct catalog *c, size_t bytes_max)
{
	*st = (struct state){ .catalog = c, .bytes_max = bytes_max, .last = UINT64_MAX, .first_pass = true,
		.scratch = buf_new(LIMIT_PG_PARAM_BYTES) };
	st->tables = base_zalloc((c->count + 1) * sizeof *st->tables);
	for (size_t i = 0; i < c->count; i++)
		st->tables[i].definition = &c->definitions[i];
}

static size_t
row_bytes(const struct definition *d, const struct state_row *row)
{
	return sizeof *row + state_version_count(d) * sizeof row->versions[0] + row->field_room +
		ROW_OVERHEAD_BYTES;
}

/* Drops the rows with a hash above last. */
static void
drop_above(struct state *st, uint64_t last)
{
	for (size_t i = 0; i < st->catalog->count; i++) {
		struct state_table *t = &st->tables[i];
		for (size_t b = 0; b < t->bucket_count; b++) {
			struct state_row **at = &t->buckets[b];
			while (*at != NULL) {
				struct state_row *row = *at;
				if (row->hash <= last) {
					at = &row->next;
					continue;
				}
				*at = row->next;
				st->bytes -= row_bytes(t->definition, row);
				t->count--;
				free(row);
			}
		}
	}
}

static void
empty(struct state *st)
{
	for (size_t i = 0; i < st->catalog->count; i++) {
		struct state_table *t = &st->tables[i];
		for (size_t b = 0; b < t->bucket_count; b++) {
			while (t->buckets[b] != NULL) {
				struct state_row *row = t->buckets[b];
				t->buckets[b] = row->next;
				free(row);
			}
		}
		free(t->buckets);
		t->buckets = NULL;
		t->bucket_count = t->count = 0;
	}
	st->bytes = 0;
}

void
state_close(struct state *st)
{
	if (st->tables != NULL)
		empty(st);
	free(st->tables);
	buf_free(&st->scratch);
}

bool
state_next_pass(struct state *st)
{
	empty(st);
	st->first_pass = false;
	if (st->last == UINT64_MAX)
		return false;
	uint64_t width = st->last - st->low;
	st->low = st->last + 1;
	/* The next one is as wide: hashes spread evenly. It can still be halved. */
	st->last = UINT64_MAX - st->low <= width ? UINT64_MAX : st->low + width;
	return true;
}

static void
grow(struct state *st, struct state_table *t)
{
	size_t count = t->bucket_count == 0 ? 256 : t->bucket_count * 2;
	struct state_row **buckets = base_zalloc(count * sizeof *buckets);
	for (size_t b = 0; b < t->bucket_count; b++) {
		while (t->buckets[b] != NULL) {
			struct state_row *row = t->buckets[b];
			t->buckets[b] = row->next;
			row->next = buckets[row->hash & (count - 1)];
			buckets[row->hash & (count - 1)] = row;
		}
	}
	free(t->buckets);
	st->bytes += (count - t->bucket_count) * sizeof *buckets;
	t->buckets = buckets;
	t->bucket_count = count;
}

static struct state_row **
place_of(const struct state_table *t, uint64_t hash, struct bytes fields)
{
	if (t->bucket_count == 0)
		return NULL;
	struct state_row **at = &t->buckets[hash & (t->bucket_count - 1)];
	for (; *at != NULL; at = &(*at)->next) {
		if ((*at)->hash == hash &&
			same_keys(t->definition, state_fields(t->definition, *at), fields))
			return at;
	}
	return at;
}

struct state_row *
state_find(const struct state *st, const struct state_table *t, struct bytes fields, bool *hash_in_pass)
{
	uint64_t hash = hash_keys(t->definition, fields);
	*hash_in_pass = hash >= st->low && hash <= st->last;
	struct state_row **at = place_of(t, hash, fields);
	return at == NULL ? NULL : *at;
}

/* Gives *at these fields, making it larger when they do not fit. */
static void
set_fields(struct state *st, const struct definition *d, struct state_row **at, struct bytes fields)
{
	struct state_row *row = *at;
	if (fields.len > row->field_room) {
		st->bytes -= row_bytes(d, row);
		row->field_room = (uint32_t)fields.len + 8;
		row = base_realloc(row, row_bytes(d, row) - ROW_OVERHEAD_BYTES);
		st->bytes += row_bytes(d, row);
		*at = row;
	}
	memcpy(fields_of(d, row), fields.data, fields.len);
	row->field_bytes = (uint32_t)fields.len;
}

struct state_row *
state_replace_fields(struct state *st, struct state_table *t, struct state_row *row, struct bytes fields)
{
	struct state_row **at = &t->buckets[row->hash & (t->bucket_count - 1)];
	while (*at != row)
		at = &(*at)->next;
	set_fields(st, t->definition, at, fields);
	return *at;
}

static struct state_row *
insert(struct state *st, struct state_table *t, const struct fold_row *in, struct bytes fields, uint64_t hash)
{
	const struct definition *d = t->definition;
	if (t->count >= t->bucket_count)
		grow(st, t);
	size_t versions = state_version_count(d);
	struct state_row *row = base_alloc(sizeof *row + versions * sizeof row->versions[0] + fields.len);
	*row = (struct state_row){ .hash = hash, .first_seq = in->first_seq, .last_seq = in->last_seq,
		.deleted_seq = in->deleted_seq, .webhook_at_us = in->webhook_at_us,
		.api_at_us = in->api_at_us, .deleted_at_us = in->deleted_at_us, .origin = in->origin,
		.field_bytes = (uint32_t)fields.len, .field_room = (uint32_t)fields.len };
	for (size_t g = 0; g < versions; g++)
		row->versions[g] = g < d->group_count ? in->versions[g] : in->life;
	if (fields.len > 0)
		memcpy(fields_of(d, row), fields.data, fields.len);
	st->bytes += row_bytes(d, row);
	struct state_row **bucket = &t->buckets[hash & (t->bucket_count - 1)];
	row->next = *bucket;
	*bucket = row;
	t->count++;
	return row;
}

/* The columns of the groups in wins come from in, the others stay. */
static void
take_groups(struct state *st, struct state_table *t, struct state_row **at, const struct fold_row *in,
	const bool wins[GROUPS_MAX])
{
	const struct definition *d = t->definition;
	struct bytes rest = state_fields(d, *at);
	buf_clear(&st->scratch);
	for (size_t i = 0; i < d->column_count; i++) {
		const unsigned char *start = rest.data;
		struct bytes field;
		state_field(&rest, &field);
		const struct column *c = &d->columns[i];
		if (!c->key && (d->kind == DEFINITION_FACT || wins[c->group]))
			state_put_cell(&st->scratch, &in->cells[i], c->type);
		else
			buf_put(&st->scratch, start, (size_t)(rest.data - start));
	}
	if (st->scratch.overflow) {
		st->overflow = true;
		return;
	}
	set_fields(st, d, at, buf_bytes(&st->scratch));
}

static void
merge(struct state *st, struct state_table *t, struct state_row **at, const struct fold_row *in)
{
	const struct definition *d = t->definition;
	bool wins[GROUPS_MAX] = { false };
	bool any = d->kind == DEFINITION_FACT;
	struct state_row *row = *at;
	for (size_t g = 0; g < d->group_count && d->kind == DEFINITION_ENTITY; g++) {
		wins[g] = version_compare(&in->versions[g], &row->versions[g]) > 0;
		if (wins[g])
			row->versions[g] = in->versions[g];
		any = any || wins[g];
	}
	if (d->tombstone_count > 0 && d->kind == DEFINITION_ENTITY &&
		version_compare(&in->life, &row->versions[d->group_count]) > 0) {
		row->versions[d->group_count] = in->life;
		row->deleted_at_us = in->deleted_at_us;
		row->deleted_seq = in->deleted_seq;
	}
	if (in->last_seq >= row->last_seq) {
		row->last_seq = in->last_seq;
		row->origin = in->origin;
	}
	if (in->first_seq < row->first_seq)
		row->first_seq = in->first_seq;
	if (in->webhook_at_us > row->webhook_at_us)
		row->webhook_at_us = in->webhook_at_us;
	if (in->api_at_us > row->api_at_us)
		row->api_at_us = in->api_at_us;
	if (any)
		take_groups(st, t, at, in, wins);
}

struct state_row *
state_merge(struct state *st, struct state_table *t, const struct fold_row *in)
{
	const struct definition *d = t->definition;
	buf_clear(&st->scratch);
	state_put_cells(&st->scratch, d, in->cells);
	if (st->scratch.overflow) {
		st->overflow = true;
		return NULL;
	}
	struct bytes fields = buf_bytes(&st->scratch);
	uint64_t hash = hash_keys(d, fields);
	if (hash < st->low || hash > st->last)
		return NULL;
	struct state_row **at = place_of(t, hash, fields), *row;
	if (at == NULL || *at == NULL) {
		row = insert(st, t, in, fields, hash);
	} else {
		merge(st, t, at, in);
		row = *at;
	}
	while (st->bytes > st->bytes_max && st->last > st->low) {
		st->last = st->low + (st->last - st->low) / 2;
		row = hash <= st->last ? row : NULL;
		drop_above(st, st->last);
	}
	return row;
}
