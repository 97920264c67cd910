/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "event/sign.h"
#include "http/http.h"
#include "replay/target.h"

/* Stored headers, the ones for events that came without, and ours. */
#define HEADERS_MAX (LIMIT_HEADERS + 12)
#define URL_BYTES_MAX ((size_t)16 * 1024)

struct http_target {
	struct http_client *client;
	struct http_response response;
	char *url; /* without fragment */
	bool url_has_query;
	struct buf full_url;
	struct bytes secret; /* borrowed */
	char log_id[2 * STORE_LOG_ID_BYTES + 1];
	struct buf signature;
};

/* Headers of the original request that are not sent again. */
static const char *const left_out[] = {
	/* They describe the connection and the framing, which are new (RFC 9110 §7.6.1). */
	"Host",
	"Content-Length",
	"Connection",
	"Transfer-Encoding",
	"Expect",
	"Keep-Alive",
	"Proxy-Connection",
	"Proxy-Authorization",
	"TE",
	"Trailer",
	"Upgrade",
	/* The source's signatures and tokens are not the target's. */
	"X-Hub-Signature",
	"X-Hub-Signature-256",
	"X-Gitea-Signature",
	"X-Gogs-Signature",
	"X-Forgejo-Signature",
	"X-Gitlab-Token",
	"Webhook-Signature",
	"Svix-Signature",
	"Stripe-Signature",
	"X-Slack-Signature",
	"Authorization",
	"Cookie",
	/* Of an earlier replay. X-Hooklog-Log stays: the way the event went shows a longer loop. */
	"X-Hooklog-Replay-Seq",
};

static bool
http_accepts(const char *spec)
{
	return strncasecmp(spec, "http://", 7) == 0 || strncasecmp(spec, "https://", 8) == 0;
}

static enum rc
http_close(void *state, bool complete UNUSED, struct err *e UNUSED)
{
	struct http_target *t = state;
	http_client_free(t->client);
	http_response_free(&t->response);
	buf_free(&t->full_url);
	buf_free(&t->signature);
	free(t->url);
	free(t);
	return RC_OK;
}

static enum rc
http_open(void **state, const struct replay_target_options *options, struct err *e)
{
	if (strlen(options->spec) >= URL_BYTES_MAX)
		return err_set(e, RC_INVALID, NULL, "the URL of the target is too long");
	struct http_target *t = base_zalloc(sizeof(*t));
	t->url = base_strdup(options->spec);
	t->url[strcspn(t->url, "#")] = '\0';
	t->url_has_query = strchr(t->url, '?') != NULL;
	t->full_url = buf_new(URL_BYTES_MAX + LIMIT_ENVELOPE_BYTES);
	t->signature = buf_new(128);
	t->secret = options->secret;
	for (size_t i = 0; i < STORE_LOG_ID_BYTES; i++)
		snprintf(t->log_id + 2 * i, 3, "%02x", options->log_id[i]);
	struct http_options http = { 0 };
	enum rc rc = http_client_new(&t->client, &http, e);
	if (rc != RC_OK) {
		(void)http_close(t, false, NULL);
		return rc;
	}
	*state = t;
	return RC_OK;
}

static bool
http_keeps(const void *state UNUSED)
{
	return true;
}

static bool
is_sent(const struct event_header *h)
{
	static const char redacted[] = "redacted:";
	size_t len = sizeof(redacted) - 1;
	if (h->value.len >= len && memcmp(h->value.data, redacted, len) == 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(left_out); i++)
		if (bytes_is_nocase(h->name, left_out[i]))
			return false;
	return true;
}

/* Adds a header unless the stored ones have it, or there is nothing to say. */
static void
add_missing(const struct event *ev, struct http_header *headers, size_t *count, const char *name,
	struct bytes value)
{
	if (value.len > 0 && event_header_value(ev, name).data == NULL)
		headers[(*count)++] = (struct http_header){ bytes_str(name), value };
}

static size_t
make_headers(struct http_target *t, const struct event *ev, const char *seq_text,
	struct http_header headers[HEADERS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < ev->header_count && count < LIMIT_HEADERS; i++)
		if (is_sent(&ev->headers[i]))
			headers[count++] =
				(struct http_header){ ev->headers[i].name, ev->headers[i].value };
	add_missing(ev, headers, &count, "Content-Type", ev->content_type);
	/* Events that did not come as a request, such as imported ones, have no headers. */
	if (bytes_is(ev->provider, "github")) {
		add_missing(ev, headers, &count, "X-GitHub-Event", ev->event);
		add_missing(ev, headers, &count, "X-GitHub-Delivery", ev->delivery);
		add_missing(ev, headers, &count, "X-GitHub-Hook-ID", ev->hook);
	}
	headers[count++] =
		(struct http_header){ bytes_str("X-Hooklog-Replay-Seq"), bytes_str(seq_text) };
	headers[count++] = (struct http_header){ bytes_str("X-Hooklog-Log"), bytes_str(t->log_id) };
	if (t->secret.len > 0) {
		buf_clear(&t->signature);
		sign_github(t->secret, ev->body, &t->signature);
		headers[count++] = (struct http_header){ bytes_str(SIGN_GITHUB_HEADER),
			buf_bytes(&t->signature) };
	}
	return count;
}

/* The start of an answer's body on one line, for a message. */
static void
excerpt(const struct buf *body, char *out, size_t out_bytes)
{
	size_t n = 0;
	for (size_t i = 0; i < body->len && n + 1 < out_bytes; i++) {
		unsigned char c = body->data[i];
		if (c >= 0x20 && c < 0x7f)
			out[n++] = (char)c;
		else if (n > 0 && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* What the status means for the replay. */
static enum rc
judge(const struct http_target *t, const struct event *ev, struct replay_answer *answer,
	struct err *e)
{
	int status = t->response.status;
	if (status >= 200 && status <= 299)
		return RC_OK;
	char text[200];
	excerpt(&t->response.body, text, sizeof(text));
	const char *colon = text[0] == '\0' ? "" : ": ";
	answer->retry_after_s = t->response.retry_after_s;
	if (status == 409 && strstr(text, t->log_id) != NULL)
		return err_set(e, RC_CONFLICT, "replay.loop",
			"the target stores into the log that is being replayed; name another "
			"target");
	if (status == 429 || status >= 500) {
		/* 429 and 503 speak of the target; any other may be this event's own trouble. */
		answer->about_event = status != 429 && status != 503;
		return err_set(e, RC_AGAIN, "replay.unreachable",
			"the target answered %d to event %" PRIu64 "%s%s", status, ev->seq, colon,
			text);
	}
	return err_set(e, RC_DENIED, "replay.refused",
		"the target refused event %" PRIu64 " with %d%s%s", ev->seq, status, colon, text);
}

static enum rc
http_send(void *state, const struct event *ev, struct replay_answer *answer, struct err *e)
{
	struct http_target *t = state;
	struct http_header headers[HEADERS_MAX];
	char seq_text[24];
	snprintf(seq_text, sizeof(seq_text), "%" PRIu64, ev->seq);
	size_t count = make_headers(t, ev, seq_text, headers);
	buf_clear(&t->full_url);
	buf_put_str(&t->full_url, t->url);
	if (!t->url_has_query && ev->query.len > 0) {
		buf_put_char(&t->full_url, '?');
		buf_put_bytes(&t->full_url, ev->query);
	}
	enum rc rc = http_request(t->client, "POST", buf_cstr(&t->full_url), headers, count,
		ev->body, &t->response, e);
	if (rc == RC_OK)
		return judge(t, ev, answer, e);
	struct err cause = *e;
	if (rc == RC_INVALID)
		return err_set(e, RC_DENIED, "replay.refused",
			"event %" PRIu64 " cannot be sent: %s", ev->seq, cause.text);
	return err_set(e, RC_AGAIN, "replay.unreachable", "%s", cause.text);
}

const struct replay_target_kind replay_target_http = {
	.name = "http",
	.accepts = http_accepts,
	.open = http_open,
	.send = http_send,
	.keeps = http_keeps,
	.close = http_close,
};
