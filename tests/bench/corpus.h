/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_CORPUS_H
#define TESTS_BENCH_CORPUS_H

#include "base/base.h"

/* Payloads to measure with: one JSON document per line of a file, and as many different ones made of them
 * as are wanted. Failures end the program. */

struct corpus {
	char *data;
	struct bytes *lines;
	size_t count;
};

void corpus_read(struct corpus *c, const char *path);
void corpus_free(struct corpus *c);

/* A copy of line, owned by the caller, in which every number of six digits or more and every hash of 40
 * hexadecimal digits is another one, of the same length, that depends on n. The same number stays the
 * same within a document, as ids do. */
struct bytes corpus_vary(struct bytes line, uint64_t n);

#endif
