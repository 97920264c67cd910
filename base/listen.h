/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LISTEN_H
#define BASE_LISTEN_H

#include "base/err.h"

/* Sockets to listen on: an address and port, a unix socket, or one that the service manager has
 * opened already, so that a restart lets senders wait instead of refusing them. */

#define LISTEN_ADDRESS_BYTES 128

struct listener {
	int fd; /* -1: none */
	bool v6;
	bool inherited; /* from the service manager: it goes on listening after us */
	char address[LISTEN_ADDRESS_BYTES]; /* "127.0.0.1:41234", "unix:/run/hooklog/ingest.sock" */
};

/* Opens what the key of the configuration says: "127.0.0.1:8080", "[::1]:8080" or "unix:/path";
 * port 0: any free one. A socket from systemd (sd_listen_fds(3)) takes its place: the one with
 * FileDescriptorName=name, or with take_first the first one that is not named "admin" or "subscriptions". A unix
 * socket gets mode 0660; one that nobody listens on any more is replaced. RC_INVALID: no such
 * address. RC_IO: in use, not allowed. Both with id ingest.listen. */
enum rc listen_open(struct listener *l, const char *key, const char *where, const char *name,
	bool take_first, struct err *e) MUST_CHECK;

/* Closes and, unless it was inherited, removes a unix socket's file. */
void listen_close(struct listener *l);

#endif
