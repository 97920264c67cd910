/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/buf.h"
#include "base/limits.h"
#include "projector/parser.h"

static enum rc
parse_condition(struct parser *p, const char *text, struct condition *out)
{
	const char *piece;
	enum rc rc = condition_parse(text, p->a, &p->d->operand_count, out, &piece, p->e);
	return rc == RC_OK ? RC_OK : parser_locate(p, piece);
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
	enum rc rc = parser_split(p, buf_cstr(&list), ",", &names);
	buf_free(&list);
	if (rc != RC_OK)
		return rc;
	if (names.count == 0 || more)
		return parser_wrong(p, "on", "'on' needs the names of events");
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
		return parser_wrong(p, word, "rank must be a number from 0 to 1000");
	*out = (int)rank;
	return RC_OK;
}

/* rank: PATH VALUE=N ... */
static enum rc
parse_rank_values(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	struct words words;
	enum rc rc = parser_split(p, text, " \t", &words);
	if (rc != RC_OK)
		return rc;
	if (d->rank_value_count > 0)
		return parser_wrong(p, NULL, "only one 'rank:' line");
	if (words.count < 2)
		return parser_wrong(p, NULL, "'rank:' needs a path and VALUE=N for each value that counts");
	rc = parse_condition(p, words.list[0], &d->rank);
	if (rc == RC_OK && d->rank.equals != NULL)
		rc = parser_wrong(p, words.list[0], "'rank:' starts with a path, without '='");
	for (size_t i = 1; i < words.count && rc == RC_OK; i++) {
		char *equals = strchr(words.list[i], '=');
		if (equals == NULL || equals == words.list[i])
			return parser_wrong(p, words.list[i], "'%s' must be VALUE=N", words.list[i]);
		if (d->rank_value_count == RANK_VALUES_MAX)
			return parser_wrong(p, words.list[i], "more than %d values", RANK_VALUES_MAX);
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
	enum rc rc = parser_split(p, text, " \t", &words);
	if (rc != RC_OK)
		return rc;
	if (words.count == 0)
		return parser_wrong(p, NULL, "'rows:' needs a path; '.' is the whole document");
	if (d->rows_count == ROWS_MAX)
		return parser_wrong(p, NULL, "more than %d 'rows:' lines", ROWS_MAX);
	struct rows_line *r = &d->rows[d->rows_count++];
	*r = (struct rows_line){ .path = strcmp(words.list[0], ".") == 0 ? "" : words.list[0] };
	if (!path_is_valid(r->path))
		return parser_wrong(p, r->path, "'%s' is no path", r->path);
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
			rc = parse_condition(p, words.list[i++], &r->where);
		} else if (!parse_constant(r, word)) {
			rc = parser_wrong(p, word, "'%s' is not understood; after the path come: on EVENT, ..., "
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
	enum rc rc = parser_split(p, text, " \t", &words);
	if (rc != RC_OK)
		return rc;
	*out = (struct tombstone){ .event = words.list[0] };
	if (words.count != 1 && (words.count != 3 || strcmp(words.list[1], "where") != 0))
		return parser_wrong(p, text, "'%s' must be EVENT[.ACTION] [where CONDITION]", text);
	char *dot = strchr(words.list[0], '.');
	if (dot != NULL) {
		*dot = '\0';
		out->action = dot + 1;
	}
	if (*out->event == '\0' || (out->action != NULL && *out->action == '\0'))
		return parser_wrong(p, text, "'%s' must be EVENT[.ACTION] [where CONDITION]", text);
	out->has_where = words.count == 3;
	return out->has_where ? parse_condition(p, words.list[2], &out->where) : RC_OK;
}

static enum rc
parse_tombstones(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	struct words words;
	enum rc rc = parser_split(p, text, ",", &words);
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
	enum rc rc = parser_split(p, text, ",", keys);
	for (size_t i = 0; i < keys->count && rc == RC_OK; i++) {
		if (!parser_is_identifier(keys->list[i]))
			rc = parser_wrong(p, keys->list[i], "'%s' is not the name of a column", keys->list[i]);
	}
	return rc == RC_OK && keys->count == 0 ? parser_wrong(p, NULL, "'key:' needs the names of columns") : rc;
}

static enum rc
parse_version(struct parser *p, const char *text)
{
	struct definition *d = p->d;
	const char *piece;
	enum rc rc = expression_parse(text, p->a, &d->operand_count, &d->version, &piece, p->e);
	return rc == RC_OK ? RC_OK : parser_locate(p, piece);
}

/* The first paragraph says what the table is. */
static void
take_prose(struct parser *p, const char *line)
{
	struct definition *d = p->d;
	if (line[strspn(line, " \t")] == '\0')
		p->after_about = d->about[0] != '\0';
	else if (!p->after_about)
		d->about = arena_printf(p->a, "%s%s%s", d->about, d->about[0] == '\0' ? "" : " ", line);
}

enum rc
parser_head(struct parser *p, const char *line, struct words *keys)
{
	struct definition *d = p->d;
	const char *colon = strchr(line, ':');
	const char *space = strchr(line, ' ');
	if (colon == NULL || (space != NULL && space < colon) || (colon[1] != ' ' && colon[1] != '\0')) {
		take_prose(p, line);
		return RC_OK;
	}
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
		return parse_version(p, value);
	else if (strcmp(name, "kind") == 0 && strcmp(value, "entity") == 0)
		d->kind = DEFINITION_ENTITY;
	else if (strcmp(name, "kind") == 0 && strcmp(value, "fact") == 0)
		d->kind = DEFINITION_FACT;
	else if (strcmp(name, "kind") == 0)
		return parser_wrong(p, value, "kind must be entity or fact, not '%s'", value);
	else if (islower((unsigned char)name[0]))
		return parser_wrong(p, name, "unknown line '%s:'; known are provider, view, kind, key, version, rank, "
			"rows, delete", name);
	else
		take_prose(p, line);
	return RC_OK;
}
