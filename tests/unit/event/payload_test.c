/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/event.h"

#define FORM "application/x-www-form-urlencoded"

static void
test_payload(void **state UNUSED)
{
	static const struct {
		const char *type, *body, *want; /* want NULL: refused */
	} cases[] = {
		{ "application/json", "{\"a\":1}", "{\"a\":1}" },
		{ "", "payload=x", "payload=x" },
		{ "application/json; x=" FORM, "payload=x", "payload=x" },
		{ "application/x-www-form-urlencodedx", "payload=x", "payload=x" },
		{ FORM, "payload=%7B%22zen%22%3A%22a+b%22%7D", "{\"zen\":\"a b\"}" },
		{ "Application/X-WWW-Form-URLEncoded", "payload=1", "1" },
		{ FORM "; charset=utf-8", "payload=1", "1" },
		{ " \t" FORM " \t;", "payload=1", "1" },
		{ FORM, "payload=a%2Bb%2bc%25%3D=", "a+b+c%==" },
		{ FORM, "payload=plain", "plain" },
		{ FORM, "payload=caf%C3%A9%00.", NULL }, /* compared below: holds a NUL */
		/* any of the fields, the first of that name */
		{ FORM, "a=1&payload=2&payload=3", "2" },
		{ FORM, "&&payload=2&", "2" },
		{ FORM, "xpayload=1&payloadx=2&payload=3", "3" },
		{ FORM, "p%61yload=4", "4" },
		{ FORM, "%70%61%79%6c%6f%61%64=5", "5" },
		{ FORM, "payload=", "" },
		{ FORM, "payload", "" },
		/* damage elsewhere is not ours */
		{ FORM, "a=%&%zz=1&payload=6&b=%4", "6" },
		{ FORM, "", NULL },
		{ FORM, "{\"a\":1}", NULL },
		{ FORM, "Payload=1", NULL },
		{ FORM, "a=payload", NULL },
		{ FORM, "payload=1%", NULL },
		{ FORM, "payload=1%4", NULL },
		{ FORM, "payload=%4g", NULL },
		{ FORM, "payload=%g4&payload=1", NULL },
		{ FORM, "payload=%4&a=1", NULL },
	};
	struct arena *a = arena_new(1024);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct event ev = { .content_type = bytes_str(cases[i].type) };
		struct bytes json = { NULL, 0 };
		struct err e = { 0 };
		/* A copy that ends with its block, for the sanitizer. */
		size_t len = strlen(cases[i].body);
		unsigned char *body = malloc(len == 0 ? 1 : len);
		memcpy(body, cases[i].body, len);
		ev.body = (struct bytes){ body, len };
		enum rc rc = event_payload(&ev, a, &json, &e);
		if (strstr(cases[i].body, "%00") != NULL) {
			assert_int_equal(rc, RC_OK);
			assert_int_equal(json.len, 7);
			assert_memory_equal(json.data, "caf\xc3\xa9\0.", 7);
		} else if (cases[i].want == NULL) {
			if (rc != RC_INVALID)
				fail_msg("\"%s\" was accepted", cases[i].body);
			assert_string_equal(e.id, "event.form-invalid");
		} else if (rc != RC_OK || !bytes_is(json, cases[i].want)) {
			fail_msg("\"%s\" gave rc %d and \"%.*s\"", cases[i].body, (int)rc,
				(int)json.len, json.data == NULL ? "" : (const char *)json.data);
		}
		free(body);
	}
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
