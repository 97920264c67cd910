/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "event/jpath.h"
#include "replay/post.h"

/* Standard Webhooks (standardwebhooks.com): the payload inside of type, timestamp and data, signed
 * with the target's own key and the time of sending. The id is the same whenever an event of this
 * log is sent, so that a target can drop what it knows. */

#define BODY_BYTES_MAX (6 * LIMIT_RECORD_BYTES)

struct standard {
	struct post *post;
	struct jpath_set *paths; /* none: only checks that the payload is JSON */
	struct arena *a;
	struct buf body;
};

static enum rc
standard_close(void *state, bool complete UNUSED, struct err *e UNUSED)
{
	struct standard *t = state;
	post_close(t->post);
	jpath_set_free(t->paths);
	arena_free(t->a);
	buf_free(&t->body);
	free(t);
	return RC_OK;
}

static enum rc
standard_open(void **state, const struct replay_target_options *options, struct err *e)
{
	struct standard *t = base_zalloc(sizeof(*t));
	t->a = arena_new(65536);
	t->paths = jpath_set_new();
	t->body = buf_new(BODY_BYTES_MAX);
	enum rc rc = post_open(&t->post, options, e);
	if (rc == RC_OK && options->secret.len > 0 && t->post != NULL &&
		!post_can_sign_standard(t->post))
		rc = err_set(e, RC_INVALID, NULL,
			"the secret is no key of Standard Webhooks: whsec_ and 24 to 64 bytes in "
			"base64");
	if (rc != RC_OK)
		(void)standard_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

static bool
standard_keeps(const void *state UNUSED)
{
	return true;
}

static void
put_body(struct standard *t, const struct event *ev)
{
	char time[CLOCK_TEXT_BYTES];
	struct jpath_doc *doc;
	struct bytes json;
	struct bytes name =
		ev->event.len == 0 || !utf8_valid(ev->event) ? bytes_str("event") : ev->event;
	clock_format_us(ev->received_at_us, time);
	buf_clear(&t->body);
	buf_put_str(&t->body, "{\"type\":");
	buf_put_json(
		&t->body, bytes_str(arena_printf(t->a, "%s.%s", arena_string(t->a, ev->provider),
				  arena_string(t->a, name))));
	buf_printf(&t->body, ",\"timestamp\":\"%s\",\"data\":", time);
	if (event_payload(ev, t->a, &json, NULL) == RC_OK &&
		jpath_walk(t->paths, json, t->a, &doc, NULL) == RC_OK) {
		buf_put_bytes(&t->body, json);
	} else if (utf8_valid(ev->body)) {
		buf_put_json(&t->body, ev->body);
	} else {
		buf_put_str(&t->body, "{\"base64\":\"");
		crypto_put_base64(&t->body, ev->body);
		buf_put_str(&t->body, "\"}");
	}
	buf_put_char(&t->body, '}');
}

static enum rc
standard_send(void *state, const struct event *const *events, size_t count UNUSED,
	struct replay_answer *answer, struct err *e)
{
	struct standard *t = state;
	struct post_headers h = { .count = 0 };
	const struct event *ev = events[0];
	arena_reset(t->a);
	put_body(t, ev);
	if (t->body.overflow)
		return err_set(e, RC_DENIED, "replay.refused",
			"event %" PRIu64 " is too large for one message", ev->seq);
	post_header(&h, "Content-Type", bytes_str("application/json"));
	post_own_headers(t->post, &h, events, 1);
	post_sign_standard(t->post, &h,
		arena_printf(t->a, "msg_%s_%" PRIu64, post_log_id(t->post), ev->seq),
		buf_bytes(&t->body));
	return post_send(
		t->post, &h, (struct bytes){ NULL, 0 }, buf_bytes(&t->body), events, 1, answer, e);
}

const struct replay_target_kind replay_target_standard = {
	.name = "standard-webhooks",
	.accepts = post_accepts,
	.batch_max = 1,
	.concurrent = true,
	.open = standard_open,
	.send = standard_send,
	.keeps = standard_keeps,
	.close = standard_close,
};
