/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/out.h"
#include "replay/post.h"

/* A file of HTTP requests, one behind the other as on a connection that is kept open: what was
 * received, without what is not ours to give again (post_may_send). */

/* Whether a value can stand in a message without ending its line. */
static bool
fits(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] == '\r' || value.data[i] == '\n' || value.data[i] == '\0')
			return false;
	return true;
}

static void
put_header(struct buf *out, struct bytes name, struct bytes value)
{
	if (!fits(name) || !fits(value))
		return;
	buf_put_bytes(out, name);
	buf_put_str(out, ": ");
	buf_put_bytes(out, value);
	buf_put_str(out, "\r\n");
}

static void
raw_put(const void *state UNUSED, const struct event *ev, struct arena *scratch UNUSED,
	struct buf *out, struct replay_piece *piece)
{
	struct bytes host = event_header_value(ev, "Host");
	buf_put_bytes(out, ev->method.len > 0 && fits(ev->method) ? ev->method : bytes_str("POST"));
	buf_put_char(out, ' ');
	buf_put_bytes(out, ev->path.len > 0 && fits(ev->path) ? ev->path : bytes_str("/"));
	if (ev->query.len > 0 && fits(ev->query)) {
		buf_put_char(out, '?');
		buf_put_bytes(out, ev->query);
	}
	buf_put_str(out, " HTTP/1.1\r\n");
	put_header(out, bytes_str("Host"), host.len > 0 ? host : bytes_str("localhost"));
	for (size_t i = 0; i < ev->header_count; i++)
		if (post_may_send(&ev->headers[i]))
			put_header(out, ev->headers[i].name, ev->headers[i].value);
	if (event_header_value(ev, "Content-Type").data == NULL && ev->content_type.len > 0)
		put_header(out, bytes_str("Content-Type"), ev->content_type);
	buf_printf(out, "X-Hooklog-Replay: seq=%" PRIu64 "\r\nContent-Length: %zu\r\n\r\n", ev->seq,
		ev->body.len);
	*piece = (struct replay_piece){ .body = ev->body, .at = out->len };
}

const struct replay_target_kind replay_target_raw = {
	.name = "http",
	.accepts = out_accepts,
	.batch_max = 1,
	.open = out_open,
	.put = raw_put,
	.write = out_write,
	.keeps = out_keeps,
	.close = out_close,
};
