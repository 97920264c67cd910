/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/reader.h"

/* The dedupe index: which deliveries the log holds already. index.mdb covers the log up to some seq;
 * what came later is in memory until a thread of the index writes it out. Derived from the log: it may
 * be deleted at any time while no writer runs.
 *
 * A key is 128 bits of SHA-256 over (source, hook, delivery) with their lengths. Nobody finds two
 * deliveries with the same key by accident, and a hit is compared with the record itself before it
 * counts (writer.c). */

#define INDEX_KEY_BYTES 16

/* The databases of index.mdb and the keys of the second one. */
#define INDEX_FORMAT "1"
#define INDEX_KEYS "keys"
#define INDEX_META "meta"
#define INDEX_META_FORMAT "format"
#define INDEX_META_LOG_ID "log_id"
#define INDEX_META_LAST "last_seq"
#define INDEX_META_CLEAN "clean"

struct index_key {
	unsigned char bytes[INDEX_KEY_BYTES];
};

struct index_entry {
	uint64_t seq;
	unsigned char body_sha256[SHA256_BYTES];
};

/* False: the event has no delivery id, so it has no key. */
bool index_key_of(const struct event *ev, struct index_key *key);

/* The key of a second body under the same delivery, so that its redeliveries are found, too. */
void index_key_with_body(const struct index_key *key, const unsigned char body_sha256[SHA256_BYTES],
	struct index_key *out);

struct index;

/* Opens or makes dir/index.mdb, throwing a damaged one away, and adds what the log holds beyond it;
 * r reads the log. Starts the index's thread. */
enum rc index_open(struct index **ix, struct store_reader *r, struct err *e) MUST_CHECK;

/* Writes out what is in memory and closes. NULL is fine. */
void index_close(struct index *ix);

/* Writer thread only, all of them. *stored: the entry comes from index.mdb, which carries no checksums,
 * rather than from memory. RC_NOTFOUND: the key is new. */
enum rc index_find(struct index *ix, const struct index_key *key, struct index_entry *entry,
	bool *stored, struct err *e) MUST_CHECK;

/* Adds an entry of the commit being built; the key must be new, or its stored entry wrong. */
void index_add(struct index *ix, const struct index_key *key, const struct index_entry *entry);

/* The commit failed: forgets what was added since the last index_committed. */
void index_rollback(struct index *ix);

/* The commit is on disk, the log ends with last_seq. May hand the entries to the thread. */
void index_committed(struct index *ix, uint64_t last_seq);

/* Adds the entries the event at the end of the log needs; for rolling forward. */
void index_add_event(struct index *ix, const struct event *ev);

/* ---- looking from outside, for verify; another process may write meanwhile ---- */

struct index_view;

/* RC_NOTFOUND: there is no index. */
enum rc index_view_open(struct index_view **v, const char *dir, struct err *e) MUST_CHECK;
void index_view_close(struct index_view *v); /* NULL is fine */

/* Takes a fresh look; *last_seq is what the index covers from now on. */
enum rc index_view_refresh(struct index_view *v, uint64_t *last_seq, struct err *e) MUST_CHECK;

/* Calls fn for every entry, in no useful order. */
typedef void (*index_entry_fn)(const struct index_key *key, const struct index_entry *entry, void *context);
enum rc index_view_each(const struct index_view *v, index_entry_fn fn, void *context, struct err *e)
	MUST_CHECK;

/* The number the index would answer a redelivery of ev with: ev's own, or that of an equal event; 0: it
 * does not know it. Only for events with a delivery id. */
uint64_t index_view_find(const struct index_view *v, const struct event *ev);

#endif
