/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_HOSTS_H
#define PROJECTOR_HOSTS_H

#include "base/arena.h"
#include "base/err.h"
#include "projector/definition.h"

/* Servers of one kind of forge whose ids must not meet: which sources are of which one is configured, never
 * read from an event. Each host has tables of its own for everything a forge sends: the definition
 * "gh.users" of provider "github" becomes for the host ghe.acme.com "gh_ghe_acme_com.users", made of the
 * table ghe_acme_com_users, of the provider "github@ghe_acme_com". */

struct host {
	const char *source; /* name of the source */
	const char *name;   /* as configured */
	const char *slug;   /* the same as part of an identifier */
};

struct hosts {
	struct host *list;
	size_t count;
};

/* Reads "SOURCE=HOST, ...". Everything lives in a. RC_INVALID, id config.invalid. */
enum rc hosts_parse(struct hosts *hosts, const char *text, struct arena *a, struct err *e) MUST_CHECK;

/* The host of a source; NULL: that of all others. */
const struct host *hosts_find(const struct hosts *hosts, struct bytes source);

/* Whether an earlier entry is of the same host. */
bool hosts_is_repeated(const struct hosts *hosts, size_t index);

/* The provider by which definitions of that host go. */
struct bytes hosts_provider(const struct host *host, struct bytes provider, struct arena *a);

/* The file of a projection as that of the host: its table and the indexes named after it get the slug in front.
 * In a. */
const char *hosts_rename(const struct host *host, const struct definition *d, struct arena *a);

#endif
