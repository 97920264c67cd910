/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan
 * TEST-TIMEOUT: 600 */
#include <unistd.h>

#include "tests/tools/fuzz.h"
#include "tests/unit/store/helper.h"

/* tests/fuzz/long.test.mjs has the long form. */

static void
no_input_harms(void **state)
{
	(void)state;
	fuzz_all();
}

int
main(void)
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_input_harms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
