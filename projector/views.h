/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_VIEWS_H
#define PROJECTOR_VIEWS_H

#include "pg/pg.h"
#include "projector/hosts.h"
#include "sql/sql.h"

/* The views of sql/views/ on top of the stable ones: sets one per row, the provider-neutral views, the
 * metrics. A file is named like the view it makes, SCHEMA.NAME.sql, and files are applied in the order of
 * their names; a view stands on earlier ones only.
 *
 * Hosts that have tables of their own (projector/hosts.h) are in the views, too. A view in gh or gh_metrics that
 * reads gh is made once more for each host from the host's tables, in gh_HOST or gh_metrics_HOST. In a view in
 * hooklog the select, which ends at the first line that ends with ";", is repeated for each host with "union
 * all". In a file, :host is the name of the host as text, null for all sources without one. */

/* Whether a file is one of these. */
bool views_is_file(const struct sql_file *file);

/* Appends the statements of a file for one host (NULL: for the sources without one, and what is for all of
 * them); nothing when the view is not repeated for hosts. hosts are all there are. */
void views_put(struct buf *out, const struct sql_file *file, const struct host *host, const struct hosts *hosts);

/* A change of what the views show, within a transaction of the caller's that undoes it when one of these fails.
 * The caller fills in the first three and frees grants. */
struct views_change {
	struct pg *pg;
	const struct hosts *before; /* those whose views there are */
	const struct hosts *after;  /* those whose views there will be */
	struct buf grants;          /* SQL that grants again what others had on views that were dropped */
};

/* Takes out of the way what stands on views that are about to change or go. sql with its one parameter gives a row
 * for each, with name, kind and what it stands on. Views of ours are dropped, views_install makes them again.
 * RC_CONFLICT, id project.views-in-the-way: others stand there, too; the message names them, and each is logged
 * on a line of its own as well, since there may be many. */
enum rc views_clear_way(struct views_change *c, const char *sql, const struct pg_param *param, struct err *e)
	MUST_CHECK;

/* Makes or replaces all views. One whose tables or columns an operator's projection replaced is left out, with
 * a warning of the database. One whose columns changed is made anew, with those of ours on top of it and the
 * grants of others. Errors as views_clear_way. */
enum rc views_install(struct views_change *c, struct err *e) MUST_CHECK;

/* Lets the roles of hooklog.readers read the stable views and these, and logs those that do not exist. In the
 * caller's transaction or its own. */
enum rc views_grant(struct pg *pg, const struct hosts *hosts, struct err *e) MUST_CHECK;

#endif
