/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_PARSER_H
#define PROJECTOR_PARSER_H

#include "projector/definition.h"

/* What the readers of a projection file share: definition_head.c reads the comments in front of the table,
 * definition_table.c the lines of the table, definition.c leads them. None of it outlives the reading. */

/* With the bookkeeping columns and three per group of versions it stays within TABLES_PARAMS_MAX. */
#define COLUMNS_MAX 90
#define ROWS_MAX 192
#define WORDS_MAX 64

struct parser {
	struct definition *d;
	struct arena *a;
	const char *file;
	int line;
	const char *text; /* the line */
	bool in_table, after_about;
	struct err *e;
};

struct words {
	char *list[WORDS_MAX];
	size_t count;
};

/* Says what is wrong with the line, "file:line:column: ...", at the place where piece stands in it; with
 * NULL at its first word. RC_INVALID, id config.projection. */
enum rc parser_wrong(const struct parser *p, const char *piece, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same for a message that is in p->e already. */
enum rc parser_locate(const struct parser *p, const char *piece);

/* Moves back to the first line that holds piece, to say that it is wrong; without one to the first line. */
void parser_seek(struct parser *p, const char *piece);

/* Splits text at the separators into trimmed words in the arena, keeping quoted text whole. */
enum rc parser_split(const struct parser *p, const char *text, const char *separators, struct words *out)
	MUST_CHECK;

/* Whether s can be a name in SQL without quotes. */
bool parser_is_identifier(const char *s);

/* One "-- name: value" line of the head, or a line of its prose; without the dashes. */
enum rc parser_head(struct parser *p, const char *line, struct words *keys) MUST_CHECK;

/* One line between the parentheses of the table. */
enum rc parser_table(struct parser *p, const char *line, const struct words *keys) MUST_CHECK;

#endif
