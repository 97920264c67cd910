/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath_scan.h"

/* Steps over one character outside of ASCII (RFC 3629 §4); NULL when it is malformed. */
static const unsigned char *
wide(const unsigned char *p, const unsigned char *end)
{
	size_t left = (size_t)(end - p);
	unsigned c = p[0];
	if (c < 0xc2 || c > 0xf4 || left < 2 || (p[1] & 0xc0) != 0x80)
		return NULL;
	if (c < 0xe0)
		return p + 2;
	if (left < 3 || (p[2] & 0xc0) != 0x80)
		return NULL;
	if (c < 0xf0) /* no overlong form, no surrogate */
		return (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ? NULL : p + 3;
	if (left < 4 || (p[3] & 0xc0) != 0x80)
		return NULL;
	/* no overlong form, nothing past U+10FFFF */
	return (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f) ? NULL : p + 4;
}

static bool
is_hex(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Steps over the escape at p; NULL when there is no such. */
static const unsigned char *
escape(const unsigned char *p, const unsigned char *end)
{
	if (end - p < 2)
		return NULL;
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 2;
	case 'u':
		if (end - p >= 6 && is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) && is_hex(p[5]))
			return p + 6;
		return NULL;
	default:
		return NULL;
	}
}

const unsigned char *
jpath_string_rest(struct jpath_scan *s, const unsigned char *p, bool *escaped)
{
	const unsigned char *end = s->end;
	for (;;) {
		if (p == end)
			return jpath_fail(s, p, "a string does not end");
		if (*p == '"')
			return p + 1;
		const unsigned char *next;
		if (*p == '\\') {
			*escaped = true;
			next = escape(p, end);
			if (next == NULL)
				return jpath_fail(s, p, "not an escape");
		} else if (*p >= 0x80) {
			next = wide(p, end);
			if (next == NULL)
				return jpath_fail(s, p, "not UTF-8");
			while (next < end && *next >= 0x80) {
				p = next;
				next = wide(p, end);
				if (next == NULL)
					return jpath_fail(s, p, "not UTF-8");
			}
		} else {
			return jpath_fail(s, p, "a control character in a string");
		}
		p = jpath_plain(next, end);
	}
}

static inline const unsigned char *
digits(const unsigned char *p, const unsigned char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

const unsigned char *
jpath_number(struct jpath_scan *s, const unsigned char *p)
{
	const unsigned char *end = s->end, *from;
	p += *p == '-';
	from = p;
	p = digits(p, end);
	if (p == from || (*from == '0' && p - from > 1))
		return jpath_fail(s, from, "not a number");
	if (p < end && *p == '.') {
		from = p + 1;
		p = digits(from, end);
		if (p == from)
			return jpath_fail(s, p, "a number ends with '.'");
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		from = p + 1;
		if (from < end && (*from == '+' || *from == '-'))
			from++;
		p = digits(from, end);
		if (p == from)
			return jpath_fail(s, p, "a number has no exponent behind its 'e'");
	}
	return p;
}

const unsigned char *
jpath_word(struct jpath_scan *s, const unsigned char *p, const char *want)
{
	size_t len = strlen(want);
	if ((size_t)(s->end - p) < len || memcmp(p, want, len) != 0)
		return jpath_fail(s, p, "not a value");
	return p + len;
}
