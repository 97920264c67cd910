/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"

/* The HTTP client: one connection that is kept open and reused. The only user of curl/curl.h. Follows
 * no redirects and ignores the proxy variables of the environment: a target is what was named. */

struct http_client;

enum http_reach {
	HTTP_REACH_ANY = 0, /* what was named is wanted: our own receiver, a forge of the operator's */
	HTTP_REACH_GLOBAL,  /* only the public internet and what allow lists */
};

struct http_options {
	/* Checked against the very address a connection goes to, at each connection: a name that
	 * resolves to something else the next time changes nothing. */
	enum http_reach reach;
	const char *allow; /* ranges such as "10.0.0.0/8, ::1", with commas; borrowed; NULL: none */
	int64_t connect_timeout_ms; /* 0: 5,000 */
	int64_t timeout_ms;         /* for one whole request; 0: 10,000 */
	/* Speak HTTP/2: with https when the server offers it, else HTTP/1.1; with http at once, which a
	 * server that does not speak it takes for nonsense (RFC 9113 §3.3). */
	bool http2;
	/* Path of a unix socket to connect to, whatever host the URL names; borrowed; NULL: none. */
	const char *unix_socket;
	/* "sha256//" and base64, as for CURLOPT_PINNEDPUBLICKEY: the server must have this key, and then its
	 * certificate may name anything and come from anybody; borrowed. NULL: what the system trusts. */
	const char *pin;
	/* PEM file of certificates of authorities, the only ones trusted; borrowed.
	 * NULL or "": the system's. */
	const char *ca_file;
	const char *user_agent;     /* borrowed until http_client_free; NULL: "hooklog" */
};

struct http_header {
	struct bytes name, value;
};

struct http_response {
	int status;
	int64_t retry_after_s; /* of the Retry-After header in seconds (RFC 9110 §10.2.3); -1: none */
	struct buf body;       /* at most HTTP_ANSWER_BYTES, the rest is not waited for; owned by the caller */
};

#define HTTP_ANSWER_BYTES ((size_t)1024 * 1024)

/* Owned by the caller until http_client_free. RC_INVALID: HTTP/2 is wanted, and libcurl was built
 * without it; ca_file cannot be read. One thread at a time; several clients in several threads
 * are fine. */
enum rc http_client_new(struct http_client **c, const struct http_options *options, struct err *e)
	MUST_CHECK;
void http_client_free(struct http_client *c);

/* Sends one request and waits for the whole answer. Headers go out exactly as given, in order; Host,
 * Content-Length and Connection come from the client, and no "Expect" is sent. Names and values must
 * not contain CR, LF or NUL. *response must be zeroed or hold an older answer, whose body buffer is
 * reused; http_response_free at the end.
 * RC_INVALID: not an http:// or https:// URL, or a header that cannot be sent. RC_DENIED: options.reach
 * excludes every address of the host; nothing was sent. RC_IO: no answer
 * (connection refused, timeout, TLS): the message names the URL. Any status is RC_OK. */
enum rc http_request(struct http_client *c, const char *method, const char *url,
	const struct http_header *headers, size_t header_count, struct bytes body,
	struct http_response *response, struct err *e) MUST_CHECK;

void http_response_free(struct http_response *response);

#endif
