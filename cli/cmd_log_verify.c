/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "store/store.h"

static const struct cli_option verify_options[] = {
	{ "from", CLI_U64, "SEQ", "first event to check, default the first one" },
	{ "to", CLI_U64, "SEQ", "last event to check, default the last one" },
};

/* What the child tells when it lives to the end. */
struct verdict {
	enum rc rc;
	struct store_verify_report report;
	char text[512];
	char id[64];
};

static void
print_finding(uint64_t seq, const char *text, void *context)
{
	const bool *json = context;
	struct buf out = buf_new(LIMIT_LOG_LINE_BYTES);
	if (*json) {
		buf_printf(&out, "{\"finding\":{\"seq\":%" PRIu64 ",\"text\":", seq);
		buf_put_json(&out, utf8_valid(bytes_str(text)) ? bytes_str(text) : bytes_str("?"));
		buf_put_str(&out, "}}\n");
	} else if (seq == 0) {
		buf_printf(&out, "damage: %s\n", text);
	} else {
		buf_printf(&out, "damage at event %" PRIu64 ": %s\n", seq, text);
	}
	/* At once: the next record may kill this process. */
	if (!cmd_print(&out) || fflush(stdout) != 0)
		_exit(EXIT_FAILED);
	buf_free(&out);
}

static void
verify_child(const char *dir, uint64_t from, uint64_t to, bool json, int out)
{
	struct verdict v = { .rc = RC_OK };
	struct err e = { 0 };
	v.rc = store_verify(dir, from, to, print_finding, &json, &v.report, &e);
	snprintf(v.text, sizeof v.text, "%s", v.rc == RC_OK ? "" : e.text);
	snprintf(v.id, sizeof v.id, "%s", v.rc == RC_OK || e.id == NULL ? "" : e.id);
	_exit(write(out, &v, sizeof v) == (ssize_t)sizeof v ? EXIT_DONE : EXIT_FAILED);
}

static int
print_verdict(const struct verdict *v, bool json)
{
	const struct store_verify_report *r = &v->report;
	struct buf out = buf_new(4096);
	if (json) {
		buf_printf(&out,
			"{\"sound\":%s,\"checked_events\":%" PRIu64 ",\"checked_bytes\":%" PRIu64
			",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"findings\":%" PRIu64
			",\"chain\":\"",
			v->rc == RC_OK ? "true" : "false", r->checked_events, r->checked_bytes,
			r->first_seq, r->last_seq, r->error_count);
		buf_put_hex(&out, r->chain, STORE_CHAIN_BYTES);
		buf_put_str(&out, "\"}\n");
	} else {
		buf_printf(&out, "%s: %" PRIu64 " events, %" PRIu64 " bytes, %" PRIu64 " to %" PRIu64
				", %" PRIu64 " findings\nchain ",
			v->rc == RC_OK ? "sound" : "DAMAGED", r->checked_events, r->checked_bytes,
			r->first_seq, r->last_seq, r->error_count);
		buf_put_hex(&out, r->chain, STORE_CHAIN_BYTES);
		buf_put_char(&out, '\n');
	}
	bool ok = cmd_print(&out);
	buf_free(&out);
	if (!ok)
		return EXIT_FAILED;
	return v->rc == RC_OK ? EXIT_DONE : EXIT_DAMAGE;
}

/* The parent never touches the log: damage in LMDB's pages may kill whoever reads them. */
static int
verify_in_child(const char *dir, uint64_t from, uint64_t to, bool json)
{
	struct err e = { 0 };
	struct verdict v = { .rc = RC_IO };
	int fds[2], status = 0;
	if (pipe(fds) != 0) {
		err_sys(&e, RC_IO, NULL, errno, "make a pipe");
		return cmd_fail(&e);
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		verify_child(dir, from, to, json, fds[1]);
	close(fds[1]);
	ssize_t n = pid < 0 ? 0 : read(fds[0], &v, sizeof v);
	close(fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (n == (ssize_t)sizeof v && (v.rc == RC_OK || v.report.error_count > 0))
		return print_verdict(&v, json);
	if (n == (ssize_t)sizeof v) {
		err_set(&e, v.rc, v.rc == RC_NOTFOUND ? "log.missing" : "log.damaged", "%s", v.text);
		return cmd_fail(&e);
	}
	if (pid > 0 && WIFSIGNALED(status)) {
		err_set(&e, RC_CORRUPT, "log.damaged",
			"reading the log %s killed the checking process (signal %d): a segment's inner pages are "
			"damaged; narrow it down with --from and --to",
			dir, WTERMSIG(status));
		cmd_fail(&e);
		return EXIT_DAMAGE;
	}
	err_set(&e, RC_IO, NULL, "the checking process failed");
	return cmd_fail(&e);
}

static int
run_verify(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct config c;
	struct err e = { 0 };
	int code;
	if (config_load(&c, call, a, NULL, &e) != RC_OK)
		code = cmd_fail(&e);
	else
		code = verify_in_child(c.log_dir, cli_option(call, "from")->u64,
			cli_option(call, "to")->u64, call->json);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_verify = {
	.name = "log verify",
	.args_help = "",
	.summary = "Check every record, the chain and the dedupe index",
	.details = "Safe while hooklog runs. Exit code 8 when something is damaged; each finding is a line.\n"
		   "Compare the printed chain value with one noted earlier to see that history is the same.\n",
	.options = verify_options,
	.option_count = COUNT_OF(verify_options),
	.run = run_verify,
};
