/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/row_hash.h"
#include "projector/state.h"
#include "tests/unit/projector/helper.h"

/* What PostgreSQL's jsonb gives back for what was sent must have the same hash, and another value another one. The right sides
 * of the first table are what `select '...'::jsonb` of PostgreSQL 15 prints. tests/it/project_json.test.mjs does it with 10,000 more. */

static uint64_t
hash(const char *json)
{
	return row_hash_json(bytes_str(json));
}

static void
test_same_value(void **state UNUSED)
{
	static const char *const same[][2] = {
		{ "{\"b\":1,\"a\":[true,null]}", "{\"a\": [true, null], \"b\": 1}" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\": 3, \"b\": 2}" },
		{ "{\"\\u0061\":1,\"a\":2}", "{\"a\": 2}" },
		{ " [ ] ", "[]" },
		{ "{ }", "{}" },
		{ "[1e2,1E+2,100]", "[100, 100, 100]" },
		{ "[1.50,150e-2]", "[1.50, 1.50]" },
		{ "[-0,-0.0,0e5,0]", "[0, 0.0, 0, 0]" },
		{ "1e-5", "0.00001" },
		{ "12300e-4", "1.2300" },
		{ "\"\\u00e9\\/\\ud83d\\ude00\\n\\u0001\"", "\"\xc3\xa9/\xf0\x9f\x98\x80\\n\\u0001\"" },
		{ "\"a\\\"b\\\\\"", "\"a\\\"b\\\\\"" },
	};
	for (size_t i = 0; i < COUNT_OF(same); i++) {
		if (hash(same[i][0]) != hash(same[i][1]))
			fail_msg("%s and %s", same[i][0], same[i][1]);
	}
}

static void
test_other_value(void **state UNUSED)
{
	static const char *const all[] = { "null", "true", "false", "0", "1", "-1", "10", "100", "1.1", "101", "1001", "0.1", "0.01", "11", "\"\"",
		"\"0\"", "\"null\"", "\"a\"", "\"a\\\"\"", "[]", "{}", "[[]]", "[{}]", "[[],[]]", "[null]", "[0]", "[1,2]", "[2,1]", "[12]",
		"[[1],2]", "[1,[2]]", "[\"a\",\"b\"]", "{\"a\":null}", "{\"a\":1}", "{\"a\":2}", "{\"b\":1}", "{\"a\":1,\"b\":2}",
		"{\"a\":2,\"b\":1}", "{\"a\":{\"b\":1}}", "{\"a\":\"b\"}", "[\"a\",1]", "{\"a\":[1]}" };
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		for (size_t k = 0; k < i; k++) {
			if (hash(all[i]) == hash(all[k]))
				fail_msg("%s and %s", all[i], all[k]);
		}
	}
}

/* PostgreSQL refuses such a number, but only after we have hashed the row that holds it. */
static void
test_exponent_beyond_all_bounds(void **state UNUSED)
{
	assert_true(hash("[1e99999999999999999999,2]") != hash("[1e-99999999999999999999,2]"));
	assert_true(hash("[1e99999999999999999999,2]") != hash("[1e99999999999999999999,3]"));
}

/* A row of a bigint, a jsonb (NULL: null) and a text. */
static uint64_t
hash_of_row(const struct definition *d, int64_t id, const char *json, const char *text)
{
	struct buf row = buf_new(4096);
	buf_put_be32(&row, 8);
	buf_put_be64(&row, (uint64_t)id);
	buf_put_be32(&row, json == NULL ? UINT32_MAX : (uint32_t)strlen(json) + 1);
	if (json != NULL) {
		buf_put_char(&row, 1);
		buf_put_str(&row, json);
	}
	buf_put_be32(&row, (uint32_t)strlen(text));
	buf_put_str(&row, text);
	uint64_t h = row_hash(d, buf_bytes(&row));
	buf_free(&row);
	return h;
}

static void
test_row(void **state UNUSED)
{
	struct column columns[] = { { .name = "id", .type = COLUMN_INT8, .key = true }, { .name = "j", .type = COLUMN_JSONB },
		{ .name = "t", .type = COLUMN_TEXT } };
	const struct definition d = { .columns = columns, .column_count = COUNT_OF(columns), .has_jsonb = true };
	uint64_t h = hash_of_row(&d, 1, "{\"a\":1}", "x");
	assert_true(h == hash_of_row(&d, 1, "{ \"a\": 1 }", "x"));
	assert_true(h != hash_of_row(&d, 2, "{\"a\":1}", "x"));
	assert_true(h != hash_of_row(&d, 1, "{\"a\":2}", "x"));
	assert_true(h != hash_of_row(&d, 1, "{\"a\":1}", "y"));
	assert_true(h != hash_of_row(&d, 1, NULL, "x"));
	assert_true(hash_of_row(&d, 1, NULL, "x") != hash_of_row(&d, 1, "null", "x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_value),
		cmocka_unit_test(test_other_value),
		cmocka_unit_test(test_exponent_beyond_all_bounds),
		cmocka_unit_test(test_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
