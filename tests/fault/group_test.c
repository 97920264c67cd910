/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: release
 * TEST-TIMEOUT: 3600 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/tools/random.h"
#include "tests/tools/shim.h"
#include "tests/unit/store/helper.h"

/* Group commit with 64 submitting threads and a disk that is full now and then: an answer comes after
 * the write of a root that began after the event was submitted; what was answered before an event was
 * submitted has a lower number; no commit is larger than allowed; no number is given twice or left out. */

#define THREADS 64
#define COMMIT_EVENTS 24

struct test {
	struct store *store;
	uint64_t events; /* of each thread */
	atomic_uint_fast64_t answered; /* the highest number answered so far */
	atomic_uchar *given;           /* given[seq - 1] */
	atomic_uint_fast64_t refused;
	/* The writer thread's own. */
	unsigned root, in_commit, most_in_commit, roots;
};

struct flight {
	struct test *test;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	unsigned root; /* how many writes of a root had begun at the time of submitting */
	struct store_result result;
};

static void
landed(const struct store_result *result, void *context)
{
	struct flight *f = context;
	struct test *t = f->test;
	/* This thread writes the roots, so one that has begun has returned. */
	unsigned root = atomic_load(&shim_plan()->seen[SHIM_META]);
	if (result->rc == RC_OK) {
		ASSERT(root > f->root);
		if (root != t->root) {
			t->root = root;
			t->in_commit = 0;
			t->roots++;
		}
		if (++t->in_commit > t->most_in_commit)
			t->most_in_commit = t->in_commit;
	}
	pthread_mutex_lock(&f->lock);
	f->result = *result;
	f->done = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static void *
submitter(void *context)
{
	struct test *t = context;
	struct flight f = { .test = t };
	struct err e;
	uint64_t random = (uint64_t)(uintptr_t)&f;
	pthread_mutex_init(&f.lock, NULL);
	pthread_cond_init(&f.changed, NULL);
	for (uint64_t i = 0; i < t->events;) {
		struct event ev = helper_event("", bytes_str("a small body"));
		uint64_t before = atomic_load(&t->answered);
		f.done = false;
		f.root = atomic_load(&shim_plan()->seen[SHIM_META]);
		ASSERT(store_submit(t->store, &ev, landed, &f, &e) == RC_OK);
		pthread_mutex_lock(&f.lock);
		while (!f.done)
			pthread_cond_wait(&f.changed, &f.lock);
		pthread_mutex_unlock(&f.lock);
		if (f.result.rc != RC_OK) {
			ASSERT(f.result.rc == RC_FULL && f.result.seq == 0);
			atomic_fetch_add(&t->refused, 1);
			continue;
		}
		ASSERT(f.result.seq > before && f.result.seq <= THREADS * t->events);
		ASSERT(atomic_fetch_add(&t->given[f.result.seq - 1], 1) == 0);
		uint64_t seen = atomic_load(&t->answered);
		while (seen < f.result.seq && !atomic_compare_exchange_weak(&t->answered, &seen, f.result.seq))
			continue;
		i++;
		if (random_next(&random) % 64 == 0)
			clock_sleep_ms((int64_t)(random_next(&random) % 3));
	}
	return NULL;
}

static void
answers_follow_commits(void **state)
{
	(void)state;
	char *base = helper_dir(), dir[300];
	uint64_t all = getenv("TEST_SOAK") != NULL ? 5000000 : 1000000;
	pthread_t threads[THREADS];
	struct test t = { .events = all / THREADS };
	all = t.events * THREADS;
	t.given = base_zalloc(all * sizeof *t.given);
	snprintf(dir, sizeof dir, "%s/log", base);
	shim_plan_reset();
	struct shim_plan *plan = shim_plan();
	snprintf(plan->only, sizeof plan->only, "00000000000000000001.mdb");
	shim_watch(dir, -1);
	t.store = helper_open_with((struct store_options){ .dir = dir, .commit_events_max = COMMIT_EVENTS });
	/* From here on the disk is full once, some hundred syncs later. */
	plan->call = SHIM_FDATASYNC;
	plan->error = ENOSPC;
	plan->nth = atomic_load(&plan->seen[SHIM_FDATASYNC]) + 300;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submitter, &t), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&plan->hit), 1);
	assert_true(atomic_load(&t.refused) > 0 && atomic_load(&t.refused) <= COMMIT_EVENTS);
	assert_true(t.most_in_commit <= COMMIT_EVENTS && t.most_in_commit > 1);
	for (uint64_t i = 0; i < all; i++)
		assert_int_equal(atomic_load(&t.given[i]), 1);
	store_close(t.store);
	printf("# note: %" PRIu64 " events in %u commits of at most %u, %u refused, 0 answered early\n", all,
		t.roots, t.most_in_commit, (unsigned)atomic_load(&t.refused));
	helper_verify(dir, all, RC_OK);
	free(t.given);
	helper_remove(base_strdup(dir));
	helper_remove(base);
}

int
main(void)
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_follow_commits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
