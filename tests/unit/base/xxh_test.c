/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/xxh.h"

/* What is written to disk and to lines for others to read, so it must stay the published function: values
 * of `xxh128sum` and `xxhsum -H3` of Debian's xxhash. */
static void
published_values(void **state UNUSED)
{
	static const struct {
		const char *data, *of_128;
		uint64_t of_64;
	} known[] = {
		{ "", "99aa06d3014798d86001c324468d497f", UINT64_C(0x2d06800538d394c2) },
		{ "a", "a96faf705af16834e6c632b61e964e1f", UINT64_C(0xe6c632b61e964e1f) },
		{ "{\"zen\":\"Keep it logically awesome.\"}", "bd741ba90a7d1631234b02bca9e94c7c", UINT64_C(0xde1802c4a754aa1f) },
	};
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		struct bytes data = bytes_str(known[i].data);
		unsigned char got[XXH128_BYTES], want[XXH128_BYTES];
		xxh128(data, got);
		assert_true(crypto_unhex(bytes_str(known[i].of_128), want, sizeof want));
		assert_memory_equal(got, want, sizeof want);
		assert_true(xxh3(data.data, data.len) == known[i].of_64);
		assert_true(xxh3_seeded(data.data, data.len, 0) == known[i].of_64);
		assert_true(xxh3_seeded(data.data, data.len, 1) != known[i].of_64);
	}
	unsigned char none[XXH128_BYTES], empty[XXH128_BYTES];
	xxh128((struct bytes){ NULL, 0 }, none);
	xxh128(bytes_str(""), empty);
	assert_memory_equal(none, empty, sizeof none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
