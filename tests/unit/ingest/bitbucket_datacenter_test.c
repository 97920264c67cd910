/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ingest/post.h"

#define SECRET "It's a Secret to Everybody"
#define SIGNATURE "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"

static struct post *
hello(void)
{
	struct post *p = post_new("bitbucket-datacenter", NULL, SECRET);
	post_header(p, "Content-Type", "application/json; charset=utf-8");
	post_header(p, "X-Event-Key", "repo:refs_changed");
	post_header(p, "X-Request-Id", "r-1");
	post_header(p, "X-Hub-Signature", "sha256=" SIGNATURE);
	p->body = bytes_str("Hello World!");
	return p;
}

static void
the_published_signature_matches(void **state UNUSED)
{
	struct post *p = hello();
	post_must_fail(p, "X-Hub-Signature");
	assert_true(bytes_is(p->delivery.content.claims.event, "repo:refs_changed"));
	assert_true(bytes_is(p->delivery.content.claims.delivery, "r-1"));
	assert_int_equal(post_try_with(p, "X-Event-Key", NULL), 400);
	assert_int_equal(post_try_with(p, "X-Request-Id", NULL), 400);
	post_free(p);
}

static void
the_test_of_the_connection_comes_unsigned(void **state UNUSED)
{
	struct post *p = hello();
	p->body = bytes_str("{\"test\":true}");
	post_header(p, "X-Event-Key", "diagnostics:ping");
	/* 200 and forgotten; post_try gives 0 for what would be stored. */
	assert_int_equal(post_try_with(p, "X-Hub-Signature", NULL), 200);
	/* With a signature it has to be a right one. */
	assert_int_equal(post_try(p), 401);
	assert_int_equal(post_try_with(p, "X-Hub-Signature", ""), 401);
	p->body = bytes_str("Hello World!");
	assert_int_equal(post_try(p), 0);
	post_header(p, "X-Event-Key", "diagnostics:pings");
	assert_int_equal(post_try_with(p, "X-Hub-Signature", NULL), 401);
	post_free(p);
}

static void
pings_are_signed(void **state UNUSED)
{
	struct post *p = post_new("bitbucket-datacenter", NULL, SECRET);
	post_take_ping(p);
	post_must_fail(p, "X-Hub-Signature");
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_signature_matches),
		cmocka_unit_test(the_test_of_the_connection_comes_unsigned),
		cmocka_unit_test(pings_are_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
