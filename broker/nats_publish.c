/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/nats.h"
#include "event/jpath.h"

/* Many messages are under way at once, and still each is stored once, at its place: its id
 * (Nats-Msg-Id) is recognised when it comes again, and it says what the message before it is, by
 * sequence and by id (Nats-Expected-Last-Sequence, -Msg-Id), so what comes behind a message that got
 * lost is refused. The sequence alone would not do: a message of somebody else's may have taken the
 * lost one's (docs/adr/0025-brokers.md).
 *
 * Answers come to an inbox of our own, under the place of the message. */

/* A stream takes no more of headers (nats-server, "header size exceeds maximum"). */
#define HEADER_BYTES_MAX 65535
/* At most, of Nats-Msg-Id and the like. */
#define OWN_HEADER_BYTES ((size_t)512)
#define SPENT_MAX 64
#define SPENT_BYTES_MAX ((size_t)1024 * 1024)

struct nats_publisher {
	struct broker_publisher base;
	struct nats_link link;
	natsSubscription *answers;
	char inbox[128];
	bool shared;       /* others publish to the stream, too */
	uint64_t stored;   /* what the broker is known to hold of this run */
	uint64_t expected; /* sequence in the stream of the message before the next one */
	char before[80];   /* its id; "": it was not published here */
	size_t body_max;
	struct jpath_set *paths;
	size_t slot_seq, slot_error, slot_code;
	struct arena *scratch;
	/* Published and not freed: the library frees in another thread, and waking that once for many
	 * costs less. */
	natsMsg *spent[SPENT_MAX];
	size_t spent_count, spent_bytes;
	struct broker_flight flight;
};

static void
free_spent(struct nats_publisher *p)
{
	for (size_t i = 0; i < p->spent_count; i++)
		natsMsg_Destroy(p->spent[i]);
	p->spent_count = p->spent_bytes = 0;
}

void
nats_publisher_close(struct broker_publisher *base)
{
	struct nats_publisher *p = (struct nats_publisher *)base;
	free_spent(p);
	natsSubscription_Destroy(p->answers);
	nats_link_close(&p->link);
	jpath_set_free(p->paths);
	arena_free(p->scratch);
	free(p);
}

/* Takes from the last message of the stream how far this run came. */
static enum rc
read_last(struct nats_publisher *p, const char *run, struct err *e)
{
	natsMsg *msg = NULL;
	jsErrCode code = 0;
	const char *its_run = NULL, *number = NULL;
	natsStatus s = js_GetMsg(&msg, p->link.js, p->link.stream, p->expected, NULL, &code);
	/* It may have been deleted; then nothing is known. */
	if (s == NATS_NOT_FOUND || code == JSNoMessageFoundErr)
		return RC_OK;
	if (s != NATS_OK)
		return nats_fail(&p->link, "read the last message", s, code, e);
	if (natsMsgHeader_Get(msg, BROKER_RUN_HEADER, &its_run) == NATS_OK &&
		natsMsgHeader_Get(msg, BROKER_NUMBER_HEADER, &number) == NATS_OK &&
		strcmp(its_run, run) == 0)
		p->stored = strtoull(number, NULL, 10);
	natsMsg_Destroy(msg);
	return RC_OK;
}

static enum rc
read_stream(struct nats_publisher *p, const char *run, struct err *e)
{
	jsStreamInfo *info = NULL;
	jsErrCode code = 0;
	natsStatus s = js_GetStreamInfo(&info, p->link.js, p->link.stream, NULL, &code);
	/* The library tells a stream that is not there by the status alone. */
	if (s == NATS_NOT_FOUND)
		code = JSStreamNotFoundErr;
	if (s != NATS_OK)
		return nats_fail(&p->link, "ask for the stream", s, code, e);
	p->expected = info->State.LastSeq;
	p->body_max = (size_t)natsConnection_GetMaxPayload(p->link.conn);
	if (info->Config->MaxMsgSize > 0 && (size_t)info->Config->MaxMsgSize < p->body_max)
		p->body_max = (size_t)info->Config->MaxMsgSize;
	jsStreamInfo_Destroy(info);
	return run[0] != '\0' && !p->shared && p->expected > 0 ? read_last(p, run, e) : RC_OK;
}

static enum rc
subscribe(struct nats_publisher *p, struct err *e)
{
	natsInbox *inbox = NULL;
	char subject[160];
	natsStatus s = natsInbox_Create(&inbox);
	if (s == NATS_OK) {
		snprintf(p->inbox, sizeof(p->inbox), "%s", inbox);
		snprintf(subject, sizeof(subject), "%s.*", inbox);
		s = natsConnection_SubscribeSync(&p->answers, p->link.conn, subject);
	}
	if (s == NATS_OK)
		s = natsSubscription_SetPendingLimits(p->answers, -1, -1);
	natsInbox_Destroy(inbox);
	return s == NATS_OK ? RC_OK : nats_fail(&p->link, "subscribe to the answers", s, 0, e);
}

enum rc
nats_publisher_open(struct broker_publisher **out, const char *spec, const char *run, struct err *e)
{
	struct nats_publisher *p = base_zalloc(sizeof(*p));
	p->base.kind = &broker_nats;
	p->scratch = arena_new(4096);
	p->paths = jpath_set_new();
	enum rc rc = jpath_add(p->paths, "seq", &p->slot_seq, e);
	if (rc == RC_OK)
		rc = jpath_add(p->paths, "error.description", &p->slot_error, e);
	if (rc == RC_OK)
		rc = jpath_add(p->paths, "error.err_code", &p->slot_code, e);
	if (rc == RC_OK)
		rc = nats_link_open(&p->link, spec, e);
	if (rc == RC_OK) {
		const char *shared = broker_param(spec, "shared", p->link.arena);
		p->shared = shared != NULL && strcmp(shared, "yes") == 0;
		rc = read_stream(p, run, e);
	}
	if (rc == RC_OK)
		rc = subscribe(p, e);
	if (rc != RC_OK)
		nats_publisher_close(&p->base);
	else
		*out = &p->base;
	return rc;
}

/* What one answer says. */
static enum rc
judge(struct nats_publisher *p, natsMsg *msg, struct err *e)
{
	struct bytes json = { (const unsigned char *)natsMsg_GetData(msg),
		(size_t)natsMsg_GetDataLength(msg) };
	struct jpath_doc *doc;
	int64_t code = 0;
	const char *place = strrchr(natsMsg_GetSubject(msg), '.');
	if (natsMsg_IsNoResponders(msg))
		return err_set(e, RC_AGAIN, "broker.unreachable",
			"no stream takes the subject now; is it one of stream %s, and has the "
			"stream a leader?",
			p->link.stream);
	arena_reset(p->scratch);
	if (place == NULL || jpath_walk(p->paths, json, p->scratch, &doc, NULL) != RC_OK)
		return err_set(e, RC_AGAIN, "broker.unreachable", "NATS at %s answers nonsense",
			p->link.servers);
	struct jpath_value error = jpath_get(doc, p->slot_error, 0);
	(void)jpath_int64(jpath_get(doc, p->slot_code, 0), &code);
	if (error.type == JPATH_STRING) {
		struct bytes text = jpath_text(error, p->scratch, NULL);
		bool conflict = code == JSStreamWrongLastSequenceErr ||
				code == JSStreamWrongLastMsgIDErr;
		return err_set(e, RC_AGAIN, conflict ? "broker.conflict" : "broker.unreachable",
			"stream %s does not take the message: %.*s", p->link.stream, (int)text.len,
			(const char *)text.data);
	}
	if (jpath_get(doc, p->slot_seq, 0).type != JPATH_NUMBER)
		return err_set(e, RC_AGAIN, "broker.unreachable", "NATS at %s answers nonsense",
			p->link.servers);
	broker_flight_store(&p->flight, strtoull(place + 1, NULL, 10));
	return RC_OK;
}

/* Reads one answer, waiting for it when wait; without it also none. *got: whether there was one. */
static enum rc
read_answer(struct nats_publisher *p, bool wait, bool *got, struct err *e)
{
	natsMsg *msg = NULL;
	natsStatus s = natsSubscription_NextMsg(&msg, p->answers, wait ? NATS_ANSWER_MS : 0);
	*got = s == NATS_OK;
	if (s == NATS_TIMEOUT && !wait)
		return RC_OK;
	if (s != NATS_OK)
		return nats_fail(&p->link, "wait until a message is stored", s, 0, e);
	enum rc rc = judge(p, msg, e);
	natsMsg_Destroy(msg);
	return rc;
}

/* Waits until a message of so many bytes may go out. */
static enum rc
make_room(struct nats_publisher *p, size_t bytes, struct err *e)
{
	enum rc rc = RC_OK;
	bool got;
	while (rc == RC_OK && (broker_flight_full(&p->flight, bytes) ||
				      (p->shared && p->flight.sent > p->flight.stored)))
		rc = read_answer(p, true, &got, e);
	return rc;
}

static natsStatus
make_message(struct nats_publisher *p, const struct broker_message *m, uint64_t place, natsMsg **msg)
{
	char reply[160], number[24];
	snprintf(reply, sizeof(reply), "%s.%" PRIu64, p->inbox, place);
	natsStatus s = natsMsg_Create(
		msg, m->subject, reply, (const char *)m->body.data, (int)m->body.len);
	for (size_t i = 0; s == NATS_OK && i < m->header_count; i++)
		s = natsMsgHeader_Add(*msg, m->headers[i].name, m->headers[i].value);
	if (s == NATS_OK)
		s = natsMsgHeader_Set(*msg, "Nats-Msg-Id", m->id);
	if (s == NATS_OK)
		s = natsMsgHeader_Set(*msg, "Nats-Expected-Stream", p->link.stream);
	if (s == NATS_OK && !p->shared) {
		snprintf(number, sizeof(number), "%" PRIu64, p->expected);
		s = natsMsgHeader_Set(*msg, "Nats-Expected-Last-Sequence", number);
	}
	if (s == NATS_OK && !p->shared && p->before[0] != '\0')
		s = natsMsgHeader_Set(*msg, "Nats-Expected-Last-Msg-Id", p->before);
	return s;
}

enum rc
nats_publish(struct broker_publisher *base, const struct broker_message *m, struct err *e)
{
	struct nats_publisher *p = (struct nats_publisher *)base;
	size_t header_bytes = OWN_HEADER_BYTES;
	for (size_t i = 0; i < m->header_count; i++)
		header_bytes += strlen(m->headers[i].name) + strlen(m->headers[i].value) + 4;
	size_t bytes = m->body.len + header_bytes;
	if (header_bytes > HEADER_BYTES_MAX)
		return err_set(e, RC_INVALID, NULL, "NATS takes headers of %d bytes at most",
			HEADER_BYTES_MAX);
	if (bytes > p->body_max)
		return err_set(e, RC_INVALID, NULL, "NATS takes messages of %zu bytes at most",
			p->body_max);
	enum rc rc = make_room(p, bytes, e);
	if (rc != RC_OK)
		return rc;
	uint64_t place = broker_flight_add(&p->flight, bytes);
	if (m->number <= p->stored) {
		broker_flight_store(&p->flight, place);
		return RC_OK;
	}
	natsMsg *msg = NULL;
	natsStatus s = make_message(p, m, place, &msg);
	if (s == NATS_OK)
		s = natsConnection_PublishMsg(p->link.conn, msg);
	p->spent[p->spent_count++] = msg;
	p->spent_bytes += bytes;
	if (p->spent_count == SPENT_MAX || p->spent_bytes > SPENT_BYTES_MAX)
		free_spent(p);
	p->expected++;
	snprintf(p->before, sizeof(p->before), "%s", m->id);
	return s == NATS_OK ? RC_OK : nats_fail(&p->link, "publish", s, 0, e);
}

enum rc
nats_confirm(struct broker_publisher *base, bool all, size_t *count, struct err *e)
{
	struct nats_publisher *p = (struct nats_publisher *)base;
	enum rc rc = RC_OK;
	bool got = true;
	while (rc == RC_OK && got && p->flight.sent > p->flight.stored)
		rc = read_answer(p, all, &got, e);
	*count = broker_flight_count(&p->flight);
	return rc;
}
