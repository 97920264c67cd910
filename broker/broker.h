/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/arena.h"
#include "base/err.h"

/* Message brokers: what replay sends to them and consume takes from them, the same for each kind. A
 * broker is named by a URL; which parameters it may have is in docs/brokers.md:
 *
 *	nats://HOST[:PORT][,HOST[:PORT]...]/STREAM[?subject=TEMPLATE&creds=FILE...]
 *	kafka://HOST[:PORT][,...]/TOPIC[?config=FILE...]
 *
 * The ids of errors: broker.unreachable (RC_AGAIN), broker.refused (RC_DENIED), broker.conflict
 * (RC_AGAIN). The only user of nats/nats.h and librdkafka/rdkafka.h. Publishers and consumers: one
 * thread each. */

/* Whether spec is a URL of a broker. */
bool broker_accepts(const char *spec);

/* Whether spec is a URL of the kind "nats" or "kafka". */
bool broker_is(const char *spec, const char *kind);

/* What may stand behind "?" for one use. RC_INVALID: the URL is malformed, has another parameter
 * than those of its kind, a user or a password. */
enum broker_use { BROKER_PUBLISH, BROKER_CONSUME };
enum rc broker_check(const char *spec, enum broker_use use, struct err *e) MUST_CHECK;

/* The value of a parameter, in a; NULL: the URL does not have it. spec passed broker_check. */
const char *broker_param(const char *spec, const char *name, struct arena *a);

struct broker_header {
	const char *name;
	const char *value;
};

/* ---- publishing ---- */

struct broker_message {
	uint64_t number;     /* ascending from message to message of a run */
	const char *id;      /* the same whenever it is sent */
	const char *subject; /* NATS; no wildcards, no spaces */
	struct bytes key;    /* Kafka */
	struct bytes body;
	const struct broker_header *headers;
	size_t header_count;
};

/* Where a broker tells what it holds of a run, the header of this name says which run it is and
 * that of the next which number. */
#define BROKER_RUN_HEADER "Hooklog-Replay"
#define BROKER_NUMBER_HEADER "Hooklog-Seq"

struct broker_publisher;

/* Connects. run: "" or, for a run whose numbers were published in ascending order and are published
 * again from an earlier one on, its name: what the broker is known to hold is only counted then.
 * Copies all. RC_INVALID, RC_AGAIN, RC_DENIED. */
enum rc broker_publisher_open(
	struct broker_publisher **p, const char *spec, const char *run, struct err *e) MUST_CHECK;

/* Hands a message over, copying it. Waits only while as many are under way as may be.
 * RC_INVALID: it is larger than the broker takes, and was not handed over. RC_AGAIN: the connection
 * is broken, or the broker does not answer; RC_DENIED: the broker does not take messages of ours.
 * After these the publisher can only be closed; nobody knows of the messages under way. */
enum rc broker_publish(
	struct broker_publisher *p, const struct broker_message *m, struct err *e) MUST_CHECK;

/* *count: how many further messages, in the order of broker_publish, are stored. all: waits for
 * every one. Errors as broker_publish, but for RC_INVALID; *count is valid all the same. */
enum rc broker_confirm(
	struct broker_publisher *p, bool all, size_t *count, struct err *e) MUST_CHECK;

/* Forgets what is under way. NULL is fine. */
void broker_publisher_close(struct broker_publisher *p);

/* ---- consuming ---- */

struct broker_received {
	const char *position; /* the same for each delivery of the message: "STREAM/17", "topic/0/17" */
	const char *channel;  /* subject or topic */
	struct bytes body;
	const struct broker_header *headers;
	size_t header_count;
};

struct broker_consumer;

/* Connects as the durable consumer, or the consumer group, the URL names. RC_INVALID, RC_AGAIN,
 * RC_DENIED. */
enum rc broker_consumer_open(
	struct broker_consumer **c, const char *spec, struct err *e) MUST_CHECK;

/* Takes up to max messages, waiting up to wait_ms for the first; *count 0: there was none. They are
 * in a, and under way until broker_done; ask for no others before. RC_AGAIN, RC_DENIED. */
enum rc broker_take(struct broker_consumer *c, size_t max, int64_t wait_ms, struct arena *a,
	const struct broker_received **messages, size_t *count, struct err *e) MUST_CHECK;

/* Tells the broker that what was taken need not come again. RC_AGAIN: it does not know; it comes
 * again. */
enum rc broker_done(struct broker_consumer *c, struct err *e) MUST_CHECK;

/* What is under way comes again, to whoever asks next. NULL is fine. */
void broker_consumer_close(struct broker_consumer *c);

#endif
