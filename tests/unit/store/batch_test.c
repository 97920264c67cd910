/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "tests/unit/store/helper.h"

/* Covers: store/writer.c. Several events that become durable together. */

struct answers {
	struct store_result results[STORE_BATCH_EVENTS_MAX];
	size_t count;
	bool in_order;
};

static void
take(size_t index, const struct store_result *result, void *context)
{
	struct answers *a = context;
	a->in_order = a->in_order && index == a->count;
	a->results[a->count++] = *result;
}

static struct event
event_of(const char *delivery, const char *body)
{
	return helper_event(delivery, bytes_str(body));
}

/* Submits and waits, since only closing waits for answers. */
static void
submit(struct store *s, const struct event *events, size_t count, struct answers *a)
{
	struct err e;
	*a = (struct answers){ .in_order = true };
	assert_int_equal(store_submit_batch(s, events, count, take, a, &e), RC_OK);
	helper_append(s, "", "a barrier: answered after what came before");
	assert_int_equal(a->count, count);
	assert_true(a->in_order);
}

static void
a_batch_has_consecutive_numbers(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open_with((struct store_options){ .dir = dir, .commit_events_max = 2 });
	static struct answers a;
	struct event events[5];
	const char *const ids[] = { "a", "b", "c", "a", "d" };
	const char *const bodies[] = { "1", "2", "3", "1", "5" };
	for (size_t i = 0; i < COUNT_OF(events); i++)
		events[i] = event_of(ids[i], bodies[i]);
	helper_append(s, "b", "2");
	submit(s, events, COUNT_OF(events), &a);
	/* "b" was there before, the second "a" came twice in one batch. */
	static const struct {
		uint64_t seq;
		bool duplicate;
	} want[] = { { 2, false }, { 1, true }, { 3, false }, { 2, true }, { 4, false } };
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		assert_int_equal(a.results[i].rc, RC_OK);
		assert_int_equal(a.results[i].seq, want[i].seq);
		assert_int_equal(a.results[i].duplicate, want[i].duplicate);
	}
	submit(s, events, COUNT_OF(events), &a);
	for (size_t i = 0; i < COUNT_OF(events); i++)
		assert_true(a.results[i].duplicate);
	store_close(s);
	helper_verify(dir, 6, RC_OK);
	helper_remove(dir);
}

static void
one_event_too_large_refuses_all(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	static struct answers a;
	struct event events[3] = { event_of("a", "1"), event_of("b", "2"), event_of("c", "3") };
	struct err e;
	events[2].body = (struct bytes){ (const unsigned char *)"", LIMIT_FORM_BODY_BYTES + 1 };
	a = (struct answers){ .in_order = true };
	assert_int_equal(store_submit_batch(s, events, 3, take, &a, &e), RC_INVALID);
	events[2] = event_of("c", "3");
	submit(s, events, 3, &a);
	assert_int_equal(a.results[0].seq, 1);
	store_close(s);
	helper_verify(dir, 4, RC_OK);
	helper_remove(dir);
}

static void
the_largest_batch_is_one_commit(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open_with((struct store_options){ .dir = dir,
		.commit_events_max = 1, .queue_events_max = 1 });
	static struct answers a;
	struct event *events = base_zalloc(STORE_BATCH_EVENTS_MAX * sizeof *events);
	for (size_t i = 0; i < STORE_BATCH_EVENTS_MAX; i++)
		events[i] = event_of("", "x");
	struct err e;
	a = (struct answers){ .in_order = true };
	assert_int_equal(store_submit_batch(s, events, STORE_BATCH_EVENTS_MAX, take, &a, &e), RC_OK);
	store_close(s);
	assert_int_equal(a.count, STORE_BATCH_EVENTS_MAX);
	for (size_t i = 0; i < STORE_BATCH_EVENTS_MAX; i++)
		assert_int_equal(a.results[i].seq, i + 1);
	helper_verify(dir, STORE_BATCH_EVENTS_MAX, RC_OK);
	free(events);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_has_consecutive_numbers),
		cmocka_unit_test(one_event_too_large_refuses_all),
		cmocka_unit_test(the_largest_batch_is_one_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
