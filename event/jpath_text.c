/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath_internal.h"

static unsigned
hex4(const unsigned char *p)
{
	unsigned v = 0;
	for (int i = 0; i < 4; i++) {
		unsigned c = p[i];
		v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

static size_t
put_utf8(unsigned char *out, unsigned c)
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (unsigned char)(0xc0 | c >> 6);
		out[1] = (unsigned char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (unsigned char)(0xe0 | c >> 12);
		out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (unsigned char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (unsigned char)(0xf0 | c >> 18);
	out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (unsigned char)(0x80 | (c & 0x3f));
	return 4;
}

/* Reads the escape \uXXXX at p, and the second one when both make a pair (RFC 8259 §7). Sets *used
 * to how many bytes that were. */
static unsigned
code_point(const unsigned char *p, const unsigned char *end, size_t *used, bool *altered)
{
	unsigned c = hex4(p + 2);
	*used = 6;
	if (c >= 0xd800 && c <= 0xdbff && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
		unsigned low = hex4(p + 8);
		if (low >= 0xdc00 && low <= 0xdfff) {
			*used = 12;
			return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	if (c == 0 || (c >= 0xd800 && c <= 0xdfff)) {
		*altered = true;
		return 0xfffd;
	}
	return c;
}

size_t
jpath_unescape(struct bytes in, unsigned char *out, bool *altered)
{
	const unsigned char *p = in.data, *end = in.data + in.len;
	size_t n = 0; /* no escape is shorter than what it stands for, so n never passes in.len */
	while (p < end) {
		const unsigned char *escape = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((escape != NULL ? escape : end) - p);
		memcpy(out + n, p, plain);
		n += plain;
		p += plain;
		if (escape == NULL)
			break;
		size_t used = 2;
		switch (p[1]) {
		case 'b':
			out[n++] = '\b';
			break;
		case 'f':
			out[n++] = '\f';
			break;
		case 'n':
			out[n++] = '\n';
			break;
		case 'r':
			out[n++] = '\r';
			break;
		case 't':
			out[n++] = '\t';
			break;
		case 'u':
			n += put_utf8(out + n, code_point(p, end, &used, altered));
			break;
		default: /* " \ / stand for themselves */
			out[n++] = p[1];
		}
		p += used;
	}
	return n;
}

struct bytes
jpath_text(struct jpath_value v, struct arena *a, bool *altered)
{
	ASSERT(v.type == JPATH_STRING && v.raw.len >= 2);
	bool changed = false;
	struct bytes text = { v.raw.data + 1, v.raw.len - 2 };
	if (text.len > 0 && memchr(text.data, '\\', text.len) != NULL) {
		unsigned char *out = arena_alloc(a, text.len);
		text = (struct bytes){ out, jpath_unescape(text, out, &changed) };
	}
	if (altered != NULL)
		*altered = changed;
	return text;
}

/* *v = *v * 10^zeros + digit; false when that passes 2^63, the largest magnitude of an int64. */
static bool
shift_in(uint64_t *v, uint64_t zeros, unsigned digit)
{
	const uint64_t max = UINT64_C(1) << 63;
	for (; zeros > 0 && *v > 0; zeros--) {
		if (*v > max / 10)
			return false;
		*v *= 10;
	}
	if (*v > max - digit)
		return false;
	*v += digit;
	return true;
}

/* Reads the exponent behind 'e'. Far outside of what a document's length can make up for, it stays
 * where it is. */
static int64_t
exponent(const unsigned char *p, const unsigned char *end)
{
	const int64_t enough = INT64_C(1000000000000);
	bool negative = *p == '-';
	if (*p == '-' || *p == '+')
		p++;
	int64_t v = 0;
	for (; p < end && v < enough; p++)
		v = v * 10 + (*p - '0');
	return negative ? -v : v;
}

bool
jpath_int64(struct jpath_value v, int64_t *out)
{
	if (v.type != JPATH_NUMBER)
		return false;
	const unsigned char *p = v.raw.data, *end = p + v.raw.len;
	bool negative = *p == '-', fraction = false;
	uint64_t value = 0; /* of the digits up to the last one that is not zero */
	int64_t zeros = 0;  /* digits that were zero since */
	int64_t scale = 0;  /* value and its zeros times 10^scale is the number */
	for (p += negative; p < end; p++) {
		if (*p == '.') {
			fraction = true;
			continue;
		}
		if (*p == 'e' || *p == 'E') {
			scale += exponent(p + 1, end);
			break;
		}
		scale -= fraction;
		if (*p == '0') {
			zeros++;
			continue;
		}
		if (!shift_in(&value, (uint64_t)zeros + 1, *p - (unsigned)'0'))
			return false;
		zeros = 0;
	}
	if (value == 0) {
		*out = 0;
		return true;
	}
	if (zeros + scale < 0 || !shift_in(&value, (uint64_t)(zeros + scale), 0))
		return false;
	if (value == UINT64_C(1) << 63) {
		*out = INT64_MIN;
		return negative;
	}
	*out = negative ? -(int64_t)value : (int64_t)value;
	return true;
}
