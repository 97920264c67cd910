/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/limits.h"
#include "projector/definition.h"

#define COLUMNS_MAX 100
#define ROWS_MAX 64
#define WORDS_MAX 64

struct parser {
	struct definition *d;
	struct arena *a;
	const char *file;
	int line;
	bool in_table;
	struct err *e;
};

static enum rc wrong(const struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static enum rc
wrong(const struct parser *p, const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(p->e, RC_INVALID, "config.projection", "%s:%d: %s", p->file, p->line, text);
}

static enum rc
at_line(const struct parser *p, enum rc rc)
{
	return rc == RC_OK ? RC_OK : err_wrap(p->e, "%s:%d", p->file, p->line);
}

/* Splits text at the separators into trimmed words in the arena, keeping quoted text whole. */
static size_t
split(const struct parser *p, const char *text, const char *separators, char *words[WORDS_MAX])
{
	size_t count = 0;
	while (*text != '\0' && count < WORDS_MAX) {
		while (*text != '\0' && (strchr(separators, *text) != NULL || isspace((unsigned char)*text)))
			text++;
		const char *start = text;
		bool quoted = false;
		while (*text != '\0' && (quoted || strchr(separators, *text) == NULL)) {
			if (*text == '\'')
				quoted = !quoted;
			text++;
		}
		const char *end = text;
		while (end > start && isspace((unsigned char)end[-1]))
			end--;
		if (end > start)
			words[count++] = arena_string(p->a,
				(struct bytes){ (const unsigned char *)start, (size_t)(end - start) });
	}
	return count;
}

static bool
is_identifier(const char *s)
{
	size_t len = 0;
	for (; s[len] != '\0'; len++) {
		if (!(islower((unsigned char)s[len]) || s[len] == '_' ||
			    (len > 0 && isdigit((unsigned char)s[len]))))
			return false;
	}
	return len > 0 && len < 64;
}

static enum rc
parse_events(struct parser *p, struct rows_line *r, char **words, size_t count, size_t *i)
{
	size_t first = *i;
	while (*i < count) {
		char *word = words[*i];
		size_t len = strlen(word);
		(*i)++;
		bool more = word[len - 1] == ',';
		if (more)
			word[len - 1] = '\0';
		if (!more)
			break;
	}
	r->event_count = *i - first;
	r->events = arena_alloc(p->a, (r->event_count + 1) * sizeof *r->events);
	for (size_t k = 0; k < r->event_count; k++)
		r->events[k] = words[first + k];
	return r->event_count > 0 ? RC_OK : wrong(p, "'on' needs the names of events");
}

/* rows: PATH [on EVENT, ...] [rank N] [where CONDITION] [NAME='TEXT' ...] */
static enum rc
parse_rows(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	char *words[WORDS_MAX];
	size_t count = split(p, text, " \t", words);
	if (count == 0)
		return wrong(p, "'rows:' needs a path; '.' is the whole document");
	if (d->rows_count == ROWS_MAX)
		return wrong(p, "more than %d 'rows:' lines", ROWS_MAX);
	struct rows_line *r = &d->rows[d->rows_count++];
	*r = (struct rows_line){ .path = strcmp(words[0], ".") == 0 ? "" : words[0] };
	r->is_array = strstr(r->path, "[]") != NULL;
	r->constants = arena_alloc(p->a, count * sizeof *r->constants);
	for (size_t i = 1; i < count;) {
		char *word = words[i++], *equals = strchr(word, '=');
		enum rc rc = RC_OK;
		if (strcmp(word, "on") == 0) {
			rc = parse_events(p, r, words, count, &i);
		} else if (strcmp(word, "rank") == 0 && i < count) {
			char *end;
			long rank = strtol(words[i++], &end, 10);
			if (*end != '\0' || rank < 0 || rank > 1000)
				return wrong(p, "rank must be a number from 0 to 1000");
			r->rank = (int)rank;
		} else if (strcmp(word, "where") == 0 && i < count) {
			r->has_where = true;
			rc = at_line(p, condition_parse(words[i++], p->a, &d->operand_count, &r->where, p->e));
		} else if (equals != NULL && equals[1] == '\'' && equals[strlen(equals) - 1] == '\'') {
			equals[strlen(equals) - 1] = '\0';
			*equals = '\0';
			r->constants[r->constant_count++] = (struct rows_constant){ word, equals + 2 };
		} else {
			return wrong(p, "'%s' is not understood; after the path come: on EVENT, ..., "
				"rank N, where CONDITION, NAME='TEXT'", word);
		}
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc
parse_tombstones(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	char *words[WORDS_MAX];
	size_t count = split(p, text, ",", words);
	d->tombstones = arena_alloc(p->a, (count + 1) * sizeof *d->tombstones);
	for (size_t i = 0; i < count; i++) {
		char *dot = strchr(words[i], '.');
		if (dot == NULL)
			return wrong(p, "'%s' must be EVENT.ACTION", words[i]);
		*dot = '\0';
		d->tombstones[d->tombstone_count++] = (struct tombstone){ words[i], dot + 1 };
	}
	return RC_OK;
}

static enum rc
parse_key(struct parser *p, const char *text, char *keys[WORDS_MAX], size_t *key_count)
{
	*key_count = split(p, text, ",", keys);
	for (size_t i = 0; i < *key_count; i++) {
		if (!is_identifier(keys[i]))
			return wrong(p, "'%s' is not the name of a column", keys[i]);
	}
	return *key_count > 0 ? RC_OK : wrong(p, "'key:' needs the names of columns");
}

struct keys {
	char *names[WORDS_MAX];
	size_t count;
};

/* One "-- name: value" line of the head. */
static enum rc
parse_head(struct parser *p, const char *line, struct keys *keys)
{
	struct definition *d = p->d;
	const char *colon = strchr(line, ':');
	const char *space = strchr(line, ' ');
	if (colon == NULL || (space != NULL && space < colon) || (colon[1] != ' ' && colon[1] != '\0'))
		return RC_OK; /* a sentence */
	char *name = arena_string(p->a, (struct bytes){ (const unsigned char *)line, (size_t)(colon - line) });
	char *words[WORDS_MAX];
	const char *value = split(p, colon + 1, "\n", words) > 0 ? words[0] : "";
	if (strcmp(name, "provider") == 0)
		d->provider = value;
	else if (strcmp(name, "view") == 0)
		d->view = value;
	else if (strcmp(name, "key") == 0)
		return parse_key(p, value, keys->names, &keys->count);
	else if (strcmp(name, "rows") == 0)
		return parse_rows(p, value);
	else if (strcmp(name, "delete") == 0)
		return parse_tombstones(p, value);
	else if (strcmp(name, "version") == 0)
		return at_line(p, expression_parse(value, p->a, &d->operand_count, &d->version, p->e));
	else if (strcmp(name, "kind") == 0 && strcmp(value, "entity") == 0)
		d->kind = DEFINITION_ENTITY;
	else if (strcmp(name, "kind") == 0 && strcmp(value, "fact") == 0)
		d->kind = DEFINITION_FACT;
	else if (strcmp(name, "kind") == 0)
		return wrong(p, "kind must be entity or fact, not '%s'", value);
	else if (islower((unsigned char)name[0]))
		return wrong(p, "unknown line '%s:'; known are provider, view, kind, key, version, rows, delete",
			name);
	return RC_OK;
}

static enum rc
column_type_of(struct parser *p, const char *sql_type, enum column_type *out)
{
	static const struct {
		const char *name;
		enum column_type type;
	} types[] = { { "bigint", COLUMN_INT }, { "integer", COLUMN_INT }, { "smallint", COLUMN_INT },
		{ "boolean", COLUMN_BOOL }, { "text", COLUMN_TEXT },
		{ "timestamptz", COLUMN_TIMESTAMPTZ }, { "jsonb", COLUMN_JSONB },
		{ "text[]", COLUMN_TEXT_ARRAY } };
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		if (strcmp(sql_type, types[i].name) == 0) {
			*out = types[i].type;
			return RC_OK;
		}
	}
	return wrong(p, "type '%s' cannot be filled from an event; known are bigint, integer, smallint, "
		"boolean, text, timestamptz, jsonb, text[]", sql_type);
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
		return wrong(p, "more than %d column groups", GROUPS_MAX);
	if (!is_identifier(name))
		return wrong(p, "'%s' is not the name of a column group", name);
	d->groups[d->group_count] = name;
	d->group_anchor[d->group_count] = column;
	*group = d->group_count++;
	return RC_OK;
}

/* A line of the table: "name type ..., -- group = expression". Lines without " = " in their comment are
 * none of ours: constraints and generated columns. */
static enum rc
parse_column(struct parser *p, const char *line, const struct keys *keys)
{
	struct definition *d = p->d;
	const char *comment = strstr(line, "-- ");
	const char *equals = comment == NULL ? NULL : strstr(comment, "= ");
	if (equals == NULL)
		return RC_OK;
	char *words[WORDS_MAX], *groups[WORDS_MAX];
	char *left = arena_string(p->a, (struct bytes){ (const unsigned char *)line, (size_t)(comment - line) });
	char *middle = arena_string(p->a,
		(struct bytes){ (const unsigned char *)comment + 3, (size_t)(equals - comment - 3) });
	size_t count = split(p, left, " \t,", words), group_words = split(p, middle, " \t", groups);
	if (count < 2 || !is_identifier(words[0]))
		return wrong(p, "a column line must start with a name and a type");
	if (group_words > 1)
		return RC_OK; /* a sentence that happens to hold "= " */
	if (d->column_count == COLUMNS_MAX)
		return wrong(p, "more than %d columns", COLUMNS_MAX);
	struct column *c = &d->columns[d->column_count];
	*c = (struct column){ .name = words[0], .sql_type = words[1] };
	c->not_null = strstr(left, "not null") != NULL;
	for (size_t i = 0; i < keys->count; i++)
		c->key = c->key || strcmp(keys->names[i], c->name) == 0;
	enum rc rc = column_type_of(p, c->sql_type, &c->type);
	if (rc == RC_OK && !c->key)
		rc = group_of(p, group_words == 1 ? groups[0] : "core", d->column_count, &c->group);
	if (rc == RC_OK)
		rc = at_line(p, expression_parse(equals + 2, p->a, &d->operand_count, &c->value, p->e));
	d->column_count++;
	return rc;
}

static enum rc
parse_line(struct parser *p, const char *line, struct keys *keys)
{
	struct definition *d = p->d;
	if (strncasecmp(line, "create table ", 13) == 0 && d->table == NULL) {
		char *words[WORDS_MAX];
		size_t count = split(p, line + 13, " (", words);
		if (count == 0 || !is_identifier(words[0]))
			return wrong(p, "the table's name must be lower case and without a schema");
		d->table = words[0];
		p->in_table = true;
		return RC_OK;
	}
	if (d->table == NULL && strncmp(line, "-- ", 3) == 0)
		return parse_head(p, line + 3, keys);
	if (p->in_table && line[0] == ')')
		p->in_table = false;
	if (!p->in_table)
		return RC_OK;
	while (*line == ' ' || *line == '\t')
		line++;
	/* "id bigint primary key," without a comment takes its value from the same name. */
	for (size_t i = 0; i < keys->count; i++) {
		size_t len = strlen(keys->names[i]);
		if (strncmp(line, keys->names[i], len) == 0 && line[len] == ' ' && strstr(line, "-- ") == NULL)
			return parse_column(p, arena_printf(p->a, "%s -- = %s", line, keys->names[i]), keys);
	}
	return parse_column(p, line, keys);
}

static enum rc
check(struct parser *p, const struct keys *keys)
{
	struct definition *d = p->d;
	if (d->table == NULL)
		return wrong(p, "no 'create table' line");
	if (d->rows_count == 0)
		return wrong(p, "no '-- rows:' line");
	if (keys->count == 0)
		return wrong(p, "no '-- key:' line");
	size_t found = 0;
	for (size_t i = 0; i < d->column_count; i++)
		found += d->columns[i].key;
	if (found != keys->count)
		return wrong(p, "every column named by 'key:' needs a line '-- = ...' in the table");
	if (d->kind == DEFINITION_ENTITY && d->group_anchor[0] == SIZE_MAX)
		return wrong(p, "an entity needs at least one column of the group core");
	if (d->view == NULL)
		d->view = arena_printf(p->a, "gh.%s", d->table);
	const char *dot = strchr(d->view, '.');
	if (dot == NULL || !is_identifier(dot + 1))
		return wrong(p, "'view:' must be SCHEMA.NAME, not '%s'", d->view);
	return RC_OK;
}

enum rc
definition_parse(const char *file, const char *text, struct arena *a, struct definition *d, struct err *e)
{
	struct parser p = { .d = d, .a = a, .file = file, .e = e };
	struct keys keys = { .count = 0 };
	*d = (struct definition){ .file = file, .ddl = text, .provider = "*" };
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
		enum rc rc = parse_line(&p, line, &keys);
		if (rc != RC_OK)
			return rc;
		text += len + (end != NULL);
	}
	enum rc rc = check(&p, &keys);
	if (rc == RC_OK) {
		/* Tombstones look at the document's action, whatever the columns use. */
		struct condition action;
		d->action_index = d->operand_count;
		rc = condition_parse("$.action", a, &d->operand_count, &action, e);
	}
	return rc;
}

static void
each_in(const struct expression *x, void (*fn)(const struct operand *, void *), void *context)
{
	for (size_t i = 0; i < x->count; i++) {
		for (size_t k = 0; k < x->alternatives[i].condition_count; k++)
			fn(&x->alternatives[i].conditions[k].operand, context);
		fn(&x->alternatives[i].operand, context);
	}
}

void
definition_each_operand(const struct definition *d, void (*fn)(const struct operand *, void *),
	void *context)
{
	for (size_t i = 0; i < d->column_count; i++)
		each_in(&d->columns[i].value, fn, context);
	each_in(&d->version, fn, context);
	for (size_t i = 0; i < d->rows_count; i++) {
		if (d->rows[i].has_where)
			fn(&d->rows[i].where.operand, context);
	}
	const struct operand action = { .kind = OPERAND_ROOT, .text = "action", .index = d->action_index };
	fn(&action, context);
}
