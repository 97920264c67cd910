/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_KIND_H
#define BROKER_KIND_H

#include "broker/broker.h"

/* A kind of broker: one constant and its row in broker/broker.c. Only broker/ includes this. */

struct broker_kind {
	const char *name;    /* scheme of its URLs */
	const char *const *publish_params, *const *consume_params; /* NULL-terminated */
	enum rc (*publisher_open)(
		struct broker_publisher **p, const char *spec, const char *run, struct err *e);
	enum rc (*publish)(
		struct broker_publisher *p, const struct broker_message *m, struct err *e);
	enum rc (*confirm)(struct broker_publisher *p, bool all, size_t *count, struct err *e);
	void (*publisher_close)(struct broker_publisher *p);
	enum rc (*consumer_open)(struct broker_consumer **c, const char *spec, struct err *e);
	enum rc (*take)(struct broker_consumer *c, size_t max, int64_t wait_ms, struct arena *a,
		const struct broker_received **messages, size_t *count, struct err *e);
	enum rc (*done)(struct broker_consumer *c, struct err *e);
	void (*consumer_close)(struct broker_consumer *c);
};

extern const struct broker_kind broker_nats;
extern const struct broker_kind broker_kafka;

/* First member of what a kind makes. */
struct broker_publisher {
	const struct broker_kind *kind;
};
struct broker_consumer {
	const struct broker_kind *kind;
};

/* "HOST:PORT,..." and the path of a URL that passed broker_check, in a. */
const char *broker_servers(const char *spec, struct arena *a);
const char *broker_path(const char *spec, struct arena *a);

/* Messages under way, in order, of which some are stored: a ring of BROKER_IN_FLIGHT_MAX. */
#define BROKER_IN_FLIGHT_MAX 2048
#define BROKER_IN_FLIGHT_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct broker_flight {
	uint64_t sent;   /* messages handed over so far */
	uint64_t stored; /* of these, the first so many are stored */
	uint64_t told;   /* of these, broker_confirm has counted */
	size_t bytes;    /* of those that are not stored */
	struct {
		bool stored;
		size_t bytes;
	} slots[BROKER_IN_FLIGHT_MAX];
};

bool broker_flight_full(const struct broker_flight *f, size_t bytes);
/* Returns the message's place: the value of `sent` before. */
uint64_t broker_flight_add(struct broker_flight *f, size_t bytes);
/* Message `place` is stored; once more is fine. */
void broker_flight_store(struct broker_flight *f, uint64_t place);
size_t broker_flight_count(struct broker_flight *f);

#endif
