/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/comments.h"
#include "projector/tables.h"

/* The columns every entity has behind its own, in the order of the upsert's parameters. The version
 * columns of each group and of the tombstone come after these. */
enum book_column {
	BOOK_FIRST_SEQ,
	BOOK_LAST_SEQ,
	BOOK_ORIGIN,
	BOOK_WEBHOOK_AT,
	BOOK_API_AT,
	BOOK_DELETED_AT,
	BOOK_DELETED_SEQ,
};

static const struct {
	const char *name, *sql_type;
	enum pg_type array;
} book_columns[] = {
	[BOOK_FIRST_SEQ] = { "first_seq", "bigint", PG_INT8_ARRAY },
	[BOOK_LAST_SEQ] = { "last_seq", "bigint", PG_INT8_ARRAY },
	[BOOK_ORIGIN] = { "origin", "smallint", PG_INT8_ARRAY },
	[BOOK_WEBHOOK_AT] = { "webhook_at", "timestamptz", PG_TIMESTAMPTZ_ARRAY },
	[BOOK_API_AT] = { "api_at", "timestamptz", PG_TIMESTAMPTZ_ARRAY },
	[BOOK_DELETED_AT] = { "deleted_at", "timestamptz", PG_TIMESTAMPTZ_ARRAY },
	[BOOK_DELETED_SEQ] = { "deleted_seq", "bigint", PG_INT8_ARRAY },
};

/* Groups with a version of their own: the declared ones, then the tombstone's "life" if there is one. */
static size_t
version_count(const struct definition *d)
{
	return d->group_count + (d->tombstone_count > 0);
}

/* "version" for core, "<group>_version" for the others, "deleted_version" for the tombstone. */
static void
put_version_name(struct buf *out, const struct definition *d, size_t group, const char *part)
{
	if (group >= d->group_count)
		buf_put_str(out, "deleted_");
	else if (group > 0)
		buf_printf(out, "%s_", d->groups[group]);
	buf_printf(out, "version_%s", part);
}

static enum pg_type
array_type(enum column_type type)
{
	switch (type) {
	case COLUMN_INT8:
	case COLUMN_INT4:
	case COLUMN_INT2:
		return PG_INT8_ARRAY; /* cast to the column's type */
	case COLUMN_BOOL:
		return PG_BOOL_ARRAY;
	case COLUMN_TIMESTAMPTZ:
		return PG_TIMESTAMPTZ_ARRAY;
	default:
		return PG_TEXT_ARRAY;
	}
}

static bool
has_full_group(const struct definition *d)
{
	bool has = false;
	for (size_t g = 1; g < d->group_count; g++)
		has = has || strcmp(d->groups[g], "full") == 0;
	return has;
}

void
tables_each_book_column(const struct definition *d,
	void (*fn)(const char *name, const char *sql_type, void *context), void *context)
{
	static const char *const parts[] = { "at", "rank", "seq" };
	static const char *const types[] = { "timestamptz", "smallint", "bigint" };
	if (d->kind == DEFINITION_FACT)
		return;
	for (size_t i = 0; i < COUNT_OF(book_columns); i++)
		fn(book_columns[i].name, book_columns[i].sql_type, context);
	for (size_t i = 0; i < 3 * version_count(d); i++) {
		struct buf name = buf_new(256);
		put_version_name(&name, d, i / 3, parts[i % 3]);
		fn(buf_cstr(&name), types[i % 3], context);
		buf_free(&name);
	}
	if (has_full_group(d))
		fn("partial", "boolean", context);
}

void
tables_put_create(struct buf *out, const struct definition *d, const char *schema)
{
	buf_put_str(out, "set local search_path = ");
	pg_put_identifier(out, schema);
	buf_printf(out, ";\n%s\n", d->ddl);
	if (d->kind == DEFINITION_FACT) {
		comments_put(out, d, schema);
		return;
	}
	buf_printf(out, "alter table %s", d->table);
	for (size_t i = 0; i < COUNT_OF(book_columns); i++)
		buf_printf(out, "%s\n\tadd column %s %s%s", i == 0 ? "" : ",", book_columns[i].name,
			book_columns[i].sql_type, i <= BOOK_ORIGIN ? " not null" : "");
	for (size_t g = 0; g < version_count(d); g++) {
		static const char *const parts[] = { "at", "rank", "seq" };
		static const char *const types[] = { "timestamptz", "smallint", "bigint" };
		for (size_t k = 0; k < COUNT_OF(parts); k++) {
			buf_put_str(out, ",\n\tadd column ");
			put_version_name(out, d, g, parts[k]);
			buf_printf(out, " %s not null", types[k]);
		}
	}
	for (size_t g = 1; g < d->group_count; g++) {
		if (strcmp(d->groups[g], "full") == 0)
			buf_put_str(out,
				",\n\tadd column partial boolean generated always as (full_version_seq = 0) stored");
	}
	buf_put_str(out, ";\n");
	comments_put(out, d, schema);
}

/* "(prefix.a_at, prefix.a_rank, prefix.a_seq)" */
static void
put_version_tuple(struct buf *out, const struct definition *d, size_t group, const char *prefix)
{
	static const char *const parts[] = { "at", "rank", "seq" };
	for (size_t k = 0; k < COUNT_OF(parts); k++) {
		buf_printf(out, "%s%s.", k == 0 ? "(" : ", ", prefix);
		put_version_name(out, d, group, parts[k]);
	}
	buf_put_char(out, ')');
}

static void
put_newest(struct buf *out, const struct definition *d, size_t group, const char *column)
{
	buf_printf(out, "\t%s = case when ", column);
	put_version_tuple(out, d, group, "excluded");
	buf_put_str(out, " > ");
	put_version_tuple(out, d, group, "t");
	buf_printf(out, " then excluded.%s else t.%s end,\n", column, column);
}

static void
put_entity_update(struct buf *out, const struct definition *d)
{
	for (size_t i = 0; i < d->column_count; i++) {
		if (!d->columns[i].key)
			put_newest(out, d, d->columns[i].group, d->columns[i].name);
	}
	if (d->tombstone_count > 0) {
		put_newest(out, d, d->group_count, "deleted_at");
		put_newest(out, d, d->group_count, "deleted_seq");
	}
	for (size_t g = 0; g < version_count(d); g++) {
		static const char *const parts[] = { "at", "rank", "seq" };
		for (size_t k = 0; k < COUNT_OF(parts); k++) {
			struct buf name = buf_new(256);
			put_version_name(&name, d, g, parts[k]);
			put_newest(out, d, g, buf_cstr(&name));
			buf_free(&name);
		}
	}
	buf_put_str(out, "\torigin = case when excluded.last_seq >= t.last_seq then excluded.origin "
			 "else t.origin end,\n"
			 "\twebhook_at = greatest(t.webhook_at, excluded.webhook_at),\n"
			 "\tapi_at = greatest(t.api_at, excluded.api_at),\n"
			 "\tfirst_seq = least(t.first_seq, excluded.first_seq),\n"
			 "\tlast_seq = greatest(t.last_seq, excluded.last_seq)\n");
}

/* The same event again, after it was parked or by a retry: it says the same or more. */
static void
put_fact_update(struct buf *out, const struct definition *d)
{
	bool any = false;
	for (size_t i = 0; i < d->column_count; i++) {
		if (d->columns[i].key)
			continue;
		buf_printf(out, "%s\t%s = excluded.%s", any ? ",\n" : ") do update set\n", d->columns[i].name,
			d->columns[i].name);
		any = true;
	}
	buf_put_str(out, any ? "\n" : ") do nothing\n");
}

void
tables_put_columns(struct buf *out, const struct definition *d)
{
	for (size_t i = 0; i < d->column_count; i++)
		buf_printf(out, "%s%s", i == 0 ? "" : ", ", d->columns[i].name);
	tables_put_book_columns(out, d);
}

void
tables_put_book_columns(struct buf *out, const struct definition *d)
{
	if (d->kind == DEFINITION_FACT)
		return;
	for (size_t i = 0; i < COUNT_OF(book_columns); i++)
		buf_printf(out, ", %s", book_columns[i].name);
	for (size_t g = 0; g < version_count(d); g++) {
		static const char *const parts[] = { "at", "rank", "seq" };
		for (size_t k = 0; k < COUNT_OF(parts); k++) {
			buf_put_str(out, ", ");
			put_version_name(out, d, g, parts[k]);
		}
	}
}

/* The parameters' types and the casts from what unnest gives to what the column wants. */
static size_t
put_parameters(struct buf *casts, struct buf *arrays, const struct definition *d,
	enum pg_type types[TABLES_PARAMS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < d->column_count; i++) {
		types[n++] = array_type(d->columns[i].type);
		buf_printf(casts, "%sc%zu::%s", n == 1 ? "" : ", ", n, d->columns[i].sql_type);
	}
	if (d->kind == DEFINITION_ENTITY) {
		for (size_t i = 0; i < COUNT_OF(book_columns); i++) {
			types[n++] = book_columns[i].array;
			buf_printf(casts, ", c%zu::%s", n, book_columns[i].sql_type);
		}
		for (size_t g = 0; g < version_count(d); g++) {
			types[n++] = PG_TIMESTAMPTZ_ARRAY;
			types[n++] = PG_INT8_ARRAY;
			types[n++] = PG_INT8_ARRAY;
			buf_printf(casts, ", c%zu, c%zu::smallint, c%zu", n - 2, n - 1, n);
		}
	}
	ASSERT(n <= TABLES_PARAMS_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *name = types[i] == PG_INT8_ARRAY ? "bigint"
			: types[i] == PG_BOOL_ARRAY	     ? "boolean"
			: types[i] == PG_TIMESTAMPTZ_ARRAY   ? "timestamptz"
							     : "text";
		buf_printf(arrays, "%s$%zu::%s[]", i == 0 ? "" : ", ", i + 1, name);
	}
	return n;
}

size_t
tables_put_upsert(struct buf *out, const struct definition *d, const char *schema,
	enum pg_type types[TABLES_PARAMS_MAX])
{
	struct buf casts = buf_new(LIMIT_CONFIG_FILE_BYTES), arrays = buf_new(LIMIT_CONFIG_FILE_BYTES);
	size_t n = put_parameters(&casts, &arrays, d, types);
	buf_put_str(out, "insert into ");
	pg_put_identifier(out, schema);
	buf_printf(out, ".%s as t (", d->table);
	tables_put_columns(out, d);
	buf_printf(out, ")\nselect %s\nfrom unnest(%s) as input (", buf_cstr(&casts), buf_cstr(&arrays));
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%sc%zu", i == 0 ? "" : ", ", i + 1);
	buf_put_str(out, ")\non conflict (");
	bool first = true;
	for (size_t i = 0; i < d->column_count; i++) {
		if (!d->columns[i].key)
			continue;
		buf_printf(out, "%s%s", first ? "" : ", ", d->columns[i].name);
		first = false;
	}
	if (d->kind == DEFINITION_ENTITY) {
		buf_put_str(out, ") do update set\n");
		put_entity_update(out, d);
	} else {
		put_fact_update(out, d);
	}
	buf_free(&casts);
	buf_free(&arrays);
	return n;
}

void
tables_put_view(struct buf *out, const char *view, const char *schema, const char *table)
{
	const char *dot = strchr(view, '.');
	struct buf view_schema = buf_new(256);
	buf_put(&view_schema, view, (size_t)(dot - view));
	buf_put_str(out, "create schema if not exists ");
	pg_put_identifier(out, buf_cstr(&view_schema));
	/* Names of projections hold no quotes (definition.c), so they can stand in literals. */
	buf_printf(out,
		";\nselect hooklog.show_table(to_regclass('\"%s\".\"%s\"'), '\"%s\".\"%s\"', "
		"'\"%s\".\"%s\"');\n",
		buf_cstr(&view_schema), dot + 1, buf_cstr(&view_schema), dot + 1, schema, table);
	buf_printf(out, "select hooklog.copy_comments('\"%s\".\"%s\"', '\"%s\".\"%s\"');\n",
		buf_cstr(&view_schema), dot + 1, schema, table);
	buf_free(&view_schema);
}

enum rc
tables_refused(const struct definition *d, const char *sql, int position, struct err *e)
{
	if (e->rc == RC_IO || e->rc == RC_INVALID) {
		e->rc = RC_INVALID;
		e->id = "config.projection";
	}
	const char *start = sql == NULL || position < 1 ? NULL : strstr(sql, d->ddl);
	const char *p = sql;
	int line = 1, column = 1;
	for (; start != NULL && position > 1 && *p != '\0'; p++) {
		if (((unsigned char)p[1] & 0xc0) != 0x80)
			position--;
		if (p < start)
			continue;
		column = *p == '\n' ? 1 : column + (((unsigned char)p[1] & 0xc0) != 0x80);
		line += *p == '\n';
	}
	bool inside = start != NULL && p >= start && p <= start + strlen(d->ddl);
	return !inside ? err_wrap(e, "%s", d->file) : err_wrap(e, "%s:%d:%d", d->file, line, column);
}

static void
bind_cell(struct pg_array *array, const struct cell *cell, enum column_type type)
{
	if (cell->null) {
		pg_array_null(array);
		return;
	}
	switch (type) {
	case COLUMN_INT8:
	case COLUMN_INT4:
	case COLUMN_INT2:
		pg_array_int8(array, cell->integer);
		break;
	case COLUMN_BOOL:
		pg_array_bool(array, cell->integer != 0);
		break;
	case COLUMN_TIMESTAMPTZ:
		pg_array_timestamptz(array, cell->integer);
		break;
	default:
		pg_array_text(array, cell->text);
	}
}

static void
bind_time_or_null(struct pg_array *array, int64_t us)
{
	if (us == INT64_MIN)
		pg_array_null(array);
	else
		pg_array_timestamptz(array, us);
}

/* The bookkeeping columns and versions of one row, into the arrays behind its own columns. */
static void
bind_books(struct pg_array *arrays, const struct definition *d, const struct fold_row *row)
{
	pg_array_int8(&arrays[BOOK_FIRST_SEQ], (int64_t)row->first_seq);
	pg_array_int8(&arrays[BOOK_LAST_SEQ], (int64_t)row->last_seq);
	pg_array_int8(&arrays[BOOK_ORIGIN], (int64_t)row->origin);
	bind_time_or_null(&arrays[BOOK_WEBHOOK_AT], row->webhook_at_us);
	bind_time_or_null(&arrays[BOOK_API_AT], row->api_at_us);
	bind_time_or_null(&arrays[BOOK_DELETED_AT], row->deleted_at_us);
	if (row->deleted_seq == 0)
		pg_array_null(&arrays[BOOK_DELETED_SEQ]);
	else
		pg_array_int8(&arrays[BOOK_DELETED_SEQ], (int64_t)row->deleted_seq);
	arrays += COUNT_OF(book_columns);
	for (size_t g = 0; g < version_count(d); g++, arrays += 3) {
		const struct version *v = g < d->group_count ? &row->versions[g] : &row->life;
		pg_array_timestamptz(&arrays[0], v->at_us);
		pg_array_int8(&arrays[1], v->rank);
		pg_array_int8(&arrays[2], (int64_t)v->seq);
	}
}

enum rc
tables_bind(const struct fold_table *t, struct pg_array arrays[TABLES_PARAMS_MAX],
	struct pg_param params[TABLES_PARAMS_MAX], size_t *count, struct err *e)
{
	const struct definition *d = t->definition;
	enum pg_type types[TABLES_PARAMS_MAX];
	struct buf casts = buf_new(LIMIT_CONFIG_FILE_BYTES), names = buf_new(LIMIT_CONFIG_FILE_BYTES);
	*count = put_parameters(&casts, &names, d, types);
	buf_free(&casts);
	buf_free(&names);
	for (size_t i = 0; i < *count; i++)
		pg_array_start(&arrays[i], types[i], LIMIT_PG_PARAM_BYTES);
	for (const struct fold_row *row = t->first; row != NULL; row = row->next) {
		for (size_t i = 0; i < d->column_count; i++)
			bind_cell(&arrays[i], &row->cells[i], d->columns[i].type);
		if (d->kind == DEFINITION_ENTITY)
			bind_books(arrays + d->column_count, d, row);
	}
	enum rc rc = RC_OK;
	size_t bytes = 0;
	for (size_t i = 0; i < *count && rc == RC_OK; i++) {
		rc = pg_array_param(&arrays[i], &params[i], e);
		bytes += rc == RC_OK ? params[i].data.len : 0;
	}
	/* All of them go in one message, and a server that gets too long a one hangs up. */
	if (rc == RC_OK && bytes > LIMIT_PG_PARAM_BYTES)
		rc = err_set(e, RC_INVALID, NULL, "the rows of table %s pass %zu bytes", d->table,
			LIMIT_PG_PARAM_BYTES);
	return rc;
}
