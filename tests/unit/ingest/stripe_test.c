/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ingest/post.h"

#define KEY "whsec_test_secret"
#define AT 1614556800
#define MAC "4b84b790795620969b08a42ba000110ae8bf58a5784f16c215b248752ce65404"
#define OTHER "0000000000000000000000000000000000000000000000000000000000000000"
#define HEADER "Stripe-Signature"

static struct post *
message(void)
{
	struct post *p = post_new("stripe", NULL, KEY);
	post_header(p, HEADER, "t=1614556800,v1=" MAC);
	p->body = bytes_str("{\"id\":\"evt_1\"}");
	p->now_s = AT;
	return p;
}

static void
the_secret_is_used_as_written(void **state UNUSED)
{
	struct post *p = message();
	post_must_fail(p, HEADER);
	assert_string_equal(p->source.setup->scheme, "stripe-v1");
	assert_true(bytes_is(p->delivery.content.claims.delivery, "evt_1"));
	for (int64_t off_s = -301; off_s <= 301; off_s += 602) {
		p->now_s = AT + off_s;
		assert_int_equal(post_try(p), 401);
		p->now_s = AT + off_s - off_s / 301;
		assert_int_equal(post_try(p), 0);
	}
	post_free(p);
}

static void
lists_are_read_strictly(void **state UNUSED)
{
	static const char *const right[] = {
		"t=1614556800,v1=" OTHER ",v1=" MAC,
		"v1=" MAC ",t=1614556800",
		"t=1614556800,v0=" OTHER ",v1=" MAC,
		"t=1614556800,v1=" MAC ",v0=xyz",
	};
	static const char *const wrong[] = {
		"t=1614556800,v0=" MAC,
		"t=1614556800",
		"v1=" MAC,
		"t=1614556801,v1=" MAC,
		"t=1614556800,t=1614556800,v1=" MAC,
		"t=1614556800,v1=" MAC ",",
		",t=1614556800,v1=" MAC,
		"t=1614556800, v1=" MAC,
		"t=1614556800;v1=" MAC,
		"t=1614556800,v1=",
		"t=1614556800,v1=" MAC ",v1=",
		"t=1614556800,v1=" MAC ",x",
		"t=,v1=" MAC,
		"t=-1614556800,v1=" MAC,
		"t=16145568000000000,v1=" MAC,
		"t=1614556800,v1=" OTHER,
	};
	struct post *p = message();
	for (size_t i = 0; i < COUNT_OF(right); i++)
		assert_int_equal(post_try_with(p, HEADER, right[i]), 0);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(post_try_with(p, HEADER, wrong[i]), 401);
	post_free(p);
}

static void
id_and_type_come_from_the_body(void **state UNUSED)
{
	struct post *p = post_new("stripe", NULL, NULL);
	const struct provider_claims *claims = &p->delivery.content.claims;
	p->body = bytes_str(
		"{\"type\":\"charge.refunded\",\"id\":\"evt_2\",\"data\":{\"id\":\"x\"}}");
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(claims->event, "charge.refunded"));
	assert_true(bytes_is(claims->delivery, "evt_2"));
	/* Without an id the body is its own. */
	p->body = bytes_str("no JSON");
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(claims->event, ""));
	assert_true(bytes_is(claims->delivery,
		"sha256:29ecbeb830e3244605e5a88493e4088424a71780e5cf59bb3475f278f294335b"));
	post_free(p);
}

static void
api_keys_are_no_secrets(void **state UNUSED)
{
	struct arena *a = arena_new(1024);
	assert_non_null(
		strstr(post_wrong(a, "stripe", NULL, "sk_test_0123456789abcdef"), "whsec_"));
	arena_free(a);
}

static void
pings_are_signed(void **state UNUSED)
{
	struct post *p = message();
	post_take_ping(p);
	post_must_fail(p, HEADER);
	assert_true(bytes_is(p->delivery.content.claims.event, "hooklog.test"));
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_secret_is_used_as_written),
		cmocka_unit_test(lists_are_read_strictly),
		cmocka_unit_test(id_and_type_come_from_the_body),
		cmocka_unit_test(api_keys_are_no_secrets),
		cmocka_unit_test(pings_are_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
