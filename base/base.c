/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "base/log.h"

_Noreturn void
base_assert_failed(const char *condition, const char *file, int line)
{
	LOG_ERROR("base.assert", F_S("condition", condition), F_S("file", file), F_I("line", line));
	abort();
}

static _Noreturn void
out_of_memory(size_t size)
{
	LOG_ERROR("base.out-of-memory", F_U("bytes", size));
	abort();
}

void *
base_alloc(size_t size)
{
	void *p = malloc(size == 0 ? 1 : size);
	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *
base_zalloc(size_t size)
{
	void *p = calloc(1, size == 0 ? 1 : size);
	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *
base_realloc(void *old, size_t size)
{
	void *p = realloc(old, size == 0 ? 1 : size);
	if (p == NULL)
		out_of_memory(size);
	return p;
}

char *
base_strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = base_alloc(size);
	memcpy(copy, s, size);
	return copy;
}
