/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/ops.h"

static const struct cli_option options[] = {
	{ "older-than", CLI_STRING, "TIME",
		"only segments whose last event is this old: 90d, 12h, 30m, 10s" },
	{ "keep-segments", CLI_U64, "N", "keep the newest N segments, the open one included" },
	{ "archive", CLI_STRING, "DIR", "the archive, default store.archive_dir" },
	{ "yes", CLI_FLAG, NULL, "remove them; without it only say which" },
};

/* "90d" in microseconds; false: not such a time. */
static bool
parse_age(const char *text, int64_t *us)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	int64_t n = 0;
	size_t i = 0;
	for (; text[i] >= '0' && text[i] <= '9' && i < 9; i++)
		n = n * 10 + (text[i] - '0');
	if (i == 0 || text[i] == '\0' || text[i + 1] != '\0')
		return false;
	for (size_t j = 0; j < COUNT_OF(units); j++) {
		if (units[j].unit != text[i])
			continue;
		/* Nine digits of weeks stay below 2^63 microseconds. */
		*us = n * units[j].s * 1000000;
		return true;
	}
	return false;
}

static enum rc
parse_rule(const struct cli_call *call, struct store_prune_rule *rule, struct err *e)
{
	const struct cli_value *age = cli_option(call, "older-than"),
			       *keep = cli_option(call, "keep-segments");
	int64_t us = 0;
	*rule = (struct store_prune_rule){ 0 };
	if (!age->given && !keep->given)
		return err_set(e, RC_INVALID, NULL,
			"say what may go: --older-than, --keep-segments, or both");
	if (age->given && !parse_age(age->text, &us))
		return err_set(e, RC_INVALID, NULL,
			"--older-than is a number with s, m, h, d or w, not %s", age->text);
	if (keep->given && keep->u64 == 0)
		return err_set(e, RC_INVALID, NULL,
			"--keep-segments is at least 1: the open one always stays");
	if (age->given)
		rule->before_us = clock_now_us() - us;
	rule->keep_segments = (size_t)keep->u64;
	return RC_OK;
}

static void
put_pruned(struct buf *out, const struct store_pruned *p, bool really, bool json)
{
	char last_at[CLOCK_TEXT_BYTES];
	clock_format_us(p->last_at_us, last_at);
	if (json)
		buf_printf(out,
			"{\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"last_at\":\"%s\",\"archive_file\":\"%s\",\"removed\":%s}\n",
			p->first_seq, p->last_seq, p->bytes, last_at, p->archive_file,
			really ? "true" : "false");
	else
		buf_printf(out,
			"%s %" PRIu64 " to %" PRIu64 ", %.1f MiB, last event %s, archived as %s\n",
			really ? "removed" : "would remove", p->first_seq, p->last_seq,
			(double)p->bytes / (1024.0 * 1024.0), last_at, p->archive_file);
}

static int
run_prune(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct config c;
	struct store_prune_rule rule;
	const struct store_pruned *pruned;
	const struct cli_value *archive = cli_option(call, "archive");
	size_t count = 0;
	struct err e = { 0 };
	bool really = cli_option(call, "yes")->given;
	int code = EXIT_DONE;
	if (parse_rule(call, &rule, &e) != RC_OK) {
		cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	enum rc rc = config_load(&c, call, a, NULL, &e);
	const char *dir = archive->given ? archive->text : c.store_archive_dir;
	if (rc == RC_OK && dir[0] == '\0')
		rc = err_set(&e, RC_INVALID, "config.invalid",
			"only what is archived is removed: set store.archive_dir, or name the "
			"archive with --archive");
	if (rc == RC_OK)
		rc = store_prune(c.log_dir, dir, &rule, really, a, &pruned, &count, &e);
	for (size_t i = 0; i < count; i++)
		put_pruned(&out, &pruned[i], really, call->json);
	if (rc == RC_OK && !call->json && count == 0)
		buf_put_str(&out, "nothing to remove\n");
	if (rc == RC_OK && !call->json && count > 0 && !really)
		buf_put_str(&out, "nothing was removed; add --yes to do it\n");
	if (!cmd_print(&out))
		code = EXIT_FAILED;
	/* What was removed is said even when the next one must stay. */
	if (rc != RC_OK)
		code = cmd_fail(&e);
done:
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_prune = {
	.name = "log prune",
	.args_help = "",
	.summary = "Remove old segments that are archived; says which, and does it with --yes",
	.details = "Whole finished segments, oldest first. One is removed only when its copy in "
		   "the archive has, now,\n"
		   "the size and hash the archive's manifest states, is the same as the log's own "
		   "file, and every\n"
		   "record in it can be read. What was removed is noted in log/removed. With both "
		   "options a segment\n"
		   "must satisfy both. Safe while hooklog runs. With store.archive_dir set, "
		   "removed events can still\n"
		   "be read; without it the projector and replay say what they lack.\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run_prune,
};
