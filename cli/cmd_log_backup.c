/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/ops.h"

static void
show_progress(uint64_t seq, uint64_t bytes, void *context)
{
	cmd_progress("%s up to event %" PRIu64 ", %" PRIu64 " MiB", (const char *)context, seq,
		bytes >> 20);
}

static int
put_report(const struct store_backup_report *r, bool json, const char *done)
{
	struct buf out = buf_new(4096);
	if (json) {
		buf_printf(&out,
			"{\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"segments\":%" PRIu64
			",\"segments_copied\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"bytes_copied\":%" PRIu64 ",\"chain\":\"",
			r->first_seq, r->last_seq, r->segments, r->segments_copied, r->bytes,
			r->bytes_copied);
		buf_put_hex(&out, r->chain, sizeof r->chain);
		buf_put_str(&out, "\"}\n");
	} else {
		buf_printf(&out,
			"%s events %" PRIu64 " to %" PRIu64 ": %" PRIu64 " segments, %" PRIu64
			" copied now, %.1f MiB\nchain ",
			done, r->first_seq, r->last_seq, r->segments, r->segments_copied,
			(double)r->bytes_copied / (1024.0 * 1024.0));
		buf_put_hex(&out, r->chain, sizeof r->chain);
		buf_put_char(&out, '\n');
	}
	bool ok = cmd_print(&out);
	buf_free(&out);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

static int
copy(const struct cli_call *call, bool archive)
{
	struct arena *a = arena_new(4096);
	char what[] = "copied";
	struct config c;
	struct store_reader *r = NULL;
	struct store_backup_report report;
	struct err e = { 0 };
	enum rc rc = config_load(&c, call, a, NULL, &e);
	const char *dir = call->arg_count > 0 ? call->args[0] : c.store_archive_dir;
	if (rc == RC_OK && dir[0] == '\0')
		rc = err_set(&e, RC_INVALID, "config.invalid",
			"name a folder, or set store.archive_dir");
	/* Of the log alone: what is only in the archive is safe there. */
	if (rc == RC_OK)
		rc = store_reader_open(&r, c.log_dir, &e);
	if (rc == RC_OK)
		rc = archive ? store_archive(r, c.log_dir, dir, show_progress, what, &report, &e)
			     : store_backup(r, c.log_dir, dir, cli_option(call, "with-key")->given,
				       show_progress, what, &report, &e);
	cmd_progress_end();
	int code = rc == RC_OK ? put_report(&report, call->json, archive ? "archived" : "backed up")
			       : cmd_fail(&e);
	store_reader_close(r);
	arena_free(a);
	return code;
}

static int
run_backup(const struct cli_call *call)
{
	return copy(call, false);
}

static int
run_archive(const struct cli_call *call)
{
	return copy(call, true);
}

const struct cli_command cmd_log_archive = {
	.name = "log archive",
	.args_help = "[DIR]",
	.args_max = 1,
	.summary = "Copy finished segments into the archive; again: only those that are new",
	.details =
		"DIR is the value of store.archive_dir when left out. Each file is named by the "
		"day of its first\n"
		"event and its numbers, and never changes; MANIFEST names all with sizes and "
		"SHA-256. With\n"
		"store.archive_dir set, every command reads from there what `log prune` removed.\n",
	.run = run_archive,
};

static const struct cli_option backup_options[] = {
	{ "with-key", CLI_FLAG, NULL, "the private key that signs checkpoints, too: keep such a backup as a secret" },
};

const struct cli_command cmd_log_backup = {
	.name = "log backup",
	.args_help = "DIR",
	.args_min = 1,
	.args_max = 1,
	.summary = "Copy the log into a folder, while it runs; again: only what is new",
	.details = "Finished segments are copied as files, the open one up to the event that was "
		   "the last when the\n"
		   "backup began. The file MANIFEST, written last, names all with sizes and "
		   "SHA-256; until then\n"
		   "the backup before is valid. Run again into the same folder it copies what is "
		   "new. The sources\n"
		   "and their secrets are not part of it, nor is, without --with-key, the signing key: a log\n"
		   "restored without it goes on with a new one (docs/operations.md).\n",
	.options = backup_options,
	.option_count = COUNT_OF(backup_options),
	.run = run_backup,
};

static int
run_restore(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	char what[] = "restored";
	struct config c;
	struct store_backup_report report;
	struct err e = { 0 };
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = store_restore(call->args[0], c.log_dir, show_progress, what, &report, &e);
	cmd_progress_end();
	int code = rc == RC_OK ? put_report(&report, call->json, "restored and verified")
			       : cmd_fail(&e);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_restore = {
	.name = "log restore",
	.args_help = "DIR",
	.args_min = 1,
	.args_max = 1,
	.summary =
		"Make the log of an empty data folder from a backup or an archive, and verify it",
	.details = "Every file is compared with the manifest while it is copied, then all of it is "
		   "verified; only\n"
		   "then does the log appear. A log with events is never overwritten: move it away "
		   "first.\n"
		   "  hooklog log restore /backup/hooklog --data /var/lib/hooklog\n",
	.run = run_restore,
};
