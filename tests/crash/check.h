/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_CHECK_H
#define TESTS_CRASH_CHECK_H

#include "store/store.h"

/* Events made from numbers, and the look at a log that holds some of them in a known order. */

/* Flags in an event's id; the lower 32 bits are a number. */
#define CHECK_OTHER_BODY ((uint64_t)1 << 32) /* the delivery id of that number with another body */
#define CHECK_LARGE ((uint64_t)1 << 33)      /* 25 MB */
#define CHECK_KEYLESS ((uint64_t)1 << 34)    /* without a delivery id */

/* Buffers of one event at a time. */
struct check_event {
	struct event event;
	char delivery[24];
	unsigned char *body; /* owned; freed by the next check_event_make and check_event_free */
};

void check_event_make(struct check_event *c, uint64_t id);
void check_event_free(struct check_event *c);

struct check_expect {
	const uint64_t *ids; /* ids[seq - 1], as submitted */
	size_t count;
	uint64_t segment_bytes_max;
	unsigned write_on; /* so many events are appended afterwards */
};

struct check_outcome {
	bool bad;
	uint64_t first, last;
	char text[300]; /* what is wrong */
};

/* Opens the log in dir as a starting program does, compares everything it gives with what was
 * submitted, sends all of it again, writes on, closes, verifies. Takes the whole process: what is wrong
 * inside LMDB may kill it. */
void check_log(const char *dir, const struct check_expect *expect, struct check_outcome *out);

#endif
