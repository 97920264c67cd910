/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"

/* The text with a password in it replaced by "***": what is shown ends up in tickets. */
static const char *
without_password(const char *text, struct arena *a)
{
	const char *from = NULL, *to = NULL;
	const char *scheme = strstr(text, "://"), *word = strstr(text, "password=");
	if (word != NULL) {
		from = word + strlen("password=");
		bool quoted = *from == '\'';
		to = from + strcspn(from + quoted, quoted ? "'" : " &") + 2 * quoted;
	} else if (scheme != NULL) {
		const char *user = scheme + 3, *at = NULL;
		/* The last @ in front of the path: a password may hold one although it should not. */
		for (const char *p = user; *p != '\0' && *p != '/' && *p != '?'; p++)
			at = *p == '@' ? p : at;
		const char *colon = strchr(user, ':');
		if (at != NULL && colon != NULL && colon < at) {
			from = colon + 1;
			to = at;
		}
	}
	if (from == NULL)
		return text;
	if (to > text + strlen(text))
		to = text + strlen(text);
	return arena_printf(a, "%.*s***%s", (int)(from - text), text, to);
}

static void
put_json(struct buf *out, const struct config *c, const struct config_origins *origins)
{
	buf_put_char(out, '{');
	for (size_t i = 0; i < config_key_count; i++) {
		const struct cfg_key *key = &config_keys[i];
		const void *at = (const char *)c + key->offset;
		buf_put_str(out, i == 0 ? "" : ",");
		buf_put_json(out, bytes_str(key->name));
		buf_put_str(out, ":{\"value\":");
		if (key->type == CFG_STRING)
			buf_put_json(out, bytes_str(*(const char *const *)at));
		else if (key->type == CFG_BOOL)
			buf_put_str(out, *(const bool *)at ? "true" : "false");
		else
			buf_printf(out, "%" PRIu64, *(const uint64_t *)at);
		buf_printf(out, ",\"origin\":\"%s\"}", cfg_origin_name(origins->of[i]));
	}
	buf_put_str(out, "}\n");
}

static int
run_show(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct config c;
	struct config_origins origins;
	struct err e = { 0 };
	int code = EXIT_DONE;
	if (config_load(&c, call, a, &origins, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	c.postgres_url = without_password(c.postgres_url, a);
	struct cfg_table t = { .keys = config_keys, .count = config_key_count, .values = &c,
		.origins = origins.of };
	if (call->json)
		put_json(&out, &c, &origins);
	else
		cfg_put(&out, &t, cli_option(call, "origin")->given);
	if (!cmd_print(&out))
		code = EXIT_FAILED;
done:
	buf_free(&out);
	arena_free(a);
	return code;
}

static int
run_check(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct config c;
	struct err e = { 0 };
	int code = EXIT_DONE;
	if (config_load(&c, call, a, NULL, &e) != RC_OK)
		code = cmd_fail(&e);
	else
		puts(call->json ? "{\"ok\":true}" : "the configuration is right");
	arena_free(a);
	return code;
}

static const struct cli_option show_options[] = {
	{ "origin", CLI_FLAG, NULL, "tell where each value came from" },
};

const struct cli_command cmd_config_show = {
	.name = "config show",
	.args_help = "",
	.summary = "Print the configuration in effect.",
	.details = "The output is a valid configuration file, but for passwords, which are shown as ***.\n",
	.options = show_options,
	.option_count = COUNT_OF(show_options),
	.run = run_show,
};

const struct cli_command cmd_config_check = {
	.name = "config check",
	.args_help = "",
	.summary = "Check the configuration and say what is wrong with it.",
	.details = "Reads the file and the environment as every command does. Exit code 4 when something is\n"
		   "wrong.\n",
	.run = run_check,
};
