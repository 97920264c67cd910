/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_STORE_HELPER_H
#define TESTS_UNIT_STORE_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store.h"

/* What the tests of the log share. Every function fails the test when something goes wrong. */

/* A new folder under TMPDIR; fixture_remove deletes it with its files. */
char *helper_dir(void);
void helper_remove(char *dir);

/* An event of source "gh" with these parts; borrowed until the next call. */
struct event helper_event(const char *delivery, struct bytes body);

struct store *helper_open(const char *dir);
struct store *helper_open_with(struct store_options options);

/* Appends and gives the seq; asserts RC_OK. */
uint64_t helper_append(struct store *s, const char *delivery, const char *body);
struct store_result helper_append_bytes(struct store *s, const char *delivery, struct bytes body);

/* Asserts that the log in dir verifies clean in a child process and ends with last_seq; when `want` is
 * RC_CORRUPT, that verify finds damage or dies of it. */
void helper_verify(const char *dir, uint64_t last_seq, enum rc want);

/* size bytes of noise that depends on seed; never compressible. Freed by the caller. */
unsigned char *helper_noise(size_t size, uint64_t seed);

#endif
