/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/request.h"

/* What a request needs in memory is the same every time: a few large blocks, which are those an allocator is slow at. So
 * the memory of those that are over is used again, up to this many, which are 8 MiB at most. */
#ifdef __SANITIZE_ADDRESS__
#define IDLE_MAX 0 /* whoever looks at a request that is over shall be found out */
#else
#define IDLE_MAX 256
#endif
#define ARENA_BYTES 8192

static struct request *
request_make(void)
{
	struct request *r = base_zalloc(sizeof *r);
	r->arena = arena_new(ARENA_BYTES);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	return r;
}

static void
request_free(struct request *r)
{
	pthread_cond_destroy(&r->answered);
	pthread_mutex_destroy(&r->lock);
	arena_free(r->arena);
	free(r->body);
	free(r);
}

struct request *
request_take(struct ingest *in)
{
	pthread_mutex_lock(&in->idle.lock);
	struct request *r = in->idle.first;
	if (r != NULL) {
		in->idle.first = r->idle_next;
		in->idle.count--;
	}
	pthread_mutex_unlock(&in->idle.lock);
	if (r == NULL)
		r = request_make();
	const size_t kept = offsetof(struct request, in);
	memset((unsigned char *)r + kept, 0, sizeof *r - kept);
	r->in = in;
	atomic_init(&r->references, 1);
	return r;
}

void
request_give(struct request *r)
{
	struct request_pool *idle = &r->in->idle;
	arena_reset(r->arena);
	pthread_mutex_lock(&idle->lock);
	bool keep = idle->count + 1 <= IDLE_MAX;
	if (keep) {
		r->idle_next = idle->first;
		idle->first = r;
		idle->count++;
	}
	pthread_mutex_unlock(&idle->lock);
	if (!keep)
		request_free(r);
}

void
request_pool_trim(struct ingest *in)
{
	pthread_mutex_lock(&in->idle.lock);
	struct request *r = in->idle.first;
	in->idle.first = NULL;
	in->idle.count = 0;
	pthread_mutex_unlock(&in->idle.lock);
	while (r != NULL) {
		struct request *next = r->idle_next;
		request_free(r);
		r = next;
	}
}
