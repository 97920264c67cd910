/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CFG_H
#define BASE_CFG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* Configuration as data: each key is a row that fills one member of a struct. A value comes from, in
 * falling order: the command line, HOOKLOG_SECTION_KEY in the environment, the file, the default. An
 * unknown key is an error. The only user of ini.h (libinih). */

enum cfg_type {
	CFG_STRING, /* const char * */
	CFG_U64,    /* uint64_t; suffixes KiB, MiB, GiB for bytes and ms, s, m, h, d for times */
	CFG_BOOL,   /* bool; true or false */
};

struct cfg_key {
	const char *name;     /* "ingest.listen" */
	enum cfg_type type;
	size_t offset;        /* of the member */
	const char *fallback; /* the default, written as in a file */
	uint64_t min, max;    /* for CFG_U64; max 0: no limit */
	const char *const *choices; /* for CFG_STRING: allowed values, NULL-terminated, or NULL */
	const char *help;     /* one line */
};

enum cfg_origin { CFG_DEFAULT, CFG_FILE, CFG_ENVIRONMENT, CFG_OPTION };

struct cfg_table {
	const struct cfg_key *keys;
	size_t count;
	void *values;              /* the struct the offsets are of */
	enum cfg_origin *origins;  /* one per key */
};

/* Fills all keys with their defaults. Strings live in a. Asserts that the defaults are right. */
void cfg_defaults(struct cfg_table *t, struct arena *a);

/* Reads an INI file over the values. RC_NOTFOUND: no such file. RC_INVALID: a line, key or value is
 * wrong; the message names file, line, key and what is allowed. */
enum rc cfg_file(struct cfg_table *t, const char *path, struct arena *a, struct err *e) MUST_CHECK;

/* Reads HOOKLOG_* variables over the values: HOOKLOG_INGEST_LISTEN for ingest.listen. Unknown
 * HOOKLOG_ variables are an error, but for HOOKLOG_LOG_LEVEL, which base/log.h reads itself, and
 * HOOKLOG_CONFIG. */
enum rc cfg_environment(struct cfg_table *t, struct arena *a, struct err *e) MUST_CHECK;

/* Sets one key. */
enum rc cfg_set(struct cfg_table *t, const char *name, const char *value, enum cfg_origin origin,
	struct arena *a, struct err *e) MUST_CHECK;

/* Appends "key = value" lines by section; with origins, a comment tells where each came from. */
void cfg_put(struct buf *out, const struct cfg_table *t, bool origins);

/* Appends docs/reference/config.md. */
void cfg_put_reference(struct buf *out, const struct cfg_key *keys, size_t count);

/* One "key = value" line of an INI file; section is "" before the first "[section]". */
typedef enum rc (*cfg_pair_fn)(const char *section, const char *name, const char *value,
	void *context, struct err *e);

/* Calls fn for every pair of a file in order, for files whose keys may repeat; a line that continues the
 * one above gives another pair of the same name. Stops at the first rc other than RC_OK, which it
 * returns with file and line in front of the message. RC_NOTFOUND: no such file. RC_INVALID: a line is
 * no pair. RC_IO. */
enum rc cfg_pairs(const char *path, cfg_pair_fn fn, void *context, struct err *e) MUST_CHECK;

/* "default", "file", ... */
const char *cfg_origin_name(enum cfg_origin origin);

#endif
