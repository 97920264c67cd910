/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "broker/kafka.h"

/* A member of a consumer group that commits offsets itself, after what they stand for is kept. */

#define GROUP_DEFAULT "hooklog"
#define COMMIT_TRIES 3

struct kafka_consumer {
	struct broker_consumer base;
	struct arena *arena;
	rd_kafka_t *client;
	const char *servers, *topic;
	rd_kafka_topic_partition_list_t *next; /* of each partition taken from */
	enum rc rc;
	struct err err;
	struct kafka_trouble trouble;
};

static void
on_error(rd_kafka_t *client, int code, const char *reason, void *context)
{
	struct kafka_consumer *c = context;
	char fatal[200];
	snprintf(c->trouble.text, sizeof(c->trouble.text), "%s", reason);
	bool ends = code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
		    code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
	if (code == RD_KAFKA_RESP_ERR__FATAL)
		code = rd_kafka_fatal_error(client, fatal, sizeof(fatal));
	else if (!ends)
		return;
	if (c->rc == RC_OK)
		c->rc = kafka_fail("take messages", c->servers, (rd_kafka_resp_err_t)code, reason,
			&c->err);
}

void
kafka_consumer_close(struct broker_consumer *base)
{
	struct kafka_consumer *c = (struct kafka_consumer *)base;
	if (c->client != NULL) {
		(void)rd_kafka_consumer_close(c->client);
		rd_kafka_destroy(c->client);
	}
	if (c->next != NULL)
		rd_kafka_topic_partition_list_destroy(c->next);
	arena_free(c->arena);
	free(c);
}

static enum rc
subscribe(struct kafka_consumer *c, struct err *e)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	(void)rd_kafka_topic_partition_list_add(topics, c->topic, RD_KAFKA_PARTITION_UA);
	(void)rd_kafka_poll_set_consumer(c->client);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(c->client, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR
		       ? RC_OK
		       : kafka_fail("subscribe", c->servers, code, c->trouble.text, e);
}

enum rc
kafka_consumer_open(struct broker_consumer **out, const char *spec, struct err *e)
{
	struct kafka_consumer *c = base_zalloc(sizeof(*c));
	char said[256] = "";
	rd_kafka_conf_t *conf = NULL;
	c->base.kind = &broker_kafka;
	c->arena = arena_new(1024);
	c->servers = broker_servers(spec, c->arena);
	c->topic = broker_path(spec, c->arena);
	c->next = rd_kafka_topic_partition_list_new(8);
	const char *group = broker_param(spec, "group", c->arena);
	const struct kafka_setting usual[] = {
		{ "client.id", "hooklog" },
		{ "auto.offset.reset", "earliest" },
		{ "group.id", GROUP_DEFAULT },
		{ "check.crcs", "true" },
		{ "log_level", "0" },
	};
	const struct kafka_setting must[] = { { "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" }, { "group.id", group } };
	enum rc rc = kafka_settings(&conf, spec, usual, COUNT_OF(usual), must,
		group == NULL ? COUNT_OF(must) - 1 : COUNT_OF(must), c->arena, e);
	if (rc == RC_OK) {
		rd_kafka_conf_set_opaque(conf, c);
		rd_kafka_conf_set_error_cb(conf, on_error);
		c->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, said, sizeof(said));
		if (c->client == NULL) {
			rd_kafka_conf_destroy(conf);
			rc = err_set(e, RC_INVALID, "config.invalid", "Kafka: %s", said);
		}
	}
	if (rc == RC_OK)
		rc = subscribe(c, e);
	if (rc != RC_OK)
		kafka_consumer_close(&c->base);
	else
		*out = &c->base;
	return rc;
}

static void
copy_message(rd_kafka_message_t *m, struct arena *a, struct broker_received *out)
{
	const char *topic = rd_kafka_topic_name(m->rkt);
	rd_kafka_headers_t *headers = NULL;
	out->position = arena_printf(a, "%s/%" PRId32 "/%" PRId64, topic, m->partition, m->offset);
	out->channel = arena_string(a, bytes_str(topic));
	out->body = arena_copy(a, (struct bytes){ m->payload, m->len });
	if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	size_t count = rd_kafka_header_cnt(headers);
	struct broker_header *list = arena_alloc(a, (count + 1) * sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		const char *name;
		const void *value;
		size_t size;
		if (rd_kafka_header_get_all(headers, i, &name, &value, &size) !=
			RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		list[out->header_count++] =
			(struct broker_header){ arena_string(a, bytes_str(name)),
				arena_string(a, (struct bytes){ value, size }) };
	}
	out->headers = list;
}

static void
note_offset(struct kafka_consumer *c, const rd_kafka_message_t *m)
{
	const char *topic = rd_kafka_topic_name(m->rkt);
	rd_kafka_topic_partition_t *p =
		rd_kafka_topic_partition_list_find(c->next, topic, m->partition);
	if (p == NULL)
		p = rd_kafka_topic_partition_list_add(c->next, topic, m->partition);
	p->offset = m->offset + 1;
}

/* What a message that is none says. */
static enum rc
judge(struct kafka_consumer *c, const rd_kafka_message_t *m, struct err *e)
{
	switch (m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
	case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
		return RC_OK;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		return err_set(e, RC_DENIED, "broker.refused",
			"there is no topic %s at %s; topics are made by whoever runs the broker",
			c->topic, c->servers);
	default:
		return kafka_fail("take messages", c->servers, m->err, rd_kafka_message_errstr(m), e);
	}
}

enum rc
kafka_take(struct broker_consumer *base, size_t max, int64_t wait_ms, struct arena *a,
	const struct broker_received **messages, size_t *count, struct err *e)
{
	struct kafka_consumer *c = (struct kafka_consumer *)base;
	struct broker_received *list = arena_zalloc(a, max * sizeof(*list));
	int64_t end_ms = clock_monotonic_ms() + wait_ms;
	enum rc rc = RC_OK;
	*count = 0;
	*messages = list;
	while (rc == RC_OK && *count < max) {
		int64_t left_ms = end_ms - clock_monotonic_ms();
		left_ms = *count > 0 || left_ms < 0 ? 0 : left_ms;
		rd_kafka_message_t *m = rd_kafka_consumer_poll(c->client, (int)left_ms);
		if (m == NULL)
			break;
		if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
			rc = judge(c, m, e);
		} else {
			copy_message(m, a, &list[(*count)++]);
			note_offset(c, m);
		}
		rd_kafka_message_destroy(m);
	}
	if (rc == RC_OK && *count == 0 && c->rc != RC_OK)
		rc = c->rc, *e = c->err;
	return rc;
}

enum rc
kafka_done(struct broker_consumer *base, struct err *e)
{
	struct kafka_consumer *c = (struct kafka_consumer *)base;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	if (c->next->cnt == 0)
		return RC_OK;
	for (int i = 0; i < COMMIT_TRIES; i++) {
		code = rd_kafka_commit(c->client, c->next, 0);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		clock_sleep_ms(200);
	}
	rd_kafka_topic_partition_list_destroy(c->next);
	c->next = rd_kafka_topic_partition_list_new(8);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR
		       ? RC_OK
		       : kafka_fail("commit offsets", c->servers, code, c->trouble.text, e);
}
