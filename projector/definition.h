/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_DEFINITION_H
#define PROJECTOR_DEFINITION_H

#include "base/arena.h"
#include "base/err.h"

/* One projection as its .sql file declares it. The file is plain SQL: a head of comments says which
 * objects of which events become rows, and the comment behind a column says where its value comes from.
 *
 *   -- provider: github            events of this provider; * takes all
 *   -- view: gh.users              the stable name; default gh.<table>
 *   -- kind: entity                one row per thing, newest version wins (default), or
 *            fact                  one row per event, written once
 *   -- key: kind, id               columns that make the primary key
 *   -- version: updated_at         when the object says it changed; without it, the event's order counts
 *   -- rank: status queued=0 completed=30   added to the line's rank: which state wins at equal times
 *   -- rows: PATH [on EVENT, ...] [rank N] [where CONDITION] [NAME='TEXT' ...]
 *   -- delete: EVENT[.ACTION] [where CONDITION], ...   the event's own object (rank 1 or more) is gone
 *   create table users (
 *       login text, -- = login             column of the group "core"
 *       email text, -- full = email        column of the group "full"
 *       name  text, -- full = name -- what it is, for who reads the table
 *
 * An expression is a list of alternatives, tried in order: [CONDITION and ... =>] OPERAND | ...
 *   a.b.c       path in the row's object          $.a.b     path in the whole document
 *   @seq        field of the envelope             :kind     NAME of the rows line
 *   'text'      constant, without quotes inside   null      null
 *   count(a)    elements of an array              list(a[].b)  b of each element of an array
 *   after(a,'text')  what follows that beginning  CONDITION: OPERAND, or OPERAND='TEXT'
 *
 * A group is told by an object when an alternative of its first column applies: its path exists, even
 * as null. A group that is not told keeps its columns; within a told group a missing value is null. */

enum definition_kind { DEFINITION_ENTITY, DEFINITION_FACT };

enum column_type {
	COLUMN_INT8, /* bigint */
	COLUMN_INT4, /* integer */
	COLUMN_INT2, /* smallint */
	COLUMN_BOOL,
	COLUMN_TEXT,
	COLUMN_TIMESTAMPTZ,
	COLUMN_JSONB,
	COLUMN_TEXT_ARRAY,
	COLUMN_INT8_ARRAY,
};

enum operand_kind {
	OPERAND_PATH,     /* in the row's object */
	OPERAND_ROOT,     /* in the document */
	OPERAND_COUNT,    /* elements of the array at a path in the row's object */
	OPERAND_LIST,     /* a member of each element of an array; text is "array[].member" */
	OPERAND_AFTER,    /* the text at a path without the beginning it must have; else absent */
	OPERAND_ENVELOPE, /* text is one of definition.c's names */
	OPERAND_ROW,      /* a constant of the rows line */
	OPERAND_CONST,
	OPERAND_NULL,
};

enum envelope_field {
	ENVELOPE_SEQ,
	ENVELOPE_RECEIVED_AT,
	ENVELOPE_SOURCE,
	ENVELOPE_PROVIDER,
	ENVELOPE_EVENT,
	ENVELOPE_DELIVERY,
	ENVELOPE_HOOK,
	ENVELOPE_ORIGIN,
	ENVELOPE_BYTES,
	ENVELOPE_PARKED,
	ENVELOPE_HOST,     /* of the forge, as configured for the source */
	ENVELOPE_POSITION, /* of the element in the rows' array, from 0 */
};

struct operand {
	enum operand_kind kind;
	const char *text;           /* path, constant or name */
	enum envelope_field field;  /* with OPERAND_ENVELOPE */
	size_t index;               /* with a path: position in the slots of a rows line */
	const char *extra;          /* OPERAND_LIST: the array's path, at index + 1; _AFTER: the beginning */
};

struct condition {
	struct operand operand;
	const char *equals; /* NULL: the value exists and is not null */
};

#define CONDITIONS_MAX 3

struct alternative {
	struct condition conditions[CONDITIONS_MAX];
	size_t condition_count;
	struct operand operand;
};

struct expression {
	struct alternative *alternatives;
	size_t count;
};

struct column {
	const char *name;
	const char *sql_type; /* as written, for casts */
	enum column_type type;
	bool key;
	size_t group; /* index into groups; of no meaning for keys and facts */
	struct expression value;
	const char *source; /* the expression as written */
	const char *about;  /* what the file says of it, or NULL */
};

/* A column that PostgreSQL fills: generated from the others. */
struct generated_column {
	const char *name, *sql_type, *about;
};

#define GENERATED_MAX 8

struct rows_constant {
	const char *name, *value;
};

struct rows_line {
	const char *path; /* "" is the document */
	bool is_array;    /* the path holds [] */
	const char **events;
	size_t event_count; /* 0: every event */
	int rank;
	struct condition where;
	bool has_where;
	struct rows_constant *constants;
	size_t constant_count;
	size_t *slots;      /* jpath slot of each path operand of the definition, filled by the catalog */
	size_t object_slot; /* jpath slot of the row's object */
};

struct tombstone {
	const char *event;
	const char *action; /* NULL: any */
	struct condition where;
	bool has_where;
};

/* What a value of the object adds to the rank of its rows line. */
struct rank_value {
	const char *text;
	int rank;
};

#define RANK_VALUES_MAX 16

#define GROUPS_MAX 8

struct definition {
	const char *file;     /* for messages */
	const char *table;    /* "users" */
	const char *view;     /* "gh.users" */
	const char *provider; /* "github" or "*" */
	const char *ddl;      /* the whole file */
	const char *about;    /* the first paragraph of its head, or "" */
	enum definition_kind kind;
	struct column *columns;
	size_t column_count;
	bool has_jsonb; /* some column is COLUMN_JSONB */
	struct generated_column generated[GENERATED_MAX];
	size_t generated_count;
	const char *groups[GROUPS_MAX]; /* groups[0] is "core" */
	size_t group_anchor[GROUPS_MAX]; /* the column whose expression tells the group */
	size_t group_count;
	struct expression version; /* count 0: the order of events */
	struct condition rank;     /* with rank values: what they are values of */
	struct rank_value rank_values[RANK_VALUES_MAX];
	size_t rank_value_count;
	struct rows_line *rows;
	size_t rows_count;
	struct tombstone *tombstones;
	size_t tombstone_count;
	size_t operand_count; /* path operands, the size of each rows line's slots */
	size_t action_index;  /* the path operand $.action, for tombstones */
};

/* Reads a projection file. Errors name file, line and column. Everything lives in a; file and text are borrowed as long.
 * RC_INVALID: the message names file, line, what is wrong and what is expected. */
enum rc definition_parse(const char *file, const char *text, struct arena *a, struct definition *d,
	struct err *e) MUST_CHECK;

/* Parses one expression; exported for definition.c and its tests. *operand_count is the next free index
 * of path operands and is moved on. After an error *wrong is the piece of text that it is about, in a. */
enum rc expression_parse(const char *text, struct arena *a, size_t *operand_count,
	struct expression *out, const char **wrong, struct err *e) MUST_CHECK;

/* Parses one condition, OPERAND or OPERAND='TEXT', likewise. */
enum rc condition_parse(const char *text, struct arena *a, size_t *operand_count,
	struct condition *out, const char **wrong, struct err *e) MUST_CHECK;

/* Whether the extractor (event/jpath.h) takes this path. */
bool path_is_valid(const char *path);

/* Calls fn for every path operand of d, in the order of their indexes or not; used to fill slots. */
void definition_each_operand(const struct definition *d,
	void (*fn)(const struct operand *operand, void *context), void *context);

#endif
