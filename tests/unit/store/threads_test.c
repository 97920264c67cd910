/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#define SUBMITTERS 8
#define EACH 400

struct submitter {
	struct store *s;
	unsigned number;
	uint64_t seqs[EACH];
	bool failed;
};

static void *
submit(void *context)
{
	struct submitter *me = context;
	for (unsigned i = 0; i < EACH; i++) {
		char text[64];
		snprintf(text, sizeof text, "body %u of %u", i, me->number);
		char delivery[32];
		snprintf(delivery, sizeof delivery, "%u-%u", me->number, i);
		struct event ev = {
			.source = bytes_str("gh"),
			.delivery = bytes_str(delivery),
			.body = bytes_str(text),
		};
		struct store_result result = store_append(me->s, &ev);
		if (result.rc != RC_OK || result.duplicate)
			me->failed = true;
		me->seqs[i] = result.seq;
	}
	return NULL;
}

struct follower {
	struct store_reader *r;
	uint64_t seen;
	bool failed;
};

/* Reads along while the others write, in one more thread with a reader of its own. */
static void *
follow(void *context)
{
	struct follower *me = context;
	struct arena *a = arena_new(65536);
	struct err e;
	while (me->seen < SUBMITTERS * EACH && !me->failed) {
		const struct store_record *records;
		size_t count;
		arena_reset(a);
		enum rc rc = store_wait(me->r, me->seen, 600000, -1, &e);
		if (rc == RC_OK)
			rc = store_read(me->r, me->seen + 1, 100, 1000000, a, &records, &count, &e);
		if (rc != RC_OK || count == 0) {
			fprintf(stderr, "follower: %s\n", rc == RC_OK ? "nothing to read" : e.text);
			me->failed = true;
			break;
		}
		for (size_t i = 0; i < count; i++)
			me->failed |= records[i].event.seq != ++me->seen;
	}
	arena_free(a);
	return NULL;
}

static void
numbers_are_dense_under_many_submitters(void **state)
{
	(void)state;
	char *dir = helper_dir();
	/* Small segments and commits, so that both roll over often while others read. */
	struct store *s = helper_open_with((struct store_options){ .dir = dir,
		.segment_bytes_max = 200000, .commit_events_max = 5 });
	static struct submitter submitters[SUBMITTERS];
	static bool taken[SUBMITTERS * EACH + 1];
	pthread_t threads[SUBMITTERS], follower_threads[2];
	struct follower followers[2] = { { .seen = 0 } };
	struct err e;
	assert_int_equal(store_reader_from(s, &followers[0].r, &e), RC_OK);
	assert_int_equal(store_reader_share(followers[0].r, &followers[1].r, &e), RC_OK);
	for (size_t i = 0; i < COUNT_OF(followers); i++)
		assert_int_equal(pthread_create(&follower_threads[i], NULL, follow, &followers[i]), 0);
	for (unsigned i = 0; i < SUBMITTERS; i++) {
		submitters[i] = (struct submitter){ .s = s, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, submit, &submitters[i]), 0);
	}
	for (unsigned i = 0; i < SUBMITTERS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < COUNT_OF(followers); i++)
		pthread_join(follower_threads[i], NULL);
	struct arena *a = arena_new(65536);
	for (unsigned i = 0; i < SUBMITTERS; i++) {
		assert_false(submitters[i].failed);
		for (unsigned j = 0; j < EACH; j++) {
			uint64_t seq = submitters[i].seqs[j];
			assert_true(seq >= 1 && seq <= SUBMITTERS * EACH && !taken[seq]);
			taken[seq] = true;
			assert_true(j == 0 || seq > submitters[i].seqs[j - 1]);
			const struct store_record *record;
			size_t count;
			char text[64];
			snprintf(text, sizeof text, "body %u of %u", j, i);
			arena_reset(a);
			assert_int_equal(store_read(followers[0].r, seq, 1, 1, a, &record, &count, &e), RC_OK);
			assert_int_equal(count, 1);
			assert_true(bytes_is(record->event.body, text));
		}
	}
	for (size_t i = 0; i < COUNT_OF(followers); i++) {
		assert_false(followers[i].failed);
		store_reader_close(followers[i].r);
	}
	store_close(s);
	arena_free(a);
	helper_verify(dir, SUBMITTERS * EACH, RC_OK);
	helper_remove(dir);
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	unsigned answered;
};

/* Holds the writer thread up until the gate opens, so that the queue fills. */
static void
hold(const struct store_result *result, void *context)
{
	struct gate *g = context;
	pthread_mutex_lock(&g->lock);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->lock);
	if (result->rc == RC_OK)
		g->answered++;
	pthread_mutex_unlock(&g->lock);
}

static void
a_full_queue_refuses(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open_with((struct store_options){ .dir = dir, .queue_events_max = 10 });
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	unsigned accepted = 0;
	enum rc rc;
	struct err e;
	do {
		struct event ev = helper_event("", bytes_str("x"));
		rc = store_submit(s, &ev, hold, &g, &e);
		accepted += rc == RC_OK;
	} while (rc == RC_OK && accepted < 1000);
	assert_int_equal(rc, RC_FULL);
	assert_string_equal(e.id, "log.queue-full");
	pthread_mutex_lock(&g.lock);
	g.open = true;
	pthread_cond_broadcast(&g.changed);
	pthread_mutex_unlock(&g.lock);
	/* Closing waits for every answer. */
	store_close(s);
	assert_int_equal(g.answered, accepted);
	helper_verify(dir, accepted, RC_OK);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_dense_under_many_submitters),
		cmocka_unit_test(a_full_queue_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
