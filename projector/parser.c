/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "projector/parser.h"

/* The place of piece in the line, from 1, in characters as editors count them. */
static int
column_of(const struct parser *p, const char *piece)
{
	const char *at = piece == NULL || piece[0] == '\0' ? NULL : strstr(p->text, piece);
	if (at == NULL)
		at = p->text + strspn(p->text, " \t");
	int column = 1;
	for (const char *c = p->text; c < at; c++)
		column += ((unsigned char)*c & 0xc0) != 0x80;
	return column;
}

enum rc
parser_wrong(const struct parser *p, const char *piece, const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(p->e, RC_INVALID, "config.projection", "%s:%d:%d: %s", p->file, p->line,
		column_of(p, piece), text);
}

enum rc
parser_locate(const struct parser *p, const char *piece)
{
	return err_wrap(p->e, "%s:%d:%d", p->file, p->line, column_of(p, piece));
}

void
parser_seek(struct parser *p, const char *piece)
{
	const char *text = p->d->ddl, *found = strstr(text, piece);
	p->line = 1;
	for (const char *c = text; found != NULL && c < found; c++) {
		if (*c == '\n') {
			p->line++;
			text = c + 1;
		}
	}
	p->text = arena_string(p->a, (struct bytes){ (const unsigned char *)text, strcspn(text, "\n") });
}

enum rc
parser_split(const struct parser *p, const char *text, const char *separators, struct words *out)
{
	out->count = 0;
	while (*text != '\0') {
		while (*text != '\0' && (strchr(separators, *text) != NULL || isspace((unsigned char)*text)))
			text++;
		const char *start = text;
		bool quoted = false;
		while (*text != '\0' && (quoted || strchr(separators, *text) == NULL)) {
			if (*text == '\'')
				quoted = !quoted;
			text++;
		}
		const char *end = text;
		while (end > start && isspace((unsigned char)end[-1]))
			end--;
		if (end == start)
			continue;
		if (out->count == WORDS_MAX)
			return parser_wrong(p, NULL, "more than %d words", WORDS_MAX);
		out->list[out->count++] = arena_string(p->a,
			(struct bytes){ (const unsigned char *)start, (size_t)(end - start) });
	}
	return RC_OK;
}

bool
parser_is_identifier(const char *s)
{
	size_t len = 0;
	for (; s[len] != '\0'; len++) {
		if (!(islower((unsigned char)s[len]) || s[len] == '_' ||
			    (len > 0 && isdigit((unsigned char)s[len]))))
			return false;
	}
	return len > 0 && len < 64;
}
