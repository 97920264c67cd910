/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/limits.h"
#include "ingest/guard.h"
#include "ingest/sources.h"

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

static enum rc
write_secret(const char *path, struct bytes secret, struct err *e)
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
	*secret_path = NULL;
	enum rc rc = check_plan(plan, e);
	if (rc != RC_OK)
		return rc;
	const char *conf = arena_printf(a, "%s/%s.conf", dir, plan->name);
	const char *secret = arena_printf(a, "%s/%s.secret", dir, plan->name);
	if (fs_exists(conf))
		return err_set(e, RC_CONFLICT, SOURCE_ID,
			"there is a source %s; choose another name, or edit %s", plan->name, conf);
	if (fs_exists(secret))
		return err_set(e, RC_CONFLICT, SOURCE_ID,
			"%s is there already, and is not overwritten; remove it or choose another "
			"name",
			secret);
	rc = fs_mkdir(dir, e);
	if (rc != RC_OK)
		return rc;
	/* The secret first: a .conf that names a missing file would stop the receiver. */
	if (!plan->allow_unsigned) {
		rc = write_secret(secret, plan->secret, e);
		if (rc != RC_OK)
			return rc;
		*secret_path = secret;
	}
	const char *text =
		plan->allow_unsigned
			? arena_printf(a, "provider = %s\nallow_unsigned = true\n", plan->provider)
			: arena_printf(a, "provider = %s\nsecret_file = %s.secret\n",
				  plan->provider, plan->name);
	return fs_write(conf, bytes_str(text), 0600, e);
}
