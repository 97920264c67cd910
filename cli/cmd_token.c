/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "replay/subscription.h"
#include "replay/token.h"

/* Tokens of consumers that pull. */

static int
end(struct arena *a, enum rc rc, const struct err *e)
{
	int code = rc == RC_OK ? EXIT_DONE : cmd_fail(e);
	arena_free(a);
	return rc == RC_INVALID && e->id == NULL ? EXIT_USAGE : code;
}

static void
put_json(struct buf *out, const struct token *t, const char *text)
{
	char scopes[24], at[CLOCK_TEXT_BYTES];
	token_scopes_put(scopes, t->scopes);
	clock_format_us(t->made_us, at);
	buf_printf(out,
		"{\"id\":\"%s\",\"subscription\":\"%s\",\"scopes\":\"%s\",\"made_at\":\"%s\"", t->id,
		t->subscription, scopes, at);
	if (t->expires_us != 0) {
		clock_format_us(t->expires_us, at);
		buf_printf(out, ",\"expires_at\":\"%s\"", at);
	}
	if (text != NULL)
		buf_printf(out, ",\"token\":\"%s\"", text);
	buf_put_str(out, "}\n");
}

static enum rc
check_pulled(const struct config *c, const char *name, struct arena *a, struct err *e)
{
	struct journal_state state;
	bool running;
	enum rc rc = journal_read(
		c->subscriptions_dir, name, a, &state, &running, NULL, NULL, e);
	if (rc == RC_OK && !subscription_is_pulled(c->subscriptions_dir, name, a))
		rc = err_set(e, RC_INVALID, NULL, "'%s' is sent to a URL, nobody pulls it", name);
	return rc;
}

static int
run_add(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct config c;
	struct err e = { 0 };
	struct token t;
	char text[TOKEN_TEXT_BYTES];
	const struct cli_value *scope = cli_option(call, "scope");
	const struct cli_value *expires = cli_option(call, "expires");
	unsigned scopes = TOKEN_READ | TOKEN_ACK;
	struct buf fields = buf_new(1024);
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK && scope->given)
		rc = token_scopes_parse(scope->text, &scopes, &e);
	if (rc == RC_OK && expires->given && expires->time_us <= clock_now_us())
		rc = err_set(&e, RC_INVALID, NULL, "--expires is in the past");
	if (rc == RC_OK)
		rc = check_pulled(&c, call->args[0], a, &e);
	if (rc == RC_OK)
		rc = token_add(c.subscriptions_dir, call->args[0], scopes,
			expires->given ? expires->time_us : 0, text, &t, &e);
	if (rc == RC_OK) {
		buf_printf(&fields, "\"token\":\"%s\"", t.id);
		rc = journal_audit(c.subscriptions_dir, "token-add", call->args[0],
			buf_bytes(&fields), &e);
	}
	buf_clear(&fields);
	if (rc == RC_OK && call->json)
		put_json(&fields, &t, text);
	else if (rc == RC_OK)
		buf_printf(&fields, "%s\n", text);
	if (rc == RC_OK && !cmd_print(&fields))
		rc = err_set(&e, RC_IO, NULL, "stdout cannot be written");
	buf_free(&fields);
	crypto_wipe(text, sizeof(text));
	return end(a, rc, &e);
}

static int
run_list(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct config c;
	struct err e = { 0 };
	const struct token *tokens;
	size_t count = 0;
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = token_list(c.subscriptions_dir, a, &tokens, &count, &e);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		char scopes[24], at[CLOCK_TEXT_BYTES] = "never";
		const struct token *t = &tokens[i];
		if (call->arg_count > 0 && strcmp(t->subscription, call->args[0]) != 0)
			continue;
		token_scopes_put(scopes, t->scopes);
		if (t->expires_us != 0)
			clock_format_us(t->expires_us, at);
		if (call->json)
			put_json(&out, t, NULL);
		else
			buf_printf(&out, "%s  %-20s  %-14s  expires %s%s\n", t->id, t->subscription,
				scopes, at,
				t->expires_us != 0 && t->expires_us <= clock_now_us() ? ", has"
										      : "");
	}
	if (rc == RC_OK && !cmd_print(&out))
		rc = err_set(&e, RC_IO, NULL, "stdout cannot be written");
	buf_free(&out);
	return end(a, rc, &e);
}

static int
run_revoke(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf fields = buf_new(256);
	struct config c;
	struct err e = { 0 };
	enum rc rc = config_load(&c, call, a, NULL, &e);
	if (rc == RC_OK)
		rc = token_revoke(c.subscriptions_dir, call->args[0], NULL, &e);
	if (rc == RC_OK) {
		buf_printf(&fields, "\"token\":\"%.8s\"", call->args[0]);
		rc = journal_audit(
			c.subscriptions_dir, "token-revoke", "", buf_bytes(&fields), &e);
	}
	buf_free(&fields);
	return end(a, rc, &e);
}

static const struct cli_option add_options[] = {
	{ "scope", CLI_STRING, "LIST",
		"what it is good for: read, ack, seek, with commas; default read,ack" },
	{ "expires", CLI_TIME, "TIME", "until when; default: until it is revoked" },
};

const struct cli_command cmd_token_add = { .name = "token add",
	.args_help = "SUBSCRIPTION",
	.args_min = 1,
	.args_max = 1,
	.summary = "Make a token for a consumer that pulls a subscription.",
	.details =
		"Prints it; that is the only time it can be seen, only its hash is kept. read: look at\n"
		"the subscription and get its events; ack: move its position forward; seek: move\n"
		"it anywhere.\n",
	.options = add_options,
	.option_count = COUNT_OF(add_options),
	.run = run_add };
const struct cli_command cmd_token_list = { .name = "token list",
	.args_help = "[SUBSCRIPTION]",
	.args_max = 1,
	.summary = "List tokens, without the tokens themselves.",
	.run = run_list };
const struct cli_command cmd_token_revoke = { .name = "token revoke",
	.args_help = "ID",
	.args_min = 1,
	.args_max = 1,
	.summary = "Make a token worthless, within a second.",
	.run = run_revoke };
