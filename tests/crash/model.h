/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include "base/base.h"

/* What a disk may hold after a power cut: replays a trace of tests/tools/shim.h and makes, for every
 * moment of it, the folders that can be found afterwards. A write is lost, kept, or kept in part, until
 * a sync of its file that began after it has succeeded; a name until a sync of its folder has. */

struct model_rules {
	unsigned granule;      /* bytes that are kept or lost as one: 512 or 4096 */
	bool file_keeps_names; /* as on ext4, the sync of a file also keeps all names given before it */
	unsigned random;       /* subsets drawn at random per moment, beside the systematic ones */
	uint64_t seed;
	/* What the controls break. */
	bool no_sync;       /* no sync and no O_DSYNC has an effect on an .mdb file */
	bool no_meta_sync;  /* O_DSYNC has none */
	bool no_dir_sync;   /* syncs of folders have none */
	bool no_start_sync; /* a process's syncs before its MODEL_OPENED miss what others wrote */
};

enum model_mark {
	MODEL_SUBMIT = 1, /* value: the event's id; a repeated id counts once */
	MODEL_ACK,        /* value: seq; may be sent to the client now */
	MODEL_VISIBLE,    /* value: seq; a reader has seen it */
	MODEL_DONE,       /* value: so much of what an operator asked for was reported as done */
	MODEL_LOOK,       /* value: whether the power may go from now on; without it, it may */
	MODEL_OPENED,     /* the process is done with opening the log */
	MODEL_END,        /* value: the last seq at a moment without a commit under way; what was
	                   * submitted beyond it is forgotten, its numbers will be given out again */
};

/* What was promised when the power went. */
struct model_point {
	uint64_t acked, visible, submitted, done;
};

struct model_file {
	const char *name; /* relative to the root */
	bool folder;
	struct bytes content;
};

struct model_image {
	const struct model_file *files;
	size_t count;
	uint64_t hash[2];
	struct model_point point;
};

struct model_trace {
	const unsigned char *data;
	size_t len;
	const char *root;
};

typedef void (*model_image_fn)(const struct model_image *image, void *context);

/* Calls found for a share `keep` (0 to 1) of the images of the trace, chosen by rules->seed; the same
 * image may come more than once. The image is borrowed. With found NULL nothing is built.
 * Returns how many images there are, repetitions included. */
uint64_t model_explore(const struct model_trace *trace, const struct model_rules *rules, double keep,
	model_image_fn found, void *context);

/* Calls found with each mark of the trace, and with mark 0 for each thing done to the disk. */
void model_marks(const struct model_trace *trace,
	void (*found)(unsigned mark, uint64_t value, void *context), void *context);

#endif
