/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "projector/definition.h"

static struct arena *a;

static int
setup(void **state UNUSED)
{
	a = arena_new(64 * 1024);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	arena_free(a);
	return 0;
}

static void
parse(const char *text, struct definition *d)
{
	struct err e = { 0 };
	if (definition_parse("x.sql", text, a, d, &e) != RC_OK)
		fail_msg("%s", e.text);
}

#define GOOD                                                                                       \
	"-- Things, one row each. See https://example.org/things: not a line of ours.\n"           \
	"-- provider: github\n-- view: acme.all_things\n-- key: kind, id\n"                        \
	"-- version: updated_at | $.at\n"                                                          \
	"-- rows: thing on thing, thing_comment rank 2 kind='a b'\n"                               \
	"-- rows: things[] where type='Big One' kind='many'\n"                                     \
	"-- delete: thing.deleted, thing.erased\n-- delete: gone where x='a, b'\n"                 \
	"-- rank: status queued=0 in_progress=20\n"                                                \
	"create table things (\n"                                                                  \
	"\tkind text not null, -- = :kind\n"                                                       \
	"\tid bigint not null,\n"                                                                  \
	"\tname text, -- = name\n"                                                                 \
	"\tstate text, -- = $.action='closed' and $.x => 'it | is' | count(parts) | null\n"        \
	"\tlabels bigint[], -- = list(labels[].id)\n"                                              \
	"\tbranch text, -- = after(ref, 'refs/heads/')\n"                                          \
	"\tsize bigint, -- full = size\n"                                                          \
	"\tis_big boolean generated always as (size > 5) stored, -- size = 6 or more\n"            \
	"\tprimary key (kind, id)\n"                                                               \
	");\ncreate index things_name on things (name);\n"

static void
test_good_file(void **state UNUSED)
{
	struct definition d;
	parse(GOOD, &d);
	assert_string_equal(d.table, "things");
	assert_string_equal(d.view, "acme.all_things");
	assert_string_equal(d.provider, "github");
	assert_int_equal(d.kind, DEFINITION_ENTITY);
	assert_int_equal(d.column_count, 7);
	assert_true(d.columns[0].key && d.columns[1].key && !d.columns[2].key);
	assert_int_equal(d.columns[1].value.alternatives[0].operand.kind, OPERAND_PATH);
	assert_string_equal(d.columns[1].value.alternatives[0].operand.text, "id");
	assert_int_equal(d.group_count, 2);
	assert_string_equal(d.groups[1], "full");
	assert_int_equal(d.group_anchor[0], 2);
	assert_int_equal(d.group_anchor[1], 6);
	assert_int_equal(d.version.count, 2);
	assert_int_equal(d.version.alternatives[1].operand.kind, OPERAND_ROOT);
	assert_int_equal(d.tombstone_count, 3);
	assert_string_equal(d.tombstones[1].event, "thing");
	assert_string_equal(d.tombstones[1].action, "erased");
	assert_false(d.tombstones[1].has_where);
	assert_string_equal(d.tombstones[2].event, "gone");
	assert_null(d.tombstones[2].action);
	assert_string_equal(d.tombstones[2].where.equals, "a, b");
	assert_string_equal(d.rank.operand.text, "status");
	assert_int_equal(d.rank_value_count, 2);
	assert_string_equal(d.rank_values[1].text, "in_progress");
	assert_int_equal(d.rank_values[1].rank, 20);
	const struct operand *list = &d.columns[4].value.alternatives[0].operand;
	assert_int_equal(list->kind, OPERAND_LIST);
	assert_string_equal(list->text, "labels[].id");
	assert_string_equal(list->extra, "labels");
	const struct operand *after = &d.columns[5].value.alternatives[0].operand;
	assert_int_equal(after->kind, OPERAND_AFTER);
	assert_string_equal(after->text, "ref");
	assert_string_equal(after->extra, "refs/heads/");

	assert_int_equal(d.rows_count, 2);
	assert_string_equal(d.rows[0].path, "thing");
	assert_int_equal(d.rows[0].event_count, 2);
	assert_string_equal(d.rows[0].events[1], "thing_comment");
	assert_int_equal(d.rows[0].rank, 2);
	assert_string_equal(d.rows[0].constants[0].name, "kind");
	assert_string_equal(d.rows[0].constants[0].value, "a b");
	assert_false(d.rows[0].is_array);
	assert_true(d.rows[1].is_array && d.rows[1].has_where);
	assert_string_equal(d.rows[1].where.equals, "Big One");

	const struct expression *x = &d.columns[3].value;
	assert_int_equal(x->count, 3);
	assert_int_equal(x->alternatives[0].condition_count, 2);
	assert_string_equal(x->alternatives[0].conditions[0].equals, "closed");
	assert_null(x->alternatives[0].conditions[1].equals);
	assert_int_equal(x->alternatives[0].operand.kind, OPERAND_CONST);
	assert_string_equal(x->alternatives[0].operand.text, "it | is");
	assert_int_equal(x->alternatives[1].operand.kind, OPERAND_COUNT);
	assert_int_equal(x->alternatives[2].operand.kind, OPERAND_NULL);
}

struct seen {
	unsigned char *indexes;
	size_t count;
};

static void
see(const struct operand *operand, void *context)
{
	struct seen *seen = context;
	if (operand->kind == OPERAND_ENVELOPE || operand->kind == OPERAND_ROW ||
		operand->kind == OPERAND_CONST || operand->kind == OPERAND_NULL)
		return;
	assert_in_range(operand->index, 0, seen->count - 1);
	seen->indexes[operand->index]++;
}

/* Every slot is filled by exactly one operand; what is missed would read another path's value. */
static void
test_every_operand_is_visited_once(void **state UNUSED)
{
	struct definition d;
	parse(GOOD, &d);
	struct seen seen = { arena_zalloc(a, d.operand_count), d.operand_count };
	definition_each_operand(&d, see, &seen);
	for (size_t i = 0; i < d.operand_count; i++)
		assert_int_equal(seen.indexes[i], 1);
}

static void
test_defaults(void **state UNUSED)
{
	struct definition d;
	parse("-- key: id\n-- rows: .\ncreate table t (\n\tid bigint primary key, -- = @seq\n"
	      "\tname text -- = name\n);\n",
		&d);
	assert_string_equal(d.view, "gh.t");
	assert_string_equal(d.provider, "*");
	assert_int_equal(d.version.count, 0);
	assert_string_equal(d.rows[0].path, "");
	assert_int_equal(d.columns[0].value.alternatives[0].operand.field, ENVELOPE_SEQ);
}

static void
test_events_may_be_listed_without_spaces(void **state UNUSED)
{
	struct definition d;
	parse("-- key: id\n-- rows: x on a,b, c rank 1\ncreate table t (\n\tid bigint primary key,\n"
	      "\tname text -- = name\n);\n",
		&d);
	assert_int_equal(d.rows[0].event_count, 3);
	assert_string_equal(d.rows[0].events[0], "a");
	assert_string_equal(d.rows[0].events[1], "b");
	assert_string_equal(d.rows[0].events[2], "c");
	assert_int_equal(d.rows[0].rank, 1);
}

static void
test_constants_keep_their_spaces(void **state UNUSED)
{
	size_t operands = 0;
	struct expression x;
	struct condition c;
	const char *piece;
	struct err e;
	assert_int_equal(expression_parse("  ' a '", a, &operands, &x, &piece, &e), RC_OK);
	assert_string_equal(x.alternatives[0].operand.text, " a ");
	assert_int_equal(condition_parse("x = ' = '", a, &operands, &c, &piece, &e), RC_OK);
	assert_string_equal(c.equals, " = ");
	assert_string_equal(c.operand.text, "x");
}

/* A file made of these pieces around one that is wrong. */
#define TABLE "create table t (\n\tid bigint primary key,\n\tname text -- = name\n);\n"
#define HEAD "-- key: id\n-- rows: x\n"

static const struct {
	const char *text;
	int line; /* 0: any */
	const char *says;
} wrongs[] = {
	{ "", 0, "create table" },
	{ HEAD, 0, "create table" },
	{ "-- key: id\n" TABLE, 0, "rows:" },
	{ "-- rows: x\n" TABLE, 0, "key:" },
	{ "-- key: id, other\n-- rows: x\n" TABLE, 0, "key:" },
	{ "-- key: Id\n", 1, "Id" },
	{ "-- key:\n", 1, "key:" },
	{ HEAD "-- kind: thing\n" TABLE, 3, "entity or fact" },
	{ HEAD "-- colour: red\n" TABLE, 3, "colour" },
	{ HEAD "-- view: users\n" TABLE, 0, "SCHEMA.NAME" },
	{ HEAD "-- view: Acme.users\n" TABLE, 0, "SCHEMA.NAME" },
	{ HEAD "-- version: a b\n" TABLE, 3, "a b" },
	{ HEAD "-- version: a..b\n" TABLE, 3, "a..b" },
	{ HEAD "-- version: @when\n" TABLE, 3, "@when" },
	{ HEAD "-- delete: gone.\n" TABLE, 3, "EVENT[.ACTION]" },
	{ HEAD "-- delete: .gone\n" TABLE, 3, "EVENT[.ACTION]" },
	{ HEAD "-- delete: a.b when c\n" TABLE, 3, "EVENT[.ACTION]" },
	{ HEAD "-- delete: a.b where\n" TABLE, 3, "EVENT[.ACTION]" },
	{ HEAD "-- delete: a where b=c\n" TABLE, 3, "single quotes" },
	{ HEAD "-- rank: state\n" TABLE, 3, "VALUE=N" },
	{ HEAD "-- rank: state open\n" TABLE, 3, "open" },
	{ HEAD "-- rank: state =1\n" TABLE, 3, "=1" },
	{ HEAD "-- rank: state open=\n" TABLE, 3, "0 to 1000" },
	{ HEAD "-- rank: state open=1001\n" TABLE, 3, "0 to 1000" },
	{ HEAD "-- rank: state='x' open=1\n" TABLE, 3, "without" },
	{ HEAD "-- rank: a..b open=1\n" TABLE, 3, "a..b" },
	{ HEAD "-- rank: a x=1\n-- rank: b y=1\n" TABLE, 4, "only one" },
	{ HEAD "-- delete: x.deleted\n" TABLE, 0, "rank" },
	{ "-- rows:\n", 1, "path" },
	{ "-- rows: x on\n", 1, "on" },
	{ "-- rows: x on a,\n", 1, "on" },
	{ "-- rows: x rank many\n", 1, "rank" },
	{ "-- rows: x rank 1001\n", 1, "rank" },
	{ "-- rows: x rank\n", 1, "rank" },
	{ "-- rows: x sometimes\n", 1, "sometimes" },
	{ "-- rows: x kind=a\n", 1, "kind=a" },
	{ "-- rows: x kind='\n", 1, "kind='" },
	{ "-- rows: x where a='b\n", 1, "single quotes" },
	{ "-- rows: x where a=b\n", 1, "single quotes" },
	{ "-- rows: a..b\n", 1, "a..b" },
	{ "-- rows: a[].b[]\n", 1, "a[].b[]" },
	{ HEAD "create table gh.users (\n", 3, "schema" },
	{ HEAD "create table Users (\n", 3, "lower case" },
	{ HEAD "create table if not exists t (\n", 3, "if not exists" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb uuid, -- = b\n);\n", 5, "uuid" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tB text, -- = b\n);\n", 5, "name and a type" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- Full = b\n);\n", 5, "Full" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = \n);\n", 5, "path" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = a || b\n);\n", 5, "path" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = a => \n);\n", 5, "path" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = a and b and c and d => e\n);\n", 5,
		"conditions" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = 'it''s'\n);\n", 5, "quote" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = :kind\n);\n", 0, ":kind" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = count(a\n);\n", 5, "count" },
	{ HEAD "create table t (\n\tid bigint primary key,\n\tn bigint\n);\n", 0, "core" },
	{ HEAD "create table t (\n\tid jsonb primary key,\n\tname text -- = name\n);\n", 4, "key" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text[], -- = list(a)\n);\n", 5, "labels[].id" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text[], -- = list([].a)\n);\n", 5, "labels[].id" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = after(a)\n);\n", 5, "after(ref" },
	{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = after(a,b)\n);\n", 5, "after(ref" },
	{ HEAD "create table t (\n\tid bigint[] primary key,\n\tname text -- = name\n);\n", 4, "key" },
	{ HEAD "create table t (\n\tid text[] primary key,\n\tname text -- = name\n);\n", 4, "key" },
};

static void
test_wrong_files_name_file_and_line(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
		struct definition d;
		struct err e = { 0 };
		char place[32];
		enum rc rc = definition_parse("x.sql", wrongs[i].text, a, &d, &e);
		if (rc != RC_INVALID)
			fail_msg("taken: %s", wrongs[i].text);
		assert_string_equal(e.id, "config.projection");
		snprintf(place, sizeof place, "x.sql:%d:", wrongs[i].line);
		bool there = wrongs[i].line == 0 ? strncmp(e.text, "x.sql:", 6) == 0
						 : strncmp(e.text, place, strlen(place)) == 0;
		if (!there || strstr(e.text, wrongs[i].says) == NULL)
			fail_msg("line %d, '%s' expected: %s", wrongs[i].line, wrongs[i].says, e.text);
	}
}

/* Where an editor would put the cursor: on the piece that is wrong. */
static void
test_wrong_files_name_the_column(void **state UNUSED)
{
	static const struct {
		const char *text, *place;
	} rows[] = {
		{ HEAD "-- version: a b\n" TABLE, "x.sql:3:13: " },
		{ HEAD "-- rank: state open=1 closed=1001\n" TABLE, "x.sql:3:30: " },
		{ "-- rows: x on a sometimes\n", "x.sql:1:17: " },
		{ "-- rows: x where a=b\n", "x.sql:1:18: " },
		{ HEAD "-- delete: x.deleted, .gone\n" TABLE, "x.sql:3:23: " },
		{ HEAD "create table t (\n\tid bigint, -- = id\n\tb uuid, -- = b\n);\n", "x.sql:5:4: " },
		/* In characters, not in bytes. */
		{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = '\u00e9' | a..b\n);\n", "x.sql:5:21: " },
		{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = c and d='e' => after(f)\n);\n",
			"x.sql:5:30: " },
		{ HEAD "create table t (\n\tid bigint, -- = id\n\tb text, -- = :kind\n);\n", "x.sql:5:15: " },
		{ "-- rows: x\n-- key: id, other\n" TABLE, "x.sql:2:13: " },
		{ "-- rows: x\n-- key: id, id\n" TABLE, "x.sql:2:9: " },
		{ HEAD "-- view: users\n" TABLE, "x.sql:3:10: " },
		{ HEAD, "x.sql:1:1: " },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct definition d;
		struct err e = { 0 };
		assert_int_equal(definition_parse("x.sql", rows[i].text, a, &d, &e), RC_INVALID);
		if (strncmp(e.text, rows[i].place, strlen(rows[i].place)) != 0)
			fail_msg("%s expected: %s", rows[i].place, e.text);
	}
}

static void
test_what_columns_are(void **state UNUSED)
{
	struct definition d;
	parse("-- Things of a shelf,\n-- in no order.\n--\n-- More of them.\n-- key: id\n-- rows: x\n"
	      "create table t (\n\tid bigint primary key, -- = id -- its number\n"
	      "\tname text, -- full = a | ' -- ' -- what it is called\n\tb text, -- = b\n"
	      "\tbig boolean generated always as (id > 9) stored, -- over nine\n"
	      "\tcheck (id > 0)\n);\n",
		&d);
	assert_string_equal(d.about, "Things of a shelf, in no order.");
	assert_string_equal(d.columns[0].about, "its number");
	assert_string_equal(d.columns[0].source, "id");
	assert_string_equal(d.columns[1].about, "what it is called");
	assert_string_equal(d.columns[1].source, "a | ' -- '");
	assert_null(d.columns[2].about);
	assert_int_equal(d.column_count, 3);
	assert_int_equal(d.generated_count, 1);
	assert_string_equal(d.generated[0].name, "big");
	assert_string_equal(d.generated[0].sql_type, "boolean");
	assert_string_equal(d.generated[0].about, "over nine");
}

/* What is over a limit is said, never cut off. */
static void
test_limits(void **state UNUSED)
{
	static const struct {
		const char *before, *repeated, *after;
	} rows[] = {
		{ "-- key: id\n-- rows: x on ", "e%zu, ", "last\n" TABLE },
		{ "-- key: id\n-- rows: x rank 1\n-- delete: ", "e%zu.deleted, ", "z.y\n" TABLE },
		{ "-- key: id\n", "-- rows: a%zu\n", TABLE },
		{ HEAD "-- rank: state ", "v%zu=1 ", "\n" TABLE },
		{ HEAD "create table t (\n\tid bigint, -- = id\n", "\tc%zu text, -- = c%zu\n", ");\n" },
		{ HEAD "create table t (\n\tid bigint, -- = id\n\tn text, -- = n\n", "\tc%zu text, -- g%zu = c\n",
			");\n" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct definition d;
		struct err e;
		struct buf text = buf_new(64 * 1024);
		buf_put_str(&text, rows[i].before);
		for (size_t k = 0; k < 200; k++) {
			/* The one number may occur twice. */
			struct buf line = buf_new(256);
			for (const char *p = rows[i].repeated; *p != '\0'; p++) {
				if (strncmp(p, "%zu", 3) == 0) {
					buf_printf(&line, "%zu", k);
					p += 2;
				} else {
					buf_put_char(&line, *p);
				}
			}
			buf_put_bytes(&text, buf_bytes(&line));
			buf_free(&line);
		}
		buf_put_str(&text, rows[i].after);
		if (definition_parse("x.sql", buf_cstr(&text), a, &d, &e) != RC_INVALID)
			fail_msg("taken: %s%s...", rows[i].before, rows[i].repeated);
		assert_non_null(strstr(e.text, "more than"));
		buf_free(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_file),
		cmocka_unit_test(test_every_operand_is_visited_once),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_events_may_be_listed_without_spaces),
		cmocka_unit_test(test_constants_keep_their_spaces),
		cmocka_unit_test(test_wrong_files_name_file_and_line),
		cmocka_unit_test(test_wrong_files_name_the_column),
		cmocka_unit_test(test_what_columns_are),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
