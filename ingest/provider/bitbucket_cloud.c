/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider_table.h"

/* Bitbucket Cloud: docs/providers/bitbucket-cloud.md. */

#define EVENT_HEADER "X-Event-Key"
#define DELIVERY_HEADER "X-Request-UUID"
#define HOOK_HEADER "X-Hook-UUID"
/* GitHub's name for SHA-1, here with SHA-256. */
#define SIGNATURE_HEADER "X-Hub-Signature"
#define PREFIX "sha256="

static const char *const single_headers[] = { EVENT_HEADER, DELIVERY_HEADER, HOOK_HEADER, NULL };
static const char *const secret_headers[] = { SIGNATURE_HEADER, NULL };
static const struct provider_setup setup = {
	.scheme = "hmac-sha256",
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};

static enum rc
read_claims(const struct provider_setup *s UNUSED, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	static const struct provider_headers names = { EVENT_HEADER, DELIVERY_HEADER, HOOK_HEADER,
		SIGNATURE_HEADER };
	enum rc rc = provider_read_headers(&names, head, claims, e);
	if (rc == RC_OK && claims->hook.len == 0)
		return err_set(e, RC_INVALID, "ingest.malformed", HOOK_HEADER " is missing");
	return rc;
}

static bool
signature_formed(const struct provider_setup *s UNUSED, struct bytes signature)
{
	return provider_hex_formed(PREFIX, signature);
}

static bool
verify(const struct provider_check *c, struct bytes secret)
{
	return provider_hex_matches(PREFIX, c->claims->signature, secret, &c->message, 1);
}

static enum rc
make_ping(const struct provider_setup *s UNUSED, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e UNUSED)
{
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str(
		"{\"push\":{\"changes\":[]},\"actor\":{\"type\":\"user\","
		"\"display_name\":\"hooklog\",\"uuid\":\"{00000000-0000-4000-8000-000000000000}\"},"
		"\"repository\":{\"type\":\"repository\",\"full_name\":\"hooklog/test\","
		"\"uuid\":\"{00000000-0000-4000-8000-000000000000}\"}}");
	provider_ping_add(ping, "User-Agent", bytes_str("Bitbucket-Webhooks/2.0 hooklog"));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	provider_ping_add(ping, EVENT_HEADER, bytes_str("repo:push"));
	provider_ping_add(ping, DELIVERY_HEADER, provider_uuid(a));
	provider_ping_add(ping, HOOK_HEADER, bytes_str("00000000-0000-4000-8000-000000000000"));
	provider_ping_add(ping, "X-Attempt-Number", bytes_str("1"));
	provider_ping_sign(ping, SIGNATURE_HEADER, PREFIX, secret, &ping->body, 1, a);
	return RC_OK;
}

const struct provider provider_bitbucket_cloud = {
	.name = "bitbucket-cloud",
	.label = "Bitbucket Cloud",
	.setup = &setup,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.ping = make_ping,
};
