/* SPDX-License-Identifier: Apache-2.0 */
/* Stepping through objects and lists of a document that was walked before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "event/jpath.h"

/* "name:type:raw|..." of the document's members or elements. */
static void
put_all(struct buf *out, const char *json, bool object)
{
	struct arena *a = arena_new(4096);
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	struct err e;
	size_t slot;
	assert_int_equal(jpath_add(set, "", &slot, &e), RC_OK);
	assert_int_equal(jpath_walk(set, bytes_str(json), a, &doc, &e), RC_OK);
	struct bytes rest = jpath_inside(jpath_get(doc, slot, 0)), name = { NULL, 0 };
	struct jpath_value v;
	while (jpath_next(&rest, object ? &name : NULL, &v)) {
		buf_put_bytes(out, name);
		buf_printf(out, ":%d:", (int)v.type);
		buf_put_bytes(out, v.raw);
		buf_put_char(out, '|');
	}
	jpath_set_free(set);
	arena_free(a);
}

static void
test_steps(void **state UNUSED)
{
	static const struct {
		const char *json, *all;
		bool object;
	} rows[] = {
		{ "{}", "", true },
		{ " { } ", "", true },
		{ "[]", "", false },
		{ "{\"a\":1}", "a:4:1|", true },
		{ "{ \"a\" : -1.5e3 , \"b\":null,\"c\":true ,\"d\":false}", "a:4:-1.5e3|b:1:null|c:3:true|d:2:false|", true },
		{ "{\"a\":\"x,}\\\"]{\",\"\\\"b\":\"\"}", "a:5:\"x,}\\\"]{\"|\\\"b:5:\"\"|", true },
		{ "{\"a\":{\"b\":[1,{\"c\":\"}\"}]},\"d\":[[],[2]]}", "a:6:{\"b\":[1,{\"c\":\"}\"}]}|d:7:[[],[2]]|", true },
		{ "[1,\"a\",{\"b\":[]}, [ ] ,null\n]", ":4:1|:5:\"a\"|:6:{\"b\":[]}|:7:[ ]|:1:null|", false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf out = buf_new(4096);
		put_all(&out, rows[i].json, rows[i].object);
		assert_string_equal(buf_cstr(&out), rows[i].all);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_steps) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
