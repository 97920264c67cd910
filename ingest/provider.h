/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_PROVIDER_H
#define INGEST_PROVIDER_H

#include "event/event.h"

/* What tells one kind of sender from another: one struct provider, one file in ingest/provider/,
 * one row in ingest/provider_table.h. Which provider and which secrets apply is decided by the
 * source in the URL, never by what the sender writes into its headers. */

/* What a delivery says about itself. Claims: most providers sign the body only. Borrowed from the
 * headers. */
struct provider_claims {
	struct bytes event;     /* type of the event, "" */
	struct bytes delivery;  /* id of the delivery, "" */
	struct bytes hook;      /* id of the hook, "" */
	struct bytes signature; /* value of the signature header, data NULL when there is none */
};

#define PROVIDER_PING_HEADERS 8

/* A harmless delivery that looks like the provider's own, for `source test` and `up`. */
struct provider_ping {
	struct event_header headers[PROVIDER_PING_HEADERS]; /* with Content-Type, without Host */
	size_t header_count;
	struct bytes body;
};

struct provider {
	const char *name;   /* MUST; in configuration and records */
	const char *label;  /* MUST; for people */
	const char *scheme; /* MUST; what verify checks: "hmac-sha256" */
	/* MUST; headers the guard allows once only, NULL-terminated. */
	const char *const *single_headers;
	/* MAY; headers whose values are redacted besides those every source redacts,
	 * NULL-terminated. */
	const char *const *secret_headers;
	/* MUST; fills *claims. RC_INVALID: a header that this provider always sends is missing or
	 * malformed; the message goes to the sender. */
	enum rc (*read)(const struct event *head, struct provider_claims *claims, struct err *e);
	/* MUST; whether the signature has the right form, so that a hopeless body need not be read.
	 */
	bool (*signature_formed)(struct bytes signature);
	/* MUST; whether the signature over the raw body was made with the secret. Time must not
	 * depend on how wrong it is. */
	bool (*verify)(struct bytes secret, struct bytes body, struct bytes signature);
	/* MUST; makes a ping with a fresh delivery id, signed unless secret is empty. All in a. */
	void (*ping)(struct bytes secret, struct arena *a, struct provider_ping *ping);
};

/* NULL: no such provider. */
const struct provider *provider_find(struct bytes name);

/* All providers' names, "github, ...", for messages. Appends to out. */
void provider_put_names(struct buf *out);

#endif
