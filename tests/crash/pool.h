/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_POOL_H
#define TESTS_CRASH_POOL_H

#include "tests/crash/check.h"
#include "tests/crash/model.h"

/* Checks images in child processes, each different one once, and compares the outcomes with what had
 * been promised at the moments the image can come from. */

struct pool;

struct pool_result {
	uint64_t images, violations;
	char first[400]; /* the first violation */
};

/* stale_lock: content of the table of readers half of the images get. scratch: a folder to work in. */
struct pool *pool_new(const char *scratch, const struct check_expect *expect, struct bytes stale_lock);

/* Room for so many more images; further new ones are let go. */
void pool_allow(struct pool *p, uint64_t images);
uint64_t pool_images(const struct pool *p);

/* A model_image_fn; context is the pool. */
void pool_take(const struct model_image *image, void *context);

/* Waits for all and judges. ends: the seqs a commit ended with, ascending. early: an ack may have been
 * sent as soon as the event was submitted. */
struct pool_result pool_finish(struct pool *p, const uint64_t *ends, size_t end_count, bool early);

#endif
