/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "ingest/delivery.h"
#include "ingest/redact.h"

/* libFuzzer entry for every provider: head, time, verify and body of one request. Needs clang; not
 * part of the ordinary build:
 *
 *	clang -std=c11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined \
 *		tests/fuzz/provider_fuzz.c ingest/provider/[a-z]*.c ingest/provider.c \
 *		ingest/provider_parts.c ingest/delivery.c ingest/guard.c ingest/redact.c \
 *		ingest/source_s[a-z]*.c ingest/silence.c event/[a-z]*.c base/[a-z]*.c \
 *		-lmsgpackc -lcrypto -linih -o provider_fuzz
 *	./provider_fuzz -max_total_time=60
 *
 * With -DREPLAY instead of -fsanitize=fuzzer it runs the files it is given, with any compiler.
 *
 * Input: one byte that chooses the source, one with flags (the delivery is rightly signed by the
 * provider's own ping, which the rest then damages), the query in a line, header lines up to an
 *empty one, the body. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
static void
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
		return;
	(void)delivery_check_time(&d, 1614556800, &no);
	(void)redact_query(source->setup, salt, facts.query, a);
	bool right = delivery_verify(&d, in->body, 1, &key_id);
	ASSERT(!whole_ping || right || source->secret_count == 0 || d.unsigned_ping);
	if (!right || !delivery_read_body(&d, in->body, &no))
		return;
	const struct provider_content *content = &d.content;
	ASSERT(provider_is_claim(content->claims.event));
	ASSERT(provider_is_claim(content->claims.delivery));
	ASSERT(provider_is_claim(content->claims.hook));
	for (size_t i = 0; content->is_batch && i < content->part_count; i++) {
		ASSERT(provider_is_claim(content->parts[i].event));
		ASSERT(content->parts[i].delivery.len > 0 && content->parts[i].body.len > 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
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
	judge(&in, &source, whole, a);
	source_tear_down(&source);
	arena_free(a);
	return 0;
}

#ifdef REPLAY
int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		static unsigned char data[1 << 20];
		FILE *file = fopen(argv[i], "re");
		if (file == NULL)
			return 1;
		size_t len = fread(data, 1, sizeof data, file);
		fclose(file);
		/* A copy of its own size, so that reading behind it is seen. */
		unsigned char *copy = base_alloc(len + 1);
		memcpy(copy, data, len);
		(void)LLVMFuzzerTestOneInput(copy, len);
		free(copy);
	}
	return 0;
}
#endif
