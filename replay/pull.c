/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "replay/pull_internal.h"

/* The subscriptions that are pulled, and who uses which. */

#define AGAIN_AFTER_MS 5000
#define HEAD_MS 5000

static enum rc
sub_open(struct pull *p, struct pull_sub *s, struct err *e)
{
	struct store_span span;
	const char *dir = p->subscriptions->dir;
	struct journal *journal = NULL;
	s->a = arena_new(4096);
	enum rc rc = journal_open(&journal, dir, s->name, e);
	if (rc == RC_OK)
		rc = journal_options(dir, s->name, s->a, &s->spec, e);
	if (rc == RC_OK)
		rc = replay_filter_new(&s->filter, &s->spec.select, e);
	if (rc == RC_OK)
		rc = subscription_control_read(dir, s->name, &s->control, e);
	pthread_mutex_lock(&p->reader_lock);
	if (rc == RC_OK)
		rc = store_span(p->reader, &span, e);
	pthread_mutex_unlock(&p->reader_lock);
	if (rc == RC_OK &&
		memcmp(journal_state(journal)->log_id, span.log_id, sizeof(span.log_id)) != 0)
		rc = err_set(e, RC_CONFLICT, NULL, "'%s' follows another log", s->name);
	if (rc == RC_OK) {
		s->state = journal_state(journal);
		s->journal = journal;
		return RC_OK;
	}
	journal_close(journal);
	replay_filter_free(s->filter);
	s->filter = NULL;
	arena_free(s->a);
	s->a = NULL;
	return rc;
}

static void
sub_close(struct pull *p, struct pull_sub *s)
{
	struct err e;
	bool removed = s->control.removed && s->journal != NULL;
	journal_close(s->journal);
	if (removed && journal_remove(p->subscriptions->dir, s->name, &e) != RC_OK)
		log_err("replay.record", &e);
	if (s->journal != NULL)
		LOG_INFO("subscription.ended", F_S("name", s->name));
	replay_filter_free(s->filter);
	arena_free(s->a);
	free(s);
}

struct pull_sub *
pull_take(struct pull *p, const char *name, bool *busy)
{
	struct pull_sub *found = NULL;
	*busy = false;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->count && found == NULL; i++)
		if (strcmp(p->subs[i]->name, name) == 0 && p->subs[i]->journal != NULL &&
			!p->subs[i]->gone)
			found = p->subs[i];
	if (found != NULL && found->users >= PULL_USERS_MAX) {
		*busy = true;
		found = NULL;
	}
	if (found != NULL)
		found->users++;
	pthread_mutex_unlock(&p->lock);
	return found;
}

void
pull_give(struct pull *p, struct pull_sub *s)
{
	pthread_mutex_lock(&p->lock);
	s->users--;
	pthread_mutex_unlock(&p->lock);
}

enum rc
pull_reader(struct pull *p, struct store_reader **r, struct err *e)
{
	pthread_mutex_lock(&p->reader_lock);
	enum rc rc = store_reader_share(p->reader, r, e);
	pthread_mutex_unlock(&p->reader_lock);
	return rc;
}

bool
pull_stopping(const struct pull *p)
{
	struct pollfd fd = { .fd = p->subscriptions->stop_fd, .events = POLLIN };
	return poll(&fd, 1, 0) > 0;
}

/* Takes up what the command line wants. Under the lock. */
static void
obey(struct pull *p, struct pull_sub *s)
{
	struct subscription_control c;
	struct err e;
	uint64_t *done = s->state->done;
	if (subscription_control_read(p->subscriptions->dir, s->name, &c, &e) != RC_OK)
		return;
	s->control = c;
	if (done[SUBSCRIPTION_DONE_SOUGHT] != c.sought) {
		window_reset(&s->state->window, c.seek_seq - 1);
		done[SUBSCRIPTION_DONE_SOUGHT] = c.sought;
		journal_sync(s->journal, true);
	}
	done[SUBSCRIPTION_DONE_RESUMED] = c.resumed;
	journal_sync(s->journal, false);
}

static struct pull_sub *
find(struct pull *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->subs[i]->name, name) == 0)
			return p->subs[i];
	if (p->count == PULL_SUBSCRIPTIONS_MAX)
		return NULL;
	struct pull_sub *s = base_zalloc(sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", name);
	return p->subs[p->count++] = s;
}

static void
try_open(struct pull *p, struct pull_sub *s)
{
	struct err e;
	int64_t now = clock_monotonic_ms();
	if (now < s->again_ms)
		return;
	bool first = s->again_ms == 0;
	s->again_ms = now + AGAIN_AFTER_MS;
	if (sub_open(p, s, &e) == RC_OK)
		LOG_INFO("subscription.started", F_S("name", s->name));
	else if (first)
		LOG_ERROR("subscription.stopped", F_S("name", s->name), F_S("error", e.text));
}

void
pull_tick(struct pull *p, const char *const *names, size_t count)
{
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < count; i++) {
		struct pull_sub *s = find(p, names[i]);
		if (s != NULL && s->journal == NULL)
			try_open(p, s);
	}
	for (size_t i = 0; i < p->count; i++) {
		struct pull_sub *s = p->subs[i];
		bool listed = false;
		for (size_t k = 0; k < count && !listed; k++)
			listed = strcmp(s->name, names[k]) == 0;
		if (s->journal != NULL && listed)
			obey(p, s);
		s->gone = s->gone || !listed || s->control.removed;
		if (s->gone && s->users == 0) {
			sub_close(p, s);
			p->subs[i--] = p->subs[--p->count];
		}
	}
	pthread_mutex_unlock(&p->lock);
}

enum rc
pull_start(struct pull **out, const struct pull_options *o, struct err *e)
{
	struct pull *p = base_zalloc(sizeof(*p));
	p->options = *o;
	p->subscriptions = o->subscriptions;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->reader_lock, NULL);
	const struct server_options server = { .listen = o->listen,
		.key = "subscription.listen",
		.socket_name = "subscriptions",
		.connections_max = o->connections_max,
		.head_timeout_ms = HEAD_MS,
		.write_timeout_ms = o->write_timeout_ms,
		.handle = pull_handle,
		.context = p };
	enum rc rc = store_reader_share(o->subscriptions->reader, &p->reader, e);
	if (rc == RC_OK)
		rc = server_start(&p->server, &server, e);
	if (rc != RC_OK) {
		pull_stop(p);
		p = NULL;
	}
	*out = p;
	return rc;
}

const char *
pull_address(const struct pull *p)
{
	return server_address(p->server);
}

void
pull_stop(struct pull *p)
{
	if (p == NULL)
		return;
	server_stop(p->server);
	for (size_t i = 0; i < p->count; i++)
		sub_close(p, p->subs[i]);
	store_reader_close(p->reader);
	pthread_mutex_destroy(&p->reader_lock);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
