/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan
 * TEST-TIMEOUT: 600 */
#include <unistd.h>

#include "tests/tools/random.h"
#include "tests/tools/log_fuzz.h"
#include "tests/unit/store/helper.h"

/* The fuzzing targets without a fuzzer: valid inputs with some bytes changed, cut, doubled, always the
 * same ones. tests/fuzz/long.test.mjs has the long form. */

#define SAMPLES 6

static size_t
change(unsigned char *data, size_t size, size_t room, uint64_t *random)
{
	for (uint64_t n = random_next(random) % 4; n > 0 && size > 0; n--) {
		size_t at = random_next(random) % size;
		uint64_t value = random_next(random);
		switch (random_next(random) % 5) {
		case 0: data[at] ^= (unsigned char)(1u << value % 8); break;
		case 1: data[at] = (unsigned char)value; break;
		case 2: size = at; break;
		case 3: memset(data + at, value % 2 == 0 ? 0 : 0xff, size - at < 8 ? size - at : 8); break;
		default:
			if (size + size - at <= room) {
				memmove(data + size, data + at, size - at);
				size += size - at;
			}
		}
	}
	return size;
}

static void
run_target(const struct fuzz_target *t)
{
	uint64_t random = 7;
	unsigned char *samples[SAMPLES];
	size_t sizes[SAMPLES];
	for (unsigned i = 0; i < SAMPLES; i++)
		samples[i] = t->sample(i, &sizes[i]);
	for (unsigned i = 0; i < t->inputs; i++) {
		size_t size = sizes[i % SAMPLES];
		unsigned char *data = base_alloc(2 * size + 1);
		memcpy(data, samples[i % SAMPLES], size);
		size_t changed = i < SAMPLES ? size : change(data, size, 2 * size, &random);
		/* In a buffer of just that size, so that reading past its end is seen. */
		unsigned char *exact = base_alloc(changed + (changed == 0));
		memcpy(exact, data, changed);
		bool taken = t->run(exact, changed);
		/* A sample that is refused at once would let nothing behind that be reached. */
		if (i < SAMPLES && !taken && strcmp(t->name, "verify") != 0)
			fail_msg("%s: sample %u is refused", t->name, i);
		free(exact);
		free(data);
	}
	for (unsigned i = 0; i < SAMPLES; i++)
		free(samples[i]);
	printf("# note: %s: %u inputs\n", t->name, t->inputs);
}

static void
no_input_harms(void **state)
{
	(void)state;
	for (size_t i = 0; i < fuzz_target_count; i++)
		run_target(&fuzz_targets[i]);
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
