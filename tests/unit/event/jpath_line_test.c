/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "event/jpath.h"

/* jpath_is_line beside jpath_walk: the two walks are separate code and must say the same. */

/* Every form a token can have. */
static const char *const seeds[] = {
	"{\"a\":[1,-0.5e+3,true,false,null,\"x\\u00e9\\n\xc3\xa9\"],\"b\" : { } , \"\":[ ]}",
	"[[],[{}],{\"k\":{\"k\":0}},\"\xf0\x9f\x98\x80\\ud800\", 10 ]",
	/* longer than what is looked at in one step */
	("{\"number\":1234567890123456,\"exact\":0.25,\"none\":-0,\"what a step ends within\":\"https://example.com/\","
	"\t\"last\":\t[true,\t{\"a\":false}\t,null,{\"b\":12345678901234567}],\"\":\"\"}"),
};

/* What the header says, by the other walk. None of the seeds is nested deeply. */
static bool
expected(const struct jpath_set *set, struct arena *a, struct bytes json)
{
	struct jpath_doc *doc;
	arena_reset(a);
	if (json.len < 2 || (json.data[0] != '{' && json.data[0] != '['))
		return false;
	unsigned char last = json.data[json.len - 1];
	if (last != '}' && last != ']')
		return false;
	for (size_t i = 0; i < json.len; i++)
		if (json.data[i] == '\n' || json.data[i] == '\r')
			return false;
	return jpath_walk(set, json, a, &doc, NULL) == RC_OK;
}

/* Any one byte changed, left out or put in. */
static void
agrees_with_the_other_walk(void **state UNUSED)
{
	struct jpath_set *set = jpath_set_new();
	struct arena *a = arena_new(1 << 16);
	size_t good = 0, all = 0;
	for (size_t s = 0; s < COUNT_OF(seeds); s++) {
		size_t len = strlen(seeds[s]);
		assert_true(jpath_is_line(bytes_str(seeds[s])));
		for (size_t at = 0; at <= len; at++) {
			for (unsigned byte = 0; byte < 3 * 256; byte++) {
				/* As long as it needs to be, so that a sanitizer sees a byte too far. */
				unsigned kind = byte / 256;
				size_t n = kind == 0 ? len : kind == 1 ? len + 1 : len - 1;
				if ((kind != 1 && at == len) || (kind == 2 && byte > 2 * 256))
					continue;
				unsigned char *json = base_alloc(n);
				memcpy(json, seeds[s], at);
				if (kind < 2)
					json[at] = (unsigned char)byte;
				size_t to = at + (kind < 2), from = at + (kind != 1);
				memcpy(json + to, seeds[s] + from, len - from);
				struct bytes text = { json, n };
				bool want = expected(set, a, text);
				if (jpath_is_line(text) != want)
					fail_msg("%s: %.*s", want ? "refused" : "taken", (int)n,
						(const char *)json);
				good += want;
				all++;
				free(json);
			}
		}
	}
	assert_true(good > 1000 && all > 2 * good);
	jpath_set_free(set);
	arena_free(a);
}

/* Steps of 64 bytes end at every place of the document. */
static void
wherever_a_step_ends(void **state UNUSED)
{
	struct jpath_set *set = jpath_set_new();
	struct arena *a = arena_new(1 << 16);
	for (size_t s = 0; s < COUNT_OF(seeds); s++) {
		size_t len = strlen(seeds[s]);
		for (size_t pad = 0; pad <= 2 * 64; pad++) {
			unsigned char *json = base_alloc(pad + len);
			json[0] = (unsigned char)seeds[s][0];
			memset(json + 1, pad % 3 == 0 ? '\t' : ' ', pad);
			memcpy(json + 1 + pad, seeds[s] + 1, len - 1);
			assert_true(jpath_is_line((struct bytes){ json, pad + len }));
			/* Something wrong in each of its last bytes, where the step is not whole. */
			for (size_t at = pad + len > 80 ? pad + len - 80 : 1; at < pad + len; at++) {
				unsigned char was = json[at];
				json[at] = pad % 2 == 0 ? '"' : '\\';
				struct bytes text = { json, pad + len };
				assert_true(jpath_is_line(text) == expected(set, a, text));
				json[at] = was;
			}
			free(json);
		}
	}
	jpath_set_free(set);
	arena_free(a);
}

static void
no_deeper_than_others_read(void **state UNUSED)
{
	struct buf json = buf_new(4 * JPATH_LINE_DEPTH);
	for (size_t depth = 1; depth <= JPATH_LINE_DEPTH + 1; depth++) {
		buf_clear(&json);
		for (size_t i = 0; i < depth; i++)
			buf_put_char(&json, '[');
		for (size_t i = 0; i < depth; i++)
			buf_put_char(&json, ']');
		assert_true(jpath_is_line(buf_bytes(&json)) == (depth <= JPATH_LINE_DEPTH));
	}
	buf_free(&json);
}

static void
not_a_whole_document(void **state UNUSED)
{
	static const char *const wrong[] = { "", "{", "[", "12", "\"x\"", "null", "{} ", " {}", "{}{}",
		"{\n}", "[1,\r2]", "\xef\xbb\xbf{}" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(jpath_is_line(bytes_str(wrong[i])));
	assert_false(jpath_is_line((struct bytes){ NULL, 0 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_other_walk),
		cmocka_unit_test(wherever_a_step_ends),
		cmocka_unit_test(no_deeper_than_others_read),
		cmocka_unit_test(not_a_whole_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
