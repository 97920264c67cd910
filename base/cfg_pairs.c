/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <ini.h>

#include "base/cfg.h"

struct pairs {
	cfg_pair_fn fn;
	void *context;
	struct err *e;
	enum rc rc;
};

/* libinih goes on after an error; only the first one is kept. */
static int
on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct pairs *p = user;
	if (p->rc == RC_OK)
		p->rc = p->fn(section, name, value == NULL ? "" : value, p->context, p->e);
	return p->rc == RC_OK;
}

enum rc
cfg_pairs(const char *path, cfg_pair_fn fn, void *context, struct err *e)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return err_sys(
			e, errno == ENOENT ? RC_NOTFOUND : RC_IO, NULL, errno, "open %s", path);
	struct pairs p = { fn, context, e, RC_OK };
	int line = ini_parse_file(file, on_pair, &p);
	bool unreadable = ferror(file) != 0;
	fclose(file);
	if (p.rc != RC_OK)
		return err_wrap(e, "%s, line %d", path, line);
	if (unreadable)
		return err_set(e, RC_IO, NULL, "cannot read %s", path);
	if (line != 0)
		return err_set(
			e, RC_INVALID, NULL, "%s, line %d: not a line \"key = value\"", path, line);
	return RC_OK;
}
