/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/target.h"

/* Last: it takes every spec that is not a URL. */
static const struct replay_target_kind *const kinds[] = {
	&replay_target_http,
	&replay_target_ndjson,
};

enum rc
replay_target_find(const char *spec, const struct replay_target_kind **kind, struct err *e)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (kinds[i]->accepts(spec)) {
			*kind = kinds[i];
			return RC_OK;
		}
	}
	return err_set(e, RC_INVALID, NULL,
		"no target of this kind: '%.100s'; give -, a path, file:PATH or an http(s) URL",
		spec);
}
