/* SPDX-License-Identifier: Apache-2.0 */
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

/* Makes room for len more bytes and one NUL behind them; false and overflow when that passes the
 * maximum. */
static bool
reserve(struct buf *b, size_t len)
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
		b->data = base_realloc(b->data, cap);
		b->cap = cap;
	}
	return true;
}

void
buf_put(struct buf *b, const void *data, size_t len)
{
	if (!reserve(b, len) || len == 0)
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
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
buf_put_char(struct buf *b, char c)
{
	buf_put(b, &c, 1);
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
	if (reserve(b, (size_t)n)) {
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
	for (size_t i = 0; i < len; i++) {
		const char pair[2] = { digits[p[i] >> 4], digits[p[i] & 15] };
		buf_put(b, pair, sizeof pair);
	}
}

void
buf_put_json(struct buf *b, struct bytes data)
{
	buf_put_char(b, '"');
	size_t plain = 0; /* start of the run that needs no escape */
	for (size_t i = 0; i < data.len; i++) {
		unsigned char c = data.data[i];
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_put(b, data.data + plain, i - plain);
		plain = i + 1;
		switch (c) {
		case '"':
			buf_put_str(b, "\\\"");
			break;
		case '\\':
			buf_put_str(b, "\\\\");
			break;
		case '\n':
			buf_put_str(b, "\\n");
			break;
		case '\r':
			buf_put_str(b, "\\r");
			break;
		case '\t':
			buf_put_str(b, "\\t");
			break;
		default:
			buf_printf(b, "\\u%04x", c);
		}
	}
	if (data.len > plain)
		buf_put(b, data.data + plain, data.len - plain);
	buf_put_char(b, '"');
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
		size_t len = utf8_char_len(data.data + i, data.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}
