/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_NATS_H
#define BROKER_NATS_H

#include <nats/nats.h>

#include "broker/kind.h"

/* What publishing to NATS and consuming from it share. Only broker/nats*.c include this. */

struct nats_link {
	struct arena *arena; /* for as long as the link */
	natsConnection *conn;
	jsCtx *js;
	const char *servers, *stream;
};

/* How long one question may take. */
#define NATS_ANSWER_MS 5000

#define NATS_LINK_PARAMS                                                                           \
	"creds", "token", "user", "password", "nkey", "seed", "ca", "cert", "key", "tls"
extern const char *const nats_publish_params[];
extern const char *const nats_consume_params[];

/* Connects once: a connection that breaks stays so, since what was under way must be looked at. */
enum rc nats_link_open(struct nats_link *l, const char *spec, struct err *e) MUST_CHECK;
void nats_link_close(struct nats_link *l);

/* Fills *e after the library said status. code: JetStream's, or 0. */
enum rc nats_fail(const struct nats_link *l, const char *what, natsStatus status, jsErrCode code,
	struct err *e);

enum rc nats_publisher_open(
	struct broker_publisher **out, const char *spec, const char *run, struct err *e);
enum rc nats_publish(struct broker_publisher *base, const struct broker_message *m, struct err *e);
enum rc nats_confirm(struct broker_publisher *base, bool all, size_t *count, struct err *e);
void nats_publisher_close(struct broker_publisher *base);

enum rc nats_consumer_open(struct broker_consumer **out, const char *spec, struct err *e);
enum rc nats_take(struct broker_consumer *base, size_t max, int64_t wait_ms, struct arena *a,
	const struct broker_received **messages, size_t *count, struct err *e);
enum rc nats_done(struct broker_consumer *base, struct err *e);
void nats_consumer_close(struct broker_consumer *base);

#endif
