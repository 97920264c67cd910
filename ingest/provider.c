/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider_table.h"

#define ROW(name) &provider_##name,
static const struct provider *const providers[] = { PROVIDERS(ROW) };

const struct provider *
provider_find(struct bytes name)
{
	for (size_t i = 0; i < COUNT_OF(providers); i++) {
		if (bytes_is(name, providers[i]->name))
			return providers[i];
	}
	return NULL;
}

void
provider_put_names(struct buf *out)
{
	for (size_t i = 0; i < COUNT_OF(providers); i++) {
		if (i > 0)
			buf_put_str(out, ", ");
		buf_put_str(out, providers[i]->name);
	}
}
