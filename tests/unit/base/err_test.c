/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"

static void
set_fills_everything(void **state UNUSED)
{
	struct err e = { .sys = 5, .code = "23505", .id = "old" };
	assert_int_equal(err_set(&e, RC_FULL, "log.full", "segment %d", 7), RC_FULL);
	assert_int_equal(e.rc, RC_FULL);
	assert_string_equal(e.text, "segment 7");
	assert_string_equal(e.id, "log.full");
	assert_string_equal(e.code, "");
	assert_int_equal(e.sys, 0);
}

static void
nobody_need_listen(void **state UNUSED)
{
	assert_int_equal(err_set(NULL, RC_IO, NULL, "x"), RC_IO);
	assert_int_equal(err_sys(NULL, RC_IO, NULL, ENOENT, "x"), RC_IO);
}

static void
sys_appends_the_reason(void **state UNUSED)
{
	struct err e;
	assert_int_equal(err_sys(&e, RC_IO, NULL, ENOENT, "open %s", "/x"), RC_IO);
	assert_string_equal(e.text, "open /x: No such file or directory");
	assert_int_equal(e.sys, ENOENT);
	assert_null(e.id);
}

static void
wrap_puts_context_in_front(void **state UNUSED)
{
	struct err e;
	err_set(&e, RC_INVALID, "config.invalid", "no such key");
	assert_int_equal(err_wrap(&e, "%s:%d", "a.conf", 3), RC_INVALID);
	assert_string_equal(e.text, "a.conf:3: no such key");
	assert_string_equal(e.id, "config.invalid");
}

static void
long_text_is_cut_and_terminated(void **state UNUSED)
{
	char text[3000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	struct err e;
	err_set(&e, RC_IO, NULL, "%s", text);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	err_sys(&e, RC_IO, NULL, ENOENT, "%s", text);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	err_wrap(&e, "%s", text);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	err_set(&e, RC_IO, NULL, "end");
	err_wrap(&e, "%.1000s", text);
	assert_int_equal(strlen(e.text), 1005);
}

static void
every_code_has_its_name(void **state UNUSED)
{
	for (int a = RC_OK; a <= RC_IO; a++) {
		assert_string_not_equal(rc_name((enum rc)a), "unknown");
		for (int b = RC_OK; b < a; b++)
			assert_string_not_equal(rc_name((enum rc)a), rc_name((enum rc)b));
	}
	assert_string_equal(rc_name((enum rc)99), "unknown");
	assert_string_equal(rc_name(RC_CONFLICT), "conflict");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_everything),
		cmocka_unit_test(nobody_need_listen),
		cmocka_unit_test(sys_appends_the_reason),
		cmocka_unit_test(wrap_puts_context_in_front),
		cmocka_unit_test(long_text_is_cut_and_terminated),
		cmocka_unit_test(every_code_has_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
