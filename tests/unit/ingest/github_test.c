/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/provider.h"
#include "ingest/redact.h"

/* From docs.github.com, "Validating webhook deliveries". */
#define SECRET "It's a Secret to Everybody"
#define SIGNATURE "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

static const struct provider *
github(void)
{
	const struct provider *p = provider_find(bytes_str("github"));
	assert_non_null(p);
	return p;
}

static void
providers_are_found_by_name(void **state UNUSED)
{
	struct buf names = buf_new(64);
	provider_put_names(&names);
	assert_string_equal(buf_cstr(&names), "github");
	assert_null(provider_find(bytes_str("GitHub")));
	assert_null(provider_find(bytes_str("")));
	buf_free(&names);
}

static void
published_signatures_match(void **state UNUSED)
{
	const struct provider *p = github();
	struct bytes secret = bytes_str(SECRET), body = bytes_str("Hello, World!");
	assert_true(p->verify(secret, body, bytes_str("sha256=" SIGNATURE)));
	assert_false(p->verify(secret, bytes_str("Hello, World"), bytes_str("sha256=" SIGNATURE)));
	assert_false(p->verify(bytes_str("x"), body, bytes_str("sha256=" SIGNATURE)));
	/* A form is signed as it is sent, still escaped. */
	assert_true(p->verify(secret, bytes_str("payload=%7B%22zen%22%3A%22a+b%22%7D"),
		bytes_str("sha256="
			  "427b05bda3a79bc7ef3bcf683ff0ee7fe749b134a1c9f826719acb4727547d9a")));
}

static void
signatures_of_wrong_form_are_known(void **state UNUSED)
{
	static const char *const wrong[] = { "", "sha256=", "sha1=" SIGNATURE, SIGNATURE,
		"sha256=" SIGNATURE "0", "sha256=" SIGNATURE " ", " sha256=" SIGNATURE,
		"SHA256=" SIGNATURE, "sha256=757107ea", "sha256=z" SIGNATURE };
	const struct provider *p = github();
	assert_true(p->signature_formed(bytes_str("sha256=" SIGNATURE)));
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_false(p->signature_formed(bytes_str(wrong[i])));
		assert_false(p->verify(
			bytes_str(SECRET), bytes_str("Hello, World!"), bytes_str(wrong[i])));
	}
}

static enum rc
read_with(const char *event, const char *delivery, const char *hook, struct provider_claims *claims)
{
	struct event_header headers[3];
	struct event head = { .headers = headers };
	struct err e;
	if (event != NULL)
		headers[head.header_count++] =
			(struct event_header){ bytes_str("x-github-event"), bytes_str(event) };
	if (delivery != NULL)
		headers[head.header_count++] =
			(struct event_header){ bytes_str("X-GITHUB-DELIVERY"),
				bytes_str(delivery) };
	if (hook != NULL)
		headers[head.header_count++] =
			(struct event_header){ bytes_str("X-GitHub-Hook-ID"), bytes_str(hook) };
	return github()->read(&head, claims, &e);
}

static void
claims_come_from_the_headers(void **state UNUSED)
{
	struct provider_claims claims;
	char long_id[200];
	memset(long_id, 'a', sizeof long_id);
	long_id[sizeof long_id - 1] = '\0';
	assert_int_equal(read_with("issues", "d-1", "42", &claims), RC_OK);
	assert_true(bytes_is(claims.event, "issues"));
	assert_true(bytes_is(claims.delivery, "d-1"));
	assert_true(bytes_is(claims.hook, "42"));
	assert_null(claims.signature.data);
	assert_int_equal(read_with("issues", "d-1", NULL, &claims), RC_OK);
	assert_int_equal(claims.hook.len, 0);
	assert_int_equal(read_with(NULL, "d-1", "42", &claims), RC_INVALID);
	assert_int_equal(read_with("", "d-1", "42", &claims), RC_INVALID);
	assert_int_equal(read_with("issues", NULL, "42", &claims), RC_INVALID);
	assert_int_equal(read_with("issues", "d 1", "42", &claims), RC_INVALID);
	assert_int_equal(read_with("iss\xc3\xa9", "d-1", "42", &claims), RC_INVALID);
	assert_int_equal(read_with("issues", long_id, "42", &claims), RC_INVALID);
}

static void
pings_are_signed_and_fresh(void **state UNUSED)
{
	const struct provider *p = github();
	struct arena *a = arena_new(1024);
	struct provider_ping one, two, bare;
	struct provider_claims first, second;
	struct err e;
	p->ping(bytes_str(SECRET), a, &one);
	p->ping(bytes_str(SECRET), a, &two);
	p->ping(bytes_str(""), a, &bare);
	struct event head = { .headers = one.headers, .header_count = one.header_count };
	assert_int_equal(p->read(&head, &first, &e), RC_OK);
	assert_true(bytes_is(first.event, "ping"));
	assert_true(p->verify(bytes_str(SECRET), one.body, first.signature));
	head = (struct event){ .headers = two.headers, .header_count = two.header_count };
	assert_int_equal(p->read(&head, &second, &e), RC_OK);
	assert_false(bytes_equal(first.delivery, second.delivery));
	head = (struct event){ .headers = bare.headers, .header_count = bare.header_count };
	assert_int_equal(p->read(&head, &second, &e), RC_OK);
	assert_null(second.signature.data);
	arena_free(a);
}

static void
secrets_are_redacted_with_the_salt(void **state UNUSED)
{
	static const char *const secret[] = { "Authorization", "cookie", "PROXY-AUTHORIZATION",
		"X-Hub-Signature", "x-hub-signature-256", "X-Gitlab-Token" };
	static const char *const plain[] = { "Host", "X-Hub-Sig", "X-GitHub-Event", "User-Agent" };
	for (size_t i = 0; i < COUNT_OF(secret); i++)
		assert_true(redact_is_secret(github(), bytes_str(secret[i])));
	for (size_t i = 0; i < COUNT_OF(plain); i++)
		assert_false(redact_is_secret(github(), bytes_str(plain[i])));

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
	assert_false(bytes_equal(one, redact_value(other, bytes_str("Bearer token"), a)));
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(providers_are_found_by_name),
		cmocka_unit_test(published_signatures_match),
		cmocka_unit_test(signatures_of_wrong_form_are_known),
		cmocka_unit_test(claims_come_from_the_headers),
		cmocka_unit_test(pings_are_signed_and_fresh),
		cmocka_unit_test(secrets_are_redacted_with_the_salt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
