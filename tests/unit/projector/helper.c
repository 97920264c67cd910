/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/projector/helper.h"

enum rc
helper_load(struct catalog *c, const char *name, const char *text, struct arena *a, struct err *e)
{
	const char *base = getenv("TMPDIR");
	char *dir = arena_printf(a, "%s/hooklog-projector.XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(dir));
	const char *path = arena_printf(a, "%s/%s", dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	enum rc rc = catalog_load(c, dir, a, e);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	return rc;
}

struct catalog
helper_catalog(const char *text, struct arena *a)
{
	struct catalog c;
	struct err e = { 0 };
	if (helper_load(&c, "test.sql", text, a, &e) != RC_OK)
		fail_msg("%s", e.text);
	return c;
}

struct store_record
helper_record(uint64_t seq, const char *event, const char *body)
{
	return (struct store_record){
		.event = {
			.seq = seq,
			.received_at_us = HELPER_TIME_US(seq),
			.origin = EVENT_ORIGIN_WEBHOOK,
			.source = bytes_str("gh"),
			.provider = bytes_str("github"),
			.event = bytes_str(event),
			.delivery = bytes_str("d-1"),
			.hook = bytes_str("17"),
			.content_type = bytes_str("application/json"),
			.body = bytes_str(body),
		},
	};
}

struct fold_table *
helper_table(const struct fold *fold, const char *name)
{
	for (size_t i = 0; i < fold->count; i++) {
		if (strcmp(fold->tables[i].definition->table, name) == 0)
			return &fold->tables[i];
	}
	fail_msg("no table %s", name);
	return NULL;
}

size_t
helper_column(const struct definition *d, const char *name)
{
	for (size_t i = 0; i < d->column_count; i++) {
		if (strcmp(d->columns[i].name, name) == 0)
			return i;
	}
	fail_msg("no column %s in %s", name, d->table);
	return 0;
}

const char *
helper_cell(const struct fold_table *t, const struct fold_row *row, const char *column, struct arena *a)
{
	size_t i = helper_column(t->definition, column);
	const struct cell *cell = &row->cells[i];
	if (cell->null)
		return NULL;
	switch (t->definition->columns[i].type) {
	case COLUMN_TEXT:
	case COLUMN_JSONB:
	case COLUMN_TEXT_ARRAY:
	case COLUMN_INT8_ARRAY:
		return arena_string(a, cell->text);
	case COLUMN_BOOL:
		return cell->integer != 0 ? "true" : "false";
	default:
		return arena_printf(a, "%" PRId64, cell->integer);
	}
}
