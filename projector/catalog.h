/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_CATALOG_H
#define PROJECTOR_CATALOG_H

#include "base/crypto.h"
#include "event/jpath.h"
#include "projector/definition.h"
#include "projector/hosts.h"
#include "projector/plan.h"

/* All projections of an installation: the built-in ones of sql/projections/ and those of a folder the
 * operator names, where a file of the same name replaces a built-in one. Constant after loading. */
struct catalog {
	struct definition *definitions; /* sorted by table name; those of hosts behind */
	size_t count;
	struct jpath_set *paths; /* every path of every definition */
	struct hosts hosts;      /* whose events go to tables of their own */
	struct plan plan;        /* which of their lines each event needs */
	unsigned char hash[SHA256_BYTES]; /* of all files, the views on top and the way tables are made */
};

/* Loads and checks everything. dir may be "" . Strings live in a; catalog_free frees the path set.
 * RC_INVALID: a file is wrong, or two make the same table; RC_NOTFOUND: dir does not exist. */
enum rc catalog_load(struct catalog *c, const char *dir, struct arena *a, struct err *e) MUST_CHECK;
/* The same with tables of their own for each host of "SOURCE=HOST, ..."; RC_INVALID, id config.invalid. */
enum rc catalog_load_hosts(struct catalog *c, const char *dir, const char *hosts, struct arena *a,
	struct err *e) MUST_CHECK;

/* The same with one projection alone: a file by its path, which has a '/' or ends with ".sql", or one of
 * the installation by its table. RC_NOTFOUND: there is none. */
enum rc catalog_load_one(struct catalog *c, const char *dir, const char *file_or_table, struct arena *a,
	struct err *e) MUST_CHECK;
void catalog_free(struct catalog *c);

#endif
