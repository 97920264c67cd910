/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "broker/kafka.h"

/* Takes all partitions of a topic and commits offsets under the name of a group, after what they
 * stand for is kept. Partitions are not shared with other members of the group: one log is one
 * consumer, and a second process would only find what the first has stored. So nothing waits for
 * a group to agree, and no partition is taken away in the middle of a batch. */

#define GROUP_DEFAULT "hooklog"
#define COMMIT_TRIES 3
#define METADATA_MS 5000
/* Until the end of each partition was seen once, nothing coming does not mean that there is
 * nothing; but after so long it does. */
#define FIRST_LOOK_MS 10000
/* How often a topic without news is looked at for new partitions. */
#define PARTITIONS_EVERY_MS 60000

struct kafka_consumer {
	struct broker_consumer base;
	struct arena *arena;
	rd_kafka_t *client;
	const char *servers, *topic;
	rd_kafka_topic_partition_list_t *next; /* of each partition taken from */
	int partitions;
	bool *ended; /* of each: its end was seen */
	int64_t opened_ms, looked_ms;
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
	free(c->ended);
	if (c->next != NULL)
		rd_kafka_topic_partition_list_destroy(c->next);
	arena_free(c->arena);
	free(c);
}

static enum rc
count_partitions(struct kafka_consumer *c, int *count, struct err *e)
{
	const struct rd_kafka_metadata *meta = NULL;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(c->client, c->topic, NULL);
	if (topic == NULL)
		return kafka_fail("name the topic", c->servers, rd_kafka_last_error(), "", e);
	rd_kafka_resp_err_t code = rd_kafka_metadata(c->client, 0, topic, &meta, METADATA_MS);
	(void)rd_kafka_poll(c->client, 0);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && meta->topic_cnt == 1)
		code = meta->topics[0].err;
	enum rc rc = RC_OK;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		*count = meta->topics[0].partition_cnt;
	else if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		 code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		rc = err_set(e, RC_DENIED, "broker.refused",
			"there is no topic %s at %s; topics are made by whoever runs the broker",
			c->topic, c->servers);
	else if (c->rc != RC_OK) /* why nobody answered */
		rc = c->rc, *e = c->err;
	else
		rc = kafka_fail("connect", c->servers, code, c->trouble.text, e);
	rd_kafka_metadata_destroy(meta);
	rd_kafka_topic_destroy(topic);
	return rc;
}

/* Takes all partitions from where the group has committed. Only while nothing is under way. */
static enum rc
assign(struct kafka_consumer *c, struct err *e)
{
	int count = 0;
	enum rc rc = count_partitions(c, &count, e);
	c->looked_ms = clock_monotonic_ms();
	if (rc != RC_OK || count == c->partitions)
		return rc;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
	for (int i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, c->topic, i)->offset =
			RD_KAFKA_OFFSET_STORED;
	rd_kafka_resp_err_t code = rd_kafka_assign(c->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail("take the partitions", c->servers, code, c->trouble.text, e);
	free(c->ended);
	c->ended = base_zalloc((size_t)count * sizeof(*c->ended) + 1);
	c->partitions = count;
	return RC_OK;
}

enum rc
kafka_consumer_open(struct broker_consumer **out, const char *spec, struct err *e)
{
	struct kafka_consumer *c = base_zalloc(sizeof(*c));
	char said[256] = "";
	rd_kafka_conf_t *conf = NULL;
	c->base.kind = &broker_kafka;
	c->opened_ms = clock_monotonic_ms();
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
		{ "enable.auto.offset.store", "false" }, { "enable.partition.eof", "true" },
		{ "group.id", group } };
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
	if (rc == RC_OK) {
		(void)rd_kafka_poll_set_consumer(c->client);
		rc = assign(c, e);
	}
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
		if (m->partition >= 0 && m->partition < c->partitions)
			c->ended[m->partition] = true;
		return RC_OK;
	case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
		return RC_OK;
	default:
		return kafka_fail("take messages", c->servers, m->err, rd_kafka_message_errstr(m), e);
	}
}

/* Whether what there was at the start was seen. */
static bool
looked_at_all(const struct kafka_consumer *c)
{
	bool all = true;
	for (int i = 0; i < c->partitions; i++)
		all = all && c->ended[i];
	return all || clock_monotonic_ms() - c->opened_ms > FIRST_LOOK_MS;
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
	while (rc == RC_OK && c->rc == RC_OK && *count < max) {
		int64_t left_ms = end_ms - clock_monotonic_ms();
		left_ms = *count > 0 || left_ms < 0 ? 0 : left_ms;
		rd_kafka_message_t *m = rd_kafka_consumer_poll(c->client, (int)left_ms);
		if (m == NULL && *count == 0 && !looked_at_all(c))
			end_ms = clock_monotonic_ms() + 200;
		else if (m == NULL)
			break;
		if (m == NULL)
			continue;
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
	if (rc == RC_OK && *count == 0 && clock_monotonic_ms() - c->looked_ms > PARTITIONS_EVERY_MS)
		rc = assign(c, e);
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
