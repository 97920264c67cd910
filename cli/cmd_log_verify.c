/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "store/store.h"

/* Findings the JSON report lists; further ones are only counted. */
#define LISTED_MAX 1000
#define NOTED_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define LIST_BYTES_MAX ((size_t)4 * 1024 * 1024)

static const struct cli_option verify_options[] = {
	{ "from", CLI_U64, "SEQ", "first event to check, default the first one" },
	{ "jobs", CLI_U64, "N", "processes at once, default one per core" },
	{ "key", CLI_STRING, "HEX", "public key all checkpoints must go back to, from `log key`" },
	{ "noted", CLI_STRING, "FILE", "checkpoints kept elsewhere, lines of log/checkpoints, to compare with" },
	{ "resume", CLI_FLAG, NULL, "go on where an interrupted run of the same state file stopped" },
	{ "state", CLI_STRING, "FILE", "what is done so far, default verify.state beside the log" },
	{ "to", CLI_U64, "SEQ", "last event to check, default the last one" },
};

struct output {
	bool json;
	struct buf errors, warnings;
	size_t error_count, warning_count;
};

static void
list(struct buf *out, size_t *count, uint64_t seq, const char *text)
{
	if (++*count > LISTED_MAX)
		return;
	buf_printf(out, "%s{\"seq\":%" PRIu64 ",\"text\":", *count > 1 ? "," : "", seq);
	buf_put_json(out, utf8_valid(bytes_str(text)) ? bytes_str(text) : bytes_str("?"));
	buf_put_char(out, '}');
}

static void
print_one(const char *word, uint64_t seq, const char *text)
{
	struct buf out = buf_new(LIMIT_LOG_LINE_BYTES);
	cmd_progress_end();
	if (seq == 0)
		buf_printf(&out, "%s: %s\n", word, text);
	else
		buf_printf(&out, "%s at event %" PRIu64 ": %s\n", word, seq, text);
	/* A pipe that nobody reads shows at the end. */
	if (cmd_print(&out))
		fflush(stdout);
	buf_free(&out);
}

static void
take_finding(uint64_t seq, const char *text, void *context)
{
	struct output *o = context;
	if (o->json)
		list(&o->errors, &o->error_count, seq, text);
	else
		print_one("damage", seq, text);
}

static void
take_warning(uint64_t seq, const char *text, void *context)
{
	struct output *o = context;
	if (o->json)
		list(&o->warnings, &o->warning_count, seq, text);
	else
		print_one("warning", seq, text);
}

static void
show_progress(uint64_t events, uint64_t bytes, void *context)
{
	(void)context;
	cmd_progress("%" PRIu64 " events, %.1f MiB checked", events, (double)bytes / (1024.0 * 1024.0));
}

static void
put_json(struct buf *out, const struct output *o, const struct store_verify_report *r)
{
	buf_printf(out,
		"{\"sound\":%s,\"checked_events\":%" PRIu64 ",\"checked_bytes\":%" PRIu64
		",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"statements\":%" PRIu64
		",\"resumed_segments\":%" PRIu64 ",\"error_count\":%" PRIu64 ",\"warning_count\":%" PRIu64
		",\"chain\":\"",
		r->error_count == 0 ? "true" : "false", r->checked_events, r->checked_bytes, r->first_seq,
		r->last_seq, r->statements, r->resumed, r->error_count, r->warning_count);
	buf_put_hex(out, r->chain, STORE_CHAIN_BYTES);
	buf_put_str(out, "\",\"errors\":[");
	buf_put_bytes(out, buf_bytes(&o->errors));
	buf_put_str(out, "],\"warnings\":[");
	buf_put_bytes(out, buf_bytes(&o->warnings));
	buf_put_str(out, "]}\n");
}

static void
put_text(struct buf *out, const struct store_verify_report *r)
{
	buf_printf(out,
		"%s: %" PRIu64 " events, %" PRIu64 " bytes, %" PRIu64 " to %" PRIu64 ", %" PRIu64
		" findings, %" PRIu64 " warnings, %" PRIu64 " signed statements\n",
		r->error_count == 0 ? "sound" : "DAMAGED", r->checked_events, r->checked_bytes, r->first_seq,
		r->last_seq, r->error_count, r->warning_count, r->statements);
	if (r->resumed > 0)
		buf_printf(out, "of these %" PRIu64 " segments were checked by an earlier run\n", r->resumed);
	buf_put_str(out, "chain ");
	buf_put_hex(out, r->chain, STORE_CHAIN_BYTES);
	buf_put_char(out, '\n');
}

static int
verify(const struct store_verify_options *options, struct output *o)
{
	struct buf out = buf_new(3 * LIST_BYTES_MAX);
	struct store_verify_report report;
	struct err e = { 0 };
	int code = EXIT_DONE;
	enum rc rc = store_verify_parallel(options, &report, &e);
	cmd_progress_end();
	if (rc != RC_OK && report.error_count == 0) {
		code = cmd_fail(&e);
	} else {
		if (o->json)
			put_json(&out, o, &report);
		else
			put_text(&out, &report);
		code = !cmd_print(&out) ? EXIT_FAILED : rc == RC_OK ? EXIT_DONE : EXIT_DAMAGE;
	}
	buf_free(&out);
	return code;
}

static int
run_verify(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct output o = { .json = call->json, .errors = buf_new(LIST_BYTES_MAX),
		.warnings = buf_new(LIST_BYTES_MAX) };
	unsigned char key[ED25519_KEY_BYTES];
	const struct cli_value *key_text = cli_option(call, "key"), *state = cli_option(call, "state");
	uint64_t jobs = cli_option(call, "jobs")->u64;
	struct config c;
	struct err e = { 0 };
	struct bytes noted = { NULL, 0 };
	int code;
	if (config_load(&c, call, a, NULL, &e) != RC_OK ||
		(cli_option(call, "noted")->given &&
			fs_read(cli_option(call, "noted")->text, NOTED_BYTES_MAX, a, &noted, &e) != RC_OK)) {
		code = cmd_fail(&e);
	} else if (key_text->given && !crypto_unhex(bytes_str(key_text->text), key, sizeof key)) {
		fprintf(stderr, "hooklog: --key wants 64 hexadecimal digits, as `log key` prints them\n");
		code = EXIT_USAGE;
	} else {
		const struct store_verify_options options = { .dir = c.log_dir,
			.first = cli_option(call, "from")->u64,
			.last = cli_option(call, "to")->u64,
			.key = key_text->given ? key : NULL,
			.noted = noted,
			.found = take_finding,
			.warned = take_warning,
			.progress = show_progress,
			.context = &o,
			.jobs = jobs < 64 ? (unsigned)jobs : 64,
			.state = state->given ? state->text : arena_printf(a, "%s/verify.state", c.data_dir),
			.resume = cli_option(call, "resume")->given };
		code = verify(&options, &o);
	}
	buf_free(&o.errors);
	buf_free(&o.warnings);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_verify = {
	.name = "log verify",
	.args_help = "",
	.summary = "Check every record, the chain, the signed checkpoints and the dedupe index",
	.details =
		"Safe while hooklog runs. Exit code 8 when something is damaged; each finding is a line.\n"
		"Warnings do not count as damage. With --key nothing is believed that was signed by a key\n"
		"this one did not lead to. With --noted a log that was set back to an older backup, or that\n"
		"was rewritten together with its checkpoints, is found.\n"
		"Each segment is checked by a process of its own; damage that kills it is a finding.\n"
		"After an interruption --resume leaves out the segments that were found sound and have\n"
		"not changed since. With --json one object: errors and warnings (the first 1000 of each).\n"
		"Compare the printed chain value with one noted earlier to see that history is the same.\n",
	.options = verify_options,
	.option_count = COUNT_OF(verify_options),
	.run = run_verify,
};
