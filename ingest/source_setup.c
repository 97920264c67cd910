/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/sources.h"

#define SOURCE_ID "ingest.source"
#define RANDOM_SECRET_BYTES 32

enum rc
source_pairs_add(struct source_pairs *pairs, const char *name, const char *value, struct arena *a,
	struct err *e)
{
	if (pairs->count == SOURCE_PAIRS_MAX)
		return err_set(e, RC_INVALID, SOURCE_ID, "%s: more than %d options", name,
			SOURCE_PAIRS_MAX);
	pairs->list[pairs->count++] = (struct provider_pair){
		arena_string(a, bytes_str(name)),
		arena_string(a, bytes_str(value)),
	};
	return RC_OK;
}

static const struct provider_option *
find_option(const struct provider *provider, const char *name)
{
	for (const struct provider_option *o = provider->options; o != NULL && o->name != NULL;
		o++) {
		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static enum rc
unknown_key(const struct provider *provider, const char *name, struct err *e)
{
	struct buf keys = buf_new(1024);
	for (const struct provider_option *o = provider->options; o != NULL && o->name != NULL; o++)
		buf_printf(&keys, ", %s", o->name);
	err_set(e, RC_INVALID, SOURCE_ID,
		"%s: unknown key; a source has provider, secret_file, secret_credential, "
		"secret_not_before, secret_not_after, allow_unsigned, disabled, trust_replays, body_bytes_max, "
		"requests_per_second_max, in_flight_bytes_max, silence_after_s%s",
		name, buf_cstr(&keys));
	buf_free(&keys);
	return RC_INVALID;
}

static enum rc
check_pairs(const struct provider *provider, const struct source_pairs *pairs, struct err *e)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const struct provider_option *option = find_option(provider, pairs->list[i].name);
		if (option == NULL)
			return unknown_key(provider, pairs->list[i].name, e);
		for (size_t k = 0; k < i && !option->repeats; k++) {
			if (strcmp(pairs->list[k].name, option->name) == 0)
				return err_set(
					e, RC_INVALID, SOURCE_ID, "%s: given twice", option->name);
		}
	}
	return RC_OK;
}

enum rc
source_set_up(
	struct source *source, const struct source_pairs *pairs, struct arena *a, struct err *e)
{
	const struct provider *provider = source->provider;
	source->setup = provider->setup;
	enum rc rc = check_pairs(provider, pairs, e);
	if (rc == RC_OK && provider->configure != NULL) {
		const struct provider_setup *made = NULL;
		rc = provider->configure(pairs->list, pairs->count, a, &made, e);
		if (rc == RC_OK)
			source->setup = made;
	}
	for (size_t i = 0; rc == RC_OK && i < source->secret_count; i++) {
		const struct source_secret *secret = &source->secrets[i];
		/* One that this process cannot see has no bytes. */
		if (provider->check_secret == NULL || secret->value.len == 0)
			continue;
		rc = provider->check_secret(source->setup, secret->value, e);
		if (rc != RC_OK)
			err_wrap(e, "%s", secret->file);
	}
	if (rc != RC_OK && e != NULL)
		e->id = SOURCE_ID;
	return rc;
}

void
source_tear_down(const struct source *source)
{
	if (source->provider == NULL || source->provider->release == NULL ||
		source->setup == NULL || source->setup == source->provider->setup)
		return;
	source->provider->release(source->setup);
}

enum rc
source_choose_secret(
	const struct source *source, struct bytes given, struct buf *out, struct err *e)
{
	const struct provider *provider = source->provider;
	unsigned char random[RANDOM_SECRET_BYTES];
	if (given.len == 0 && provider->sender_makes_secret)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s makes the secret itself: put it into a file (umask 077) and name that "
			"with --secret-file",
			provider->label);
	if (given.len > 0) {
		buf_put_bytes(out, given);
	} else if (provider->make_secret != NULL) {
		provider->make_secret(source->setup, out);
	} else {
		crypto_random(random, sizeof random);
		buf_put_hex(out, random, sizeof random);
		crypto_wipe(random, sizeof random);
	}
	return provider->check_secret == NULL
		       ? RC_OK
		       : provider->check_secret(source->setup, buf_bytes(out), e);
}
