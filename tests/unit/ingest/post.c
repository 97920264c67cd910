/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/ingest/post.h"

static enum rc
set_up(struct post *p, const char *provider, const char *const *options, const char *secret,
	struct err *e)
{
	p->a = arena_new(4096);
	p->source = (struct source){ .name = "s", .provider = provider_find(bytes_str(provider)) };
	assert_non_null(p->source.provider);
	for (; options != NULL && *options != NULL; options += 2)
		assert_int_equal(
			source_pairs_add(&p->pairs, options[0], options[1], p->a, e), RC_OK);
	p->source.allow_unsigned = secret == NULL;
	if (secret != NULL)
		post_add_secret(p, secret);
	p->query = "";
	p->body = bytes_str("");
	p->now_s = clock_now_us() / 1000000;
	return source_set_up(&p->source, &p->pairs, p->a, e);
}

struct post *
post_new(const char *provider, const char *const *options, const char *secret)
{
	struct post *p = base_zalloc(sizeof *p);
	struct err e;
	if (set_up(p, provider, options, secret, &e) != RC_OK)
		fail_msg("%s", e.text);
	return p;
}

void
post_free(struct post *p)
{
	source_tear_down(&p->source);
	arena_free(p->a);
	free(p);
}

const char *
post_wrong(struct arena *a, const char *provider, const char *const *options, const char *secret)
{
	struct post *p = base_zalloc(sizeof *p);
	struct err e = { .rc = RC_OK };
	assert_int_equal(set_up(p, provider, options, secret, &e), RC_INVALID);
	assert_string_equal(e.id, "ingest.source");
	post_free(p);
	return arena_string(a, bytes_str(e.text));
}

void
post_add_secret(struct post *p, const char *secret)
{
	struct source_secret *s = &p->source.secrets[p->source.secret_count++];
	*s = (struct source_secret){ .value = bytes_str(arena_string(p->a, bytes_str(secret))),
		.file = "file",
		.not_before_us = INT64_MIN,
		.not_after_us = INT64_MAX };
	source_key_id(s->value, s->key_id);
}

void
post_header_again(struct post *p, const char *name, const char *value)
{
	assert_true(p->header_count < POST_HEADERS_MAX);
	p->headers[p->header_count++] = (struct event_header){
		bytes_str(arena_string(p->a, bytes_str(name))),
		bytes_str(arena_string(p->a, bytes_str(value))),
	};
}

void
post_header(struct post *p, const char *name, const char *value)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->header_count; i++) {
		if (!bytes_is_nocase(p->headers[i].name, name))
			p->headers[kept++] = p->headers[i];
	}
	p->header_count = kept;
	if (value != NULL)
		post_header_again(p, name, value);
}

int
post_try(struct post *p)
{
	struct guard_request request = { bytes_str("POST"),
		bytes_str(arena_printf(p->a, "/in/s?%s", p->query)), bytes_str("HTTP/1.0"),
		p->headers, p->header_count };
	struct guard_facts facts;
	memset(&p->no, 0, sizeof p->no);
	if (!guard_head(&request, &facts, &p->no) ||
		!delivery_begin(&p->delivery, &p->source, &request, &facts, p->a, &p->no) ||
		!delivery_check_time(&p->delivery, p->now_s, &p->no))
		return (int)p->no.status;
	if (p->delivery.unsigned_ping)
		return 200;
	/* A copy of its own size, so that AddressSanitizer sees a read behind the end. */
	unsigned char *copy = base_alloc(p->body.len + 1);
	copy = base_realloc(copy, p->body.len > 0 ? p->body.len : 1);
	memcpy(copy, p->body.data, p->body.len);
	bool right = delivery_verify(
		&p->delivery, (struct bytes){ copy, p->body.len }, clock_now_us(), &p->key_id);
	free(copy);
	if (!right)
		return 401;
	return delivery_read_body(&p->delivery, p->body, &p->no) ? 0 : (int)p->no.status;
}

int
post_try_with(struct post *p, const char *name, const char *value)
{
	struct event_header before[POST_HEADERS_MAX];
	size_t count = p->header_count;
	memcpy(before, p->headers, sizeof before);
	post_header(p, name, value);
	int status = post_try(p);
	memcpy(p->headers, before, sizeof before);
	p->header_count = count;
	return status;
}

void
post_take_ping(struct post *p)
{
	struct provider_ping ping;
	struct err e;
	struct bytes secret = { NULL, 0 };
	if (p->source.secret_count > 0)
		secret = p->source.secrets[0].value;
	if (p->source.provider->ping(p->source.setup, secret, p->a, &ping, &e) != RC_OK)
		fail_msg("%s", e.text);
	p->header_count = ping.header_count;
	memcpy(p->headers, ping.headers, ping.header_count * sizeof *ping.headers);
	p->query = arena_string(p->a, ping.query);
	p->body = ping.body;
	p->now_s = clock_now_us() / 1000000;
}

static void
flip_body(struct post *p)
{
	struct bytes whole = p->body;
	size_t step = whole.len * 8 > 4096 ? whole.len * 8 / 4096 : 1;
	unsigned char *copy = arena_alloc(p->a, whole.len + 1);
	memcpy(copy, whole.data, whole.len);
	p->body = (struct bytes){ copy, whole.len };
	for (size_t bit = 0; bit < whole.len * 8; bit += step) {
		copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_equal(post_try(p), 401);
		copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	p->body.len--;
	assert_int_equal(post_try(p), 401);
	p->body = whole;
}

#define FORGERIES 500

/* right with its letters and digits replaced by others: what somebody could try who knows the form. */
static char *
forge(struct post *p, const char *right, size_t from)
{
	static const char digits[] = "0123456789abcdef";
	char *forged = arena_string(p->a, bytes_str(right));
	unsigned char random[1024];
	size_t len = strlen(forged);
	assert_true(len <= sizeof random);
	crypto_random(random, len);
	for (size_t i = from; i < len; i++) {
		if (strchr(digits, forged[i]) != NULL)
			forged[i] = digits[random[i] % 16];
	}
	return forged;
}

/* How long what stands in front of the signature itself is: "sha256=", "v1,", "t=1614556800,v1=". */
static size_t
prefix_of(const char *right)
{
	const char *padding = right + strlen(right);
	while (padding > right && padding[-1] == '=')
		padding--;
	size_t len = 0;
	for (const char *at = right; at < padding; at++) {
		if (*at == '=' || *at == ',')
			len = (size_t)(at - right) + 1;
	}
	return len;
}

static void
forgeries_must_fail(struct post *p, const char *name, const char *right)
{
	size_t prefix = prefix_of(right);
	char *only = arena_string(p->a, bytes_str(right));
	only[prefix] = '\0';
	assert_int_equal(post_try_with(p, name, only), 401);
	for (int i = 0; i < FORGERIES; i++) {
		const char *forged = forge(p, right, prefix);
		if (strcmp(forged, right) != 0 && post_try_with(p, name, forged) != 401)
			fail_msg("%s: %s was taken for %s", name, forged, right);
	}
	/* Two that differ: neither counts, in either order. */
	post_header_again(p, name, forge(p, right, prefix));
	assert_int_equal(post_try(p), 401);
	p->header_count--;
}

void
post_must_fail(struct post *p, const char *name)
{
	struct event ev = { .headers = p->headers, .header_count = p->header_count };
	const char *right = arena_string(p->a, event_header_value(&ev, name));
	size_t len = strlen(right);
	assert_true(len > 0);
	assert_int_equal(post_try(p), 0);
	flip_body(p);
	for (size_t i = 0; i < len; i++) {
		char *wrong = arena_string(p->a, bytes_str(right));
		/* Upper case of a hexadecimal digit is the same digit, and nothing the sender
		 * writes. */
		wrong[i] = wrong[i] == '7' ? '8' : '7';
		if (post_try_with(p, name, wrong) != 401)
			fail_msg("%s: %s was taken for %s", name, wrong, right);
	}
	char *cut = arena_string(p->a, bytes_str(right));
	cut[len - 1] = '\0';
	assert_int_equal(post_try_with(p, name, cut), 401);
	assert_int_equal(post_try_with(p, name, arena_printf(p->a, "%s0", right)), 401);
	assert_int_equal(post_try_with(p, name, arena_printf(p->a, "%s x", right)), 401);
	assert_int_equal(post_try_with(p, name, arena_printf(p->a, "x%s", right)), 401);
	assert_int_equal(post_try_with(p, name, ""), 401);
	assert_int_equal(post_try_with(p, name, NULL), 401);
	post_header_again(p, name, right);
	assert_int_equal(post_try(p), 401);
	p->header_count--;
	forgeries_must_fail(p, name, right);
	assert_int_equal(post_try(p), 0);
}
