/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/buf.h"
#include "base/limits.h"
#include "projector/definition.h"

/* With the bookkeeping columns and three per group of versions it stays within TABLES_PARAMS_MAX. */
#define COLUMNS_MAX 90
#define ROWS_MAX 192
#define WORDS_MAX 64

struct parser {
	struct definition *d;
	struct arena *a;
	const char *file;
	int line;
	bool in_table;
	struct err *e;
};

struct words {
	char *list[WORDS_MAX];
	size_t count;
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
static enum rc
split(const struct parser *p, const char *text, const char *separators, struct words *out)
{
	out->count = 0;
	while (*text != '\0') {
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
		if (end == start)
			continue;
		if (out->count == WORDS_MAX)
			return wrong(p, "more than %d words", WORDS_MAX);
		out->list[out->count++] = arena_string(p->a,
			(struct bytes){ (const unsigned char *)start, (size_t)(end - start) });
	}
	return RC_OK;
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

/* The list behind "on": names with commas between them, with or without space around the commas. */
static enum rc
parse_events(struct parser *p, struct rows_line *r, const struct words *words, size_t *i)
{
	struct buf list = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct words names;
	bool more = true;
	while (more && *i < words->count) {
		const char *word = words->list[(*i)++];
		more = word[strlen(word) - 1] == ',' || (*i < words->count && words->list[*i][0] == ',');
		buf_put_str(&list, word);
	}
	enum rc rc = split(p, buf_cstr(&list), ",", &names);
	buf_free(&list);
	if (rc != RC_OK)
		return rc;
	if (names.count == 0 || more)
		return wrong(p, "'on' needs the names of events");
	r->event_count = names.count;
	r->events = arena_alloc(p->a, names.count * sizeof *r->events);
	for (size_t k = 0; k < names.count; k++)
		r->events[k] = names.list[k];
	return RC_OK;
}

static enum rc
parse_rank(const struct parser *p, const char *word, int *out)
{
	char *end;
	long rank = strtol(word, &end, 10);
	if (*word == '\0' || *end != '\0' || rank < 0 || rank > 1000)
		return wrong(p, "rank must be a number from 0 to 1000");
	*out = (int)rank;
	return RC_OK;
}

/* rank: PATH VALUE=N ... */
static enum rc
parse_rank_values(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	struct words words;
	enum rc rc = split(p, text, " \t", &words);
	if (rc != RC_OK)
		return rc;
	if (d->rank_value_count > 0)
		return wrong(p, "only one 'rank:' line");
	if (words.count < 2)
		return wrong(p, "'rank:' needs a path and VALUE=N for each value that counts");
	rc = at_line(p, condition_parse(words.list[0], p->a, &d->operand_count, &d->rank, p->e));
	if (rc == RC_OK && d->rank.equals != NULL)
		rc = wrong(p, "'rank:' starts with a path, without '='");
	for (size_t i = 1; i < words.count && rc == RC_OK; i++) {
		char *equals = strchr(words.list[i], '=');
		if (equals == NULL || equals == words.list[i])
			return wrong(p, "'%s' must be VALUE=N", words.list[i]);
		if (d->rank_value_count == RANK_VALUES_MAX)
			return wrong(p, "more than %d values", RANK_VALUES_MAX);
		*equals = '\0';
		struct rank_value *value = &d->rank_values[d->rank_value_count++];
		value->text = words.list[i];
		rc = parse_rank(p, equals + 1, &value->rank);
	}
	return rc;
}

/* NAME='TEXT'; false when word is something else. */
static bool
parse_constant(struct rows_line *r, char *word)
{
	char *equals = strchr(word, '=');
	size_t len = equals == NULL ? 0 : strlen(equals);
	if (len < 3 || equals[1] != '\'' || equals[len - 1] != '\'')
		return false;
	equals[0] = equals[len - 1] = '\0';
	r->constants[r->constant_count++] = (struct rows_constant){ word, equals + 2 };
	return true;
}

/* rows: PATH [on EVENT, ...] [rank N] [where CONDITION] [NAME='TEXT' ...] */
static enum rc
parse_rows(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	struct words words;
	enum rc rc = split(p, text, " \t", &words);
	if (rc != RC_OK)
		return rc;
	if (words.count == 0)
		return wrong(p, "'rows:' needs a path; '.' is the whole document");
	if (d->rows_count == ROWS_MAX)
		return wrong(p, "more than %d 'rows:' lines", ROWS_MAX);
	struct rows_line *r = &d->rows[d->rows_count++];
	*r = (struct rows_line){ .path = strcmp(words.list[0], ".") == 0 ? "" : words.list[0] };
	if (!path_is_valid(r->path))
		return wrong(p, "'%s' is no path", r->path);
	r->is_array = strstr(r->path, "[]") != NULL;
	r->constants = arena_alloc(p->a, words.count * sizeof *r->constants);
	for (size_t i = 1; i < words.count && rc == RC_OK;) {
		char *word = words.list[i++];
		if (strcmp(word, "on") == 0) {
			rc = parse_events(p, r, &words, &i);
		} else if (strcmp(word, "rank") == 0 && i < words.count) {
			rc = parse_rank(p, words.list[i++], &r->rank);
		} else if (strcmp(word, "where") == 0 && i < words.count) {
			r->has_where = true;
			rc = at_line(p,
				condition_parse(words.list[i++], p->a, &d->operand_count, &r->where, p->e));
		} else if (!parse_constant(r, word)) {
			rc = wrong(p, "'%s' is not understood; after the path come: on EVENT, ..., "
				"rank N, where CONDITION, NAME='TEXT'", word);
		}
	}
	return rc;
}

/* EVENT[.ACTION] [where CONDITION] */
static enum rc
parse_tombstone(struct parser *p, const char *text, struct tombstone *out)
{
	struct words words;
	enum rc rc = split(p, text, " \t", &words);
	if (rc != RC_OK)
		return rc;
	*out = (struct tombstone){ .event = words.list[0] };
	if (words.count != 1 && (words.count != 3 || strcmp(words.list[1], "where") != 0))
		return wrong(p, "'%s' must be EVENT[.ACTION] [where CONDITION]", text);
	char *dot = strchr(words.list[0], '.');
	if (dot != NULL) {
		*dot = '\0';
		out->action = dot + 1;
	}
	if (*out->event == '\0' || (out->action != NULL && *out->action == '\0'))
		return wrong(p, "'%s' must be EVENT[.ACTION] [where CONDITION]", text);
	out->has_where = words.count == 3;
	return !out->has_where ? RC_OK : at_line(p,
		condition_parse(words.list[2], p->a, &p->d->operand_count, &out->where, p->e));
}

static enum rc
parse_tombstones(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	struct words words;
	enum rc rc = split(p, text, ",", &words);
	if (rc != RC_OK)
		return rc;
	/* There may be several lines. */
	struct tombstone *all = arena_alloc(p->a,
		(d->tombstone_count + words.count + 1) * sizeof *all);
	for (size_t i = 0; i < d->tombstone_count; i++)
		all[i] = d->tombstones[i];
	d->tombstones = all;
	for (size_t i = 0; i < words.count && rc == RC_OK; i++)
		rc = parse_tombstone(p, words.list[i], &d->tombstones[d->tombstone_count++]);
	return rc;
}

static enum rc
parse_key(const struct parser *p, const char *text, struct words *keys)
{
	enum rc rc = split(p, text, ",", keys);
	for (size_t i = 0; i < keys->count && rc == RC_OK; i++) {
		if (!is_identifier(keys->list[i]))
			rc = wrong(p, "'%s' is not the name of a column", keys->list[i]);
	}
	return rc == RC_OK && keys->count == 0 ? wrong(p, "'key:' needs the names of columns") : rc;
}

/* One "-- name: value" line of the head. */
static enum rc
parse_head(struct parser *p, const char *line, struct words *keys)
{
	struct definition *d = p->d;
	const char *colon = strchr(line, ':');
	const char *space = strchr(line, ' ');
	if (colon == NULL || (space != NULL && space < colon) || (colon[1] != ' ' && colon[1] != '\0'))
		return RC_OK; /* a sentence */
	char *name = arena_string(p->a, (struct bytes){ (const unsigned char *)line, (size_t)(colon - line) });
	const char *value = colon + 1 + strspn(colon + 1, " \t");
	size_t len = strlen(value);
	while (len > 0 && isspace((unsigned char)value[len - 1]))
		len--;
	value = arena_string(p->a, (struct bytes){ (const unsigned char *)value, len });
	if (strcmp(name, "provider") == 0)
		d->provider = value;
	else if (strcmp(name, "view") == 0)
		d->view = value;
	else if (strcmp(name, "key") == 0)
		return parse_key(p, value, keys);
	else if (strcmp(name, "rows") == 0)
		return parse_rows(p, value);
	else if (strcmp(name, "delete") == 0)
		return parse_tombstones(p, value);
	else if (strcmp(name, "rank") == 0)
		return parse_rank_values(p, value);
	else if (strcmp(name, "version") == 0)
		return at_line(p, expression_parse(value, p->a, &d->operand_count, &d->version, p->e));
	else if (strcmp(name, "kind") == 0 && strcmp(value, "entity") == 0)
		d->kind = DEFINITION_ENTITY;
	else if (strcmp(name, "kind") == 0 && strcmp(value, "fact") == 0)
		d->kind = DEFINITION_FACT;
	else if (strcmp(name, "kind") == 0)
		return wrong(p, "kind must be entity or fact, not '%s'", value);
	else if (islower((unsigned char)name[0]))
		return wrong(p, "unknown line '%s:'; known are provider, view, kind, key, version, rank, rows, "
			"delete",
			name);
	return RC_OK;
}

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
	return wrong(p, "type '%s' cannot be filled from an event; known are bigint, integer, smallint, "
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
parse_column(struct parser *p, const char *line, const struct words *keys)
{
	struct definition *d = p->d;
	const char *comment = strstr(line, "-- ");
	const char *equals = comment == NULL ? NULL : strstr(comment, "= ");
	if (equals == NULL)
		return RC_OK;
	struct words words, groups;
	char *left = arena_string(p->a, (struct bytes){ (const unsigned char *)line, (size_t)(comment - line) });
	char *middle = arena_string(p->a,
		(struct bytes){ (const unsigned char *)comment + 3, (size_t)(equals - comment - 3) });
	enum rc rc = split(p, left, " \t,", &words);
	if (rc == RC_OK)
		rc = split(p, middle, " \t", &groups);
	if (rc != RC_OK)
		return rc;
	if (groups.count > 1 || strstr(left, "generated always") != NULL)
		return RC_OK; /* a sentence that happens to hold "= ", or a column PostgreSQL fills */
	if (words.count < 2 || !is_identifier(words.list[0]))
		return wrong(p, "a column line must start with a name and a type");
	if (d->column_count == COLUMNS_MAX)
		return wrong(p, "more than %d columns", COLUMNS_MAX);
	struct column *c = &d->columns[d->column_count];
	*c = (struct column){ .name = words.list[0], .sql_type = words.list[1] };
	for (size_t i = 0; i < keys->count; i++)
		c->key = c->key || strcmp(keys->list[i], c->name) == 0;
	rc = column_type_of(p, c->sql_type, &c->type);
	/* Two texts of one jsonb value differ, and would meet in one statement as the same key. */
	if (rc == RC_OK && c->key && c->type >= COLUMN_JSONB)
		rc = wrong(p, "a column of the key cannot be of type %s", c->sql_type);
	if (rc == RC_OK && !c->key)
		rc = group_of(p, groups.count == 1 ? groups.list[0] : "core", d->column_count, &c->group);
	if (rc == RC_OK)
		rc = at_line(p, expression_parse(equals + 2, p->a, &d->operand_count, &c->value, p->e));
	d->column_count++;
	return rc;
}

static enum rc
parse_line(struct parser *p, const char *line, struct words *keys)
{
	struct definition *d = p->d;
	if (strncasecmp(line, "create table ", 13) == 0 && d->table == NULL) {
		struct words words;
		enum rc rc = split(p, line + 13, " (", &words);
		if (rc != RC_OK)
			return rc;
		if (words.count == 0 || !is_identifier(words.list[0]))
			return wrong(p, "the table's name must be lower case and without a schema");
		if (strcmp(words.list[0], "if") == 0)
			return wrong(p, "without 'if not exists': the table is made in a new schema");
		d->table = words.list[0];
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
		size_t len = strlen(keys->list[i]);
		if (strncmp(line, keys->list[i], len) == 0 && isspace((unsigned char)line[len]) &&
			strstr(line, "-- ") == NULL)
			return parse_column(p, arena_printf(p->a, "%s -- = %s", line, keys->list[i]), keys);
	}
	return parse_column(p, line, keys);
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
		if (is_identifier(arena_string(p->a, schema)) && is_identifier(dot + 1))
			return RC_OK;
	}
	return wrong(p, "'view:' must be SCHEMA.NAME, not '%s'", d->view);
}

static enum rc
check(struct parser *p, const struct words *keys)
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
	if (d->tombstone_count > 0 && !has_ranked_rows(d))
		return wrong(p, "'delete:' needs a 'rows:' line of rank 1 or more: the event's own object");
	struct name_check names = { d, NULL };
	definition_each_operand(d, check_row_name, &names);
	if (names.unknown != NULL)
		return wrong(p, "no 'rows:' line sets :%s", names.unknown);
	return check_view(p);
}

enum rc
definition_parse(const char *file, const char *text, struct arena *a, struct definition *d, struct err *e)
{
	struct parser p = { .d = d, .a = a, .file = file, .e = e };
	struct words keys = { .count = 0 };
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
