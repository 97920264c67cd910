/* SPDX-License-Identifier: Apache-2.0 */
#include "base/xxh.h"
#include "event/jpath.h"
#include "projector/row_hash.h"
#include "projector/state.h"

/* A member of an object, by its hashes. */
struct member {
	uint64_t name, value;
	size_t position;
};

static uint64_t hash_value(struct bytes *rest, struct arena *a);

static uint64_t
join(uint64_t left, uint64_t right)
{
	return state_mix(left * UINT64_C(0x9e3779b97f4a7c15) + right);
}

/* By its digits from the first to the last that is not zero, and where they stand: 10.0, 1e1 and 10 are one number. */
static uint64_t
hash_number(struct bytes raw)
{
	uint64_t h = JPATH_NUMBER;
	/* Unsigned, since a sender may write any exponent; such a number is refused by the database anyway. */
	uint64_t zeros = 0, scale = 0, exponent = 0;
	bool any = false, point = false;
	size_t i = raw.data[0] == '-';
	for (; i < raw.len && raw.data[i] != 'e' && raw.data[i] != 'E'; i++) {
		unsigned char c = raw.data[i];
		point = point || c == '.';
		if (c == '.')
			continue;
		scale += point;
		if (c == '0') {
			zeros++;
			continue;
		}
		for (; any && zeros > 0; zeros--)
			h = join(h, '0');
		zeros = 0;
		any = true;
		h = join(h, c);
	}
	if (!any)
		return h;
	if (i < raw.len) {
		bool negative = raw.data[i + 1] == '-';
		for (i += raw.data[i + 1] == '-' || raw.data[i + 1] == '+' ? 2 : 1; i < raw.len; i++)
			exponent = exponent * 10 + (uint64_t)(raw.data[i] - '0');
		exponent = negative ? 0 - exponent : exponent;
	}
	return join(join(h, exponent + zeros - scale), raw.data[0] == '-');
}

static void
step(struct bytes *rest, size_t len)
{
	len = len < rest->len ? len : rest->len;
	rest->data += len;
	rest->len -= len;
}

/* What stands between values means nothing. False: nothing else is left, or the object or array ends, which is stepped over. */
static bool
next(struct bytes *rest)
{
	while (rest->len > 0 && strchr(" \t\n\r,:", rest->data[0]) != NULL)
		step(rest, 1);
	bool more = rest->len > 0 && rest->data[0] != '}' && rest->data[0] != ']';
	step(rest, more ? 0 : 1);
	return more;
}

static uint64_t
hash_string(struct bytes *rest, struct arena *a)
{
	size_t i = 1;
	while (i < rest->len && rest->data[i] != '"')
		i += rest->data[i] == '\\' ? 2 : 1;
	struct bytes raw = { rest->data, i + 1 < rest->len ? i + 1 : rest->len };
	step(rest, raw.len);
	struct bytes text = jpath_text((struct jpath_value){ JPATH_STRING, raw }, a, NULL);
	return xxh3_seeded(text.data, text.len, JPATH_STRING);
}

static int
compare_members(const void *left, const void *right)
{
	const struct member *l = left, *r = right;
	if (l->name != r->name)
		return l->name < r->name ? -1 : 1;
	return l->position < r->position ? -1 : 1;
}

/* In whatever order; of a member that occurs twice the last one counts. */
static uint64_t
hash_object(struct bytes *rest, struct arena *a)
{
	struct member *members = NULL;
	size_t count = 0, room = 0;
	for (step(rest, 1); next(rest); count++) {
		if (count == room) {
			room = room == 0 ? 16 : 2 * room;
			members = base_realloc(members, room * sizeof *members);
		}
		members[count].position = count;
		members[count].name = hash_string(rest, a);
		members[count].value = next(rest) ? hash_value(rest, a) : 0;
	}
	if (count > 1)
		qsort(members, count, sizeof *members, compare_members);
	uint64_t h = JPATH_OBJECT;
	for (size_t i = 0; i < count; i++) {
		if (i + 1 == count || members[i].name != members[i + 1].name)
			h = join(join(h, members[i].name), members[i].value);
	}
	free(members);
	return h;
}

/* Of the value that rest begins with, which is stepped over. As deep as the document, which LIMIT_JSON_DEPTH bounds. */
static uint64_t
hash_value(struct bytes *rest, struct arena *a)
{
	uint64_t h = JPATH_ARRAY;
	switch (rest->data[0]) {
	case '"':
		return hash_string(rest, a);
	case '{':
		return hash_object(rest, a);
	case '[':
		for (step(rest, 1); next(rest);)
			h = join(h, hash_value(rest, a));
		return h;
	case 't':
		step(rest, strlen("true"));
		return JPATH_TRUE;
	case 'f':
		step(rest, strlen("false"));
		return JPATH_FALSE;
	case 'n':
		step(rest, strlen("null"));
		return JPATH_NULL;
	default: {
		size_t len = 1;
		while (len < rest->len && strchr("0123456789.eE+-", rest->data[len]) != NULL)
			len++;
		struct bytes raw = { rest->data, len };
		step(rest, len);
		return hash_number(raw);
	}
	}
}

uint64_t
row_hash_json(struct bytes json)
{
	struct arena *a = arena_new(1024);
	uint64_t h = next(&json) ? hash_value(&json, a) : 0;
	arena_free(a);
	return h;
}

uint64_t
row_hash(const struct definition *d, struct bytes fields)
{
	uint64_t h = 0;
	const unsigned char *from = fields.data, *end = fields.data + fields.len;
	for (size_t i = 0; d->has_jsonb && i < d->column_count; i++) {
		const unsigned char *start = fields.data;
		struct bytes field;
		bool told = state_field(&fields, &field);
		if (!told || d->columns[i].type != COLUMN_JSONB || field.len == 0)
			continue;
		/* Its first byte is the version of the format. */
		h = join(xxh3_seeded(from, (size_t)(start - from), h),
			row_hash_json((struct bytes){ field.data + 1, field.len - 1 }));
		from = fields.data;
	}
	return xxh3_seeded(from, (size_t)(end - from), h);
}
