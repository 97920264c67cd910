/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_PEERS_H
#define INGEST_PEERS_H

#include <sys/socket.h>

#include "event/event.h"

/* Who a request came from. Behind a reverse proxy the peer of the connection is the proxy, and the
 * sender's address stands in X-Forwarded-For, where anybody can write anything: it is believed only
 * when the peer is one of those named by the operator, and then from the right. */

#define PEERS_MAX 32

/* An address as 16 bytes; IPv4 in its mapped form. All zero with unix: a unix socket. */
struct peer {
	unsigned char bytes[16];
	bool unix_socket;
};

struct peers {
	struct {
		struct peer base;
		unsigned bits;
	} list[PEERS_MAX];
	size_t count;
};

/* "127.0.0.1, 10.0.0.0/8, ::1, unix", or "". RC_INVALID names the part that is wrong. */
enum rc peers_parse(const char *text, struct peers *out, struct err *e) MUST_CHECK;

bool peers_have(const struct peers *p, const struct peer *peer);

/* NULL is a unix socket. */
struct peer peer_of(const struct sockaddr *address);

/* The sender's address: the peer's with its port, or what a trusted peer says, without one. In a.
 */
struct bytes peer_client(const struct peers *trusted, const struct sockaddr *address,
	const struct event_header *headers, size_t count, struct arena *a);

#endif
