/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_LOG_FUZZ_H
#define TESTS_TOOLS_LOG_FUZZ_H

#include "base/base.h"

/* What of the log reads bytes that may be anybody's, one function each. They return on any input; a
 * crash, a sanitizer's report or a failed assertion is a finding. In programs with this object
 * XXH3_64bits is always 0: a checksum that everybody can make lets the fuzzer see what lies behind. */

struct fuzz_target {
	const char *name;
	bool (*run)(const unsigned char *data, size_t size); /* whether it was taken for what it should be */
	/* A valid input, to begin with, which run takes (verify takes none); freed by the caller. */
	unsigned char *(*sample)(unsigned number, size_t *size);
	unsigned inputs; /* so many changed samples are tried where clang is not to be had */
};

extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_target_count;

/* What the two files of targets share. */
unsigned char *fuzz_sample_record(unsigned number, size_t *size);
unsigned char *fuzz_sample_stream(unsigned number, size_t *size);
unsigned char *fuzz_sample_proof(unsigned number, size_t *size);
unsigned char *fuzz_sample_second(unsigned number, size_t *size);
bool fuzz_run_proof(const unsigned char *data, size_t size);
bool fuzz_run_verify(const unsigned char *data, size_t size);
bool fuzz_run_import(const unsigned char *data, size_t size);

#endif
