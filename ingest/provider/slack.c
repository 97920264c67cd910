/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/provider_table.h"

/* Slack: events, slash commands and interactivity: docs/providers/slack.md. */

#define SIGNATURE_HEADER "X-Slack-Signature"
#define TIMESTAMP_HEADER "X-Slack-Request-Timestamp"
#define PREFIX "v0="

static const char *const single_headers[] = { TIMESTAMP_HEADER, NULL };
static const char *const secret_headers[] = { SIGNATURE_HEADER, NULL };
static const struct provider_setup setup = {
	.scheme = "slack-v0",
	.window_s = 300,
	.single_headers = single_headers,
	.secret_headers = secret_headers,
};

static enum rc
read_claims(const struct provider_setup *s UNUSED, const struct event *head,
	struct provider_claims *claims, struct err *e UNUSED)
{
	claims->signature = event_header_value(head, SIGNATURE_HEADER);
	claims->timestamp = event_header_value(head, TIMESTAMP_HEADER);
	return RC_OK;
}

static bool
signature_formed(const struct provider_setup *s UNUSED, struct bytes signature)
{
	return provider_hex_formed(PREFIX, signature);
}

static bool
verify(const struct provider_check *c, struct bytes secret)
{
	const struct bytes parts[] = { bytes_str("v0:"), c->claims->timestamp, bytes_str(":"),
		c->message };
	return provider_hex_matches(PREFIX, c->claims->signature, secret, parts, COUNT_OF(parts));
}

/* Slash commands and interactivity: a form, for the latter with the JSON in the field payload. What
 * is answered is shown to whoever typed the command: nothing. */
static void
read_form(struct bytes json, bool has_payload, struct provider_content *content, struct arena *a)
{
	static const char *const paths[] = { "type" };
	content->claims.event = bytes_str("slash_command");
	if (has_payload)
		provider_json(json, paths, &content->claims.event, 1, a);
	content->reply = bytes_str("");
	content->reply_type = "text/plain";
}

static enum rc
read_body(const struct provider_check *c, struct provider_content *content, struct err *e UNUSED)
{
	enum { TYPE, EVENT_TYPE, EVENT_ID, CHALLENGE };
	static const char *const paths[] = { "type", "event.type", "event_id", "challenge" };
	const struct event ev = { .content_type = c->head->content_type, .body = c->body };
	struct bytes values[COUNT_OF(paths)], json = c->body;
	struct err ignored;
	bool has_payload = event_payload(&ev, c->a, &json, &ignored) == RC_OK;
	if (!has_payload || json.data != c->body.data || json.len != c->body.len) {
		read_form(json, has_payload, content, c->a);
		return RC_OK;
	}
	provider_json(json, paths, values, COUNT_OF(paths), c->a);
	content->claims.event = values[EVENT_TYPE].len > 0 ? values[EVENT_TYPE] : values[TYPE];
	content->claims.delivery = values[EVENT_ID];
	if (bytes_is(values[TYPE], "url_verification")) {
		content->reply = values[CHALLENGE];
		content->reply_type = "text/plain";
	}
	return RC_OK;
}

static enum rc
make_ping(const struct provider_setup *s UNUSED, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e UNUSED)
{
	struct bytes at = provider_now(a), id = provider_uuid(a);
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str(arena_printf(a,
		"{\"type\":\"event_callback\",\"team_id\":\"T0\",\"api_app_id\":\"A0\","
		"\"event\":{\"type\":\"hooklog_test\"},\"event_id\":\"Ev%.8s\",\"event_time\":%.*"
		"s}",
		(const char *)id.data, (int)at.len, (const char *)at.data));
	provider_ping_add(ping, "User-Agent", bytes_str("Slackbot 1.0 hooklog"));
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	provider_ping_add(ping, TIMESTAMP_HEADER, at);
	const struct bytes parts[] = { bytes_str("v0:"), at, bytes_str(":"), ping->body };
	provider_ping_sign(ping, SIGNATURE_HEADER, PREFIX, secret, parts, COUNT_OF(parts), a);
	return RC_OK;
}

const struct provider provider_slack = {
	.name = "slack",
	.label = "Slack",
	.setup = &setup,
	.sender_makes_secret = true,
	.body_is_id = true,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.read_body = read_body,
	.ping = make_ping,
};
