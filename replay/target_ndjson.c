/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/out.h"

/* Lines as `log show --json` prints them (docs/reference/ndjson.md). */

static void
ndjson_put(const void *state UNUSED, const struct event *ev, struct arena *scratch UNUSED,
	struct buf *text, struct replay_piece *piece)
{
	if (event_put_json_head(text, ev))
		*piece = (struct replay_piece){ .body = ev->body, .at = text->len };
	buf_put_str(text, "}\n");
}

const struct replay_target_kind replay_target_ndjson = {
	.name = "ndjson",
	.accepts = out_accepts,
	.batch_max = 1,
	.open = out_open,
	.put = ndjson_put,
	.write = out_write,
	.keeps = out_keeps,
	.close = out_close,
};
