/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan
 * TEST-TIMEOUT: 600 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/tools/fuzz.h"

/* tests/fuzz/long.test.mjs has the long form. */

static void
no_input_harms(void **state UNUSED)
{
	fuzz_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_input_harms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
