/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include <stddef.h>

/* The files of sql/, embedded at build time by tools/sql2c.awk: control/ holds the numbered steps of the
 * control schema, projections/ one file per projection. Constant, sorted by path. */
struct sql_file {
	const char *path; /* "sql/projections/users.sql" */
	const char *text;
};

extern const struct sql_file sql_files[];
extern const size_t sql_file_count;

#endif
