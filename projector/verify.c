/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/clock.h"
#include "projector/load.h"
#include "projector/tables.h"

/* Values that PostgreSQL writes in its own way, normalized together. */
#define NORMALIZE_BYTES ((size_t)8 * 1024 * 1024)

struct verifier {
	struct session *s;
	struct state state;
	struct projector_verify_options options;
	struct projector_verify_report *report;
	uint64_t to;
	bool partial; /* to is before the checkpoint */
	uint64_t *refused;
	size_t refused_count;
};

static bool
is_text_form(enum column_type type)
{
	return type == COLUMN_JSONB || type == COLUMN_TEXT_ARRAY || type == COLUMN_INT8_ARRAY;
}

/* ---- values as PostgreSQL writes them ---- */

struct normalizer {
	struct pg_array texts;
	struct state_row **rows;
	size_t count, room;
};

static enum rc
flush_normalizer(struct verifier *v, struct state_table *t, size_t column, struct normalizer *n, struct err *e)
{
	if (n->count == 0)
		return RC_OK;
	const struct definition *d = t->definition;
	const char *type = d->columns[column].type == COLUMN_JSONB ? "jsonb" : d->columns[column].sql_type;
	char sql[256];
	snprintf(sql, sizeof sql,
		"select x::%s::text from unnest($1::text[]) with ordinality as u (x, n) order by n", type);
	struct pg_param param;
	struct pg_result *r = NULL;
	enum rc rc = pg_array_param(&n->texts, &param, e);
	if (rc == RC_OK)
		rc = pg_query(v->s->pg, sql, &param, 1, &r, e);
	struct buf fields = buf_new(LIMIT_PG_PARAM_BYTES);
	for (size_t i = 0; rc == RC_OK && i < n->count; i++) {
		struct bytes rest = state_fields(d, n->rows[i]), field;
		const unsigned char *start = rest.data;
		buf_clear(&fields);
		for (size_t c = 0; c < column; c++)
			state_field(&rest, &field);
		buf_put(&fields, start, (size_t)(rest.data - start));
		state_field(&rest, &field);
		struct bytes text = bytes_str(pg_field(r, i, 0));
		buf_put_be32(&fields, (uint32_t)text.len);
		buf_put_bytes(&fields, text);
		buf_put_bytes(&fields, rest);
		if (fields.overflow)
			rc = err_set(e, RC_INVALID, NULL, "a row of table %s is too large", d->table);
		else
			state_replace_fields(&v->state, t, n->rows[i], buf_bytes(&fields));
	}
	buf_free(&fields);
	pg_result_free(r);
	pg_array_free(&n->texts);
	pg_array_start(&n->texts, PG_TEXT_ARRAY, LIMIT_PG_PARAM_BYTES);
	n->count = 0;
	return rc;
}

static enum rc
normalize_column(struct verifier *v, struct state_table *t, size_t column, struct err *e)
{
	struct normalizer n = { .rows = NULL };
	enum rc rc = RC_OK;
	pg_array_start(&n.texts, PG_TEXT_ARRAY, LIMIT_PG_PARAM_BYTES);
	for (size_t b = 0; b < t->bucket_count && rc == RC_OK; b++) {
		/* Of one bucket at a time: replacing fields may move a row, but none of another bucket. */
		for (struct state_row *row = t->buckets[b]; row != NULL; row = row->next) {
			struct bytes rest = state_fields(t->definition, row), field;
			bool told = false;
			for (size_t c = 0; c <= column; c++)
				told = state_field(&rest, &field);
			if (!told)
				continue;
			if (n.count == n.room) {
				n.room = n.room == 0 ? 1024 : 2 * n.room;
				n.rows = base_realloc(n.rows, n.room * sizeof(struct state_row *));
			}
			n.rows[n.count++] = row;
			pg_array_text(&n.texts, field);
		}
		if (n.texts.buf.len > NORMALIZE_BYTES)
			rc = flush_normalizer(v, t, column, &n, e);
	}
	if (rc == RC_OK)
		rc = flush_normalizer(v, t, column, &n, e);
	pg_array_free(&n.texts);
	free(n.rows);
	return rc;
}

/* ---- comparing ---- */

static void
put_value(struct buf *out, enum column_type type, bool told, struct bytes field)
{
	uint64_t u = 0;
	char text[CLOCK_TEXT_BYTES];
	if (!told) {
		buf_put_str(out, "null");
		return;
	}
	if (type == COLUMN_TEXT || is_text_form(type)) {
		buf_put_bytes(out, field);
		return;
	}
	for (size_t i = 0; i < field.len; i++)
		u = u << 8 | field.data[i];
	if (field.len == 2)
		u = (uint64_t)(int64_t)(int16_t)u;
	else if (field.len == 4)
		u = (uint64_t)(int64_t)(int32_t)u;
	if (type == COLUMN_BOOL)
		buf_put_str(out, u != 0 ? "true" : "false");
	else if (type == COLUMN_TIMESTAMPTZ && (int64_t)u == INT64_MIN)
		buf_put_str(out, "-infinity");
	else if (type == COLUMN_TIMESTAMPTZ) {
		clock_format_us((int64_t)u + INT64_C(946684800000000), text);
		buf_put_str(out, text);
	} else {
		buf_printf(out, "%" PRId64, (int64_t)u);
	}
}

static void
put_key(struct buf *out, const struct definition *d, struct bytes fields)
{
	for (size_t i = 0, n = 0; i < d->column_count; i++) {
		struct bytes field;
		bool told = state_field(&fields, &field);
		if (!d->columns[i].key)
			continue;
		buf_put_str(out, n++ == 0 ? "" : " ");
		put_value(out, d->columns[i].type, told, field);
	}
}

static void
report_row(struct verifier *v, const struct definition *d, const char *what, struct bytes fields,
	const char *column, const char *live, const char *folded)
{
	struct buf key = buf_new(LIMIT_PG_PARAM_BYTES);
	put_key(&key, d, fields);
	const struct projector_difference difference = { d->view, buf_cstr(&key), what, column, live, folded };
	if (v->options.found != NULL)
		v->options.found(&difference, v->options.context);
	buf_free(&key);
}

/* Type and name of the n-th column behind the declared ones, in the order of tables_put_columns. */
static enum column_type
book_type(size_t n)
{
	static const enum column_type books[] = { COLUMN_INT8, COLUMN_INT8, COLUMN_INT2, COLUMN_TIMESTAMPTZ,
		COLUMN_TIMESTAMPTZ, COLUMN_TIMESTAMPTZ, COLUMN_INT8 };
	static const enum column_type version[] = { COLUMN_TIMESTAMPTZ, COLUMN_INT2, COLUMN_INT8 };
	return n < COUNT_OF(books) ? books[n] : version[(n - COUNT_OF(books)) % 3];
}

/* live and folded hold the fields of the whole row, bookkeeping included. */
static bool
compare_fields(struct verifier *v, const struct definition *d, struct bytes live, struct bytes folded)
{
	const struct bytes all = folded;
	bool equal = true;
	struct buf names = buf_new(LIMIT_CONFIG_FILE_BYTES);
	tables_put_columns(&names, d);
	const char *name = buf_cstr(&names);
	for (size_t i = 0; live.len > 0 && folded.len > 0; i++) {
		struct bytes l, f;
		bool l_told = state_field(&live, &l), f_told = state_field(&folded, &f);
		size_t name_len = strcspn(name, ",");
		if (l_told != f_told || !bytes_equal(l, f)) {
			enum column_type type = i < d->column_count ? d->columns[i].type
								    : book_type(i - d->column_count);
			struct buf texts[2] = { buf_new(LIMIT_PG_PARAM_BYTES), buf_new(LIMIT_PG_PARAM_BYTES) };
			put_value(&texts[0], type, l_told, l);
			put_value(&texts[1], type, f_told, f);
			char column[160];
			snprintf(column, sizeof column, "%.*s", (int)name_len, name);
			report_row(v, d, "differs", all, column, buf_cstr(&texts[0]), buf_cstr(&texts[1]));
			buf_free(&texts[0]);
			buf_free(&texts[1]);
			equal = false;
		}
		name += name_len;
		name += name[0] == ',' ? 2 : 0;
	}
	buf_free(&names);
	return equal;
}

static uint64_t
hash_of(struct bytes fields)
{
	return state_mix(state_hash_bytes(UINT64_C(0xcbf29ce484222325), fields.data, fields.len));
}

/* One row of the database: its fields as COPY sent them, which is as the state has them. */
static void
compare_row(struct verifier *v, struct state_table *t, struct projector_verify_table *table,
	struct bytes fields)
{
	const struct definition *d = t->definition;
	bool in_pass;
	struct state_row *row = state_find(&v->state, t, fields, &in_pass);
	if (!in_pass)
		return;
	if (v->partial && d->kind == DEFINITION_ENTITY) {
		/* What a later event touched is only known to be there. */
		struct bytes rest = fields, field;
		uint64_t last_seq = 0;
		for (size_t i = 0; i <= d->column_count + 1; i++)
			state_field(&rest, &field);
		for (size_t i = 0; i < field.len; i++)
			last_seq = last_seq << 8 | field.data[i];
		if (last_seq > v->to) {
			if (row != NULL)
				row->seen = true;
			return;
		}
	}
	table->rows++;
	table->live_hash += hash_of(fields);
	if (row == NULL) {
		table->differences++;
		report_row(v, d, "not in the log", fields, NULL, NULL, NULL);
		return;
	}
	row->seen = true;
	struct buf folded = buf_new(2 * LIMIT_PG_PARAM_BYTES);
	state_put_fields(&folded, d, row);
	table->folded_hash += hash_of(buf_bytes(&folded));
	if (!bytes_equal(buf_bytes(&folded), fields) && !compare_fields(v, d, fields, buf_bytes(&folded)))
		table->differences++;
	buf_free(&folded);
}

static void
report_missing(struct verifier *v, struct state_table *t, struct projector_verify_table *table)
{
	for (size_t b = 0; b < t->bucket_count; b++) {
		for (struct state_row *row = t->buckets[b]; row != NULL; row = row->next) {
			if (row->seen)
				continue;
			struct buf folded = buf_new(2 * LIMIT_PG_PARAM_BYTES);
			state_put_fields(&folded, t->definition, row);
			table->folded_hash += hash_of(buf_bytes(&folded));
			buf_free(&folded);
			table->differences++;
			report_row(v, t->definition, "not in the table", state_fields(t->definition, row), NULL,
				NULL, NULL);
		}
	}
}

static void
put_select(struct buf *sql, const struct verifier *v, const struct definition *d)
{
	buf_put_str(sql, "copy (select ");
	for (size_t i = 0; i < d->column_count; i++)
		buf_printf(sql, "%s%s%s", i == 0 ? "" : ", ", d->columns[i].name,
			is_text_form(d->columns[i].type) ? "::text" : "");
	tables_put_book_columns(sql, d);
	buf_put_str(sql, " from ");
	pg_put_identifier(sql, v->s->generation.schema);
	buf_printf(sql, ".%s", d->table);
	for (size_t i = 0; v->partial && i < d->column_count; i++) {
		const struct expression *x = &d->columns[i].value;
		if (d->kind == DEFINITION_FACT && d->columns[i].key && x->count == 1 &&
			x->alternatives->operand.kind == OPERAND_ENVELOPE &&
			x->alternatives->operand.field == ENVELOPE_SEQ)
			buf_printf(sql, " where %s <= %" PRIu64, d->columns[i].name, v->to);
	}
	buf_put_str(sql, ") to stdout (format binary)");
}

static enum rc
compare_table(struct verifier *v, size_t index, struct err *e)
{
	struct state_table *t = &v->state.tables[index];
	const struct definition *d = t->definition;
	struct projector_verify_table *table = &v->report->tables[index];
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	enum rc rc = RC_OK;
	for (size_t i = 0; i < d->column_count && rc == RC_OK; i++) {
		if (is_text_form(d->columns[i].type))
			rc = normalize_column(v, t, i, e);
	}
	put_select(&sql, v, d);
	if (rc == RC_OK)
		rc = pg_copy_out(v->s->pg, buf_cstr(&sql), e);
	buf_free(&sql);
	while (rc == RC_OK) {
		struct bytes fields;
		rc = state_get_copied(v->s->pg, &fields, e);
		if (rc != RC_OK || fields.data == NULL)
			break;
		compare_row(v, t, table, fields);
	}
	if (rc == RC_OK)
		report_missing(v, t, table);
	return rc;
}

static enum rc
compare_all(struct verifier *v, struct err *e)
{
	unsigned char chain[STORE_CHAIN_BYTES];
	const struct load_hooks hooks = { .refused = v->refused, .refused_count = v->refused_count };
	enum rc rc;
	do {
		rc = load_pass(v->s, &v->state, 1, v->to, &hooks, chain, e);
		if (rc == RC_OK && v->state.overflow)
			rc = err_set(e, RC_INVALID, NULL, "a row is too large to be compared");
		v->report->passes++;
		for (size_t i = 0; i < v->s->catalog.count && rc == RC_OK; i++) {
			if (!v->report->tables[i].skipped)
				rc = compare_table(v, i, e);
		}
	} while (rc == RC_OK && state_next_pass(&v->state));
	return rc;
}

static enum rc
choose_tables(struct verifier *v, struct err *e)
{
	struct projector_verify_report *report = v->report;
	bool found = v->options.table == NULL;
	report->table_count = v->s->catalog.count;
	if (report->table_count > COUNT_OF(report->tables))
		return err_set(e, RC_INVALID, NULL, "more than %zu tables", COUNT_OF(report->tables));
	for (size_t i = 0; i < report->table_count; i++) {
		const struct definition *d = &v->s->catalog.definitions[i];
		struct projector_verify_table *t = &report->tables[i];
		snprintf(t->view, sizeof t->view, "%s", d->view);
		bool wanted = v->options.table == NULL || strcmp(d->view, v->options.table) == 0 ||
			strcmp(d->table, v->options.table) == 0;
		found = found || wanted;
		/* A fact that no event's number tells apart has nothing that says how new it is. */
		t->skipped = !wanted || (v->partial && d->kind == DEFINITION_FACT && !state_is_streamed(d));
	}
	return found ? RC_OK : err_set(e, RC_NOTFOUND, NULL, "there is no projection that makes table %s",
		v->options.table);
}

enum rc
projector_verify(const struct projector_options *o, const struct projector_verify_options *options,
	struct projector_verify_report *report, struct err *e)
{
	struct session s;
	struct verifier v = { .s = &s, .options = *options, .report = report };
	*report = (struct projector_verify_report){ 0 };
	enum rc rc = options->generation == 0 ? session_look(&s, o, e) : session_open(&s, o, e);
	if (rc == RC_OK && options->generation != 0)
		rc = session_reach(&s, "hooklog", e);
	/* One snapshot, so that the projector may go on meanwhile. */
	if (rc == RC_OK)
		rc = pg_exec(s.pg, "begin isolation level repeatable read read only; "
			"set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0", e);
	if (rc == RC_OK)
		rc = options->generation == 0 ? generation_find(s.pg, GENERATION_LIVE, &s.generation, e)
					      : generation_find_id(s.pg, options->generation, &s.generation, e);
	if (rc == RC_OK)
		rc = session_check_definitions(&s, e);
	if (rc == RC_OK)
		rc = generation_check_log(&s.generation, o->reader, e);
	if (rc == RC_OK && options->to > s.generation.seq)
		rc = err_set(e, RC_NOTFOUND, NULL, "the tables are at event %" PRIu64, s.generation.seq);
	v.to = options->to == 0 ? s.generation.seq : options->to;
	v.partial = v.to < s.generation.seq;
	report->seq = v.to;
	if (rc == RC_OK)
		rc = choose_tables(&v, e);
	if (rc == RC_OK)
		rc = session_read_refused(&s, &v.refused, &v.refused_count, e);
	if (rc == RC_OK) {
		pg_set_timeout_ms(s.pg, 0);
		state_open(&v.state, &s.catalog, load_state_bytes(o));
		rc = compare_all(&v, e);
		state_close(&v.state);
	}
	free(v.refused);
	session_close(&s);
	for (size_t i = 0; i < report->table_count; i++)
		report->differences += report->tables[i].differences;
	return rc;
}
