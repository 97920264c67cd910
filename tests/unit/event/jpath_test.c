/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "event/jpath.h"

/* Walks a copy of json that ends with its block, so that the sanitizer sees any step past it. The
 * copy is kept in *copy, which the caller frees after the last look into *doc. */
static enum rc
walk(const struct jpath_set *set, struct bytes json, struct arena *a, unsigned char **copy,
	struct jpath_doc **doc, struct err *e)
{
	*copy = malloc(json.len == 0 ? 1 : json.len);
	if (json.len > 0)
		memcpy(*copy, json.data, json.len);
	return jpath_walk(set, (struct bytes){ *copy, json.len }, a, doc, e);
}

static size_t
add(struct jpath_set *set, const char *path)
{
	size_t slot = 0;
	struct err e = { 0 };
	if (jpath_add(set, path, &slot, &e) != RC_OK)
		fail_msg("path \"%s\": %s", path, e.text);
	return slot;
}

/* Appends what the paths gave: "raw raw ..." per path, "-" for absent, "|" between rows, ";"
 * between paths. */
static void
put_found(struct buf *out, const struct jpath_doc *doc, const size_t *slots, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_char(out, ';');
		for (size_t row = 0; row < jpath_rows(doc, slots[i]); row++) {
			struct jpath_value v = jpath_get(doc, slots[i], row);
			if (row > 0)
				buf_put_char(out, '|');
			if (v.type == JPATH_ABSENT)
				buf_put_char(out, '-');
			buf_put_bytes(out, v.raw);
		}
	}
}

#define PATHS_MAX 6

static void
test_find(void **state UNUSED)
{
	static const struct {
		const char *paths[PATHS_MAX];
		const char *json, *want;
	} cases[] = {
		{ { "a" }, "{\"a\":1}", "1" },
		{ { "a" }, " \t\r\n{ \"a\" :\n 1 } \n", "1" },
		{ { "a", "b", "c" }, "{\"c\":\"x\",\"a\":null}", "null;-;\"x\"" },
		{ { "a.b.c", "a.b", "a" }, "{\"a\":{\"b\":{\"c\":true}}}",
			"true;{\"c\":true};{\"b\":{\"c\":true}}" },
		{ { "a.b" }, "{\"b\":{\"b\":1},\"x\":{\"a\":{\"b\":2}}}", "-" },
		{ { "a.b" }, "{\"a\":5}", "-" },
		{ { "a.b" }, "{\"a\":[{\"b\":1}]}", "-" },
		{ { "" }, "[1, 2]", "[1, 2]" },
		{ { "" }, " 7 ", "7" },
		{ { "", "a" }, "\"a\"", "\"a\";-" },
		/* names near each other, in length and in bytes */
		{ { "a", "aa", "ab", "abcdefgh", "abcdefghi", "abcdefghijklmnopqrstuvwxyz" },
			"{\"ab\":1,\"aa\":2,\"a\":3,\"abcdefgh\":4,\"abcdefghi\":5,\"abcdefg\":6,"
			"\"abcdefghijklmnopqrstuvwxyz\":7,\"abcdefghijkXmnopqrstuvwxyz\":8,\"\":9}",
			"3;2;1;4;5;7" },
		{ { "\xc3\xa9", "a b", "\"\\", "0" },
			"{\"\xc3\xa9\":1,\"a b\":2,\"\\\"\\\\\":3,\"0\":4}", "1;2;3;4" },
		/* names with escapes are compared by what they mean */
		{ { "a/b", "\xc3\xa9", "\xf0\x9f\x98\x80", "tab\t", "ab" },
			"{\"\\u0061\\/"
			"b\":1,\"\\u00E9\":2,\"\\uD83d\\ude00\":3,\"tab\\t\":4,\"a\\u0062\":5}",
			"1;2;3;4;5" },
		{ { "a", "\xef\xbf\xbd" },
			"{\"a\\u0000\":1,\"\\ud800\":2,\"\\u0061\\ud800\":3,\"\\ufffd\":4}",
			"-;4" },
		{ { "a" }, "{\"\\u0061aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}", "-" },
		/* rows */
		{ { "a[].b", "a[].c", "a" }, "{\"a\":[{\"b\":1,\"c\":2},{\"c\":3},{},{\"b\":4}]}",
			"1|-|-|4;2|3|-|-;[{\"b\":1,\"c\":2},{\"c\":3},{},{\"b\":4}]" },
		{ { "a[]", "a[].b.c", "x" },
			"{\"a\":[1,{\"b\":{\"c\":[2]}},[{\"b\":3}],null],\"x\":1}",
			"1|{\"b\":{\"c\":[2]}}|[{\"b\":3}]|null;-|[2]|-|-;1" },
		{ { "a[].b" }, "{\"a\":[]}", "" },
		{ { "a[].b" }, "{\"a\":{\"b\":1}}", "" },
		{ { "a[].b", "a.b" }, "{\"a\":{\"b\":1}}", ";1" },
		{ { "a[].b" }, "{\"x\":[{\"b\":1}]}", "" },
		{ { "x.a[].b", "y[].b" }, "{\"y\":[{\"b\":1}],\"x\":{\"a\":[{\"b\":2},{\"b\":3}]}}",
			"2|3;1" },
		{ { "[]" }, "[1,\"a\",[],{}]", "1|\"a\"|[]|{}" },
		{ { "[].a", "" }, "[{\"a\":1},{\"b\":1}]", "1|-;[{\"a\":1},{\"b\":1}]" },
		{ { "[].a" }, "{\"a\":1}", "" },
		{ { "a[]" },
			"{\"a\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,"
			"25,26,"
			"27,28,29,30,31,32,33]}",
			"0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24"
			"|25|26|27|28|29|30|31|32|33" },
		/* the last one of a name counts, with all that is below it */
		{ { "a" }, "{\"a\":1,\"b\":2,\"a\":3}", "3" },
		{ { "a" }, "{\"a\":1,\"\\u0061\":3}", "3" },
		{ { "a.b", "a.c" }, "{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "-;2" },
		{ { "a.b", "a" }, "{\"a\":{\"b\":1},\"a\":null}", "-;null" },
		{ { "a.b" }, "{\"a\":{\"b\":1},\"x\":0,\"a\":7,\"a\":{\"b\":2},\"a\":{}}", "-" },
		{ { "a.b", "x" }, "{\"a\":{\"b\":1},\"x\":5,\"a\":{}}", "-;5" },
		{ { "a.b.c", "a.b.d" },
			"{\"a\":{\"b\":{\"c\":1},\"b\":{\"d\":2}},\"a\":{\"b\":{\"c\":3}}}",
			"3;-" },
		{ { "a[].b" }, "{\"a\":[{\"b\":1},{\"b\":2}],\"a\":[{\"b\":3}]}", "3" },
		{ { "a[].b" }, "{\"a\":[{\"b\":1},{\"b\":2}],\"a\":[]}", "" },
		{ { "a[].b", "a[]" }, "{\"a\":[{\"b\":1},{\"b\":2}],\"a\":null}", ";" },
		{ { "a[].b", "a.b" }, "{\"a\":{\"b\":1},\"a\":[{\"b\":2}]}", "2;-" },
		{ { "a[].b", "a.b" }, "{\"a\":[{\"b\":2}],\"a\":{\"b\":1}}", ";1" },
		{ { "x.a[].b", "x.y" }, "{\"x\":{\"a\":[{\"b\":1}],\"y\":2},\"x\":{}}", ";-" },
		{ { "x.a[].b" },
			"{\"x\":{\"a\":[{\"b\":1}],\"a\":[{\"b\":2},{}]},\"x\":{\"a\":[{\"b\":3}]}"
			"}",
			"3" },
		{ { "a[].b", "a[].c.d", "a[].c" },
			"{\"a\":[{\"b\":1,\"c\":{\"d\":1},\"b\":2,\"c\":3},{\"c\":4,\"c\":{\"d\":5}"
			"}]}",
			"2|-;-|5;3|{\"d\":5}" },
		{ { "a[].b", "a[].c", "x" },
			"{\"x\":1,\"x\":2,\"a\":[{\"b\":1,\"c\":2,\"b\":3,\"c\":4,\"b\":5},"
			"{\"c\":6,\"b\":7},{\"b\":8,\"c\":9,\"b\":10}],\"x\":3}",
			"5|7|10;4|6|9;3" },
		{ { "a[].b.c", "a[].d", "a" },
			"{\"a\":[{\"b\":{\"c\":1},\"d\":2,\"b\":0},{\"d\":3}]}",
			"-|-;2|3;[{\"b\":{\"c\":1},\"d\":2,\"b\":0},{\"d\":3}]" },
		/* the same name in different objects is no repetition */
		{ { "a[].b", "x.b", "y.b" },
			"{\"a\":[{\"b\":1},{\"b\":2}],\"x\":{\"b\":3},\"y\":{\"b\":4}}",
			"1|2;3;4" },
	};
	struct arena *a = arena_new(1024);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct jpath_set *set = jpath_set_new();
		size_t slots[PATHS_MAX], count = 0;
		for (; count < PATHS_MAX && cases[i].paths[count] != NULL; count++)
			slots[count] = add(set, cases[i].paths[count]);
		struct jpath_doc *doc = NULL;
		unsigned char *copy = NULL;
		struct err e = { 0 };
		if (walk(set, bytes_str(cases[i].json), a, &copy, &doc, &e) != RC_OK)
			fail_msg("%s: %s", cases[i].json, e.text);
		buf_clear(&out);
		put_found(&out, doc, slots, count);
		if (strcmp(buf_cstr(&out), cases[i].want) != 0)
			fail_msg("%s\ngave %s\nwant %s", cases[i].json, buf_cstr(&out),
				cases[i].want);
		free(copy);
		jpath_set_free(set);
		arena_reset(a);
	}
	buf_free(&out);
	arena_free(a);
}

static void
test_types(void **state UNUSED)
{
	static const struct {
		const char *json;
		enum jpath_type type;
	} cases[] = {
		{ "null", JPATH_NULL },
		{ "true", JPATH_TRUE },
		{ "false", JPATH_FALSE },
		{ "0", JPATH_NUMBER },
		{ "-1.5e+3", JPATH_NUMBER },
		{ "\"\"", JPATH_STRING },
		{ "{}", JPATH_OBJECT },
		{ "[]", JPATH_ARRAY },
		{ "{\"a\":[]}", JPATH_OBJECT },
	};
	struct arena *a = arena_new(1024);
	struct jpath_set *set = jpath_set_new();
	size_t slot = add(set, "");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct jpath_doc *doc;
		assert_int_equal(jpath_walk(set, bytes_str(cases[i].json), a, &doc, NULL), RC_OK);
		assert_int_equal(jpath_get(doc, slot, 0).type, cases[i].type);
		assert_true(bytes_is(jpath_get(doc, slot, 0).raw, cases[i].json));
	}
	jpath_set_free(set);
	arena_free(a);
}

static void
test_paths(void **state UNUSED)
{
	static const char *const wrong[] = { ".", "a.", ".a", "a..b", "a[", "a]", "a[0]", "a[]b",
		"a[].", "a[][]", "a[].b[]", "[][]", "[].", "a.[]", "[]a", "a[]]", "]" };
	struct jpath_set *set = jpath_set_new();
	struct err e = { 0 };
	size_t slot = 99;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		if (jpath_add(set, wrong[i], &slot, &e) != RC_INVALID)
			fail_msg("\"%s\" was accepted", wrong[i]);
		assert_string_equal(e.id, "event.path-invalid");
		assert_non_null(strstr(e.text, wrong[i]));
	}
	/* Nothing was left behind, and numbers count from 0 in the order of adding. */
	static const char *const right[] = { "a", "a.b", "", "a[]", "a[].b", "[]", "[].x",
		"a.b.c.d.e" };
	for (size_t i = 0; i < COUNT_OF(right); i++)
		assert_int_equal(add(set, right[i]), i);
	for (size_t i = 0; i < COUNT_OF(right); i++)
		assert_int_equal(add(set, right[i]), i);
	jpath_set_free(set);
	jpath_set_free(NULL);
}

/* Many paths at one place: every one is found, and only what was asked for. */
static void
test_many_paths(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	struct jpath_set *set = jpath_set_new();
	char path[32];
	for (int i = 0; i < 1000; i += 2) {
		snprintf(path, sizeof path, "o.name_%d.v", i);
		assert_int_equal(add(set, path), i / 2);
	}
	buf_put_str(&json, "{\"o\":{");
	for (int i = 0; i < 1000; i++)
		buf_printf(&json, "%s\"name_%d\":{\"v\":%d}", i > 0 ? "," : "", i, i);
	buf_put_str(&json, "}}");
	struct jpath_doc *doc;
	assert_int_equal(jpath_walk(set, buf_bytes(&json), a, &doc, NULL), RC_OK);
	for (size_t i = 0; i < 500; i++) {
		int64_t v = -1;
		assert_true(jpath_int64(jpath_get(doc, i, 0), &v));
		assert_int_equal(v, 2 * i);
	}
	jpath_set_free(set);
	buf_free(&json);
	arena_free(a);
}

static void
test_refused(void **state UNUSED)
{
	static const struct {
		const char *json;
		const char *at; /* byte the message names */
	} cases[] = {
		{ "", "0" },
		{ "  ", "2" },
		{ "\xef\xbb\xbf{}", "0" },
		{ "{}{}", "2" },
		{ "1 2", "2" },
		{ "{", "1" },
		{ "[", "1" },
		{ "[1", "2" },
		{ "[1,]", "3" },
		{ "[,1]", "1" },
		{ "[1 2]", "3" },
		{ "{\"a\":1,}", "7" },
		{ "{\"a\"}", "4" },
		{ "{\"a\":}", "5" },
		{ "{a:1}", "1" },
		{ "{1:1}", "1" },
		{ "{\"a\" 1}", "5" },
		{ "{\"a\":1 \"b\":2}", "7" },
		{ "]", "0" },
		{ "[}", "1" },
		{ "{]", "1" },
		{ "[1}", "2" },
		{ "{\"a\":1]", "6" },
		{ "{,}", "1" },
		{ "tru", "0" },
		{ "nul", "0" },
		{ "True", "0" },
		{ "truex", "4" },
		{ "NaN", "0" },
		{ "Infinity", "0" },
		{ "01", "0" },
		{ "-01", "1" },
		{ "-", "1" },
		{ "+1", "0" },
		{ ".5", "0" },
		{ "1.", "2" },
		{ "1.e1", "2" },
		{ "1e", "2" },
		{ "1e+", "3" },
		{ "1.5e-", "5" },
		{ "0x10", "1" },
		{ "--1", "1" },
		{ "'a'", "0" },
		{ "\"a", "2" },
		{ "\"a\nb\"", "2" },
		{ "\"a\tb\"", "2" },
		{ "\"\x1f\"", "1" },
		{ "\"\\x\"", "1" },
		{ "\"\\", "1" },
		{ "\"\\u12\"", "1" },
		{ "\"\\u12g4\"", "1" },
		{ "\"\\u", "1" },
		{ "\"\\uD83D\\uDE0\"", "7" },
		{ "\"0123456789abcdef0123456789\x01\"", "27" },
		/* UTF-8: stray and missing continuations, overlong forms, surrogates, past U+10FFFF
		 */
		{ "\"\x80\"", "1" },
		{ "\"\xc3\"", "1" },
		{ "\"\xc0\xaf\"", "1" },
		{ "\"\xc1\xbf\"", "1" },
		{ "\"\xe0\x9f\xbf\"", "1" },
		{ "\"\xed\xa0\x80\"", "1" },
		{ "\"\xe2\x82\"", "1" },
		{ "\"\xf0\x8f\xbf\xbf\"", "1" },
		{ "\"\xf4\x90\x80\x80\"", "1" },
		{ "\"\xf5\x80\x80\x80\"", "1" },
		{ "\"\xc3\xa9\xff\"", "3" },
		{ "\"\xf0\x9f\x98", "1" },
		{ "{\"\xff\":1}", "2" },
		{ "[1]\xc3\xa9", "3" },
		{ "[\xc2\xa0]", "1" },
		{ "[1,\x0b"
		  "2]",
			"3" },
		{ "[1]\f", "3" },
		{ "/* */1", "0" },
	};
	struct arena *a = arena_new(1024);
	struct jpath_set *set = jpath_set_new();
	add(set, "a");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct jpath_doc *doc = NULL;
		unsigned char *copy = NULL;
		char at[64];
		struct err e = { 0 };
		snprintf(at, sizeof at, " at byte %s", cases[i].at);
		if (walk(set, bytes_str(cases[i].json), a, &copy, &doc, &e) != RC_INVALID)
			fail_msg("accepted: %s", cases[i].json);
		const char *found = strstr(e.text, " at byte ");
		if (found == NULL || strcmp(found, at) != 0)
			fail_msg("%s: \"%s\", expected it%s", cases[i].json, e.text, at);
		assert_string_equal(e.id, "event.json-invalid");
		free(copy);
	}
	/* A NUL is no white space, and no end either. */
	struct jpath_doc *doc;
	static const unsigned char nul[] = "[1]\0";
	assert_int_equal(jpath_walk(set, (struct bytes){ nul, 4 }, a, &doc, NULL), RC_INVALID);
	jpath_set_free(set);
	arena_free(a);
}

/* Strings whose end, escape or wide character falls on each place of a block of bytes. */
static void
test_string_borders(void **state UNUSED)
{
	static const char *const middles[] = { "", "\\n", "\xc3\xa9", "\xf0\x9f\x98\x80\xc3\xa9",
		"\\\"", "\\u00e9" };
	struct arena *a = arena_new(1024);
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	struct jpath_set *set = jpath_set_new();
	size_t slot = add(set, "k");
	for (size_t before = 0; before < 40; before++) {
		for (size_t after = 0; after < 40; after++) {
			for (size_t m = 0; m < COUNT_OF(middles); m++) {
				buf_clear(&json);
				buf_put_str(&json, "{\"k\":\"");
				for (size_t i = 0; i < before; i++)
					buf_put_char(&json, (char)('a' + i % 26));
				buf_put_str(&json, middles[m]);
				for (size_t i = 0; i < after; i++)
					buf_put_char(&json, '~');
				buf_put_str(&json, "\"}");
				struct jpath_doc *doc = NULL;
				unsigned char *copy = NULL;
				struct bytes want = { json.data + 5, json.len - 6 };
				assert_int_equal(
					walk(set, buf_bytes(&json), a, &copy, &doc, NULL), RC_OK);
				assert_true(bytes_equal(jpath_get(doc, slot, 0).raw, want));
				free(copy);
				/* Cut short anywhere, it is refused. */
				for (size_t cut = 1; m == 3 && before < 17 && cut < json.len;
					cut++) {
					struct bytes part = { json.data, json.len - cut };
					assert_int_equal(
						walk(set, part, a, &copy, &doc, NULL), RC_INVALID);
					free(copy);
				}
				arena_reset(a);
			}
		}
	}
	buf_free(&json);
	jpath_set_free(set);
	arena_free(a);
}

static void
put_nested(struct buf *out, size_t depth, const char *open, const char *close)
{
	buf_clear(out);
	for (size_t i = 0; i < depth; i++)
		buf_put_str(out, open);
	buf_put_str(out, "1");
	for (size_t i = 0; i < depth; i++)
		buf_put_str(out, close);
}

static void
test_depth(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	struct err e = { 0 };
	size_t slot = add(set, "a.a.a.a");
	put_nested(&json, LIMIT_JSON_DEPTH, "[", "]");
	assert_int_equal(jpath_walk(set, buf_bytes(&json), a, &doc, &e), RC_OK);
	put_nested(&json, LIMIT_JSON_DEPTH, "{\"a\":", "}");
	assert_int_equal(jpath_walk(set, buf_bytes(&json), a, &doc, &e), RC_OK);
	assert_int_equal(jpath_get(doc, slot, 0).raw.len, 1 + 6 * (LIMIT_JSON_DEPTH - 4));
	put_nested(&json, LIMIT_JSON_DEPTH + 1, "[", "]");
	assert_int_equal(jpath_walk(set, buf_bytes(&json), a, &doc, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "nested too deeply at byte 512"));
	put_nested(&json, 1000000, "[", "");
	assert_int_equal(jpath_walk(set, buf_bytes(&json), a, &doc, &e), RC_INVALID);
	buf_free(&json);
	jpath_set_free(set);
	arena_free(a);
}

/* What an attacker can make a document cost stays in proportion to its size. */
static void
test_memory(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	char path[32];
	size_t slot = 0;
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof path, "a[].column_%d", i);
		slot = add(set, path);
	}
	/* 200 paths times 100,000 rows that have none of them */
	buf_put_str(&json, "{\"a\":[0");
	for (int i = 1; i < 100000; i++)
		buf_put_str(&json, ",0");
	buf_put_str(&json, "]}");
	assert_int_equal(jpath_walk(set, buf_bytes(&json), a, &doc, NULL), RC_OK);
	assert_int_equal(jpath_rows(doc, slot), 100000);
	assert_int_equal(jpath_get(doc, slot, 99999).type, JPATH_ABSENT);
	assert_true(arena_used_bytes(a) < 8 * json.len);
	/* the same member again and again */
	arena_reset(a);
	buf_clear(&json);
	buf_put_str(&json, "{\"a\":[]");
	for (int i = 0; i < 50000; i++)
		buf_put_str(&json, ",\"a\":[{\"column_7\":1}]");
	buf_put_str(&json, "}");
	assert_int_equal(jpath_walk(set, buf_bytes(&json), a, &doc, NULL), RC_OK);
	assert_int_equal(jpath_rows(doc, slot), 1);
	assert_int_equal(jpath_get(doc, 7, 0).type, JPATH_NUMBER);
	assert_true(arena_used_bytes(a) < 8 * json.len);
	buf_free(&json);
	jpath_set_free(set);
	arena_free(a);
}

/* A set without any path only checks. */
static void
test_no_paths(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	assert_int_equal(
		jpath_walk(set, bytes_str("{\"a\":[1,{\"b\":null}]}"), a, &doc, NULL), RC_OK);
	assert_int_equal(
		jpath_walk(set, bytes_str("{\"a\":[1,{\"b\":nul}]}"), a, &doc, NULL), RC_INVALID);
	jpath_set_free(set);
	arena_free(a);
}

/* Whatever came before it through the same walker, a document gives what it gives alone. */
static void
test_walker(void **state UNUSED)
{
	static const char *const paths[] = { "", "a", "a.b", "rows[]", "rows[].x", "other[].x" };
	static const char *const documents[] = {
		"{\"a\":{\"b\":1},\"rows\":[{\"x\":1},{\"x\":2},3]}",
		"{}",
		"{\"a\":1,\"a\":{\"b\":2},\"rows\":[{\"x\":1,\"x\":[]}],\"rows\":[{}]}",
		"{\"rows\":[{\"x\":1},{\"x\":2}],\"other\":[{\"x\":3}],\"a\":",
		"{\"rows\":[{\"x\":1},{\"x\":2}],\"rows\":7,\"other\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]}",
		"{\"other\":[{\"x\":1},{\"x\":{}",
		"[{\"a\":1}]",
		"",
	};
	struct arena *a = arena_new(1024);
	struct jpath_set *set = jpath_set_new();
	size_t slots[COUNT_OF(paths)];
	for (size_t i = 0; i < COUNT_OF(paths); i++)
		slots[i] = add(set, paths[i]);
	struct jpath_walker *walker = jpath_walker_new(set);
	struct buf alone = buf_new(LIMIT_TEXT_BYTES), together = buf_new(LIMIT_TEXT_BYTES);
	uint64_t random = 1;
	for (int round = 0; round < 20000; round++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		struct bytes json = bytes_str(documents[(random >> 33) % COUNT_OF(documents)]);
		struct jpath_doc *one = NULL;
		const struct jpath_doc *other = NULL;
		struct err e = { 0 }, again = { 0 };
		arena_reset(a);
		enum rc rc = jpath_walk(set, json, a, &one, &e);
		assert_int_equal(jpath_walker_walk(walker, json, &other, &again), rc);
		assert_string_equal(e.text, again.text);
		if (rc != RC_OK)
			continue;
		buf_clear(&alone);
		buf_clear(&together);
		put_found(&alone, one, slots, COUNT_OF(slots));
		put_found(&together, other, slots, COUNT_OF(slots));
		assert_string_equal(buf_cstr(&alone), buf_cstr(&together));
		for (size_t i = 0; i < COUNT_OF(slots); i++) {
			for (size_t row = 0; row < jpath_rows(other, slots[i]); row++)
				assert_true(jpath_has(other, slots[i]) ||
					jpath_get(other, slots[i], row).type == JPATH_ABSENT);
		}
	}
	buf_free(&alone);
	buf_free(&together);
	jpath_walker_free(walker);
	jpath_set_free(set);
	arena_free(a);
}

/* A document of another order of size leaves nothing behind. */
static void
test_walker_memory(void **state UNUSED)
{
	struct jpath_set *set = jpath_set_new();
	size_t slot = add(set, "a[]");
	struct jpath_walker *walker = jpath_walker_new(set);
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	const struct jpath_doc *doc;
	struct err e = { 0 };
	for (int round = 0; round < 3; round++) {
		buf_clear(&json);
		buf_put_str(&json, "{\"a\":[0");
		for (int i = 1; i < 400000; i++)
			buf_put_str(&json, ",0");
		buf_put_str(&json, "]}");
		assert_int_equal(jpath_walker_walk(walker, buf_bytes(&json), &doc, &e), RC_OK);
		assert_int_equal(jpath_rows(doc, slot), 400000);
		assert_int_equal(jpath_walker_walk(walker, bytes_str("{\"a\":[7]}"), &doc, &e), RC_OK);
		assert_int_equal(jpath_rows(doc, slot), 1);
		assert_int_equal(jpath_get(doc, slot, 0).raw.len, 1);
	}
	buf_free(&json);
	jpath_walker_free(walker);
	jpath_set_free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_many_paths),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_string_borders),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_no_paths),
		cmocka_unit_test(test_walker),
		cmocka_unit_test(test_walker_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
