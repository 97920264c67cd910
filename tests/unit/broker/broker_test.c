/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/kind.h"

/* The URL, and which messages count as stored. No broker: tests/it/replay_brokers.test.mjs. */

static void
assert_check(const char *spec, enum broker_use use, enum rc want)
{
	struct err e = { .rc = RC_OK };
	enum rc rc = broker_check(spec, use, &e);
	if (rc != want)
		fail_msg("%s: %s %s", spec, rc_name(rc), e.text);
}

static void
test_url(void **state)
{
	(void)state;
	static const char *const good[] = { "nats://a/S", "NATS://a:4222,b:4223/S",
		"nats://[::1]:4222/S?subject=a.{event}&shared=yes", "kafka://a:9092/t",
		"kafka://a/t?config=/etc/x", "nats://a/S?creds=/x&ca=/y&cert=/z&key=/k&token=/t",
		"nats://a/S?user=u&password=/p", "nats://a/S?nkey=U&seed=/s" };
	static const char *const bad[] = { "http://a/S", "nats:/a/S", "nats://a", "nats://a/",
		"nats:///S", "nats://a/S/T", "nats://u@a/S", "nats://u:p@a/S", "nats://a/S?x=1",
		"nats://a/S?creds=x", "nats://a/S?user=u&password=p", "nats://a/S?nkey=U&seed=s", "nats://a/S?subject=", "nats://a/S?subject", "kafka://a/t?subject=x",
		"kafka://a/t?group=g", "nats://a/S?durable=d", "", "nats" };
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_check(good[i], BROKER_PUBLISH, RC_OK);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_check(bad[i], BROKER_PUBLISH, RC_INVALID);
	assert_check("kafka://a/t?group=g", BROKER_CONSUME, RC_OK);
	assert_check("nats://a/S?durable=d&subject=x.>", BROKER_CONSUME, RC_OK);
	assert_check("nats://a/S?shared=yes", BROKER_CONSUME, RC_INVALID);
}

static void
test_parts(void **state)
{
	(void)state;
	struct arena *a = arena_new(1024);
	const char *spec = "nats://a:1,b:2/HOOKS?subject=x.{event}&creds=/a=b#part";
	assert_string_equal(broker_servers(spec, a), "a:1,b:2");
	assert_string_equal(broker_path(spec, a), "HOOKS");
	assert_string_equal(broker_param(spec, "subject", a), "x.{event}");
	assert_string_equal(broker_param(spec, "creds", a), "/a=b");
	assert_null(broker_param(spec, "cred", a));
	assert_null(broker_param("nats://a/S", "creds", a));
	assert_true(broker_is(spec, "nats"));
	assert_false(broker_is(spec, "kafka"));
	assert_false(broker_accepts("natsy://a/S"));
	arena_free(a);
}

/* Stored in any order, counted in the order they went out. */
static void
test_flight(void **state)
{
	(void)state;
	struct broker_flight *f = base_zalloc(sizeof(*f));
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(broker_flight_add(f, 100), i);
	broker_flight_store(f, 2);
	broker_flight_store(f, 1);
	assert_int_equal(broker_flight_count(f), 0);
	broker_flight_store(f, 0);
	broker_flight_store(f, 0);
	assert_int_equal(broker_flight_count(f), 3);
	assert_int_equal(broker_flight_count(f), 0);
	assert_int_equal(f->bytes, 100);
	/* What never went out. */
	broker_flight_store(f, 4);
	broker_flight_store(f, UINT64_MAX);
	assert_int_equal(broker_flight_count(f), 0);
	broker_flight_store(f, 3);
	assert_int_equal(broker_flight_count(f), 1);
	assert_int_equal(f->bytes, 0);
	free(f);
}

static void
test_flight_is_bounded(void **state)
{
	(void)state;
	struct broker_flight *f = base_zalloc(sizeof(*f));
	/* A single message of any size goes out; with it under way, no other one. */
	assert_false(broker_flight_full(f, 2 * BROKER_IN_FLIGHT_BYTES_MAX));
	uint64_t large = broker_flight_add(f, 2 * BROKER_IN_FLIGHT_BYTES_MAX);
	assert_true(broker_flight_full(f, 1));
	broker_flight_store(f, large);
	uint64_t count = 0;
	for (; !broker_flight_full(f, 1) && count < 1000000; count++)
		(void)broker_flight_add(f, 1);
	assert_int_equal(count, BROKER_IN_FLIGHT_MAX);
	broker_flight_store(f, large + 1);
	assert_false(broker_flight_full(f, 1));
	free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_url), cmocka_unit_test(test_parts),
		cmocka_unit_test(test_flight), cmocka_unit_test(test_flight_is_bounded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
