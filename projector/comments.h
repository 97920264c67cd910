/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_COMMENTS_H
#define PROJECTOR_COMMENTS_H

#include "base/buf.h"
#include "projector/definition.h"

/* What each table and column is, in words: for COMMENT ON, and for the page of the schema. */

/* What a column that hooklog or the file fills is: what the file says, else what a column of that name is
 * in every table, else "". */
const char *comments_about_column(const struct definition *d, const char *name);

/* "full = merged", as in the file: the group, unless it is core, and the expression. Nothing for a column
 * without one. */
void comments_put_source(struct buf *out, const struct definition *d, const char *name);

/* Appends COMMENT ON for the table in schema and all its columns. */
void comments_put(struct buf *out, const struct definition *d, const char *schema);

/* Appends the comment lines that text begins with, as one line. */
void comments_put_prose(struct buf *out, const char *text);

#endif
