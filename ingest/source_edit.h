/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SOURCE_EDIT_H
#define INGEST_SOURCE_EDIT_H

#include "ingest/sources.h"

/* Changes to the files of a source. Lines that a change is not about, comments too, stay as they
 * are; each file is replaced as a whole, and in an order in which a receiver that reads in between
 * finds nothing missing. Two changes to one source at once: one of them may be lost. A running
 * receiver takes a change up by itself. All: RC_NOTFOUND: no such source; RC_INVALID; RC_IO. */

struct source_rotation {
	struct bytes secret; /* copied; empty: 32 random bytes in hexadecimal */
	int64_t now_us;
	int64_t keep_us; /* how long the secrets there are stay valid; 0: not at all */
};

/* Puts a new secret in front of the others and lets those end. Secrets that have ended already are
 * removed, with their files when those lie in dir. *secret_path (in a) names the new file.
 * RC_INVALID: the source is unsigned; the secret is no good; SOURCE_SECRETS_MAX are still valid. */
enum rc source_rotate(const char *dir, const char *name, const struct source_rotation *rotation,
	struct arena *a, const char **secret_path, struct err *e) MUST_CHECK;

/* *changed: it was not so before. */
enum rc source_set_disabled(const char *dir, const char *name, bool disabled, struct arena *a,
	bool *changed, struct err *e) MUST_CHECK;

/* The files that source_remove removes: the .conf and the secrets that lie in dir and that no other
 * source names. In a. */
enum rc source_files(const char *dir, const char *name, struct arena *a, const char ***files,
	size_t *count, struct err *e) MUST_CHECK;

enum rc source_remove(const char *dir, const char *name, struct arena *a, struct err *e) MUST_CHECK;

/* Writes a file with mode 0600 that holds secret, or 32 random bytes in hexadecimal. */
enum rc source_write_secret(const char *path, struct bytes secret, struct err *e) MUST_CHECK;

#endif
