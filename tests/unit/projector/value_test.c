/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/projector/helper.h"

static struct arena *a;

static int
setup(void **state UNUSED)
{
	a = arena_new(1024 * 1024);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	arena_free(a);
	return 0;
}

struct outcome {
	const char *text; /* NULL: null */
	uint64_t altered, out_of_range;
	size_t parked;
};

/* Folds one event into a fact table whose column v has that type and expression. */
static struct outcome
evaluate(const char *type, const char *expression, struct store_record record)
{
	struct catalog c = helper_catalog(
		arena_printf(a,
			"-- provider: github\n-- kind: fact\n-- key: seq\n-- rows: . kind='row kind'\n"
			"create table zz (\n\tseq bigint primary key, -- = @seq\n\tv %s -- = %s\n);\n",
			type, expression),
		a);
	struct fold fold;
	fold_events(&c, &record, 1, NULL, a, &fold);
	const struct fold_table *t = helper_table(&fold, "zz");
	struct outcome out = { NULL, fold.altered_values, fold.out_of_range_values, fold.parked_count };
	if (t->count > 0)
		out.text = helper_cell(t, t->first, "v", a);
	catalog_free(&c);
	return out;
}

struct row {
	const char *type, *expression, *body, *want;
	bool altered, out_of_range;
};

static void
check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct outcome got = evaluate(rows[i].type, rows[i].expression,
			helper_record(7, "other", rows[i].body));
		const char *want = rows[i].want;
		if (got.parked != 0 || (got.text == NULL) != (want == NULL) ||
			(want != NULL && strcmp(got.text, want) != 0) ||
			(got.altered != 0) != rows[i].altered ||
			(got.out_of_range != 0) != rows[i].out_of_range)
			fail_msg("%s = %s of %s: '%s' (altered %" PRIu64 ", out of range %" PRIu64
				 "), expected '%s'",
				rows[i].type, rows[i].expression, rows[i].body,
				got.text == NULL ? "null" : got.text, got.altered, got.out_of_range,
				want == NULL ? "null" : want);
	}
}

static void
test_numbers(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "bigint", "n", "{\"n\":9223372036854775807}", "9223372036854775807", 0, 0 },
		{ "bigint", "n", "{\"n\":-9223372036854775808}", "-9223372036854775808", 0, 0 },
		{ "bigint", "n", "{\"n\":9223372036854775808}", NULL, 0, 1 },
		{ "bigint", "n", "{\"n\":1e400}", NULL, 0, 1 },
		{ "bigint", "n", "{\"n\":1.5}", NULL, 0, 1 },
		{ "bigint", "n", "{\"n\":\"7\"}", NULL, 0, 1 },
		{ "bigint", "n", "{\"n\":null}", NULL, 0, 0 },
		{ "bigint", "n", "{}", NULL, 0, 0 },
		/* The narrower types have their own ranges; the database would refuse the whole event. */
		{ "integer", "n", "{\"n\":2147483647}", "2147483647", 0, 0 },
		{ "integer", "n", "{\"n\":2147483648}", NULL, 0, 1 },
		{ "integer", "n", "{\"n\":-2147483649}", NULL, 0, 1 },
		{ "smallint", "n", "{\"n\":-32768}", "-32768", 0, 0 },
		{ "smallint", "n", "{\"n\":32768}", NULL, 0, 1 },
		{ "smallint", "@received_at", "{}", NULL, 0, 1 },
	};
	check(rows, COUNT_OF(rows));
}

static void
test_booleans(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "boolean", "b", "{\"b\":true}", "true", 0, 0 },
		{ "boolean", "b", "{\"b\":\"false\"}", "false", 0, 0 },
		{ "boolean", "b", "{\"b\":1}", NULL, 0, 1 },
		{ "boolean", "x => 'true' | 'false'", "{\"x\":{}}", "true", 0, 0 },
		{ "boolean", "x => 'true' | 'false'", "{\"x\":null}", "false", 0, 0 },
		{ "boolean", "@parked", "{}", "false", 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

#define FFFD "\xef\xbf\xbd"

static void
test_texts(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "text", "s", "{\"s\":\"caf\\u00e9 \\ud83d\\ude00\"}", "caf\xc3\xa9 \xf0\x9f\x98\x80", 0, 0 },
		{ "text", "s", "{\"s\":\"\"}", "", 0, 0 },
		{ "text", "s", "{\"s\":\"a\\u0000b\"}", "a" FFFD "b", 1, 0 },
		{ "text", "s", "{\"s\":\"\\ud800\"}", FFFD, 1, 0 },
		{ "text", "s", "{\"s\":\"\\udc00x\"}", FFFD "x", 1, 0 },
		{ "text", "s", "{\"s\":12.50}", "12.50", 0, 0 },
		{ "text", "s", "{\"s\":false}", "false", 0, 0 },
		{ "text", "s", "{\"s\":{\"a\":[1]}}", "{\"a\":[1]}", 0, 0 },
		{ "text", ":kind", "{}", "row kind", 0, 0 },
		{ "text", "@seq", "{}", "7", 0, 0 },
		{ "text", "@delivery", "{}", "d-1", 0, 0 },
		{ "text", "s", "{\"s\":\"first\",\"s\":\"last\"}", "last", 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

static void
test_timestamps(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "timestamptz", "t", "{\"t\":\"1970-01-01T00:00:01Z\"}", "1000000", 0, 0 },
		{ "timestamptz", "t", "{\"t\":\"1970-01-01T02:00:01.000001+02:00\"}", "1000001", 0, 0 },
		{ "timestamptz", "t", "{\"t\":1700000000}", "1700000000000000", 0, 0 },
		{ "timestamptz", "t", "{\"t\":253402300799}", "253402300799000000", 0, 0 },
		{ "timestamptz", "t", "{\"t\":253402300800}", NULL, 0, 1 },
		{ "timestamptz", "t", "{\"t\":9223372036854775807}", NULL, 0, 1 },
		{ "timestamptz", "t", "{\"t\":\"yesterday\"}", NULL, 0, 1 },
		{ "timestamptz", "t", "{\"t\":\"2026-02-30T00:00:00Z\"}", NULL, 0, 1 },
		{ "timestamptz", "t", "{\"t\":true}", NULL, 0, 1 },
		{ "timestamptz", "t", "{\"t\":null}", NULL, 0, 0 },
		{ "timestamptz", "@received_at", "{}", "1767225607000000", 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

/* What jsonb would refuse, or would store small and print huge, is kept as a JSON string of its text. */
static void
test_jsonb(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "jsonb", "j", "{\"j\":{\"a\":[1,true,null,\"\\ud83d\\ude00\\n\"]}}",
			"{\"a\":[1,true,null,\"\\ud83d\\ude00\\n\"]}", 0, 0 },
		{ "jsonb", "j", "{\"j\":\"\\\\u0000\"}", "\"\\\\u0000\"", 0, 0 },
		{ "jsonb", "j", "{\"j\":[\"\\u0000\"]}", "\"[\\\"\\\\u0000\\\"]\"", 1, 0 },
		{ "jsonb", "j", "{\"j\":\"\\ud800x\"}", "\"\\\"\\\\ud800x\\\"\"", 1, 0 },
		{ "jsonb", "j", "{\"j\":\"\\ud800\\u0041\"}", "\"\\\"\\\\ud800\\\\u0041\\\"\"", 1, 0 },
		{ "jsonb", "j", "{\"j\":\"\\udc00\"}", "\"\\\"\\\\udc00\\\"\"", 1, 0 },
		{ "jsonb", "j", "{\"j\":1e131071}", "\"1e131071\"", 1, 0 },
		{ "jsonb", "j", "{\"j\":1.5e3}", "1.5e3", 0, 0 },
		{ "jsonb", "j", "{\"j\":[2E-7,1e+308]}", "[2E-7,1e+308]", 0, 0 },
		{ "jsonb", "j", "{\"j\":1e309}", "\"1e309\"", 1, 0 },
		{ "jsonb", "j", "{\"j\":{\"n\":12345678901234567890123456789012345678901}}",
			"\"{\\\"n\\\":12345678901234567890123456789012345678901}\"", 1, 0 },
		{ "jsonb", "j", "{\"j\":1234567890123456789012345678901234567890}",
			"1234567890123456789012345678901234567890", 0, 0 },
		{ "jsonb", "j", "{\"j\":null}", NULL, 0, 0 },
		{ "jsonb", "count(j)", "{\"j\":[1,2]}", "2", 0, 0 },
		{ "jsonb", "'text'", "{}", "\"text\"", 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

static void
test_text_arrays(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "text[]", "t", "{\"t\":[]}", "{}", 0, 0 },
		{ "text[]", "t", "{\"t\":[ \"a\" , \"\" ]}", "{\"a\",\"\"}", 0, 0 },
		{ "text[]", "t", "{\"t\":[\"a\\\"b\\\\c{,}\"]}", "{\"a\\\"b\\\\c{,}\"}", 0, 0 },
		{ "text[]", "t", "{\"t\":[\"\\u0000\"]}", "{\"" FFFD "\"}", 1, 0 },
		{ "text[]", "t", "{\"t\":[\"a\",1]}", NULL, 0, 1 },
		{ "text[]", "t", "{\"t\":[[\"a\"]]}", NULL, 0, 1 },
		{ "text[]", "t", "{\"t\":[null]}", NULL, 0, 1 },
		{ "text[]", "t", "{\"t\":\"a\"}", NULL, 0, 1 },
	};
	check(rows, COUNT_OF(rows));
}

static void
test_lists(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "bigint[]", "list(l[].id)", "{\"l\":[{\"id\":1},{\"id\":9007199254740993}]}", "{1,9007199254740993}",
			0, 0 },
		{ "bigint[]", "list(l[].id)", "{\"l\":[]}", "{}", 0, 0 },
		{ "bigint[]", "list(l[].id)", "{\"l\":[{},{\"id\":null},null,3,{\"id\":[5]},{\"id\":4}]}", "{4}", 0,
			0 },
		{ "bigint[]", "list(l[].id)", "{\"l\":[{\"id\":\"1\"},{\"id\":2}]}", "{2}", 0, 1 },
		{ "bigint[]", "list(l[].id)", "{\"l\":null}", NULL, 0, 0 },
		{ "bigint[]", "list(l[].id)", "{\"l\":{\"id\":1}}", NULL, 0, 1 },
		{ "bigint[]", "list(l[].id)", "{}", NULL, 0, 0 },
		{ "bigint[]", "list(l[].u.id)", "{\"l\":[{\"u\":{\"id\":1}}]}", "{1}", 0, 0 },
		{ "bigint[]", "l", "{\"l\":[1,2]}", NULL, 0, 1 },
		{ "text[]", "list(l[].n)", "{\"l\":[{\"n\":\"a \\\"b\\\\\"},{\"n\":\"\"},{\"n\":7}]}",
			"{\"a \\\"b\\\\\",\"\",\"7\"}", 0, 0 },
		{ "text[]", "list(l[].n)", "{\"l\":[{\"n\":\"\\u0000\"}]}", "{\"\xef\xbf\xbd\"}", 1, 0 },
		/* An empty list is told, so the next alternative is not asked. */
		{ "text[]", "list(l[].n) | m", "{\"l\":[],\"m\":[\"x\"]}", "{}", 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

static void
test_beginnings(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "text", "after(r,'refs/heads/')", "{\"r\":\"refs/heads/a/b\"}", "a/b", 0, 0 },
		{ "text", "after(r,'refs/heads/')", "{\"r\":\"refs/heads/\"}", "", 0, 0 },
		{ "text", "after(r,'refs/heads/')", "{\"r\":\"refs/heads\"}", NULL, 0, 0 },
		{ "text", "after(r,'refs/heads/') | r", "{\"r\":\"refs/tags/v1\"}", "refs/tags/v1", 0, 0 },
		{ "text", "after(r,'a') | 'none'", "{\"r\":null}", "none", 0, 0 },
		{ "text", "after(r,'1') | 'none'", "{\"r\":12}", "none", 0, 0 },
		{ "text", "after(r,'x')", "{\"r\":\"x\\u0000\"}", "\xef\xbf\xbd", 1, 0 },
		{ "text", "after(r,'x') => 'yes' | 'no'", "{\"r\":\"xy\"}", "yes", 0, 0 },
		{ "text", "after(r,'x') => 'yes' | 'no'", "{\"r\":\"y\"}", "no", 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

static void
test_counts(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "bigint", "count(l)", "{\"l\":[]}", "0", 0, 0 },
		{ "bigint", "count(l)", "{\"l\":[ ]}", "0", 0, 0 },
		{ "bigint", "count(l)", "{\"l\":[\"a,b\\\"]\",[1,2],{\"x\":[3,4]},null]}", "4", 0, 0 },
		{ "bigint", "count(l)", "{\"l\":[[]]}", "1", 0, 0 },
		{ "bigint", "count(l)", "{\"l\":[\"\"]}", "1", 0, 0 },
		{ "bigint", "count(l)", "{\"l\":{}}", NULL, 0, 1 },
		{ "bigint", "count(l)", "{\"l\":null}", NULL, 0, 0 },
		{ "bigint", "count(l)", "{}", NULL, 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

static void
test_alternatives_and_conditions(void **state UNUSED)
{
	static const struct row rows[] = {
		{ "text", "a | b", "{\"b\":\"B\"}", "B", 0, 0 },
		{ "text", "a | b", "{\"a\":null,\"b\":\"B\"}", "B", 0, 0 },
		{ "text", "a | b", "{\"a\":\"A\",\"b\":\"B\"}", "A", 0, 0 },
		{ "text", "k='x' => a | b", "{\"k\":\"x\",\"a\":\"A\",\"b\":\"B\"}", "A", 0, 0 },
		{ "text", "k='x' => a | b", "{\"k\":\"y\",\"a\":\"A\",\"b\":\"B\"}", "B", 0, 0 },
		{ "text", "k='x' and l => a", "{\"k\":\"x\",\"l\":null,\"a\":\"A\"}", NULL, 0, 0 },
		{ "text", "k='x' and l => a", "{\"k\":\"x\",\"l\":0,\"a\":\"A\"}", "A", 0, 0 },
		{ "text", "k='x' => null | a", "{\"k\":\"x\",\"a\":\"A\"}", NULL, 0, 0 },
		{ "text", "k='true' => 'yes'", "{\"k\":true}", "yes", 0, 0 },
		{ "text", "k='a | b => c' => 'yes'", "{\"k\":\"a | b => c\"}", "yes", 0, 0 },
		{ "text", "x.y.z", "{\"x\":{\"y\":{\"z\":\"deep\"}}}", "deep", 0, 0 },
		{ "text", "x.y.z", "{\"x\":[{\"y\":1}]}", NULL, 0, 0 },
	};
	check(rows, COUNT_OF(rows));
}

/* Header values are any bytes; a text column takes UTF-8 without NUL. */
static void
test_envelope_text_is_made_storable(void **state UNUSED)
{
	static const struct {
		struct bytes delivery;
		const char *want;
	} rows[] = {
		{ { (const unsigned char *)"\xc3\xa9\xff|", 4 }, "\xc3\xa9" FFFD "|" },
		{ { (const unsigned char *)"a\0b", 3 }, "a" FFFD "b" },
		{ { (const unsigned char *)"\xe2\x82", 2 }, FFFD FFFD },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store_record record = helper_record(1, "x", "{}");
		record.event.delivery = rows[i].delivery;
		assert_string_equal(evaluate("text", "@delivery", record).text, rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_jsonb),
		cmocka_unit_test(test_text_arrays),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_beginnings),
		cmocka_unit_test(test_alternatives_and_conditions),
		cmocka_unit_test(test_envelope_text_is_made_storable),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
