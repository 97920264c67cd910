/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/source_cmd.h"

#include "cli/cmd.h"

int
source_cmd_fail(const struct err *e)
{
	int code = cmd_fail(e);
	if (e->rc == RC_INVALID)
		return EXIT_CONFIG;
	return e->rc == RC_CONFLICT ? EXIT_FAILED : code;
}

int
source_cmd_open(const struct cli_call *call, bool strict, struct arena *a, struct config *c,
	struct sources **sources)
{
	struct err e = { 0 };
	if (config_load(c, call, a, NULL, &e) != RC_OK)
		return cmd_fail(&e);
	if ((strict ? sources_load : sources_look)(sources, c->sources_dir, &e) != RC_OK)
		return source_cmd_fail(&e);
	return EXIT_DONE;
}

int
source_cmd_find(const struct cli_call *call, bool strict, struct arena *a, struct config *c,
	struct sources **sources, const struct source **source)
{
	struct err e = { 0 };
	int code = source_cmd_open(call, strict, a, c, sources);
	if (code != EXIT_DONE)
		return code;
	*source = sources_find(*sources, bytes_str(call->args[0]));
	if (*source != NULL)
		return EXIT_DONE;
	err_set(&e, RC_NOTFOUND, NULL,
		"there is no source %s in %s; `hooklog source list` shows them", call->args[0],
		c->sources_dir);
	return cmd_fail(&e);
}

int
source_cmd_secret(
	const struct cli_call *call, unsigned char into[LIMIT_SECRET_BYTES], struct bytes *secret)
{
	const struct cli_value *file = cli_option(call, "secret-file");
	struct err e = { 0 };
	size_t len = 0;
	*secret = (struct bytes){ NULL, 0 };
	if (!file->given)
		return EXIT_DONE;
	if (source_read_secret(file->text, into, &len, &e) != RC_OK)
		return cmd_fail(&e);
	*secret = (struct bytes){ into, len };
	return EXIT_DONE;
}

void
source_cmd_put_json(struct buf *out, const struct source *source)
{
	buf_put_str(out, "{\"name\":");
	buf_put_json(out, bytes_str(source->name));
	buf_put_str(out, ",\"provider\":");
	buf_put_json(out, bytes_str(source->provider->name));
	buf_printf(out, ",\"path\":\"/in/%s\",\"signed\":%s,\"disabled\":%s", source->name,
		source->allow_unsigned ? "false" : "true", source->disabled ? "true" : "false");
}
