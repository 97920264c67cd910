/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/redact.h"
#include "tests/unit/ingest/post.h"

/* From docs.github.com, "Validating webhook deliveries". */
#define SECRET "It's a Secret to Everybody"
#define SIGNATURE "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define SIGNATURE_HEADER "X-Hub-Signature-256"

static struct post *
hello(void)
{
	struct post *p = post_new("github", NULL, SECRET);
	post_header(p, "x-github-event", "issues");
	post_header(p, "X-GITHUB-DELIVERY", "d-1");
	post_header(p, "X-GitHub-Hook-ID", "42");
	post_header(p, SIGNATURE_HEADER, "sha256=" SIGNATURE);
	p->body = bytes_str("Hello, World!");
	return p;
}

static void
published_signatures_match(void **state UNUSED)
{
	struct post *p = hello();
	post_must_fail(p, SIGNATURE_HEADER);
	assert_string_equal(p->source.setup->scheme, "hmac-sha256");
	/* A form is signed as it is sent, still escaped. */
	post_header(p, "Content-Type", "application/x-www-form-urlencoded");
	post_header(p, SIGNATURE_HEADER,
		"sha256=427b05bda3a79bc7ef3bcf683ff0ee7fe749b134a1c9f826719acb4727547d9a");
	p->body = bytes_str("payload=%7B%22zen%22%3A%22a+b%22%7D");
	assert_int_equal(post_try(p), 0);
	post_free(p);
}

static void
signatures_of_wrong_form_are_refused(void **state UNUSED)
{
	static const char *const wrong[] = { "", "sha256=", "sha1=" SIGNATURE, SIGNATURE,
		"sha256=" SIGNATURE "0", "sha256=" SIGNATURE " ", " sha256=" SIGNATURE,
		"SHA256=" SIGNATURE, "sha256=757107ea", "sha256=z" SIGNATURE };
	struct post *p = hello();
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(post_try_with(p, SIGNATURE_HEADER, wrong[i]), 401);
	/* SHA-1 alone is no signature, and two of the old kind say two things. */
	post_header(p, "X-Hub-Signature", "sha1=0");
	assert_int_equal(post_try_with(p, SIGNATURE_HEADER, NULL), 401);
	post_header_again(p, "X-Hub-Signature", "sha1=1");
	assert_int_equal(post_try(p), 401);
	post_free(p);
}

static void
every_secret_is_tried(void **state UNUSED)
{
	struct post *p = hello();
	p->source.secret_count = 0;
	post_add_secret(p, "another secret, longer than that");
	assert_int_equal(post_try(p), 401);
	post_add_secret(p, SECRET);
	assert_int_equal(post_try(p), 0);
	assert_string_equal(p->key_id, p->source.secrets[1].key_id);
	p->source.secrets[1].not_after_us = 1;
	assert_int_equal(post_try(p), 401);
	post_free(p);
}

static void
claims_come_from_the_headers(void **state UNUSED)
{
	struct post *p = hello();
	char long_id[200];
	memset(long_id, 'a', sizeof long_id);
	long_id[sizeof long_id - 1] = '\0';
	assert_int_equal(post_try(p), 0);
	const struct provider_claims *claims = &p->delivery.content.claims;
	assert_true(bytes_is(claims->event, "issues"));
	assert_true(bytes_is(claims->delivery, "d-1"));
	assert_true(bytes_is(claims->hook, "42"));
	assert_int_equal(post_try_with(p, "X-GitHub-Hook-ID", NULL), 0);
	assert_int_equal(claims->hook.len, 0);
	assert_int_equal(post_try_with(p, "X-GitHub-Event", NULL), 400);
	assert_int_equal(post_try_with(p, "X-GitHub-Event", ""), 400);
	assert_int_equal(post_try_with(p, "X-GitHub-Event", "iss\xc3\xa9"), 400);
	assert_int_equal(post_try_with(p, "X-GitHub-Delivery", NULL), 400);
	assert_int_equal(post_try_with(p, "X-GitHub-Delivery", "d 1"), 400);
	assert_int_equal(post_try_with(p, "X-GitHub-Delivery", long_id), 400);
	post_header_again(p, "X-GitHub-Delivery", "d-2");
	assert_int_equal(post_try(p), 400);
	post_free(p);
}

static void
unsigned_sources_check_nothing(void **state UNUSED)
{
	struct post *p = post_new("github", NULL, NULL);
	post_header(p, "X-GitHub-Event", "issues");
	post_header(p, "X-GitHub-Delivery", "d-1");
	assert_int_equal(post_try(p), 0);
	assert_string_equal(p->key_id, "");
	post_header(p, SIGNATURE_HEADER, "sha256=");
	assert_int_equal(post_try(p), 0);
	post_free(p);
}

static void
pings_are_signed_and_fresh(void **state UNUSED)
{
	struct post *p = post_new("github", NULL, SECRET);
	post_take_ping(p);
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(p->delivery.content.claims.event, "ping"));
	struct bytes first = p->delivery.content.claims.delivery;
	post_take_ping(p);
	post_must_fail(p, SIGNATURE_HEADER);
	assert_false(bytes_equal(first, p->delivery.content.claims.delivery));
	p->source.secret_count = 0;
	post_take_ping(p);
	assert_int_equal(post_try(p), 401);
	assert_null(p->delivery.claims.signature.data);
	post_free(p);
}

static void
secrets_are_redacted_with_the_salt(void **state UNUSED)
{
	static const char *const secret[] = { "Authorization", "cookie", "PROXY-AUTHORIZATION",
		"X-Hub-Signature", "x-hub-signature-256", "X-Gitlab-Token" };
	static const char *const plain[] = { "Host", "X-Hub-Sig", "X-GitHub-Event", "User-Agent" };
	const struct provider_setup *setup = provider_find(bytes_str("github"))->setup;
	for (size_t i = 0; i < COUNT_OF(secret); i++)
		assert_true(redact_is_secret(setup, bytes_str(secret[i])));
	for (size_t i = 0; i < COUNT_OF(plain); i++)
		assert_false(redact_is_secret(setup, bytes_str(plain[i])));

	char path[128];
	unsigned char salt[REDACT_SALT_BYTES], again[REDACT_SALT_BYTES], other[REDACT_SALT_BYTES];
	struct err e;
	struct stat st;
	const char *tmp = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/hooklog-salt-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	int fd = mkstemp(path);
	close(fd);
	assert_int_equal(redact_salt(path, salt, &e), RC_INVALID);
	assert_string_equal(e.id, "ingest.salt");
	unlink(path);
	assert_int_equal(redact_salt(path, salt, &e), RC_OK);
	assert_int_equal(redact_salt(path, again, &e), RC_OK);
	assert_memory_equal(salt, again, sizeof salt);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(path);
	assert_int_equal(redact_salt(path, other, &e), RC_OK);
	unlink(path);

	struct arena *a = arena_new(1024);
	struct bytes one = redact_value(salt, bytes_str("Bearer token"), a);
	assert_int_equal(one.len, strlen("redacted:") + 16);
	assert_true(bytes_equal(one, redact_value(salt, bytes_str("Bearer token"), a)));
	assert_false(bytes_equal(one, redact_value(salt, bytes_str("Bearer tokem"), a)));
	assert_true(bytes_equal(one, redact_value(salt, bytes_str("bearer token"), a)));
	assert_false(bytes_equal(one, redact_value(salt, bytes_str("Bearer Token"), a)));
	assert_false(bytes_equal(one, redact_value(salt, bytes_str("Basic token"), a)));
	assert_false(bytes_equal(one, redact_value(other, bytes_str("Bearer token"), a)));
	arena_free(a);
}

static void
queries_lose_their_token_only(void **state UNUSED)
{
	static const char *const cases[][2] = { { "", "" }, { "a=b", "a=b" }, { "key", "key" },
		{ "key=T", "key=#" }, { "a=1&key=T&b=2", "a=1&key=#&b=2" }, { "key=T&", "key=#&" },
		{ "key=T&key=T", "key=#&key=#" }, { "&key=T", "&key=#" }, { "keys=T", "keys=T" },
		{ "mykey=T", "mykey=T" }, { "key=%54", "key=#" }, { "k%65y=T", "k%65y=#" },
		{ "%=T&key=T", "%=T&key=#" } };
	const struct provider_setup setup = { .scheme = "x", .secret_query = "key" };
	const struct provider_setup none = { .scheme = "x" };
	const unsigned char salt[REDACT_SALT_BYTES] = { 1 };
	struct arena *a = arena_new(1024);
	const char *hash = arena_string(a, redact_value(salt, bytes_str("T"), a));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf want = buf_new(1024);
		for (const char *c = cases[i][1]; *c != '\0'; c++) {
			if (*c == '#')
				buf_put_str(&want, hash);
			else
				buf_put_char(&want, *c);
		}
		struct bytes got = redact_query(&setup, salt, bytes_str(cases[i][0]), a);
		if (!bytes_equal(got, buf_bytes(&want)))
			fail_msg("%s gave %.*s", cases[i][0], (int)got.len, (const char *)got.data);
		assert_true(bytes_is(
			redact_query(&none, salt, bytes_str(cases[i][0]), a), cases[i][0]));
		buf_free(&want);
	}
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_signatures_match),
		cmocka_unit_test(signatures_of_wrong_form_are_refused),
		cmocka_unit_test(every_secret_is_tried),
		cmocka_unit_test(claims_come_from_the_headers),
		cmocka_unit_test(unsigned_sources_check_nothing),
		cmocka_unit_test(pings_are_signed_and_fresh),
		cmocka_unit_test(secrets_are_redacted_with_the_salt),
		cmocka_unit_test(queries_lose_their_token_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
