/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "event/sign.h"
#include "replay/post.h"

/* The original request, once more; for another hooklog also what the request itself does not say:
 * when it was first received, and how. */

struct original {
	struct post *post;
	bool to_hooklog;
	char received_at[CLOCK_TEXT_BYTES];
	struct buf signature, relay;
};

static enum rc
original_close(void *state, bool complete UNUSED, struct err *e UNUSED)
{
	struct original *t = state;
	post_close(t->post);
	buf_free(&t->signature);
	buf_free(&t->relay);
	free(t);
	return RC_OK;
}

static enum rc
original_open(void **state, const struct replay_target_options *options, struct err *e)
{
	struct original *t = base_zalloc(sizeof(*t));
	t->signature = buf_new(128);
	t->relay = buf_new(128);
	enum rc rc = post_open(&t->post, options, e);
	if (rc != RC_OK)
		(void)original_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

static enum rc
hooklog_open(void **state, const struct replay_target_options *options, struct err *e)
{
	enum rc rc = original_open(state, options, e);
	if (rc == RC_OK)
		((struct original *)*state)->to_hooklog = true;
	return rc;
}

static bool
original_keeps(const void *state UNUSED)
{
	return true;
}

/* Adds a header unless the stored ones have it, or there is nothing to say. */
static void
add_missing(const struct event *ev, struct post_headers *h, const char *name, struct bytes value)
{
	if (event_header_value(ev, name).data == NULL)
		post_header(h, name, value);
}

/* What this log knows, and not what a header says that anybody may have sent. */
static void
vouch(struct original *t, const struct event *ev, struct post_headers *h)
{
	clock_format_us(ev->received_at_us, t->received_at);
	const struct sign_relay relay = { .received_at = bytes_str(t->received_at),
		.origin = bytes_str(event_origin_name(ev->origin)),
		.event = ev->event,
		.delivery = ev->delivery,
		.hook = ev->hook,
		.signed_at_s = clock_now_us() / 1000000 };
	post_header(h, SIGN_RELAY_RECEIVED, relay.received_at);
	post_header(h, SIGN_RELAY_ORIGIN, relay.origin);
	post_header(h, SIGN_RELAY_EVENT, relay.event);
	post_header(h, SIGN_RELAY_HOOK, relay.hook);
	buf_clear(&t->relay);
	if (post_secret(t->post).len > 0)
		sign_relay(post_secret(t->post), &relay, ev->body, &t->relay);
	post_header(h, SIGN_RELAY_SIGNATURE, buf_bytes(&t->relay));
}

static void
make_headers(struct original *t, const struct event *const *events, struct post_headers *h)
{
	const struct event *ev = events[0];
	h->count = 0;
	for (size_t i = 0; i < ev->header_count && h->count < LIMIT_HEADERS; i++)
		if (post_may_send(&ev->headers[i]))
			h->list[h->count++] =
				(struct http_header){ ev->headers[i].name, ev->headers[i].value };
	add_missing(ev, h, "Content-Type", ev->content_type);
	/* Events that did not come as a request, such as imported ones, have no headers. */
	if (bytes_is(ev->provider, "github")) {
		add_missing(ev, h, "X-GitHub-Event", ev->event);
		add_missing(ev, h, "X-GitHub-Delivery", ev->delivery);
		add_missing(ev, h, "X-GitHub-Hook-ID", ev->hook);
	}
	post_own_headers(t->post, h, events, 1);
	struct bytes secret = post_secret(t->post);
	if (t->to_hooklog)
		vouch(t, ev, h);
	if (secret.len > 0 && bytes_is(ev->provider, "gitlab")) {
		post_header(h, "X-Gitlab-Token", secret);
	} else if (secret.len > 0) {
		buf_clear(&t->signature);
		sign_github(secret, ev->body, &t->signature);
		post_header(h, SIGN_GITHUB_HEADER, buf_bytes(&t->signature));
	}
}

static enum rc
original_send(void *state, const struct event *const *events, size_t count UNUSED,
	struct replay_answer *answer, struct err *e)
{
	struct original *t = state;
	struct post_headers h;
	make_headers(t, events, &h);
	return post_send(t->post, &h, events[0]->query, events[0]->body, events, 1, answer, e);
}

const struct replay_target_kind replay_target_http = {
	.name = "original",
	.accepts = post_accepts,
	.batch_max = 1,
	.concurrent = true,
	.open = original_open,
	.send = original_send,
	.keeps = original_keeps,
	.close = original_close,
};

const struct replay_target_kind replay_target_hooklog = {
	.name = "hooklog",
	.accepts = post_accepts,
	.batch_max = 1,
	.concurrent = true,
	.open = hooklog_open,
	.send = original_send,
	.keeps = original_keeps,
	.close = original_close,
};
