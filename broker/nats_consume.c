/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/nats.h"

/* A durable pull consumer. A message is acknowledged by itself; the last acknowledgement of a batch
 * waits for the server's word, and the connection carries them in order. */

#define DURABLE_DEFAULT "hooklog"
/* A message that is not acknowledged for so long comes again. */
#define ACK_WAIT_NS INT64_C(60000000000)

struct nats_consumer {
	struct broker_consumer base;
	struct nats_link link;
	natsSubscription *sub;
	natsMsgList taken;
};

static void
forget_taken(struct nats_consumer *c)
{
	natsMsgList_Destroy(&c->taken);
	c->taken = (natsMsgList){ NULL, 0 };
}

void
nats_consumer_close(struct broker_consumer *base)
{
	struct nats_consumer *c = (struct nats_consumer *)base;
	/* Comes again at once, not only after ACK_WAIT_NS. */
	for (int i = 0; i < c->taken.Count; i++)
		(void)natsMsg_Nak(c->taken.Msgs[i], NULL);
	if (c->taken.Count > 0)
		(void)natsConnection_FlushTimeout(c->link.conn, 1000);
	forget_taken(c);
	natsSubscription_Destroy(c->sub);
	nats_link_close(&c->link);
	free(c);
}

static enum rc
ensure_consumer(struct nats_consumer *c, const char *durable, const char *subject, struct err *e)
{
	jsConsumerInfo *info = NULL;
	jsErrCode code = 0;
	natsStatus s = js_GetConsumerInfo(&info, c->link.js, c->link.stream, durable, NULL, &code);
	jsConsumerInfo_Destroy(info);
	if (s != NATS_NOT_FOUND)
		return s == NATS_OK ? RC_OK
				    : nats_fail(&c->link, "ask for the consumer", s, code, e);
	jsConsumerConfig config;
	jsConsumerConfig_Init(&config);
	config.Durable = durable;
	config.AckPolicy = js_AckExplicit;
	config.DeliverPolicy = js_DeliverAll;
	config.AckWait = ACK_WAIT_NS;
	config.FilterSubject = subject;
	code = 0;
	s = js_AddConsumer(NULL, c->link.js, c->link.stream, &config, NULL, &code);
	if (s == NATS_NOT_FOUND)
		code = JSStreamNotFoundErr;
	return s == NATS_OK ? RC_OK : nats_fail(&c->link, "make the consumer", s, code, e);
}

enum rc
nats_consumer_open(struct broker_consumer **out, const char *spec, struct err *e)
{
	struct nats_consumer *c = base_zalloc(sizeof(*c));
	c->base.kind = &broker_nats;
	enum rc rc = nats_link_open(&c->link, spec, e);
	if (rc == RC_OK) {
		const char *durable = broker_param(spec, "durable", c->link.arena);
		const char *subject = broker_param(spec, "subject", c->link.arena);
		durable = durable == NULL ? DURABLE_DEFAULT : durable;
		rc = ensure_consumer(c, durable, subject, e);
		if (rc == RC_OK) {
			jsSubOptions options;
			jsErrCode code = 0;
			jsSubOptions_Init(&options);
			options.Stream = c->link.stream;
			options.Consumer = durable;
			natsStatus s = js_PullSubscribe(
				&c->sub, c->link.js, subject, durable, NULL, &options, &code);
			if (s != NATS_OK)
				rc = nats_fail(&c->link, "use the consumer", s, code, e);
		}
	}
	if (rc != RC_OK)
		nats_consumer_close(&c->base);
	else
		*out = &c->base;
	return rc;
}

static void
read_headers(natsMsg *msg, struct arena *a, struct broker_received *m)
{
	const char **names = NULL;
	int count = 0;
	if (natsMsgHeader_Keys(msg, &names, &count) != NATS_OK)
		return;
	struct broker_header *headers = NULL;
	size_t capacity = 0;
	for (int i = 0; i < count; i++) {
		const char **values = NULL;
		int n = 0;
		if (natsMsgHeader_Values(msg, names[i], &values, &n) != NATS_OK)
			continue;
		for (int k = 0; k < n; k++) {
			if (m->header_count == capacity) {
				capacity = capacity == 0 ? 32 : 2 * capacity;
				struct broker_header *grown = arena_alloc(a, capacity * sizeof(*grown));
				if (m->header_count > 0)
					memcpy(grown, headers, m->header_count * sizeof(*grown));
				headers = grown;
			}
			headers[m->header_count++] = (struct broker_header){
				arena_string(a, bytes_str(names[i])),
				arena_string(a, bytes_str(values[k]))
			};
		}
		free((void *)(uintptr_t)values);
	}
	m->headers = headers;
	free(names);
}

enum rc
nats_take(struct broker_consumer *base, size_t max, int64_t wait_ms, struct arena *a,
	const struct broker_received **messages, size_t *count, struct err *e)
{
	struct nats_consumer *c = (struct nats_consumer *)base;
	jsErrCode code = 0;
	ASSERT(c->taken.Count == 0);
	*count = 0;
	natsStatus s = natsSubscription_Fetch(
		&c->taken, c->sub, (int)max, wait_ms < 1 ? 1 : wait_ms, &code);
	if (s == NATS_TIMEOUT && natsConnection_Status(c->link.conn) == NATS_CONN_STATUS_CONNECTED)
		return RC_OK;
	if (s != NATS_OK)
		return nats_fail(&c->link, "take messages", s, code, e);
	struct broker_received *list = arena_zalloc(a, (size_t)c->taken.Count * sizeof(*list) + 1);
	for (int i = 0; i < c->taken.Count; i++) {
		natsMsg *msg = c->taken.Msgs[i];
		jsMsgMetaData *meta = NULL;
		s = natsMsg_GetMetaData(&meta, msg);
		if (s != NATS_OK)
			return nats_fail(&c->link, "read a message's place", s, 0, e);
		list[i].position = arena_printf(
			a, "%s/%" PRIu64, meta->Stream, (uint64_t)meta->Sequence.Stream);
		jsMsgMetaData_Destroy(meta);
		list[i].channel = arena_string(a, bytes_str(natsMsg_GetSubject(msg)));
		list[i].body = arena_copy(a,
			(struct bytes){ (const unsigned char *)natsMsg_GetData(msg),
				(size_t)natsMsg_GetDataLength(msg) });
		read_headers(msg, a, &list[i]);
	}
	*messages = list;
	*count = (size_t)c->taken.Count;
	return RC_OK;
}

enum rc
nats_done(struct broker_consumer *base, struct err *e)
{
	struct nats_consumer *c = (struct nats_consumer *)base;
	natsStatus s = NATS_OK;
	jsErrCode code = 0;
	for (int i = 0; s == NATS_OK && i + 1 < c->taken.Count; i++)
		s = natsMsg_Ack(c->taken.Msgs[i], NULL);
	if (s == NATS_OK && c->taken.Count > 0)
		s = natsMsg_AckSync(c->taken.Msgs[c->taken.Count - 1], NULL, &code);
	if (s != NATS_OK)
		return nats_fail(&c->link, "acknowledge messages", s, code, e);
	forget_taken(c);
	return RC_OK;
}
