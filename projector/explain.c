/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/load.h"
#include "projector/tables.h"

/* Fills what the log says of the event. It may be gone: old segments can be archived. */
static enum rc
describe_event(struct session *s, uint64_t seq, struct projector_explanation *x, struct err *e)
{
	const struct store_record *record;
	size_t count = 0;
	x->seq = seq;
	if (seq == 0)
		return RC_OK;
	arena_reset(s->read);
	enum rc rc = store_read(s->o->reader, seq, 1, SIZE_MAX, s->read, &record, &count, e);
	if (rc == RC_NOTFOUND)
		return RC_OK;
	if (rc != RC_OK || count == 0)
		return rc;
	const struct event *ev = &record->event;
	x->received_at_us = ev->received_at_us;
	x->event = arena_string(s->read, ev->event);
	x->delivery = arena_string(s->read, ev->delivery);
	struct jpath_set *paths = jpath_set_new();
	struct jpath_doc *doc;
	struct bytes json;
	size_t slot;
	if (jpath_add(paths, "action", &slot, NULL) == RC_OK &&
		event_payload(ev, s->read, &json, NULL) == RC_OK &&
		jpath_walk(paths, json, s->read, &doc, NULL) == RC_OK &&
		jpath_get(doc, slot, 0).type == JPATH_STRING)
		x->action = arena_string(s->read, jpath_text(jpath_get(doc, slot, 0), s->read, NULL));
	jpath_set_free(paths);
	return RC_OK;
}

static enum rc
query_row(struct session *s, const struct definition *d, const char *const *key, size_t key_count,
	struct pg_result **r, struct err *e)
{
	struct pg_param params[TABLES_PARAMS_MAX];
	size_t keys = 0;
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES), where = buf_new(LIMIT_CONFIG_FILE_BYTES);
	buf_put_str(&sql, "select ");
	for (size_t i = 0; i < d->column_count; i++) {
		buf_printf(&sql, "%s%s::text", i == 0 ? "" : ", ", d->columns[i].name);
		if (!d->columns[i].key)
			continue;
		if (keys < key_count)
			params[keys] = pg_param_text(key[keys]);
		keys++;
		buf_printf(&where, "%s%s::text = $%zu", keys == 1 ? " where " : " and ", d->columns[i].name, keys);
	}
	tables_put_book_columns(&sql, d);
	buf_put_str(&sql, " from ");
	pg_put_identifier(&sql, s->generation.schema);
	buf_printf(&sql, ".%s%s", d->table, buf_cstr(&where));
	enum rc rc = RC_OK;
	if (keys != key_count)
		rc = err_set(e, RC_INVALID, NULL, "the key of %s has %zu parts, in the order of its columns", d->view,
			keys);
	if (rc == RC_OK)
		rc = pg_query(s->pg, buf_cstr(&sql), params, keys, r, e);
	if (rc == RC_OK && pg_rows(*r) == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "%s has no such row", d->view);
	buf_free(&sql);
	buf_free(&where);
	return rc;
}

/* One group of columns: those of it, and the event of its version. group_count stands for the tombstone,
 * and in a fact group 0 for all columns. */
static enum rc
explain_group(struct session *s, const struct definition *d, const struct pg_result *r, size_t group,
	const struct projector_explain_options *options, struct err *e)
{
	struct projector_explanation x = { .view = d->view };
	struct projector_value values[TABLES_PARAMS_MAX];
	bool fact = d->kind == DEFINITION_FACT, life = !fact && group == d->group_count;
	uint64_t seq = 0;
	x.group = fact ? "row" : life ? "deleted" : d->groups[group];
	x.values = values;
	for (size_t i = 0; i < d->column_count && !life; i++) {
		const struct column *c = &d->columns[i];
		if (!c->key && (fact || c->group == group))
			values[x.value_count++] = (struct projector_value){ c->name, pg_field(r, 0, i) };
		if (fact && c->key && state_is_streamed(d) && c->value.alternatives->operand.kind == OPERAND_ENVELOPE &&
			c->value.alternatives->operand.field == ENVELOPE_SEQ)
			seq = strtoull(pg_field(r, 0, i), NULL, 10);
	}
	if (!fact) {
		size_t books = d->column_count + 7, at = books + 3 * group;
		x.version_at = pg_field(r, 0, at);
		x.version_rank = (int)strtol(pg_field(r, 0, at + 1), NULL, 10);
		seq = strtoull(pg_field(r, 0, at + 2), NULL, 10);
	}
	if (life)
		values[x.value_count++] = (struct projector_value){ "deleted_at", pg_field(r, 0, d->column_count + 5) };
	enum rc rc = describe_event(s, seq, &x, e);
	if (rc == RC_OK)
		options->found(&x, options->context);
	return rc;
}

enum rc
projector_explain(const struct projector_options *o, const struct projector_explain_options *options,
	struct err *e)
{
	struct session s;
	const struct definition *d = NULL;
	struct pg_result *r = NULL;
	enum rc rc = session_look(&s, o, e);
	if (rc == RC_OK)
		rc = session_check_definitions(&s, e);
	for (size_t i = 0; rc == RC_OK && d == NULL && i < s.catalog.count; i++) {
		const struct definition *one = &s.catalog.definitions[i];
		if (strcmp(one->view, options->table) == 0 || strcmp(one->table, options->table) == 0)
			d = one;
	}
	if (rc == RC_OK && d == NULL)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no projection that makes table %s", options->table);
	if (rc == RC_OK)
		rc = query_row(&s, d, options->key, options->key_count, &r, e);
	size_t groups = rc != RC_OK ? 0 : d->kind == DEFINITION_FACT ? 1 : state_version_count(d);
	for (size_t g = 0; g < groups && rc == RC_OK; g++)
		rc = explain_group(&s, d, r, g, options, e);
	pg_result_free(r);
	session_close(&s);
	return rc;
}
