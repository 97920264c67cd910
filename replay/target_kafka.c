/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/entity.h"
#include "replay/message.h"

/* A topic of Kafka: the original body and headers. The key is the entity, so that events about one
 * repository share a partition, which keeps their order. */

struct kafka {
	struct message *message;
	struct replay_entities *entities;
};

static bool
kafka_accepts(const char *spec)
{
	return broker_is(spec, "kafka");
}

static enum rc
kafka_close(void *state, bool complete UNUSED, struct err *e UNUSED)
{
	struct kafka *t = state;
	message_close(t->message);
	replay_entities_free(t->entities);
	free(t);
	return RC_OK;
}

static enum rc
kafka_open(void **state, const struct replay_target_options *options, struct err *e)
{
	struct kafka *t = base_zalloc(sizeof(*t));
	t->entities = replay_entities_new();
	enum rc rc = message_open(&t->message, options, e);
	if (rc != RC_OK)
		(void)kafka_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

static bool
kafka_keeps(const void *state UNUSED)
{
	return true;
}

static enum rc
kafka_publish_event(void *state, const struct event *ev, struct err *e)
{
	struct kafka *t = state;
	struct arena *a = message_scratch(t->message);
	arena_reset(a);
	uint64_t entity = replay_entity(t->entities, ev, a);
	arena_reset(a);
	const char *key = arena_printf(a, "%016" PRIx64, entity);
	return message_publish(t->message, ev, NULL, bytes_str(key), e);
}

static enum rc
kafka_confirm_events(void *state, bool all, size_t *count, struct err *e)
{
	return message_confirm(((struct kafka *)state)->message, all, count, e);
}

const struct replay_target_kind replay_target_kafka = {
	.name = "kafka",
	.accepts = kafka_accepts,
	.batch_max = 1,
	.open = kafka_open,
	.publish = kafka_publish_event,
	.confirm = kafka_confirm_events,
	.keeps = kafka_keeps,
	.close = kafka_close,
};
