/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "store/store.h"

static const struct cli_option key_options[] = {
	{ "pem", CLI_FLAG, NULL, "as a PEM file, as OpenSSL and others read it" },
};

/* What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410). */
static const unsigned char spki[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };

static void
put_key(struct buf *out, const unsigned char key[ED25519_KEY_BYTES], const struct cli_call *call)
{
	unsigned char der[sizeof spki + ED25519_KEY_BYTES];
	if (call->json)
		buf_put_str(out, "{\"algorithm\":\"ed25519\",\"key\":\"");
	if (call->json || !cli_option(call, "pem")->given) {
		buf_put_hex(out, key, ED25519_KEY_BYTES);
		buf_put_str(out, call->json ? "\"}\n" : "\n");
		return;
	}
	memcpy(der, spki, sizeof spki);
	memcpy(der + sizeof spki, key, ED25519_KEY_BYTES);
	buf_put_str(out, "-----BEGIN PUBLIC KEY-----\n");
	crypto_put_base64(out, (struct bytes){ der, sizeof der });
	buf_put_str(out, "\n-----END PUBLIC KEY-----\n");
}

static int
run_key(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(4096);
	struct config c;
	const struct store_statement *st;
	size_t count = 0;
	struct err e = { 0 };
	int code = EXIT_DONE;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = store_statements(c.log_dir, a, &st, &count, &e);
	while (rc == RC_OK && count > 0 && st[count - 1].kind != STORE_KEY)
		count--;
	if (rc == RC_NOTFOUND || (rc == RC_OK && count == 0))
		rc = err_set(&e, RC_NOTFOUND, "log.missing",
			"nothing was signed in %s yet; the key is made by the first `hooklog ingest`", c.log_dir);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
	} else {
		put_key(&out, st[count - 1].new_key, call);
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
