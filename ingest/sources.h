/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SOURCES_H
#define INGEST_SOURCES_H

#include "ingest/provider.h"

/* Sources: the named endpoints. One folder holds <name>.conf for each,
 *
 *	provider = github
 *	secret_file = github.secret       up to SOURCE_SECRETS_MAX times, while a secret is rotated
 *	allow_unsigned = true             instead of secret_file: nothing is verified
 *
 * and the files with the secrets, readable by the owner only. White space around a secret is no
 *part of it. All errors carry the id ingest.source and name file and key. */

#define SOURCE_SECRETS_MAX 4
#define SOURCE_KEY_ID_BYTES 8

struct source_secret {
	struct bytes value;                   /* never logged, never printed */
	char key_id[SOURCE_KEY_ID_BYTES + 1]; /* names the secret without telling it */
	const char *file;                     /* as in the .conf */
};

struct source {
	const char *name;
	const struct provider *provider;
	bool allow_unsigned;
	struct source_secret secrets[SOURCE_SECRETS_MAX];
	size_t secret_count;
};

struct sources; /* what a folder held at one time; constant, shared by threads */

/* Reads the folder; one that does not exist gives an empty set. The caller owns one reference.
 * RC_INVALID: a file is wrong, too open or too long; the message says what to do. RC_IO. */
enum rc sources_load(struct sources **s, const char *dir, struct err *e) MUST_CHECK;

/* Any thread. The last release wipes the secrets; NULL is fine. */
struct sources *sources_retain(struct sources *s);
void sources_release(struct sources *s);

/* Borrowed while the caller holds a reference. NULL: no such source. */
const struct source *sources_find(const struct sources *s, struct bytes name);

/* Sorted by name. */
size_t sources_count(const struct sources *s);
const struct source *sources_at(const struct sources *s, size_t index);

/* A number that changes when a file in the folder is added, removed or written to; 0: no folder. */
uint64_t sources_stamp(const char *dir);

/* Writes a new source; secret is copied, an empty one makes 32 random bytes in hexadecimal, and
 * NULL data with allow_unsigned none at all. *secret_path (in a) names the file made, NULL without
 * one. RC_INVALID: name, provider or secret are no good. RC_CONFLICT: there is one of that name.
 * RC_IO. */
struct source_plan {
	const char *name, *provider;
	struct bytes secret;
	bool allow_unsigned;
};
enum rc source_add(const char *dir, const struct source_plan *plan, struct arena *a,
	const char **secret_path, struct err *e) MUST_CHECK;

/* Reads a file that holds a secret and trims it; out has room for LIMIT_SECRET_BYTES. The caller
 * wipes it. RC_INVALID: too short, too long, or readable by others. RC_NOTFOUND, RC_IO. */
enum rc source_read_secret(
	const char *path, unsigned char *out, size_t *len, struct err *e) MUST_CHECK;

/* The first 8 hexadecimal digits of SHA-256("hooklog key id" || secret). */
void source_key_id(struct bytes secret, char out[SOURCE_KEY_ID_BYTES + 1]);

#endif
