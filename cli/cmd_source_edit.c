/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/source_cmd.h"
#include "ingest/source_edit.h"

/* The commands that show one source and change it. */

#define SECOND_US 1000000

/* ---- show ---- */

static const char *
state_of(const struct source_secret *secret, int64_t now_us)
{
	if (secret->value.len == 0 || secret->key_id[0] == '\0')
		return "unseen";
	if (now_us < secret->not_before_us)
		return "not yet";
	return now_us < secret->not_after_us ? "active" : "ended";
}

static void
put_time(struct buf *out, int64_t at_us)
{
	char text[CLOCK_TEXT_BYTES];
	if (at_us == INT64_MIN || at_us == INT64_MAX) {
		buf_put_str(out, "null");
		return;
	}
	clock_format_us(at_us, text);
	buf_put_json(out, bytes_str(text));
}

static void
put_json(struct buf *out, const struct source *s, int64_t now_us)
{
	source_cmd_put_json(out, s);
	buf_printf(out,
		",\"body_bytes_max\":%" PRIu64 ",\"requests_per_second_max\":%" PRIu64
		",\"in_flight_bytes_max\":%" PRIu64 ",\"keys\":[",
		s->body_bytes_max, s->requests_per_second_max, s->in_flight_bytes_max);
	for (size_t i = 0; i < s->secret_count; i++) {
		const struct source_secret *secret = &s->secrets[i];
		buf_printf(out, "%s{\"id\":\"%s\",\"state\":\"%s\",\"%s\":", i == 0 ? "" : ",",
			secret->key_id, state_of(secret, now_us),
			secret->credential ? "secret_credential" : "secret_file");
		buf_put_json(out, bytes_str(secret->file));
		buf_put_str(out, ",\"not_before\":");
		put_time(out, secret->not_before_us);
		buf_put_str(out, ",\"not_after\":");
		put_time(out, secret->not_after_us);
		buf_put_char(out, '}');
	}
	buf_put_str(out, "]}\n");
}

static void
put_limit(struct buf *out, const char *label, uint64_t limit, const char *unit)
{
	if (limit > 0)
		buf_printf(out, "%-12s %" PRIu64 " %s\n", label, limit, unit);
}

static void
put_text(struct buf *out, const struct source *s, int64_t now_us)
{
	char text[CLOCK_TEXT_BYTES];
	buf_printf(out, "source       %s (%s)\npath         /in/%s\nstate        %s\n", s->name,
		s->provider->label, s->name, s->disabled ? "disabled: answered 404" : "enabled");
	if (s->allow_unsigned)
		buf_put_str(out, "secret       none: anybody can write to this source\n");
	for (size_t i = 0; i < s->secret_count; i++) {
		const struct source_secret *secret = &s->secrets[i];
		buf_printf(out, "key %-8s %s, %s %s", secret->key_id, state_of(secret, now_us),
			secret->credential ? "credential" : "in", secret->file);
		if (secret->not_before_us != INT64_MIN) {
			clock_format_us(secret->not_before_us, text);
			buf_printf(out, ", from %s", text);
		}
		if (secret->not_after_us != INT64_MAX) {
			clock_format_us(secret->not_after_us, text);
			buf_printf(out, ", until %s", text);
		}
		buf_put_char(out, '\n');
	}
	put_limit(out, "body", s->body_bytes_max, "bytes at most");
	put_limit(out, "rate", s->requests_per_second_max, "deliveries per second at most");
	put_limit(out, "in flight", s->in_flight_bytes_max, "bytes at most");
}

static int
run_show(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct sources *sources = NULL;
	const struct source *source = NULL;
	struct config c;
	int code = source_cmd_find(call, false, a, &c, &sources, &source);
	if (code != EXIT_DONE)
		goto done;
	(call->json ? put_json : put_text)(&out, source, clock_now_us());
	if (!cmd_print(&out))
		code = EXIT_FAILED;
done:
	sources_release(sources);
	buf_free(&out);
	arena_free(a);
	return code;
}

/* ---- rotate ---- */

/* "7d" and the like, by the rules of the configuration. */
static enum rc
parse_keep(const char *text, struct arena *a, int64_t *keep_us, struct err *e)
{
	static const struct cfg_key key = { .name = "keep_s",
		.type = CFG_U64,
		.offset = 0,
		.fallback = "7d",
		.max = 10 * 366 * (uint64_t)86400 };
	uint64_t seconds = 0;
	enum cfg_origin origin;
	struct cfg_table t = { .keys = &key, .count = 1, .values = &seconds, .origins = &origin };
	cfg_defaults(&t, a);
	enum rc rc = text == NULL ? RC_OK : cfg_set(&t, key.name, text, CFG_OPTION, a, e);
	*keep_us = (int64_t)seconds * SECOND_US;
	return rc;
}

static void
put_rotated(struct buf *out, const char *name, const char *path, int64_t keep_us, int64_t now_us,
	bool json)
{
	char until[CLOCK_TEXT_BYTES];
	clock_format_us(now_us + keep_us, until);
	if (json) {
		buf_put_str(out, "{\"name\":");
		buf_put_json(out, bytes_str(name));
		buf_put_str(out, ",\"secret_file\":");
		buf_put_json(out, bytes_str(path));
		buf_put_str(out, ",\"old_valid_until\":");
		put_time(out, keep_us == 0 ? INT64_MAX : now_us + keep_us);
		buf_put_str(out, "}\n");
		return;
	}
	buf_printf(out, "source       %s\nnew secret   %s\n", name, path);
	if (keep_us == 0)
		buf_put_str(out, "old secrets  removed: change the sender now\n");
	else
		buf_printf(out, "old secrets  valid until %s: change the sender before\n", until);
}

static int
run_rotate(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	unsigned char secret[LIMIT_SECRET_BYTES];
	const struct cli_value *keep = cli_option(call, "keep");
	struct source_rotation rotation = { .now_us = clock_now_us() };
	const char *path = NULL;
	struct config c;
	struct err e = { 0 };
	int code = EXIT_DONE;
	if (config_load(&c, call, a, NULL, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (parse_keep(keep->given ? keep->text : NULL, a, &rotation.keep_us, &e) != RC_OK) {
		cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	code = source_cmd_secret(call, secret, &rotation.secret);
	if (code != EXIT_DONE)
		goto done;
	if (source_rotate(c.sources_dir, call->args[0], &rotation, a, &path, &e) != RC_OK) {
		code = source_cmd_fail(&e);
		goto done;
	}
	put_rotated(&out, call->args[0], path, rotation.keep_us, rotation.now_us, call->json);
	if (!cmd_print(&out))
		code = EXIT_FAILED;
done:
	crypto_wipe(secret, sizeof secret);
	buf_free(&out);
	arena_free(a);
	return code;
}

/* ---- disable, enable, remove ---- */

static int
set_disabled(const struct cli_call *call, bool disabled)
{
	struct arena *a = arena_new(4096);
	struct config c;
	struct err e = { 0 };
	bool changed = false;
	int code = EXIT_DONE;
	if (config_load(&c, call, a, NULL, &e) != RC_OK)
		code = cmd_fail(&e);
	else if (source_set_disabled(c.sources_dir, call->args[0], disabled, a, &changed, &e) !=
		 RC_OK)
		code = source_cmd_fail(&e);
	else
		fprintf(stderr, "hooklog: source %s %s %s\n", call->args[0],
			changed ? "is now" : "was already", disabled ? "disabled" : "enabled");
	arena_free(a);
	return code;
}

static int
run_disable(const struct cli_call *call)
{
	return set_disabled(call, true);
}

static int
run_enable(const struct cli_call *call)
{
	return set_disabled(call, false);
}

static int
run_remove(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	const char **files = NULL;
	size_t count = 0;
	struct config c;
	struct err e = { 0 };
	int code = EXIT_DONE;
	bool yes = cli_option(call, "yes")->given;
	if (config_load(&c, call, a, NULL, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (source_files(c.sources_dir, call->args[0], a, &files, &count, &e) != RC_OK ||
		(yes && source_remove(c.sources_dir, call->args[0], a, &e) != RC_OK)) {
		code = source_cmd_fail(&e);
		goto done;
	}
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "hooklog: %s %s\n", yes ? "removed" : "would remove", files[i]);
	if (!yes) {
		fputs("hooklog: nothing was removed; add --yes to do it\n", stderr);
		code = EXIT_FAILED;
	}
done:
	arena_free(a);
	return code;
}

static const struct cli_option rotate_options[] = {
	{ "secret-file", CLI_STRING, "FILE", "take the new secret from FILE; default: random" },
	{ "keep", CLI_STRING, "TIME",
		"how long the old secrets stay valid, such as 12h; default: 7d; 0: not at all" },
};

static const struct cli_option remove_options[] = {
	{ "yes", CLI_FLAG, NULL, "really remove it" },
};

const struct cli_command cmd_source_show = {
	.name = "source show",
	.args_help = "NAME",
	.args_min = 1,
	.args_max = 1,
	.summary = "Show one source: secrets by id and time, limits, state.",
	.details = "A secret is shown by the id that the log keeps with each event it verified,\n"
		   "never by value. One that systemd hands to the receiver is `unseen` here.\n",
	.run = run_show,
};

const struct cli_command cmd_source_rotate = {
	.name = "source rotate",
	.args_help = "NAME",
	.args_min = 1,
	.args_max = 1,
	.summary = "Give a source a new secret, and the old ones an end.",
	.details =
		"The new secret is written to a file of its own and is valid at once; deliveries\n"
		"signed with an old one are taken until --keep is over, so that the sender can\n"
		"be changed in between. A running receiver takes this up within a second.\n"
		"Secrets that have ended are removed with their files at the next rotation.\n"
		"With --keep 0 the old secrets end now: for one that somebody else has seen.\n",
	.options = rotate_options,
	.option_count = COUNT_OF(rotate_options),
	.run = run_rotate,
};

const struct cli_command cmd_source_disable = {
	.name = "source disable",
	.args_help = "NAME",
	.args_min = 1,
	.args_max = 1,
	.summary = "Take no deliveries for a source, and keep it.",
	.details = "They are answered 404, as for a source that does not exist, and are not\n"
		   "stored. `source enable` takes it back.\n",
	.run = run_disable,
};

const struct cli_command cmd_source_enable = {
	.name = "source enable",
	.args_help = "NAME",
	.args_min = 1,
	.args_max = 1,
	.summary = "Take deliveries for a disabled source again.",
	.run = run_enable,
};

const struct cli_command cmd_source_remove = {
	.name = "source remove",
	.args_help = "NAME",
	.args_min = 1,
	.args_max = 1,
	.summary = "Remove a source and its secrets.",
	.details = "Its events stay in the log. Without --yes it only lists the files it would\n"
		   "remove, and ends with code 1.\n",
	.options = remove_options,
	.option_count = COUNT_OF(remove_options),
	.run = run_remove,
};
