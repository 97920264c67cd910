/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SERVER_H
#define INGEST_SERVER_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ingest/conns.h"
#include "ingest/ingest.h"
#include "base/listen.h"
#include "ingest/metrics.h"
#include "ingest/peers.h"
#include "ingest/quarantine.h"
#include "ingest/sources.h"

/* What the files of the receiver share. */

/* How long an answer may wait for the commit. GitHub gives up after 10 s; a later 202 would be
 * counted as a failure although the event is there. */
#define INGEST_COMMIT_MS 5000
#define INGEST_RETRY_AFTER_S "5"

struct certificate;
struct request;
struct tls;

/* At most RATE_LINES_PER_S log lines a second: senders decide how many there would be. */
struct rate {
	pthread_mutex_t lock;
	int64_t window_ms;
	uint64_t lines, dropped;
};

struct ingest {
	struct store *store;
	bool pool, keep_alive;
	size_t in_flight_bytes_max, connections_max;
	size_t threads; /* of the pool */
	struct peers trusted;
	unsigned char salt[REDACT_SALT_BYTES];
	char log_id[2 * STORE_LOG_ID_BYTES + 1]; /* "" without a loop guard */
	char *sources_dir;
	uint64_t sources_stamp; /* of the files last read; only ingest_reload's thread */

	pthread_mutex_t sources_lock;
	struct sources *sources;

	struct quarantine *quarantine;
	char *quarantine_dir;

	struct MHD_Daemon *daemon; /* that takes connections; beside it there may be those of tls */
	struct tls *tls;           /* NULL: plain HTTP */
	struct conns *conns;
	struct listener listener; /* without fd once no more connections are taken */
	struct admin *admin;      /* NULL: no second listener */
	struct metrics metrics;
	atomic_bool draining, stopping;
	atomic_size_t in_flight_bytes;

	/* Requests lent to the store until it calls back. The count falls last of all, so that 0
	 * means that the store's thread has no business here any more. */
	pthread_mutex_t lent_lock;
	struct request *lent_head;
	atomic_size_t lent;

	struct request_pool {
		pthread_mutex_t lock;
		struct request *first;
		size_t count;
	} idle;

	struct rate refusals, library;

	/* Only the reaper's thread. */
	uint64_t connections_seen;
	unsigned quiet_ticks;
};

/* Starts a server of the HTTP library on in->listener, with TLS when there is a certificate, which the
 * library may point to until the server is stopped. RC_IO. */
enum rc receiver_start(struct ingest *in, const struct certificate *certificate,
	struct MHD_Daemon **daemon, struct err *e) MUST_CHECK;

/* Whether one more line may be written; the first one of a second also logs how many were not. */
bool rate_take(struct rate *r, const char *id);

/* libmicrohttpd's callbacks; cls is the struct ingest. */
void *request_new(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_bytes,
	void **context);
void request_completed(void *cls, struct MHD_Connection *connection, void **context,
	enum MHD_RequestTerminationCode code);

/* Gives up waiting for commits that take longer than INGEST_COMMIT_MS, or with all, for every one.
 * Only INGEST_POOL needs it; with a thread per connection each one looks at the clock itself. */
void request_expire(struct ingest *in, bool all);

/* Frees the memory of requests that are over. Any thread. */
void request_pool_trim(struct ingest *in);

#endif
