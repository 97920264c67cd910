/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider_table.h"

/* Forgejo: docs/providers/forgejo.md. */

static const struct provider_forge forge = {
	.headers = { "X-Forgejo-Event", "X-Forgejo-Delivery", NULL, "X-Forgejo-Signature" },
	.copies = { { "X-Gitea-Signature", "" }, { "X-Gogs-Signature", "" },
		{ "X-Hub-Signature-256", "sha256=" } },
};

static const char *const single_headers[] = { "X-Forgejo-Event", "X-Forgejo-Event-Type",
	"X-Forgejo-Delivery", NULL };
static const char *const secret_headers[] = { "X-Forgejo-Signature", "X-Gitea-Signature",
	"X-Gogs-Signature", "X-Hub-Signature", "X-Hub-Signature-256", NULL };
static const struct provider_setup setup = {
	.scheme = "hmac-sha256",
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};

static enum rc
read_claims(const struct provider_setup *s UNUSED, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	return provider_forge_read(&forge, head, claims, e);
}

static enum rc
make_ping(const struct provider_setup *s UNUSED, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e UNUSED)
{
	provider_forge_ping(&forge, secret, a, ping);
	provider_ping_add(ping, "X-Forgejo-Event-Type", bytes_str("push"));
	return RC_OK;
}

const struct provider provider_forgejo = {
	.name = "forgejo",
	.label = "Forgejo",
	.setup = &setup,
	.read = read_claims,
	.signature_formed = provider_forge_formed,
	.message = provider_form_message,
	.verify = provider_forge_verify,
	.ping = make_ping,
};
