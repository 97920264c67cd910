/* SPDX-License-Identifier: Apache-2.0 */
#include "event/sign.h"
#include "ingest/provider_table.h"

/* GitLab, with its secret token or its signing token: docs/providers/gitlab.md. Which of the two is
 * the source's choice; the header of the other one proves nothing here. */

#define EVENT_HEADER "X-Gitlab-Event"
#define KEY_HEADER "Idempotency-Key"
#define TOKEN_HEADER "X-Gitlab-Token"

static const char *const single_headers[] = { EVENT_HEADER, KEY_HEADER, SIGN_STANDARD_ID,
	SIGN_STANDARD_TIMESTAMP, NULL };
static const char *const secret_headers[] = { TOKEN_HEADER, SIGN_STANDARD_SIGNATURE, NULL };

static const struct provider_setup token = {
	.scheme = "token",
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};
static const struct provider_setup signing = {
	.scheme = "standard-v1",
	.window_s = SIGN_STANDARD_WINDOW_S,
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};

static const struct provider_option options[] = {
	{ "scheme", false, "secret-token (default) or signing-token" },
	{ NULL, false, NULL },
};

static enum rc
configure(const struct provider_pair *pairs, size_t count, struct arena *a UNUSED,
	const struct provider_setup **setup, struct err *e)
{
	const char *scheme = provider_option_value(pairs, count, "scheme");
	*setup = scheme != NULL && strcmp(scheme, "signing-token") == 0 ? &signing : &token;
	if (scheme == NULL || *setup == &signing || strcmp(scheme, "secret-token") == 0)
		return RC_OK;
	return err_set(e, RC_INVALID, "ingest.source",
		"scheme: secret-token or signing-token, not \"%s\"", scheme);
}

static enum rc
check_secret(const struct provider_setup *s, struct bytes secret, struct err *e)
{
	struct sign_standard_key key;
	bool is_signing = sign_standard_key_read(secret, &key) && key.kind == SIGN_STANDARD_V1 &&
			  key.len == 32;
	crypto_wipe(&key, sizeof key);
	if (s == &signing && !is_signing)
		return err_set(e, RC_INVALID, "ingest.source",
			"GitLab's signing token is whsec_ and 32 bytes in base64; for a plain "
			"secret token set scheme = secret-token");
	if (s == &token && is_signing)
		return err_set(e, RC_INVALID, "ingest.source",
			"this is a signing token; set scheme = signing-token");
	return RC_OK;
}

static void
make_secret(const struct provider_setup *s, struct buf *out)
{
	unsigned char random[32];
	crypto_random(random, sizeof random);
	if (s == &signing) {
		buf_put_str(out, "whsec_");
		crypto_put_base64(out, (struct bytes){ random, sizeof random });
	} else {
		buf_put_hex(out, random, sizeof random);
	}
	crypto_wipe(random, sizeof random);
}

static enum rc
read_claims(const struct provider_setup *s, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	static const struct provider_headers by_token = { EVENT_HEADER, NULL, NULL, TOKEN_HEADER };
	static const struct provider_headers by_signature = { EVENT_HEADER, SIGN_STANDARD_ID, NULL,
		SIGN_STANDARD_SIGNATURE };
	enum rc rc =
		provider_read_headers(s == &signing ? &by_signature : &by_token, head, claims, e);
	if (rc != RC_OK)
		return rc;
	if (s == &signing) {
		claims->timestamp = event_header_value(head, SIGN_STANDARD_TIMESTAMP);
		return RC_OK;
	}
	/* Releases before 17.4 send no key. X-Gitlab-Event-UUID would not do: hooks that set off
	 * one another share it. */
	struct bytes id = event_header_value(head, KEY_HEADER);
	if (!provider_is_claim(id))
		return err_set(e, RC_INVALID, "ingest.malformed", KEY_HEADER " is malformed");
	if (id.data != NULL)
		claims->delivery = id;
	return RC_OK;
}

static bool
signature_formed(const struct provider_setup *s, struct bytes signature)
{
	return s == &signing ? sign_standard_formed(SIGN_STANDARD_V1, signature)
			     : signature.len > 0;
}

static bool
verify(const struct provider_check *c, struct bytes secret)
{
	if (c->setup == &signing) {
		struct sign_standard_key key;
		const struct sign_standard_message message = { c->claims->delivery,
			c->claims->timestamp, c->message };
		bool right = sign_standard_key_read(secret, &key) && key.kind == SIGN_STANDARD_V1 &&
			     sign_standard_matches(&key, &message, c->claims->signature);
		crypto_wipe(&key, sizeof key);
		return right;
	}
	return provider_token_matches(c->claims->signature, secret);
}

static enum rc
make_ping(const struct provider_setup *s, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e)
{
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str(
		"{\"object_kind\":\"push\",\"event_name\":\"push\",\"ref\":\"refs/heads/main\","
		"\"user_username\":\"hooklog\",\"project_id\":0,\"project\":{\"id\":0,"
		"\"name\":\"test\",\"path_with_namespace\":\"hooklog/test\"},\"commits\":[],"
		"\"total_commits_count\":0}");
	struct bytes id = provider_uuid(a);
	provider_ping_add(ping, "User-Agent", bytes_str("GitLab/hooklog"));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	provider_ping_add(ping, EVENT_HEADER, bytes_str("Push Hook"));
	provider_ping_add(ping, KEY_HEADER, id);
	if (s == &token && secret.len > 0)
		provider_ping_add(ping, TOKEN_HEADER, arena_copy(a, secret));
	return s == &signing ? provider_ping_standard(ping, id, secret, a, e) : RC_OK;
}

const struct provider provider_gitlab = {
	.name = "gitlab",
	.label = "GitLab",
	.setup = &token,
	.options = options,
	.configure = configure,
	.check_secret = check_secret,
	.make_secret = make_secret,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.ping = make_ping,
};
