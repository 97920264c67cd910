/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_KAFKA_H
#define BROKER_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "broker/kind.h"

/* What publishing to Kafka and consuming from it share. Only broker/kafka*.c include this. */

/* What the library said last, which it says in another thread. */
struct kafka_trouble {
	char text[256];
};

struct kafka_setting {
	const char *name, *value;
};

/* The library's settings: our defaults, then what the file `config` of the URL says, then what must
 * be. In that file each line is "name = value", as librdkafka's CONFIGURATION.md names them.
 * RC_INVALID: the file, or one of its settings, is no good. */
enum rc kafka_settings(rd_kafka_conf_t **conf, const char *spec, const struct kafka_setting *usual,
	size_t usual_count, const struct kafka_setting *must, size_t must_count,
	struct arena *a, struct err *e) MUST_CHECK;

/* Fills *e after the library said code. trouble: of errors it only told in passing; may be "". */
enum rc kafka_fail(const char *what, const char *servers, rd_kafka_resp_err_t code,
	const char *trouble, struct err *e);

enum rc kafka_publisher_open(
	struct broker_publisher **out, const char *spec, const char *run, struct err *e);
enum rc kafka_publish(struct broker_publisher *base, const struct broker_message *m, struct err *e);
enum rc kafka_confirm(struct broker_publisher *base, bool all, size_t *count, struct err *e);
void kafka_publisher_close(struct broker_publisher *base);

enum rc kafka_consumer_open(struct broker_consumer **out, const char *spec, struct err *e);
enum rc kafka_take(struct broker_consumer *base, size_t max, int64_t wait_ms, struct arena *a,
	const struct broker_received **messages, size_t *count, struct err *e);
enum rc kafka_done(struct broker_consumer *base, struct err *e);
void kafka_consumer_close(struct broker_consumer *base);

#endif
