/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_PULL_INTERNAL_H
#define REPLAY_PULL_INTERNAL_H

#include <pthread.h>

#include "http/server.h"
#include "replay/pull.h"
#include "replay/token.h"

/* What the files of the pull API share. Only replay/pull*.c include this. */

#define PULL_SUBSCRIPTIONS_MAX 256
/* Requests about one subscription at once: a consumer gone wild leaves connections to others. */
#define PULL_USERS_MAX 8

struct pull_sub {
	char name[JOURNAL_NAME_BYTES];
	/* Made once, then only read. */
	struct arena *a;
	struct replay_options spec;
	struct replay_filter *filter;
	/* Under the lock of struct pull. */
	struct journal *journal; /* NULL: it could not be opened */
	struct journal_state *state;
	struct subscription_control control;
	size_t users;
	bool gone;        /* nobody finds it any more; closed when the last user has left */
	int64_t again_ms; /* when opening is tried again */
};

struct pull {
	struct pull_options options;
	const struct subscriptions_options *subscriptions;
	pthread_mutex_t lock;
	struct pull_sub *subs[PULL_SUBSCRIPTIONS_MAX];
	size_t count;
	pthread_mutex_t reader_lock;
	struct store_reader *reader; /* others are made from it, under its lock */
	struct server *server;
};

/* One more user, until pull_give. NULL: there is none of the name. *busy: there is, with too many. */
struct pull_sub *pull_take(struct pull *p, const char *name, bool *busy);
void pull_give(struct pull *p, struct pull_sub *s);

/* A reader for this thread. */
enum rc pull_reader(struct pull *p, struct store_reader **r, struct err *e) MUST_CHECK;

/* Whether everything is to end. */
bool pull_stopping(const struct pull *p);

/* The handler of all requests; context is the struct pull. pull_api.c */
void pull_handle(struct server_request *rq, void *context);

/* Answers with an error as JSON. */
void pull_refuse(struct server_request *rq, unsigned status, const char *text);

/* GET .../events: gives the subscription back itself. pull_feed.c */
void pull_events(
	struct pull *p, struct server_request *rq, struct pull_sub *s, const char *token_text);

/* A decimal number of the query. False: it is there and is none; *number stays without it. */
bool pull_number(const struct server_request *rq, const char *name, uint64_t *number);

#endif
