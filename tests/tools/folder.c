/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/tools/folder.h"

static int
remove_inner(const char *path, const struct stat *st UNUSED, int kind, struct FTW *at)
{
	if (at->level == 0)
		return 0;
	return kind == FTW_DP ? rmdir(path) : unlink(path);
}

void
folder_empty(const char *path)
{
	ASSERT(nftw(path, remove_inner, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

void
folder_remove(const char *path)
{
	folder_empty(path);
	ASSERT(rmdir(path) == 0);
}
