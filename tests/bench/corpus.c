/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/corpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_DIGITS_MIN 6
#define HASH_DIGITS 40

static _Noreturn void
die(const char *what, const char *path)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

void
corpus_read(struct corpus *c, const char *path)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL || fseek(f, 0, SEEK_END) != 0)
		die("open", path);
	long size = ftell(f);
	rewind(f);
	*c = (struct corpus){ .data = base_alloc((size_t)size + 1) };
	if (fread(c->data, 1, (size_t)size, f) != (size_t)size)
		die("read", path);
	fclose(f);
	size_t lines = 0;
	for (long i = 0; i < size; i++)
		lines += c->data[i] == '\n';
	c->lines = base_zalloc((lines + 1) * sizeof *c->lines);
	char *end = c->data + size;
	for (char *at = c->data, *stop; at < end; at = stop + 1) {
		stop = memchr(at, '\n', (size_t)(end - at));
		if (stop == NULL)
			break;
		c->lines[c->count++] = (struct bytes){ (unsigned char *)at, (size_t)(stop - at) };
	}
	if (c->count == 0) {
		fprintf(stderr, "%s holds no line\n", path);
		exit(1);
	}
}

void
corpus_free(struct corpus *c)
{
	free(c->lines);
	free(c->data);
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_word(unsigned char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x7fb5d329728ea185);
	x ^= x >> 27;
	x *= UINT64_C(0x81dadef4bc2dd44d);
	return x ^ (x >> 33);
}

/* Writes other digits over the word, from its own and n. */
static void
rewrite(unsigned char *word, size_t len, const char *digits, unsigned base, uint64_t n)
{
	uint64_t seed = mix(n + 1);
	for (size_t i = 0; i < len; i++)
		seed = mix(seed ^ word[i]) + i;
	for (size_t i = 0; i < len; i++) {
		seed = mix(seed + 1);
		/* A number keeps its first digit, so that it never gets a leading zero. */
		if (base != 10 || i > 0)
			word[i] = (unsigned char)digits[seed % base];
	}
}

struct bytes
corpus_vary(struct bytes line, uint64_t n)
{
	unsigned char *copy = base_alloc(line.len + 1);
	memcpy(copy, line.data, line.len);
	for (size_t i = 0; i < line.len;) {
		size_t from = i;
		bool decimal = true, hex = true;
		for (; i < line.len && is_word(copy[i]); i++) {
			decimal = decimal && is_digit(copy[i]);
			hex = hex && (is_digit(copy[i]) || (copy[i] >= 'a' && copy[i] <= 'f'));
		}
		if (decimal && i - from >= ID_DIGITS_MIN)
			rewrite(copy + from, i - from, "0123456789", 10, n);
		else if (hex && i - from == HASH_DIGITS)
			rewrite(copy + from, i - from, "0123456789abcdef", 16, n);
		if (i == from)
			i++;
	}
	return (struct bytes){ copy, line.len };
}
