/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __SSE2__
#include <emmintrin.h>
#else
#include <endian.h>
#endif

#include "base/buf.h"

struct buf
buf_new(size_t max_bytes)
{
	return (struct buf){ .max_bytes = max_bytes };
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = buf_new(b->max_bytes);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
}

bool
buf_reserve(struct buf *b, size_t len)
{
	if (b->overflow || len > b->max_bytes || b->len > b->max_bytes - len) {
		b->overflow = true;
		return false;
	}
	size_t need = b->len + len + 1;
	if (need > b->cap) {
		size_t cap = b->cap < 64 ? 64 : b->cap;
		while (cap < need)
			cap *= 2;
		if (cap - 1 > b->max_bytes)
			cap = b->max_bytes + 1;
		b->data = base_realloc(b->data, cap);
		b->cap = cap;
	}
	return true;
}

void
buf_put_bytes(struct buf *b, struct bytes data)
{
	buf_put(b, data.data, data.len);
}

void
buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args, again;
	va_start(args, fmt);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	ASSERT(n >= 0);
	if (buf_reserve(b, (size_t)n)) {
		vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void
buf_put_be16(struct buf *b, uint16_t v)
{
	const unsigned char p[2] = { (unsigned char)(v >> 8), (unsigned char)v };
	buf_put(b, p, sizeof p);
}

void
buf_put_be32(struct buf *b, uint32_t v)
{
	buf_put_be16(b, (uint16_t)(v >> 16));
	buf_put_be16(b, (uint16_t)v);
}

void
buf_put_be64(struct buf *b, uint64_t v)
{
	buf_put_be32(b, (uint32_t)(v >> 32));
	buf_put_be32(b, (uint32_t)v);
}

void
buf_put_hex(struct buf *b, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	if (len > b->max_bytes / 2 || !buf_reserve(b, 2 * len)) {
		b->overflow = true;
		return;
	}
	unsigned char *to = b->data + b->len;
	for (size_t i = 0; i < len; i++) {
		*to++ = (unsigned char)digits[p[i] >> 4];
		*to++ = (unsigned char)digits[p[i] & 15];
	}
	b->len += 2 * len;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* How many of the first bytes at p, at most JSON_STEP, need no escape in JSON; they are copied to `to`,
 * and what is behind them up to JSON_STEP may be overwritten. Texts of webhooks have a quote every
 * ten bytes or so: what counts is the time from one to the next. */
#ifdef __SSE2__
#define JSON_STEP 16
static inline size_t
json_plain(unsigned char *to, const unsigned char *p)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	_mm_storeu_si128((__m128i *)(void *)to, x);
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
	__m128i quote = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
		_mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
	__m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
	unsigned special =
		(unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(control, quote), del));
	return special == 0 ? JSON_STEP : (size_t)__builtin_ctz(special);
}
#else
#define JSON_STEP 8
/* Marks each byte below n, exactly up to the first; n is at most 0x80. */
#define BELOW(x, n) (((x) - EACH_BYTE(n)) & ~(x) & EACH_BYTE(0x80))
static inline size_t
json_plain(unsigned char *to, const unsigned char *p)
{
	uint64_t x;
	memcpy(&x, p, sizeof(x));
	memcpy(to, &x, sizeof(x));
	x = le64toh(x);
	uint64_t special = BELOW(x, 0x20) | BELOW(x ^ EACH_BYTE('"'), 1) |
			   BELOW(x ^ EACH_BYTE('\\'), 1) | BELOW(x ^ EACH_BYTE(0x7f), 1);
	return special == 0 ? JSON_STEP : (size_t)__builtin_ctzll(special) / 8;
}
#endif

/* The most that one byte becomes. */
#define JSON_ESCAPE_BYTES 6

static inline unsigned char *
json_char(unsigned char *to, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
		*to++ = c;
		return to;
	}
	unsigned char letter = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : 'u';
	*to++ = '\\';
	*to++ = c == '"' || c == '\\' ? c : letter;
	if (to[-1] == 'u') {
		*to++ = '0';
		*to++ = '0';
		*to++ = (unsigned char)digits[c >> 4];
		*to++ = (unsigned char)digits[c & 15];
	}
	return to;
}

/* A piece for whose escapes, were it nothing else, there is room. */
static void
put_json_piece(struct buf *b, const unsigned char *p, size_t len)
{
	unsigned char *to = b->data + b->len;
	const unsigned char *end = p + len;
	while (end - p >= JSON_STEP) {
		size_t plain = json_plain(to, p);
		p += plain;
		to += plain;
		if (plain < JSON_STEP)
			to = json_char(to, *p++);
	}
	while (p < end)
		to = json_char(to, *p++);
	b->len = (size_t)(to - b->data);
}

void
buf_put_json(struct buf *b, struct bytes data)
{
	buf_put_char(b, '"');
	for (size_t i = 0, len; i < data.len; i += len) {
		len = data.len - i < 4096 ? data.len - i : 4096;
		if (b->max_bytes - b->len >= JSON_ESCAPE_BYTES * len &&
			buf_reserve(b, JSON_ESCAPE_BYTES * len)) {
			put_json_piece(b, data.data + i, len);
			continue;
		}
		/* Near the maximum, where it is not known whether it will fit. */
		unsigned char one[JSON_ESCAPE_BYTES];
		len = 1;
		buf_put(b, one, (size_t)(json_char(one, data.data[i]) - one));
	}
	buf_put_char(b, '"');
}

/* Not 0 when one of the bytes of x would be escaped or is outside of ASCII. A borrow or carry comes only from
 * a byte that is one of these itself. */
static inline uint64_t
json_special(uint64_t x)
{
	return ((x - EACH_BYTE(0x20)) | ((x ^ EACH_BYTE('"')) - EACH_BYTE(1)) |
		       ((x ^ EACH_BYTE('\\')) - EACH_BYTE(1)) | (x + EACH_BYTE(1)) | x) &
	       EACH_BYTE(0x80);
}

/* Copies len bytes; false when one of them is such. What is left over of eights is copied together with bytes
 * before it. */
static bool
copy_plain(unsigned char *to, const unsigned char *p, size_t len)
{
	uint64_t x, special = 0;
	for (size_t i = 0; len >= sizeof(x) && i < len; i += sizeof(x)) {
		size_t at = i < len - sizeof(x) ? i : len - sizeof(x);
		memcpy(&x, p + at, sizeof(x));
		memcpy(to + at, &x, sizeof(x));
		special |= json_special(x);
	}
	if (len >= sizeof(x))
		return special == 0;
	uint32_t first, last;
	if (len >= sizeof(first)) {
		memcpy(&first, p, sizeof(first));
		memcpy(&last, p + len - sizeof(last), sizeof(last));
		memcpy(to, &first, sizeof(first));
		memcpy(to + len - sizeof(last), &last, sizeof(last));
		return json_special((uint64_t)first << 32 | last) == 0;
	}
	for (size_t i = 0; i < len; i++) {
		to[i] = p[i];
		special |= json_special(EACH_BYTE(p[i]));
	}
	return special == 0;
}

bool
buf_put_json_plain(struct buf *b, struct bytes data)
{
	if (!buf_reserve(b, data.len + 2))
		return true;
	unsigned char *to = b->data + b->len;
	if (!copy_plain(to + 1, data.data, data.len))
		return false;
	to[0] = to[1 + data.len] = '"';
	b->len += data.len + 2;
	return true;
}

struct bytes
buf_bytes(const struct buf *b)
{
	return (struct bytes){ b->data, b->len };
}

const char *
buf_cstr(struct buf *b)
{
	if (b->data == NULL) {
		b->data = base_alloc(64);
		b->cap = 64;
	}
	b->data[b->len] = '\0';
	return (const char *)b->data;
}

/* The number of bytes of the well-formed character at p, or 0 (RFC 3629 §4). */
static size_t
utf8_char_len(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
		return 0;
	unsigned char low = 0x80, high = 0xbf; /* allowed range of the second byte */
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool
utf8_valid(struct bytes data)
{
	for (size_t i = 0; i < data.len;) {
		uint64_t x;
		if (data.len - i >= sizeof(x)) {
			memcpy(&x, data.data + i, sizeof(x));
			if ((x & UINT64_C(0x8080808080808080)) == 0) {
				i += sizeof(x);
				continue;
			}
		}
		size_t len = utf8_char_len(data.data + i, data.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}
