/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_FILE_H
#define STORE_INDEX_FILE_H

#include "store/index_levels.h"
#include "store/index_meta.h"
#include "store/index_sources.h"
#include "store/keytab.h"

/* index.mdb, as its writer sees it: what the index does with the file, and nothing of when. index_file_find may be
 * called beside the others by another thread; the others one at a time. */

/* Records of commits that the file does not have yet. */
struct index_tail {
	struct keytab keys;
	struct source_tail sources;
	/* Of these, what belongs to commits that are on disk, and what the index covers with them. */
	size_t committed_keys, committed_records;
	struct index_cover cover;
};

void index_tail_free(struct index_tail *t);

/* Whether the file is an index of this log that does not reach past log_last_seq, and can be read through without
 * harm; looks in a child process. Call it in a process without threads. */
bool index_looks_sound(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t log_last_seq);

struct index_file {
	char *path;
	unsigned char log_id[STORE_LOG_ID_BYTES];
	MDB_env *env; /* NULL: not open */
	struct index_levels levels;
	MDB_dbi sources, meta;
	struct db_pages map;
	struct index_key move_from; /* of index_levels_move */
};

/* Opens or makes it. *cover: what it has, *keys: how many deliveries these are. path and log_id are set before. */
enum rc index_file_open(struct index_file *f, struct index_cover *cover, size_t *keys, struct err *e) MUST_CHECK;
void index_file_close(struct index_file *f);

/* RC_NOTFOUND, without a text: it is not there. */
enum rc index_file_find(const struct index_file *f, const struct index_key *key, struct index_entry *entry,
	struct err *e) MUST_CHECK;

/* Adds what is committed of t, in several transactions; the last one moves the covered range on, so that what
 * an interruption leaves is only added once more. RC_FULL: the disk is; it can be tried again. RC_IO: what the file
 * holds now nobody knows. */
enum rc index_file_write(struct index_file *f, const struct index_tail *t, bool clean, struct err *e) MUST_CHECK;

/* Moves deliveries from the small level to the large one until the small one has its size again; errors as above. */
enum rc index_file_settle(struct index_file *f, struct err *e) MUST_CHECK;

/* Calls fn for the 256th part of all entries, those whose key begins with this byte. */
enum rc index_file_each(const struct index_file *f, unsigned char first, index_entry_fn fn, void *context,
	struct err *e) MUST_CHECK;

/* Takes its pages out of our address space, as db_forget: in the end we would have touched them all. */
void index_file_forget(const struct index_file *f);

/* Deletes it, open or not. */
void index_file_remove(const struct index_file *f);

#endif
