/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_INGEST_POST_H
#define TESTS_UNIT_INGEST_POST_H

#include "ingest/delivery.h"

/* One request to a source of a provider, judged as the receiver does, without HTTP and store.
 * Failures end the test. */

#define POST_HEADERS_MAX 32

struct post {
	struct arena *a;
	struct source source;
	struct source_pairs pairs;
	struct event_header headers[POST_HEADERS_MAX];
	size_t header_count;
	const char *query;
	struct bytes body;
	int64_t now_s;            /* the receiver's clock */
	struct delivery delivery; /* of the last post_try */
	struct refusal no;
	const char *key_id;
};

/* options: KEY, VALUE, KEY, VALUE, NULL; NULL: none. secret NULL: an unsigned source. */
struct post *post_new(const char *provider, const char *const *options, const char *secret);
void post_free(struct post *p);

/* Why such a source cannot be: the message. Fails when it can. */
const char *post_wrong(
	struct arena *a, const char *provider, const char *const *options, const char *secret);

/* One more secret. */
void post_add_secret(struct post *p, const char *secret);

/* Sets a header, or adds it; value NULL takes it away. */
void post_header(struct post *p, const char *name, const char *value);

/* Adds a second header of that name. */
void post_header_again(struct post *p, const char *name, const char *value);

/* 0: it would be stored; else the status of the refusal. */
int post_try(struct post *p);

/* The same with one header changed for the time of the call. */
int post_try_with(struct post *p, const char *name, const char *value);

/* Takes the provider's ping in place of headers, query and body. */
void post_take_ping(struct post *p);

/* The request is right as it is; refuses it with 401 after each bit of the body is flipped, each
 * character of the header changed to another one, the header cut by one, longer by one, empty,
 * missing and doubled, cut to its prefix, beside another one, and for 500 random signatures of the same form. */
void post_must_fail(struct post *p, const char *signature_header);

#endif
