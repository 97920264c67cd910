/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/index_key.h"
#include "store/reader.h"

/* The index: which deliveries the log holds already, and which numbers each source has. index.mdb covers
 * the log up to some seq; what came later is in memory until a thread of the index writes it out. Derived
 * from the log: it may be deleted at any time while no writer runs. */

struct index;

/* Opens or makes dir/index.mdb, throwing a damaged one away, and adds what the log holds beyond it;
 * r reads the log. Starts the index's thread. */
enum rc index_open(struct index **ix, struct store_reader *r, struct err *e) MUST_CHECK;

/* Writes out what is in memory and closes. NULL is fine. */
void index_close(struct index *ix);

/* Whether another commit may be added. RC_FULL: the disk is, and memory holds all it may; the index tries again
 * now, so later the answer can be another one. RC_IO: a write failed, which is final: the file was removed, so that
 * the next start makes it anew. Writer thread only, as all that follow but index_health. */
enum rc index_ready(struct index *ix, struct err *e) MUST_CHECK;

/* RC_IO, with its text: a write failed or damage was found, as above, whether or not a commit has asked since. Any
 * thread; e may be NULL. */
enum rc index_health(struct index *ix, struct err *e) MUST_CHECK;

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

#endif
