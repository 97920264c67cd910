/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/sign.h"

#define SECRET "It's a Secret to Everybody"
#define HELLO "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define FORM "427b05bda3a79bc7ef3bcf683ff0ee7fe749b134a1c9f826719acb4727547d9a"

static bool
matches(const char *secret, const char *body, const char *value)
{
	/* A copy without a NUL behind it: the sanitizer sees a step past the end. */
	size_t len = strlen(value);
	unsigned char *copy = malloc(len == 0 ? 1 : len);
	memcpy(copy, value, len);
	bool same = sign_github_matches(
		bytes_str(secret), bytes_str(body), (struct bytes){ copy, len });
	free(copy);
	return same;
}

/* The first vector is the one of docs.github.com, "Validating webhook deliveries". */
static void
test_sign(void **state UNUSED)
{
	struct buf out = buf_new(1000);
	buf_put_str(&out, "X: ");
	sign_github(bytes_str(SECRET), bytes_str("Hello, World!"), &out);
	assert_string_equal(buf_cstr(&out), "X: sha256=" HELLO);
	buf_clear(&out);
	sign_github(bytes_str(SECRET), bytes_str("payload=%7B%22zen%22%3A%22a+b%22%7D"), &out);
	assert_string_equal(buf_cstr(&out), "sha256=" FORM);
	buf_clear(&out);
	sign_github(bytes_str(SECRET), bytes_str(""), &out);
	assert_true(matches(SECRET, "", buf_cstr(&out)));
	buf_free(&out);
}

static void
test_matches(void **state UNUSED)
{
	assert_true(matches(SECRET, "Hello, World!", "sha256=" HELLO));
	assert_true(matches(SECRET, "payload=%7B%22zen%22%3A%22a+b%22%7D", "sha256=" FORM));
	assert_true(matches(SECRET, "Hello, World!",
		"sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17"));
}

static void
test_refuses(void **state UNUSED)
{
	static const char *const values[] = {
		"",
		"sha256",
		"sha256=",
		HELLO,
		"sha1=" HELLO,
		"SHA256=" HELLO,
		"sha256:" HELLO,
		" sha256=" HELLO,
		"sha256= " HELLO,
		"sha256=" HELLO " ",
		"sha256=" HELLO ",",
		"sha256=" HELLO "0",
		"sha256=sha256=" HELLO,
		/* 63 digits; a digit that is none; one digit that differs, first and last */
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1g",
		"sha256=857107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18",
		"sha256=" FORM,
	};
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		if (matches(SECRET, "Hello, World!", values[i]))
			fail_msg("accepted \"%s\"", values[i]);
	}
	assert_false(matches(SECRET, "Hello, World?", "sha256=" HELLO));
	assert_false(matches("another secret", "Hello, World!", "sha256=" HELLO));
	assert_false(
		sign_github_matches(bytes_str(SECRET), bytes_str("x"), (struct bytes){ NULL, 0 }));
	/* A source without a secret has nothing to check against: even a right MAC of the empty key
	 * fails. */
	struct buf out = buf_new(1000);
	sign_github(bytes_str(""), bytes_str("x"), &out);
	assert_false(matches("", "x", buf_cstr(&out)));
	buf_free(&out);
}

#define STANDARD_KEY "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define STANDARD_PUBLIC "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="

static void
standard_webhooks_vector(void **state UNUSED)
{
	const struct sign_standard_message m = { bytes_str("msg_p5jXN8AQM9LWM0D4loKWxJek"),
		bytes_str("1614265330"), bytes_str("{\"test\": 2432232314}") };
	struct sign_standard_key key;
	struct buf out = buf_new(1000);
	assert_true(sign_standard_key_read(bytes_str(STANDARD_KEY), &key));
	assert_int_equal(key.kind, SIGN_STANDARD_V1);
	assert_true(sign_standard(&key, &m, &out));
	assert_string_equal(buf_cstr(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	assert_true(sign_standard_matches(&key, &m, buf_bytes(&out)));
	assert_false(sign_standard_formed(SIGN_STANDARD_V1A, buf_bytes(&out)));
	/* A public key checks and does not sign. */
	assert_true(sign_standard_key_read(bytes_str(STANDARD_PUBLIC), &key));
	assert_int_equal(key.kind, SIGN_STANDARD_V1A);
	assert_false(sign_standard(&key, &m, &out));
	assert_false(sign_standard_matches(&key, &m, buf_bytes(&out)));
	assert_true(sign_standard_matches(&key, &m,
		bytes_str("v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXw"
			  "VLPo3mNl8EM+m7TBAg==")));
	buf_free(&out);
}

static void
standard_webhooks_keys(void **state UNUSED)
{
	static const char *const wrong[] = { "", "whsec_", "whsec", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La", "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=" };
	struct sign_standard_key key;
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(sign_standard_key_read(bytes_str(wrong[i]), &key));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(standard_webhooks_vector),
		cmocka_unit_test(standard_webhooks_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
