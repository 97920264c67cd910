/* SPDX-License-Identifier: Apache-2.0 */
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/listen.h"
#include "http/server.h"

#define LOOK_EVERY_MS 50
#define DRAIN_MS 1000
/* Slower readers than this are not waited for. */
#define SLOWEST_BYTES_PER_MS 64
#define STACK_BYTES ((size_t)256 * 1024)
#define BLOCK_BYTES ((size_t)64 * 1024)

/* One connection. A deadline that passes shuts it down, whatever its thread waits for. */
struct conn {
	struct server *server;
	int fd;
	int64_t deadline_ms; /* 0: our own work is under way, which bounds itself */
	bool used;
};

struct server {
	struct server_options options;
	struct listener listener;
	struct MHD_Daemon *daemon;
	pthread_t reaper;
	bool reaper_started;
	pthread_mutex_t lock;
	bool stopping, stopped; /* under the lock, as are the connections */
	size_t conn_count;
	struct conn *conns;
};

struct server_request {
	struct server *server;
	struct MHD_Connection *connection;
	struct conn *conn;
	struct arena *a;
	const char *method, *path;
	struct added {
		struct added *next;
		const char *name, *value;
	} *added;
	bool has_body, answered;
	enum MHD_Result queued;
};

static void
set_deadline(struct conn *c, int64_t from_now_ms)
{
	pthread_mutex_lock(&c->server->lock);
	if (!c->server->stopping)
		c->deadline_ms = from_now_ms == 0 ? 0 : clock_monotonic_ms() + from_now_ms;
	pthread_mutex_unlock(&c->server->lock);
}

static int64_t
time_for(const struct server *s, size_t bytes)
{
	int64_t ms = (int64_t)(bytes / SLOWEST_BYTES_PER_MS);
	return ms > s->options.write_timeout_ms ? ms : s->options.write_timeout_ms;
}

static void *
reap(void *context)
{
	struct server *s = context;
	pthread_mutex_lock(&s->lock);
	while (!s->stopped) {
		int64_t now = clock_monotonic_ms();
		for (size_t i = 0; i < s->conn_count; i++) {
			struct conn *c = &s->conns[i];
			if (c->used && c->deadline_ms != 0 && now >= c->deadline_ms)
				shutdown(c->fd, SHUT_RDWR);
		}
		pthread_mutex_unlock(&s->lock);
		clock_sleep_ms(LOOK_EVERY_MS);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- libmicrohttpd's calls ---- */

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct server *s = cls;
	struct conn *c = *context;
	pthread_mutex_lock(&s->lock);
	if (code == MHD_CONNECTION_NOTIFY_CLOSED && c != NULL) {
		c->used = false;
		*context = NULL;
	}
	for (size_t i = 0; code == MHD_CONNECTION_NOTIFY_STARTED && i < s->conn_count; i++) {
		if (s->conns[i].used)
			continue;
		s->conns[i] = (struct conn){ .server = s,
			.fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				      ->connect_fd,
			.deadline_ms = clock_monotonic_ms() + s->options.head_timeout_ms,
			.used = true };
		*context = &s->conns[i];
		break;
	}
	pthread_mutex_unlock(&s->lock);
}

static void
on_completed(void *cls UNUSED, struct MHD_Connection *connection UNUSED, void **context,
	enum MHD_RequestTerminationCode code UNUSED)
{
	struct server_request *rq = *context;
	*context = NULL;
	if (rq == NULL)
		return;
	arena_free(rq->a);
	free(rq);
}

static struct server_request *
request_new(
	struct server *s, struct MHD_Connection *connection, const char *path, const char *method)
{
	struct server_request *rq = base_zalloc(sizeof(*rq));
	rq->server = s;
	rq->connection = connection;
	rq->conn = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
			   ->socket_context;
	rq->a = arena_new(4096);
	rq->method = arena_string(rq->a, bytes_str(method));
	rq->path = arena_string(rq->a, bytes_str(path));
	const char *length = server_header(rq, "Content-Length");
	rq->has_body = server_header(rq, "Transfer-Encoding") != NULL ||
		       (length != NULL && strcmp(length, "0") != 0);
	return rq;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version UNUSED, const char *data UNUSED, size_t *data_bytes, void **context)
{
	struct server *s = cls;
	struct server_request *rq = *context;
	if (rq == NULL) { /* an answer may be given from the second call on only */
		*context = request_new(s, connection, path, method);
		return ((struct server_request *)*context)->conn == NULL ? MHD_NO : MHD_YES;
	}
	/* Whatever body there is is read past, within the deadline for the head. */
	if (*data_bytes > 0) {
		*data_bytes = 0;
		return MHD_YES;
	}
	set_deadline(rq->conn, 0);
	rq->queued = MHD_NO;
	if (rq->has_body)
		server_answer(rq, 413, "application/json",
			bytes_str("{\"error\":\"a request has no body here\"}\n"));
	else
		s->options.handle(rq, s->options.context);
	if (!rq->answered)
		server_answer(rq, 500, "application/json",
			bytes_str("{\"error\":\"there is no answer\"}\n"));
	return rq->queued;
}

/* ---- start and stop ---- */

static enum rc
start_daemon(struct server *s, struct err *e)
{
	unsigned flags = MHD_USE_ITC | MHD_USE_THREAD_PER_CONNECTION |
			 MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
			 (s->listener.v6 ? (unsigned)MHD_USE_IPv6 : 0u);
	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s,
		MHD_OPTION_LISTEN_SOCKET, s->listener.fd, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->options.connections_max,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
		MHD_OPTION_END);
	return s->daemon != NULL ? RC_OK
				 : err_set(e, RC_IO, "ingest.listen",
					   "the HTTP server for %s did not start on %s",
					   s->options.key, s->listener.address);
}

enum rc
server_start(struct server **out, const struct server_options *o, struct err *e)
{
	sigset_t all, before;
	struct server *s = base_zalloc(sizeof(*s));
	s->options = *o;
	s->listener.fd = -1;
	/* A connection may be closed a moment before its place is free. */
	s->conn_count = o->connections_max + 16;
	s->conns = base_zalloc(s->conn_count * sizeof(*s->conns));
	pthread_mutex_init(&s->lock, NULL);
	enum rc rc = listen_open(&s->listener, o->key, o->listen, o->socket_name, false, e);
	/* All of its threads leave signals to whoever started it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (rc == RC_OK) {
		int failed = pthread_create(&s->reaper, NULL, reap, s);
		s->reaper_started = failed == 0;
		if (failed != 0)
			rc = err_sys(e, RC_IO, NULL, failed, "start a thread");
	}
	if (rc == RC_OK)
		rc = start_daemon(s, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != RC_OK) {
		server_stop(s);
		s = NULL;
	}
	*out = s;
	return rc;
}

const char *
server_address(const struct server *s)
{
	return s->listener.address;
}

void
server_stop(struct server *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	for (size_t i = 0; i < s->conn_count; i++)
		s->conns[i].deadline_ms = clock_monotonic_ms() + DRAIN_MS;
	pthread_mutex_unlock(&s->lock);
	if (s->daemon != NULL) {
		MHD_quiesce_daemon(s->daemon);
		MHD_stop_daemon(s->daemon);
	}
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	pthread_mutex_unlock(&s->lock);
	if (s->reaper_started)
		pthread_join(s->reaper, NULL);
	listen_close(&s->listener);
	pthread_mutex_destroy(&s->lock);
	free(s->conns);
	free(s);
}

/* ---- the request ---- */

const char *
server_method(const struct server_request *rq)
{
	return rq->method;
}

const char *
server_path(const struct server_request *rq)
{
	return rq->path;
}

const char *
server_query(const struct server_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *
server_header(const struct server_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

struct arena *
server_arena(struct server_request *rq)
{
	return rq->a;
}

bool
server_gone(const struct server_request *rq)
{
	struct pollfd p = { .fd = rq->conn->fd, .events = POLLRDHUP };
	return poll(&p, 1, 0) > 0;
}

/* ---- the answer ---- */

void
server_add_header(struct server_request *rq, const char *name, const char *value)
{
	struct added *added = arena_alloc(rq->a, sizeof(*added));
	*added = (struct added){ .next = rq->added,
		.name = arena_string(rq->a, bytes_str(name)),
		.value = arena_string(rq->a, bytes_str(value)) };
	rq->added = added;
}

/* Owns response. */
static void
queue(struct server_request *rq, unsigned status, const char *type, struct MHD_Response *response)
{
	rq->answered = true;
	if (response == NULL)
		return;
	if (type != NULL)
		MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Connection", "close");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (const struct added *h = rq->added; h != NULL; h = h->next)
		MHD_add_response_header(response, h->name, h->value);
	rq->queued = MHD_queue_response(rq->connection, status, response);
	MHD_destroy_response(response);
}

void
server_answer(struct server_request *rq, unsigned status, const char *type, struct bytes body)
{
	set_deadline(rq->conn, time_for(rq->server, body.len));
	queue(rq, status, type,
		MHD_create_response_from_buffer(
			body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY));
}

struct streaming {
	struct server_stream stream;
	struct conn *conn;
	struct buf piece;
	size_t sent; /* of piece */
};

static ssize_t
stream_read(void *cls, uint64_t pos UNUSED, char *out, size_t room)
{
	struct streaming *st = cls;
	while (st->sent == st->piece.len) {
		buf_clear(&st->piece);
		st->sent = 0;
		set_deadline(st->conn, 0);
		bool more = st->stream.next(&st->piece, st->stream.context);
		set_deadline(st->conn, time_for(st->conn->server, st->piece.len));
		if (!more)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (st->piece.overflow)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	size_t n = st->piece.len - st->sent < room ? st->piece.len - st->sent : room;
	memcpy(out, st->piece.data + st->sent, n);
	st->sent += n;
	return (ssize_t)n;
}

static void
stream_free(void *cls)
{
	struct streaming *st = cls;
	st->stream.close(st->stream.context);
	buf_free(&st->piece);
	free(st);
}

void
server_stream(struct server_request *rq, unsigned status, const char *type,
	const struct server_stream *stream)
{
	struct streaming *st = base_zalloc(sizeof(*st));
	st->stream = *stream;
	st->conn = rq->conn;
	st->piece = buf_new(stream->piece_bytes_max);
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read, st, stream_free);
	if (response == NULL)
		stream_free(st);
	set_deadline(rq->conn, rq->server->options.write_timeout_ms);
	queue(rq, status, type, response);
}
