/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_RING_H
#define INGEST_RING_H

#include "base/arena.h"
#include "base/err.h"

/* A file of fixed size that keeps the newest records: a new one takes the place of the oldest.
 * Several processes may use it at once, each operation locks the file. Not synced: what it holds is
 * of use, not of value. Any thread. */

struct ring;

#define RING_SIZE_MIN ((uint64_t)64 * 1024)

enum ring_state { RING_WAITING = 1, RING_ADMITTED = 2, RING_DROPPED = 3 };

struct ring_entry {
	uint64_t id;   /* from 1, never used twice */
	int64_t at_us; /* microseconds since 1970 */
	enum ring_state state;
	uint64_t seq; /* with RING_ADMITTED: its number in the log */
	size_t bytes; /* of the data */
};

/* Opens or makes it. A size other than before moves the newest records into a new file; 0 takes an
 * existing file as it is. RC_NOTFOUND: size 0 and no file. RC_CORRUPT: the file is no ring;
 * ring_remake. RC_INVALID: size too small. RC_IO, RC_FULL. */
enum rc ring_open(struct ring **r, const char *path, uint64_t size, struct err *e) MUST_CHECK;

/* Makes it anew, empty, whatever was there. */
enum rc ring_remake(struct ring **r, const char *path, uint64_t size, struct err *e) MUST_CHECK;

/* NULL is fine. */
void ring_close(struct ring *r);

/* The most bytes one record may have. */
size_t ring_data_max(const struct ring *r);

/* RC_INVALID: over ring_data_max. RC_CORRUPT, RC_IO, RC_FULL. */
enum rc ring_add(
	struct ring *r, int64_t at_us, struct bytes data, uint64_t *id, struct err *e) MUST_CHECK;

/* All entries, the oldest first, in a. */
enum rc ring_list(struct ring *r, struct arena *a, const struct ring_entry **entries, size_t *count,
	struct err *e) MUST_CHECK;

/* Data in a. RC_NOTFOUND: no such entry, or no longer. RC_CORRUPT: its checksum is wrong. */
enum rc ring_read(struct ring *r, uint64_t id, struct arena *a, struct ring_entry *entry,
	struct bytes *data, struct err *e) MUST_CHECK;

/* RC_NOTFOUND: no such entry, or no longer. */
enum rc ring_mark(
	struct ring *r, uint64_t id, enum ring_state state, uint64_t seq, struct err *e) MUST_CHECK;

#endif
