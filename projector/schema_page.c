/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/catalog.h"
#include "projector/comments.h"
#include "projector/projector.h"
#include "projector/tables.h"
#include "sql/sql.h"

/* The page of the schema: from the same declarations that make the tables and their comments. */

/* In a cell of a Markdown table a bar ends the cell, even within code. */
static void
put_cell(struct buf *out, const char *text, bool code)
{
	if (text[0] == '\0')
		return;
	buf_put_str(out, code ? "`" : "");
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '|')
			buf_put_char(out, '\\');
		buf_put_char(out, *p);
	}
	buf_put_str(out, code ? "`" : "");
}

struct page {
	struct buf *out;
	const struct definition *d;
};

static void
put_column(const char *name, const char *sql_type, void *context)
{
	const struct page *page = context;
	struct buf source = buf_new(LIMIT_CONFIG_FILE_BYTES);
	comments_put_source(&source, page->d, name);
	buf_printf(page->out, "| `%s` | %s | ", name, sql_type);
	put_cell(page->out, buf_cstr(&source), true);
	buf_put_str(page->out, " | ");
	put_cell(page->out, comments_about_column(page->d, name), false);
	buf_put_str(page->out, " |\n");
	buf_free(&source);
}

static void
put_keys(struct buf *out, const struct definition *d)
{
	size_t n = 0;
	for (size_t i = 0; i < d->column_count; i++) {
		if (d->columns[i].key)
			buf_printf(out, "%s`%s`", n++ == 0 ? "" : ", ", d->columns[i].name);
	}
}

static void
put_table(struct buf *out, const struct definition *d)
{
	struct page page = { out, d };
	buf_printf(out, "## %s\n\n%s\n\nKey: ", d->view, d->about);
	put_keys(out, d);
	buf_put_str(out, d->kind == DEFINITION_FACT ? ". Facts: rows never change" : ". Versions: ");
	for (size_t i = 0; d->kind == DEFINITION_ENTITY && i < d->group_count; i++)
		buf_printf(out, "%s`%s`", i == 0 ? "" : ", ", d->groups[i]);
	if (d->tombstone_count > 0)
		buf_put_str(out, ", `deleted`");
	buf_printf(out, ". File: `%s`.\n\n| column | type | from | meaning |\n|---|---|---|---|\n", d->file);
	for (size_t i = 0; i < d->column_count; i++)
		put_column(d->columns[i].name, d->columns[i].sql_type, &page);
	for (size_t i = 0; i < d->generated_count; i++)
		put_column(d->generated[i].name, d->generated[i].sql_type, &page);
	buf_put_char(out, '\n');
}

/* Those of a definition with one group more and a tombstone are all there are. */
static void
put_books(struct buf *out)
{
	static const struct definition any = { .kind = DEFINITION_ENTITY, .groups = { "core", "full" },
		.group_count = 2, .tombstone_count = 1 };
	struct page page = { out, &any };
	buf_put_str(out,
		"## Bookkeeping columns of an entity\n\n"
		"Behind its own columns every table has these that is not made of facts. A column group has a\n"
		"version of its own: `version_*` is that of the group core, `full_version_*` that of the group\n"
		"`full`, and so on; `deleted_version_*` that of the deletion.\n\n"
		"| column | type | from | meaning |\n|---|---|---|---|\n");
	tables_each_book_column(&any, put_column, &page);
	buf_put_char(out, '\n');
}

/* Appends the next "comment on KIND NAME is 'TEXT'" of *text; false when there is none. *text is moved on. */
static bool
next_comment(const char **text, struct buf *name, struct buf *comment)
{
	static const char start[] = "\ncomment on ";
	const char *p = strstr(*text, start);
	if (p == NULL)
		return false;
	p += strlen(start);
	p += strcspn(p, " ") + 1; /* table, column */
	buf_clear(name);
	buf_clear(comment);
	buf_put(name, p, strcspn(p, " \n"));
	p = strchr(p, '\'');
	for (p++; *p != '\0' && (*p != '\'' || p[1] == '\''); p++) {
		buf_put_char(comment, *p);
		p += *p == '\'';
	}
	*text = p;
	return true;
}

/* The type behind a column's name, where the table is made or gets it: "NAME TYPE". */
static void
put_control_type(struct buf *out, const char *text, const char *table, const char *column)
{
	for (const char *p = text; (p = strstr(p, table)) != NULL; p += strlen(table)) {
		const char *end = strstr(p, ";\n");
		for (const char *at = p; (at = strstr(at, column)) != NULL && at < end; at++) {
			const char *type = at + strlen(column);
			if ((at[-1] != '\t' && strncmp(at - 11, "add column ", 11) != 0) || *type != ' ')
				continue;
			type += strspn(type, " ");
			buf_put(out, type, strcspn(type, " ,;\n"));
			return;
		}
	}
}

/* A later step of the control schema may say it better. */
static bool
is_said_again(const char *rest, const char *name)
{
	struct buf other = buf_new(1024), comment = buf_new(LIMIT_CONFIG_FILE_BYTES);
	bool again = false;
	while (!again && next_comment(&rest, &other, &comment))
		again = strcmp(buf_cstr(&other), name) == 0;
	buf_free(&other);
	buf_free(&comment);
	return again;
}

/* The columns of table that text has comments on. types: it is a control table. */
static void
put_commented(struct buf *out, const char *text, const char *table, bool types)
{
	struct buf name = buf_new(1024), comment = buf_new(LIMIT_CONFIG_FILE_BYTES);
	const char *all = text;
	size_t len = strlen(table);
	while (next_comment(&text, &name, &comment)) {
		const char *column = buf_cstr(&name);
		if (strncmp(column, table, len) != 0 || column[len] != '.' || is_said_again(text, column))
			continue;
		column += len + 1;
		buf_printf(out, "| `%s` | ", column);
		if (types) {
			put_control_type(out, all, table, column);
			buf_put_str(out, " | ");
		}
		put_cell(out, buf_cstr(&comment), false);
		buf_put_str(out, " |\n");
	}
	buf_free(&name);
	buf_free(&comment);
}

/* The steps add to each other's tables, so each table is looked for in all of them. */
static void
put_control(struct buf *out)
{
	struct buf text = buf_new(LIMIT_TEXT_BYTES), name = buf_new(1024), comment = buf_new(LIMIT_CONFIG_FILE_BYTES);
	for (size_t i = 0; i < sql_file_count; i++) {
		if (strncmp(sql_files[i].path, "sql/control/", 12) == 0)
			buf_put_str(&text, sql_files[i].text);
	}
	for (const char *p = buf_cstr(&text); next_comment(&p, &name, &comment);) {
		if (strchr(buf_cstr(&name), '.') != strrchr(buf_cstr(&name), '.'))
			continue; /* of a column */
		buf_printf(out, "## %s\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n", buf_cstr(&name),
			buf_cstr(&comment));
		put_commented(out, buf_cstr(&text), buf_cstr(&name), true);
		buf_put_char(out, '\n');
	}
	buf_free(&text);
	buf_free(&name);
	buf_free(&comment);
}

enum rc
projector_put_schema(struct buf *out, struct err *e)
{
	struct arena *a = arena_new(256 * 1024);
	struct catalog c;
	enum rc rc = catalog_load(&c, "", a, e);
	buf_put_str(out,
		"# Schema\n\n<!-- Written by `ninja docs`. -->\n\n"
		"Every table, column and view that this version makes, as `COMMENT ON` has it in the database.\n"
		"[tables.md](../tables.md) explains them together. *From* is what the column is read from, in the\n"
		"words of [projection files](../projections.md#expressions).\n\n");
	if (rc == RC_OK)
		put_books(out);
	for (size_t i = 0; rc == RC_OK && i < c.count; i++)
		put_table(out, &c.definitions[i]);
	for (size_t i = 0; i < sql_file_count; i++) {
		const struct sql_file *file = &sql_files[i];
		if (strncmp(file->path, "sql/views/", 10) != 0)
			continue;
		const char *name = arena_string(a, (struct bytes){ (const unsigned char *)file->path + 10,
			strlen(file->path) - 14 });
		buf_printf(out, "## %s\n\n", name);
		comments_put_prose(out, file->text);
		buf_put_str(out, "\n\n| column | meaning |\n|---|---|\n");
		put_commented(out, file->text, name, false);
		buf_put_char(out, '\n');
	}
	put_control(out);
	if (c.paths != NULL)
		catalog_free(&c);
	arena_free(a);
	return rc;
}
