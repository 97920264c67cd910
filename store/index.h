/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/index_levels.h"
#include "store/index_sources.h"
#include "store/reader.h"

/* The index: which deliveries the log holds already, and which numbers each source has. index.mdb covers
 * the log up to some seq; what came later is in memory until a thread of the index writes it out. Derived
 * from the log: it may be deleted at any time while no writer runs. */

/* The databases of index.mdb beside those of index_levels.h, and the keys of the last one. */
#define INDEX_FORMAT "4"
#define INDEX_SOURCES "sources"
#define INDEX_META "meta"
#define INDEX_META_FORMAT "format"
#define INDEX_META_LOG_ID "log_id"
#define INDEX_META_FIRST "first_seq"
#define INDEX_META_LAST "last_seq"
#define INDEX_META_CHAIN "chain"
#define INDEX_META_CLEAN "clean"

/* What an index knows: all records from first_seq to last_seq, of the history in which last_seq has this
 * chain value. first_seq > last_seq: none. */
struct index_cover {
	uint64_t first_seq, last_seq;
	unsigned char chain[STORE_CHAIN_BYTES];
};

/* Whether the log of r has the history of cover; a record that cannot be read is no reason to doubt. */
bool index_fits(struct store_reader *r, const struct index_cover *cover);

/* False: meta does not say what the index covers. */
bool index_read_cover(MDB_txn *txn, MDB_dbi meta, struct index_cover *cover);

/* Whether the file is an index of this log that does not reach past log_last_seq, and can be read through without
 * harm; looks in a child process. Call it in a process without threads. */
bool index_looks_sound(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t log_last_seq);

struct index;

/* Opens or makes dir/index.mdb, throwing a damaged one away, and adds what the log holds beyond it;
 * r reads the log. Starts the index's thread. */
enum rc index_open(struct index **ix, struct store_reader *r, struct err *e) MUST_CHECK;

/* Writes out what is in memory and closes. NULL is fine. */
void index_close(struct index *ix);

/* Whether another commit may be added. RC_FULL: the disk is, and memory holds all it may; the index tries again
 * now, so later the answer can be another one. RC_IO: a write failed, which is final: the file was removed, so that
 * the next start makes it anew. Writer thread only, as all that follow. */
enum rc index_ready(struct index *ix, struct err *e) MUST_CHECK;

/* *stored: the entry comes from index.mdb, which carries no checksums,
 * rather than from memory. RC_NOTFOUND: the key is new. */
enum rc index_find(struct index *ix, const struct index_key *key, struct index_entry *entry,
	bool *stored, struct err *e) MUST_CHECK;

/* Adds an entry of the commit being built; the key must be new, or its stored entry wrong. */
void index_add(struct index *ix, const struct index_key *key, const struct index_entry *entry);

/* Notes the source of the next record of the commit being built: every record, by rising numbers. */
void index_add_source(struct index *ix, uint64_t seq, uint64_t tag);

/* The commit failed: forgets what was added since the last index_committed. */
void index_rollback(struct index *ix);

/* The commit is on disk, the log ends with last_seq. May hand the entries to the thread. */
void index_committed(struct index *ix, uint64_t last_seq, const unsigned char chain[STORE_CHAIN_BYTES]);

/* ---- looking from outside; another process may write meanwhile ---- */

struct index_view;

/* RC_NOTFOUND: there is no index, or one of another version. */
enum rc index_view_open(struct index_view **v, const char *dir, struct err *e) MUST_CHECK;
void index_view_close(struct index_view *v); /* NULL is fine */

/* Takes a fresh look; *cover is what the index covers from now on. */
enum rc index_view_refresh(struct index_view *v, struct index_cover *cover, struct err *e) MUST_CHECK;

/* Ends the look, so that the writer can use old pages again. */
void index_view_rest(struct index_view *v);

/* Calls fn for every entry, in the order of keys. */
enum rc index_view_each(const struct index_view *v, index_entry_fn fn, void *context, struct err *e)
	MUST_CHECK;

/* The number the index would answer a redelivery of ev with: ev's own, or that of an equal event; 0: it
 * does not know it. Only for events with a delivery id. */
uint64_t index_view_find(const struct index_view *v, const struct event *ev);

/* Calls fn with the number of every record that has this delivery id in whatever case, and of a few that
 * do not have it. */
typedef void (*index_seq_fn)(uint64_t seq, void *context);
enum rc index_view_deliveries(const struct index_view *v, struct bytes delivery, index_seq_fn fn,
	void *context, struct err *e) MUST_CHECK;

/* Calls fn for every set of numbers. */
typedef void (*index_set_fn)(uint64_t tag, uint64_t block, const struct source_set *set, void *context);
enum rc index_view_each_source(const struct index_view *v, index_set_fn fn, void *context, struct err *e)
	MUST_CHECK;

/* Whether the index has the event among those of its source. Best called by rising numbers. */
bool index_view_has_source(struct index_view *v, const struct event *ev);

/* Adds the numbers of the source in block to *set. */
enum rc index_view_source(const struct index_view *v, uint64_t tag, uint64_t block, struct source_set *set,
	struct err *e) MUST_CHECK;

/* Sets *block to the first one at or after it in which the source has any. RC_NOTFOUND: none. */
enum rc index_view_next_block(const struct index_view *v, uint64_t tag, uint64_t *block, struct err *e)
	MUST_CHECK;

#endif
