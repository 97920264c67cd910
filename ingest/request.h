/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_REQUEST_H
#define INGEST_REQUEST_H

#include "ingest/delivery.h"
#include "ingest/server.h"

/* One request, from its request line to its answer. Two may hold it: the HTTP library, and the
 * store while the event is lent to it; the last one frees it. */

/* Memory for a body that stays with the request's. */
#define REQUEST_BODY_BYTES_KEPT ((size_t)16 * 1024)

enum request_state {
	REQUEST_READING, /* the HTTP library's thread has it alone */
	REQUEST_WAITING, /* lent to the store; the rest is guarded by lock */
	REQUEST_STORED,  /* the store has answered: result is filled */
	REQUEST_EXPIRED, /* the answer will come too late: 503 although it may be stored */
};

struct request {
	/* Stays from one request to the next that uses the same memory (request_pool.c). */
	struct request *idle_next;
	struct arena *arena;
	unsigned char *body;
	size_t body_memory; /* bytes body has room for; body_cap of them are counted */
	pthread_mutex_t lock;
	pthread_cond_t answered; /* of the clock CLOCK_MONOTONIC */

	/* From here on all is zero in a new request. */
	struct ingest *in;
	struct MHD_Connection *connection;
	struct conn *conn;
	atomic_int references;
	bool begun, finished, refused;
	bool kept; /* refused, and its body is read for the quarantine */

	struct guard_request head;
	struct guard_facts facts;
	struct refusal refusal; /* when refused */

	struct sources *sources; /* one reference, so that source lives */
	const struct source *source;
	struct delivery delivery;
	struct event *events;         /* what is lent to the store */
	struct store_result *results; /* of a batch, one for each event */
	size_t event_count;

	size_t body_bytes, body_cap, discarded_bytes;

	enum request_state state; /* lent: under lock, as is the result */
	int64_t deadline_ms, start_us;
	struct store_result result;
	struct request *lent_previous, *lent_next;
};

/* The answer to a request that is complete: checks the signature and hands the event to the store.
 */
enum MHD_Result request_finish(struct request *r);

/* The answer once the store has called back, or the wait is over. */
enum MHD_Result request_conclude(struct request *r);

/* Refuses a request whose body is here, and keeps it in the quarantine. */
enum MHD_Result request_quarantine(struct request *r, const struct refusal *no);

/* Queues an answer. */
enum MHD_Result request_refuse(struct request *r, const struct refusal *no);
enum MHD_Result request_answer(struct request *r, unsigned status, const char *body,
	const char *header, const char *value);

/* As request_answer, with the Content-Type given instead of JSON's and any number of headers. */
struct request_header {
	const char *name, *value;
};
enum MHD_Result request_reply(struct request *r, unsigned status, struct bytes body,
	const char *type, const struct request_header *headers, size_t count);

void request_release(struct request *r);

/* The memory of a new request, with one reference, an empty arena and no body; maybe that of one that is over. Any
 * thread. */
struct request *request_take(struct ingest *in);

/* Gives it back; the caller had the last reference and has taken everything out of the counts. Any thread. */
void request_give(struct request *r);

#endif
