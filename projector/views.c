/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/log.h"
#include "projector/comments.h"
#include "projector/views.h"
#include "sql/sql.h"

#define FOLDER "sql/views/"

/* "gh.issue_labels" of "sql/views/gh.issue_labels.sql"; empty when the file is none of ours. The names are
 * ours, lower case and without quotes. */
static struct bytes
view_name(const struct sql_file *file)
{
	size_t len = strlen(file->path), head = strlen(FOLDER), tail = strlen(".sql");
	if (strncmp(file->path, FOLDER, head) != 0 || len <= head + tail)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ (const unsigned char *)file->path + head, len - head - tail };
}

enum rc
views_drop(struct pg *pg, struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	bool any = false;
	/* One statement for all, since they stand on each other. */
	for (size_t i = 0; i < sql_file_count; i++) {
		struct bytes name = view_name(&sql_files[i]);
		if (name.len == 0)
			continue;
		buf_put_str(&sql, any ? ", " : "do $drop$ begin drop view if exists ");
		buf_put_bytes(&sql, name);
		any = true;
	}
	buf_put_str(&sql,
		"; exception when dependent_objects_still_exist or invalid_schema_name then null; end $drop$");
	enum rc rc = any ? pg_exec(pg, buf_cstr(&sql), e) : RC_OK;
	buf_free(&sql);
	return rc;
}

enum rc
views_install(struct pg *pg, struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES), about = buf_new(LIMIT_CONFIG_FILE_BYTES);
	enum rc rc = RC_OK;
	for (size_t i = 0; i < sql_file_count && rc == RC_OK; i++) {
		struct bytes name = view_name(&sql_files[i]);
		if (name.len == 0)
			continue;
		const unsigned char *dot = memchr(name.data, '.', name.len);
		buf_clear(&sql);
		buf_printf(&sql, "create schema if not exists %.*s;\ndo $install$ begin\n%s\n",
			(int)(dot - name.data), (const char *)name.data, sql_files[i].text);
		buf_clear(&about);
		comments_put_prose(&about, sql_files[i].text);
		buf_printf(&sql, "comment on view %.*s is ", (int)name.len, (const char *)name.data);
		pg_put_literal(&sql, buf_cstr(&about));
		buf_put_str(&sql, ";\n");
		/* An operator's projection may have taken the place of a built-in one. */
		buf_printf(&sql,
			"exception when undefined_table or undefined_column or undefined_function then\n"
			"\traise warning 'view %.*s left out: %%', sqlerrm;\nend $install$",
			(int)name.len, (const char *)name.data);
		rc = pg_exec(pg, buf_cstr(&sql), e);
		if (rc != RC_OK)
			err_wrap(e, "%s", sql_files[i].path);
	}
	buf_free(&sql);
	buf_free(&about);
	return rc;
}

enum rc
views_grant(struct pg *pg, struct err *e)
{
	struct buf names = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct pg_result *r = NULL;
	for (size_t i = 0; i < sql_file_count; i++) {
		struct bytes name = view_name(&sql_files[i]);
		buf_put_str(&names, name.len > 0 && names.len > 0 ? "," : "");
		buf_put_bytes(&names, name);
	}
	const struct pg_param param = pg_param_text(buf_cstr(&names));
	enum rc rc = pg_query(pg, "select array_to_string(hooklog.grant_readers(string_to_array($1, ',')), ', ')",
		&param, 1, &r, e);
	if (rc == RC_OK && pg_field(r, 0, 0) != NULL)
		LOG_WARN("project.reader-role", F_S("missing", pg_field(r, 0, 0)),
			F_S("next", "an administrator of the database makes the role, or you delete it from hooklog.readers"));
	pg_result_free(r);
	buf_free(&names);
	return rc;
}
