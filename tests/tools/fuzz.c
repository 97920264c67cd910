/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tools/fuzz.h"
#include "tests/tools/random.h"

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
		if (i < SAMPLES && !taken && strcmp(t->name, "verify") != 0) {
			fprintf(stderr, "%s: sample %u is refused\n", t->name, i);
			abort();
		}
		free(exact);
		free(data);
	}
	for (unsigned i = 0; i < SAMPLES; i++)
		free(samples[i]);
	printf("# note: %s: %u inputs\n", t->name, t->inputs);
}

void
fuzz_all(void)
{
	for (size_t i = 0; i < fuzz_target_count; i++)
		run_target(&fuzz_targets[i]);
}

/* libFuzzer's entry; tests/fuzz/long.test.mjs builds one program per target. */
#ifdef FUZZ_TARGET
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Puts the samples into the folder FUZZ_CORPUS, from which the fuzzer then begins. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	const char *dir = getenv("FUZZ_CORPUS");
	for (size_t i = 0; i < fuzz_target_count && dir != NULL; i++) {
		for (unsigned n = 0; n < 6 && strcmp(fuzz_targets[i].name, FUZZ_TARGET) == 0; n++) {
			char path[400];
			size_t size;
			unsigned char *sample = fuzz_targets[i].sample(n, &size);
			snprintf(path, sizeof path, "%s/sample-%u", dir, n);
			FILE *f = fopen(path, "wb");
			ASSERT(f != NULL && fwrite(sample, 1, size, f) == size && fclose(f) == 0);
			free(sample);
		}
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < fuzz_target_count; i++) {
		if (strcmp(fuzz_targets[i].name, FUZZ_TARGET) == 0)
			fuzz_targets[i].run(data, size);
	}
	return 0;
}
#endif
