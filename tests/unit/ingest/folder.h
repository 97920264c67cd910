/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_INGEST_FOLDER_H
#define TESTS_UNIT_INGEST_FOLDER_H

#include "base/arena.h"

/* A folder of a test's own, with an arena that lives as long. */
struct folder {
	char path[128];
	struct arena *arena;
};

/* cmocka's set-up and tear-down; *state is the struct folder. */
int folder_make(void **state);
int folder_drop(void **state);

#endif
