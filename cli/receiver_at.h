/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_RECEIVER_AT_H
#define CLI_RECEIVER_AT_H

#include "cli/config.h"
#include "http/http.h"
#include "ingest/sources.h"

/* How commands on the same machine reach the receiver of the same configuration. */
struct receiver_at {
	const char *url;         /* "https://127.0.0.1:8443/in/github" */
	const char *unix_socket; /* NULL: TCP. As in http_options */
	/* NULL: HTTP. With TLS the certificate of the configuration is asked for by its key: it need not be
	 * one that this machine trusts, nor name the address. As in http_options */
	const char *pin;
};

/* listening: where it does listen, for who knows, such as with port 0; NULL: ingest.listen. An address that
 * means all becomes the loopback's. Strings live in a. RC_INVALID, RC_IO: the certificate cannot be read
 * (ingest.tls). */
enum rc receiver_at(struct receiver_at *at, const struct config *c, const char *listening,
	const char *source, struct arena *a, struct err *e) MUST_CHECK;

/* Sends the ping of the source's provider there, signed with the secret that is valid now. *answer as for
 * http_request, whose errors these are. RC_INVALID also: the secret can only check. */
enum rc receiver_ping(const struct receiver_at *at, const struct source *source, struct arena *a,
	struct http_response *answer, struct err *e) MUST_CHECK;

#endif
