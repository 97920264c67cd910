/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_FUZZ_H
#define TESTS_TOOLS_FUZZ_H

#include "base/base.h"

/* What reads bytes that may be anybody's, one function each: log_fuzz.c for the log, receiver_fuzz.c for
 * the receiver. They return on any input; a crash, a sanitizer's report or a failed assertion is a
 * finding. */

struct fuzz_target {
	const char *name;
	bool (*run)(const unsigned char *data, size_t size); /* whether it was taken for what it should be */
	/* A valid input, to begin with, which run takes (verify takes none); freed by the caller. */
	unsigned char *(*sample)(unsigned number, size_t *size);
	unsigned inputs; /* so many changed samples are tried where clang is not to be had */
};

extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_target_count;

/* Runs each target without a fuzzer: valid inputs with some bytes changed, cut, doubled, always the same
 * ones. */
void fuzz_all(void);

#endif
