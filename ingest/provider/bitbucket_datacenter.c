/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider_table.h"

/* Bitbucket Data Center: docs/providers/bitbucket-datacenter.md. */

#define EVENT_HEADER "X-Event-Key"
#define DELIVERY_HEADER "X-Request-Id"
#define SIGNATURE_HEADER "X-Hub-Signature"
#define PREFIX "sha256="

static const char *const single_headers[] = { EVENT_HEADER, DELIVERY_HEADER, NULL };
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
	static const struct provider_headers names = { EVENT_HEADER, DELIVERY_HEADER, NULL,
		SIGNATURE_HEADER };
	return provider_read_headers(&names, head, claims, e);
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
		"{\"eventKey\":\"repo:refs_changed\",\"date\":\"2026-01-01T00:00:00+0000\","
		"\"actor\":{\"name\":\"hooklog\",\"id\":0},\"repository\":{\"slug\":\"test\","
		"\"id\":0,\"project\":{\"key\":\"HOOKLOG\",\"id\":0}},\"changes\":[]}");
	provider_ping_add(ping, "User-Agent", bytes_str("Atlassian HttpClient hooklog"));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json; charset=utf-8"));
	provider_ping_add(ping, EVENT_HEADER, bytes_str("repo:refs_changed"));
	provider_ping_add(ping, DELIVERY_HEADER, provider_uuid(a));
	provider_ping_sign(ping, SIGNATURE_HEADER, PREFIX, secret, &ping->body, 1, a);
	return RC_OK;
}

const struct provider provider_bitbucket_datacenter = {
	.name = "bitbucket-datacenter",
	.label = "Bitbucket Data Center",
	.setup = &setup,
	/* What its button "Test connection" sends. */
	.unsigned_ping = "diagnostics:ping",
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.ping = make_ping,
};
