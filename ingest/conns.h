/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_CONNS_H
#define INGEST_CONNS_H

#include "base/err.h"

/* Every open connection, and the thread that closes those that take too long. libmicrohttpd's
 * timeout only counts idle time: one byte a second keeps a connection for ever. Here each phase of
 * a request has a deadline, and a body a minimum rate; who misses one gets its socket shut down,
 * which the HTTP library then sees as a client that went away.
 *
 * Connections that were answered before their body was read are kept for a moment after the answer
 * and drained (RFC 9112 §9.6): closing with unread bytes would send a reset, which can destroy the
 * answer on its way. */

enum conn_phase {
	CONN_HEAD, /* waiting for a request, or in the middle of its head */
	CONN_BODY,
	CONN_WORK, /* the request is complete; the answer is ours to give and the client's to read
		    */
};

struct conns_options {
	int64_t head_ms;    /* for the head of the first request */
	int64_t request_ms; /* for a whole request */
	int64_t work_ms;    /* more, until the answer was read */
	/* Whether to look for clients that went away in the middle of a request: libmicrohttpd
	 * 0.9.75 misses that with epoll when the last bytes and the end arrive together. */
	bool watch_hangups;
	size_t per_address_max; /* connections of one address; 0: any number */
	/* Called about four times a second, in the reaper's thread and outside all its locks. */
	void (*tick)(void *context);
	void *context;
};

struct conns;
struct conn;

enum rc conns_start(
	struct conns **c, const struct conns_options *options, struct err *e) MUST_CHECK;

/* Every connection must have been removed. NULL is fine. */
void conns_stop(struct conns *c);

/* fd stays the HTTP library's and open until conns_remove returned. address: 16 bytes that stand
 * for the peer, or NULL for one that may have any number. Over per_address_max the connection is
 * shut down at once. Any thread, as all below. */
struct conn *conns_add(struct conns *c, int fd, const unsigned char *address);

/* Frees conn. The HTTP library closes fd only afterwards. */
void conns_remove(struct conns *c, struct conn *conn);

/* Starts a phase; CONN_HEAD starts the clock of the next request. */
void conns_phase(struct conns *c, struct conn *conn, enum conn_phase phase);

/* Counts bytes of the body, for the minimum rate. */
void conns_received(struct conn *conn, size_t len);

/* The answer leaves before the request was read to its end: drain after it. */
void conns_linger(struct conns *c, struct conn *conn);

/* Connections in CONN_BODY or CONN_WORK: those somebody waits on for an answer. */
size_t conns_busy(struct conns *c);

/* How many connections were shut down because their address had too many. */
uint64_t conns_refused(struct conns *c);

/* All connections. */
size_t conns_open(struct conns *c);

/* Whether the answer to conn's request must be its last. Any thread. */
bool conns_is_last(const struct conn *conn);

/* Makes it so for every connection that is open now. */
void conns_finish(struct conns *c);

/* Shuts down connections in CONN_HEAD; with all, every one. */
void conns_shut(struct conns *c, bool all);

#endif
