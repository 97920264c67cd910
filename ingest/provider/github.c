/* SPDX-License-Identifier: Apache-2.0 */
#include "event/sign.h"
#include "ingest/provider_table.h"

/* GitHub and GitHub Enterprise Server: docs/providers/github.md. */

#define EVENT_HEADER "X-GitHub-Event"
#define DELIVERY_HEADER "X-GitHub-Delivery"
#define HOOK_HEADER "X-GitHub-Hook-ID"

/* Longer than any that GitHub has ever sent: names are words, ids are GUIDs and integers. */
#define CLAIM_BYTES_MAX 128

static const char *const single_headers[] = { EVENT_HEADER, DELIVERY_HEADER, HOOK_HEADER, NULL };
static const char *const secret_headers[] = { SIGN_GITHUB_HEADER, "X-Hub-Signature", NULL };
static const struct provider_setup setup = {
	.scheme = "hmac-sha256",
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};

/* Visible ASCII or nothing. */
static bool
is_claim(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] <= 0x20 || text.data[i] >= 0x7f)
			return false;
	}
	return text.len <= CLAIM_BYTES_MAX;
}

static enum rc
read_claims(const struct provider_setup *s UNUSED, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	static const struct provider_headers names = { EVENT_HEADER, DELIVERY_HEADER, HOOK_HEADER,
		SIGN_GITHUB_HEADER };
	enum rc rc = provider_read_headers(&names, head, claims, e);
	if (rc != RC_OK)
		return rc;
	if (!is_claim(claims->event) || !is_claim(claims->delivery) || !is_claim(claims->hook))
		return err_set(
			e, RC_INVALID, "ingest.malformed", "an X-GitHub-* header is malformed");
	return RC_OK;
}

static bool
signature_formed(const struct provider_setup *s UNUSED, struct bytes signature)
{
	return provider_hex_formed("sha256=", signature);
}

/* The MAC covers the bytes as sent, for form bodies too: still percent-encoded. */
static bool
verify(const struct provider_check *c, struct bytes secret)
{
	return sign_github_matches(secret, c->body, c->claims->signature);
}

static enum rc
make_ping(const struct provider_setup *s UNUSED, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e UNUSED)
{
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str(
		"{\"zen\":\"Keep it logically awesome.\",\"hook_id\":0,"
		"\"hook\":{\"type\":\"Repository\",\"id\":0,\"name\":\"web\",\"active\":true,"
		"\"events\":[\"*\"],\"config\":{\"content_type\":\"json\"}}}");
	provider_ping_add(ping, "User-Agent", bytes_str("GitHub-Hookshot/hooklog"));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	provider_ping_add(ping, EVENT_HEADER, bytes_str("ping"));
	provider_ping_add(ping, DELIVERY_HEADER, provider_uuid(a));
	provider_ping_add(ping, HOOK_HEADER, bytes_str("0"));
	provider_ping_sign(ping, SIGN_GITHUB_HEADER, "sha256=", secret, &ping->body, 1, a);
	return RC_OK;
}

const struct provider provider_github = {
	.name = "github",
	.label = "GitHub",
	.setup = &setup,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.ping = make_ping,
};
