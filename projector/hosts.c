/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/buf.h"
#include "base/limits.h"
#include "projector/hosts.h"

/* Longer ones would leave too little of the 63 characters of a name to tables and indexes. */
#define SLUG_MAX 24

static const char *
slug_of(const char *name, struct arena *a)
{
	char *slug = arena_string(a, bytes_str(name));
	for (char *p = slug; *p != '\0'; p++)
		*p = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '_';
	return slug;
}

static bool
is_host(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:");
	return len > 0 && len <= SLUG_MAX && name[len] == '\0' && isalnum((unsigned char)name[0]);
}

/* Its schema would be that of a generation. */
static bool
is_generation(const char *slug)
{
	return slug[0] == 'g' && slug[1] != '\0' && slug[1 + strspn(slug + 1, "0123456789")] == '\0';
}

static enum rc
add(struct hosts *hosts, const char *source, const char *name, struct arena *a, struct err *e)
{
	if (source[0] == '\0' || !is_host(name))
		return err_set(e, RC_INVALID, "config.invalid",
			"projector.hosts: \"%s=%s\" must be SOURCE=HOST, the host up to %d letters, digits, dots and dashes",
			source, name, SLUG_MAX);
	struct host one = { source, name, slug_of(name, a) };
	if (is_generation(one.slug))
		return err_set(e, RC_INVALID, "config.invalid",
			"projector.hosts: %s would have the schema gh_%s, which is for a generation; give the host another name",
			name, one.slug);
	for (size_t i = 0; i < hosts->count; i++) {
		const struct host *other = &hosts->list[i];
		if (strcmp(other->source, source) == 0)
			return err_set(e, RC_INVALID, "config.invalid", "projector.hosts: source %s occurs twice", source);
		if (strcmp(other->slug, one.slug) == 0 && strcmp(other->name, name) != 0)
			return err_set(e, RC_INVALID, "config.invalid",
				"projector.hosts: %s and %s would have the same schema", other->name, name);
	}
	hosts->list[hosts->count++] = one;
	return RC_OK;
}

enum rc
hosts_parse(struct hosts *hosts, const char *text, struct arena *a, struct err *e)
{
	*hosts = (struct hosts){ .list = arena_alloc(a, (strlen(text) / 3 + 1) * sizeof *hosts->list) };
	enum rc rc = RC_OK;
	while (rc == RC_OK && *(text += strspn(text, ", \t")) != '\0') {
		size_t len = strcspn(text, ", \t");
		char *source = arena_string(a, (struct bytes){ (const unsigned char *)text, len });
		char *equals = strchr(source, '=');
		if (equals != NULL)
			*equals = '\0';
		rc = add(hosts, source, equals == NULL ? "" : equals + 1, a, e);
		text += len;
	}
	return rc;
}

const struct host *
hosts_find(const struct hosts *hosts, struct bytes source)
{
	for (size_t i = 0; i < hosts->count; i++) {
		if (bytes_is(source, hosts->list[i].source))
			return &hosts->list[i];
	}
	return NULL;
}

bool
hosts_is_repeated(const struct hosts *hosts, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (strcmp(hosts->list[i].slug, hosts->list[index].slug) == 0)
			return true;
	}
	return false;
}

struct bytes
hosts_provider(const struct host *host, struct bytes provider, struct arena *a)
{
	return host == NULL ? provider
			    : bytes_str(arena_printf(a, "%.*s@%s", (int)provider.len, (const char *)provider.data,
				      host->slug));
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* One line of SQL; words that are the table's name or begin with it and "_" get the slug in front. */
static void
put_renamed(struct buf *out, const char *line, size_t len, const struct host *host, const char *table)
{
	size_t table_len = strlen(table);
	for (size_t i = 0; i < len; i++) {
		bool starts = is_word(line[i]) && (i == 0 || !is_word(line[i - 1]));
		if (starts && len - i >= table_len && strncmp(line + i, table, table_len) == 0 &&
			(!is_word(line[i + table_len]) || line[i + table_len] == '_'))
			buf_printf(out, "%s_", host->slug);
		buf_put_char(out, line[i]);
	}
}

const char *
hosts_rename(const struct host *host, const struct definition *d, struct arena *a)
{
	struct buf out = buf_new(2 * LIMIT_CONFIG_FILE_BYTES);
	/* Statements begin at the line's start; comments, and columns with a tab in front, stay as they are. */
	for (const char *line = d->ddl; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		if (islower((unsigned char)line[0]))
			put_renamed(&out, line, len, host, d->table);
		else
			buf_put(&out, line, len);
		buf_put_str(&out, line[len] == '\n' ? "\n" : "");
		line += len + (line[len] == '\n');
	}
	const char *text = arena_string(a, bytes_str(buf_cstr(&out)));
	buf_free(&out);
	return text;
}
