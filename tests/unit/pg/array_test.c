/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pg/pg.h"

/* The layout of array_recv: dimensions, null flag, element type, count, lower bound, then each element
 * with its length in front. */

static struct bytes
finish(struct pg_array *array)
{
	struct pg_param param;
	struct err e;
	assert_int_equal(pg_array_param(array, &param, &e), RC_OK);
	assert_int_equal(param.type, array->type);
	return param.data;
}

static void
assert_bytes(struct bytes got, const void *want, size_t len)
{
	assert_int_equal(got.len, len);
	assert_memory_equal(got.data, want, len);
}

static void
test_int8(void **state UNUSED)
{
	struct pg_array a;
	pg_array_start(&a, PG_INT8_ARRAY, 4096);
	pg_array_int8(&a, 258);
	pg_array_null(&a);
	pg_array_int8(&a, -1);
	static const unsigned char want[] = {
		0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 1, /* header */
		0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2,                          /* 258 */
		0xff, 0xff, 0xff, 0xff,                                      /* null */
		0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  /* -1 */
	};
	assert_bytes(finish(&a), want, sizeof want);
	pg_array_free(&a);
}

static void
test_bool_and_text(void **state UNUSED)
{
	struct pg_array a;
	pg_array_start(&a, PG_BOOL_ARRAY, 4096);
	pg_array_bool(&a, true);
	pg_array_bool(&a, false);
	static const unsigned char bools[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 2, 0, 0, 0, 1,
		0, 0, 0, 1, 1, 0, 0, 0, 1, 0 };
	assert_bytes(finish(&a), bools, sizeof bools);
	pg_array_free(&a);

	pg_array_start(&a, PG_TEXT_ARRAY, 4096);
	pg_array_text(&a, bytes_str("\xc3\xa9"));
	pg_array_text(&a, (struct bytes){ NULL, 0 }); /* empty, not null */
	static const unsigned char texts[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1,
		0, 0, 0, 2, 0xc3, 0xa9, 0, 0, 0, 0 };
	assert_bytes(finish(&a), texts, sizeof texts);
	pg_array_free(&a);
}

static int64_t
element(struct bytes array, size_t index)
{
	const unsigned char *p = array.data + 20 + index * 12 + 4;
	uint64_t v = 0;
	for (size_t i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

static void
test_timestamps_count_from_2000(void **state UNUSED)
{
	struct pg_array a;
	pg_array_start(&a, PG_TIMESTAMPTZ_ARRAY, 4096);
	pg_array_timestamptz(&a, INT64_C(946684800000000)); /* 2000-01-01 */
	pg_array_timestamptz(&a, 0);
	pg_array_timestamptz(&a, INT64_MIN); /* -infinity is the smallest number there, too */
	struct bytes got = finish(&a);
	assert_int_equal(a.has_null, false);
	assert_true(element(got, 0) == 0);
	assert_true(element(got, 1) == INT64_C(-946684800000000));
	assert_true(element(got, 2) == INT64_MIN);
	pg_array_free(&a);
}

/* PostgreSQL begins at 4714-11-24 BC; its end lies behind what 64 bits since 1970 reach. */
static void
test_timestamps_out_of_range_are_null(void **state UNUSED)
{
	static const struct {
		int64_t us;
		bool null;
	} rows[] = {
		{ INT64_MIN + 1, true },
		{ INT64_C(-210866803200000000) - 1, true },
		{ INT64_C(-210866803200000000), false },
		{ INT64_C(253402300799999999), false },
		{ INT64_MAX, true },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pg_array a;
		pg_array_start(&a, PG_TIMESTAMPTZ_ARRAY, 4096);
		pg_array_timestamptz(&a, rows[i].us);
		if (a.has_null != rows[i].null)
			fail_msg("%" PRId64 " is %snull", rows[i].us, a.has_null ? "" : "not ");
		pg_array_free(&a);
	}
}

static void
test_too_long_is_refused(void **state UNUSED)
{
	struct pg_array a;
	struct pg_param param;
	struct err e;
	pg_array_start(&a, PG_TEXT_ARRAY, 64);
	pg_array_text(&a, bytes_str("0123456789012345678901234567890123456789012345678901234567890"));
	assert_int_equal(pg_array_param(&a, &param, &e), RC_INVALID);
	pg_array_free(&a);
}

static void
test_single_parameters(void **state UNUSED)
{
	unsigned char eight[8], four[4];
	struct pg_param p = pg_param_int8(-2, eight);
	assert_int_equal(p.type, PG_INT8);
	assert_bytes(p.data, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
	p = pg_param_int4(0x01020304, four);
	assert_int_equal(p.type, PG_INT4);
	assert_bytes(p.data, "\1\2\3\4", 4);
	p = pg_param_text("");
	assert_non_null(p.data.data); /* NULL would be SQL null */
	assert_int_equal(p.data.len, 0);
}

static void
test_identifiers_are_quoted(void **state UNUSED)
{
	struct buf out = buf_new(256);
	pg_put_identifier(&out, "a\"; drop table x --");
	assert_string_equal(buf_cstr(&out), "\"a\"\"; drop table x --\"");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_int8),
		cmocka_unit_test(test_bool_and_text),
		cmocka_unit_test(test_timestamps_count_from_2000),
		cmocka_unit_test(test_timestamps_out_of_range_are_null),
		cmocka_unit_test(test_too_long_is_refused),
		cmocka_unit_test(test_single_parameters),
		cmocka_unit_test(test_identifiers_are_quoted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
