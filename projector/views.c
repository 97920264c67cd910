/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/limits.h"
#include "base/log.h"
#include "projector/comments.h"
#include "projector/views.h"

#define FOLDER "sql/views/"

/* Between the statements of views_change.grants; no name holds it. */
#define SEPARATOR "\x01"

/* "gh.issue_labels" of "sql/views/gh.issue_labels.sql"; empty when the file is none of ours. The names are
 * ours, lower case and without quotes. */
static struct bytes
file_name(const struct sql_file *file)
{
	size_t len = strlen(file->path), head = strlen(FOLDER), tail = strlen(".sql");
	if (strncmp(file->path, FOLDER, head) != 0 || len <= head + tail)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ (const unsigned char *)file->path + head, len - head - tail };
}

bool
views_is_file(const struct sql_file *file)
{
	return file_name(file).len > 0;
}

static bool
starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Where in text, which starts at begin, a relation of the schema of GitHub or of its metrics is named: the length
 * of the schema's name, else 0. */
static size_t
schema_at(const char *text, const char *begin)
{
	if (text > begin && (isalnum((unsigned char)text[-1]) || text[-1] == '_' || text[-1] == '.'))
		return 0;
	return starts(text, "gh.") ? strlen("gh") : starts(text, "gh_metrics.") ? strlen("gh_metrics") : 0;
}

/* SQL with the host's schemas and its name in it. */
static void
put_for_host(struct buf *out, const char *text, size_t len, const struct host *host)
{
	for (const char *p = text; p < text + len;) {
		size_t schema = schema_at(p, text);
		if (schema > 0 && host != NULL) {
			buf_put(out, p, schema);
			buf_printf(out, "_%s", host->slug);
			p += schema;
		} else if (starts(p, ":host") && (p == text || p[-1] != ':')) {
			if (host == NULL)
				buf_put_str(out, "null");
			else
				pg_put_literal(out, host->name);
			buf_put_str(out, "::text");
			p += strlen(":host");
		} else {
			buf_put_char(out, *p++);
		}
	}
}

static bool
is_neutral(const struct sql_file *file)
{
	return starts(file->path, FOLDER "hooklog.");
}

static bool
is_repeated(const struct sql_file *file)
{
	for (const char *p = file->text; (p = strstr(p, "gh.")) != NULL; p++) {
		if (schema_at(p, file->text) > 0)
			return !is_neutral(file);
	}
	return false;
}

/* The select behind "as" once more for each host. */
static void
put_union(struct buf *out, const char *text, const struct hosts *hosts)
{
	const char *create = strstr(text, "create or replace view "), *as = create == NULL ? NULL : strstr(create, " as\n");
	const char *end = as == NULL ? NULL : strstr(as, ";\n");
	ASSERT(end != NULL);
	const char *select = as + strlen(" as\n");
	put_for_host(out, text, (size_t)(end - text), NULL);
	for (size_t i = 0; i < hosts->count; i++) {
		if (hosts_is_repeated(hosts, i))
			continue;
		buf_put_str(out, "\nunion all\n");
		put_for_host(out, select, (size_t)(end - select), &hosts->list[i]);
	}
	buf_put_str(out, end);
}

void
views_put(struct buf *out, const struct sql_file *file, const struct host *host, const struct hosts *hosts)
{
	if (host == NULL && is_neutral(file))
		put_union(out, file->text, hosts);
	else if (host == NULL || is_repeated(file))
		put_for_host(out, file->text, strlen(file->text), host);
}

/* ---- each view of each host ---- */

struct view {
	const struct sql_file *file;
	const struct host *host;
	const char *name; /* with the schema */
};

typedef enum rc (*view_fn)(const struct view *view, void *context, struct err *e);

static enum rc
call(const struct sql_file *file, const struct host *host, view_fn fn, void *context, struct err *e)
{
	struct buf name = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct bytes plain = file_name(file);
	buf_put_bytes(&name, plain);
	const char *text = buf_cstr(&name);
	struct buf full = buf_new(LIMIT_CONFIG_FILE_BYTES);
	put_for_host(&full, text, plain.len, host);
	const struct view view = { file, host, buf_cstr(&full) };
	enum rc rc = fn(&view, context, e);
	buf_free(&name);
	buf_free(&full);
	return rc;
}

static enum rc
each_view(const struct hosts *hosts, view_fn fn, void *context, struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < sql_file_count && rc == RC_OK; i++) {
		const struct sql_file *file = &sql_files[i];
		if (!views_is_file(file))
			continue;
		rc = call(file, NULL, fn, context, e);
		for (size_t h = 0; h < hosts->count && rc == RC_OK && is_repeated(file); h++) {
			if (!hosts_is_repeated(hosts, h))
				rc = call(file, &hosts->list[h], fn, context, e);
		}
	}
	return rc;
}

struct search {
	const char *name;
	bool found;
};

static enum rc
compare_name(const struct view *view, void *context, struct err *e UNUSED)
{
	struct search *search = context;
	search->found = search->found || strcmp(view->name, search->name) == 0;
	return RC_OK;
}

static bool
is_ours(const struct hosts *hosts, const char *name)
{
	struct search search = { name, false };
	return each_view(hosts, compare_name, &search, NULL) == RC_OK && search.found;
}

/* ---- out of the way ---- */

/* names: separated by commas. */
static enum rc
drop(struct views_change *c, const char *names, struct err *e)
{
	struct pg_result *grants = NULL;
	struct buf sql = buf_new(LIMIT_TEXT_BYTES);
	const struct pg_param param = pg_param_text(names);
	enum rc rc = pg_query(c->pg,
		"select array_to_string(hooklog.grants_on(string_to_array($1, ',')), E'\\x01')", &param, 1, &grants, e);
	if (rc == RC_OK && pg_field(grants, 0, 0)[0] != '\0')
		buf_printf(&c->grants, "%s%s", c->grants.len > 0 ? SEPARATOR : "", pg_field(grants, 0, 0));
	/* One statement for all, since they stand on each other. */
	buf_printf(&sql, "drop view if exists %s", names);
	if (rc == RC_OK)
		rc = pg_exec(c->pg, buf_cstr(&sql), e);
	pg_result_free(grants);
	buf_free(&sql);
	return rc;
}

/* Of what the rows name, ours go into ours; others are an error. */
static enum rc
sort_out(const struct views_change *c, const struct pg_result *r, struct buf *ours, struct err *e)
{
	struct buf others = buf_new(LIMIT_TEXT_BYTES);
	for (size_t i = 0; i < pg_rows(r); i++) {
		const char *name = pg_field(r, i, 0);
		if (is_ours(c->before, name)) {
			buf_printf(ours, "%s%s", ours->len == 0 ? "" : ",", name);
			continue;
		}
		buf_printf(&others, "%s%s", others.len == 0 ? "" : ", ", name);
		LOG_WARN("project.views-in-the-way", F_S("kind", pg_field(r, i, 1)), F_S("name", name),
			F_S("stands_on", pg_field(r, i, 2)));
	}
	enum rc rc = RC_OK;
	if (others.len > 0)
		rc = err_set(e, RC_CONFLICT, "project.views-in-the-way",
			"the columns of views that others stand on change; drop those, run the same command "
			"again, and make them again: %s", buf_cstr(&others));
	buf_free(&others);
	return rc;
}

enum rc
views_clear_way(struct views_change *c, const char *sql, const struct pg_param *param, struct err *e)
{
	struct pg_result *r = NULL;
	struct buf ours = buf_new(LIMIT_TEXT_BYTES);
	enum rc rc = pg_query(c->pg, sql, param, 1, &r, e);
	if (rc == RC_OK)
		rc = sort_out(c, r, &ours, e);
	if (rc == RC_OK && ours.len > 0)
		rc = drop(c, buf_cstr(&ours), e);
	pg_result_free(r);
	buf_free(&ours);
	return rc;
}

/* ---- making them ---- */

static void
put_install(struct buf *sql, const struct view *view, const struct hosts *hosts)
{
	struct buf about = buf_new(LIMIT_CONFIG_FILE_BYTES);
	comments_put_prose(&about, view->file->text);
	buf_printf(sql, "create schema if not exists %.*s;\ndo $install$ begin\n",
		(int)(strchr(view->name, '.') - view->name), view->name);
	views_put(sql, view->file, view->host, hosts);
	buf_printf(sql, "\ncomment on view %s is ", view->name);
	pg_put_literal(sql, buf_cstr(&about));
	/* An operator's projection may have taken the place of a built-in one. */
	buf_printf(sql,
		";\nexception when undefined_table or undefined_column or undefined_function then\n"
		"\traise warning 'view %s left out: %%', sqlerrm;\nend $install$",
		view->name);
	buf_free(&about);
}

/* The view is there with other columns, made by another version of this program. */
static enum rc
make_way(struct views_change *c, const char *name, struct err *e)
{
	const struct pg_param param = pg_param_text(name);
	enum rc rc = views_clear_way(c,
		"select dependent, kind, stands_on from hooklog.views_in_the_way(array[$1], array[null])", &param, e);
	return rc == RC_OK ? drop(c, name, e) : rc;
}

static enum rc
install(const struct view *view, void *context, struct err *e)
{
	struct views_change *c = context;
	struct buf sql = buf_new(LIMIT_TEXT_BYTES);
	put_install(&sql, view, c->after);
	enum rc rc = pg_exec(c->pg, "savepoint install", e);
	if (rc == RC_OK)
		rc = pg_exec(c->pg, buf_cstr(&sql), e);
	if (rc != RC_OK && strcmp(e->code, "42P16") == 0) {
		rc = pg_exec(c->pg, "rollback to install", e);
		if (rc == RC_OK)
			rc = make_way(c, view->name, e);
		if (rc == RC_OK)
			rc = pg_exec(c->pg, buf_cstr(&sql), e);
	}
	if (rc == RC_OK)
		rc = pg_exec(c->pg, "release install", e);
	else
		err_wrap(e, "%s", view->file->path);
	buf_free(&sql);
	return rc;
}

enum rc
views_install(struct views_change *c, struct err *e)
{
	enum rc rc = each_view(c->after, install, c, e);
	if (rc != RC_OK || c->grants.len == 0)
		return rc;
	struct pg_result *r = NULL;
	const struct pg_param param = pg_param_text(buf_cstr(&c->grants));
	rc = pg_query(c->pg, "select hooklog.grant_again(string_to_array($1, E'\\x01'))", &param, 1, &r, e);
	pg_result_free(r);
	return rc;
}

static enum rc
add_name(const struct view *view, void *context, struct err *e UNUSED)
{
	struct buf *names = context;
	buf_printf(names, "%s%s", names->len > 0 ? "," : "", view->name);
	return RC_OK;
}

enum rc
views_grant(struct pg *pg, const struct hosts *hosts, struct err *e)
{
	struct buf names = buf_new(LIMIT_TEXT_BYTES);
	struct pg_result *r = NULL;
	enum rc rc = each_view(hosts, add_name, &names, e);
	const struct pg_param param = pg_param_text(buf_cstr(&names));
	if (rc == RC_OK)
		rc = pg_query(pg, "select array_to_string(hooklog.grant_readers(string_to_array($1, ',')), ', ')",
			&param, 1, &r, e);
	if (rc == RC_OK && pg_field(r, 0, 0) != NULL)
		LOG_WARN("project.reader-role", F_S("missing", pg_field(r, 0, 0)),
			F_S("next", "an administrator of the database makes the role, or you delete it from hooklog.readers"));
	pg_result_free(r);
	buf_free(&names);
	return rc;
}
