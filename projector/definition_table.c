/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "projector/parser.h"

static enum rc
column_type_of(struct parser *p, const char *sql_type, enum column_type *out)
{
	static const struct {
		const char *name;
		enum column_type type;
	} types[] = { { "bigint", COLUMN_INT8 }, { "integer", COLUMN_INT4 }, { "smallint", COLUMN_INT2 },
		{ "boolean", COLUMN_BOOL }, { "text", COLUMN_TEXT },
		{ "timestamptz", COLUMN_TIMESTAMPTZ }, { "jsonb", COLUMN_JSONB },
		{ "text[]", COLUMN_TEXT_ARRAY }, { "bigint[]", COLUMN_INT8_ARRAY } };
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		if (strcmp(sql_type, types[i].name) == 0) {
			*out = types[i].type;
			return RC_OK;
		}
	}
	return parser_wrong(p, sql_type, "type '%s' cannot be filled from an event; known are bigint, integer, smallint, "
		"boolean, text, timestamptz, jsonb, text[], bigint[]", sql_type);
}

static enum rc
group_of(struct parser *p, const char *name, size_t column, size_t *group)
{
	struct definition *d = p->d;
	for (size_t i = 0; i < d->group_count; i++) {
		if (strcmp(d->groups[i], name) == 0) {
			/* The first column of a group is its anchor; core has none before its first. */
			if (d->group_anchor[i] == SIZE_MAX)
				d->group_anchor[i] = column;
			*group = i;
			return RC_OK;
		}
	}
	if (d->group_count == GROUPS_MAX)
		return parser_wrong(p, name, "more than %d column groups", GROUPS_MAX);
	if (!parser_is_identifier(name))
		return parser_wrong(p, name, "'%s' is not the name of a column group", name);
	d->groups[d->group_count] = name;
	d->group_anchor[d->group_count] = column;
	*group = d->group_count++;
	return RC_OK;
}

/* What stands behind the expression, after " -- " outside of quotes; cut off from it. NULL: nothing. */
static const char *
cut_about(char *expression)
{
	bool quoted = false;
	for (char *c = expression; *c != '\0'; c++) {
		if (*c == '\'')
			quoted = !quoted;
		if (quoted || strncmp(c, " -- ", 4) != 0)
			continue;
		*c = '\0';
		return c + 4;
	}
	return NULL;
}

/* "name type generated always as (...) stored, -- what it is" */
static enum rc
parse_generated(struct parser *p, const struct words *words, const char *about)
{
	struct definition *d = p->d;
	if (d->generated_count == GENERATED_MAX)
		return parser_wrong(p, NULL, "more than %d generated columns", GENERATED_MAX);
	d->generated[d->generated_count++] =
		(struct generated_column){ words->list[0], words->list[1], about };
	return RC_OK;
}

static enum rc
parse_value(struct parser *p, struct column *c, const char *text)
{
	char *source = arena_string(p->a, bytes_str(text));
	c->about = cut_about(source);
	c->source = source;
	const char *piece;
	enum rc rc = expression_parse(source, p->a, &p->d->operand_count, &c->value, &piece, p->e);
	return rc == RC_OK ? RC_OK : parser_locate(p, piece);
}

/* A line of the table: "name type ..., -- group = expression". Lines without " = " in their comment are
 * none of ours: constraints. */
enum rc
parser_table(struct parser *p, const char *line, const struct words *keys)
{
	struct definition *d = p->d;
	const char *comment = strstr(line, "-- ");
	const char *equals = comment == NULL ? NULL : strstr(comment, "= ");
	struct words words, groups;
	char *left = arena_string(p->a, (struct bytes){ (const unsigned char *)line,
		comment == NULL ? strlen(line) : (size_t)(comment - line) });
	enum rc rc = parser_split(p, left, " \t,", &words);
	if (rc != RC_OK)
		return rc;
	if (words.count > 2 && strstr(left, "generated always as") != NULL)
		return parse_generated(p, &words, comment == NULL ? NULL : comment + 3);
	if (equals == NULL)
		return RC_OK;
	rc = parser_split(p, arena_string(p->a, (struct bytes){ (const unsigned char *)comment + 3,
		(size_t)(equals - comment - 3) }), " \t", &groups);
	if (rc != RC_OK || groups.count > 1)
		return rc; /* a sentence that happens to hold "= " */
	if (words.count < 2 || !parser_is_identifier(words.list[0]))
		return parser_wrong(p, NULL, "a column line must start with a name and a type");
	if (d->column_count == COLUMNS_MAX)
		return parser_wrong(p, NULL, "more than %d columns", COLUMNS_MAX);
	struct column *c = &d->columns[d->column_count];
	*c = (struct column){ .name = words.list[0], .sql_type = words.list[1] };
	for (size_t i = 0; i < keys->count; i++)
		c->key = c->key || strcmp(keys->list[i], c->name) == 0;
	rc = column_type_of(p, c->sql_type, &c->type);
	/* Two texts of one jsonb value differ, and would meet in one statement as the same key. */
	if (rc == RC_OK && c->key && c->type >= COLUMN_JSONB)
		rc = parser_wrong(p, c->sql_type, "a column of the key cannot be of type %s", c->sql_type);
	if (rc == RC_OK && !c->key)
		rc = group_of(p, groups.count == 1 ? groups.list[0] : "core", d->column_count, &c->group);
	if (rc == RC_OK)
		rc = parse_value(p, c, equals + 2);
	d->has_jsonb = d->has_jsonb || c->type == COLUMN_JSONB;
	d->column_count++;
	return rc;
}
