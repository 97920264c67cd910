/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_CHECK_H
#define TESTS_CRASH_CHECK_H

#include "store/store.h"

/* Events made from numbers, and the look at a log that holds some of them in a known order. */

/* The events check_log appends have this id and the following ones. */
#define CHECK_WRITTEN_ON ((uint64_t)1 << 31)

/* Flags in an event's id; the lower 32 bits are a number. */
#define CHECK_OTHER_BODY ((uint64_t)1 << 32) /* the delivery id of that number with another body */
#define CHECK_LARGE ((uint64_t)1 << 33)      /* 25 MB */
#define CHECK_KEYLESS ((uint64_t)1 << 34)    /* without a delivery id */
#define CHECK_AUDIT ((uint64_t)1 << 35)      /* the audit of redacting the event that number is the seq of */

/* Buffers of one event at a time. */
struct check_event {
	struct event event;
	char delivery[24];
	unsigned char *body; /* owned; freed by the next check_event_make and check_event_free */
};

void check_event_make(struct check_event *c, uint64_t id);
void check_event_free(struct check_event *c);

struct check_outcome {
	bool bad;
	uint64_t first, last;
	uint64_t done; /* so much of what an operator asked for is there */
	char text[300]; /* what is wrong */
};

/* A part of a test's folder: the log, and beside it what operators make of it. */
#define CHECK_LOG "log"
#define CHECK_ARCHIVE "archive"
#define CHECK_BACKUP "backup"

struct check_expect;

/* A further look, after the log was found sound and closed: sets out->done. */
typedef void (*check_further_fn)(const char *root, const struct check_expect *expect,
	struct check_outcome *out);

struct check_expect {
	const uint64_t *ids; /* ids[seq - 1], as submitted */
	size_t count;
	uint64_t segment_bytes_max;
	unsigned write_on; /* so many events are appended afterwards */
	uint64_t sample;   /* any number: which of the older events are sent again */
	bool archived;     /* what the log has let go of is in the archive; nothing may be missing */
	check_further_fn further; /* may be NULL */
};

/* Says in out what is wrong, and false. */
bool check_wrong(struct check_outcome *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reads all the reader has and compares it; sets out->first and out->last. */
bool check_read(struct store_reader *r, const struct check_expect *expect, struct check_outcome *out);

/* Opens the log below root as a starting program does, compares everything it gives with what was
 * submitted, sends the newest and a quarter of the older events again, writes on, closes, verifies. Takes the whole process: what is wrong
 * inside LMDB may kill it. */
void check_log(const char *root, const struct check_expect *expect, struct check_outcome *out);

#endif
