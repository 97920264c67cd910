/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "projector/parser.h"

static enum rc
parse_line(struct parser *p, const char *line, struct words *keys)
{
	struct definition *d = p->d;
	if (strncasecmp(line, "create table ", 13) == 0 && d->table == NULL) {
		struct words words;
		enum rc rc = parser_split(p, line + 13, " (", &words);
		if (rc != RC_OK)
			return rc;
		if (words.count == 0 || !parser_is_identifier(words.list[0]))
			return parser_wrong(p, words.count == 0 ? NULL : words.list[0],
				"the table's name must be lower case and without a schema");
		if (strcmp(words.list[0], "if") == 0)
			return parser_wrong(p, "if", "without 'if not exists': the table is made in a new schema");
		d->table = words.list[0];
		p->in_table = true;
		return RC_OK;
	}
	if (d->table == NULL && strncmp(line, "--", 2) == 0 && (line[2] == ' ' || line[2] == '\0'))
		return parser_head(p, line + 2 + (line[2] == ' '), keys);
	if (p->in_table && line[0] == ')')
		p->in_table = false;
	if (!p->in_table)
		return RC_OK;
	while (*line == ' ' || *line == '\t')
		line++;
	/* "id bigint primary key," without a comment takes its value from the same name. */
	for (size_t i = 0; i < keys->count; i++) {
		size_t len = strlen(keys->list[i]);
		if (strncmp(line, keys->list[i], len) == 0 && isspace((unsigned char)line[len]) &&
			strstr(line, "-- ") == NULL)
			return parser_table(p, arena_printf(p->a, "%s -- = %s", line, keys->list[i]), keys);
	}
	return parser_table(p, line, keys);
}

struct name_check {
	const struct definition *d;
	const char *unknown;
};

/* ":name" must be set by at least one rows line, else the column would stay null without a word. */
static void
check_row_name(const struct operand *operand, void *context)
{
	struct name_check *check = context;
	if (operand->kind != OPERAND_ROW)
		return;
	for (size_t i = 0; i < check->d->rows_count; i++) {
		const struct rows_line *r = &check->d->rows[i];
		for (size_t k = 0; k < r->constant_count; k++) {
			if (strcmp(r->constants[k].name, operand->text) == 0)
				return;
		}
	}
	check->unknown = operand->text;
}

static enum rc
check_row_names(struct parser *p)
{
	struct name_check names = { p->d, NULL };
	definition_each_operand(p->d, check_row_name, &names);
	if (names.unknown == NULL)
		return RC_OK;
	const char *piece = arena_printf(p->a, ":%s", names.unknown);
	parser_seek(p, piece);
	return parser_wrong(p, piece, "no 'rows:' line sets :%s", names.unknown);
}

static bool
has_ranked_rows(const struct definition *d)
{
	for (size_t i = 0; i < d->rows_count; i++) {
		if (d->rows[i].rank > 0)
			return true;
	}
	return false;
}

static enum rc
check_view(struct parser *p)
{
	struct definition *d = p->d;
	if (d->view == NULL)
		d->view = arena_printf(p->a, "gh.%s", d->table);
	const char *dot = strchr(d->view, '.');
	if (dot != NULL) {
		struct bytes schema = { (const unsigned char *)d->view, (size_t)(dot - d->view) };
		if (parser_is_identifier(arena_string(p->a, schema)) && parser_is_identifier(dot + 1))
			return RC_OK;
	}
	parser_seek(p, "-- view:");
	return parser_wrong(p, d->view, "'view:' must be SCHEMA.NAME, not '%s'", d->view);
}

static enum rc
check_keys(struct parser *p, const struct words *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		size_t found = 0;
		for (size_t k = 0; k < p->d->column_count; k++)
			found += strcmp(keys->list[i], p->d->columns[k].name) == 0;
		for (size_t k = 0; k < i; k++)
			found += strcmp(keys->list[i], keys->list[k]) == 0;
		if (found == 1)
			continue;
		parser_seek(p, "-- key:");
		return parser_wrong(p, keys->list[i],
			"every column named by 'key:' needs one line '-- = ...' in the table");
	}
	return RC_OK;
}

/* The file as a whole; what it lacks is said of its first line. */
static enum rc
check(struct parser *p, const struct words *keys)
{
	const struct definition *d = p->d;
	parser_seek(p, "");
	if (d->table == NULL)
		return parser_wrong(p, NULL, "no 'create table' line");
	if (d->rows_count == 0)
		return parser_wrong(p, NULL, "no '-- rows:' line");
	if (keys->count == 0)
		return parser_wrong(p, NULL, "no '-- key:' line");
	enum rc rc = check_keys(p, keys);
	if (rc == RC_OK && d->kind == DEFINITION_ENTITY && d->group_anchor[0] == SIZE_MAX) {
		parser_seek(p, "create table ");
		rc = parser_wrong(p, NULL, "an entity needs at least one column of the group core");
	}
	if (rc == RC_OK && d->tombstone_count > 0 && !has_ranked_rows(d)) {
		parser_seek(p, "-- delete:");
		rc = parser_wrong(p, NULL,
			"'delete:' needs a 'rows:' line of rank 1 or more: the event's own object");
	}
	if (rc == RC_OK)
		rc = check_row_names(p);
	return rc == RC_OK ? check_view(p) : rc;
}

enum rc
definition_parse(const char *file, const char *text, struct arena *a, struct definition *d, struct err *e)
{
	struct parser p = { .d = d, .a = a, .file = file, .e = e };
	struct words keys = { .count = 0 };
	*d = (struct definition){ .file = file, .ddl = text, .provider = "*", .about = "" };
	d->columns = arena_alloc(a, COLUMNS_MAX * sizeof *d->columns);
	d->rows = arena_alloc(a, ROWS_MAX * sizeof *d->rows);
	d->groups[0] = "core";
	d->group_anchor[0] = SIZE_MAX;
	d->group_count = 1;
	while (*text != '\0') {
		const char *end = strchr(text, '\n');
		size_t len = end == NULL ? strlen(text) : (size_t)(end - text);
		char *line = arena_string(a, (struct bytes){ (const unsigned char *)text, len });
		p.line++;
		p.text = line;
		enum rc rc = parse_line(&p, line, &keys);
		if (rc != RC_OK)
			return rc;
		text += len + (end != NULL);
	}
	enum rc rc = check(&p, &keys);
	if (rc == RC_OK) {
		/* Tombstones look at the document's action, whatever the columns use. */
		struct condition action;
		const char *piece;
		d->action_index = d->operand_count;
		rc = condition_parse("$.action", a, &d->operand_count, &action, &piece, e);
	}
	return rc;
}
