/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/metrics.h"
#include "ingest/peers.h"
#include "ingest/silence.h"

/* Numbers the receiver tells, and what they are made from: also ingest/silence.h, ingest/peers.h. */

#define MINUTE_US ((int64_t)60 * 1000000)
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)

static void
durations_add_up(void **state UNUSED)
{
	struct metrics m = { 0 };
	struct buf out = buf_new(65536);
	metrics_duration(&m, 400);
	metrics_duration(&m, 500);
	metrics_duration(&m, 501);
	metrics_duration(&m, 20000000);
	metrics_put_duration(&out, &m);
	const char *text = buf_cstr(&out);
	assert_non_null(strstr(text, "# TYPE hooklog_ingest_duration_seconds histogram\n"));
	assert_non_null(strstr(text, "_bucket{le=\"0.0005\"} 2\n"));
	assert_non_null(strstr(text, "_bucket{le=\"0.001\"} 3\n"));
	assert_non_null(strstr(text, "_bucket{le=\"10\"} 3\n"));
	assert_non_null(strstr(text, "_bucket{le=\"+Inf\"} 4\n"));
	assert_non_null(strstr(text, "_sum 20.001401\n"));
	assert_non_null(strstr(text, "_count 4\n"));
	buf_free(&out);
}

static void
answers_have_outcomes(void **state UNUSED)
{
	assert_int_equal(metrics_outcome(202, true, false), OUTCOME_STORED);
	assert_int_equal(metrics_outcome(200, true, false), OUTCOME_STORED);
	assert_int_equal(metrics_outcome(202, true, true), OUTCOME_DUPLICATE);
	assert_int_equal(metrics_outcome(200, false, false), OUTCOME_ANSWERED);
	assert_int_equal(metrics_outcome(503, false, false), OUTCOME_BUSY);
	assert_int_equal(metrics_outcome(418, false, false), OUTCOME_OTHER);
	for (int i = 0; i < OUTCOME_COUNT; i++)
		assert_non_null(metrics_outcome_name((enum outcome)i));
}

static void
silence_is_learned(void **state UNUSED)
{
	struct silence s;
	int64_t now = 100 * DAY_US;
	silence_start(&s, now);
	assert_int_equal(silence_limit_us(&s, 0), 0);
	assert_int_equal(silence_limit_us(&s, HOUR_US), HOUR_US);
	/* The time before the first event is no pause of the sender's. */
	now += 5 * HOUR_US;
	for (int i = 0; i < 30; i++, now += MINUTE_US)
		silence_event(&s, now);
	assert_int_equal(silence_limit_us(&s, 0), 10 * MINUTE_US);
	/* A quiet night is usual from then on, for eight days. */
	now += 8 * HOUR_US - MINUTE_US;
	silence_event(&s, now);
	assert_int_equal(silence_limit_us(&s, 0), 24 * HOUR_US);
	for (int day = 0; day < 7; day++) {
		for (int i = 0; i < 24; i++, now += HOUR_US)
			silence_event(&s, now);
		assert_int_equal(silence_limit_us(&s, 0), 24 * HOUR_US);
	}
	for (int i = 0; i < 48; i++, now += HOUR_US)
		silence_event(&s, now);
	assert_int_equal(silence_limit_us(&s, 0), 3 * HOUR_US);
	/* After a pause longer than the memory only that pause is left. */
	now += 20 * DAY_US;
	silence_event(&s, now);
	assert_int_equal(silence_limit_us(&s, 0), 3 * (now - s.last_us + 20 * DAY_US + HOUR_US));
}

/* A restart: what the log tells counts as if it had been seen, but for the pause of the receiver's own. */
static void
silence_is_recalled(void **state UNUSED)
{
	struct silence s;
	int64_t start = 100 * DAY_US;
	silence_start(&s, start);
	for (int i = 0; i < 30; i++)
		silence_event(&s, start - 5 * DAY_US + i * HOUR_US);
	assert_int_equal(silence_limit_us(&s, 0), 3 * HOUR_US);
	assert_false(silence_is_over(&s, start + 9 * MINUTE_US, 3 * HOUR_US));
	assert_true(silence_is_over(&s, start + 11 * MINUTE_US, 3 * HOUR_US));
	assert_true(silence_is_over(&s, start + 2 * MINUTE_US, MINUTE_US));
	assert_false(silence_is_over(&s, start + 11 * MINUTE_US, 0));
	/* One that was received while the log was still being read. */
	silence_event(&s, start + MINUTE_US);
	silence_event(&s, start - MINUTE_US);
	assert_int_equal(s.last_us, start + MINUTE_US);
	assert_false(silence_is_over(&s, start + 11 * MINUTE_US, 3 * HOUR_US));
}

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage out = { .ss_family = AF_INET };
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(99) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(99) };
	if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
		memcpy(&out, &in4, sizeof in4);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		memcpy(&out, &in6, sizeof in6);
	}
	return out;
}

static void
only_named_peers_are_believed(void **state UNUSED)
{
	static const struct {
		const char *trusted, *peer, *forwarded, *client;
	} cases[] = {
		{ "", "192.0.2.1", "203.0.113.9", "192.0.2.1:99" },
		{ "192.0.2.1", "192.0.2.1", "203.0.113.9", "203.0.113.9" },
		{ "192.0.2.0/24", "192.0.2.200", " 203.0.113.9 ", "203.0.113.9" },
		{ "192.0.2.0/25", "192.0.2.200", "203.0.113.9", "192.0.2.200:99" },
		{ "0.0.0.0/0", "192.0.2.1", "10.0.0.1", "10.0.0.1" },
		/* The sender may write anything in front of what the proxy adds. */
		{ "192.0.2.1", "192.0.2.1", "10.9.9.9, 203.0.113.9", "203.0.113.9" },
		{ "192.0.2.1,10.0.0.0/8", "192.0.2.1", "6.6.6.6, 203.0.113.9, 10.1.2.3",
			"203.0.113.9" },
		{ "192.0.2.1", "192.0.2.1", "nonsense", "192.0.2.1:99" },
		{ "192.0.2.1", "192.0.2.1", "203.0.113.9, ", "192.0.2.1:99" },
		{ "192.0.2.1", "192.0.2.1", NULL, "192.0.2.1:99" },
		{ "2001:db8::/32", "2001:db8::1", "[2001:db9::5]:77", "2001:db9::5" },
		{ "2001:db8::/32", "2001:db9::1", "203.0.113.9", "[2001:db9::1]:99" },
		{ "192.0.2.1", "::ffff:192.0.2.1", "203.0.113.9:5", "203.0.113.9" },
		{ "unix", "192.0.2.1", "203.0.113.9", "192.0.2.1:99" },
		{ "unix", NULL, "203.0.113.9", "203.0.113.9" },
		{ "127.0.0.1", NULL, "203.0.113.9", "unix" },
	};
	struct arena *a = arena_new(1024);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct peers trusted;
		struct err e;
		struct sockaddr_storage at = { .ss_family = AF_UNIX };
		if (cases[i].peer != NULL)
			at = address(cases[i].peer);
		const struct event_header header = { bytes_str("x-forwarded-for"),
			bytes_str(cases[i].forwarded) };
		assert_int_equal(peers_parse(cases[i].trusted, &trusted, &e), RC_OK);
		struct bytes client = peer_client(&trusted, (struct sockaddr *)&at, &header,
			cases[i].forwarded == NULL ? 0 : 1, a);
		if (!bytes_is(client, cases[i].client))
			fail_msg("case %zu: %.*s", i, (int)client.len, (const char *)client.data);
	}
	/* Two headers are one list. */
	struct peers trusted;
	struct err e;
	struct sockaddr_storage at = address("192.0.2.1");
	const struct event_header two[] = {
		{ bytes_str("X-Forwarded-For"), bytes_str("6.6.6.6") },
		{ bytes_str("X-Forwarded-For"), bytes_str("203.0.113.9") },
	};
	assert_int_equal(peers_parse("192.0.2.1", &trusted, &e), RC_OK);
	assert_true(bytes_is(
		peer_client(&trusted, (struct sockaddr *)&at, two, 2, a), "203.0.113.9"));
	static const char *const wrong[] = { "x", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "::/129",
		"1.2.3.4/1x", "localhost" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(peers_parse(wrong[i], &trusted, &e), RC_INVALID);
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_add_up),
		cmocka_unit_test(answers_have_outcomes),
		cmocka_unit_test(silence_is_learned),
		cmocka_unit_test(silence_is_recalled),
		cmocka_unit_test(only_named_peers_are_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
