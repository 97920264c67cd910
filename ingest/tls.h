/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_TLS_H
#define INGEST_TLS_H

#include "base/certificate.h"
#include "ingest/server.h"

/* TLS of the receiver's own (docs/adr/0027-direct-tls.md). The HTTP library reads a certificate
 * when one of its servers starts. So a new certificate is a new server on the same socket; the one
 * before takes no more connections and is stopped once those it has have ended. All functions but
 * tls_look: the thread of ingest_start and ingest_reload. */

struct tls;

/* What GnuTLS is told: TLS 1.2 and 1.3, keys that are thrown away after each session, no ciphers
 * without authentication of their own. */
#define TLS_PRIORITIES                                                                             \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:"    \
	"+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CCM:"                                            \
	"-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%SERVER_PRECEDENCE"

/* Reads and checks the files. RC_INVALID: one of them is missing or wrong, or the HTTP library
 * cannot speak TLS. All errors have the id ingest.tls. */
enum rc tls_new(struct tls **tls, const char *certificate_file, const char *key_file,
	struct err *e) MUST_CHECK;

/* Stops what is left of older servers and wipes the key. NULL is fine. */
void tls_free(struct tls *tls);

/* What the current server shows. Borrowed until tls_replace. */
const struct certificate *tls_certificate(const struct tls *tls);

/* Reads the files again. *changed: they differ, and a server with the new ones has taken over;
 * else, and on an error, all is as before. RC_AGAIN: so many older servers still have connections
 * that one more is not started. */
enum rc tls_replace(struct ingest *in, bool *changed, struct err *e) MUST_CHECK;

/* Stops older servers that have no more connections; warns of a certificate that ends soon. */
void tls_tick(struct ingest *in);

/* Name and end of the current certificate, for metrics and people. Any thread. */
struct tls_facts {
	char name[CERTIFICATE_NAME_BYTES];
	int64_t not_before_s, not_after_s;
	uint64_t replaced, failed; /* times new files were taken up, and times they could not be */
};
struct tls_facts tls_look(struct tls *tls);

#endif
