/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/ops.h"

#define REASON_BYTES_MAX 1000

static const struct cli_option options[] = {
	{ "reason", CLI_STRING, "TEXT",
		"why; kept in the log for ever, so without what is to be erased" },
};

static enum rc
parse(const struct cli_call *call, uint64_t *seq, struct err *e)
{
	const struct cli_value *reason = cli_option(call, "reason");
	const char *text = call->args[0];
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	*seq = (uint64_t)v;
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v == 0)
		return err_set(e, RC_INVALID, NULL, "%s is no event number", text);
	if (!reason->given || reason->text[0] == '\0')
		return err_set(
			e, RC_INVALID, NULL, "--reason is needed: the audit event states it");
	if (strlen(reason->text) > REASON_BYTES_MAX || !utf8_valid(bytes_str(reason->text)))
		return err_set(e, RC_INVALID, NULL, "--reason is UTF-8 of at most %d bytes",
			REASON_BYTES_MAX);
	return RC_OK;
}

static int
run_redact(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(4096);
	struct config c;
	struct store_redact_report r;
	uint64_t seq;
	struct err e = { 0 };
	int code = EXIT_DONE;
	if (parse(call, &seq, &e) != RC_OK) {
		cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK) {
		const struct store_options store = services_store_options(&c);
		rc = store_redact(&store, seq, cli_option(call, "reason")->text, &r, &e);
	}
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (call->json) {
		buf_printf(&out,
			"{\"seq\":%" PRIu64 ",\"audit_seq\":%" PRIu64
			",\"before\":%s,\"local\":%s,\"archived\":%s,\"record_sha256\":\"",
			r.seq, r.audit_seq, r.before ? "true" : "false", r.local ? "true" : "false",
			r.archived ? "true" : "false");
		buf_put_hex(&out, r.record_sha256, SHA256_BYTES);
		buf_put_str(&out, "\"}\n");
	} else {
		buf_printf(&out,
			"event %" PRIu64 " %s redacted%s%s; its audit is event %" PRIu64 "\n",
			r.seq, r.before ? "was already" : "is", r.local ? ", in the log" : "",
			r.archived ? ", in the archive" : "", r.audit_seq);
		buf_put_str(&out, "backups, exports and tables still hold it: docs/operations.md, "
				  "\"Erasing an event\"\n");
	}
	if (!cmd_print(&out))
		code = EXIT_FAILED;
done:
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_redact = {
	.name = "log redact",
	.args_help = "SEQ",
	.args_min = 1,
	.args_max = 1,
	.summary = "Erase the body of one event for good, provably and with an audit event",
	.details = "Number, time, envelope, hash and chain stay and can still be verified; the "
		   "body is gone from the\n"
		   "log and from store.archive_dir. Cannot be undone. Safe while hooklog runs: the "
		   "open segment is\n"
		   "finished first when the event is in it. What was interrupted is completed by "
		   "running it again.\n"
		   "  hooklog log redact 4711 --reason 'request of 2026-11-20, ticket 88'\n",
	.options = options,
	.option_count = COUNT_OF(options),
	.run = run_redact,
};
