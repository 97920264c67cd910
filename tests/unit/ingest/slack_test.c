/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ingest/post.h"

/* From "Verifying requests from Slack". */
#define KEY "8f742231b10e8888abcd99yyyzzz85a5"
#define AT 1531420618
#define SIGNATURE "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
#define COMMAND                                                                                    \
	"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="     \
	"G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-" \
	"collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"         \
	"2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."           \
	"803a0bc887a14d10d2c447fce8b6703c"
#define FORM "application/x-www-form-urlencoded"

static struct post *
command(void)
{
	struct post *p = post_new("slack", NULL, KEY);
	post_header(p, "Content-Type", FORM);
	post_header(p, "X-Slack-Request-Timestamp", "1531420618");
	post_header(p, "X-Slack-Signature", SIGNATURE);
	p->body = bytes_str(COMMAND);
	p->now_s = AT;
	return p;
}

static void
the_published_signature_matches(void **state UNUSED)
{
	struct post *p = command();
	post_must_fail(p, "X-Slack-Signature");
	assert_string_equal(p->source.setup->scheme, "slack-v0");
	assert_int_equal(post_try_with(p, "X-Slack-Request-Timestamp", "1531420619"), 401);
	assert_int_equal(post_try_with(p, "X-Slack-Request-Timestamp", NULL), 401);
	assert_int_equal(post_try_with(p, "X-Slack-Signature", "v0="), 401);
	assert_int_equal(post_try_with(p, "X-Slack-Signature", &SIGNATURE[3]), 401);
	p->now_s = AT + 301;
	assert_int_equal(post_try(p), 401);
	p->now_s = AT - 301;
	assert_int_equal(post_try(p), 401);
	p->now_s = AT + 300;
	assert_int_equal(post_try(p), 0);
	post_free(p);
}

static void
what_a_person_set_off_is_answered_with_nothing(void **state UNUSED)
{
	struct post *p = command();
	assert_int_equal(post_try(p), 0);
	const struct provider_content *content = &p->delivery.content;
	assert_true(bytes_is(content->claims.event, "slash_command"));
	assert_int_equal(content->claims.delivery.len, 7 + 64);
	assert_true(content->reply.data != NULL && content->reply.len == 0);
	post_free(p);
	p = post_new("slack", NULL, NULL);
	post_header(p, "Content-Type", FORM);
	p->body = bytes_str("payload=%7B%22type%22%3A%22block_actions%22%7D");
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(p->delivery.content.claims.event, "block_actions"));
	assert_true(p->delivery.content.reply.data != NULL);
	post_free(p);
}

static void
events_have_an_id(void **state UNUSED)
{
	struct post *p = post_new("slack", NULL, NULL);
	const struct provider_content *content = &p->delivery.content;
	post_header(p, "Content-Type", "application/json");
	p->body = bytes_str("{\"type\":\"event_callback\",\"event_id\":\"Ev1\",\"event\":{\"type\":"
			    "\"message\",\"challenge\":\"x\"}}");
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(content->claims.event, "message"));
	assert_true(bytes_is(content->claims.delivery, "Ev1"));
	assert_null(content->reply.data);
	p->body = bytes_str("{\"type\":\"app_rate_limited\",\"challenge\":\"x\"}");
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(content->claims.event, "app_rate_limited"));
	assert_null(content->reply.data);
	post_free(p);
}

static void
the_challenge_is_answered_once_signed(void **state UNUSED)
{
	struct post *p = command();
	post_header(p, "Content-Type", "application/json");
	p->body = bytes_str(
		"{\"token\":\"t\",\"type\":\"url_verification\",\"challenge\":\"3eZbrw1aB\"}");
	assert_int_equal(post_try(p), 401);
	p->source.allow_unsigned = true;
	assert_int_equal(post_try(p), 0);
	assert_true(bytes_is(p->delivery.content.reply, "3eZbrw1aB"));
	assert_string_equal(p->delivery.content.reply_type, "text/plain");
	post_free(p);
}

static void
pings_are_signed(void **state UNUSED)
{
	struct post *p = command();
	post_take_ping(p);
	post_must_fail(p, "X-Slack-Signature");
	assert_true(bytes_is(p->delivery.content.claims.event, "hooklog_test"));
	assert_null(p->delivery.content.reply.data);
	post_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_signature_matches),
		cmocka_unit_test(what_a_person_set_off_is_answered_with_nothing),
		cmocka_unit_test(events_have_an_id),
		cmocka_unit_test(the_challenge_is_answered_once_signed),
		cmocka_unit_test(pings_are_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
