/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/state.h"

/* The rows of a fold in the binary format of COPY: state.c keeps their columns as pieces of it, so that loading is
 * sending them, and comparing is comparing bytes. */

/* PostgreSQL, "COPY": signature, flags, length of the extension. */
const char state_copy_header[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";

static void
put_int(struct buf *out, size_t size, int64_t v)
{
	buf_put_be32(out, (uint32_t)size);
	if (size == 8)
		buf_put_be64(out, (uint64_t)v);
	else if (size == 4)
		buf_put_be32(out, (uint32_t)v);
	else
		buf_put_be16(out, (uint16_t)v);
}

static void
put_null(struct buf *out)
{
	buf_put_be32(out, UINT32_MAX);
}

static void
put_time(struct buf *out, int64_t us)
{
	int64_t at;
	if (pg_timestamptz(us, &at))
		put_int(out, 8, at);
	else
		put_null(out);
}

void
state_put_cell(struct buf *out, const struct cell *cell, enum column_type type)
{
	if (cell->null) {
		put_null(out);
		return;
	}
	switch (type) {
	case COLUMN_INT8:
		put_int(out, 8, cell->integer);
		return;
	case COLUMN_INT4:
		put_int(out, 4, cell->integer);
		return;
	case COLUMN_INT2:
		put_int(out, 2, cell->integer);
		return;
	case COLUMN_BOOL:
		buf_put_be32(out, 1);
		buf_put_char(out, cell->integer != 0);
		return;
	case COLUMN_TIMESTAMPTZ:
		put_time(out, cell->integer);
		return;
	case COLUMN_TEXT:
	case COLUMN_JSONB:
	case COLUMN_TEXT_ARRAY:
	case COLUMN_INT8_ARRAY:
		buf_put_be32(out, (uint32_t)cell->text.len);
		buf_put_bytes(out, cell->text);
		return;
	}
}

void
state_put_cells(struct buf *out, const struct definition *d, const struct cell *cells)
{
	for (size_t i = 0; i < d->column_count; i++)
		state_put_cell(out, &cells[i], d->columns[i].type);
}

bool
state_is_streamed(const struct definition *d)
{
	for (size_t i = 0; i < d->column_count && d->kind == DEFINITION_FACT; i++) {
		const struct column *c = &d->columns[i];
		const struct alternative *only = c->value.alternatives;
		if (c->key && c->value.count == 1 && only->condition_count == 0 &&
			only->operand.kind == OPERAND_ENVELOPE && only->operand.field == ENVELOPE_SEQ)
			return true;
	}
	return false;
}

/* ---- COPY ---- */

/* An array's text, as value.c makes it, in PostgreSQL's binary format (arrayfuncs.c, array_recv). */
static void
put_array(struct buf *out, struct bytes text, bool integers)
{
	size_t length_at = out->len;
	uint32_t count = 0;
	buf_put_be32(out, 0);
	buf_put_be32(out, 1); /* dimensions */
	buf_put_be32(out, 0); /* no nulls */
	buf_put_be32(out, integers ? (uint32_t)PG_INT8 : (uint32_t)PG_TEXT);
	size_t count_at = out->len;
	buf_put_be32(out, 0);
	buf_put_be32(out, 1); /* lower bound */
	for (size_t i = 1; i < text.len && text.data[i] != '}'; count++) {
		size_t element_at = out->len;
		buf_put_be32(out, 0);
		bool quoted = text.data[i] == '"';
		i += quoted;
		while (i < text.len && (quoted ? text.data[i] != '"' : text.data[i] != ',' && text.data[i] != '}')) {
			i += quoted && text.data[i] == '\\';
			buf_put(out, text.data + i, 1);
			i++;
		}
		i += quoted;
		i += i < text.len && text.data[i] == ',';
		if (integers) {
			buf_put_char(out, '\0');
			int64_t v = strtoll((const char *)out->data + element_at + 4, NULL, 10);
			out->len = element_at;
			put_int(out, 8, v);
			continue;
		}
		uint32_t len = (uint32_t)(out->len - element_at - 4);
		for (size_t k = 0; k < 4; k++)
			out->data[element_at + k] = (unsigned char)(len >> (24 - 8 * k));
	}
	if (count == 0) { /* an empty array has no dimension */
		out->len = count_at;
		out->data[length_at + 7] = 0;
	}
	uint32_t len = (uint32_t)(out->len - length_at - 4);
	for (size_t k = 0; k < 4; k++) {
		out->data[length_at + k] = (unsigned char)(len >> (24 - 8 * k));
		if (count > 0)
			out->data[count_at + k] = (unsigned char)(count >> (24 - 8 * k));
	}
}

static void
put_copy_fields(struct buf *out, const struct definition *d, struct bytes rest)
{
	for (size_t i = 0; i < d->column_count; i++) {
		const unsigned char *start = rest.data;
		struct bytes field;
		bool told = state_field(&rest, &field);
		enum column_type type = d->columns[i].type;
		if (told && (type == COLUMN_TEXT_ARRAY || type == COLUMN_INT8_ARRAY)) {
			put_array(out, field, type == COLUMN_INT8_ARRAY);
		} else if (told && type == COLUMN_JSONB) {
			buf_put_be32(out, (uint32_t)field.len + 1);
			buf_put_char(out, 1); /* version of the format */
			buf_put_bytes(out, field);
		} else {
			buf_put(out, start, (size_t)(rest.data - start));
		}
	}
}

static void
put_time_or_null(struct buf *out, int64_t us)
{
	if (us == INT64_MIN)
		put_null(out);
	else
		put_time(out, us);
}

/* In the order of tables_put_columns. */
static void
put_books(struct buf *out, const struct definition *d, const struct state_row *row)
{
	put_int(out, 8, (int64_t)row->first_seq);
	put_int(out, 8, (int64_t)row->last_seq);
	put_int(out, 2, (int64_t)row->origin);
	put_time_or_null(out, row->webhook_at_us);
	put_time_or_null(out, row->api_at_us);
	put_time_or_null(out, row->deleted_at_us);
	if (row->deleted_seq == 0)
		put_null(out);
	else
		put_int(out, 8, (int64_t)row->deleted_seq);
	for (size_t g = 0; g < state_version_count(d); g++) {
		put_time(out, row->versions[g].at_us);
		put_int(out, 2, row->versions[g].rank);
		put_int(out, 8, (int64_t)row->versions[g].seq);
	}
}

#define BOOK_COLUMNS 7

static void
put_field_count(struct buf *out, const struct definition *d)
{
	size_t books = d->kind == DEFINITION_FACT ? 0 : BOOK_COLUMNS + 3 * state_version_count(d);
	buf_put_be16(out, (uint16_t)(d->column_count + books));
}

void
state_put_copy(struct buf *out, const struct definition *d, const struct state_row *row)
{
	put_field_count(out, d);
	put_copy_fields(out, d, state_fields(d, row));
	if (d->kind == DEFINITION_ENTITY)
		put_books(out, d, row);
}

void
state_put_copy_folded(struct buf *out, const struct definition *d, const struct fold_row *row)
{
	ASSERT(d->kind == DEFINITION_FACT);
	struct buf fields = buf_new(2 * LIMIT_PG_PARAM_BYTES);
	state_put_cells(&fields, d, row->cells);
	put_field_count(out, d);
	put_copy_fields(out, d, buf_bytes(&fields));
	buf_free(&fields);
}

void
state_put_fields(struct buf *out, const struct definition *d, const struct state_row *row)
{
	buf_put_bytes(out, state_fields(d, row));
	if (d->kind == DEFINITION_ENTITY)
		put_books(out, d, row);
}

enum rc
state_get_copied(struct pg *pg, struct bytes *fields, struct err *e)
{
	enum rc rc;
	do {
		rc = pg_copy_get(pg, fields, e);
		if (rc != RC_OK || fields->data == NULL)
			return rc;
		/* It comes with the first row; no row begins like it, that would be one of 20,551 columns. */
		if (fields->len >= sizeof state_copy_header && memcmp(fields->data, state_copy_header, 11) == 0) {
			fields->data += sizeof state_copy_header;
			fields->len -= sizeof state_copy_header;
		}
	} while (fields->len <= 2); /* the number of fields; the trailer is no more than that */
	fields->data += 2;
	fields->len -= 2;
	return rc;
}
