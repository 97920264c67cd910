/* SPDX-License-Identifier: Apache-2.0 */

#include "base/hash.h"
#include "base/limits.h"
#include "base/xxh.h"
#include "store/ops.h"
#include "store/stream.h"

/* A frame, integers little-endian:
 *
 *	0 checksum u64   8 type u32   12 length u32   16 payload
 *
 * The checksum is XXH3-64 over everything behind it. A stream starts with the magic. */
#define MAGIC STORE_EXPORT_MAGIC
#define MAGIC_BYTES (sizeof MAGIC - 1)
#define STREAM_VERSION 2
#define HEAD_BYTES 16
#define KEY_BYTES_MAX 64
/* A record, with room for its header; a meta entry is far smaller. */
#define PAYLOAD_BYTES_MAX (LIMIT_RECORD_BYTES + 4096)
#define META_BYTES_MAX ((size_t)1 << 20)

#define HEADER_BYTES (4 + STORE_LOG_ID_BYTES + 8)
#define SEGMENT_BYTES (8 + STORE_CHAIN_BYTES)
#define FOOTER_BYTES (8 + 8 + 8 + STORE_CHAIN_BYTES + SHA256_BYTES)

static void
put_le(unsigned char *p, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t
get_le(const unsigned char *p, size_t bytes)
{
	uint64_t v = 0;
	for (size_t i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* What has passed so far, on either side. */
struct passed {
	uint64_t count, first_seq, last_seq, bytes;
	unsigned char chain[STORE_CHAIN_BYTES];
	struct hash *hash;
};

/* ---- writing ---- */

struct stream_writer {
	stream_put_fn put;
	void *context;
	struct buf frame;
	struct passed passed;
};

static enum rc
emit(struct stream_writer *w, struct bytes data, struct err *e)
{
	hash_add(w->passed.hash, data);
	w->passed.bytes += data.len;
	return w->put(w->context, data, e);
}

/* One frame whose payload is the parts one after the other. */
static enum rc
emit_frame(struct stream_writer *w, enum stream_type type, const struct bytes *parts, size_t count,
	struct err *e)
{
	unsigned char head[HEAD_BYTES] = { 0 };
	size_t len = 0;
	for (size_t i = 0; i < count; i++)
		len += parts[i].len;
	ASSERT(len <= PAYLOAD_BYTES_MAX);
	put_le(head + 8, (uint64_t)type, 4);
	put_le(head + 12, len, 4);
	buf_clear(&w->frame);
	buf_put(&w->frame, head, sizeof head);
	for (size_t i = 0; i < count; i++)
		buf_put_bytes(&w->frame, parts[i]);
	ASSERT(!w->frame.overflow);
	put_le(w->frame.data, xxh3(w->frame.data + 8, w->frame.len - 8), 8);
	return emit(w, buf_bytes(&w->frame), e);
}

enum rc
stream_writer_new(struct stream_writer **out, stream_put_fn put, void *context,
	const unsigned char log_id[STORE_LOG_ID_BYTES], int64_t made_at_us, struct err *e)
{
	unsigned char payload[HEADER_BYTES];
	struct stream_writer *w = base_zalloc(sizeof *w);
	w->put = put;
	w->context = context;
	w->frame = buf_new(HEAD_BYTES + PAYLOAD_BYTES_MAX);
	w->passed.hash = hash_new();
	put_le(payload, STREAM_VERSION, 4);
	memcpy(payload + 4, log_id, STORE_LOG_ID_BYTES);
	put_le(payload + 4 + STORE_LOG_ID_BYTES, (uint64_t)made_at_us, 8);
	const struct bytes part = { payload, sizeof payload };
	enum rc rc = emit(w, bytes_str(MAGIC), e);
	if (rc == RC_OK)
		rc = emit_frame(w, STREAM_HEADER, &part, 1, e);
	if (rc != RC_OK) {
		stream_writer_free(w);
		w = NULL;
	}
	*out = w;
	return rc;
}

void
stream_writer_free(struct stream_writer *w)
{
	if (w == NULL)
		return;
	buf_free(&w->frame);
	hash_free(w->passed.hash);
	free(w);
}

enum rc
stream_put_segment(struct stream_writer *w, uint64_t first_seq,
	const unsigned char prev_chain[STORE_CHAIN_BYTES], struct err *e)
{
	unsigned char payload[SEGMENT_BYTES];
	const struct bytes part = { payload, sizeof payload };
	put_le(payload, first_seq, 8);
	memcpy(payload + 8, prev_chain, STORE_CHAIN_BYTES);
	memcpy(w->passed.chain, prev_chain, STORE_CHAIN_BYTES);
	return emit_frame(w, STREAM_SEGMENT, &part, 1, e);
}

enum rc
stream_put_meta(struct stream_writer *w, struct bytes key, struct bytes value, struct err *e)
{
	unsigned char len = (unsigned char)key.len;
	ASSERT(key.len > 0 && key.len <= KEY_BYTES_MAX && value.len <= META_BYTES_MAX);
	const struct bytes parts[] = { { &len, 1 }, key, value };
	return emit_frame(w, STREAM_META, parts, COUNT_OF(parts), e);
}

enum rc
stream_put_record(struct stream_writer *w, uint64_t seq, struct bytes record, struct err *e)
{
	if (w->passed.count++ == 0)
		w->passed.first_seq = seq;
	w->passed.last_seq = seq;
	memcpy(w->passed.chain, record_chain(record), STORE_CHAIN_BYTES);
	return emit_frame(w, STREAM_RECORD, &record, 1, e);
}

enum rc
stream_put_footer(struct stream_writer *w, struct err *e)
{
	unsigned char payload[FOOTER_BYTES];
	const struct bytes part = { payload, sizeof payload };
	put_le(payload, w->passed.count, 8);
	put_le(payload + 8, w->passed.first_seq, 8);
	put_le(payload + 16, w->passed.last_seq, 8);
	memcpy(payload + 24, w->passed.chain, STORE_CHAIN_BYTES);
	hash_peek(w->passed.hash, payload + 24 + STORE_CHAIN_BYTES);
	return emit_frame(w, STREAM_FOOTER, &part, 1, e);
}

uint64_t
stream_written(const struct stream_writer *w, unsigned char sha256[SHA256_BYTES])
{
	hash_peek(w->passed.hash, sha256);
	return w->passed.bytes;
}

/* ---- reading ---- */

struct stream_reader {
	stream_get_fn get;
	void *context;
	struct buf frame;
	struct passed passed;
	unsigned char log_id[STORE_LOG_ID_BYTES];
	bool in_segment, ended;
	uint64_t next_seq; /* 0: any */
};

static enum rc
damaged(const struct stream_reader *r, struct err *e, const char *what)
{
	return err_set(e, RC_CORRUPT, "log.archive-damaged",
		"the archive is damaged near byte %" PRIu64 ", after event %" PRIu64 ": %s",
		r->passed.bytes, r->passed.last_seq, what);
}

/* Appends exactly size bytes to the frame. *none (may be NULL): the stream ended before the first.
 */
static enum rc
fill(struct stream_reader *r, size_t size, bool *none, struct err *e)
{
	unsigned char piece[16384];
	size_t have = 0;
	while (have < size) {
		size_t got, want = size - have < sizeof piece ? size - have : sizeof piece;
		enum rc rc = r->get(r->context, piece, want, &got, e);
		if (rc != RC_OK)
			return rc;
		if (got == 0 && have == 0 && none != NULL) {
			*none = true;
			return RC_OK;
		}
		if (got == 0)
			return damaged(r, e, "it is cut off");
		buf_put(&r->frame, piece, got);
		have += got;
	}
	ASSERT(!r->frame.overflow);
	return RC_OK;
}

/* Reads one frame and checks its checksum; *none: the stream ended in order. */
static enum rc
read_frame(struct stream_reader *r, enum stream_type *type, struct bytes *payload, bool *none,
	struct err *e)
{
	*none = false;
	buf_clear(&r->frame);
	enum rc rc = fill(r, HEAD_BYTES, none, e);
	if (rc != RC_OK || *none)
		return rc;
	uint64_t kind = get_le(r->frame.data + 8, 4), len = get_le(r->frame.data + 12, 4);
	/* A record's own frame is the only large one; a length is believed only as far as that. */
	if (len > (kind == STREAM_RECORD ? PAYLOAD_BYTES_MAX : META_BYTES_MAX + 1 + KEY_BYTES_MAX))
		return damaged(r, e, "a frame states an impossible length");
	rc = fill(r, (size_t)len, NULL, e);
	if (rc != RC_OK)
		return rc;
	if (get_le(r->frame.data, 8) != xxh3(r->frame.data + 8, r->frame.len - 8))
		return damaged(r, e, "a checksum does not fit");
	*type = (enum stream_type)kind;
	*payload = (struct bytes){ r->frame.data + HEAD_BYTES, (size_t)len };
	return RC_OK;
}

enum rc
stream_reader_new(struct stream_reader **out, stream_get_fn get, void *context, struct err *e)
{
	enum stream_type type = STREAM_FOOTER;
	struct bytes p = { NULL, 0 };
	bool none = false;
	struct stream_reader *r = base_zalloc(sizeof *r);
	r->get = get;
	r->context = context;
	r->frame = buf_new(HEAD_BYTES + PAYLOAD_BYTES_MAX);
	r->passed.hash = hash_new();
	enum rc rc = fill(r, MAGIC_BYTES, &none, e);
	if (rc == RC_CORRUPT ||
		(rc == RC_OK && (none || memcmp(r->frame.data, MAGIC, MAGIC_BYTES) != 0)))
		rc = err_set(e, RC_INVALID, "log.archive-damaged",
			"this is no archive of a hooklog log");
	if (rc != RC_OK)
		goto done;
	hash_add(r->passed.hash, buf_bytes(&r->frame));
	r->passed.bytes = MAGIC_BYTES;
	rc = read_frame(r, &type, &p, &none, e);
	if (rc == RC_OK && (none || type != STREAM_HEADER || p.len < 4))
		rc = damaged(r, e, "it has no header");
	if (rc == RC_OK && get_le(p.data, 4) != STREAM_VERSION)
		rc = err_set(e, RC_INVALID, "log.version",
			"the archive has version %" PRIu64
			", this program knows %d; use a hooklog of the version that made it",
			get_le(p.data, 4), STREAM_VERSION);
	if (rc == RC_OK && p.len != HEADER_BYTES)
		rc = damaged(r, e, "its header is wrong");
	if (rc != RC_OK)
		goto done;
	memcpy(r->log_id, p.data + 4, STORE_LOG_ID_BYTES);
	hash_add(r->passed.hash, buf_bytes(&r->frame));
	r->passed.bytes += r->frame.len;
done:
	if (rc != RC_OK) {
		stream_reader_free(r);
		r = NULL;
	}
	*out = r;
	return rc;
}

void
stream_reader_free(struct stream_reader *r)
{
	if (r == NULL)
		return;
	buf_free(&r->frame);
	hash_free(r->passed.hash);
	free(r);
}

const unsigned char *
stream_log_id(const struct stream_reader *r)
{
	return r->log_id;
}

static enum rc
take_segment(struct stream_reader *r, struct bytes p, struct stream_frame *f, struct err *e)
{
	if (p.len != SEGMENT_BYTES)
		return damaged(r, e, "a segment's frame is wrong");
	f->seq = get_le(p.data, 8);
	memcpy(f->chain, p.data + 8, STORE_CHAIN_BYTES);
	if (f->seq == 0 || (r->next_seq != 0 && f->seq != r->next_seq))
		return damaged(r, e, "events are missing between two segments");
	if (r->next_seq != 0 && memcmp(f->chain, r->passed.chain, STORE_CHAIN_BYTES) != 0)
		return damaged(r, e, "the chain is broken between two segments");
	r->in_segment = true;
	r->next_seq = f->seq;
	memcpy(r->passed.chain, f->chain, STORE_CHAIN_BYTES);
	return RC_OK;
}

static enum rc
take_meta(struct stream_reader *r, struct bytes p, struct stream_frame *f, struct err *e)
{
	if (!r->in_segment || p.len < 2 || p.data[0] == 0 || p.data[0] > KEY_BYTES_MAX ||
		p.len < 1u + p.data[0])
		return damaged(r, e, "a segment's description is wrong");
	f->key = (struct bytes){ p.data + 1, p.data[0] };
	f->data = (struct bytes){ p.data + 1 + p.data[0], p.len - 1 - p.data[0] };
	return RC_OK;
}

static enum rc
take_record(struct stream_reader *r, struct bytes p, struct stream_frame *f, struct err *e)
{
	if (!r->in_segment)
		return damaged(r, e, "an event stands outside of a segment");
	enum rc rc = record_open(p, r->next_seq, &f->header, e);
	if (rc != RC_OK)
		return rc;
	if (!record_chain_fits(p, r->passed.chain))
		return damaged(r, e, "the chain is broken: an event was replaced");
	f->seq = r->next_seq;
	f->data = p;
	if (r->passed.count++ == 0)
		r->passed.first_seq = f->seq;
	r->passed.last_seq = f->seq;
	r->next_seq = f->seq + 1;
	memcpy(r->passed.chain, f->header.chain, STORE_CHAIN_BYTES);
	memcpy(f->chain, f->header.chain, STORE_CHAIN_BYTES);
	return RC_OK;
}

/* Called before the footer itself is counted in. */
static enum rc
take_footer(struct stream_reader *r, struct bytes p, struct stream_frame *f, struct err *e)
{
	unsigned char sha256[SHA256_BYTES];
	hash_peek(r->passed.hash, sha256);
	if (p.len != FOOTER_BYTES || get_le(p.data, 8) != r->passed.count ||
		get_le(p.data + 8, 8) != r->passed.first_seq ||
		get_le(p.data + 16, 8) != r->passed.last_seq ||
		(r->in_segment && memcmp(p.data + 24, r->passed.chain, STORE_CHAIN_BYTES) != 0) ||
		memcmp(p.data + 24 + STORE_CHAIN_BYTES, sha256, SHA256_BYTES) != 0)
		return damaged(r, e, "the footer does not fit what stands before it");
	f->count = r->passed.count;
	f->first_seq = r->passed.first_seq;
	f->seq = r->passed.last_seq;
	memcpy(f->chain, r->passed.chain, STORE_CHAIN_BYTES);
	r->ended = true;
	return RC_OK;
}

enum rc
stream_next(struct stream_reader *r, struct stream_frame *f, struct err *e)
{
	struct bytes p;
	bool none;
	enum stream_type type;
	enum rc rc = read_frame(r, &type, &p, &none, e);
	if (rc != RC_OK)
		return rc;
	if (none && r->ended)
		return err_set(e, RC_NOTFOUND, NULL, "the archive has ended");
	if (none)
		return damaged(r, e, "it is cut off: there is no footer");
	if (r->ended)
		return damaged(r, e, "something follows the footer");
	*f = (struct stream_frame){ .type = type };
	switch (type) {
	case STREAM_SEGMENT:
		rc = take_segment(r, p, f, e);
		break;
	case STREAM_META:
		rc = take_meta(r, p, f, e);
		break;
	case STREAM_RECORD:
		rc = take_record(r, p, f, e);
		break;
	case STREAM_FOOTER:
		rc = take_footer(r, p, f, e);
		break;
	case STREAM_HEADER:
	default:
		rc = damaged(r, e, "a frame of an unknown kind");
	}
	hash_add(r->passed.hash, buf_bytes(&r->frame));
	r->passed.bytes += r->frame.len;
	return rc;
}
