/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "replay/out.h"

/* A stream of msgpack maps {"seq", "received_at_us", "flags", "envelope", "body"}; the envelope is
 * the one of docs/on-disk-format.md. The few fixed bytes are written by hand
 * (github.com/msgpack/msgpack, spec.md), since msgpack's library belongs to event/. */

struct packed {
	struct out *out;
	struct buf map;
};

static enum rc
packed_close(void *state, bool complete, struct err *e)
{
	struct packed *t = state;
	enum rc rc = out_close(t->out, complete, e);
	buf_free(&t->map);
	free(t);
	return rc;
}

static enum rc
packed_open(void **state, const struct replay_target_options *options, struct err *e)
{
	struct packed *t = base_zalloc(sizeof(*t));
	t->map = buf_new(LIMIT_RECORD_BYTES + LIMIT_ENVELOPE_BYTES);
	enum rc rc = out_open(&t->out, options, e);
	if (rc != RC_OK)
		(void)packed_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

static bool
packed_keeps(const void *state)
{
	return out_keeps(((const struct packed *)state)->out);
}

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

static enum rc
packed_send(void *state, const struct event *const *events, size_t count UNUSED,
	struct replay_answer *answer UNUSED, struct err *e)
{
	struct packed *t = state;
	const struct event *ev = events[0];
	struct buf *out = &t->map;
	buf_clear(out);
	buf_put_char(out, (char)0x85); /* fixmap of 5 */
	put_u64(out, "seq", ev->seq);
	put_u64(out, "received_at_us", (uint64_t)ev->received_at_us);
	put_u64(out, "flags", ev->flags);
	put_key(out, "envelope");
	event_encode(ev, out);
	put_key(out, "body");
	buf_put_char(out, (char)0xc6); /* bin 32 */
	buf_put_be32(out, (uint32_t)ev->body.len);
	buf_put_bytes(out, ev->body);
	if (out->overflow)
		return err_set(e, RC_INVALID, NULL, "event %" PRIu64 " is too large", ev->seq);
	return out_write(t->out, buf_bytes(out), e);
}

const struct replay_target_kind replay_target_msgpack = {
	.name = "msgpack",
	.accepts = out_accepts,
	.batch_max = 1,
	.open = packed_open,
	.send = packed_send,
	.keeps = packed_keeps,
	.close = packed_close,
};
