/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider_table.h"

/* Gitea: docs/providers/gitea.md. */

static const struct provider_forge forge = {
	.headers = { "X-Gitea-Event", "X-Gitea-Delivery", NULL, "X-Gitea-Signature" },
	.copies = { { "X-Gogs-Signature", "" }, { "X-Hub-Signature-256", "sha256=" } },
};

static const char *const single_headers[] = { "X-Gitea-Event", "X-Gitea-Event-Type",
	"X-Gitea-Delivery", NULL };
static const char *const secret_headers[] = { "X-Gitea-Signature", "X-Gogs-Signature",
	"X-Hub-Signature", "X-Hub-Signature-256", NULL };
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
	provider_ping_add(ping, "X-Gitea-Event-Type", bytes_str("push"));
	return RC_OK;
}

const struct provider provider_gitea = {
	.name = "gitea",
	.label = "Gitea",
	.setup = &setup,
	.read = read_claims,
	.signature_formed = provider_forge_formed,
	.message = provider_form_message,
	.verify = provider_forge_verify,
	.ping = make_ping,
};
