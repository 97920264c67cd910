/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tools/folder.h"
#include "tests/unit/ingest/folder.h"

int
folder_make(void **state)
{
	struct folder *f = base_zalloc(sizeof *f);
	const char *tmp = getenv("TMPDIR");
	snprintf(f->path, sizeof f->path, "%s/hooklog-ingest-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	ASSERT(mkdtemp(f->path) != NULL);
	f->arena = arena_new(1024);
	*state = f;
	return 0;
}

int
folder_drop(void **state)
{
	struct folder *f = *state;
	folder_remove(f->path);
	arena_free(f->arena);
	free(f);
	return 0;
}
