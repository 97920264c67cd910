/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/tables.h"
#include "tests/unit/projector/helper.h"

static struct arena *a;

static int
setup(void **state UNUSED)
{
	a = arena_new(256 * 1024);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	arena_free(a);
	return 0;
}

static struct definition
parse(const char *text)
{
	struct definition d;
	struct err e = { 0 };
	if (definition_parse("x.sql", text, a, &d, &e) != RC_OK)
		fail_msg("%s", e.text);
	return d;
}

static void
assert_upsert(const struct definition *d, const char *want)
{
	enum pg_type types[TABLES_PARAMS_MAX];
	struct buf out = buf_new(64 * 1024);
	tables_put_upsert(&out, d, "gh_g1", types);
	assert_string_equal(buf_cstr(&out), want);
	buf_free(&out);
}

static void
test_upsert_of_a_fact(void **state UNUSED)
{
	struct definition d = parse("-- kind: fact\n-- key: seq\n-- rows: .\n"
				    "create table t (\n\tseq bigint primary key, -- = @seq\n"
				    "\ttags text[], -- = tags\n\tgood boolean -- = good\n);\n");
	assert_upsert(&d, "insert into \"gh_g1\".t as t (seq, tags, good)\n"
			  "select c1::bigint, c2::text[], c3::boolean\n"
			  "from unnest($1::bigint[], $2::text[], $3::boolean[]) as input (c1, c2, c3)\n"
			  "on conflict (seq) do update set\n"
			  "\ttags = excluded.tags,\n\tgood = excluded.good\n");
}

/* Nothing but the key: there is nothing to update. */
static void
test_upsert_of_a_bare_fact(void **state UNUSED)
{
	struct definition d = parse("-- kind: fact\n-- key: seq\n-- rows: .\n"
				    "create table t (\n\tseq bigint primary key -- = @seq\n);\n");
	assert_upsert(&d, "insert into \"gh_g1\".t as t (seq)\nselect c1::bigint\n"
			  "from unnest($1::bigint[]) as input (c1)\non conflict (seq) do nothing\n");
}

#define NEWEST(column)                                                                             \
	"\t" column " = case when (excluded.version_at, excluded.version_rank, excluded.version_seq) > " \
	"(t.version_at, t.version_rank, t.version_seq) then excluded." column " else t." column " end,\n"

static void
test_upsert_of_an_entity(void **state UNUSED)
{
	struct definition d = parse("-- key: id\n-- rows: x\ncreate table t (\n"
				    "\tid bigint primary key,\n\tname text -- = name\n);\n");
	assert_upsert(&d,
		"insert into \"gh_g1\".t as t (id, name, first_seq, last_seq, origin, webhook_at, api_at, "
		"deleted_at, deleted_seq, version_at, version_rank, version_seq)\n"
		"select c1::bigint, c2::text, c3::bigint, c4::bigint, c5::smallint, c6::timestamptz, "
		"c7::timestamptz, c8::timestamptz, c9::bigint, c10, c11::smallint, c12\n"
		"from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], "
		"$6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::bigint[], $10::timestamptz[], "
		"$11::bigint[], $12::bigint[]) as input (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12)\n"
		"on conflict (id) do update set\n" NEWEST("name") NEWEST("version_at")
			NEWEST("version_rank") NEWEST("version_seq")
		"\torigin = case when excluded.last_seq >= t.last_seq then excluded.origin else t.origin end,\n"
		"\twebhook_at = greatest(t.webhook_at, excluded.webhook_at),\n"
		"\tapi_at = greatest(t.api_at, excluded.api_at),\n"
		"\tfirst_seq = least(t.first_seq, excluded.first_seq),\n"
		"\tlast_seq = greatest(t.last_seq, excluded.last_seq)\n");
}

/* The widest file that is taken still fits the parameters of one statement. */
static void
test_widest_definition_fits(void **state UNUSED)
{
	for (size_t columns = 60; columns < 140; columns++) {
		struct definition d;
		struct err e;
		struct buf text = buf_new(64 * 1024);
		buf_put_str(&text, "-- key: id\n-- rows: x rank 1\n-- delete: x.deleted\ncreate table t (\n"
				   "\tid bigint primary key,\n\tn text, -- = n\n");
		for (size_t i = 0; i < columns; i++)
			buf_printf(&text, "\tc%zu text, -- g%zu = c\n", i, i % 7);
		buf_put_str(&text, "\tlast text -- = last\n);\n");
		enum rc rc = definition_parse("x.sql", buf_cstr(&text), a, &d, &e);
		if (rc == RC_OK) {
			enum pg_type types[TABLES_PARAMS_MAX];
			struct buf out = buf_new(1024 * 1024);
			size_t n = tables_put_upsert(&out, &d, "gh_g1", types);
			assert_in_range(n, columns, TABLES_PARAMS_MAX);
			buf_free(&out);
		}
		buf_free(&text);
		arena_reset(a);
		if (rc != RC_OK) {
			assert_in_range(columns, 80, 120); /* the limit was met */
			return;
		}
	}
	fail_msg("there is no limit");
}

static void
test_view_quotes_and_replaces(void **state UNUSED)
{
	struct buf out = buf_new(64 * 1024);
	tables_put_view(&out, "acme.all", "gh_g2", "t");
	assert_non_null(strstr(buf_cstr(&out), "create schema if not exists \"acme\";"));
	assert_non_null(strstr(buf_cstr(&out),
		"select hooklog.show_table(to_regclass('\"acme\".\"all\"'), '\"acme\".\"all\"', "
		"'\"gh_g2\".\"t\"');"));
	buf_free(&out);
}

/* One array per parameter, all of the same length, whatever the rows hold. */
static void
test_bind(void **state UNUSED)
{
	struct catalog c = helper_catalog(
		"-- provider: github\n-- key: id\n-- rows: things[]\ncreate table zz (\n"
		"\tid bigint primary key,\n\tname text, -- = name\n\tgood boolean, -- = good\n"
		"\tat timestamptz -- = at\n);\n",
		a);
	struct store_record record = helper_record(3, "x",
		"{\"things\":[{\"id\":1,\"name\":\"n\",\"good\":true,\"at\":5},{\"id\":2,\"name\":null}]}");
	struct fold fold;
	fold_events(&c, &record, 1, NULL, a, &fold);
	struct pg_array arrays[TABLES_PARAMS_MAX];
	struct pg_param params[TABLES_PARAMS_MAX];
	enum pg_type types[TABLES_PARAMS_MAX];
	struct buf sql = buf_new(64 * 1024);
	size_t count;
	struct err e;
	const struct fold_table *t = helper_table(&fold, "zz");
	assert_int_equal(tables_bind(t, arrays, params, &count, &e), RC_OK);
	assert_int_equal(count, tables_put_upsert(&sql, t->definition, "s", types));
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(params[i].type, types[i]);
		assert_int_equal(arrays[i].count, 2);
		pg_array_free(&arrays[i]);
	}
	buf_free(&sql);
	catalog_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upsert_of_a_fact),
		cmocka_unit_test(test_upsert_of_a_bare_fact),
		cmocka_unit_test(test_upsert_of_an_entity),
		cmocka_unit_test(test_widest_definition_fits),
		cmocka_unit_test(test_view_quotes_and_replaces),
		cmocka_unit_test(test_bind),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
