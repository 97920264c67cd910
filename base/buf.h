/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/base.h"

/* A growing byte buffer that states its maximum when it is made. Appending past the maximum sets
 * `overflow` and drops the excess; the caller checks once at the end instead of after every call.
 * One thread at a time. */
struct buf {
	unsigned char *data;
	size_t len;
	size_t cap; /* of data, which has room for a NUL behind the last byte */
	size_t max_bytes;
	bool overflow;
};

/* A buffer without memory yet; max_bytes comes from base/limits.h. */
struct buf buf_new(size_t max_bytes);

/* Frees the memory and empties b; NULL data is fine. */
void buf_free(struct buf *b);

/* Empties b and keeps its memory. */
void buf_clear(struct buf *b);

/* Makes room for len more bytes and a NUL; false and overflow when that passes the maximum. For buf_put. */
bool buf_reserve(struct buf *b, size_t len);

static inline void
buf_put(struct buf *b, const void *data, size_t len)
{
	/* There is never more room than the maximum allows, so mostly one look tells. */
	bool fits = len < b->cap - b->len && !b->overflow;
	if (len == 0 || (!fits && !buf_reserve(b, len)))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}
void buf_put_bytes(struct buf *b, struct bytes data);
void buf_put_str(struct buf *b, const char *s);
static inline void
buf_put_char(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Big-endian integers, as PostgreSQL's binary formats and the log's keys want them. */
void buf_put_be16(struct buf *b, uint16_t v);
void buf_put_be32(struct buf *b, uint32_t v);
void buf_put_be64(struct buf *b, uint64_t v);

/* Lower-case hexadecimal. */
void buf_put_hex(struct buf *b, const void *data, size_t len);

/* A JSON string with its quotes, escaped as RFC 8259 §7 demands. data must be valid UTF-8: see
 * utf8_valid. Any byte below 0x20 and DEL is written as an escape, so a line stays one line. */
void buf_put_json(struct buf *b, struct bytes data);

/* The same, and faster, for data that needs no escape and is ASCII. False: it is not, and nothing was
 * appended. */
bool buf_put_json_plain(struct buf *b, struct bytes data) MUST_CHECK;

/* Everything appended so far. Borrowed until the next append. */
struct bytes buf_bytes(const struct buf *b);

/* The content as a NUL-terminated string; the NUL is not counted. Borrowed until the next append. */
const char *buf_cstr(struct buf *b);

/* Whether data is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool utf8_valid(struct bytes data);

#endif
