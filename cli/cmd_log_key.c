/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "store/ops.h"

static const struct cli_option key_options[] = {
	{ "history", CLI_FLAG, NULL, "all keys the log had, with when each began and who vouches for it" },
	{ "pem", CLI_FLAG, NULL, "as a PEM file, as OpenSSL and others read it" },
};

/* What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410). */
static const unsigned char spki[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };

static void
put_key(struct buf *out, const unsigned char key[ED25519_KEY_BYTES], bool json, bool pem)
{
	unsigned char der[sizeof spki + ED25519_KEY_BYTES];
	if (json)
		buf_put_str(out, "{\"algorithm\":\"ed25519\",\"key\":\"");
	if (json || !pem) {
		buf_put_hex(out, key, ED25519_KEY_BYTES);
		buf_put_str(out, json ? "\"}\n" : "\n");
		return;
	}
	memcpy(der, spki, sizeof spki);
	memcpy(der + sizeof spki, key, ED25519_KEY_BYTES);
	buf_put_str(out, "-----BEGIN PUBLIC KEY-----\n");
	crypto_put_base64(out, (struct bytes){ der, sizeof der });
	buf_put_str(out, "\n-----END PUBLIC KEY-----\n");
}

/* One line per key: since when, and who introduced it. */
static void
put_history(struct buf *out, const struct store_statement *st, size_t count, bool json)
{
	static const struct {
		const char *name, *text;
	} by[] = { { "first", "the first one" }, { "previous", "signed by the one before" },
		{ "nobody", "NOT signed by the one before, which was lost" } };
	const unsigned char *before = NULL;
	char since[CLOCK_TEXT_BYTES];
	for (size_t i = 0; i < count; i++) {
		if (st[i].kind != STORE_KEY)
			continue;
		size_t n = before == NULL ? 0 : memcmp(st[i].key, before, ED25519_KEY_BYTES) == 0 ? 1 : 2;
		clock_format_us((int64_t)st[i].at_us, since);
		if (json)
			buf_put_str(out, "{\"key\":\"");
		buf_put_hex(out, st[i].new_key, ED25519_KEY_BYTES);
		if (json)
			buf_printf(out, "\",\"since\":\"%s\",\"introduced_by\":\"%s\"}\n", since, by[n].name);
		else
			buf_printf(out, " since %s, %s\n", since, by[n].text);
		before = st[i].new_key;
	}
}

/* All statements of the log, in a; *count leads to the last one that names a key. */
static enum rc
read_keys(const char *log_dir, struct arena *a, const struct store_statement **st, size_t *count,
	struct err *e)
{
	enum rc rc = store_statements(log_dir, a, st, count, e);
	while (rc == RC_OK && *count > 0 && (*st)[*count - 1].kind != STORE_KEY)
		--*count;
	if (rc == RC_NOTFOUND || (rc == RC_OK && *count == 0))
		rc = err_set(e, RC_NOTFOUND, "log.missing",
			"nothing was signed in %s yet; the key is made by the first `hooklog ingest`", log_dir);
	return rc;
}

static int
run_key(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new((size_t)1 << 20);
	struct config c;
	const struct store_statement *st;
	size_t count = 0;
	struct err e = { 0 };
	int code = EXIT_DONE;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = read_keys(c.log_dir, a, &st, &count, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
	} else {
		if (cli_option(call, "history")->given)
			put_history(&out, st, count, call->json);
		else
			put_key(&out, st[count - 1].new_key, call->json, cli_option(call, "pem")->given);
		if (!cmd_print(&out))
			code = EXIT_FAILED;
	}
	buf_free(&out);
	arena_free(a);
	return code;
}

static int
run_rotate_key(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(4096);
	struct config c;
	struct store_appender *appender = NULL;
	const struct store_statement *st;
	size_t count = 0;
	struct err e = { 0 };
	int code = EXIT_DONE;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	/* Opening would make what is not there. */
	if (rc == RC_OK)
		rc = read_keys(c.log_dir, a, &st, &count, &e);
	if (rc == RC_OK) {
		const struct store_options options = services_store_options(&c);
		rc = store_appender_open(&appender, &options, &e);
	}
	if (rc == RC_OK)
		rc = store_appender_rotate_key(appender, &e);
	store_appender_close(appender);
	if (rc == RC_OK)
		rc = read_keys(c.log_dir, a, &st, &count, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
	} else {
		put_key(&out, st[count - 1].new_key, call->json, false);
		if (!cmd_print(&out))
			code = EXIT_FAILED;
	}
	buf_free(&out);
	arena_free(a);
	return code;
}

const struct cli_command cmd_log_key = {
	.name = "log key",
	.args_help = "",
	.summary = "Print the public key that signs the log's checkpoints",
	.details = "64 hexadecimal digits, an Ed25519 key. Keep a copy somewhere else: `log verify --key` and\n"
		   "`log check-proof --key` compare with it. docs/integrity.md says what it proves.\n",
	.options = key_options,
	.option_count = COUNT_OF(key_options),
	.run = run_key,
};

const struct cli_command cmd_log_rotate_key = {
	.name = "log rotate-key",
	.args_help = "",
	.summary = "Change the key that signs the log's checkpoints, and print the new public key",
	.details = "The old key signs the new one and is deleted; the new one signs the end of the log and each\n"
		   "finished segment again. Whoever knows the old public key can go on checking with it, whoever\n"
		   "knows the new one can check everything before. Safe while hooklog runs.\n",
	.run = run_rotate_key,
};
