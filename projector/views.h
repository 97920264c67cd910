/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_VIEWS_H
#define PROJECTOR_VIEWS_H

#include "pg/pg.h"

/* The views of sql/views/ on top of the stable ones: sets one per row, the provider-neutral views, the
 * metrics. A file is named like the view it makes, SCHEMA.NAME.sql, and files are applied in the order of
 * their names. The first two functions run inside the caller's transaction. */

/* Removes them, so that a stable view under them can change its columns. When somebody's own view stands
 * on one of them all of them stay. */
enum rc views_drop(struct pg *pg, struct err *e) MUST_CHECK;

/* Makes or replaces them. One whose tables or columns an operator's projection replaced is left out, with
 * a warning of the database. */
enum rc views_install(struct pg *pg, struct err *e) MUST_CHECK;

/* Lets the roles of hooklog.readers read the stable views and these, and logs those that do not exist. In the
 * caller's transaction or its own. */
enum rc views_grant(struct pg *pg, struct err *e) MUST_CHECK;

#endif
