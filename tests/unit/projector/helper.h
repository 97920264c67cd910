/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_PROJECTOR_HELPER_H
#define TESTS_UNIT_PROJECTOR_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "projector/fold.h"

/* A catalog of the built-in projections and one file, "test.sql", with this text. Fails the test when it
 * is wrong. catalog_free frees it; strings live in a. */
struct catalog helper_catalog(const char *text, struct arena *a);

/* As catalog_load with that file; for what must be refused. */
enum rc helper_load(struct catalog *c, const char *name, const char *text, struct arena *a, struct err *e);

/* A record of provider github. seq also makes its time: 2026-01-01 plus seq seconds. Borrows body. */
struct store_record helper_record(uint64_t seq, const char *event, const char *body);
#define HELPER_TIME_US(seq) (INT64_C(1767225600000000) + (int64_t)(seq) * 1000000)

/* The table of that name. */
struct fold_table *helper_table(const struct fold *fold, const char *name);

/* The column of that name, or the end of the test. */
size_t helper_column(const struct definition *d, const char *name);

/* The cell as text: numbers in decimal, true and false, timestamps in microseconds, NULL for null. */
const char *helper_cell(const struct fold_table *t, const struct fold_row *row, const char *column,
	struct arena *a);

#endif
