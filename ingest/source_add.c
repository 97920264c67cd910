/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/limits.h"
#include "ingest/guard.h"
#include "ingest/source_edit.h"

#define SOURCE_ID "ingest.source"
#define RANDOM_SECRET_BYTES 32

static enum rc
check_plan(const struct source_plan *plan, struct err *e)
{
	if (!guard_is_source_name(bytes_str(plan->name)))
		return err_set(e, RC_INVALID, SOURCE_ID,
			"\"%s\" is no name for a source: 1 to %d of a-z 0-9 _ -, the first a "
			"letter or digit",
			plan->name, LIMIT_SOURCE_NAME_BYTES);
	if (provider_find(bytes_str(plan->provider)) == NULL) {
		struct buf names = buf_new(1024);
		provider_put_names(&names);
		err_set(e, RC_INVALID, SOURCE_ID, "\"%s\" is no provider; there are: %s",
			plan->provider, buf_cstr(&names));
		buf_free(&names);
		return RC_INVALID;
	}
	if (plan->allow_unsigned && plan->trust_replays)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"a source that trusts replays needs a secret: it would trust anybody");
	if (plan->allow_unsigned && plan->secret.len > 0)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"a source is either unsigned or has a secret, not both");
	if (plan->secret.len > 0 && plan->secret.len < LIMIT_SECRET_BYTES_MIN)
		return err_set(e, RC_INVALID, SOURCE_ID, "the secret is shorter than %d bytes",
			LIMIT_SECRET_BYTES_MIN);
	if (plan->secret.len > LIMIT_SECRET_BYTES)
		return err_set(e, RC_INVALID, SOURCE_ID, "the secret is longer than %d bytes",
			LIMIT_SECRET_BYTES);
	return RC_OK;
}

/* What the .conf and the secret would come to, before anything is written. Appends the secret to
 * write. */
static enum rc
try_plan(const struct source_plan *plan, struct buf *secret, struct arena *a, struct err *e)
{
	static const struct source_pairs none = { .count = 0 };
	struct source source = { .provider = provider_find(bytes_str(plan->provider)) };
	enum rc rc = source_set_up(&source, plan->options == NULL ? &none : plan->options, a, e);
	if (rc != RC_OK)
		return rc;
	if (!plan->allow_unsigned)
		rc = source_choose_secret(&source, plan->secret, secret, e);
	source_tear_down(&source);
	return rc;
}

static void
put_conf(const struct source_plan *plan, struct buf *out)
{
	buf_printf(out, "provider = %s\n", plan->provider);
	for (size_t i = 0; plan->options != NULL && i < plan->options->count; i++)
		buf_printf(out, "%s = %s\n", plan->options->list[i].name,
			plan->options->list[i].value);
	if (plan->trust_replays)
		buf_put_str(out, "trust_replays = true\n");
	if (plan->allow_unsigned)
		buf_put_str(out, "allow_unsigned = true\n");
	else
		buf_printf(out, "secret_file = %s.secret\n", plan->name);
}

enum rc
source_write_secret(const char *path, struct bytes secret, struct err *e)
{
	struct buf text = buf_new(LIMIT_SECRET_BYTES + 1);
	if (secret.len > 0) {
		buf_put_bytes(&text, secret);
	} else {
		unsigned char random[RANDOM_SECRET_BYTES];
		crypto_random(random, sizeof random);
		buf_put_hex(&text, random, sizeof random);
		crypto_wipe(random, sizeof random);
	}
	buf_put_char(&text, '\n');
	enum rc rc = fs_write(path, buf_bytes(&text), 0600, e);
	crypto_wipe(text.data, text.len);
	buf_free(&text);
	return rc;
}

enum rc
source_add(const char *dir, const struct source_plan *plan, struct arena *a,
	const char **secret_path, struct err *e)
{
	struct buf conf_text = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct buf secret_text = buf_new(LIMIT_SECRET_BYTES);
	*secret_path = NULL;
	enum rc rc = check_plan(plan, e);
	if (rc == RC_OK)
		rc = try_plan(plan, &secret_text, a, e);
	if (rc != RC_OK)
		goto done;
	const char *conf = arena_printf(a, "%s/%s.conf", dir, plan->name);
	const char *secret = arena_printf(a, "%s/%s.secret", dir, plan->name);
	if (fs_exists(conf)) {
		rc = err_set(e, RC_CONFLICT, SOURCE_ID,
			"there is a source %s; choose another name, or edit %s", plan->name, conf);
		goto done;
	}
	if (fs_exists(secret)) {
		rc = err_set(e, RC_CONFLICT, SOURCE_ID,
			"%s is there already, and is not overwritten; remove it or choose another "
			"name",
			secret);
		goto done;
	}
	rc = fs_mkdir(dir, e);
	if (rc != RC_OK)
		goto done;
	/* The secret first: a .conf that names a missing file would stop the receiver. */
	if (!plan->allow_unsigned) {
		rc = source_write_secret(secret, buf_bytes(&secret_text), e);
		if (rc != RC_OK)
			goto done;
		*secret_path = secret;
	}
	put_conf(plan, &conf_text);
	rc = fs_write(conf, buf_bytes(&conf_text), 0600, e);
done:
	if (secret_text.data != NULL)
		crypto_wipe(secret_text.data, secret_text.len);
	buf_free(&secret_text);
	buf_free(&conf_text);
	return rc;
}
