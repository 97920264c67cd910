/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "event/jpath.h"
#include "replay/out.h"
#include "replay/post.h"

/* CloudEvents 1.0 (github.com/cloudevents/spec, JSON format and HTTP binding): each event as one
 * JSON object, in a request, in a batch or on a line of a file, or as the original body with the
 * attributes in headers. */

#define BATCH_EVENTS 100
/* Escaping makes at most six bytes of one; base64 less. */
#define EVENT_BYTES_MAX (6 * LIMIT_RECORD_BYTES)

enum mode { STRUCTURED, BINARY, BATCH, LINES };

struct cloudevents {
	enum mode mode;
	struct post *post; /* NULL for LINES */
	void *out;         /* for LINES only */
	struct jpath_set *paths;
	size_t action;
	struct arena *a;
	struct buf body;
	char log_id[2 * STORE_LOG_ID_BYTES + 1];
};

/* What is said about an event, as text that is valid UTF-8. */
struct attributes {
	const char *id, *source, *type;
	char time[CLOCK_TEXT_BYTES];
	struct bytes json; /* the payload, when it is JSON; data NULL: it is not */
};

static enum rc
ce_close(void *state, bool complete, struct err *e)
{
	struct cloudevents *t = state;
	enum rc rc = out_close(t->out, complete, e);
	post_close(t->post);
	jpath_set_free(t->paths);
	arena_free(t->a);
	buf_free(&t->body);
	free(t);
	return rc;
}

static enum rc
ce_open(void **state, enum mode mode, const struct replay_target_options *options, struct err *e)
{
	struct cloudevents *t = base_zalloc(sizeof(*t));
	t->mode = mode;
	t->a = arena_new(65536);
	t->paths = jpath_set_new();
	t->body = buf_new(EVENT_BYTES_MAX);
	for (size_t i = 0; i < STORE_LOG_ID_BYTES; i++)
		snprintf(t->log_id + 2 * i, 3, "%02x", options->log_id[i]);
	enum rc rc = jpath_add(t->paths, "action", &t->action, e);
	if (rc == RC_OK && mode == LINES)
		rc = out_open(&t->out, options, e);
	else if (rc == RC_OK)
		rc = post_open(&t->post, options, e);
	if (rc == RC_OK && options->secret.len > 0 && t->post != NULL &&
		!post_can_sign_standard(t->post))
		rc = err_set(e, RC_INVALID, NULL,
			"the secret is no key of Standard Webhooks: whsec_ and 24 to 64 bytes in "
			"base64");
	if (rc != RC_OK)
		(void)ce_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

static struct bytes
utf8_or_mark(struct bytes text)
{
	return utf8_valid(text) ? text : bytes_str("?");
}

static struct attributes
describe(const struct cloudevents *t, const struct event *ev, struct arena *a)
{
	struct attributes x = { .json = { NULL, 0 } };
	struct jpath_doc *doc = NULL;
	struct bytes json, action = { NULL, 0 }, event = utf8_or_mark(ev->event);
	if (event_payload(ev, a, &json, NULL) == RC_OK &&
		jpath_walk(t->paths, json, a, &doc, NULL) == RC_OK) {
		struct jpath_value v = jpath_get(doc, t->action, 0);
		x.json = json;
		if (v.type == JPATH_STRING)
			action = jpath_text(v, a, NULL);
	}
	x.id = arena_printf(a, "%" PRIu64, ev->seq);
	x.source = arena_printf(a, "urn:hooklog:%s", t->log_id);
	/* GitHub's names are those of the CloudEvents adapter for GitHub. */
	x.type = arena_printf(a, "%s%s.%s%s%s", bytes_is(ev->provider, "github") ? "com." : "",
		arena_string(a, utf8_or_mark(ev->provider)),
		event.len == 0 ? "event" : arena_string(a, event), action.len > 0 ? "." : "",
		arena_string(a, action));
	clock_format_us(ev->received_at_us, x.time);
	return x;
}

static void
put_member(struct buf *out, const char *name, struct bytes value)
{
	if (value.len == 0)
		return;
	buf_printf(out, ",\"%s\":", name);
	buf_put_json(out, utf8_or_mark(value));
}

/* The payload as it is, on one line: outside of strings a line break is white space, and inside
 * there is none in valid JSON. */
static void
put_json_data(struct buf *out, struct bytes json)
{
	size_t start = out->len;
	buf_put_bytes(out, json);
	for (size_t i = start; i < out->len; i++)
		if (out->data[i] == '\n' || out->data[i] == '\r')
			out->data[i] = ' ';
}

static void
put_event(const struct cloudevents *t, const struct event *ev, struct arena *a, struct buf *out)
{
	struct attributes x = describe(t, ev, a);
	buf_printf(out, "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"%s\",\"time\":\"%s\"",
		x.id, x.source, x.time);
	put_member(out, "type", bytes_str(x.type));
	put_member(out, "hooklogsource", ev->source);
	put_member(out, "hooklogdelivery", ev->delivery);
	put_member(out, "hooklogorigin", bytes_str(event_origin_name(ev->origin)));
	if (x.json.data != NULL) {
		put_member(out, "datacontenttype", bytes_str("application/json"));
		buf_put_str(out, ",\"data\":");
		put_json_data(out, x.json);
	} else if (ev->body.len > 0) {
		put_member(out, "datacontenttype", ev->content_type);
		buf_put_str(out, ",\"data_base64\":\"");
		crypto_put_base64(out, ev->body);
		buf_put_char(out, '"');
	}
	buf_put_char(out, '}');
}

/* A header's value as the HTTP binding §3.1.3.2 wants it: percent-encoded UTF-8. */
static struct bytes
header_value(struct cloudevents *t, struct bytes text)
{
	char *out = arena_alloc(t->a, 3 * text.len + 1);
	size_t n = 0;
	text = utf8_or_mark(text);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = text.data[i];
		if (c > 0x20 && c < 0x7f && c != '"' && c != '%')
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", c);
	}
	return (struct bytes){ (const unsigned char *)out, n };
}

static enum rc
send_binary(struct cloudevents *t, const struct event *const *events, struct post_headers *h,
	struct replay_answer *answer, struct err *e)
{
	const struct event *ev = events[0];
	struct attributes x = describe(t, ev, t->a);
	post_header(h, "Content-Type", ev->content_type);
	post_header(h, "ce-specversion", bytes_str("1.0"));
	post_header(h, "ce-id", bytes_str(x.id));
	post_header(h, "ce-source", bytes_str(x.source));
	post_header(h, "ce-type", header_value(t, bytes_str(x.type)));
	post_header(h, "ce-time", bytes_str(x.time));
	post_header(h, "ce-hooklogsource", header_value(t, ev->source));
	post_header(h, "ce-hooklogdelivery", header_value(t, ev->delivery));
	post_header(h, "ce-hooklogorigin", bytes_str(event_origin_name(ev->origin)));
	post_own_headers(t->post, h, events, 1);
	if (post_secret(t->post).len > 0)
		post_sign_standard(t->post, h, x.id, ev->body);
	return post_send(t->post, h, (struct bytes){ NULL, 0 }, ev->body, events, 1, answer, e);
}

static enum rc
ce_send(void *state, const struct event *const *events, size_t count, struct replay_answer *answer,
	struct err *e)
{
	struct cloudevents *t = state;
	struct post_headers h = { .count = 0 };
	arena_reset(t->a);
	buf_clear(&t->body);
	if (t->mode == BINARY)
		return send_binary(t, events, &h, answer, e);
	if (t->mode == BATCH)
		buf_put_char(&t->body, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_char(&t->body, ',');
		put_event(t, events[i], t->a, &t->body);
	}
	if (t->mode == BATCH)
		buf_put_char(&t->body, ']');
	if (t->body.overflow)
		return err_set(e, RC_DENIED, "replay.refused",
			"event %" PRIu64 " is too large for one message", events[0]->seq);
	post_header(&h, "Content-Type",
		bytes_str(t->mode == BATCH ? "application/cloudevents-batch+json; charset=utf-8"
					   : "application/cloudevents+json; charset=utf-8"));
	post_own_headers(t->post, &h, events, count);
	/* CloudEvents has no signature of its own. */
	if (post_secret(t->post).len > 0)
		post_sign_standard(t->post, &h,
			arena_printf(t->a, "%s_%" PRIu64, t->log_id, events[0]->seq),
			buf_bytes(&t->body));
	return post_send(t->post, &h, (struct bytes){ NULL, 0 }, buf_bytes(&t->body), events, count,
		answer, e);
}

static bool
ce_keeps(const void *state UNUSED)
{
	return true;
}

static void
lines_put(const void *state, const struct event *ev, struct arena *scratch, struct buf *text,
	struct replay_piece *piece UNUSED)
{
	put_event(state, ev, scratch, text);
	buf_put_char(text, '\n');
}

static enum rc
lines_write(void *state, struct iovec *pieces, size_t count, struct err *e)
{
	return out_write(((struct cloudevents *)state)->out, pieces, count, e);
}

static bool
lines_keeps(const void *state)
{
	return out_keeps(((const struct cloudevents *)state)->out);
}

static enum rc
open_structured(void **state, const struct replay_target_options *options, struct err *e)
{
	return ce_open(state, STRUCTURED, options, e);
}

static enum rc
open_binary(void **state, const struct replay_target_options *options, struct err *e)
{
	return ce_open(state, BINARY, options, e);
}

static enum rc
open_batch(void **state, const struct replay_target_options *options, struct err *e)
{
	return ce_open(state, BATCH, options, e);
}

static enum rc
open_lines(void **state, const struct replay_target_options *options, struct err *e)
{
	return ce_open(state, LINES, options, e);
}

#define CLOUDEVENTS(text, takes, max, many, opens)                                                 \
	{                                                                                          \
		.name = (text), .accepts = (takes), .batch_max = (max), .concurrent = (many),      \
		.open = (opens), .send = ce_send, .keeps = ce_keeps, .close = ce_close             \
	}

const struct replay_target_kind replay_target_cloudevents =
	CLOUDEVENTS("cloudevents", post_accepts, 1, true, open_structured);
const struct replay_target_kind replay_target_cloudevents_binary =
	CLOUDEVENTS("cloudevents-binary", post_accepts, 1, true, open_binary);
const struct replay_target_kind replay_target_cloudevents_batch =
	CLOUDEVENTS("cloudevents-batch", post_accepts, BATCH_EVENTS, false, open_batch);
const struct replay_target_kind replay_target_cloudevents_file = {
	.name = "cloudevents",
	.accepts = out_accepts,
	.batch_max = 1,
	.open = open_lines,
	.put = lines_put,
	.write = lines_write,
	.keeps = lines_keeps,
	.close = ce_close,
};
