/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>

#include "base/crypto.h"
#include "base/fs.h"
#include "base/limits.h"
#include "projector/catalog.h"
#include "sql/sql.h"

/* Part of the hash: tables made by an older layout of the bookkeeping columns must be rebuilt. Raise it
 * whenever projector/tables.c makes other columns or fold.c gives other rows from the same files. */
#define LAYOUT_VERSION "layout 1"

#define FILES_MAX 256

struct files {
	struct sql_file list[FILES_MAX];
	size_t count;
};

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? path : slash + 1;
}

static enum rc
add_file(struct files *files, const char *path, const char *text, struct err *e)
{
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(base_name(files->list[i].path), base_name(path)) == 0) {
			files->list[i] = (struct sql_file){ path, text };
			return RC_OK;
		}
	}
	if (files->count == FILES_MAX)
		return err_set(e, RC_INVALID, "config.projection", "more than %d projections", FILES_MAX);
	files->list[files->count++] = (struct sql_file){ path, text };
	return RC_OK;
}

static enum rc
add_folder(struct files *files, const char *dir, struct arena *a, struct err *e)
{
	DIR *folder = opendir(dir);
	if (folder == NULL)
		return err_sys(e, RC_NOTFOUND, "config.projection", errno,
			"cannot read projector.dir %s", dir);
	enum rc rc = RC_OK;
	for (const struct dirent *entry; rc == RC_OK && (entry = readdir(folder)) != NULL;) {
		size_t len = strlen(entry->d_name);
		if (len < 5 || strcmp(entry->d_name + len - 4, ".sql") != 0 || entry->d_name[0] == '.')
			continue;
		const char *path = arena_printf(a, "%s/%s", dir, entry->d_name);
		struct bytes text;
		rc = fs_read(path, LIMIT_CONFIG_FILE_BYTES, a, &text, e);
		if (rc == RC_OK)
			rc = add_file(files, path, (const char *)text.data, e);
	}
	closedir(folder);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	const struct sql_file *left = a, *right = b;
	return strcmp(base_name(left->path), base_name(right->path));
}

struct slot_filler {
	struct jpath_set *paths;
	struct rows_line *rows;
	struct arena *a;
	enum rc rc;
	struct err *e;
};

/* The slot of one operand for one rows line: relative paths start at the row's object. */
static void
fill_slot(const struct operand *operand, void *context)
{
	struct slot_filler *f = context;
	const char *path;
	switch (operand->kind) {
	case OPERAND_ROOT:
		path = operand->text;
		break;
	case OPERAND_PATH:
	case OPERAND_COUNT:
	case OPERAND_LIST:
	case OPERAND_AFTER:
		path = f->rows->path[0] == '\0' ? operand->text
						: arena_printf(f->a, "%s.%s", f->rows->path, operand->text);
		break;
	default:
		return;
	}
	if (f->rc == RC_OK)
		f->rc = jpath_add(f->paths, path, &f->rows->slots[operand->index], f->e);
}

static enum rc
compile(struct catalog *c, struct definition *d, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < d->rows_count; i++) {
		struct rows_line *r = &d->rows[i];
		r->slots = arena_zalloc(a, (d->operand_count + 1) * sizeof *r->slots);
		struct slot_filler f = { c->paths, r, a, RC_OK, e };
		f.rc = jpath_add(c->paths, r->path, &r->object_slot, e);
		definition_each_operand(d, fill_slot, &f);
		if (f.rc != RC_OK)
			return err_wrap(e, "%s: rows %s", d->file, r->path);
	}
	return RC_OK;
}

static enum rc
check_distinct(const struct definition *one, const struct definition *other, struct err *e)
{
	if (strcmp(one->table, other->table) == 0)
		return err_set(e, RC_INVALID, "config.projection", "%s and %s both make table %s", one->file,
			other->file, one->table);
	if (strcmp(one->view, other->view) == 0)
		return err_set(e, RC_INVALID, "config.projection", "%s and %s both make view %s", one->file,
			other->file, one->view);
	return RC_OK;
}

/* The definitions again for each host. */
static enum rc
add_hosts(struct catalog *c, struct arena *a, struct err *e)
{
	size_t plain = c->count;
	enum rc rc = RC_OK;
	for (size_t h = 0; h < c->hosts.count && rc == RC_OK; h++) {
		const struct host *host = &c->hosts.list[h];
		for (size_t i = 0; i < plain && rc == RC_OK && !hosts_is_repeated(&c->hosts, h); i++) {
			const struct definition *of = &c->definitions[i];
			struct definition *d = &c->definitions[c->count];
			if (strcmp(of->provider, "*") == 0)
				continue;
			rc = definition_parse(of->file, hosts_rename(host, of, a), a, d, e);
			const char *dot = strchr(of->view, '.');
			d->view = arena_printf(a, "%.*s_%s%s", (int)(dot - of->view), of->view, host->slug, dot);
			d->provider = arena_printf(a, "%s@%s", of->provider, host->slug);
			c->count++;
			for (size_t k = 0; rc == RC_OK && k + 1 < c->count; k++)
				rc = check_distinct(&c->definitions[k], d, e);
			if (rc == RC_OK)
				rc = compile(c, d, a, e);
		}
	}
	return rc;
}

static void
put_parts(struct bytes *parts, size_t *count, const struct sql_file *file)
{
	parts[(*count)++] = bytes_str(base_name(file->path));
	parts[(*count)++] = bytes_str(file->text);
}

enum rc
catalog_load(struct catalog *c, const char *dir, struct arena *a, struct err *e)
{
	return catalog_load_hosts(c, dir, "", a, e);
}

enum rc
catalog_load_hosts(struct catalog *c, const char *dir, const char *hosts, struct arena *a, struct err *e)
{
	struct files *files = arena_alloc(a, sizeof *files);
	files->count = 0;
	*c = (struct catalog){ .paths = jpath_set_new() };
	enum rc rc = hosts_parse(&c->hosts, hosts, a, e);
	for (size_t i = 0; i < sql_file_count && rc == RC_OK; i++) {
		if (strncmp(sql_files[i].path, "sql/projections/", 16) == 0)
			rc = add_file(files, sql_files[i].path, sql_files[i].text, e);
	}
	if (rc == RC_OK && dir[0] != '\0')
		rc = add_folder(files, dir, a, e);
	qsort(files->list, files->count, sizeof files->list[0], by_name);
	c->definitions = arena_alloc(a, (files->count + 1) * (c->hosts.count + 1) * sizeof *c->definitions);
	struct bytes *parts = arena_alloc(a, (2 * (files->count + sql_file_count) + 1) * sizeof *parts);
	size_t part_count = 1;
	parts[0] = bytes_str(c->hosts.count == 0 ? LAYOUT_VERSION : arena_printf(a, "%s hosts %s", LAYOUT_VERSION, hosts));
	for (size_t i = 0; i < files->count && rc == RC_OK; i++) {
		struct definition *d = &c->definitions[c->count++];
		rc = definition_parse(files->list[i].path, files->list[i].text, a, d, e);
		put_parts(parts, &part_count, &files->list[i]);
		for (size_t k = 0; rc == RC_OK && k + 1 < c->count; k++)
			rc = check_distinct(&c->definitions[k], d, e);
		if (rc == RC_OK)
			rc = compile(c, d, a, e);
	}
	/* Views on top are made by a swap, so another set of them asks for one. */
	for (size_t i = 0; i < sql_file_count; i++) {
		if (strncmp(sql_files[i].path, "sql/views/", 10) == 0)
			put_parts(parts, &part_count, &sql_files[i]);
	}
	if (rc == RC_OK)
		rc = add_hosts(c, a, e);
	if (rc == RC_OK) {
		plan_make(&c->plan, c->definitions, c->count, a);
		crypto_sha256_parts(parts, part_count, c->hash);
	} else {
		catalog_free(c);
	}
	return rc;
}

static bool
is_path(const char *name)
{
	size_t len = strlen(name);
	return strchr(name, '/') != NULL || (len > 4 && strcmp(name + len - 4, ".sql") == 0);
}

static enum rc
load_file(struct catalog *c, const char *path, struct arena *a, struct err *e)
{
	struct bytes text;
	*c = (struct catalog){ .paths = jpath_set_new(), .definitions = arena_alloc(a, sizeof *c->definitions) };
	enum rc rc = fs_read(path, LIMIT_CONFIG_FILE_BYTES, a, &text, e);
	if (rc == RC_OK)
		rc = definition_parse(path, (const char *)text.data, a, &c->definitions[c->count++], e);
	if (rc == RC_OK)
		rc = compile(c, c->definitions, a, e);
	if (rc != RC_OK)
		catalog_free(c);
	return rc;
}

enum rc
catalog_load_one(struct catalog *c, const char *dir, const char *file_or_table, struct arena *a, struct err *e)
{
	bool path = is_path(file_or_table), found = path;
	enum rc rc = path ? load_file(c, file_or_table, a, e) : catalog_load(c, dir, a, e);
	for (size_t i = 0; rc == RC_OK && !found && i < c->count; i++) {
		found = strcmp(c->definitions[i].table, file_or_table) == 0;
		c->definitions += found ? i : 0;
	}
	if (rc == RC_OK && !found) {
		catalog_free(c);
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no projection that makes table %s", file_or_table);
	}
	if (rc == RC_OK) {
		c->count = 1;
		plan_make(&c->plan, c->definitions, 1, a);
	}
	return rc;
}

void
catalog_free(struct catalog *c)
{
	jpath_set_free(c->paths);
	c->paths = NULL;
}
