/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/limits.h"
#include "event/event.h"
#include "event/jpath.h"
#include "tests/tools/fuzz.h"

/* What reads the bytes of an event: the path extractor, the envelope's codec, the decoder of forms. */

static unsigned char *
copy_of(const char *text, size_t *size)
{
	*size = strlen(text);
	unsigned char *copy = base_alloc(*size + 1);
	memcpy(copy, text, *size);
	return copy;
}

/* ---- the path extractor ---- */

static const char *const paths[] = { "", "a", "a.b", "a.b.c", "b[]", "b[].a", "b[].a.b", "[].a" };

/* What was found is JSON by itself, of the same type, and what is in it can be gone through. */
static void
look(struct jpath_walker *walker, struct jpath_value v, size_t root, struct arena *a)
{
	const struct jpath_doc *doc;
	struct jpath_value member;
	struct bytes name, rest;
	struct err e;
	int64_t n;
	if (v.type == JPATH_ABSENT)
		return;
	ASSERT(jpath_walker_walk(walker, v.raw, &doc, &e) == RC_OK);
	ASSERT(jpath_get(doc, root, 0).type == v.type);
	if (v.type == JPATH_STRING)
		ASSERT(utf8_valid(jpath_text(v, a, NULL)));
	if (v.type == JPATH_NUMBER)
		(void)jpath_int64(v, &n);
	if (v.type != JPATH_OBJECT && v.type != JPATH_ARRAY)
		return;
	for (rest = jpath_inside(v); jpath_next(&rest, v.type == JPATH_OBJECT ? &name : NULL, &member);)
		ASSERT(jpath_walker_walk(walker, member.raw, &doc, &e) == RC_OK);
}

static bool
run_json(const unsigned char *data, size_t size)
{
	struct arena *a = arena_new(4096);
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	struct bytes in = { data, size };
	struct err e;
	size_t slots[COUNT_OF(paths)];
	for (size_t i = 0; i < COUNT_OF(paths); i++)
		ASSERT(jpath_add(set, paths[i], &slots[i], NULL) == RC_OK);
	struct jpath_walker *walker = jpath_walker_new(set);
	bool taken = jpath_walk(set, in, a, &doc, &e) == RC_OK;
	ASSERT(taken ? utf8_valid(in) : e.rc == RC_INVALID);
	for (size_t i = 0; i < COUNT_OF(paths) && taken; i++) {
		for (size_t row = 0; row < jpath_rows(doc, slots[i]); row++)
			look(walker, jpath_get(doc, slots[i], row), slots[0], a);
	}
	jpath_walker_free(walker);
	jpath_set_free(set);
	arena_free(a);
	return taken;
}

static unsigned char *
sample_json(unsigned number, size_t *size)
{
	static const char *const documents[] = {
		"{\"a\":{\"b\":{\"c\":[1,-2.5e+3,9223372036854775807]}},\"b\":[{\"a\":{\"b\":null}},{\"a\":true},3]}",
		"[{\"a\":\"\\ud83d\\ude00\\u0000\\ud800x\"},{\"a\":\"\xe2\x82\xac \xf0\x9f\x98\x80\"},[],{}]",
		"{\"a\":\"a text that is longer than one block of the scanner, with \\\"quotes\\\" and \\\\ in it\"}",
		" \t\r\n{ \"\\u0061\" : [ [ [ [ ] ] ] , { } , \"\" ] , \"a\" : 1 , \"a\" : { \"b\" : \"x\" } } ",
		"-0.10E-7",
		"{\"b\":[{\"a\":1},{\"a\":2}],\"b\":[{\"a\":{\"b\":3}}],\"a\":false}",
	};
	return copy_of(documents[number % COUNT_OF(documents)], size);
}

/* ---- the envelope ---- */

/* What was accepted survives being written and read again. */
static bool
run_envelope(const unsigned char *data, size_t size)
{
	struct arena *a = arena_new(4096);
	struct event ev = { 0 }, again = { 0 };
	struct err e;
	bool taken = event_decode((struct bytes){ data, size }, a, &ev, &e) == RC_OK;
	if (taken) {
		struct buf out = buf_new(4 * size + 1024);
		event_encode(&ev, &out);
		ASSERT(!out.overflow && event_decode(buf_bytes(&out), a, &again, &e) == RC_OK);
		ASSERT(bytes_equal(ev.path, again.path) && ev.header_count == again.header_count);
		buf_free(&out);
	}
	arena_free(a);
	return taken;
}

static unsigned char *
sample_envelope(unsigned number, size_t *size)
{
	struct event ev = { .source = bytes_str("gh"), .provider = bytes_str("github"), .event = bytes_str("push"),
		.delivery = bytes_str(number % 2 == 0 ? "d" : ""), .content_type = bytes_str("application/json"),
		.path = bytes_str("/in/gh"), .body = bytes_str("{}") };
	struct buf out = buf_new(LIMIT_ENVELOPE_BYTES);
	event_encode(&ev, &out);
	*size = out.len;
	unsigned char *copy = base_alloc(out.len);
	memcpy(copy, out.data, out.len);
	buf_free(&out);
	return copy;
}

/* ---- a form with a payload ---- */

static bool
run_form(const unsigned char *data, size_t size)
{
	struct arena *a = arena_new(4096);
	struct event ev = { .content_type = bytes_str("application/x-www-form-urlencoded"), .body = { data, size } };
	struct bytes json;
	struct err e;
	enum rc rc = event_payload(&ev, a, &json, &e);
	ASSERT(rc == RC_INVALID || (rc == RC_OK && json.len <= size));
	arena_free(a);
	return rc == RC_OK;
}

static unsigned char *
sample_form(unsigned number, size_t *size)
{
	return copy_of(number % 2 == 0 ? "payload=%7B%22a%22%3A+1%7D" : "x=1&payload=%7b%7d&y=%00", size);
}

const struct fuzz_target fuzz_targets[] = {
	{ "json", run_json, sample_json, 60000 },
	{ "envelope", run_envelope, sample_envelope, 30000 },
	{ "form", run_form, sample_form, 30000 },
};
const size_t fuzz_target_count = COUNT_OF(fuzz_targets);
