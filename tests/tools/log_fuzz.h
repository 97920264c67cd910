/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_LOG_FUZZ_H
#define TESTS_TOOLS_LOG_FUZZ_H

#include "tests/tools/fuzz.h"

/* What of the log reads bytes that may be anybody's, in two files, which share these. In programs with
 * them XXH3_64bits is always 0: a checksum that everybody can make lets the fuzzer see what lies behind. */
unsigned char *fuzz_sample_record(unsigned number, size_t *size);
unsigned char *fuzz_sample_stream(unsigned number, size_t *size);
unsigned char *fuzz_sample_proof(unsigned number, size_t *size);
unsigned char *fuzz_sample_second(unsigned number, size_t *size);
bool fuzz_run_proof(const unsigned char *data, size_t size);
bool fuzz_run_verify(const unsigned char *data, size_t size);
bool fuzz_run_import(const unsigned char *data, size_t size);

#endif
