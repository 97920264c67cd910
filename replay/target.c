/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/target.h"

/* In the order they are asked when no format is named. */
static const struct replay_target_kind *const kinds[] = {
	&replay_target_http,
	&replay_target_ndjson,
	&replay_target_hooklog,
	&replay_target_cloudevents,
	&replay_target_cloudevents_binary,
	&replay_target_cloudevents_batch,
	&replay_target_cloudevents_file,
	&replay_target_standard,
	&replay_target_raw,
	&replay_target_msgpack,
	&replay_target_nats,
	&replay_target_kafka,
};

enum rc
replay_target_find(
	const char *spec, const char *format, const struct replay_target_kind **kind, struct err *e)
{
	char names[256] = "";
	bool named = false;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		bool this_one = format == NULL || strcmp(kinds[i]->name, format) == 0;
		named = named || this_one;
		if (this_one && kinds[i]->accepts(spec)) {
			*kind = kinds[i];
			return RC_OK;
		}
		if (kinds[i]->accepts(spec))
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				names[0] == '\0' ? "" : ", ", kinds[i]->name);
	}
	if (format != NULL && !named)
		return err_set(e, RC_INVALID, NULL, "no format '%.50s'; this target takes %s",
			format, names);
	if (format != NULL)
		return err_set(e, RC_INVALID, NULL,
			"'%.100s' cannot get the format %s; it takes %s", spec, format, names);
	return err_set(e, RC_INVALID, NULL,
		"no target of this kind: '%.100s'; give -, a path, file:PATH, or an http(s), nats "
		"or kafka URL",
		spec);
}
