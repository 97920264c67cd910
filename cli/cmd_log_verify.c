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
	{ "key", CLI_STRING, "HEX", "public key all checkpoints must go back to, from `log key`" },
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
print_one(const char *kind, const char *word, uint64_t seq, const char *text, bool json)
{
	struct buf out = buf_new(LIMIT_LOG_LINE_BYTES);
	if (json) {
		buf_printf(&out, "{\"%s\":{\"seq\":%" PRIu64 ",\"text\":", kind, seq);
		buf_put_json(&out, utf8_valid(bytes_str(text)) ? bytes_str(text) : bytes_str("?"));
		buf_put_str(&out, "}}\n");
	} else if (seq == 0) {
		buf_printf(&out, "%s: %s\n", word, text);
	} else {
		buf_printf(&out, "%s at event %" PRIu64 ": %s\n", word, seq, text);
	}
	/* At once: the next record may kill this process. */
	if (!cmd_print(&out) || fflush(stdout) != 0)
		_exit(EXIT_FAILED);
	buf_free(&out);
}

static void
print_finding(uint64_t seq, const char *text, void *context)
{
	print_one("finding", "damage", seq, text, *(const bool *)context);
}

static void
print_warning(uint64_t seq, const char *text, void *context)
{
	print_one("warning", "warning", seq, text, *(const bool *)context);
}

static void
verify_child(const char *dir, uint64_t from, uint64_t to, const unsigned char *key, bool json, int out)
{
	const struct store_verify_options options = { .dir = dir, .first = from, .last = to, .key = key,
		.found = print_finding, .warned = print_warning, .context = &json };
	struct verdict v = { .rc = RC_OK };
	struct err e = { 0 };
	v.rc = store_verify_with(&options, &v.report, &e);
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
			",\"warnings\":%" PRIu64 ",\"statements\":%" PRIu64 ",\"chain\":\"",
			v->rc == RC_OK ? "true" : "false", r->checked_events, r->checked_bytes,
			r->first_seq, r->last_seq, r->error_count, r->warning_count, r->statements);
		buf_put_hex(&out, r->chain, STORE_CHAIN_BYTES);
		buf_put_str(&out, "\"}\n");
	} else {
		buf_printf(&out, "%s: %" PRIu64 " events, %" PRIu64 " bytes, %" PRIu64 " to %" PRIu64
				", %" PRIu64 " findings, %" PRIu64 " warnings, %" PRIu64
				" signed statements\nchain ",
			v->rc == RC_OK ? "sound" : "DAMAGED", r->checked_events, r->checked_bytes,
			r->first_seq, r->last_seq, r->error_count, r->warning_count, r->statements);
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
verify_in_child(const char *dir, uint64_t from, uint64_t to, const unsigned char *key, bool json)
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
		verify_child(dir, from, to, key, json, fds[1]);
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
	unsigned char key[ED25519_KEY_BYTES];
	const struct cli_value *key_text = cli_option(call, "key");
	int code;
	if (config_load(&c, call, a, NULL, &e) != RC_OK) {
		code = cmd_fail(&e);
	} else if (key_text->given && !crypto_unhex(bytes_str(key_text->text), key, sizeof key)) {
		fprintf(stderr, "hooklog: --key wants 64 hexadecimal digits, as `log key` prints them\n");
		code = EXIT_USAGE;
	} else {
		code = verify_in_child(c.log_dir, cli_option(call, "from")->u64,
			cli_option(call, "to")->u64, key_text->given ? key : NULL, call->json);
	}
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_verify = {
	.name = "log verify",
	.args_help = "",
	.summary = "Check every record, the chain, the signed checkpoints and the dedupe index",
	.details = "Safe while hooklog runs. Exit code 8 when something is damaged; each finding is a line.\n"
		   "Warnings do not count as damage. With --key nothing signed by another key is believed.\n"
		   "Compare the printed chain value with one noted earlier to see that history is the same.\n",
	.options = verify_options,
	.option_count = COUNT_OF(verify_options),
	.run = run_verify,
};
