/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* A small HTTP server for clients that are known: each connection has a thread, serves one request
 * without a body, and is closed behind the answer. Connections and the time they may take are bounded,
 * so one that is slow costs nobody anything. The receiver, which faces everybody, has its own. */

struct server;         /* all functions: the thread that started it */
struct server_request; /* lives until its handler returned, or its stream is closed */

typedef void (*server_handler)(struct server_request *rq, void *context);

struct server_options {
	const char *listen;      /* as base/listen.h */
	const char *key;         /* of the configuration, for messages */
	const char *socket_name; /* of a socket from systemd */
	size_t connections_max;  /* further ones wait in the system's queue */
	int64_t head_timeout_ms; /* from connecting to the end of the request */
	/* For an answer, or one piece of a stream; for large ones as long as 64 KiB/s takes. */
	int64_t write_timeout_ms;
	server_handler handle; /* answers, or starts a stream; may wait; in the connection's thread */
	void *context;
};

/* Owned until server_stop. RC_INVALID, RC_IO (id ingest.listen): cannot listen there. */
enum rc server_start(
	struct server **s, const struct server_options *options, struct err *e) MUST_CHECK;

/* "127.0.0.1:41234" */
const char *server_address(const struct server *s);

/* Stops accepting, gives answers under way a second, and waits for the handlers, which have to be told
 * to end by other means. NULL is fine. */
void server_stop(struct server *s);

/* ---- the request; strings are borrowed from it ---- */

const char *server_method(const struct server_request *rq);
const char *server_path(const struct server_request *rq); /* without query */
/* NULL: there is none. */
const char *server_query(const struct server_request *rq, const char *name);
const char *server_header(const struct server_request *rq, const char *name);
struct arena *server_arena(struct server_request *rq);
/* Whether the client has gone: worth a look while waiting. */
bool server_gone(const struct server_request *rq);

/* ---- the answer: one of the two, once ---- */

/* A header of the answer that follows; copies both. */
void server_add_header(struct server_request *rq, const char *name, const char *value);

/* Copies body. type NULL: there is none. */
void server_answer(
	struct server_request *rq, unsigned status, const char *type, struct bytes body);

/* Sends what next appends to out, again and again until it returns false. next may wait; out is empty.
 * close is called exactly once, also when the client goes away. Both in the connection's thread. */
struct server_stream {
	bool (*next)(struct buf *out, void *context);
	void (*close)(void *context);
	void *context;
	size_t piece_bytes_max;
};
void server_stream(struct server_request *rq, unsigned status, const char *type,
	const struct server_stream *stream);

#endif
