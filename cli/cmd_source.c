/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/receiver_at.h"
#include "cli/source_cmd.h"

static void
put_text_or_null(struct buf *out, const char *text)
{
	if (text == NULL)
		buf_put_str(out, "null");
	else
		buf_put_json(out, bytes_str(text));
}

static void
put_source(struct buf *out, const struct source *source, bool json)
{
	if (json) {
		source_cmd_put_json(out, source);
		buf_put_str(out, ",\"keys\":[");
		for (size_t i = 0; i < source->secret_count; i++) {
			buf_printf(out, "%s{\"id\":\"%s\",\"secret_file\":", i == 0 ? "" : ",",
				source->secrets[i].key_id);
			buf_put_json(out, bytes_str(source->secrets[i].file));
			buf_put_char(out, '}');
		}
		buf_put_str(out, "]}\n");
		return;
	}
	buf_printf(
		out, "%-20s %-10s /in/%-20s ", source->name, source->provider->name, source->name);
	if (source->allow_unsigned)
		buf_put_str(out, "unsigned");
	for (size_t i = 0; i < source->secret_count; i++)
		buf_printf(out, "%s%s", i == 0 ? "keys " : ", ", source->secrets[i].key_id);
	buf_put_str(out, source->disabled ? "  disabled\n" : "\n");
}

static int
run_list(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	struct sources *sources = NULL;
	struct config c;
	int code = source_cmd_open(call, false, a, &c, &sources);
	if (code != EXIT_DONE)
		goto done;
	for (size_t i = 0; i < sources_count(sources); i++)
		put_source(&out, sources_at(sources, i), call->json);
	if (!cmd_print(&out))
		code = EXIT_FAILED;
	if (sources_count(sources) == 0)
		fprintf(stderr,
			"hooklog: no sources in %s; add one with: hooklog source add NAME\n",
			c.sources_dir);
done:
	sources_release(sources);
	buf_free(&out);
	arena_free(a);
	return code;
}

/* The arguments behind the name: what the provider is to be told. */
static enum rc
take_options(const struct cli_call *call, struct source_pairs *pairs, struct arena *a,
	struct err *e)
{
	for (size_t i = 1; i < call->arg_count; i++) {
		const char *equals = strchr(call->args[i], '=');
		if (equals == NULL || equals == call->args[i])
			return err_set(e, RC_INVALID, "ingest.source",
				"\"%s\" is no option of a provider; write KEY=VALUE",
				call->args[i]);
		const struct bytes name = { (const unsigned char *)call->args[i],
			(size_t)(equals - call->args[i]) };
		if (strpbrk(call->args[i], "\r\n;#[") != NULL)
			return err_set(e, RC_INVALID, "ingest.source",
				"\"%s\" has a character that ends a value in the .conf",
				call->args[i]);
		enum rc rc = source_pairs_add(pairs, arena_string(a, name), equals + 1, a, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static int
run_add(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	unsigned char secret[LIMIT_SECRET_BYTES];
	const struct cli_value *provider = cli_option(call, "provider");
	struct source_plan plan = {
		.name = call->args[0],
		.provider = provider->given ? provider->text : "github",
		.allow_unsigned = cli_option(call, "allow-unsigned")->given,
		.trust_replays = cli_option(call, "trust-replays")->given,
	};
	struct source_pairs pairs = { .count = 0 };
	const char *secret_path = NULL;
	struct config c;
	struct err e = { 0 };
	int code = EXIT_DONE;
	plan.options = &pairs;
	if (config_load(&c, call, a, NULL, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	if (take_options(call, &pairs, a, &e) != RC_OK) {
		cmd_fail(&e);
		code = EXIT_USAGE;
		goto done;
	}
	code = source_cmd_secret(call, secret, &plan.secret);
	if (code != EXIT_DONE)
		goto done;
	if (source_add(c.sources_dir, &plan, a, &secret_path, &e) != RC_OK) {
		code = cmd_fail(&e);
		/* Nothing about the log is in conflict: the name is taken. What is invalid stood on the
		 * command line. */
		code = e.rc == RC_CONFLICT ? EXIT_FAILED : e.rc == RC_INVALID ? EXIT_USAGE : code;
		goto done;
	}
	if (call->json) {
		buf_put_str(&out, "{\"name\":");
		buf_put_json(&out, bytes_str(plan.name));
		buf_printf(&out,
			",\"provider\":\"%s\",\"path\":\"/in/%s\",\"secret_file\":", plan.provider,
			plan.name);
		put_text_or_null(&out, secret_path);
		buf_put_str(&out, "}\n");
	} else {
		buf_printf(&out, "source  %s (%s)\npath    /in/%s\nsecret  %s\n", plan.name,
			plan.provider, plan.name,
			secret_path == NULL ? "none: anybody can write to this source"
					    : secret_path);
	}
	if (!cmd_print(&out))
		code = EXIT_FAILED;
done:
	crypto_wipe(secret, sizeof secret);
	buf_free(&out);
	arena_free(a);
	return code;
}

static int
run_test(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct sources *sources = NULL;
	struct http_response response = { 0 };
	const struct cli_value *url = cli_option(call, "url");
	const struct source *source = NULL;
	struct config c;
	struct err e = { 0 };
	int code = source_cmd_find(call, true, a, &c, &sources, &source);
	if (code != EXIT_DONE)
		goto done;
	struct receiver_at at = { .url = url->text };
	if ((!url->given && receiver_at(&at, &c, NULL, source->name, a, &e) != RC_OK) ||
		receiver_ping(&at, source, a, &response, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	bool accepted = response.status >= 200 && response.status < 300;
	fprintf(stderr, "hooklog: POST %s: %d\n", at.url, response.status);
	/* The answer is JSON already; it ends its own line. */
	if (!cmd_print(&response.body) || !accepted)
		code = EXIT_FAILED;
done:
	http_response_free(&response);
	sources_release(sources);
	arena_free(a);
	return code;
}

static const struct cli_option add_options[] = {
	{ "provider", CLI_STRING, "NAME", "what sends the deliveries; default: github" },
	{ "secret-file", CLI_STRING, "FILE",
		"take the secret from FILE (mode 0600); default: random" },
	{ "allow-unsigned", CLI_FLAG, NULL, "no secret: take whatever is sent" },
	{ "trust-replays", CLI_FLAG, NULL,
		"another hooklog that signs with the secret may say when and how an event first came" },
};

static const struct cli_option test_options[] = {
	{ "url", CLI_STRING, "URL", "send it there; default: /in/NAME on ingest.listen" },
};

const struct cli_command cmd_source_add = {
	.name = "source add",
	.args_help = "NAME [KEY=VALUE...]",
	.args_min = 1,
	.args_max = CLI_ARGS_MAX - 1,
	.summary = "Make a named endpoint and its secret.",
	.details = "Deliveries go to /in/NAME. The secret is written to a file that only its\n"
		   "owner can read, and is never printed; a running receiver takes the source\n"
		   "up within a second. Some providers make the secret themselves: give it with\n"
		   "--secret-file.\n"
		   "\n"
		   "KEY=VALUE are options of the provider, such as scheme=signing-token of\n"
		   "gitlab; docs/providers has a page for each.\n"
		   "\n"
		   "`source rotate` replaces the secret, `source show` tells all about a source.\n",
	.options = add_options,
	.option_count = COUNT_OF(add_options),
	.run = run_add,
};

const struct cli_command cmd_source_list = {
	.name = "source list",
	.args_help = "",
	.summary = "List the named endpoints.",
	.details = "Secrets are shown by the id that the log keeps with each event, never by\n"
		   "value.\n",
	.run = run_list,
};

const struct cli_command cmd_source_test = {
	.name = "source test",
	.args_help = "NAME",
	.args_min = 1,
	.args_max = 1,
	.summary = "Send a signed ping to a source and print the answer.",
	.details = "The ping is stored like any delivery. Exit code 1 when the answer is not a\n"
		   "success.\n",
	.options = test_options,
	.option_count = COUNT_OF(test_options),
	.run = run_test,
};
