/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/out.h"

/* A stream of msgpack maps {"seq", "received_at_us", "flags", "envelope", "body"}; the envelope is
 * the one of docs/on-disk-format.md. The few fixed bytes are written by hand
 * (github.com/msgpack/msgpack, spec.md), since msgpack's library belongs to event/. */

static void
put_key(struct buf *out, const char *key)
{
	buf_put_char(out, (char)(0xa0 | strlen(key))); /* fixstr */
	buf_put_str(out, key);
}

static void
put_u64(struct buf *out, const char *key, uint64_t value)
{
	put_key(out, key);
	buf_put_char(out, (char)0xcf);
	buf_put_be64(out, value);
}

static void
packed_put(const void *state UNUSED, const struct event *ev, struct arena *scratch UNUSED,
	struct buf *out, struct replay_piece *piece)
{
	buf_put_char(out, (char)0x85); /* fixmap of 5 */
	put_u64(out, "seq", ev->seq);
	put_u64(out, "received_at_us", (uint64_t)ev->received_at_us);
	put_u64(out, "flags", ev->flags);
	put_key(out, "envelope");
	event_encode(ev, out);
	put_key(out, "body");
	buf_put_char(out, (char)0xc6); /* bin 32 */
	buf_put_be32(out, (uint32_t)ev->body.len);
	*piece = (struct replay_piece){ .body = ev->body, .at = out->len };
}

const struct replay_target_kind replay_target_msgpack = {
	.name = "msgpack",
	.accepts = out_accepts,
	.batch_max = 1,
	.open = out_open,
	.put = packed_put,
	.write = out_write,
	.keeps = out_keeps,
	.close = out_close,
};
