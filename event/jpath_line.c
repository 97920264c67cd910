/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath_scan.h"

/* A second, smaller walk beside jpath.c's: it only has to say yes or no, for every event that is
 * written as a line. In strings control characters are refused anyway; between tokens this one does
 * not know line breaks, so that whatever it takes is one line. */

static inline const unsigned char *
space(const unsigned char *p, const unsigned char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* Steps over a member's name and ':' to its value; NULL or the end when there is none. */
static inline const unsigned char *
name(struct jpath_scan *s, const unsigned char *p)
{
	bool escaped;
	if (p == s->end || *p != '"')
		return NULL;
	p = jpath_string(s, p, &escaped);
	if (p == NULL)
		return NULL;
	p = space(p, s->end);
	return p == s->end || *p != ':' ? NULL : space(p + 1, s->end);
}

static inline const unsigned char *
scalar(struct jpath_scan *s, const unsigned char *p)
{
	bool escaped;
	switch (*p) {
	case '"':
		return jpath_string(s, p, &escaped);
	case 't':
		return s->end - p >= 4 && memcmp(p, "true", 4) == 0 ? p + 4 : NULL;
	case 'f':
		return s->end - p >= 5 && memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
	case 'n':
		return s->end - p >= 4 && memcmp(p, "null", 4) == 0 ? p + 4 : NULL;
	default:
		return *p == '-' || (*p >= '0' && *p <= '9') ? jpath_number(s, p) : NULL;
	}
}

static bool
is_document(struct jpath_scan *s, const unsigned char *p)
{
	unsigned char closers[JPATH_LINE_DEPTH];
	size_t depth = 0;
	for (;;) {
		if (p == NULL || p == s->end)
			return false;
		if (*p == '{' || *p == '[') {
			if (depth == JPATH_LINE_DEPTH)
				return false;
			closers[depth++] = *p == '{' ? '}' : ']';
			p = space(p + 1, s->end);
			if (p == s->end)
				return false;
			if (*p != closers[depth - 1]) {
				if (closers[depth - 1] == '}')
					p = name(s, p);
				continue;
			}
		} else {
			p = scalar(s, p);
			if (p == NULL)
				return false;
		}
		/* Behind a value: what ends here, up to the next value. */
		while (depth > 0 && (p = space(p, s->end)) < s->end && *p == closers[depth - 1]) {
			depth--;
			p++;
		}
		if (depth == 0 || p == s->end)
			return depth == 0 && p == s->end;
		if (*p != ',')
			return false;
		p = space(p + 1, s->end);
		if (closers[depth - 1] == '}')
			p = name(s, p);
	}
}

bool
jpath_is_line(struct bytes json)
{
	struct jpath_scan s = { .end = json.data + json.len };
	if (json.len < 2 || (json.data[0] != '{' && json.data[0] != '['))
		return false;
	return is_document(&s, json.data);
}
