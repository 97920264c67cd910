/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "base/buf.h"
#include "store/store.h"

/* The receiver: POST /in/<source> checks a delivery and answers 202 with its number once the log
 * has it on disk; GET and HEAD /livez and /readyz tell how it does. The only user of microhttpd.h.
 *
 *	status  when                                                    log written
 *	202     on disk: {"seq":N,"duplicate":false}, X-Hooklog-Seq     yes, unless a duplicate
 *	202     a batch, all of it: {"events":[{"seq":N,"duplicate":false},...]}    yes, as above
 *	200     on disk, where the provider wants an answer of its own (provider.h)  yes, as above
 *	200     an unsigned test of the sender: {"stored":false}; consent to OPTIONS
 *	400     malformed HTTP, or a header the provider always sends is missing
 *	401     signature missing, malformed or wrong
 *	403     OPTIONS from an origin that is not allowed
 *	404     no such path or source: one answer for both
 *	405     wrong method; Allow names the right one
 *	409     a replay of this very log (X-Hooklog-Log names its id): storing it would be a loop
 *	413     body over the cap
 *	415     Content-Encoding, which would hide the signed bytes; an unknown format
 *	503     our own trouble (log full or stopped, overload, stop): Retry-After
 *
 * Every refusal is {"error":"...","id":"..."}, where id names a page in docs/runbooks. */

enum ingest_threading {
	INGEST_CONNECTION, /* a thread per connection, which waits for the commit */
	INGEST_POOL,       /* a few threads with epoll; a request is suspended during the commit */
};

struct ingest_options {
	const char *listen; /* as base/listen.h: "127.0.0.1:8080", "unix:/run/hooklog.sock" */
	/* Files in PEM: the receiver speaks TLS (HTTP does not work then). Both NULL or "": HTTP. */
	const char *tls_certificate_file, *tls_key_file;
	enum ingest_threading threading;
	size_t threads;                     /* of INGEST_POOL; 0: one per processor */
	size_t connections_max;             /* more are answered 503; 0: 512 */
	size_t connections_per_address_max; /* 0: any number; never for trusted proxies and loopback
					     */
	const char *trusted_proxies;        /* as peers_parse; NULL: none */
	const char *admin_listen;           /* NULL or "": no second listener */
	/* What else the second listener tells; called in its thread. MAY. */
	void (*collect)(struct buf *out, void *context);
	bool (*ready)(struct buf *out, void *context); /* appends lines; false: not ready */
	void *context;
	size_t in_flight_bytes_max; /* bodies held at once over all requests; 0: 256 MiB */
	int64_t request_timeout_ms; /* from the first byte to the last of one request; 0: 30,000 */
	bool keep_alive;            /* docs/adr/0007-request-guard.md says when this is safe */
	const char *sources_dir;    /* made by `source add`; need not exist */
	const char *salt_file;      /* salt of redacted header values, made when missing */
	const char *quarantine_dir; /* made when the first request is kept */
	uint64_t quarantine_bytes_max;      /* 0: no quarantine */
	uint64_t quarantine_per_second_max; /* requests kept */
	const char *log_id;  /* of that store, 32 hexadecimal digits; NULL: no loop guard */
	struct store *store; /* borrowed until ingest_stop returned */
};

struct ingest;

/* Loads the sources, binds, starts answering. Owned by the caller until ingest_stop; the options
 * are copied. Threads it starts have all signals blocked. RC_INVALID: a source is wrong (id
 * ingest.source), listen is no address (ingest.listen), or a file for TLS is (ingest.tls). RC_IO: the address is in use
 * (ingest.listen), or the system refused anything else. */
enum rc ingest_start(
	struct ingest **in, const struct ingest_options *options, struct err *e) MUST_CHECK;

/* The address it listens on, with the port the system chose: "127.0.0.1:41234". Borrowed until
 * ingest_stop. */
const char *ingest_address(const struct ingest *in);

/* That of the second listener, or NULL. */
const char *ingest_admin_address(const struct ingest *in);

/* How many sources it serves. */
size_t ingest_source_count(struct ingest *in);

/* Tells it of an event that was received before the start, so that what is usual for the event's source
 * need not be learned again. In the order of the log. Borrows ev. Any thread. */
void ingest_recall(struct ingest *in, const struct event *ev);

/* Reads the sources again if a file in their folder has changed since, or with force in any case:
 * secrets may lie elsewhere. *changed (may be NULL) tells whether they were read. Requests that
 * have started keep the old ones. On an error the old ones stay in use, and the same error comes
 * once per change. One thread at a time. RC_INVALID, RC_IO as for ingest_start. */
enum rc ingest_reload(struct ingest *in, bool force, bool *changed, struct err *e) MUST_CHECK;

/* Reads the certificate and its key again and goes over to them if they differ. Connections that are open
 * go on with the old ones, for one more answer. *changed: they differed. On an error the old ones
 * stay in use. Does nothing without TLS. The thread of ingest_reload. RC_INVALID, RC_IO, RC_AGAIN (later),
 * all with id ingest.tls. */
enum rc ingest_reload_certificate(struct ingest *in, bool *changed, struct err *e) MUST_CHECK;

/* What has to be done now and then, about twice a second: admits what was asked for from the
 * quarantine, warns of a certificate that ends soon, and logs ingest.silent for a source that has been quiet for far longer than usual.
 * The thread of ingest_reload. */
void ingest_tick(struct ingest *in);

/* Stops accepting connections and waits until every request that had begun was answered, at most
 * timeout_ms. RC_AGAIN: some were still open then. Only the thread that calls ingest_stop. */
enum rc ingest_drain(struct ingest *in, int64_t timeout_ms, struct err *e) MUST_CHECK;

/* Drains for at most a second unless ingest_drain did, closes what is left, frees everything.
 * Requests whose answer the store still owes are waited for: their memory is lent to it. NULL is
 * fine. */
void ingest_stop(struct ingest *in);

#endif
