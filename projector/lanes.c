/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/log.h"
#include "projector/lanes.h"

struct run {
	const size_t *jobs;
	size_t count;
	lanes_fn fn;
	void *context;
	pthread_mutex_t lock; /* of everything below */
	size_t taken;
	enum rc rc;
	struct err err;
};

struct lane {
	struct run *run;
	struct pg *pg;
};

void
lanes_open(struct lanes *lanes, struct pg *own, const char *conninfo, size_t wanted)
{
	*lanes = (struct lanes){ .pgs = { own }, .count = 1 };
	while (lanes->count < wanted && lanes->count < LANES_MAX) {
		struct pg *pg = NULL;
		struct err e;
		enum rc rc = pg_connect(&pg, conninfo, "hooklog rebuild, tables", &e);
		if (rc != RC_OK) {
			LOG_WARN("project.rebuild.connections", F_U("count", lanes->count), F_S("reason", e.text));
			return;
		}
		pg_set_timeout_ms(pg, 0);
		lanes->pgs[lanes->count++] = pg;
	}
}

void
lanes_close(struct lanes *lanes)
{
	while (lanes->count > 1)
		pg_close(lanes->pgs[--lanes->count]);
}

static bool
take(struct run *run, size_t *job)
{
	pthread_mutex_lock(&run->lock);
	bool more = run->rc == RC_OK && run->taken < run->count;
	if (more)
		*job = run->jobs[run->taken++];
	pthread_mutex_unlock(&run->lock);
	return more;
}

static void *
work(void *context)
{
	const struct lane *lane = context;
	struct run *run = lane->run;
	size_t job;
	while (take(run, &job)) {
		struct err e = { 0 };
		enum rc rc = run->fn(lane->pg, job, run->context, &e);
		pthread_mutex_lock(&run->lock);
		if (rc != RC_OK && run->rc == RC_OK) {
			run->rc = rc;
			run->err = e;
		}
		pthread_mutex_unlock(&run->lock);
	}
	return NULL;
}

enum rc
lanes_run(const struct lanes *lanes, const size_t *jobs, size_t count, lanes_fn fn, void *context, struct err *e)
{
	struct run run = { .jobs = jobs, .count = count, .fn = fn, .context = context, .rc = RC_OK };
	struct lane all[LANES_MAX];
	pthread_t threads[LANES_MAX];
	size_t started = 1;
	pthread_mutex_init(&run.lock, NULL);
	for (size_t i = 0; i < lanes->count; i++)
		all[i] = (struct lane){ &run, lanes->pgs[i] };
	/* Without a thread for it a lane stays idle; the work is done all the same. */
	while (started < lanes->count && pthread_create(&threads[started], NULL, work, &all[started]) == 0)
		started++;
	work(&all[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&run.lock);
	if (run.rc != RC_OK && e != NULL)
		*e = run.err;
	return run.rc;
}
