/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/crypto.h"
#include "event/sign.h"
#include "replay/post.h"

#define URL_BYTES_MAX ((size_t)16 * 1024)

struct post {
	struct http_client *client;
	struct http_response response;
	char *url; /* without fragment */
	char *allow;
	bool url_has_query;
	struct buf full_url;
	struct bytes secret; /* borrowed */
	const char *run;     /* borrowed */
	char log_id[2 * STORE_LOG_ID_BYTES + 1];
	char replay[128]; /* value of X-Hooklog-Replay */
	char timestamp[24];
	struct buf signature;
};

bool
post_accepts(const char *spec)
{
	return strncasecmp(spec, "http://", 7) == 0 || strncasecmp(spec, "https://", 8) == 0;
}

void
post_close(struct post *p)
{
	if (p == NULL)
		return;
	http_client_free(p->client);
	http_response_free(&p->response);
	buf_free(&p->full_url);
	buf_free(&p->signature);
	free(p->url);
	free(p->allow);
	free(p);
}

/* The host of a URL as it is written there: libcurl would already have made 127.0.0.1 of
 * 2130706433. RC_INVALID: a user or a password is in it. */
static enum rc
host_of(const char *url, struct bytes *host, struct err *e)
{
	const char *start = strstr(url, "://") + 3;
	size_t len = strcspn(start, "/?#\\");
	if (memchr(start, '@', len) != NULL)
		return err_set(e, RC_INVALID, NULL,
			"the URL of a target must not hold a user or a password");
	size_t end = start[0] == '[' ? strcspn(start, "]") + 1 : strcspn(start, ":");
	*host = (struct bytes){ (const unsigned char *)start, end < len ? end : len };
	if (host->len == 0)
		return err_set(e, RC_INVALID, NULL, "the URL of the target names no host");
	return RC_OK;
}

static bool
host_allowed(const char *list, struct bytes host)
{
	while (list != NULL && *list != '\0') {
		list += strspn(list, " ,");
		size_t len = strcspn(list, " ,");
		if (len == host.len && len > 0 &&
			strncasecmp(list, (const char *)host.data, len) == 0)
			return true;
		list += len;
	}
	return false;
}

/* Who writes the loopback address into a target means this machine; a name or a number that only
 * turns out to be it, or any other private address, must be allowed first (docs/replay.md). */
static void
set_reach(struct post *p, const struct replay_target_options *o, struct bytes host,
	struct http_options *http)
{
	bool loopback = bytes_is_nocase(host, "localhost") || bytes_is(host, "127.0.0.1") ||
			bytes_is(host, "[::1]");
	if (o->allow_private || host_allowed(o->allow, host))
		return;
	http->reach = HTTP_REACH_GLOBAL;
	const char *more = o->allow == NULL ? "" : o->allow;
	size_t len = strlen(more) + 32;
	p->allow = base_alloc(len);
	snprintf(p->allow, len, "%s%s", loopback ? "127.0.0.1,::1," : "", more);
	http->allow = p->allow;
}

enum rc
post_open(struct post **out, const struct replay_target_options *options, struct err *e)
{
	struct bytes host = { NULL, 0 };
	if (strlen(options->spec) >= URL_BYTES_MAX)
		return err_set(e, RC_INVALID, NULL, "the URL of the target is too long");
	enum rc rc = host_of(options->spec, &host, e);
	if (rc != RC_OK)
		return rc;
	struct post *p = base_zalloc(sizeof(*p));
	p->url = base_strdup(options->spec);
	p->url[strcspn(p->url, "#")] = '\0';
	p->url_has_query = strchr(p->url, '?') != NULL;
	p->full_url = buf_new(URL_BYTES_MAX + LIMIT_ENVELOPE_BYTES);
	p->signature = buf_new(128);
	p->secret = options->secret;
	p->run = options->run == NULL ? "" : options->run;
	for (size_t i = 0; i < STORE_LOG_ID_BYTES; i++)
		snprintf(p->log_id + 2 * i, 3, "%02x", options->log_id[i]);
	struct http_options http = { .http2 = options->http2, .ca_file = options->ca_file };
	set_reach(p, options, host, &http);
	rc = http_client_new(&p->client, &http, e);
	if (rc != RC_OK)
		post_close(p);
	else
		*out = p;
	return rc;
}

const char *
post_log_id(const struct post *p)
{
	return p->log_id;
}

struct bytes
post_secret(const struct post *p)
{
	return p->secret;
}

bool
post_may_send(const struct event_header *h)
{
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
		"X-Shopify-Hmac-Sha256",
		"X-Twilio-Signature",
		"Authorization",
		"Cookie",
		/* Of an earlier replay. X-Hooklog-Log stays: the way the event went shows a longer
		 * loop. */
		"X-Hooklog-Replay",
		SIGN_RELAY_SIGNATURE,
		SIGN_RELAY_RECEIVED,
		SIGN_RELAY_ORIGIN,
		SIGN_RELAY_EVENT,
		SIGN_RELAY_DELIVERY,
		SIGN_RELAY_HOOK,
	};
	static const char redacted[] = "redacted:";
	size_t len = sizeof(redacted) - 1;
	if (h->value.len >= len && memcmp(h->value.data, redacted, len) == 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(left_out); i++)
		if (bytes_is_nocase(h->name, left_out[i]))
			return false;
	return true;
}

void
post_header(struct post_headers *h, const char *name, struct bytes value)
{
	if (value.len > 0 && h->count < POST_HEADERS_MAX)
		h->list[h->count++] = (struct http_header){ bytes_str(name), value };
}

void
post_own_headers(
	struct post *p, struct post_headers *h, const struct event *const *events, size_t count)
{
	const char *glue = p->run[0] == '\0' ? "" : ", ";
	const char *run = p->run[0] == '\0' ? "" : "run=";
	/* A dictionary of RFC 8941. */
	int n = snprintf(p->replay, sizeof(p->replay), "%s%s%sseq=%" PRIu64, run, p->run, glue,
		events[0]->seq);
	if (count > 1 && n > 0 && (size_t)n < sizeof(p->replay))
		snprintf(p->replay + n, sizeof(p->replay) - (size_t)n, ", last=%" PRIu64,
			events[count - 1]->seq);
	post_header(h, "X-Hooklog-Replay", bytes_str(p->replay));
	post_header(h, "X-Hooklog-Log", bytes_str(p->log_id));
	if (count == 1)
		post_header(h, "X-Hooklog-Delivery", events[0]->delivery);
}

bool
post_can_sign_standard(const struct post *p)
{
	struct sign_standard_key key;
	bool can = sign_standard_key_read(p->secret, &key) && key.can_sign;
	crypto_wipe(&key, sizeof(key));
	return can;
}

void
post_sign_standard(struct post *p, struct post_headers *h, const char *id, struct bytes body)
{
	struct sign_standard_key key;
	snprintf(p->timestamp, sizeof(p->timestamp), "%" PRId64, clock_now_us() / 1000000);
	post_header(h, SIGN_STANDARD_ID, bytes_str(id));
	post_header(h, SIGN_STANDARD_TIMESTAMP, bytes_str(p->timestamp));
	if (p->secret.len == 0 || !sign_standard_key_read(p->secret, &key))
		return;
	const struct sign_standard_message message = { bytes_str(id), bytes_str(p->timestamp),
		body };
	buf_clear(&p->signature);
	if (sign_standard(&key, &message, &p->signature))
		post_header(h, SIGN_STANDARD_SIGNATURE, buf_bytes(&p->signature));
	crypto_wipe(&key, sizeof(key));
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
judge(const struct post *p, const char *what, struct replay_answer *answer, struct err *e)
{
	int status = p->response.status;
	answer->status = status;
	if (status >= 200 && status <= 299)
		return RC_OK;
	char text[200];
	excerpt(&p->response.body, text, sizeof(text));
	const char *colon = text[0] == '\0' ? "" : ": ";
	answer->retry_after_s = p->response.retry_after_s;
	if (status == 409 && strstr(text, p->log_id) != NULL)
		return err_set(e, RC_CONFLICT, "replay.loop",
			"the target stores into the log that is being replayed; name another "
			"target");
	if (status == 410)
		return err_set(e, RC_NOTFOUND, "replay.gone",
			"the target answered 410 to %s: it is gone for good%s%s", what, colon,
			text);
	if (status == 429 || status >= 500) {
		/* 429 and 503 speak of the target; any other may be this event's own trouble. */
		answer->about_event = status != 429 && status != 503;
		return err_set(e, RC_AGAIN, "replay.unreachable",
			"the target answered %d to %s%s%s", status, what, colon, text);
	}
	return err_set(e, RC_DENIED, "replay.refused", "the target refused %s with %d%s%s", what,
		status, colon, text);
}

enum rc
post_send(struct post *p, const struct post_headers *h, struct bytes query, struct bytes body,
	const struct event *const *events, size_t count, struct replay_answer *answer,
	struct err *e)
{
	char what[80];
	if (count == 1)
		snprintf(what, sizeof(what), "event %" PRIu64, events[0]->seq);
	else
		snprintf(what, sizeof(what), "events %" PRIu64 " to %" PRIu64, events[0]->seq,
			events[count - 1]->seq);
	buf_clear(&p->full_url);
	buf_put_str(&p->full_url, p->url);
	if (!p->url_has_query && query.len > 0) {
		buf_put_char(&p->full_url, '?');
		buf_put_bytes(&p->full_url, query);
	}
	enum rc rc = http_request(p->client, "POST", buf_cstr(&p->full_url), h->list, h->count,
		body, &p->response, e);
	if (rc == RC_OK)
		return judge(p, what, answer, e);
	struct err cause = *e;
	if (rc == RC_INVALID)
		return err_set(
			e, RC_DENIED, "replay.refused", "%s cannot be sent: %s", what, cause.text);
	/* Not about the event: there is no use in going on to the next one. */
	if (rc == RC_DENIED)
		return err_set(e, RC_INVALID, "replay.address",
			"%s; allow it with replay.allow or "
			"--allow-private",
			cause.text);
	return err_set(e, RC_AGAIN, "replay.unreachable", "%s", cause.text);
}
