/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ingest/post.h"

/* From Atlassian's "Manage webhooks". */
#define SECRET "It's a Secret to Everybody"
#define SIGNATURE "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"

static struct post *
hello(void)
{
	struct post *p = post_new("bitbucket-cloud", NULL, SECRET);
	post_header(p, "X-Event-Key", "repo:push");
	post_header(p, "X-Hook-UUID", "h-1");
	post_header(p, "X-Request-UUID", "r-1");
	post_header(p, "X-Attempt-Number", "1");
	post_header(p, "X-Hub-Signature", "sha256=" SIGNATURE);
	p->body = bytes_str("Hello World!");
	return p;
}

static void
the_published_signature_matches(void **state UNUSED)
{
	struct post *p = hello();
	post_must_fail(p, "X-Hub-Signature");
	assert_int_equal(post_try_with(p, "X-Hub-Signature", "sha256="), 401);
	assert_int_equal(post_try_with(p, "X-Hub-Signature", SIGNATURE), 401);
	assert_int_equal(post_try_with(p, "X-Hub-Signature", "sha1=" SIGNATURE), 401);
	/* GitHub's name for SHA-256 is not Bitbucket's. */
	post_header(p, "X-Hub-Signature-256", "sha256=" SIGNATURE);
	assert_int_equal(post_try_with(p, "X-Hub-Signature", NULL), 401);
	post_free(p);
}

static void
an_id_belongs_to_its_hook(void **state UNUSED)
{
	struct post *p = hello();
	assert_int_equal(post_try_with(p, "X-Attempt-Number", "2"), 0);
	assert_true(bytes_is(p->delivery.content.claims.event, "repo:push"));
	assert_true(bytes_is(p->delivery.content.claims.delivery, "r-1"));
	assert_true(bytes_is(p->delivery.content.claims.hook, "h-1"));
	assert_int_equal(post_try_with(p, "X-Event-Key", NULL), 400);
	assert_int_equal(post_try_with(p, "X-Request-UUID", NULL), 400);
	assert_int_equal(post_try_with(p, "X-Hook-UUID", NULL), 400);
	/* Data Center's ping is none of Cloud's. */
	post_header(p, "X-Event-Key", "diagnostics:ping");
	assert_int_equal(post_try_with(p, "X-Hub-Signature", NULL), 401);
	post_free(p);
}

static void
pings_are_signed(void **state UNUSED)
{
	struct post *p = post_new("bitbucket-cloud", NULL, SECRET);
	post_take_ping(p);
	post_must_fail(p, "X-Hub-Signature");
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_signature_matches),
		cmocka_unit_test(an_id_belongs_to_its_hook),
		cmocka_unit_test(pings_are_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
