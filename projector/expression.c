/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "event/jpath.h"
#include "projector/definition.h"

static const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* The text from p to end without spaces around it, in a. */
static char *
trimmed(const char *p, const char *end, struct arena *a)
{
	p = p < end ? skip_space(p) : p;
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	return arena_string(a, (struct bytes){ (const unsigned char *)p, p < end ? (size_t)(end - p) : 0 });
}

/* Where token starts in text outside of quotes, or NULL. */
static const char *
find_token(const char *text, const char *token)
{
	bool quoted = false;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\'')
			quoted = !quoted;
		else if (!quoted && strncmp(p, token, strlen(token)) == 0)
			return p;
	}
	return NULL;
}

bool
path_is_valid(const char *path)
{
	for (const char *p = path; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr("_.-[]/", *p) == NULL)
			return false;
	}
	/* The extractor's own rules, asked here because only here the line is known. */
	struct jpath_set *scratch = jpath_set_new();
	size_t slot;
	enum rc rc = jpath_add(scratch, path, &slot, NULL);
	jpath_set_free(scratch);
	return rc == RC_OK;
}

/* Whether text is one constant in single quotes; there is no way to write a quote inside of it. */
static bool
is_quoted(const char *text)
{
	size_t len = strlen(text);
	return len >= 2 && text[0] == '\'' && strchr(text + 1, '\'') == text + len - 1;
}

static const char *
unquoted(const char *text, struct arena *a)
{
	return arena_string(a, (struct bytes){ (const unsigned char *)text + 1, strlen(text) - 2 });
}

static enum rc
envelope_parse(const char *name, struct operand *out, struct err *e)
{
	static const char *const names[] = { "seq", "received_at", "source", "provider", "event",
		"delivery", "hook", "origin", "bytes", "parked", "host", "position" };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			out->field = (enum envelope_field)i;
			return RC_OK;
		}
	}
	return err_set(e, RC_INVALID, "config.projection",
		"unknown envelope field @%s; known are seq, received_at, source, provider, event, delivery, "
		"hook, origin, bytes, parked, host, position", name);
}

/* array[].member */
static enum rc
list_parse(const char *text, struct arena *a, size_t *operand_count, struct operand *out, struct err *e)
{
	const char *array = strstr(text, "[]");
	if (array == NULL || array == text || !path_is_valid(text))
		return err_set(e, RC_INVALID, "config.projection",
			"list() takes the path of one array and what to take of each element, such as "
			"list(labels[].id), not '%s'", text);
	*out = (struct operand){ .kind = OPERAND_LIST, .text = text, .index = *operand_count,
		.extra = trimmed(text, array, a) };
	*operand_count += 2;
	return RC_OK;
}

/* path,'beginning' */
static enum rc
after_parse(const char *text, struct arena *a, size_t *operand_count, struct operand *out, struct err *e)
{
	const char *comma = find_token(text, ",");
	const char *path = trimmed(text, comma == NULL ? text : comma, a);
	const char *beginning = comma == NULL ? "" : trimmed(comma + 1, text + strlen(text), a);
	if (path[0] == '\0' || !path_is_valid(path) || !is_quoted(beginning))
		return err_set(e, RC_INVALID, "config.projection",
			"after() takes a path and a text, such as after(ref,'refs/heads/'), not '%s'", text);
	*out = (struct operand){ .kind = OPERAND_AFTER, .text = path, .index = (*operand_count)++,
		.extra = unquoted(beginning, a) };
	return RC_OK;
}

static enum rc
operand_parse(const char *text, struct arena *a, size_t *operand_count, struct operand *out,
	const char **wrong, struct err *e)
{
	size_t len = strlen(text);
	*wrong = text;
	*out = (struct operand){ .text = text };
	if (strcmp(text, "null") == 0) {
		out->kind = OPERAND_NULL;
		return RC_OK;
	}
	if (text[0] == '\'') {
		if (!is_quoted(text))
			return err_set(e, RC_INVALID, "config.projection",
				"a constant is one text in single quotes, without a quote inside: %s", text);
		out->kind = OPERAND_CONST;
		out->text = unquoted(text, a);
		return RC_OK;
	}
	if (text[0] == '@') {
		out->kind = OPERAND_ENVELOPE;
		return envelope_parse(text + 1, out, e);
	}
	if (text[0] == ':') {
		out->kind = OPERAND_ROW;
		out->text = text + 1;
		return RC_OK;
	}
	if (strncmp(text, "list(", 5) == 0 && text[len - 1] == ')')
		return list_parse(trimmed(text + 5, text + len - 1, a), a, operand_count, out, e);
	if (strncmp(text, "after(", 6) == 0 && text[len - 1] == ')')
		return after_parse(trimmed(text + 6, text + len - 1, a), a, operand_count, out, e);
	if (strncmp(text, "count(", 6) == 0 && text[len - 1] == ')') {
		out->kind = OPERAND_COUNT;
		out->text = trimmed(text + 6, text + len - 1, a);
	} else if (strncmp(text, "$.", 2) == 0) {
		out->kind = OPERAND_ROOT;
		out->text = text + 2;
	} else {
		out->kind = OPERAND_PATH;
	}
	if (out->text[0] == '\0' || !path_is_valid(out->text))
		return err_set(e, RC_INVALID, "config.projection",
			"'%s' is no path, constant, @field, :name, count(), list() or after()", text);
	out->index = (*operand_count)++;
	return RC_OK;
}

enum rc
condition_parse(const char *text, struct arena *a, size_t *operand_count, struct condition *out,
	const char **wrong, struct err *e)
{
	out->equals = NULL;
	*wrong = text;
	const char *equals = find_token(text, "=");
	const char *end = equals == NULL ? text + strlen(text) : equals;
	if (equals != NULL) {
		const char *value = trimmed(equals + 1, text + strlen(text), a);
		if (!is_quoted(value))
			return err_set(e, RC_INVALID, "config.projection",
				"the right side of '%s' must be a text in single quotes", text);
		out->equals = unquoted(value, a);
	}
	return operand_parse(trimmed(text, end, a), a, operand_count, &out->operand, wrong, e);
}

static enum rc
alternative_parse(const char *text, struct arena *a, size_t *operand_count, struct alternative *out,
	const char **wrong, struct err *e)
{
	*wrong = text;
	*out = (struct alternative){ .condition_count = 0 };
	const char *arrow = find_token(text, "=>");
	if (arrow != NULL) {
		char *conditions = trimmed(text, arrow, a);
		for (const char *p = conditions; p != NULL;) {
			const char *and = find_token(p, " and ");
			if (out->condition_count == CONDITIONS_MAX)
				return err_set(e, RC_INVALID, "config.projection",
					"more than %d conditions in '%s'", CONDITIONS_MAX, text);
			char *one = trimmed(p, and == NULL ? p + strlen(p) : and, a);
			enum rc rc = condition_parse(one, a, operand_count,
				&out->conditions[out->condition_count++], wrong, e);
			if (rc != RC_OK)
				return rc;
			p = and == NULL ? NULL : and + strlen(" and ");
		}
		text = arrow + 2;
	}
	return operand_parse(trimmed(text, text + strlen(text), a), a, operand_count, &out->operand, wrong, e);
}

enum rc
expression_parse(const char *text, struct arena *a, size_t *operand_count, struct expression *out,
	const char **wrong, struct err *e)
{
	size_t max = 1;
	for (const char *p = text; *p != '\0'; p++)
		max += *p == '|';
	out->alternatives = arena_alloc(a, max * sizeof *out->alternatives);
	out->count = 0;
	for (const char *p = text; p != NULL;) {
		const char *bar = find_token(p, "|");
		char *one = trimmed(p, bar == NULL ? p + strlen(p) : bar, a);
		enum rc rc = alternative_parse(one, a, operand_count, &out->alternatives[out->count++], wrong, e);
		if (rc != RC_OK)
			return rc;
		p = bar == NULL ? NULL : bar + 1;
	}
	return RC_OK;
}

/* A list asks for two paths: its elements' member and the array itself. */
static void
each_of(const struct operand *operand, void (*fn)(const struct operand *, void *), void *context)
{
	fn(operand, context);
	if (operand->kind == OPERAND_LIST) {
		const struct operand array = { .kind = OPERAND_PATH, .text = operand->extra,
			.index = operand->index + 1 };
		fn(&array, context);
	}
}

static void
each_in(const struct expression *x, void (*fn)(const struct operand *, void *), void *context)
{
	for (size_t i = 0; i < x->count; i++) {
		for (size_t k = 0; k < x->alternatives[i].condition_count; k++)
			each_of(&x->alternatives[i].conditions[k].operand, fn, context);
		each_of(&x->alternatives[i].operand, fn, context);
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
			each_of(&d->rows[i].where.operand, fn, context);
	}
	for (size_t i = 0; i < d->tombstone_count; i++) {
		if (d->tombstones[i].has_where)
			each_of(&d->tombstones[i].where.operand, fn, context);
	}
	if (d->rank_value_count > 0)
		each_of(&d->rank.operand, fn, context);
	const struct operand action = { .kind = OPERAND_ROOT, .text = "action", .index = d->action_index };
	fn(&action, context);
}
