/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "store/store.h"

/* A payload and a dictionary in hexadecimal, and little else. */
#define PROOF_BYTES_MAX (2 * LIMIT_RECORD_BYTES + ((size_t)16 << 20))

/* ---- log prove ---- */

static const struct cli_option prove_options[] = {
	{ "out", CLI_STRING, "FILE", "where the proof goes, default stdout" },
};

static int
run_prove(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(PROOF_BYTES_MAX);
	struct config c;
	struct store_reader *r = NULL;
	struct err e = { 0 };
	const struct cli_value *file = cli_option(call, "out");
	char *end;
	int code = EXIT_DONE;
	errno = 0;
	uint64_t seq = strtoull(call->args[0], &end, 10);
	if (call->args[0][0] < '1' || call->args[0][0] > '9' || *end != '\0' || errno != 0) {
		fprintf(stderr, "hooklog: %s is no event number\n", call->args[0]);
		code = EXIT_USAGE;
		goto done;
	}
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = store_reader_open(&r, c.log_dir, &e);
	if (rc == RC_OK)
		rc = store_prove(r, seq, &out, &e);
	if (rc == RC_OK && out.overflow)
		rc = err_set(&e, RC_INVALID, NULL, "the proof is larger than %zu bytes", PROOF_BYTES_MAX);
	if (rc == RC_OK && file->given)
		rc = fs_write(file->text, buf_bytes(&out), 0600, &e);
	if (rc != RC_OK)
		code = cmd_fail(&e);
	else if (!file->given && !cmd_print(&out))
		code = EXIT_FAILED;
done:
	store_reader_close(r);
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_prove = {
	.name = "log prove",
	.args_help = "SEQ",
	.args_min = 1,
	.args_max = 1,
	.summary = "Write a proof that an event is in the log, for somebody without the log",
	.details = "The proof holds the event itself, with its body, and no other one. Whoever has it and the\n"
		   "log's public key can check it with `log check-proof`, or with a few lines of another\n"
		   "language (docs/on-disk-format.md). An event newer than the last signed checkpoint cannot\n"
		   "be proven yet; see store.checkpoint_interval_s. Of a redacted event the proof shows that it\n"
		   "was in the log, and brings the audit event that says that its body was erased.\n",
	.options = prove_options,
	.option_count = COUNT_OF(prove_options),
	.run = run_prove,
};

/* ---- log check-proof ---- */

static const struct cli_option check_options[] = {
	{ "body", CLI_FLAG, NULL, "print nothing but the event's body, if the proof is right" },
	{ "key", CLI_STRING, "HEX", "the log's public key, as `log key` prints it; required" },
};

static void
put_proven(struct buf *out, const struct store_proven *p, const struct cli_call *call)
{
	const struct event *ev = &p->record.event;
	char at[CLOCK_TEXT_BYTES];
	bool redacted = (ev->flags & EVENT_FLAG_REDACTED) != 0;
	if (cli_option(call, "body")->given) {
		if (redacted)
			fprintf(stderr, "hooklog: the body was erased by redaction (audit event %" PRIu64 ")\n",
				p->audit.event.seq);
		buf_put_bytes(out, ev->body);
		return;
	}
	if (call->json) {
		event_put_json(out, ev);
		buf_put_char(out, '\n');
		return;
	}
	buf_put_str(out, "proven: the log ");
	buf_put_hex(out, p->log_id, STORE_LOG_ID_BYTES);
	clock_format_us(ev->received_at_us, at);
	buf_printf(out, " holds event %" PRIu64 ", received %s", ev->seq, at);
	if (redacted)
		buf_printf(out,
			"\nevent %" PRIu64 " was in the log; its body was erased by redaction (audit event %" PRIu64
			")", ev->seq, p->audit.event.seq);
	clock_format_us((int64_t)p->by.at_us, at);
	buf_printf(out, "\nsigned %s, up to event %" PRIu64 "\n", at, p->by.seq);
	if (redacted) {
		buf_put_str(out, "audit event ");
		buf_put_bytes(out, p->audit.event.body);
		buf_put_str(out, "\nerased body, sha256 ");
	} else {
		buf_printf(out, "body %zu bytes, sha256 ", ev->body.len);
	}
	unsigned char sha256[SHA256_BYTES];
	event_body_sha256(ev, sha256);
	buf_put_hex(out, sha256, sizeof sha256);
	buf_put_char(out, '\n');
}

static int
run_check(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(7 * LIMIT_RECORD_BYTES);
	struct bytes text;
	struct store_proven proven;
	unsigned char key[ED25519_KEY_BYTES];
	struct err e = { 0 };
	const struct cli_value *key_text = cli_option(call, "key");
	int code = EXIT_DONE;
	if (!key_text->given || !crypto_unhex(bytes_str(key_text->text), key, sizeof key)) {
		fprintf(stderr, "hooklog: --key with 64 hexadecimal digits is required, as `log key` prints "
				"them; take it from whoever vouches for the log, not from the proof\n");
		code = EXIT_USAGE;
		goto done;
	}
	enum rc rc = fs_read(call->args[0], PROOF_BYTES_MAX, a, &text, &e);
	if (rc == RC_OK)
		rc = store_check_proof(text, key, a, &proven, &e);
	if (rc == RC_DENIED) {
		fprintf(stderr, "hooklog: NOT PROVEN: %s\n", e.text);
		code = EXIT_DAMAGE;
	} else if (rc != RC_OK) {
		code = cmd_fail(&e);
	} else {
		put_proven(&out, &proven, call);
		if (!cmd_print(&out))
			code = EXIT_FAILED;
	}
done:
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_check_proof = {
	.name = "log check-proof",
	.args_help = "FILE",
	.args_min = 1,
	.args_max = 1,
	.summary = "Check a proof made by log prove; needs no log",
	.details = "Exit code 0: the event was in the log as it is shown when the holder of the key signed it.\n"
		   "Exit code 8: the proof does not show that.\n",
	.options = check_options,
	.option_count = COUNT_OF(check_options),
	.run = run_check,
};
