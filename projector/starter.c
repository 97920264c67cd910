/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/limits.h"
#include "projector/parser.h"
#include "projector/projector.h"
#include "event/jpath.h"

/* Guesses a projection file from events: the object that has an id, its members as columns. */

#define EVENTS_MAX 200
#define LOOK_BACK_MAX 100000
#define FIELDS_MAX 60

/* What is known of one column after some events. */
struct field {
	const char *path, *name;
	const char *sql_type; /* NULL: only ever null */
	const char *expression;
	size_t seen;
};

struct guess {
	struct arena *a;
	const struct projector_starter *starter;
	const char *provider, *event; /* of the events; NULL: unknown or several */
	const char *object;           /* member of the document that makes the row; "": the document */
	size_t samples, told;         /* events, and those that have the object */
	bool deletes;
	struct field fields[FIELDS_MAX];
	size_t count;
};

static bool
member(struct jpath_value object, const char *name, struct jpath_value *value)
{
	struct bytes rest = jpath_inside(object), key;
	while (object.type == JPATH_OBJECT && jpath_next(&rest, &key, value)) {
		if (bytes_is(key, name))
			return true;
	}
	return false;
}

static bool
has_id(struct jpath_value object)
{
	struct jpath_value id;
	return member(object, "id", &id) && (id.type == JPATH_NUMBER || id.type == JPATH_STRING);
}

static bool
is_time(struct bytes raw)
{
	static const char form[] = "\"dddd-dd-ddTdd:dd:dd";
	if (raw.len < sizeof form + 1)
		return false;
	for (size_t i = 0; form[i] != '\0'; i++) {
		if (form[i] == 'd' ? !isdigit(raw.data[i]) : raw.data[i] != (unsigned char)form[i])
			return false;
	}
	return memchr(raw.data, 'Z', raw.len) != NULL || memchr(raw.data + 17, '+', raw.len - 17) != NULL ||
		memchr(raw.data + 17, '-', raw.len - 17) != NULL;
}

static const char *
scalar_type(struct jpath_value v)
{
	int64_t number;
	if (v.type == JPATH_TRUE || v.type == JPATH_FALSE)
		return "boolean";
	if (v.type == JPATH_NUMBER)
		return jpath_int64(v, &number) ? "bigint" : "text";
	if (v.type == JPATH_STRING)
		return is_time(v.raw) ? "timestamptz" : "text";
	return v.type == JPATH_NULL ? NULL : "jsonb";
}

/* The name of a column for a path: snake case, and no word of SQL or of our own. */
static const char *
column_name(struct guess *g, const char *path)
{
	static const char *const taken[] = { "all", "and", "any", "array", "as", "asc", "both", "case", "cast", "check",
		"collate", "column", "constraint", "create", "current_date", "current_user", "default", "desc",
		"distinct", "do", "else", "end", "except", "false", "fetch", "for", "foreign", "from", "grant", "group",
		"having", "in", "initially", "intersect", "into", "is", "join", "left", "like", "limit", "natural",
		"not", "null", "offset", "on", "only", "or", "order", "outer", "primary", "references", "returning",
		"right", "select", "some", "table", "then", "to", "true", "union", "unique", "user", "using", "when",
		"where", "window", "with", "first_seq", "last_seq", "origin", "webhook_at", "api_at", "deleted_at",
		"deleted_seq", "version_at", "version_rank", "version_seq", "partial" };
	struct buf out = buf_new(60);
	for (const char *p = path; *p != '\0'; p++) {
		if (isupper((unsigned char)*p) && p > path && islower((unsigned char)p[-1]))
			buf_put_char(&out, '_');
		bool plain = isalnum((unsigned char)*p) != 0;
		if (plain || (out.len > 0 && out.data[out.len - 1] != '_'))
			buf_put_char(&out, plain ? (char)tolower((unsigned char)*p) : '_');
	}
	const char *name = arena_string(g->a, bytes_str(buf_cstr(&out)));
	buf_free(&out);
	if (!parser_is_identifier(name))
		name = arena_printf(g->a, "c_%s", name);
	for (size_t i = 0; i < COUNT_OF(taken); i++) {
		if (strcmp(name, taken[i]) == 0)
			return arena_printf(g->a, "%s_value", name);
	}
	return name;
}

static void
add_field(struct guess *g, const char *path, const char *name, const char *expression, const char *sql_type)
{
	size_t i = 0;
	while (i < g->count && strcmp(g->fields[i].expression, expression) != 0)
		i++;
	if (i == g->count) {
		if (g->count == FIELDS_MAX || !path_is_valid(path))
			return;
		for (size_t k = 0; k < g->count; k++) {
			if (strcmp(g->fields[k].name, name) == 0)
				return; /* two paths of one name: the first */
		}
		g->fields[g->count++] = (struct field){ path, name, sql_type, expression, 0 };
	}
	struct field *f = &g->fields[i];
	f->seen++;
	if (f->sql_type == NULL)
		f->sql_type = sql_type;
	else if (sql_type != NULL && strcmp(f->sql_type, sql_type) != 0)
		f->sql_type = strcmp(sql_type, "jsonb") == 0 || strcmp(f->sql_type, "jsonb") == 0 ? "jsonb" : "text";
}

/* Lists of texts, and of things with an id; other lists as they are. */
static void
add_array(struct guess *g, const char *path, struct jpath_value array)
{
	struct bytes rest = jpath_inside(array);
	struct jpath_value element, id;
	if (!jpath_next(&rest, NULL, &element))
		return; /* empty: it tells nothing */
	if (element.type == JPATH_STRING) {
		add_field(g, path, column_name(g, path), path, "text[]");
	} else if (member(element, "id", &id)) {
		size_t len = strlen(path);
		const char *one = len > 2 && path[len - 1] == 's'
			? arena_string(g->a, (struct bytes){ (const unsigned char *)path, len - 1 }) : path;
		add_field(g, path, column_name(g, arena_printf(g->a, "%s_ids", one)),
			arena_printf(g->a, "list(%s[].id)", path), id.type == JPATH_NUMBER ? "bigint[]" : "text[]");
	} else {
		add_field(g, path, column_name(g, path), path, "jsonb");
	}
}

static bool
is_noise(struct bytes name)
{
	static const char end[] = "_url", html[] = "html_url";
	return bytes_is(name, "_links") || (name.len > strlen(end) && !bytes_is(name, html) &&
		memcmp(name.data + name.len - strlen(end), end, strlen(end)) == 0);
}

static void
add_member(struct guess *g, const char *path, struct jpath_value v, bool deeper)
{
	struct jpath_value id;
	if (v.type == JPATH_ARRAY) {
		add_array(g, path, v);
	} else if (v.type != JPATH_OBJECT) {
		add_field(g, path, column_name(g, path), path, scalar_type(v));
	} else if (member(v, "id", &id)) {
		path = arena_printf(g->a, "%s.id", path);
		add_field(g, path, column_name(g, path), path, scalar_type(id));
	} else if (deeper) {
		struct bytes rest = jpath_inside(v), name;
		struct jpath_value value;
		while (jpath_next(&rest, &name, &value)) {
			if (!is_noise(name) && value.type != JPATH_OBJECT)
				add_member(g, arena_printf(g->a, "%s.%s", path, arena_string(g->a, name)), value, false);
		}
	}
}

/* Other things of the document, by their ids. */
static void
add_neighbours(struct guess *g, struct jpath_value document)
{
	struct bytes rest = jpath_inside(document), name;
	struct jpath_value value, id;
	while (jpath_next(&rest, &name, &value)) {
		if (bytes_is(name, g->object) || value.type != JPATH_OBJECT || !member(value, "id", &id))
			continue;
		const char *path = arena_printf(g->a, "%s.id", arena_string(g->a, name));
		const char *column = bytes_is(name, "repository") ? "repo_id" : column_name(g, path);
		add_field(g, path, column, arena_printf(g->a, "$.%s", path), scalar_type(id));
	}
}

/* The member that is called like the event, else the first one with an id, else the document. */
static void
choose_object(struct guess *g, struct jpath_value document)
{
	struct bytes rest = jpath_inside(document), name;
	struct jpath_value value;
	const char *first = NULL;
	g->object = "";
	if (has_id(document))
		return;
	while (jpath_next(&rest, &name, &value)) {
		if (value.type != JPATH_OBJECT || !has_id(value))
			continue;
		const char *text = arena_string(g->a, name);
		size_t len = strlen(text);
		if (g->event != NULL && strncmp(g->event, text, len) == 0 &&
			(g->event[len] == '\0' || strcmp(g->event + len, "s") == 0)) {
			g->object = text;
			return;
		}
		if (first == NULL && strcmp(text, "sender") != 0 && strcmp(text, "repository") != 0)
			first = text;
	}
	g->object = first == NULL ? "" : first;
}

static void
take_document(struct guess *g, struct jpath_value document)
{
	struct jpath_value object = document, action;
	if (document.type != JPATH_OBJECT)
		return;
	if (g->samples++ == 0)
		choose_object(g, document);
	if (g->object[0] != '\0' && (!member(document, g->object, &object) || object.type != JPATH_OBJECT))
		return;
	g->told++;
	g->deletes = g->deletes || (member(document, "action", &action) &&
		bytes_is(action.raw, "\"deleted\"") && g->object[0] != '\0');
	struct bytes rest = jpath_inside(object), name;
	struct jpath_value value;
	while (jpath_next(&rest, &name, &value)) {
		if (!is_noise(name))
			add_member(g, arena_string(g->a, name), value, true);
	}
	if (g->object[0] != '\0')
		add_neighbours(g, document);
}

static enum rc
take_json(struct guess *g, struct bytes json, struct err *e)
{
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	size_t slot;
	enum rc rc = jpath_add(set, "", &slot, e);
	if (rc == RC_OK)
		rc = jpath_walk(set, json, g->a, &doc, e);
	if (rc == RC_OK)
		take_document(g, jpath_get(doc, slot, 0));
	jpath_set_free(set);
	return rc;
}

static bool
is_wanted(const struct projector_starter *s, const struct event *ev)
{
	if (s->event == NULL && s->source != NULL && bytes_is(ev->event, s->source))
		return true; /* a type alone */
	return (s->source == NULL || bytes_is(ev->source, s->source) || bytes_is(ev->provider, s->source)) &&
		(s->event == NULL || bytes_is(ev->event, s->event));
}

static enum rc
take_event(struct guess *g, const struct event *ev)
{
	struct bytes json;
	if (g->provider == NULL)
		g->provider = arena_string(g->a, ev->provider);
	if (g->event == NULL && g->samples == 0)
		g->event = arena_string(g->a, ev->event);
	/* One that is no JSON says nothing of columns. */
	return event_payload(ev, g->a, &json, NULL) == RC_OK ? take_json(g, json, NULL) : RC_OK;
}

/* The newest first, so that what things look like today decides. */
static enum rc
take_log(struct guess *g, struct store_reader *reader, struct err *e)
{
	struct store_span span;
	struct arena *read = arena_new(1024 * 1024);
	enum rc rc = store_span(reader, &span, e);
	uint64_t end = rc == RC_OK ? span.last_seq + 1 : 0, looked_at = 0;
	while (rc == RC_OK && end > span.first_seq && g->samples < EVENTS_MAX && looked_at < LOOK_BACK_MAX) {
		uint64_t first = end - span.first_seq > 500 ? end - 500 : span.first_seq;
		const struct store_record *records;
		size_t count;
		arena_reset(read);
		rc = store_read(reader, first, (size_t)(end - first), SIZE_MAX, read, &records, &count, e);
		if (rc != RC_OK)
			break;
		for (size_t i = count; i > 0 && g->samples < EVENTS_MAX; i--, looked_at++) {
			if (is_wanted(g->starter, &records[i - 1].event))
				(void)take_event(g, &records[i - 1].event);
		}
		end = first;
	}
	arena_free(read);
	return rc == RC_NOTFOUND ? RC_OK : rc; /* only removed segments are left */
}

/* ---- writing it down ---- */

static const struct field *
find_field(const struct guess *g, const char *name)
{
	for (size_t i = 0; i < g->count; i++) {
		if (strcmp(g->fields[i].name, name) == 0)
			return &g->fields[i];
	}
	return NULL;
}

static void
put_head(struct buf *out, struct guess *g, bool fact)
{
	static const char *const changes[] = { "updated_at", "modified_at", "last_updated_at" };
	const char *provider = g->provider == NULL ? "*" : g->provider;
	const char *schema = g->provider == NULL ? "mine" : column_name(g, provider);
	buf_printf(out, "-- %s, guessed by `hooklog project new` from %zu events; look it over, and say here what it is.\n",
		g->starter->name, g->told);
	buf_printf(out, "--\n-- provider: %s\n-- view: %s.%s\n", provider,
		strcmp(provider, "github") == 0 ? "gh" : schema, g->starter->name);
	if (fact)
		buf_put_str(out, "-- kind: fact\n");
	buf_printf(out, "-- key: %s\n", fact ? "seq" : "id");
	for (size_t i = 0; i < COUNT_OF(changes) && !fact; i++) {
		const struct field *f = find_field(g, changes[i]);
		if (f == NULL || f->sql_type == NULL || strcmp(f->sql_type, "timestamptz") != 0)
			continue;
		buf_printf(out, "-- version: %s\n", f->expression);
		break;
	}
	buf_printf(out, "-- rows: %s", g->object[0] == '\0' ? "." : g->object);
	if (g->event != NULL)
		buf_printf(out, " on %s", g->event);
	buf_put_str(out, g->deletes ? " rank 1\n" : "\n");
	if (g->deletes)
		buf_printf(out, "-- delete: %s.deleted\n", g->event);
}

static enum rc
put_file(struct buf *out, struct guess *g, struct err *e)
{
	const struct field *id = find_field(g, "id");
	bool fact = id == NULL || strcmp(id->expression, "id") != 0 || id->sql_type == NULL;
	const char *key_type = fact ? "bigint" : strcmp(id->sql_type, "bigint") == 0 ? "bigint" : "text";
	size_t always = 0, rest = 0, done = 0;
	for (size_t i = 0; i < g->count; i++)
		*(g->fields[i].seen == g->told ? &always : &rest) += &g->fields[i] != id || fact;
	if (always + rest == 0)
		return err_set(e, RC_INVALID, NULL, "these events hold no object that could be a row");
	put_head(out, g, fact);
	buf_printf(out, "create table %s (\n\t%-24s %s primary key, -- = %s\n", g->starter->name, fact ? "seq" : "id",
		key_type, fact ? "@seq" : "id");
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < g->count; i++) {
			const struct field *f = &g->fields[i];
			/* Without a column that is always told there is no group core. */
			bool core = fact || f->seen == g->told || always == 0;
			if ((!fact && f == id) || core != (pass == 0))
				continue;
			done++;
			buf_printf(out, "\t%-24s %s%s -- %s= %s\n", f->name, f->sql_type == NULL ? "text" : f->sql_type,
				done == always + rest ? "" : ",", core ? "" : "full ", f->expression);
		}
	}
	buf_put_str(out, ");\n");
	return RC_OK;
}

enum rc
projector_start(const struct projector_options *o, const struct projector_starter *starter, struct buf *out,
	struct err *e)
{
	if (!parser_is_identifier(starter->name))
		return err_set(e, RC_INVALID, NULL,
			"\"%s\" cannot be the table's name: a-z, 0-9 and _, no digit in front", starter->name);
	struct arena *a = arena_new(1024 * 1024);
	struct guess *g = arena_zalloc(a, sizeof *g);
	g->a = a;
	g->starter = starter;
	g->object = "";
	g->event = starter->event;
	enum rc rc = starter->json.data != NULL ? take_json(g, starter->json, e) : take_log(g, o->reader, e);
	if (rc == RC_OK && g->told == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no such event with a JSON object among the newest %d",
			LOOK_BACK_MAX);
	if (rc == RC_OK)
		rc = put_file(out, g, e);
	arena_free(a);
	return rc;
}
