/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "replay/pull_internal.h"

/* Who may ask for what, and all answers but the events. */

#define PREFIX "/v1/subscriptions/"
#define JSON "application/json"

struct call {
	struct pull *pull;
	struct server_request *rq;
	struct pull_sub *sub;
	struct token token;
	const char *token_text;
};

static void call_show(struct call *c);
static void call_events(struct call *c);
static void call_ack(struct call *c);
static void call_seek(struct call *c);

/* tests/it/subscription_pull.test.mjs reads these rows: one that it knows no answers for fails it. */
static const struct route {
	const char *method, *what;
	enum token_scope scope;
	void (*call)(struct call *c);
} routes[] = {
	{ "GET", "", TOKEN_READ, call_show },
	{ "GET", "/events", TOKEN_READ, call_events },
	{ "POST", "/ack", TOKEN_ACK, call_ack },
	{ "POST", "/seek", TOKEN_SEEK, call_seek },
};

void
pull_refuse(struct server_request *rq, unsigned status, const char *text)
{
	struct buf json = buf_new(4096);
	buf_put_str(&json, "{\"error\":");
	buf_put_json(&json, utf8_valid(bytes_str(text)) ? bytes_str(text) : bytes_str("?"));
	buf_put_str(&json, "}\n");
	if (status == 503 || status == 429)
		server_add_header(rq, "Retry-After", "5");
	server_answer(rq, status, JSON, buf_bytes(&json));
	buf_free(&json);
}

bool
pull_number(const struct server_request *rq, const char *name, uint64_t *number)
{
	const char *text = server_query(rq, name);
	if (text == NULL)
		return true;
	size_t len = strlen(text);
	if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
		return false;
	*number = strtoull(text, NULL, 10);
	return true;
}

/* ---- answers ---- */

static enum rc
last_seq(struct call *c, uint64_t *seq, struct err *e)
{
	struct store_span span;
	pthread_mutex_lock(&c->pull->reader_lock);
	enum rc rc = store_span(c->pull->reader, &span, e);
	pthread_mutex_unlock(&c->pull->reader_lock);
	*seq = rc == RC_OK ? span.last_seq : 0;
	return rc;
}

static void
refuse_err(struct call *c, const struct err *e)
{
	LOG_WARN("subscription.failed", F_S("name", c->sub->name), F_S("error", e->text));
	pull_refuse(c->rq, 500, e->text);
}

static void
call_show(struct call *c)
{
	uint64_t last;
	struct err e;
	if (last_seq(c, &last, &e) != RC_OK) {
		refuse_err(c, &e);
		return;
	}
	pthread_mutex_lock(&c->pull->lock);
	uint64_t acknowledged = c->sub->state->window.settled;
	bool paused = c->sub->control.paused;
	pthread_mutex_unlock(&c->pull->lock);
	struct buf json = buf_new(1024);
	buf_printf(&json,
		"{\"name\":\"%s\",\"status\":\"%s\",\"next_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
		",\"lag\":%" PRIu64 "}\n",
		c->sub->name, paused ? "paused" : "active", acknowledged + 1, last,
		last > acknowledged ? last - acknowledged : 0);
	server_answer(c->rq, 200, JSON, buf_bytes(&json));
	buf_free(&json);
}

static void
call_events(struct call *c)
{
	pull_events(c->pull, c->rq, c->sub, c->token_text);
	c->sub = NULL;
}

static void
call_ack(struct call *c)
{
	uint64_t seq = 0, last;
	struct err e;
	if (!pull_number(c->rq, "seq", &seq) || seq == 0) {
		pull_refuse(c->rq, 400, "name the last event that is done: ?seq=N");
		return;
	}
	if (last_seq(c, &last, &e) != RC_OK) {
		refuse_err(c, &e);
		return;
	}
	if (seq > last) {
		pull_refuse(c->rq, 400, "the log does not have this event yet");
		return;
	}
	pthread_mutex_lock(&c->pull->lock);
	if (seq > c->sub->state->window.settled) {
		c->sub->state->sent += seq - c->sub->state->window.settled;
		window_reset(&c->sub->state->window, seq);
		journal_sync(c->sub->journal, true);
	}
	pthread_mutex_unlock(&c->pull->lock);
	call_show(c);
}

/* The number of the event that seq or time of the query name. */
static bool
seek_position(struct call *c, uint64_t *seq)
{
	const char *at = server_query(c->rq, "time");
	bool by_seq = server_query(c->rq, "seq") != NULL;
	int64_t at_us;
	struct err e;
	enum rc rc;
	*seq = 0;
	if (by_seq == (at != NULL) || !pull_number(c->rq, "seq", seq) || (by_seq && *seq == 0) ||
		(at != NULL && !clock_parse_us(bytes_str(at), &at_us))) {
		pull_refuse(c->rq, 400,
			"name the next event: ?seq=N, or ?time=2026-03-01T02:00:00Z for the first "
			"one received then or later");
		return false;
	}
	if (by_seq)
		return true;
	pthread_mutex_lock(&c->pull->reader_lock);
	rc = store_seq_at(c->pull->reader, at_us, seq, &e);
	pthread_mutex_unlock(&c->pull->reader_lock);
	if (rc != RC_OK)
		refuse_err(c, &e);
	return rc == RC_OK;
}

static void
call_seek(struct call *c)
{
	uint64_t seq, last;
	struct err e;
	if (!seek_position(c, &seq))
		return;
	if (last_seq(c, &last, &e) != RC_OK) {
		refuse_err(c, &e);
		return;
	}
	if (seq > last + 1) {
		pull_refuse(c->rq, 400, "the log does not have this event yet");
		return;
	}
	struct buf fields = buf_new(256);
	buf_printf(&fields, "\"seq\":%" PRIu64 ",\"token\":\"%s\"", seq, c->token.id);
	enum rc rc = journal_audit(
		c->pull->subscriptions->dir, "seek", c->sub->name, buf_bytes(&fields), &e);
	buf_free(&fields);
	if (rc != RC_OK) {
		refuse_err(c, &e);
		return;
	}
	pthread_mutex_lock(&c->pull->lock);
	window_reset(&c->sub->state->window, seq - 1);
	journal_sync(c->sub->journal, true);
	pthread_mutex_unlock(&c->pull->lock);
	call_show(c);
}

/* ---- who may ---- */

/* RFC 6750 §2.1 and §3. False: it was answered. */
static bool
authenticate(struct call *c)
{
	const char *given = server_header(c->rq, "Authorization");
	struct err e;
	if (given == NULL || strncasecmp(given, "Bearer ", 7) != 0) {
		server_add_header(c->rq, "WWW-Authenticate", "Bearer realm=\"hooklog\"");
		pull_refuse(c->rq, 401, "this needs a token: Authorization: Bearer ...");
		return false;
	}
	c->token_text = given + 7 + strspn(given + 7, " ");
	enum rc rc = token_check(c->pull->subscriptions->dir, c->token_text, clock_now_us(),
		server_arena(c->rq), &c->token, &e);
	if (rc == RC_OK)
		return true;
	if (rc == RC_DENIED) {
		server_add_header(c->rq, "WWW-Authenticate",
			"Bearer realm=\"hooklog\", error=\"invalid_token\"");
		pull_refuse(c->rq, 401, e.text);
	} else {
		log_err("subscription.tokens", &e);
		pull_refuse(c->rq, 503, "the tokens cannot be read");
	}
	return false;
}

/* The route of the path, with the name of the subscription. NULL: it was answered. */
static const struct route *
find_route(struct call *c, char name[JOURNAL_NAME_BYTES])
{
	const char *path = server_path(c->rq), *method = server_method(c->rq), *allowed = NULL;
	size_t prefix = strlen(PREFIX), len;
	if (strncmp(path, PREFIX, prefix) != 0 || (len = strcspn(path + prefix, "/")) == 0 ||
		len >= JOURNAL_NAME_BYTES) {
		pull_refuse(c->rq, 404, "there is nothing here; see docs/subscriptions.md");
		return NULL;
	}
	snprintf(name, JOURNAL_NAME_BYTES, "%.*s", (int)len, path + prefix);
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		if (strcmp(path + prefix + len, routes[i].what) != 0)
			continue;
		if (strcmp(method, routes[i].method) == 0)
			return &routes[i];
		allowed = routes[i].method;
	}
	if (allowed == NULL) {
		pull_refuse(c->rq, 404, "there is nothing here; see docs/subscriptions.md");
		return NULL;
	}
	server_add_header(c->rq, "Allow", allowed);
	pull_refuse(c->rq, 405, "not with this method");
	return NULL;
}

void
pull_handle(struct server_request *rq, void *context)
{
	struct call c = { .pull = context, .rq = rq };
	char name[JOURNAL_NAME_BYTES];
	bool busy;
	if (!authenticate(&c))
		return;
	const struct route *route = find_route(&c, name);
	if (route == NULL)
		return;
	/* Before anything tells whether there is such a subscription. */
	if (strcmp(c.token.subscription, name) != 0) {
		pull_refuse(rq, 403, "the token is for another subscription");
		return;
	}
	if ((c.token.scopes & (unsigned)route->scope) == 0) {
		server_add_header(
			rq, "WWW-Authenticate", "Bearer realm=\"hooklog\", error=\"insufficient_scope\"");
		pull_refuse(rq, 403, "the token does not have the scope for this");
		return;
	}
	c.sub = pull_take(c.pull, name, &busy);
	if (c.sub == NULL) {
		pull_refuse(rq, busy ? 429 : 503,
			busy ? "too many requests for this subscription at once"
			     : "the subscription is not served at the moment");
		return;
	}
	route->call(&c);
	if (c.sub != NULL)
		pull_give(c.pull, c.sub);
}
