/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENT_JPATH_SCAN_H
#define EVENT_JPATH_SCAN_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "event/jpath_internal.h"

/* The syntax of RFC 8259 below objects and arrays. Each function steps over what stands at p and
 * returns where it stopped, or NULL when the document is wrong there. Only jpath.c and jpath_line.c
 * include this; what is called for every byte or member is inline. */

struct jpath_scan {
	const unsigned char *end;
	const char *wrong; /* what is wrong, and where */
	const unsigned char *wrong_at;
};

/* The way to return NULL. */
static inline const unsigned char *
jpath_fail(struct jpath_scan *s, const unsigned char *at, const char *wrong)
{
	s->wrong = wrong;
	s->wrong_at = at;
	return NULL;
}

static inline const unsigned char *
jpath_space(const unsigned char *p, const unsigned char *end)
{
	while (p < end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* Steps over bytes that mean nothing special in a string: stops at '"', '\', a control character, a
 * byte outside of ASCII, or the end. */
static inline const unsigned char *
jpath_plain(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
	/* The comparison is signed: bytes from 0x80 are below it as well. */
	const __m128i first = _mm_set1_epi8(0x20);
	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash));
		hit = _mm_or_si128(hit, _mm_cmplt_epi8(v, first));
		unsigned mask = (unsigned)_mm_movemask_epi8(hit);
		if (mask != 0)
			return p + __builtin_ctz(mask);
	}
#else
	/* Eight bytes at once: a byte's top bit ends up set when it is below 0x20, equal to '"' or
	 * '\', or outside of ASCII. Borrows only disturb bytes behind a hit, and the loop below
	 * finds the first. */
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	for (; end - p >= 8; p += 8) {
		uint64_t v = jpath_load64(p), quote = v ^ ones * '"', backslash = v ^ ones * '\\';
		uint64_t hit = (v - ones * 0x20) | (quote - ones) | (backslash - ones) | v;
		if ((hit & tops) != 0)
			break;
	}
#endif
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* The rest of jpath_string for whatever is not plain ASCII at p. */
const unsigned char *jpath_string_rest(struct jpath_scan *s, const unsigned char *p, bool *escaped);

/* Step over the number or the word at p, which starts with one of its possible first bytes. */
const unsigned char *jpath_number(struct jpath_scan *s, const unsigned char *p);
const unsigned char *jpath_word(struct jpath_scan *s, const unsigned char *p, const char *want);

/* Steps over the string whose opening quote is at p. Sets *escaped when there is a '\' in it. */
static inline const unsigned char *
jpath_string(struct jpath_scan *s, const unsigned char *p, bool *escaped)
{
	p = jpath_plain(p + 1, s->end);
	if (p < s->end && *p == '"')
		return p + 1;
	return jpath_string_rest(s, p, escaped);
}

#endif
