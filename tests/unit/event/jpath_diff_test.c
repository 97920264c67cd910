/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/limits.h"
#include "event/jpath.h"

/* The path extractor against jansson: both must accept the same documents and find the same values.
 * Where they differ on purpose is written down in excused(). */

static const char *const paths[] = { "", "a", "b", "a.b", "a.b.c", "c[]", "c[].a", "c[].b.a", "c",
	"a.c[].b", "a.c[]", "[].a", "\xc3\xa9", "long name that fills a block" };

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

struct both {
	struct jpath_set *set;
	size_t slots[COUNT_OF(paths)];
	struct arena *arena;
	size_t accepted, refused, excused, values;
};

static void
both_open(struct both *t)
{
	*t = (struct both){ .set = jpath_set_new(), .arena = arena_new(4096) };
	for (size_t i = 0; i < COUNT_OF(paths); i++)
		assert_int_equal(jpath_add(t->set, paths[i], &t->slots[i], NULL), RC_OK);
}

static void
both_close(struct both *t)
{
	jpath_set_free(t->set);
	arena_free(t->arena);
}

/* jansson has a NUL where jpath_text puts U+FFFD. */
static void
assert_text(struct both *t, struct jpath_value v, const json_t *want)
{
	bool altered;
	struct bytes got = jpath_text(v, t->arena, &altered);
	const char *text = json_string_value(want);
	struct buf b = buf_new(LIMIT_TEXT_BYTES);
	bool nul = false;
	for (size_t i = 0; i < json_string_length(want); i++) {
		if (text[i] != '\0')
			buf_put_char(&b, text[i]);
		else
			buf_put_str(&b, "\xef\xbf\xbd");
		nul = nul || text[i] == '\0';
	}
	assert_true(bytes_equal(got, buf_bytes(&b)));
	assert_int_equal(altered, nul);
	buf_free(&b);
}

static void
assert_value(struct both *t, struct jpath_value v, const json_t *want)
{
	if (want == NULL) {
		assert_int_equal(v.type, JPATH_ABSENT);
		return;
	}
	t->values++;
	int64_t n = 0;
	char *raw = arena_string(t->arena, v.raw);
	switch (json_typeof(want)) {
	case JSON_NULL:
		assert_int_equal(v.type, JPATH_NULL);
		return;
	case JSON_TRUE:
		assert_int_equal(v.type, JPATH_TRUE);
		return;
	case JSON_FALSE:
		assert_int_equal(v.type, JPATH_FALSE);
		return;
	case JSON_INTEGER:
		assert_true(jpath_int64(v, &n));
		assert_true(n == json_integer_value(want));
		return;
	case JSON_REAL:
		assert_int_equal(v.type, JPATH_NUMBER);
		assert_true(!(strtod(raw, NULL) < json_real_value(want)));
		assert_true(!(strtod(raw, NULL) > json_real_value(want)));
		if (jpath_int64(v, &n))
			assert_true(!((double)n < json_real_value(want)) &&
				    !((double)n > json_real_value(want)));
		return;
	case JSON_STRING:
		assert_int_equal(v.type, JPATH_STRING);
		assert_text(t, v, want);
		return;
	case JSON_OBJECT:
	case JSON_ARRAY:
		assert_int_equal(v.type, json_is_object(want) ? JPATH_OBJECT : JPATH_ARRAY);
		json_t *again = json_loadb((const char *)v.raw.data, v.raw.len, FLAGS, NULL);
		assert_non_null(again);
		assert_true(json_equal(again, want));
		json_decref(again);
	}
}

/* What the members of path (up to its end or to "[]") lead to, or NULL. *rest is what follows. */
static const json_t *
resolve(const json_t *from, const char *path, const char **rest)
{
	while (*path != '\0' && *path != '[') {
		char name[64];
		size_t len = strcspn(path, ".[");
		snprintf(name, sizeof name, "%.*s", (int)len, path);
		from = json_is_object(from) ? json_object_get(from, name) : NULL;
		path += len;
		if (*path == '.')
			path++;
	}
	*rest = path;
	return from;
}

static void
compare(struct both *t, const struct jpath_doc *doc, const json_t *tree)
{
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		const char *rest;
		const json_t *at = resolve(tree, paths[i], &rest);
		size_t rows = jpath_rows(doc, t->slots[i]);
		if (*rest == '\0') {
			assert_int_equal(rows, 1);
			assert_value(t, jpath_get(doc, t->slots[i], 0), at);
			continue;
		}
		assert_int_equal(rows, json_array_size(at)); /* 0 when it is no array */
		const char *below = rest + (rest[2] == '.' ? 3 : 2);
		for (size_t row = 0; row < rows; row++)
			assert_value(t, jpath_get(doc, t->slots[i], row),
				resolve(json_array_get(at, row), below, &rest));
	}
}

/* Documents that jansson refuses by its own choice although they are JSON: numbers no double can
 * hold, lone surrogates, NUL in names. */
static bool
excused(const json_error_t *error, const char *json)
{
	switch (json_error_code(error)) {
	case json_error_numeric_overflow:
	case json_error_null_byte_in_key:
		return true;
	default:
		return strncmp(error->text, "invalid Unicode", 15) == 0 &&
		       strcasestr(json, "\\ud") != NULL;
	}
}

/* Documents that jansson accepts although they are none, or are none to us: it allows a nesting of
 * 2048, and (2.14) swallows a raw NUL behind a word or a number. */
static bool
forgiven(const struct err *e, struct bytes json)
{
	size_t at = strtoul(strrchr(e->text, ' '), NULL, 10); /* "... at byte N" */
	return strstr(e->text, "nested too deeply") != NULL ||
	       (at < json.len && json.data[at] == '\0');
}

static void
check(struct both *t, struct bytes json)
{
	char *text = malloc(json.len + 1); /* NUL-terminated only for messages */
	memcpy(text, json.data, json.len);
	text[json.len] = '\0';
	/* A block that ends with the document, so that the sanitizer sees any step past it. */
	unsigned char *copy = malloc(json.len == 0 ? 1 : json.len);
	memcpy(copy, text, json.len);
	struct jpath_doc *doc = NULL;
	struct err e = { 0 };
	json_error_t error;
	enum rc rc = jpath_walk(t->set, (struct bytes){ copy, json.len }, t->arena, &doc, &e);
	json_t *tree = json_loadb(text, json.len, FLAGS, &error);
	if (rc == RC_OK && tree != NULL) {
		t->accepted++;
		compare(t, doc, tree);
	} else if (rc == RC_OK) {
		if (!excused(&error, text))
			fail_msg("only jansson refuses (%s): %s", error.text, text);
		t->excused++;
	} else if (tree != NULL) {
		if (!forgiven(&e, json))
			fail_msg("only we refuse (%s): %s", e.text, text);
		t->excused++;
	} else {
		t->refused++;
	}
	json_decref(tree);
	free(copy);
	free(text);
	arena_reset(t->arena);
}

static const char *const documents[] = {
	"{}",
	"[]",
	"\"\"",
	"0",
	"-0",
	"null",
	" true ",
	"false",
	"{\"a\":1,\"a\":2}",
	"{\"a\":{\"b\":1},\"a\":{\"b\":{\"c\":[]}}}",
	"{\"a\":{\"b\":1},\"a\":[]}",
	"{\"c\":[{\"a\":1},{\"a\":2}],\"c\":[{\"b\":{\"a\":3}}]}",
	"{\"c\":[1,2,3],\"c\":{}}",
	"{\"a\":{\"c\":[{\"b\":1,\"b\":2}],\"b\":7},\"b\":null,\"a\":{\"c\":[]}}",
	"[{\"a\":1},[],{\"a\":{\"a\":2},\"b\":3}]",
	"{\"\\u0061\":\"\\u0062\",\"\\u00e9\":\"\\u00E9\",\"\xc3\xa9\":\"\xc3\xa9\"}",
	"{\"a\":\"\\ud83d\\ude00\",\"b\":\"\\ud83d\",\"c\":[\"\\ude00\\ud83d\"]}",
	"{\"a\":\"x\\u0000y\",\"b\\u0000\":1}",
	"{\"a\":1e999,\"b\":-1e-999}",
	"{\"a\":9223372036854775807,\"b\":-9223372036854775808}",
	"{\"a\":9223372036854775808}",
	"{\"a\":1.0,\"b\":1e3,\"c\":[0.1,1E+2,-2.5e-1,100e-2]}",
	"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"b\":\"\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"}",
	"{\"long name that fills a block\":\"more than one block of bytes \xe2\x82\xac\"}",
	"\t{ \"a\" : { \"b\" : { \"c\" : [ { } , [ ] , null ] } } }\r\n",
	"{\"a\":\"\xed\xa0\x80\"}",
	"{\"a\":\"\xc0\x80\"}",
	"{\"a\":\"\xf4\x90\x80\x80\"}",
	"{\"a\":01}",
	"{\"a\":1,}",
	"[1,]",
	"{\"a\" 1}",
	"nul",
	"\"\x01\"",
	"{\"a\":\"\t\"}",
	"1 1",
	"",
	"[",
	"\xef\xbb\xbf{}",
};

static void
test_documents(void **state UNUSED)
{
	struct both t;
	both_open(&t);
	for (size_t i = 0; i < COUNT_OF(documents); i++)
		check(&t, bytes_str(documents[i]));
	struct buf deep = buf_new(LIMIT_TEXT_BYTES);
	for (size_t depth = LIMIT_JSON_DEPTH - 1; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
		buf_clear(&deep);
		for (size_t i = 0; i < depth; i++)
			buf_put_str(&deep, "[");
		for (size_t i = 0; i < depth; i++)
			buf_put_str(&deep, "]");
		check(&t, buf_bytes(&deep));
	}
	buf_free(&deep);
	/* lone surrogates, NUL in a name, 1e999, 2^63, and the depth */
	assert_int_equal(t.excused, 5);
	assert_int_equal(t.refused, 14);
	assert_int_equal(t.accepted, COUNT_OF(documents) + 3 - t.excused - t.refused);
	both_close(&t);
}

static uint32_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

static const char *const names[] = { "a", "b", "c", "a", "b", "c", "\\u0061", "\xc3\xa9", "\\u00e9",
	"x", "", "long name that fills a block", "long name that fills a Block" };
static const char *const scalars[] = { "0", "-1", "12345678901234567", "1.5", "1e3", "-0.0", "true",
	"false", "null", "\"\"", "\"text\"", "\"\xe2\x82\xac uro\"", "\"\\ud83d\\ude00\"",
	"\"\\u0000\"", "\"\\n\\\"\"", "\"0123456789abcdef0123456789abcdef\"", "[]", "{}", "[{}]" };

/* Appends a random document by an explicit stack; wanted names are frequent, so are repeated ones.
 */
static void
put_random(struct buf *out, uint64_t *random)
{
	char closers[8];
	size_t depth = 0, values = 0;
	bool first = true;
	do {
		if (depth > 0 && (next_random(random) % 6 == 0 || values > 60)) {
			buf_put_char(out, closers[--depth]);
			first = false;
			continue;
		}
		if (depth > 0 && !first)
			buf_put_char(out, ',');
		if (next_random(random) % 8 == 0)
			buf_put_char(out, " \n\t\r"[next_random(random) % 4]);
		if (depth > 0 && closers[depth - 1] == '}')
			buf_printf(out, "\"%s\":", names[next_random(random) % COUNT_OF(names)]);
		values++;
		if (depth < sizeof closers && (depth == 0 || next_random(random) % 3 != 0)) {
			bool object = next_random(random) % 3 != 0;
			buf_put_char(out, object ? '{' : '[');
			closers[depth++] = object ? '}' : ']';
			first = true;
			continue;
		}
		/* now and then what jansson refuses */
		buf_put_str(out, next_random(random) % 100 == 0
					 ? "1e400"
					 : scalars[next_random(random) % COUNT_OF(scalars)]);
		first = false;
	} while (depth > 0);
}

static void
test_random(void **state UNUSED)
{
	struct both t;
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	uint64_t random = 1;
	both_open(&t);
	for (int i = 0; i < 20000; i++) {
		buf_clear(&json);
		put_random(&json, &random);
		check(&t, buf_bytes(&json));
	}
	assert_int_equal(t.refused, 0);
	assert_true(t.accepted > 10000);
	assert_true(t.excused > 100);
	assert_true(t.values > 20000);
	buf_free(&json);
	both_close(&t);
}

static void
mutate(struct buf *json, uint64_t *random)
{
	static const char bytes[] = "{}[]\",:\\u0eE+-.19 \n\x01\x7f\x80\xc3\xe2\xf0\xff/tfn";
	size_t at = next_random(random) % json->len;
	size_t span = 1 + next_random(random) % 12;
	switch (next_random(random) % 4) {
	case 0:
		json->data[at] = (unsigned char)bytes[next_random(random) % (sizeof bytes - 1)];
		break;
	case 1:
		json->data[at] ^= (unsigned char)(1u << next_random(random) % 8);
		break;
	case 2: /* cut something out */
		if (at + span < json->len) {
			memmove(json->data + at, json->data + at + span, json->len - at - span);
			json->len -= span;
		}
		break;
	default: /* repeat something */
		if (at + span < json->len) {
			buf_put(json, "............", span);
			memmove(json->data + at + span, json->data + at, json->len - at - span);
		}
	}
}

static void
test_mutations(void **state UNUSED)
{
	struct both t;
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	uint64_t random = 20260301;
	both_open(&t);
	for (int i = 0; i < 60000; i++) {
		buf_clear(&json);
		if (i % 3 == 0)
			buf_put_str(&json, documents[next_random(&random) % 26]);
		else
			put_random(&json, &random);
		for (uint32_t n = 1 + next_random(&random) % 3; n > 0; n--)
			mutate(&json, &random);
		check(&t, buf_bytes(&json));
	}
	assert_true(t.accepted > 3000);
	assert_true(t.refused > 10000);
	assert_true(t.values > 10000);
	buf_free(&json);
	both_close(&t);
}

/* A file with a document in hexadecimal on each line, from tests/it/project_json.test.mjs. */
static const char *documents_file;

static void
test_file(void **state UNUSED)
{
	struct both t;
	struct buf json = buf_new(LIMIT_TEXT_BYTES);
	FILE *f = fopen(documents_file, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	assert_non_null(f);
	both_open(&t);
	while ((len = getline(&line, &room, f)) >= 0) {
		buf_clear(&json);
		for (ssize_t i = 0; i + 1 < len; i += 2) {
			char digits[3] = { line[i], line[i + 1], '\0' };
			buf_put_char(&json, (char)strtoul(digits, NULL, 16));
		}
		check(&t, buf_bytes(&json));
	}
	printf("# documents: %zu accepted by both, %zu by neither, %zu explained, %zu values\n", t.accepted, t.refused, t.excused,
		t.values);
	fclose(f);
	free(line);
	buf_free(&json);
	both_close(&t);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--documents") == 0) {
		const struct CMUnitTest file[] = { cmocka_unit_test(test_file) };
		documents_file = argv[2];
		return cmocka_run_group_tests(file, NULL, NULL);
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
