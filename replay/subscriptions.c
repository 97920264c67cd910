/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "replay/pull.h"

/* One thread for each push subscription: one that is slow, or whose target hangs, holds up no other.
 * Those that are pulled are one server's. */

#define SUBSCRIPTIONS_MAX 256
#define LOOK_EVERY_MS 500
/* After one ended by itself it is tried again, but not in a hurry. */
#define AGAIN_AFTER_MS 5000

struct slot {
	char name[JOURNAL_NAME_BYTES];
	const struct subscriptions_options *options;
	struct store_reader *reader;
	pthread_t thread;
	bool used;
	bool ended; /* atomic: set by the thread as its last act */
	int64_t again_ms;
};

static void *
work(void *context)
{
	struct slot *slot = context;
	struct err e;
	LOG_INFO("subscription.started", F_S("name", slot->name));
	enum rc rc = subscription_serve(slot->options, slot->name, slot->reader, &e);
	if (rc != RC_OK)
		LOG_ERROR("subscription.stopped", F_S("name", slot->name), F_S("error", e.text));
	else
		LOG_INFO("subscription.ended", F_S("name", slot->name));
	__atomic_store_n(&slot->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static void
join(struct slot *slot)
{
	pthread_join(slot->thread, NULL);
	store_reader_close(slot->reader);
	slot->reader = NULL;
	slot->used = false;
	slot->again_ms = clock_monotonic_ms() + AGAIN_AFTER_MS;
}

static struct slot *
slot_for(struct slot *slots, const char *name)
{
	struct slot *empty = NULL;
	for (size_t i = 0; i < SUBSCRIPTIONS_MAX; i++) {
		if (strcmp(slots[i].name, name) == 0)
			return &slots[i];
		if (empty == NULL && slots[i].name[0] == '\0')
			empty = &slots[i];
	}
	for (size_t i = 0; empty == NULL && i < SUBSCRIPTIONS_MAX; i++)
		if (!slots[i].used)
			empty = &slots[i];
	if (empty != NULL)
		*empty = (struct slot){ 0 };
	return empty;
}

static enum rc
start(struct slot *slot, const struct subscriptions_options *o, const char *name, struct err *e)
{
	snprintf(slot->name, sizeof(slot->name), "%s", name);
	slot->options = o;
	slot->ended = false;
	enum rc rc = store_reader_share(o->reader, &slot->reader, e);
	if (rc != RC_OK)
		return rc;
	int failed = pthread_create(&slot->thread, NULL, work, slot);
	slot->used = failed == 0;
	if (failed == 0)
		return RC_OK;
	store_reader_close(slot->reader);
	slot->reader = NULL;
	return err_sys(e, RC_IO, NULL, failed, "start a thread");
}

static bool
is_running(const struct slot *slots, const char *name)
{
	for (size_t i = 0; i < SUBSCRIPTIONS_MAX; i++)
		if (slots[i].used && strcmp(slots[i].name, name) == 0)
			return true;
	return false;
}

/* Starts a thread for each push subscription that has none; *pulled: the others. */
static enum rc
start_missing(struct slot *slots, const struct subscriptions_options *o, struct arena *a,
	const char ***pulled, size_t *pulled_count, struct err *e)
{
	const char *const *names;
	size_t count;
	*pulled_count = 0;
	enum rc rc = journal_list(o->dir, a, &names, &count, e);
	if (rc != RC_OK)
		return rc;
	*pulled = arena_alloc(a, (count + 1) * sizeof(**pulled));
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (is_running(slots, names[i]))
			continue;
		if (subscription_is_pulled(o->dir, names[i], a)) {
			(*pulled)[(*pulled_count)++] = names[i];
			continue;
		}
		struct slot *slot = slot_for(slots, names[i]);
		if (slot != NULL && clock_monotonic_ms() >= slot->again_ms)
			rc = start(slot, o, names[i], e);
	}
	return rc;
}

/* The server of those that are pulled; until it can be started it is tried again. */
struct pulling {
	struct pull *pull;
	int64_t again_ms;
};

static void
serve_pulled(struct pulling *p, const struct subscriptions_options *o, const char *const *names,
	size_t count)
{
	const struct pull_options options = { .subscriptions = o,
		.listen = o->listen,
		.connections_max = o->connections_max,
		.write_timeout_ms = o->write_timeout_ms };
	int64_t now = clock_monotonic_ms();
	struct err e;
	if (o->listen == NULL || o->listen[0] == '\0')
		return;
	if (p->pull == NULL && now >= p->again_ms) {
		if (pull_start(&p->pull, &options, &e) == RC_OK)
			LOG_INFO("subscription.listening",
				F_S("address", pull_address(p->pull)));
		else if (p->again_ms == 0)
			log_err("ingest.listen", &e);
		p->again_ms = now + AGAIN_AFTER_MS;
	}
	if (p->pull != NULL)
		pull_tick(p->pull, names, count);
}

void
subscriptions_run(const struct subscriptions_options *o)
{
	struct slot *slots = base_zalloc(SUBSCRIPTIONS_MAX * sizeof(*slots));
	struct arena *a = arena_new(8192);
	struct pollfd p = { .fd = o->stop_fd, .events = POLLIN };
	struct pulling pulling = { NULL, 0 };
	bool failed = false;
	struct err e;
	do {
		const char **pulled = NULL;
		size_t pulled_count = 0;
		arena_reset(a);
		for (size_t i = 0; i < SUBSCRIPTIONS_MAX; i++)
			if (slots[i].used && __atomic_load_n(&slots[i].ended, __ATOMIC_ACQUIRE))
				join(&slots[i]);
		/* Those that run go on; what failed is tried again. */
		bool ok = start_missing(slots, o, a, &pulled, &pulled_count, &e) == RC_OK;
		if (!ok && !failed)
			log_err("subscription.stopped", &e);
		failed = !ok;
		if (ok)
			serve_pulled(&pulling, o, pulled, pulled_count);
	} while (poll(&p, 1, LOOK_EVERY_MS) <= 0);
	for (size_t i = 0; i < SUBSCRIPTIONS_MAX; i++)
		if (slots[i].used)
			join(&slots[i]);
	pull_stop(pulling.pull);
	arena_free(a);
	free(slots);
}
