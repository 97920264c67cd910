/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_RING_FILE_H
#define INGEST_RING_FILE_H

#include <limits.h>
#include <pthread.h>

#include "base/crypto.h"
#include "ingest/ring.h"

/* The file, in the byte order of the machine it never leaves:
 *
 *	0        4096                    first          next            size
 *	| header | newer records | free  | oldest records | ... | filler  |
 *
 * Records lie one behind the other and never wrap: one that does not fit at the end is written at
 * the start, with a filler where it would have been. The header is written before anything is
 * overwritten, and after a record is complete, so a killed writer leaves a ring that can be read.
*/

#define RING_ID "ingest.quarantine"
#define RING_AREA_AT ((uint64_t)4096)
#define RING_CHECK_BYTES 8
#define RING_RECORD_MAGIC ((uint64_t)0x64726f6365526b48)
#define RING_FILLER_MAGIC ((uint64_t)0x72656c6c69466b48)

struct ring_header {
	char magic[8];
	uint64_t size, first, next, count, next_id;
	unsigned char check[RING_CHECK_BYTES];
};

struct ring_record {
	uint64_t magic, id, bytes;
	int64_t at_us;
	uint64_t state, seq;
	unsigned char check[RING_CHECK_BYTES]; /* over id, bytes, at_us and the data */
};

struct ring {
	int fd;
	uint64_t size;
	pthread_mutex_t lock; /* the file's lock is the process's */
	char path[PATH_MAX];
};

extern const char ring_magic[8];

/* What a record with so many bytes of data takes. */
uint64_t ring_record_size(uint64_t bytes);

/* RC_CORRUPT with the remedy. */
enum rc ring_damaged(const struct ring *r, struct err *e);

/* All len bytes, or an error. Under the file's lock, as all below. RC_CORRUPT: the file ends
 * before. */
enum rc ring_read_at(struct ring *r, void *out, size_t len, uint64_t at, struct err *e) MUST_CHECK;

/* RC_FULL, RC_IO. */
enum rc ring_write_at(
	struct ring *r, const void *data, size_t len, uint64_t at, struct err *e) MUST_CHECK;

/* The header once it is known to be whole. RC_CORRUPT, RC_IO. */
enum rc ring_read_header(struct ring *r, struct ring_header *h, struct err *e) MUST_CHECK;

/* Writes it with its check. */
enum rc ring_write_header(struct ring *r, struct ring_header *h, struct err *e) MUST_CHECK;

/* The record at *at, or the one at the start when there is none any more before the end; its data
 * are not checked. RC_CORRUPT, RC_IO. */
enum rc ring_record_at(
	struct ring *r, uint64_t *at, struct ring_record *rec, struct err *e) MUST_CHECK;

/* The check of a record and its data. */
void ring_record_check(
	const struct ring_record *rec, struct bytes data, unsigned char out[RING_CHECK_BYTES]);

#endif
