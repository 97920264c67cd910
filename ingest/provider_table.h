/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_PROVIDER_TABLE_H
#define INGEST_PROVIDER_TABLE_H

#include "ingest/provider.h"

/* Every provider, sorted by name. A new one: its row here, ingest/provider/<name>.c with
 * `const struct provider provider_<name>`, its line in sources.ninja, docs/providers/<name>.md. */
#define PROVIDERS(X) \
	X(bitbucket_cloud) \
	X(bitbucket_datacenter) \
	X(cloudevents) \
	X(forgejo) \
	X(generic) \
	X(gitea) \
	X(github) \
	X(gitlab) \
	X(gogs) \
	X(slack) \
	X(standard_webhooks) \
	X(stripe)

#define PROVIDER_DECLARE(name) extern const struct provider provider_##name;
PROVIDERS(PROVIDER_DECLARE)
#undef PROVIDER_DECLARE

#endif
