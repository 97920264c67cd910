/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "ingest/compose.h"
#include "ingest/request.h"

/* The second half of a request: its body is here. */

static struct bytes
remote_address(struct request *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return peer_client(&r->in->trusted, info == NULL ? NULL : info->client_addr,
		r->head.headers, r->head.header_count, r->arena);
}

static void
fill_events(struct request *r, const char *key_id)
{
	const struct compose c = { .source = r->source,
		.content = &r->delivery.content,
		.headers = r->head.headers,
		.header_count = r->head.header_count,
		.path = r->facts.path,
		.query = r->facts.query,
		.content_type = r->facts.content_type,
		.remote = remote_address(r),
		.body = { r->body, r->body_bytes },
		.salt = r->in->salt,
		.verified = r->source->allow_unsigned ? EVENT_VERIFIED_NONE : EVENT_VERIFIED_OK,
		.key_id = key_id,
		.relay = &r->delivery.relay };
	compose_events(&c, r->arena, &r->events, &r->event_count);
	if (r->delivery.content.is_batch)
		r->results = arena_zalloc(r->arena, (r->event_count + 1) * sizeof *r->results);
}

enum MHD_Result
request_quarantine(struct request *r, const struct refusal *no)
{
	struct err e = { .rc = RC_OK };
	uint64_t id = 0;
	const struct quarantine_refused refused = { .delivery = &r->delivery,
		.head = &r->head,
		.facts = &r->facts,
		.refusal = no,
		.salt = r->in->salt,
		.remote = remote_address(r),
		.body = { r->body, r->body_bytes } };
	if (r->body_bytes == 0 || !quarantine_wants(r->in->quarantine, r->body_bytes))
		return request_refuse(r, no);
	enum rc rc = quarantine_keep(r->in->quarantine, &refused, &id, &e);
	if (rc == RC_OK)
		atomic_fetch_add(&r->in->metrics.quarantined, 1);
	if (rc == RC_OK)
		LOG_INFO("ingest.quarantined", F_U("id", id), F_S("source", r->source->name),
			F_S("reason", no->id));
	else if (rc != RC_AGAIN && rc != RC_INVALID &&
		 rate_take(&r->in->refusals, "ingest.quarantine"))
		LOG_WARN("ingest.quarantine", F_S("error", e.text));
	return request_refuse(r, no);
}

static void
lend(struct request *r)
{
	struct ingest *in = r->in;
	atomic_fetch_add(&r->references, 1);
	atomic_fetch_add(&in->lent, 1);
	r->deadline_ms = clock_monotonic_ms() + INGEST_COMMIT_MS;
	r->state = REQUEST_WAITING;
	pthread_mutex_lock(&in->lent_lock);
	r->lent_next = in->lent_head;
	if (in->lent_head != NULL)
		in->lent_head->lent_previous = r;
	in->lent_head = r;
	pthread_mutex_unlock(&in->lent_lock);
}

static void
take_back(struct request *r)
{
	struct ingest *in = r->in;
	pthread_mutex_lock(&in->lent_lock);
	if (r->lent_previous != NULL)
		r->lent_previous->lent_next = r->lent_next;
	else
		in->lent_head = r->lent_next;
	if (r->lent_next != NULL)
		r->lent_next->lent_previous = r->lent_previous;
	pthread_mutex_unlock(&in->lent_lock);
	request_release(r);
	atomic_fetch_sub(&in->lent, 1);
}

/* Ends the wait, if it has not ended yet, and wakes whoever answers. The first of commit and
 * deadline wins; a connection must be resumed exactly once. */
static void
settle(struct request *r, enum request_state state, const struct store_result *result)
{
	pthread_mutex_lock(&r->lock);
	if (r->state == REQUEST_WAITING) {
		r->state = state;
		if (result != NULL)
			r->result = *result;
		if (r->in->pool)
			MHD_resume_connection(r->connection);
		else
			pthread_cond_signal(&r->answered);
	}
	pthread_mutex_unlock(&r->lock);
}

/* In the store's writer thread. */
static void
on_stored(const struct store_result *result, void *context)
{
	struct request *r = context;
	settle(r, REQUEST_STORED, result);
	take_back(r);
}

/* The same for one event of a batch; the last one wakes. */
static void
on_part_stored(size_t index, const struct store_result *result, void *context)
{
	struct request *r = context;
	r->results[index] = *result;
	if (index + 1 == r->event_count)
		on_stored(result, context);
}

void
request_expire(struct ingest *in, bool all)
{
	struct request *late[64];
	size_t count;
	do {
		count = 0;
		int64_t now_ms = clock_monotonic_ms();
		pthread_mutex_lock(&in->lent_lock);
		for (struct request *r = in->lent_head; r != NULL && count < COUNT_OF(late);
			r = r->lent_next) {
			if (!all && now_ms < r->deadline_ms)
				continue;
			pthread_mutex_lock(&r->lock);
			bool waiting = r->state == REQUEST_WAITING;
			pthread_mutex_unlock(&r->lock);
			if (!waiting)
				continue;
			atomic_fetch_add(&r->references, 1);
			late[count++] = r;
		}
		pthread_mutex_unlock(&in->lent_lock);
		for (size_t i = 0; i < count; i++) {
			settle(late[i], REQUEST_EXPIRED, NULL);
			request_release(late[i]);
		}
	} while (count == COUNT_OF(late));
}

static void
wait_for_commit(struct request *r)
{
	struct timespec until = {
		.tv_sec = (time_t)(r->deadline_ms / 1000),
		.tv_nsec = (long)(r->deadline_ms % 1000 * 1000000),
	};
	pthread_mutex_lock(&r->lock);
	int waited = 0;
	while (r->state == REQUEST_WAITING && waited == 0)
		waited = pthread_cond_timedwait(&r->answered, &r->lock, &until);
	if (r->state == REQUEST_WAITING)
		r->state = REQUEST_EXPIRED;
	pthread_mutex_unlock(&r->lock);
}

static enum MHD_Result
refuse_store(struct request *r, enum rc rc, const struct err *e)
{
	const char *id = e->id == NULL ? "ingest.busy" : e->id;
	if (rate_take(&r->in->refusals, "ingest.refused"))
		LOG_WARN(id, F_S("source", r->source->name), F_S("rc", rc_name(rc)),
			F_S("error", e->text));
	if (rc == RC_INVALID)
		return request_refuse(
			r, &(struct refusal){ 413, "ingest.too-large",
				   "the delivery is larger than what is taken", NULL });
	/* All else is our own trouble, and the sender must count the delivery as failed. */
	return request_refuse(r,
		&(struct refusal){ 503, id,
			rc == RC_FULL ? "the log has no room now" : "the log takes no events now",
			NULL });
}

/* {"events":[{"seq":1,"duplicate":false},...]}, in the order they came in. */
static enum MHD_Result
answer_batch(struct request *r)
{
	struct buf body = buf_new((r->event_count + 1) * 64);
	buf_put_str(&body, "{\"events\":[");
	for (size_t i = 0; i < r->event_count; i++)
		buf_printf(&body, "%s{\"seq\":%" PRIu64 ",\"duplicate\":%s}", i == 0 ? "" : ",",
			r->results[i].seq, r->results[i].duplicate ? "true" : "false");
	buf_put_str(&body, "]}\n");
	enum MHD_Result queued = request_answer(r, 202, buf_cstr(&body), NULL, NULL);
	buf_free(&body);
	return queued;
}

/* What was sent is not in it but for its names, which log_line escapes. */
static void
log_stored(const struct request *r)
{
	const struct provider_claims *claims = &r->delivery.content.claims;
	LOG_DEBUG("ingest.stored", F_S("source", r->source->name), F_U("seq", r->result.seq),
		F_U("duplicate", r->result.duplicate), F_U("events", r->event_count),
		F_B("event", claims->event), F_B("delivery", claims->delivery),
		F_U("bytes", r->body_bytes), F_I("us", clock_monotonic_us() - r->start_us));
}

enum MHD_Result
request_conclude(struct request *r)
{
	pthread_mutex_lock(&r->lock);
	enum request_state state = r->state;
	pthread_mutex_unlock(&r->lock);
	if (state != REQUEST_STORED)
		return request_refuse(r, &(struct refusal){ 503, "ingest.busy",
						 "the log did not answer in time", NULL });
	const struct store_result *result = &r->result;
	const struct provider_content *content = &r->delivery.content;
	if (result->rc != RC_OK)
		return refuse_store(r, result->rc, &result->err);
	log_stored(r);
	if (content->is_batch)
		return answer_batch(r);
	char body[96], seq[24];
	snprintf(seq, sizeof seq, "%" PRIu64, result->seq);
	snprintf(body, sizeof body, "{\"seq\":%s,\"duplicate\":%s}\n", seq,
		result->duplicate ? "true" : "false");
	const struct request_header header = { "X-Hooklog-Seq", seq };
	if (content->reply.data != NULL)
		return request_reply(r, 200, content->reply, content->reply_type, &header, 1);
	return request_answer(r, 202, body, header.name, header.value);
}

static enum rc
submit(struct request *r, struct err *e)
{
	if (r->delivery.content.is_batch)
		return store_submit_batch(
			r->in->store, r->events, r->event_count, on_part_stored, r, e);
	return store_submit(r->in->store, r->events, on_stored, r, e);
}

enum MHD_Result
request_finish(struct request *r)
{
	const char *key_id = "";
	const struct bytes raw = { r->body, r->body_bytes };
	struct refusal no;
	if (atomic_load(&r->in->stopping))
		return request_refuse(r, &(struct refusal){ 503, "ingest.busy", "stopping", NULL });
	if (r->delivery.unsigned_ping)
		return request_answer(r, 200, "{\"stored\":false}\n", NULL, NULL);
	if (!delivery_verify(&r->delivery, raw, clock_now_us(), &key_id))
		return request_quarantine(
			r, &(struct refusal){ 401, "ingest.signature",
				   "the signature does not match the body", NULL });
	/* Only now: a stranger must not be able to use up a source's rate. */
	if (!source_take_turn(r->source, clock_monotonic_us()))
		return request_refuse(
			r, &(struct refusal){ 503, "ingest.busy",
				   "more deliveries than this source may send", NULL });
	if (!delivery_read_body(&r->delivery, raw, &no))
		return request_quarantine(r, &no);
	fill_events(r, key_id);
	if (r->event_count == 0)
		return answer_batch(r);
	lend(r);
	/* Before the store can call back: what is resumed must have been suspended. */
	if (r->in->pool)
		MHD_suspend_connection(r->connection);
	struct store_result failed = { .rc = RC_OK };
	failed.rc = submit(r, &failed.err);
	if (failed.rc != RC_OK) {
		settle(r, REQUEST_STORED, &failed);
		take_back(r);
	}
	if (r->in->pool)
		return MHD_YES;
	wait_for_commit(r);
	return request_conclude(r);
}
