/* SPDX-License-Identifier: Apache-2.0 */
#include "event/sign.h"
#include "ingest/provider_table.h"

/* Whoever follows the specification of Standard Webhooks, and Svix, which it came from and whose
 * headers have other names: docs/providers/standard-webhooks.md. */

static const char *const single_headers[] = { SIGN_STANDARD_ID, SIGN_STANDARD_TIMESTAMP, "svix-id",
	"svix-timestamp", NULL };
static const char *const secret_headers[] = { SIGN_STANDARD_SIGNATURE, "svix-signature", NULL };

static const struct provider_setup v1 = {
	.scheme = "standard-v1",
	.window_s = SIGN_STANDARD_WINDOW_S,
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};
static const struct provider_setup v1a = {
	.scheme = "standard-v1a",
	.window_s = SIGN_STANDARD_WINDOW_S,
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};

static const struct provider_option options[] = {
	{ "scheme", false, "v1 (default, HMAC-SHA-256) or v1a (Ed25519)" },
	{ NULL, false, NULL },
};

static enum sign_standard_kind
kind_of(const struct provider_setup *setup)
{
	return setup == &v1a ? SIGN_STANDARD_V1A : SIGN_STANDARD_V1;
}

static enum rc
configure(const struct provider_pair *pairs, size_t count, struct arena *a UNUSED,
	const struct provider_setup **setup, struct err *e)
{
	const char *scheme = provider_option_value(pairs, count, "scheme");
	*setup = scheme != NULL && strcmp(scheme, "v1a") == 0 ? &v1a : &v1;
	if (scheme == NULL || *setup == &v1a || strcmp(scheme, "v1") == 0)
		return RC_OK;
	return err_set(e, RC_INVALID, "ingest.source", "scheme: v1 or v1a, not \"%s\"", scheme);
}

static enum rc
check_secret(const struct provider_setup *setup, struct bytes secret, struct err *e)
{
	struct sign_standard_key key;
	bool right = sign_standard_key_read(secret, &key) && key.kind == kind_of(setup);
	crypto_wipe(&key, sizeof key);
	if (right)
		return RC_OK;
	return err_set(e, RC_INVALID, "ingest.source",
		setup == &v1a ? "the key for scheme v1a is whpk_ and the sender's public key in "
				"base64 (32 bytes)"
			      : "the key for scheme v1 is whsec_ and 24 to 64 bytes in base64");
}

static void
make_secret(const struct provider_setup *setup, struct buf *out)
{
	unsigned char seed[2 * ED25519_KEY_BYTES];
	crypto_random(seed, ED25519_KEY_BYTES);
	if (setup == &v1a) {
		/* For trying out: a real sender keeps its private key to itself. */
		crypto_ed25519_public(seed, seed + ED25519_KEY_BYTES);
		buf_put_str(out, "whsk_");
		crypto_put_base64(out, (struct bytes){ seed, sizeof seed });
	} else {
		buf_put_str(out, "whsec_");
		crypto_put_base64(out, (struct bytes){ seed, ED25519_KEY_BYTES });
	}
	crypto_wipe(seed, sizeof seed);
}

static enum rc
read_claims(const struct provider_setup *setup UNUSED, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	struct bytes id = event_header_value(head, SIGN_STANDARD_ID);
	bool is_svix = id.data == NULL;
	if (is_svix)
		id = event_header_value(head, "svix-id");
	if (id.len == 0)
		return err_set(e, RC_INVALID, "ingest.malformed", SIGN_STANDARD_ID " is missing");
	if (!provider_is_claim(id))
		return err_set(e, RC_INVALID, "ingest.malformed", SIGN_STANDARD_ID " is malformed");
	struct bytes signature = event_header_value(head, SIGN_STANDARD_SIGNATURE);
	struct bytes svix = event_header_value(head, "svix-signature");
	/* Both sets of names say the same, or somebody put something in between. */
	if (signature.data != NULL && svix.data != NULL && !bytes_equal(signature, svix))
		return err_set(e, RC_DENIED, "ingest.signature",
			"svix-signature and " SIGN_STANDARD_SIGNATURE " are different signatures");
	claims->delivery = id;
	claims->signature = is_svix ? svix : signature;
	claims->timestamp =
		event_header_value(head, is_svix ? "svix-timestamp" : SIGN_STANDARD_TIMESTAMP);
	return RC_OK;
}

static bool
signature_formed(const struct provider_setup *setup, struct bytes signature)
{
	return sign_standard_formed(kind_of(setup), signature);
}

static bool
verify(const struct provider_check *c, struct bytes secret)
{
	struct sign_standard_key key;
	const struct sign_standard_message message = { c->claims->delivery, c->claims->timestamp,
		c->message };
	bool right = sign_standard_key_read(secret, &key) && key.kind == kind_of(c->setup) &&
		     sign_standard_matches(&key, &message, c->claims->signature);
	crypto_wipe(&key, sizeof key);
	return right;
}

static enum rc
read_body(const struct provider_check *c, struct provider_content *content, struct err *e UNUSED)
{
	static const char *const paths[] = { "type" };
	/* A body of any kind may be sent: without a type it is stored without. */
	provider_json(c->body, paths, &content->claims.event, 1, c->a);
	return RC_OK;
}

static enum rc
make_ping(const struct provider_setup *setup UNUSED, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e)
{
	unsigned char random[12];
	struct buf id = buf_new(64);
	memset(ping, 0, sizeof *ping);
	crypto_random(random, sizeof random);
	buf_put_str(&id, "msg_");
	buf_put_hex(&id, random, sizeof random);
	ping->body = bytes_str("{\"type\":\"hooklog.test\",\"data\":{}}");
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	enum rc rc = provider_ping_standard(ping, arena_copy(a, buf_bytes(&id)), secret, a, e);
	buf_free(&id);
	return rc;
}

const struct provider provider_standard_webhooks = {
	.name = "standard-webhooks",
	.label = "Standard Webhooks",
	.setup = &v1,
	.options = options,
	.configure = configure,
	.check_secret = check_secret,
	.make_secret = make_secret,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.read_body = read_body,
	.ping = make_ping,
};
