/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath.h"

/* Steps through values that were checked before, so that only their ends have to be found. */

static bool
is_between(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':';
}

static size_t
skip_string(struct bytes text)
{
	size_t i = 1;
	while (i < text.len && text.data[i] != '"')
		i += text.data[i] == '\\' ? 2 : 1;
	return i + 1;
}

/* Length of the value that text begins with. */
static size_t
value_length(struct bytes text)
{
	size_t i = 0, depth = 0;
	do {
		unsigned char c = text.data[i];
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		i += c == '"' ? skip_string((struct bytes){ text.data + i, text.len - i }) : 1;
	} while (i < text.len && (depth > 0 || (text.data[0] != '"' && strchr("{[", text.data[0]) == NULL &&
		!is_between(text.data[i]))));
	return i;
}

static enum jpath_type
type_of(unsigned char first)
{
	switch (first) {
	case 'n':
		return JPATH_NULL;
	case 'f':
		return JPATH_FALSE;
	case 't':
		return JPATH_TRUE;
	case '"':
		return JPATH_STRING;
	case '{':
		return JPATH_OBJECT;
	case '[':
		return JPATH_ARRAY;
	default:
		return JPATH_NUMBER;
	}
}

static void
advance(struct bytes *text, size_t len)
{
	text->data += len;
	text->len -= len;
}

static void
skip_between(struct bytes *text)
{
	while (text->len > 0 && is_between(text->data[0]))
		advance(text, 1);
}

struct bytes
jpath_inside(struct jpath_value v)
{
	return (struct bytes){ v.raw.data + 1, v.raw.len - 2 };
}

bool
jpath_next(struct bytes *rest, struct bytes *name, struct jpath_value *value)
{
	skip_between(rest);
	if (rest->len == 0)
		return false;
	if (name != NULL) {
		size_t len = skip_string(*rest);
		*name = (struct bytes){ rest->data + 1, len - 2 };
		advance(rest, len);
		skip_between(rest);
	}
	size_t len = value_length(*rest);
	*value = (struct jpath_value){ type_of(rest->data[0]), { rest->data, len } };
	advance(rest, len);
	return true;
}
