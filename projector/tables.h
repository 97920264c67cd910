/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_TABLES_H
#define PROJECTOR_TABLES_H

#include "pg/pg.h"
#include "projector/fold.h"

/* The SQL that hooklog makes from a definition: the bookkeeping columns behind the declared ones, the
 * upsert of a folded batch, the stable view; and binding a folded table to the upsert's parameters. */

/* Appends what makes the table in schema: the file's own SQL, the bookkeeping columns, the comments. */
void tables_put_create(struct buf *out, const struct definition *d, const char *schema);

/* Appends the names of all columns we write, in the order in which upsert and COPY have them; the second
 * only those behind the declared ones, each with ", " in front. */
void tables_put_columns(struct buf *out, const struct definition *d);
void tables_put_book_columns(struct buf *out, const struct definition *d);

/* Calls fn for each column that hooklog adds to the table, those that PostgreSQL generates too. */
void tables_each_book_column(const struct definition *d,
	void (*fn)(const char *name, const char *sql_type, void *context), void *context);

/* Appends the upsert: INSERT ... SELECT FROM unnest of one array per parameter, ON CONFLICT by version per
 * column group. types gets the parameters' types, at least TABLES_PARAMS_MAX entries; returns their
 * number. */
#define TABLES_PARAMS_MAX 128
size_t tables_put_upsert(struct buf *out, const struct definition *d, const char *schema,
	enum pg_type types[TABLES_PARAMS_MAX]);

/* Appends the statements that point a stable view at a table in schema. A view of the same shape is
 * replaced in place; see hooklog.show_table for one whose columns changed. */
void tables_put_view(struct buf *out, const char *view, const char *schema, const char *table);

/* For an error of SQL that was made from d: names the file and, unless the database is in trouble or
 * refuses us, says that the projection is wrong (RC_INVALID, id config.projection). With the SQL that was
 * refused, sql, and pg_error_position, also line and column of the file. Returns e->rc. */
enum rc tables_refused(const struct definition *d, const char *sql, int position, struct err *e);

/* Fills arrays, one per parameter of the upsert, from the rows. The caller frees them with pg_array_free.
 * RC_INVALID: the rows pass LIMIT_PG_PARAM_BYTES. */
enum rc tables_bind(const struct fold_table *t, struct pg_array arrays[TABLES_PARAMS_MAX],
	struct pg_param params[TABLES_PARAMS_MAX], size_t *count, struct err *e) MUST_CHECK;

#endif
