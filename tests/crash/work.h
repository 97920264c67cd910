/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_WORK_H
#define TESTS_CRASH_WORK_H

#include "tests/crash/check.h"
#include "tests/crash/model.h"
#include "tests/tools/shim.h"

/* Workloads: what is done to a log while the shim writes down what reaches the disk. */

#define WORK_PHASES_MAX 6

struct work {
	const char *dir; /* the log's */
	const char *archive_dir, *backup_dir;
	uint64_t segment_bytes_max;
};

/* One process of a workload and what shall happen to it. */
struct work_phase {
	void (*run)(const struct work *w);
	enum shim_call call;
	unsigned nth;
	int error;
	bool short_write;
	const char *only;
	bool dies;
	bool only_sets_up; /* no power cuts meanwhile: another workload has them */
};

struct workload {
	const char *name;
	uint64_t segment_bytes_max; /* 0: default */
	struct work_phase phases[WORK_PHASES_MAX];
	unsigned images, images_soak; /* how many to look at; fewer when there are not so many */
	unsigned write_on;
	bool coarse; /* only with pieces of a page: there are too many smaller ones */
	check_further_fn further;
	bool archived;
};

extern const struct workload work_list[];
extern const size_t work_count;

struct work_recording {
	char *root; /* the folder that holds the folder `log` */
	struct bytes trace, stale_lock; /* owned */
	uint64_t *ids;
	size_t id_count;
	uint64_t *ends; /* seqs that commits ended with */
	size_t end_count;
};

/* For what a process of a workload does; ends it when something goes wrong. */
struct store *work_open(const struct work *w);
/* Events first to last, `batch` (8 at most) at once. */
void work_append(struct store *s, uint64_t first, uint64_t last, unsigned batch);
_Noreturn void work_fail(const char *what, const struct err *e);

/* Runs the workload in a new folder below base. Fails the test when it does not go as it should. */
void work_record(const struct workload *w, const char *base, struct work_recording *out);
void work_free(struct work_recording *r);

#endif
