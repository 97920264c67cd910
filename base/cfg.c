/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <ini.h>
#include <unistd.h>

#include "base/cfg.h"
#include "base/cli.h"
#include "base/fs.h"
#include "base/limits.h"

#define PREFIX "HOOKLOG_"
#define ID "config.invalid"

static void *
member(const struct cfg_table *t, const struct cfg_key *key)
{
	return (char *)t->values + key->offset;
}

/* Bytes of the section part of "ingest.listen". */
static size_t
section_len(const char *name)
{
	const char *dot = strchr(name, '.');
	ASSERT(dot != NULL);
	return (size_t)(dot - name);
}

static const struct cfg_key *
find(const struct cfg_table *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->keys[i].name, name) == 0)
			return &t->keys[i];
	}
	return NULL;
}

/* ---- units ---- */

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit units_bytes[] = { { "GiB", (uint64_t)1 << 30 }, { "MiB", 1 << 20 },
	{ "KiB", 1 << 10 }, { "", 1 }, { NULL, 0 } };
static const struct unit units_ms[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
	{ "s", 1000 }, { "ms", 1 }, { "", 1 }, { NULL, 0 } };
static const struct unit units_s[] = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 },
	{ "", 1 }, { NULL, 0 } };
static const struct unit units_none[] = { { "", 1 }, { NULL, 0 } };

/* Whether word is one of the words of name between underscores, dots and its ends. */
static bool
has_word(const char *name, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = strstr(name, word); p != NULL; p = strstr(p + 1, word)) {
		bool starts = p > name && (p[-1] == '_' || p[-1] == '.');
		if (starts && (p[len] == '_' || p[len] == '\0'))
			return true;
	}
	return false;
}

/* Names carry their unit (style: "segment_bytes_max"), so the row need not repeat it. */
static const struct unit *
units_of(const struct cfg_key *key)
{
	if (has_word(key->name, "bytes"))
		return units_bytes;
	if (has_word(key->name, "ms"))
		return units_ms;
	if (has_word(key->name, "s"))
		return units_s;
	return units_none;
}

static bool
parse_u64(const struct cfg_key *key, const char *text, uint64_t *out)
{
	uint64_t v = 0;
	size_t digits = 0;
	for (; text[digits] >= '0' && text[digits] <= '9'; digits++) {
		uint64_t digit = (uint64_t)(text[digits] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (digits == 0)
		return false;
	for (const struct unit *u = units_of(key); u->suffix != NULL; u++) {
		if (strcmp(text + digits, u->suffix) != 0)
			continue;
		if (v > UINT64_MAX / u->factor)
			return false;
		*out = v * u->factor;
		return true;
	}
	return false;
}

static void
put_u64(struct buf *out, const struct cfg_key *key, uint64_t v)
{
	const struct unit *u = units_of(key);
	while (u->factor > 1 && (v == 0 || v % u->factor != 0))
		u++;
	buf_printf(out, "%" PRIu64 "%s", v / u->factor, u->suffix);
}

/* What a value may be, as one phrase for error messages and the reference page. */
static void
put_allowed(struct buf *out, const struct cfg_key *key)
{
	if (key->type == CFG_BOOL) {
		buf_put_str(out, "true or false");
		return;
	}
	if (key->type == CFG_STRING) {
		if (key->choices == NULL)
			buf_put_str(out, "text");
		for (size_t i = 0; key->choices != NULL && key->choices[i] != NULL; i++) {
			const char *glue = key->choices[i + 1] == NULL ? " or " : ", ";
			buf_printf(out, "%s%s", i == 0 ? "" : glue, key->choices[i]);
		}
		return;
	}
	buf_put_str(out, "a number, ");
	put_u64(out, key, key->min);
	buf_put_str(out, key->max == 0 ? " or more" : " to ");
	if (key->max != 0)
		put_u64(out, key, key->max);
	const struct unit *units = units_of(key);
	if (units == units_bytes)
		buf_put_str(out, ", with KiB, MiB or GiB behind it or plain for bytes");
	else if (units == units_ms)
		buf_put_str(out, ", with ms, s, m, h or d behind it or plain for milliseconds");
	else if (units == units_s)
		buf_put_str(out, ", with s, m, h or d behind it or plain for seconds");
}

static enum rc
bad_value(const struct cfg_key *key, const char *value, struct err *e)
{
	struct buf allowed = buf_new(LIMIT_LOG_VALUE_BYTES);
	put_allowed(&allowed, key);
	err_set(e, RC_INVALID, ID, "%s: '%s' is not allowed; allowed: %s", key->name, value,
		buf_cstr(&allowed));
	buf_free(&allowed);
	return RC_INVALID;
}

static enum rc
assign(struct cfg_table *t, const struct cfg_key *key, const char *value, enum cfg_origin origin,
	struct arena *a, struct err *e)
{
	uint64_t u64 = 0;
	bool known = key->choices == NULL;
	switch (key->type) {
	case CFG_STRING:
		for (size_t i = 0; !known && key->choices[i] != NULL; i++)
			known = strcmp(key->choices[i], value) == 0;
		if (!known)
			return bad_value(key, value, e);
		*(const char **)member(t, key) = arena_string(a, bytes_str(value));
		break;
	case CFG_U64:
		if (!parse_u64(key, value, &u64) || u64 < key->min || (key->max != 0 && u64 > key->max))
			return bad_value(key, value, e);
		*(uint64_t *)member(t, key) = u64;
		break;
	case CFG_BOOL:
		if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return bad_value(key, value, e);
		*(bool *)member(t, key) = value[0] == 't';
		break;
	}
	t->origins[key - t->keys] = origin;
	return RC_OK;
}

/* The known name nearest to name, as "; did you mean X?", or "". */
static const char *
suggestion(const struct cfg_table *t, const char *name, struct arena *a)
{
	const char **names = arena_alloc(a, t->count * sizeof *names);
	for (size_t i = 0; i < t->count; i++)
		names[i] = t->keys[i].name;
	const char *nearest = cli_nearest(name, names, t->count);
	return nearest == NULL ? "" : arena_printf(a, "; did you mean %s?", nearest);
}

static enum rc
unknown_key(const struct cfg_table *t, const char *name, struct arena *a, struct err *e)
{
	return err_set(e, RC_INVALID, ID, "%s is not a known key%s", name, suggestion(t, name, a));
}

void
cfg_defaults(struct cfg_table *t, struct arena *a)
{
	for (size_t i = 0; i < t->count; i++)
		ASSERT(assign(t, &t->keys[i], t->keys[i].fallback, CFG_DEFAULT, a, NULL) == RC_OK);
}

enum rc
cfg_set(struct cfg_table *t, const char *name, const char *value, enum cfg_origin origin,
	struct arena *a, struct err *e)
{
	const struct cfg_key *key = find(t, name);
	if (key == NULL)
		return unknown_key(t, name, a, e);
	return assign(t, key, value, origin, a, e);
}

/* ---- the file ---- */

/* What the two callbacks of ini_parse_stream share. libinih goes on after an error, cuts what does not
 * fit into its buffers and says nothing of sections without keys, so the reader looks at each line
 * first and ends the input at the first thing that is wrong. */
struct parse {
	struct cfg_table *t;
	struct arena *a;
	const char *path;
	struct bytes rest; /* what was not read yet */
	size_t *seen_lines; /* per key: the line that set it, or 0 */
	size_t line;
	enum rc rc;
	struct err *e;
};

static bool
section_known(const struct cfg_table *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->count; i++) {
		if (section_len(t->keys[i].name) == len && memcmp(t->keys[i].name, name, len) == 0)
			return true;
	}
	return false;
}

static void
unknown_section(struct parse *p, const char *name)
{
	struct buf list = buf_new(LIMIT_LOG_VALUE_BYTES);
	const char **names = arena_alloc(p->a, p->t->count * sizeof *names);
	size_t count = 0;
	for (size_t i = 0; i < p->t->count; i++) {
		const char *key = p->t->keys[i].name;
		size_t len = section_len(key);
		if (count > 0 && strlen(names[count - 1]) == len &&
			memcmp(names[count - 1], key, len) == 0)
			continue;
		names[count] = arena_string(p->a, (struct bytes){ (const unsigned char *)key, len });
		buf_printf(&list, "%s[%s]", count == 0 ? "" : " ", names[count]);
		count++;
	}
	const char *nearest = cli_nearest(name, names, count);
	p->rc = err_set(p->e, RC_INVALID, ID, "[%s] is not a known section%s%s%s; known: %s", name,
		nearest == NULL ? "" : "; did you mean [", nearest == NULL ? "" : nearest,
		nearest == NULL ? "" : "]?", buf_cstr(&list));
	buf_free(&list);
}

/* The next line into out, as ini_reader wants it; NULL at the end or after an error. */
static char *
next_line(char *out, int size, void *context)
{
	struct parse *p = context;
	if (p->rc != RC_OK || p->rest.len == 0)
		return NULL;
	p->line++;
	const unsigned char *newline = memchr(p->rest.data, '\n', p->rest.len);
	size_t taken = newline == NULL ? p->rest.len : (size_t)(newline - p->rest.data) + 1;
	struct bytes line = { p->rest.data, newline == NULL ? taken : taken - 1 };
	p->rest.data += taken;
	p->rest.len -= taken;
	if (memchr(line.data, '\0', line.len) != NULL) {
		p->rc = err_set(p->e, RC_INVALID, ID, "the line holds a NUL byte");
		return NULL;
	}
	/* Without leading blanks no line is a continuation of the one before. */
	while (line.len > 0 && isspace(line.data[0])) {
		line.data++;
		line.len--;
	}
	bool comment = line.len > 0 && (line.data[0] == '#' || line.data[0] == ';');
	if (comment)
		line.len = 0;
	if (line.len + 3 > (size_t)size) {
		p->rc = err_set(p->e, RC_INVALID, ID,
			"the line has %zu bytes; allowed are %d", line.len, size - 3);
		return NULL;
	}
	snprintf(out, (size_t)size, "%.*s\n", (int)line.len, (const char *)line.data);
	char *end = out[0] == '[' ? strchr(out, ']') : NULL;
	if (end != NULL && !section_known(p->t, out + 1, (size_t)(end - out) - 1)) {
		*end = '\0';
		unknown_section(p, out + 1);
		return NULL;
	}
	return out;
}

/* One "key = value". Always answers 1: 0 would be indistinguishable from libinih's own errors. */
static int
take_pair(void *context, const char *section, const char *name, const char *value)
{
	struct parse *p = context;
	if (p->rc != RC_OK)
		return 1;
	if (section[0] == '\0') {
		p->rc = err_set(p->e, RC_INVALID, ID, "'%s' stands before the first [section]", name);
		return 1;
	}
	const char *full = arena_printf(p->a, "%s.%s", section, name);
	const struct cfg_key *key = find(p->t, full);
	if (key == NULL) {
		p->rc = unknown_key(p->t, full, p->a, p->e);
		return 1;
	}
	size_t *seen = &p->seen_lines[key - p->t->keys];
	if (*seen != 0) {
		p->rc = err_set(p->e, RC_INVALID, ID, "%s is set twice, first in line %zu", full, *seen);
		return 1;
	}
	*seen = p->line;
	p->rc = assign(p->t, key, value == NULL ? "" : value, CFG_FILE, p->a, p->e);
	return 1;
}

enum rc
cfg_file(struct cfg_table *t, const char *path, struct arena *a, struct err *e)
{
	struct parse p = { .t = t, .a = a, .path = path, .e = e };
	enum rc rc = fs_read(path, LIMIT_CONFIG_FILE_BYTES, a, &p.rest, e);
	if (rc != RC_OK) {
		if (e != NULL)
			e->id = rc == RC_NOTFOUND ? "config.missing" : ID;
		return rc;
	}
	p.seen_lines = arena_zalloc(a, t->count * sizeof *p.seen_lines);
	int syntax_line = ini_parse_stream(next_line, &p, take_pair, &p);
	if (syntax_line < 0) {
		return err_set(e, RC_IO, ID, "%s: libinih has no memory", path);
	}
	if (syntax_line > 0 && (p.rc == RC_OK || (size_t)syntax_line < p.line))
		return err_set(e, RC_INVALID, ID, "%s:%d: allowed are [section], key = value and comments",
			path, syntax_line);
	if (p.rc != RC_OK && e != NULL)
		err_wrap(e, "%s:%zu", path, p.line);
	return p.rc;
}

/* ---- the environment ---- */

/* "ingest.listen" as "HOOKLOG_INGEST_LISTEN". */
static const char *
variable_of(const char *name, struct arena *a)
{
	char *variable = arena_printf(a, "%s%s", PREFIX, name);
	for (char *p = variable + strlen(PREFIX); *p != '\0'; p++)
		*p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
	return variable;
}

enum rc
cfg_environment(struct cfg_table *t, struct arena *a, struct err *e)
{
	const char **names = arena_alloc(a, t->count * sizeof *names);
	for (size_t i = 0; i < t->count; i++)
		names[i] = variable_of(t->keys[i].name, a);
	for (char **entry = environ; *entry != NULL; entry++) {
		const char *equals = strchr(*entry, '=');
		if (strncmp(*entry, PREFIX, strlen(PREFIX)) != 0 || equals == NULL)
			continue;
		struct bytes name = { (const unsigned char *)*entry, (size_t)(equals - *entry) };
		size_t i = 0;
		while (i < t->count && !bytes_is(name, names[i]))
			i++;
		if (i < t->count) {
			enum rc rc = assign(t, &t->keys[i], equals + 1, CFG_ENVIRONMENT, a, e);
			if (rc != RC_OK && e != NULL)
				err_wrap(e, "environment variable %s", names[i]);
			if (rc != RC_OK)
				return rc;
		} else if (!bytes_is(name, PREFIX "CONFIG") && !bytes_is(name, PREFIX "LOG_LEVEL")) {
			const char *text = arena_string(a, name);
			const char *nearest = cli_nearest(text, names, t->count);
			return err_set(e, RC_INVALID, ID,
				"environment variable %s is not a known key%s%s%s", text,
				nearest == NULL ? "" : "; did you mean ", nearest == NULL ? "" : nearest,
				nearest == NULL ? "" : "?");
		}
	}
	return RC_OK;
}

/* ---- printing ---- */

const char *
cfg_origin_name(enum cfg_origin origin)
{
	static const char *const names[] = { "default", "file", "environment", "option" };
	return (size_t)origin < COUNT_OF(names) ? names[origin] : "unknown";
}

static bool
starts_section(const struct cfg_key *keys, size_t i)
{
	size_t len = section_len(keys[i].name);
	return i == 0 || strncmp(keys[i - 1].name, keys[i].name, len + 1) != 0;
}

void
cfg_put(struct buf *out, const struct cfg_table *t, bool origins)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct cfg_key *key = &t->keys[i];
		size_t len = section_len(key->name);
		if (starts_section(t->keys, i))
			buf_printf(out, "%s[%.*s]\n", i == 0 ? "" : "\n", (int)len, key->name);
		buf_printf(out, "%s =", key->name + len + 1);
		if (key->type == CFG_STRING) {
			const char *text = *(const char **)member(t, key);
			buf_printf(out, "%s%s", text[0] == '\0' ? "" : " ", text);
		} else if (key->type == CFG_BOOL) {
			buf_put_str(out, *(bool *)member(t, key) ? " true" : " false");
		} else {
			buf_put_char(out, ' ');
			put_u64(out, key, *(uint64_t *)member(t, key));
		}
		if (origins)
			buf_printf(out, " ; %s", cfg_origin_name(t->origins[i]));
		buf_put_char(out, '\n');
	}
}

void
cfg_put_reference(struct buf *out, const struct cfg_key *keys, size_t count)
{
	struct arena *a = arena_new(1024);
	buf_put_str(out,
		"# Configuration\n\n<!-- Written by `ninja docs`. -->\n\n"
		"A value comes from, in falling order: the command line, the environment, the file, the "
		"default.\nThe file is `--config FILE`, else `HOOKLOG_CONFIG`, else `hooklog.conf` in the data "
		"folder when it exists.\nIt has `[section]` lines and `key = value` lines; a line that starts "
		"with `#` or `;` is a comment, and so is\nthe rest of a line after ` ;`. An unknown section or "
		"key, a key set twice and a value that is not allowed\nare errors.\n");
	for (size_t i = 0; i < count; i++) {
		const struct cfg_key *key = &keys[i];
		size_t len = section_len(key->name);
		if (starts_section(keys, i))
			buf_printf(out, "\n## [%.*s]\n", (int)len, key->name);
		buf_printf(out, "\n### %s\n\n%s\n\n", key->name, key->help);
		buf_put_str(out, "- Allowed: ");
		put_allowed(out, key);
		if (key->fallback[0] == '\0')
			buf_put_str(out, "\n- Default: empty\n");
		else
			buf_printf(out, "\n- Default: `%s`\n", key->fallback);
		buf_printf(out, "- Environment: `%s`\n", variable_of(key->name, a));
	}
	arena_free(a);
}
