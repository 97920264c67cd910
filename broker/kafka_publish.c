/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "broker/kafka.h"

/* The library's idempotent producer: within one connection each message is stored once and in order
 * for each partition, whatever it has to repeat. Delivery reports come in the thread that polls,
 * which is ours. */

/* After so long without an answer a message counts as lost; the library retries until then. */
#define MESSAGE_TIMEOUT_MS "15000"
#define POLL_MS 100
/* What is longer than all timeouts above says that the library is stuck. */
#define ANSWER_MS 30000

struct kafka_publisher {
	struct broker_publisher base;
	struct arena *arena;
	rd_kafka_t *client;
	const char *servers, *topic;
	struct broker_flight flight;
	enum rc rc; /* of the first message that was not stored */
	struct err err;
	struct kafka_trouble trouble;
};

static void
on_delivered(rd_kafka_t *client UNUSED, const rd_kafka_message_t *m, void *context)
{
	struct kafka_publisher *p = context;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		broker_flight_store(&p->flight, (uint64_t)(uintptr_t)m->_private);
	else if (p->rc == RC_OK)
		p->rc = kafka_fail("publish", p->servers, m->err, p->trouble.text, &p->err);
}

static void
on_error(rd_kafka_t *client, int code, const char *reason, void *context)
{
	struct kafka_publisher *p = context;
	char fatal[200];
	snprintf(p->trouble.text, sizeof(p->trouble.text), "%s", reason);
	bool refused = code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
		       code == RD_KAFKA_RESP_ERR__SSL;
	if (code == RD_KAFKA_RESP_ERR__FATAL)
		code = rd_kafka_fatal_error(client, fatal, sizeof(fatal));
	else if (!refused)
		return;
	if (p->rc == RC_OK)
		p->rc = kafka_fail("publish", p->servers, (rd_kafka_resp_err_t)code, reason, &p->err);
}

void
kafka_publisher_close(struct broker_publisher *base)
{
	struct kafka_publisher *p = (struct kafka_publisher *)base;
	if (p->client != NULL) {
		(void)rd_kafka_purge(p->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		(void)rd_kafka_flush(p->client, 1000);
		rd_kafka_destroy(p->client);
	}
	arena_free(p->arena);
	free(p);
}

/* Whether broker and topic are there, before anything counts as under way. */
static enum rc
look_for_topic(struct kafka_publisher *p, struct err *e)
{
	const struct rd_kafka_metadata *meta = NULL;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(p->client, p->topic, NULL);
	if (topic == NULL)
		return kafka_fail("name the topic", p->servers, rd_kafka_last_error(), "", e);
	rd_kafka_resp_err_t code = rd_kafka_metadata(p->client, 0, topic, &meta, 5000);
	(void)rd_kafka_poll(p->client, 0);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && meta->topic_cnt == 1)
		code = meta->topics[0].err;
	enum rc rc = RC_OK;
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		rc = err_set(e, RC_DENIED, "broker.refused",
			"there is no topic %s at %s; topics are made by whoever runs the broker",
			p->topic, p->servers);
	else if (p->rc != RC_OK) /* why nobody answered */
		rc = p->rc, *e = p->err;
	else if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		rc = kafka_fail("connect", p->servers, code, p->trouble.text, e);
	rd_kafka_metadata_destroy(meta);
	rd_kafka_topic_destroy(topic);
	return rc;
}

enum rc
kafka_publisher_open(struct broker_publisher **out, const char *spec, const char *run UNUSED,
	struct err *e)
{
	static const struct kafka_setting usual[] = {
		{ "client.id", "hooklog" },
		/* What Java's clients do, so that who else writes to the topic puts a key there. */
		{ "partitioner", "murmur2_random" },
		{ "message.timeout.ms", MESSAGE_TIMEOUT_MS },
		{ "linger.ms", "5" },
		{ "log_level", "0" },
	};
	static const struct kafka_setting must[] = { { "enable.idempotence", "true" } };
	rd_kafka_conf_t *conf = NULL;
	struct kafka_publisher *p = base_zalloc(sizeof(*p));
	char said[256] = "";
	p->base.kind = &broker_kafka;
	p->arena = arena_new(1024);
	p->servers = broker_servers(spec, p->arena);
	p->topic = broker_path(spec, p->arena);
	enum rc rc = kafka_settings(
		&conf, spec, usual, COUNT_OF(usual), must, COUNT_OF(must), p->arena, e);
	if (rc == RC_OK) {
		rd_kafka_conf_set_opaque(conf, p);
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
		rd_kafka_conf_set_error_cb(conf, on_error);
		p->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, said, sizeof(said));
		if (p->client == NULL) {
			rd_kafka_conf_destroy(conf);
			rc = err_set(e, RC_INVALID, "config.invalid", "Kafka: %s", said);
		}
	}
	if (rc == RC_OK)
		rc = look_for_topic(p, e);
	if (rc != RC_OK)
		kafka_publisher_close(&p->base);
	else
		*out = &p->base;
	return rc;
}

/* Lets the library report. One step forward at least, or a failure. */
static enum rc
wait_for_report(struct kafka_publisher *p, struct err *e)
{
	uint64_t before = p->flight.stored;
	int64_t end_ms = clock_monotonic_ms() + ANSWER_MS;
	while (p->rc == RC_OK && p->flight.stored == before && clock_monotonic_ms() < end_ms)
		(void)rd_kafka_poll(p->client, POLL_MS);
	if (p->rc != RC_OK)
		*e = p->err;
	else if (p->flight.stored == before)
		return kafka_fail("wait until a message is stored", p->servers,
			RD_KAFKA_RESP_ERR__TIMED_OUT, p->trouble.text, e);
	return p->rc;
}

static rd_kafka_headers_t *
make_headers(const struct broker_message *m)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(m->header_count);
	for (size_t i = 0; i < m->header_count; i++)
		(void)rd_kafka_header_add(
			headers, m->headers[i].name, -1, m->headers[i].value, -1);
	return headers;
}

/* The library's macros fill a variable argument list with types of their own. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
static rd_kafka_resp_err_t
produce(struct kafka_publisher *p, const struct broker_message *m, rd_kafka_headers_t *headers)
{
	return rd_kafka_producev(p->client, RD_KAFKA_V_TOPIC(p->topic),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_KEY(m->key.data, m->key.len),
		RD_KAFKA_V_VALUE((void *)(uintptr_t)m->body.data, m->body.len),
		RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_OPAQUE((void *)(uintptr_t)p->flight.sent), RD_KAFKA_V_END);
}
#pragma GCC diagnostic pop

enum rc
kafka_publish(struct broker_publisher *base, const struct broker_message *m, struct err *e)
{
	struct kafka_publisher *p = (struct kafka_publisher *)base;
	enum rc rc = RC_OK;
	while (rc == RC_OK && broker_flight_full(&p->flight, m->body.len))
		rc = wait_for_report(p, e);
	for (;;) {
		if (rc != RC_OK)
			return rc;
		rd_kafka_headers_t *headers = make_headers(m);
		rd_kafka_resp_err_t code = produce(p, m, headers);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		rd_kafka_headers_destroy(headers);
		if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
			return err_set(e, RC_INVALID, NULL,
				"Kafka takes messages of message.max.bytes at most");
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return kafka_fail("publish", p->servers, code, p->trouble.text, e);
		rc = wait_for_report(p, e);
	}
	(void)broker_flight_add(&p->flight, m->body.len);
	return RC_OK;
}

enum rc
kafka_confirm(struct broker_publisher *base, bool all, size_t *count, struct err *e)
{
	struct kafka_publisher *p = (struct kafka_publisher *)base;
	enum rc rc = RC_OK;
	(void)rd_kafka_poll(p->client, 0);
	while (rc == RC_OK && all && p->flight.stored < p->flight.sent)
		rc = wait_for_report(p, e);
	if (rc == RC_OK && p->rc != RC_OK)
		rc = p->rc, *e = p->err;
	*count = broker_flight_count(&p->flight);
	return rc;
}
