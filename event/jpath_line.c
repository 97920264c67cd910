/* SPDX-License-Identifier: Apache-2.0 */
#ifndef __SSE2__
#include <endian.h>
#endif

#include "event/jpath_scan.h"

/* A second, smaller walk beside jpath.c's: it only has to say yes or no, for every event that is
 * written as a line. In strings control characters are refused anyway; between tokens this one does
 * not know line breaks, so that whatever it takes is one line.
 *
 * What a walk along the bytes waits for is to learn where a string ends, before it can look at what is behind.
 * This one finds the bytes at which strings end 64 at a time, which can be done before it is known where
 * strings begin, and goes from one of them to the next. */

#define STEP 64
/* Left to itself gcc makes calls of these, and the walk takes a fifth longer. */
#define INLINE static inline __attribute__((always_inline))

struct line {
	struct jpath_scan s;
	const unsigned char *at; /* STEP bytes from here on were looked at */
	uint64_t special;        /* which of them have a meaning in a string and are not passed yet */
};

/* '"', '\', control characters and what is outside of ASCII: a bit for each. */
#ifdef __SSE2__
INLINE uint64_t
special_of_16(const unsigned char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i hit = _mm_or_si128(
		_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	/* The comparison is signed: bytes from 0x80 are below it as well. */
	hit = _mm_or_si128(hit, _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
	return (unsigned)_mm_movemask_epi8(hit);
}

INLINE uint64_t
special_of(const unsigned char *p)
{
	return special_of_16(p) | special_of_16(p + 16) << 16 | special_of_16(p + 32) << 32 |
	       special_of_16(p + 48) << 48;
}
#else
#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))
INLINE uint64_t
special_of(const unsigned char *p)
{
	uint64_t special = 0;
	for (unsigned i = 0; i < STEP; i += 8) {
		uint64_t v = le64toh(jpath_load64(p + i)), low = EACH_BYTE(0x7f);
		/* A byte's top bit: set in each when the byte is none of them, whatever its neighbours are. */
		uint64_t printable = (v & low) + EACH_BYTE(0x60);
		uint64_t no_quote = ((v ^ EACH_BYTE('"')) & low) + low;
		uint64_t no_backslash = ((v ^ EACH_BYTE('\\')) & low) + low;
		uint64_t hit = (v | ~(printable & no_quote & no_backslash)) & ~low;
		/* The top bits beside each other. */
		special |= (hit >> 7) * UINT64_C(0x0102040810204080) >> 56 << i;
	}
	return special;
}
#endif

static __attribute__((noinline)) void
look_at_rest(struct line *l, const unsigned char *at)
{
	/* Behind the end whatever is looked for is found. */
	unsigned char rest[STEP];
	memset(rest, '"', sizeof(rest));
	memcpy(rest, at, (size_t)(l->s.end - at));
	l->special = special_of(rest);
}

INLINE void
look(struct line *l, const unsigned char *at)
{
	l->at = at;
	if (l->s.end - at >= STEP)
		l->special = special_of(at);
	else
		look_at_rest(l, at);
}

/* Passes the next special byte, or the end. */
INLINE const unsigned char *
pass(struct line *l)
{
	while (l->special == 0)
		look(l, l->at + STEP);
	const unsigned char *p = l->at + __builtin_ctzll(l->special);
	l->special &= l->special - 1;
	return p;
}

/* Passes all before p. */
static void
pass_until(struct line *l, const unsigned char *p)
{
	while (p - l->at >= STEP)
		look(l, l->at + STEP);
	l->special &= UINT64_MAX << (p - l->at);
}

/* From here on: json's last byte closes something, which the caller saw to. So whoever stands at any other
 * byte may look at the next one, and only steps of more than a byte ask for the end. */

static const unsigned char *
pass_space(struct line *l, const unsigned char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	pass_until(l, p);
	return p;
}

INLINE const unsigned char *
space(struct line *l, const unsigned char *p)
{
	return *p == ' ' || *p == '\t' ? pass_space(l, p) : p;
}

/* Steps over the string whose opening quote is the next special byte. */
INLINE const unsigned char *
string(struct line *l)
{
	bool escaped;
	(void)pass(l);
	const unsigned char *p = pass(l);
	if (p < l->s.end && *p == '"')
		return p + 1;
	p = jpath_string_rest(&l->s, p, &escaped);
	if (p != NULL)
		pass_until(l, p);
	return p;
}

INLINE const unsigned char *
number(struct line *l, const unsigned char *p)
{
#ifdef __SSE2__
	/* Nearly all are integers, whose number of digits no branch should depend on. */
	const unsigned char *first = p + (*p == '-');
	if (l->s.end - first > 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)first);
		/* '0' becomes the lowest number. */
		v = _mm_add_epi8(v, _mm_set1_epi8((char)(0x80 - '0')));
		v = _mm_cmplt_epi8(v, _mm_set1_epi8((char)(0x80 + 10)));
		unsigned n = (unsigned)__builtin_ctz(~(unsigned)_mm_movemask_epi8(v));
		bool ends = first[n] == ',' || first[n] == '}' || first[n] == ']';
		if (ends && (n == 1 || (n > 1 && *first != '0')))
			return first + n;
	}
#endif
	return *p == '-' || (*p >= '0' && *p <= '9') ? jpath_number(&l->s, p) : NULL;
}

/* "true", "false" or "null" by their first letter, without a branch for each. */
INLINE const unsigned char *
word(struct line *l, const unsigned char *p)
{
	bool longer = *p == 'f';
	const char *want = longer ? "alse" : *p == 't' ? "true" : "null";
	if (l->s.end - p < 5 || memcmp(p + longer, want, 4) != 0)
		return NULL;
	return p + 4 + longer;
}

/* Steps over what ends at p to the ',' behind it, or with *depth 0 stops at the last one. */
INLINE const unsigned char *
close_all(struct line *l, const unsigned char *p, const unsigned char *closers, size_t *depth)
{
	while (*(p = space(l, p)) == closers[*depth - 1]) {
		if (--*depth == 0 || p + 1 == l->s.end)
			return *depth == 0 ? p : NULL;
		p++;
	}
	return *p == ',' ? p : NULL;
}

static bool
is_document(struct line *l, const unsigned char *p)
{
	unsigned char closers[JPATH_LINE_DEPTH];
	size_t depth = 0;
	for (bool value = true;; value = closers[depth - 1] == ']') {
		if (!value) {
			p = *p == '"' ? string(l) : NULL;
			if (p == NULL || *(p = space(l, p)) != ':')
				return false;
			p = space(l, p + 1);
		}
		if (*p == '{' || *p == '[') {
			if (depth == JPATH_LINE_DEPTH)
				return false;
			closers[depth++] = *p == '{' ? '}' : ']';
			p = space(l, p + 1);
			if (*p != closers[depth - 1])
				continue;
		} else {
			p = *p == '"' ? string(l) : *p >= 'a' ? word(l, p) : number(l, p);
			if (p == NULL)
				return false;
		}
		if (*p != ',' && (p = close_all(l, p, closers, &depth)) == NULL)
			return false;
		if (depth == 0)
			return p + 1 == l->s.end;
		p = space(l, p + 1);
	}
}

bool
jpath_is_line(struct bytes json)
{
	struct line l = { .s.end = json.data + json.len };
	if (json.len < 2 || (json.data[0] != '{' && json.data[0] != '['))
		return false;
	if (l.s.end[-1] != '}' && l.s.end[-1] != ']')
		return false;
	look(&l, json.data);
	return is_document(&l, json.data);
}
