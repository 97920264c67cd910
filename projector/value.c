/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "projector/value.h"

/* A value on its way into a column: either a piece of the document or something we know. */
struct input {
	enum { INPUT_ABSENT, INPUT_NULL, INPUT_JSON, INPUT_TEXT, INPUT_INTEGER, INPUT_LIST } kind;
	struct jpath_value json;
	struct bytes text;
	int64_t integer;
	size_t slot; /* of a list's members */
};

/* Elements of a JSON array whose syntax was checked before. */
static int64_t
count_elements(struct bytes array)
{
	int64_t commas = 0;
	size_t depth = 0;
	bool any = false;
	for (size_t i = 0; i < array.len; i++) {
		unsigned char c = array.data[i];
		if (c == '"') {
			any = true;
			for (i++; array.data[i] != '"'; i++)
				i += array.data[i] == '\\';
		} else if (c == '[' || c == '{') {
			any = any || depth > 0;
			depth++;
		} else if (c == ']' || c == '}') {
			depth--;
		} else if (c == ',' && depth == 1) {
			commas++;
		} else if (c > ' ') {
			any = true;
		}
	}
	return any ? commas + 1 : 0;
}

/* Length of the character at the start of text, 0 when there is none that a text column can hold. */
static size_t
character_bytes(struct bytes text)
{
	for (size_t len = 1; len <= 4 && len <= text.len && text.data[0] != '\0'; len++) {
		if (utf8_valid((struct bytes){ text.data, len }))
			return len;
	}
	return 0;
}

struct bytes
value_storable_text(struct bytes text, struct arena *a)
{
	if (text.len == 0 || (memchr(text.data, '\0', text.len) == NULL && utf8_valid(text)))
		return text;
	struct buf out = buf_new(text.len * 3);
	while (text.len > 0) {
		size_t len = character_bytes(text);
		if (len == 0)
			buf_put_str(&out, "\xef\xbf\xbd");
		else
			buf_put(&out, text.data, len);
		text.data += len == 0 ? 1 : len;
		text.len -= len == 0 ? 1 : len;
	}
	struct bytes copy = arena_copy(a, buf_bytes(&out));
	buf_free(&out);
	return copy;
}

static struct input
envelope_input(const struct scope *s, enum envelope_field field)
{
	const struct event *ev = &s->record->event;
	struct input in = { .kind = INPUT_INTEGER };
	switch (field) {
	case ENVELOPE_SEQ:
		in.integer = (int64_t)ev->seq;
		return in;
	case ENVELOPE_RECEIVED_AT:
		in.integer = ev->received_at_us;
		return in;
	case ENVELOPE_ORIGIN:
		in.integer = (int64_t)ev->origin;
		return in;
	case ENVELOPE_BYTES:
		in.integer = (int64_t)ev->body.len;
		return in;
	case ENVELOPE_PARKED:
		in.integer = s->parked;
		return in;
	case ENVELOPE_POSITION:
		in.integer = (int64_t)s->position;
		return in;
	case ENVELOPE_HOST:
		if (s->host == NULL)
			return (struct input){ .kind = INPUT_NULL };
		in.text = bytes_str(s->host);
		break;
	case ENVELOPE_SOURCE:
		in.text = ev->source;
		break;
	case ENVELOPE_PROVIDER:
		in.text = ev->provider;
		break;
	case ENVELOPE_EVENT:
		in.text = ev->event;
		break;
	case ENVELOPE_DELIVERY:
		in.text = ev->delivery;
		break;
	case ENVELOPE_HOOK:
		in.text = ev->hook;
		break;
	}
	in.kind = INPUT_TEXT;
	in.text = value_storable_text(in.text, s->a); /* headers hold any bytes */
	return in;
}

static struct input
json_input(struct jpath_value v)
{
	struct input in = { .kind = INPUT_JSON, .json = v };
	if (v.type == JPATH_ABSENT)
		in.kind = INPUT_ABSENT;
	else if (v.type == JPATH_NULL)
		in.kind = INPUT_NULL;
	return in;
}

static struct jpath_value
value_at(const struct scope *s, size_t slot, bool of_document)
{
	return jpath_get(s->doc, slot, of_document || !s->rows->is_array ? 0 : s->position);
}

/* What follows the beginning; nothing when the text begins in another way. */
static struct input
after_input(struct scope *s, const struct operand *o)
{
	struct jpath_value v = value_at(s, s->rows->slots[o->index], false);
	struct bytes begin = bytes_str(o->extra);
	bool altered;
	if (v.type != JPATH_STRING)
		return (struct input){ .kind = INPUT_ABSENT };
	struct bytes text = jpath_text(v, s->a, &altered);
	if (text.len < begin.len || (begin.len > 0 && memcmp(text.data, begin.data, begin.len) != 0))
		return (struct input){ .kind = INPUT_ABSENT };
	s->altered += altered;
	return (struct input){ .kind = INPUT_TEXT,
		.text = { text.data + begin.len, text.len - begin.len } };
}

static struct input
operand_input(struct scope *s, const struct operand *o)
{
	switch (o->kind) {
	case OPERAND_ENVELOPE:
		return envelope_input(s, o->field);
	case OPERAND_CONST:
		return (struct input){ .kind = INPUT_TEXT, .text = bytes_str(o->text) };
	case OPERAND_ROW:
		for (size_t i = 0; i < s->rows->constant_count; i++) {
			if (strcmp(s->rows->constants[i].name, o->text) == 0)
				return (struct input){ .kind = INPUT_TEXT,
					.text = bytes_str(s->rows->constants[i].value) };
		}
		return (struct input){ .kind = INPUT_NULL };
	case OPERAND_NULL:
		return (struct input){ .kind = INPUT_NULL };
	case OPERAND_ROOT:
	case OPERAND_PATH:
	case OPERAND_COUNT:
	case OPERAND_LIST:
	case OPERAND_AFTER:
		break;
	}
	if (s->doc == NULL)
		return (struct input){ .kind = INPUT_ABSENT };
	if (o->kind == OPERAND_AFTER)
		return after_input(s, o);
	/* A list asks for the array itself one slot further. */
	size_t slot = s->rows->slots[o->index + (o->kind == OPERAND_LIST)];
	struct jpath_value v = value_at(s, slot, o->kind == OPERAND_ROOT);
	if (o->kind == OPERAND_COUNT && v.type == JPATH_ARRAY)
		return (struct input){ .kind = INPUT_INTEGER, .integer = count_elements(v.raw) };
	if (o->kind == OPERAND_LIST && v.type == JPATH_ARRAY)
		return (struct input){ .kind = INPUT_LIST, .slot = s->rows->slots[o->index], .json = v };
	return json_input(v);
}

/* The text of a scalar; objects and arrays give their JSON. */
static struct bytes
text_of(struct scope *s, const struct input *in)
{
	if (in->kind == INPUT_TEXT)
		return in->text;
	if (in->kind == INPUT_INTEGER)
		return bytes_str(arena_printf(s->a, "%" PRId64, in->integer));
	if (in->json.type != JPATH_STRING)
		return in->json.raw;
	bool altered = false;
	struct bytes text = jpath_text(in->json, s->a, &altered);
	s->altered += altered;
	return text;
}

int
value_rank(struct scope *s, const struct definition *d)
{
	if (d->rank_value_count == 0)
		return 0;
	struct input in = operand_input(s, &d->rank.operand);
	if (in.kind == INPUT_ABSENT || in.kind == INPUT_NULL)
		return 0;
	struct bytes text = text_of(s, &in);
	for (size_t i = 0; i < d->rank_value_count; i++) {
		if (bytes_is(text, d->rank_values[i].text))
			return d->rank_values[i].rank;
	}
	return 0;
}

bool
value_condition(struct scope *s, const struct condition *c)
{
	struct input in = operand_input(s, &c->operand);
	if (in.kind == INPUT_ABSENT || in.kind == INPUT_NULL)
		return false;
	return c->equals == NULL || bytes_is(text_of(s, &in), c->equals);
}

static bool
to_timestamp(struct scope *s, const struct input *in, int64_t *out)
{
	if (in->kind == INPUT_INTEGER) {
		*out = in->integer; /* of the envelope: microseconds already */
		return true;
	}
	int64_t seconds;
	if (in->kind == INPUT_JSON && in->json.type == JPATH_NUMBER) {
		/* Push events give some times as seconds since 1970. */
		if (!jpath_int64(in->json, &seconds) || seconds > INT64_C(253402300799) ||
			seconds < INT64_C(-62135596800))
			return false;
		*out = seconds * 1000000;
		return true;
	}
	return clock_parse_us(text_of(s, in), out);
}

static bool
to_bool(struct scope *s, const struct input *in, int64_t *out)
{
	if (in->kind == INPUT_INTEGER) {
		*out = in->integer != 0;
		return true;
	}
	struct bytes text = text_of(s, in);
	*out = bytes_is(text, "true");
	return *out || bytes_is(text, "false");
}

static void
put_element(struct buf *array, struct bytes text)
{
	buf_put_str(array, array->len > 1 ? ",\"" : "\"");
	for (size_t k = 0; k < text.len; k++) {
		if (text.data[k] == '"' || text.data[k] == '\\')
			buf_put_char(array, '\\');
		buf_put(array, text.data + k, 1);
	}
	buf_put_char(array, '"');
}

/* The same from one member of each element; what is no scalar or does not fit is left out. */
static bool
list_to_array(struct scope *s, const struct input *in, enum column_type type, struct bytes *out)
{
	struct buf text = buf_new(LIMIT_BODY_BYTES * 2);
	buf_put_char(&text, '{');
	for (size_t i = 0; i < jpath_rows(s->doc, in->slot); i++) {
		struct input one = json_input(jpath_get(s->doc, in->slot, i));
		int64_t number;
		if (one.kind != INPUT_JSON || one.json.type == JPATH_OBJECT || one.json.type == JPATH_ARRAY)
			continue;
		if (type == COLUMN_TEXT_ARRAY)
			put_element(&text, text_of(s, &one));
		else if (one.json.type == JPATH_NUMBER && jpath_int64(one.json, &number))
			buf_printf(&text, "%s%" PRId64, text.len > 1 ? "," : "", number);
		else
			s->out_of_range++;
	}
	buf_put_char(&text, '}');
	bool good = !text.overflow;
	if (good)
		*out = arena_copy(s->a, buf_bytes(&text));
	buf_free(&text);
	return good;
}

/* {"a","b"}: PostgreSQL's text form of an array, from the strings of a JSON array. */
static bool
to_text_array(struct scope *s, const struct input *in, struct bytes *out)
{
	if (in->kind != INPUT_JSON || in->json.type != JPATH_ARRAY)
		return false;
	struct bytes raw = in->json.raw;
	struct buf text = buf_new(LIMIT_BODY_BYTES * 2);
	buf_put_char(&text, '{');
	bool good = true;
	for (size_t i = 1; i < raw.len && good;) {
		unsigned char c = raw.data[i];
		if (c != '"') {
			/* Anything but strings, commas and space is no array of texts. */
			good = c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ']';
			i++;
			continue;
		}
		size_t end = i + 1;
		while (raw.data[end] != '"')
			end += raw.data[end] == '\\' ? 2 : 1;
		struct jpath_value one = { JPATH_STRING, { raw.data + i, end + 1 - i } };
		struct bytes decoded = text_of(s, &(struct input){ .kind = INPUT_JSON, .json = one });
		put_element(&text, decoded);
		i = end + 1;
	}
	buf_put_char(&text, '}');
	if (good && !text.overflow)
		*out = arena_copy(s->a, buf_bytes(&text));
	good = good && !text.overflow;
	buf_free(&text);
	return good;
}

static int
hex4(const unsigned char *p)
{
	unsigned char out[2];
	return crypto_unhex((struct bytes){ p, 4 }, out, 2) ? out[0] << 8 | out[1] : -1;
}

/* Whether the string that starts at *i holds only what jsonb can hold; moves *i to its end. */
static bool
string_fits_jsonb(struct bytes raw, size_t *i)
{
	bool fits = true;
	for ((*i)++; raw.data[*i] != '"'; (*i)++) {
		if (raw.data[*i] != '\\')
			continue;
		if (raw.data[++*i] != 'u')
			continue;
		int unit = hex4(raw.data + *i + 1);
		*i += 4;
		if (unit >= 0xd800 && unit <= 0xdbff && raw.data[*i + 1] == '\\' &&
			raw.data[*i + 2] == 'u') {
			int low = hex4(raw.data + *i + 3);
			fits = fits && low >= 0xdc00 && low <= 0xdfff;
			*i += 6;
		} else {
			fits = fits && unit != 0 && (unit < 0xd800 || unit > 0xdfff);
		}
	}
	return fits;
}

static bool
is_digit(struct bytes raw, size_t i)
{
	return i < raw.len && raw.data[i] >= '0' && raw.data[i] <= '9';
}

/* Whether the number whose first digit is at *i has at most 40 digits and an exponent as a double has;
 * moves *i to its last character. */
static bool
number_fits_jsonb(struct bytes raw, size_t *i)
{
	size_t digits = 0, at = *i;
	long exponent = 0;
	for (; is_digit(raw, at) || (at < raw.len && raw.data[at] == '.'); at++)
		digits += raw.data[at] != '.';
	if (at < raw.len && (raw.data[at] == 'e' || raw.data[at] == 'E')) {
		at++;
		if (at < raw.len && (raw.data[at] == '+' || raw.data[at] == '-'))
			at++;
		for (; is_digit(raw, at); at++)
			exponent = exponent > 308 ? exponent : exponent * 10 + (raw.data[at] - '0');
	}
	*i = at - 1;
	return digits <= 40 && exponent <= 308;
}

/* jsonb refuses \u0000 and lone surrogates, and a number like 1e100000 costs megabytes to print. */
static bool
fits_jsonb(struct bytes raw)
{
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] == '"' && !string_fits_jsonb(raw, &i))
			return false;
		if (is_digit(raw, i) && !number_fits_jsonb(raw, &i))
			return false;
	}
	return true;
}

/* What jsonb cannot hold is kept as a JSON string of its text: nothing is lost, nothing explodes. */
static struct bytes
to_jsonb(struct scope *s, const struct input *in)
{
	if (in->kind == INPUT_JSON && fits_jsonb(in->json.raw))
		return in->json.raw;
	struct bytes raw = in->kind == INPUT_JSON ? in->json.raw : text_of(s, in);
	if (in->kind == INPUT_INTEGER)
		return raw;
	s->altered += in->kind == INPUT_JSON;
	struct buf quoted = buf_new(raw.len * 6 + 16);
	buf_put_json(&quoted, raw);
	struct bytes out = arena_copy(s->a, buf_bytes(&quoted));
	buf_free(&quoted);
	return out;
}

static bool
to_integer(const struct input *in, int64_t min, int64_t max, int64_t *out)
{
	if (in->kind == INPUT_INTEGER)
		*out = in->integer;
	else if (in->kind != INPUT_JSON || in->json.type != JPATH_NUMBER || !jpath_int64(in->json, out))
		return false;
	return *out >= min && *out <= max;
}

static bool
convert(struct scope *s, const struct input *in, enum column_type type, struct cell *out)
{
	switch (type) {
	case COLUMN_INT8:
		return to_integer(in, INT64_MIN, INT64_MAX, &out->integer);
	case COLUMN_INT4:
		return to_integer(in, INT32_MIN, INT32_MAX, &out->integer);
	case COLUMN_INT2:
		return to_integer(in, INT16_MIN, INT16_MAX, &out->integer);
	case COLUMN_BOOL:
		return to_bool(s, in, &out->integer);
	case COLUMN_TIMESTAMPTZ:
		return to_timestamp(s, in, &out->integer);
	case COLUMN_TEXT:
		out->text = text_of(s, in);
		return true;
	case COLUMN_JSONB:
		out->text = to_jsonb(s, in);
		return true;
	case COLUMN_TEXT_ARRAY:
	case COLUMN_INT8_ARRAY:
		if (in->kind == INPUT_LIST)
			return list_to_array(s, in, type, &out->text);
		return type == COLUMN_TEXT_ARRAY && to_text_array(s, in, &out->text);
	}
	return false;
}

bool
value_evaluate(struct scope *s, const struct expression *x, enum column_type type, struct cell *out,
	bool *problem)
{
	bool told = false;
	*out = (struct cell){ .null = true };
	for (size_t i = 0; i < x->count; i++) {
		const struct alternative *alt = &x->alternatives[i];
		bool applies = true;
		for (size_t k = 0; k < alt->condition_count && applies; k++)
			applies = value_condition(s, &alt->conditions[k]);
		if (!applies)
			continue;
		struct input in = operand_input(s, &alt->operand);
		if (in.kind == INPUT_ABSENT)
			continue;
		told = true;
		if (alt->operand.kind == OPERAND_NULL)
			return true;
		if (in.kind == INPUT_NULL)
			continue;
		out->null = false;
		if (!convert(s, &in, type, out)) {
			*out = (struct cell){ .null = true };
			s->out_of_range++;
			if (problem != NULL)
				*problem = true;
		}
		return true;
	}
	return told;
}
