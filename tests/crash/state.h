/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_STATE_H
#define TESTS_CRASH_STATE_H

#include "tests/crash/model.h"
#include "tests/tools/shim.h"

/* The disk while a trace is replayed: what is on it for certain, and the pieces and names that are
 * pending, which a power cut may keep or lose. */

#define STATE_PATH_BYTES 128
#define STATE_FILES_MAX 256
#define STATE_NAMES_MAX 96
#define STATE_OPS_MAX 64

struct state_file {
	uint64_t inode;
	unsigned char *durable, *work;
	size_t durable_len, cache_len, room;
};

struct state_name {
	char path[STATE_PATH_BYTES]; /* relative to the root */
	int file;                    /* -1: a folder */
};

enum state_op_kind { OP_ADD, OP_RENAME, OP_REMOVE };

struct state_op {
	enum state_op_kind kind;
	struct state_name name;
	char to[STATE_PATH_BYTES];
};

/* A piece of a write that no sync has covered. */
struct state_chunk {
	int file;
	unsigned len;
	uint64_t offset;
	const unsigned char *data;
	uint32_t pid;
	bool limbo;   /* its sync failed: nothing will write it any more */
	bool signal;  /* of the file `head`, which is never synced */
	bool chosen;  /* the explorer's: it is in the image */
	size_t place; /* the explorer's: which of the places it belongs to */
};

struct state {
	const char *root;
	const struct model_rules *rules;
	struct state_file files[STATE_FILES_MAX];
	size_t file_count;
	struct state_name names[STATE_NAMES_MAX]; /* durable */
	size_t name_count;
	struct state_op ops[STATE_OPS_MAX]; /* pending, oldest first */
	size_t op_count;
	struct state_chunk *chunks; /* pending, oldest first */
	size_t chunk_count, chunk_room;
	uint32_t opened_pid, first_pid;
};

/* Does to the disk what a record says that is no mark. name and data follow the record; data is kept by
 * reference. */
void state_apply(struct state *s, const struct shim_record *r, struct bytes name, struct bytes data);

/* A write through O_DSYNC has returned: it is durable. */
void state_finish_write(struct state *s, const struct shim_record *r);

/* The process is done with opening the log. */
void state_opened(struct state *s, uint32_t pid);

/* The names with the first `count` of the pending ones but `skipped` (SIZE_MAX: none). Returns how many. */
size_t state_names(const struct state *s, size_t count, size_t skipped,
	struct state_name out[STATE_NAMES_MAX]);

/* The file with the chosen pieces. tail, of a file that was growing: 0: it ends with what was written, 1: it
 * has its full length with zeros, 2: with garbage. Borrowed until the next call for the same file. */
struct bytes state_content(struct state *s, int file, int tail);

void state_free(struct state *s);

#endif
