/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "event/event.h"
#include "event/jpath.h"

/* libFuzzer entry for what reads bytes of others: the path extractor, the envelope, the form
 * decoder. Needs clang; not part of the ordinary build:
 *
 *	clang -std=c11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined \
 *		tests/fuzz/jpath_fuzz.c event/[a-z]*.c base/[a-z]*.c -lmsgpackc -lcrypto -linih -o
 * jpath_fuzz
 *	./jpath_fuzz -max_total_time=60
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = { "", "a", "a.b", "a.b.c", "b[]", "b[].a", "b[].a.b", "[].a" };

static void
look(const struct jpath_doc *doc, size_t slot, struct arena *a)
{
	for (size_t row = 0; row < jpath_rows(doc, slot); row++) {
		struct jpath_value v = jpath_get(doc, slot, row);
		int64_t n;
		if (v.type == JPATH_STRING)
			ASSERT(utf8_valid(jpath_text(v, a, NULL)));
		else if (v.type == JPATH_NUMBER)
			(void)jpath_int64(v, &n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(4096);
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	struct bytes in = { data, size }, json;
	struct err e;
	size_t slots[COUNT_OF(paths)];
	for (size_t i = 0; i < COUNT_OF(paths); i++)
		ASSERT(jpath_add(set, paths[i], &slots[i], NULL) == RC_OK);
	if (jpath_walk(set, in, a, &doc, &e) == RC_OK) {
		ASSERT(utf8_valid(in));
		for (size_t i = 0; i < COUNT_OF(paths); i++)
			look(doc, slots[i], a);
	} else {
		ASSERT(e.rc == RC_INVALID);
	}

	struct event ev = { 0 };
	if (event_decode(in, a, &ev, &e) == RC_OK) {
		/* What was accepted survives being written and read again. */
		struct buf out = buf_new(4 * size + 1024);
		struct event again = { 0 };
		event_encode(&ev, &out);
		ASSERT(!out.overflow && event_decode(buf_bytes(&out), a, &again, &e) == RC_OK);
		ASSERT(bytes_equal(ev.path, again.path) && ev.header_count == again.header_count);
		buf_free(&out);
	}
	ev = (struct event){ .content_type = bytes_str("application/x-www-form-urlencoded"),
		.body = in };
	enum rc rc = event_payload(&ev, a, &json, &e);
	ASSERT(rc == RC_INVALID || (rc == RC_OK && json.len <= size));

	jpath_set_free(set);
	arena_free(a);
	return 0;
}
