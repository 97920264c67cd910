/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "ingest/delivery.h"
#include "ingest/redact.h"
#include "ingest/server.h"
#include "tests/tools/fuzz.h"
#include "tests/unit/ingest/world.h"

/* Input of the target "provider": one byte that chooses the source, one with flags (the delivery is
 * rightly signed by the provider's own ping, which the rest then damages), the query in a line, header
 * lines up to an empty one, the body. Of "request": what a client sends. */

static const struct {
	const char *provider, *secret;
	const char *options[13];
} sources[] = {
	{ "bitbucket-cloud", "0123456789abcdef", { NULL } },
	{ "bitbucket-datacenter", "0123456789abcdef", { NULL } },
	{ "cloudevents", "0123456789abcdef", { "allowed_origin", "a.example" } },
	{ "cloudevents", NULL, { NULL } },
	{ "forgejo", "0123456789abcdef", { NULL } },
	{ "generic", "0123456789abcdef",
		{ "auth", "hmac", "signature_header", "s", "signature_template",
			"{id}.{timestamp}.{body}", "id_header", "i", "timestamp_header", "t",
			"event_pointer", "/a/0/b" } },
	{ "generic", "user:0123456789abcdef", { "auth", "basic", "id_pointer", "/id" } },
	{ "generic", "0123456789abcdef", { "auth", "query", "query_key", "k" } },
	{ "generic", NULL, { "auth", "none", "id_pointer", "/a/b", "event_pointer", "/0/c" } },
	{ "gitea", "0123456789abcdef", { NULL } },
	{ "github", "0123456789abcdef", { NULL } },
	{ "gitlab", "0123456789abcdef", { NULL } },
	{ "gitlab", "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=",
		{ "scheme", "signing-token" } },
	{ "gogs", "0123456789abcdef", { NULL } },
	{ "slack", "0123456789abcdef", { NULL } },
	{ "slack", NULL, { NULL } },
	{ "standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", { NULL } },
	{ "standard-webhooks",
		"whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", { "scheme", "v1a" } },
	{ "stripe", "whsec_test_secret", { NULL } },
	{ "stripe", NULL, { NULL } },
};

struct input {
	struct bytes rest;
	struct event_header headers[LIMIT_HEADERS];
	size_t header_count;
	struct bytes query, body;
};

static struct bytes
take_line(struct bytes *rest)
{
	const unsigned char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
	struct bytes line = { rest->data, end == NULL ? rest->len : (size_t)(end - rest->data) };
	size_t used = line.len + (end != NULL);
	*rest = (struct bytes){ rest->data + used, rest->len - used };
	return line;
}

static void
split(struct input *in)
{
	in->query = take_line(&in->rest);
	while (in->rest.len > 0 && in->header_count < LIMIT_HEADERS) {
		struct bytes line = take_line(&in->rest);
		const unsigned char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
		if (colon == NULL)
			break;
		size_t name = (size_t)(colon - line.data);
		in->headers[in->header_count++] = (struct event_header){
			{ line.data, name },
			{ colon + 1, line.len - name - 1 },
		};
	}
	in->body = in->rest;
}

/* What the ping has and the input does not replace. */
static void
add_ping(struct input *in, const struct source *source, struct arena *a)
{
	struct provider_ping ping;
	struct err e;
	const struct bytes secret =
		source->secret_count > 0 ? source->secrets[0].value : (struct bytes){ NULL, 0 };
	if (source->provider->ping(source->setup, secret, a, &ping, &e) != RC_OK)
		return;
	for (size_t i = 0; i < ping.header_count && in->header_count < LIMIT_HEADERS; i++) {
		bool there = false;
		for (size_t k = 0; k < in->header_count; k++)
			there |= bytes_is_nocase(
				in->headers[k].name, arena_string(a, ping.headers[i].name));
		if (!there)
			in->headers[in->header_count++] = ping.headers[i];
	}
	if (in->body.len == 0)
		in->body = ping.body;
	if (in->query.len == 0)
		in->query = ping.query;
}

/* Nothing that was signed by nobody here may be taken: what is accepted must be the ping. */
static bool
judge(struct input *in, const struct source *source, bool whole_ping, struct arena *a)
{
	const struct guard_request request = { bytes_str("POST"),
		bytes_str(arena_printf(a, "/in/s?%.*s", (int)in->query.len,
			in->query.len > 0 ? (const char *)in->query.data : "")),
		bytes_str("HTTP/1.0"), in->headers, in->header_count };
	const unsigned char salt[REDACT_SALT_BYTES] = { 0 };
	struct guard_facts facts;
	struct delivery d;
	struct refusal no;
	const char *key_id;
	if (!guard_head(&request, &facts, &no) ||
		!delivery_begin(&d, source, &request, &facts, a, &no))
		return false;
	(void)delivery_check_time(&d, 1614556800, &no);
	(void)redact_query(source->setup, salt, facts.query, a);
	bool right = delivery_verify(&d, in->body, 1, &key_id);
	ASSERT(!whole_ping || right || source->secret_count == 0 || d.unsigned_ping);
	if (!right || !delivery_read_body(&d, in->body, &no))
		return false;
	const struct provider_content *content = &d.content;
	ASSERT(provider_is_claim(content->claims.event));
	ASSERT(provider_is_claim(content->claims.delivery));
	ASSERT(provider_is_claim(content->claims.hook));
	for (size_t i = 0; content->is_batch && i < content->part_count; i++) {
		ASSERT(provider_is_claim(content->parts[i].event));
		ASSERT(content->parts[i].delivery.len > 0 && content->parts[i].body.len > 0);
	}
	return true;
}

static bool
run_provider(const unsigned char *data, size_t size)
{
	if (size < 2)
		return false;
	size_t chosen = data[0] % COUNT_OF(sources);
	struct arena *a = arena_new(4096);
	static const struct source_pairs none = { .count = 0 };
	struct source_pairs pairs = none;
	struct source source = { .name = "s" };
	struct input in = { .rest = { data + 2, size - 2 } };
	struct err e;
	source.provider = provider_find(bytes_str(sources[chosen].provider));
	ASSERT(source.provider != NULL);
	source.allow_unsigned = sources[chosen].secret == NULL;
	if (!source.allow_unsigned)
		source.secrets[source.secret_count++] = (struct source_secret){
			.value = bytes_str(sources[chosen].secret),
			.file = "f",
			.not_before_us = INT64_MIN,
			.not_after_us = INT64_MAX,
		};
	for (const char *const *o = sources[chosen].options; *o != NULL; o += 2)
		ASSERT(source_pairs_add(&pairs, o[0], o[1], a, &e) == RC_OK);
	ASSERT(source_set_up(&source, &pairs, a, &e) == RC_OK);
	split(&in);
	bool ping = (data[1] & 1) != 0;
	bool whole = ping && in.header_count == 0 && in.body.len == 0 && in.query.len == 0 &&
		     strcmp(sources[chosen].options[1] == NULL ? "" : sources[chosen].options[1],
			     "v1a") != 0;
	if (ping)
		add_ping(&in, &source, a);
	bool taken = judge(&in, &source, whole, a);
	source_tear_down(&source);
	arena_free(a);
	return taken;
}

/* Of all sources in turn: the ping as it is, and one that the input completes. */
static unsigned char *
sample_provider(unsigned number, size_t *size)
{
	static const char rest[] = "id=1\nX-Github-Event: push\ni: 1\nt: 1614556800\nce-id: 1\n\n"
				   "{\"a\":[{\"b\":\"x\"}],\"id\":\"7\",\"type\":\"t\"}";
	size_t more = number < COUNT_OF(sources) ? 0 : sizeof rest - 1;
	unsigned char *data = base_alloc(2 + more);
	data[0] = (unsigned char)(number % COUNT_OF(sources));
	data[1] = 1;
	memcpy(data + 2, rest, more);
	*size = 2 + more;
	return data;
}

/* ---- a whole request, through a socketpair into the HTTP library and all of the receiver ---- */

static struct world *
the_world(void)
{
	static struct world *w;
	/* A thread per connection: the pool's epoll can miss a client that is gone for half a second. */
	if (w == NULL)
		w = world_new(INGEST_CONNECTION);
	return w;
}

static int
connect_pair(struct world *w)
{
	int ends[2];
	const struct sockaddr_un peer = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 20 };
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	while (MHD_add_connection(w->in->daemon, ends[1], (const struct sockaddr *)&peer, sizeof peer) !=
		MHD_YES)
		clock_sleep_ms(1); /* threads of earlier ones are about to end; ends[1] was closed */
	return ends[0];
}

static bool
run_request(const unsigned char *data, size_t size)
{
	struct world *w = the_world();
	struct buf answer = buf_new(256 * 1024);
	unsigned char part[4096];
	uint64_t before = fake_store_count(w->store);
	int fd = connect_pair(w);
	world_send(fd, data, size);
	shutdown(fd, SHUT_WR);
	ssize_t n;
	while ((n = recv(fd, part, sizeof part, 0)) > 0)
		buf_put(&answer, part, (size_t)n);
	/* Whatever came, it ends. */
	ASSERT(n == 0 || errno == ECONNRESET);
	close(fd);
	const char *text = buf_cstr(&answer);
	ASSERT(answer.len == 0 || strncmp(text, "HTTP/1.1 ", 9) == 0);
	uint64_t stored = fake_store_count(w->store) - before;
	ASSERT(stored <= 1);
	/* Nobody else can sign; the source that takes anything is told by its name. */
	if (stored == 1)
		ASSERT(memmem(data, size, WORLD_BODY, sizeof WORLD_BODY - 1) != NULL ||
			memmem(data, size, "/in/o", 5) != NULL || memmem(data, size, "%", 1) != NULL);
	bool taken = strstr(text, "HTTP/1.1 20") != NULL;
	buf_free(&answer);
	return taken;
}

static unsigned char *
sample_request(unsigned number, size_t *size)
{
	static const char *const fixed[] = {
		"POST /in/open HTTP/1.1\r\n" WORLD_HEAD "\r\n{}",
		"POST /in/open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
		"X-GitHub-Event: e\r\nX-GitHub-Delivery: d\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\n\r\n",
		"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /in/open HTTP/1.1\r\nExpect: 100-continue\r\n" WORLD_HEAD "\r\n{}",
	};
	struct buf text = buf_new(4096);
	size_t which = number % (COUNT_OF(fixed) + 2);
	if (which < COUNT_OF(fixed))
		buf_put_str(&text, fixed[which]);
	else
		world_put_post(&text, "/in/gh", "d-1", bytes_str(WORLD_BODY),
			which == COUNT_OF(fixed) ? "" : "X-Forwarded-For: 10.0.0.1, 6.6.6.6\r\n");
	*size = text.len;
	return text.data;
}

const struct fuzz_target fuzz_targets[] = {
	{ "provider", run_provider, sample_provider, 40000 },
	{ "request", run_request, sample_request, 4000 },
};
const size_t fuzz_target_count = COUNT_OF(fuzz_targets);
