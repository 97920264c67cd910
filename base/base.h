/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

/* What every file may use without asking: fixed-width types, the result code, the attributes the
 * house style asks for, and the list of functions nobody may call. Include system and third-party
 * headers before this one: the poison at the end would reject a header that names a banned function.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A run of bytes that somebody else owns. data may be NULL when len is 0. Not NUL-terminated. */
struct bytes {
	const unsigned char *data;
	size_t len;
};

/* The bytes of a NUL-terminated string, without the NUL. Borrows s. NULL gives the empty run. */
static inline struct bytes
bytes_str(const char *s)
{
	return (struct bytes){ (const unsigned char *)s, s == NULL ? 0 : strlen(s) };
}

static inline bool
bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool
bytes_is(struct bytes a, const char *s)
{
	return bytes_equal(a, bytes_str(s));
}

/* As bytes_is, ignoring the case of ASCII letters. */
static inline bool
bytes_is_nocase(struct bytes a, const char *s)
{
	return a.len == strlen(s) && (a.len == 0 || strncasecmp((const char *)a.data, s, a.len) == 0);
}

/* Stops the process when our own reasoning was wrong. Never used on input. Stays on in release
 * builds: nothing is acknowledged before it is on disk, so stopping loses nothing. */
#define ASSERT(condition) ((condition) ? (void)0 : base_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void base_assert_failed(const char *condition, const char *file, int line);

/* malloc and realloc that stop the process with a log line when memory is out. Only for sizes we
 * chose; a size chosen by a client is refused against base/limits.h first. */
void *base_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *base_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *base_realloc(void *old, size_t size) __attribute__((returns_nonnull));
char *base_strdup(const char *s) __attribute__((malloc, returns_nonnull));

/* With _FORTIFY_SOURCE glibc makes macros of some of them for clang, which refuses to poison a macro. The
 * other builds find every breach. */
#if !(defined(__clang__) && defined(_FORTIFY_SOURCE))
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#pragma GCC poison atoi atol atoll atof system popen tmpnam mktemp asctime ctime localtime gmtime
#endif

#endif
