/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RAW_H
#define STORE_RAW_H

#include "store/reader.h"

/* Records as they are stored, in and out of segments: what export, import, backup and redaction are
 * made of. One thread at a time. */

struct raw_record {
	uint64_t seq;
	struct bytes bytes; /* all of it, checksum and number checked */
	struct record_header header;
};

struct raw_batch {
	uint64_t segment_first;
	unsigned char prev_chain[STORE_CHAIN_BYTES]; /* before segment_first */
	const struct raw_record *records;            /* all of one segment */
	size_t count;                                /* 0: the log ends before seq */
	uint64_t segment_last;                       /* at the time of reading */
	bool sealed;
};

/* Copies records from seq to last at most out of one segment, about max_bytes of them, into a, and
 * ends the read transaction. Checks checksum and number of each.
 * RC_NOTFOUND: seq is no longer held. RC_CORRUPT. */
enum rc raw_read(struct store_reader *r, uint64_t seq, uint64_t last, size_t max_bytes,
	struct arena *a, struct raw_batch *b, struct err *e) MUST_CHECK;

struct raw_meta {
	struct bytes key, value;
};

/* Copies the meta entries of the segment that starts with segment_first into a, but for the three
 * that follow from its place (log_id, first_seq, prev_chain). */
enum rc raw_read_meta(struct store_reader *r, uint64_t segment_first, struct arena *a,
	const struct raw_meta **entries, size_t *count, struct err *e) MUST_CHECK;

/* The key under which a segment's meta holds the dictionary of that id. */
#define RAW_DICT_KEY "dict.%08" PRIx32
#define RAW_DICT_KEY_BYTES 16

/* Reads all records of the segment file dir/file, which nobody writes: checksums, numbers, chain. chain:
 * of last. The file must hold exactly first to last. */
enum rc raw_check_frozen(const char *dir, const char *file, const unsigned char log_id[STORE_LOG_ID_BYTES],
	uint64_t first, uint64_t last, unsigned char chain[STORE_CHAIN_BYTES], struct err *e) MUST_CHECK;

/* ---- making segments ---- */

/* A segment being made in a folder of its own. */
struct raw_build;

/* Starts the file dir/<first_seq>.mdb, removing an old one of that name. */
enum rc raw_build_new(struct raw_build **b, const char *dir,
	const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t first_seq,
	const unsigned char prev_chain[STORE_CHAIN_BYTES], struct err *e) MUST_CHECK;

enum rc raw_build_meta(
	struct raw_build *b, struct bytes key, struct bytes value, struct err *e) MUST_CHECK;

/* Records must come in order. */
enum rc raw_build_record(
	struct raw_build *b, uint64_t seq, struct bytes record, struct err *e) MUST_CHECK;

/* Commits and syncs. */
enum rc raw_build_end(struct raw_build *b, struct err *e) MUST_CHECK;

/* Forgets what was not committed. NULL is fine. The file stays. */
void raw_build_free(struct raw_build *b);

#endif
