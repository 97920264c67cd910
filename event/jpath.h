/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENT_JPATH_H
#define EVENT_JPATH_H

#include "base/arena.h"
#include "base/err.h"

/* Reads chosen paths out of a JSON document in one pass (docs/adr/0005-declared-projections.md says
 * why this is our own code). All paths of all projections are compiled into one trie; the walker
 * checks the whole document strictly against RFC 8259 and keeps a slice for each path it meets.
 * Values nobody asked for are checked and skipped, never built.
 *
 * Path syntax:  a.b.c        members of objects
 *               a[].b        b of every element of the array a: one row per element
 *               a[]          every element itself
 *               []  [].b     the same for a document that is an array itself
 *               ""           the document itself
 * At most one [] in a path. A member name is one or more of any bytes but '.', '[' and ']'; a
 * member with another name cannot be asked for. */

enum jpath_type {
	JPATH_ABSENT = 0, /* the path does not exist in the document */
	JPATH_NULL,
	JPATH_FALSE,
	JPATH_TRUE,
	JPATH_NUMBER,
	JPATH_STRING,
	JPATH_OBJECT,
	JPATH_ARRAY,
};

struct jpath_value {
	enum jpath_type type;
	struct bytes raw; /* the value's text in the document; a string with its quotes */
};

struct jpath_set; /* the compiled paths; after the last jpath_add it may be shared by threads */
struct jpath_doc; /* what one walk found; one thread */

struct jpath_set *jpath_set_new(void);
void jpath_set_free(struct jpath_set *set);

/* Adds a path and sets *slot to its number; a path added before gets the same number again.
 * RC_INVALID: the syntax is wrong; the message quotes the path. */
enum rc jpath_add(struct jpath_set *set, const char *path, size_t *slot, struct err *e) MUST_CHECK;

/* Walks json and returns what it found. *doc lives in a; its raw slices point into json; set must
 * outlive it. Uses some 12 bytes of a per wanted value and 4 per row, doubled while growing.
 * When a member name occurs twice in one object the last one counts, as in PostgreSQL's jsonb.
 * RC_INVALID: not JSON by RFC 8259: bad syntax, bytes that are not UTF-8, more than one value,
 * nesting deeper than LIMIT_JSON_DEPTH, over 2 GiB; the message gives the byte offset. A leading
 * byte order mark is refused. Lone surrogates and \u0000 escapes are well-formed and accepted. */
enum rc jpath_walk(const struct jpath_set *set, struct bytes json, struct arena *a,
	struct jpath_doc **doc, struct err *e) MUST_CHECK;

/* The same for one document after the other, without making room for all paths anew each time. A walker
 * belongs to one thread; set must outlive it. *doc is valid until the next walk of the walker. */
struct jpath_walker;
struct jpath_walker *jpath_walker_new(const struct jpath_set *set);
void jpath_walker_free(struct jpath_walker *walker);
enum rc jpath_walker_walk(struct jpath_walker *walker, struct bytes json, const struct jpath_doc **doc,
	struct err *e) MUST_CHECK;

/* Whether jpath_get can give anything but JPATH_ABSENT for the slot. */
bool jpath_has(const struct jpath_doc *doc, size_t slot);

/* Elements the [] of the path met: 0 when the array is absent, empty or not an array. For a path
 * without [] it is 1. */
size_t jpath_rows(const struct jpath_doc *doc, size_t slot);

/* The value of a slot in a row (0 for a path without []). A row that has no such member gives
 * JPATH_ABSENT, and so does a row that there is not. All paths through the same [] have the same rows, so
 * row r of a[].b and row r of a[].c come from one element. */
struct jpath_value jpath_get(const struct jpath_doc *doc, size_t slot, size_t row);

/* Whether json is an object or an array that can stand as a value on a line of its own and comes out of it
 * byte for byte: by RFC 8259 as jpath_walk checks it, from its first byte to its last, without line breaks,
 * and nested no deeper than JPATH_LINE_DEPTH, since programs that read such lines have limits of their own
 * (jq 1.6: 256). Uses no memory; any thread. */
#define JPATH_LINE_DEPTH 128
bool jpath_is_line(struct bytes json);

/* The members of a JPATH_OBJECT, or with name NULL the elements of a JPATH_ARRAY, one after the other: sets
 * *rest, at first jpath_inside of it, to what is behind the next one. False: there is none left. For values
 * that jpath_walk gave, whose syntax is right. *name is as written, without its quotes. */
struct bytes jpath_inside(struct jpath_value v);
bool jpath_next(struct bytes *rest, struct bytes *name, struct jpath_value *value);

/* Decodes a JPATH_STRING for a text column: escapes resolved, \u0000 and lone surrogates become
 * U+FFFD, which PostgreSQL can store. *altered (may be NULL) tells whether that happened. The
 * result is valid UTF-8, in a, or in the document when nothing had to change. */
struct bytes jpath_text(struct jpath_value v, struct arena *a, bool *altered);

/* A JPATH_NUMBER that is an integer (also "1e3", "10.0") within int64. False: anything else. */
bool jpath_int64(struct jpath_value v, int64_t *out);

#endif
