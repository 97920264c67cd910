/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STREAM_H
#define STORE_STREAM_H

#include "store/record.h"

/* The archive format of `log export`: a self-contained stream of frames with the records as they
 * are stored (docs/on-disk-format.md, "The archive stream"). Nothing here touches LMDB. */

enum stream_type {
	STREAM_HEADER = 1,
	STREAM_SEGMENT = 2,
	STREAM_META = 3,
	STREAM_RECORD = 4,
	STREAM_FOOTER = 5,
};

/* ---- writing ---- */

/* Takes all of data or fails. */
typedef enum rc (*stream_put_fn)(void *context, struct bytes data, struct err *e);

struct stream_writer;

/* Writes the header. Borrows context until stream_writer_free. */
enum rc stream_writer_new(struct stream_writer **w, stream_put_fn put, void *context,
	const unsigned char log_id[STORE_LOG_ID_BYTES], int64_t made_at_us,
	struct err *e) MUST_CHECK;
void stream_writer_free(struct stream_writer *w); /* NULL is fine */

/* A segment starts: the records that follow begin with first_seq, which prev_chain precedes. */
enum rc stream_put_segment(struct stream_writer *w, uint64_t first_seq,
	const unsigned char prev_chain[STORE_CHAIN_BYTES], struct err *e) MUST_CHECK;

/* One entry of the segment's meta, among them its dictionaries. */
enum rc stream_put_meta(
	struct stream_writer *w, struct bytes key, struct bytes value, struct err *e) MUST_CHECK;

/* A record as stored, which the caller has checked. */
enum rc stream_put_record(
	struct stream_writer *w, uint64_t seq, struct bytes record, struct err *e) MUST_CHECK;

/* Ends the stream. */
enum rc stream_put_footer(struct stream_writer *w, struct err *e) MUST_CHECK;

/* Bytes written so far, and their SHA-256. */
uint64_t stream_written(const struct stream_writer *w, unsigned char sha256[SHA256_BYTES]);

/* ---- reading ---- */

/* Reads up to size bytes into data; *got 0: the end. */
typedef enum rc (*stream_get_fn)(
	void *context, unsigned char *data, size_t size, size_t *got, struct err *e);

struct stream_frame {
	enum stream_type type;
	uint64_t seq; /* SEGMENT: its first; RECORD; FOOTER: the last one, 0 without records */
	uint64_t first_seq;                     /* FOOTER: 0 without records */
	uint64_t count;                         /* FOOTER */
	struct bytes key;                       /* META */
	struct bytes data;                      /* META: the value; RECORD: all of it */
	unsigned char chain[STORE_CHAIN_BYTES]; /* SEGMENT: prev_chain; RECORD, FOOTER: of the last
						   record */
	struct record_header header;            /* RECORD */
};

struct stream_reader;

/* Reads and checks the header. Safe on any bytes, as is stream_next.
 * RC_INVALID: not such a stream, or a newer one. RC_CORRUPT: damaged. */
enum rc stream_reader_new(
	struct stream_reader **r, stream_get_fn get, void *context, struct err *e) MUST_CHECK;
void stream_reader_free(struct stream_reader *r); /* NULL is fine */
const unsigned char *stream_log_id(const struct stream_reader *r);

/* The next frame, valid until the next call. Checksums, numbers, chain, and in the footer count and
 * hash of everything are checked. After the footer: RC_NOTFOUND, when nothing follows.
 * RC_CORRUPT: damaged or cut off; what came before is sound. */
enum rc stream_next(struct stream_reader *r, struct stream_frame *frame, struct err *e) MUST_CHECK;

#endif
