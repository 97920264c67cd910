/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "ingest/request.h"

/* The second half of a request: its body is here. */

/* Tries every active secret, also after one matched: the time must not tell which. */
static bool
verify(struct request *r, const char **key_id)
{
	const struct source *source = r->source;
	struct bytes body = { r->body, r->body_bytes };
	bool matched = false;
	for (size_t i = 0; i < source->secret_count; i++) {
		bool this_one = source->provider->verify(
			source->secrets[i].value, body, r->claims.signature);
		if (this_one && !matched)
			*key_id = source->secrets[i].key_id;
		matched |= this_one;
	}
	return matched;
}

static struct bytes
remote_address(struct request *r)
{
	char host[INET6_ADDRSTRLEN] = "";
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info == NULL || info->client_addr == NULL)
		return bytes_str("");
	if (info->client_addr->sa_family == AF_INET) {
		struct sockaddr_in in4;
		memcpy(&in4, info->client_addr, sizeof in4);
		inet_ntop(AF_INET, &in4.sin_addr, host, sizeof host);
		return bytes_str(arena_printf(r->arena, "%s:%u", host, ntohs(in4.sin_port)));
	}
	if (info->client_addr->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, info->client_addr, sizeof in6);
		inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
		return bytes_str(arena_printf(r->arena, "[%s]:%u", host, ntohs(in6.sin6_port)));
	}
	return bytes_str("");
}

/* Everything is copied: when the wait for the commit is given up, the HTTP library forgets the
 * request while the store still reads the event. The body's hash is the store's work. */
static void
fill_event(struct request *r, const char *key_id)
{
	struct arena *a = r->arena;
	const struct source *source = r->source;
	struct event_header *headers = arena_alloc(a, (r->head.header_count + 1) * sizeof *headers);
	for (size_t i = 0; i < r->head.header_count; i++) {
		const struct event_header *from = &r->head.headers[i];
		headers[i].name = arena_copy(a, from->name);
		headers[i].value = redact_is_secret(source->provider, from->name)
					   ? redact_value(r->in->salt, from->value, a)
					   : arena_copy(a, from->value);
	}
	bool is_signed = !source->allow_unsigned;
	r->event = (struct event){
		.origin = EVENT_ORIGIN_WEBHOOK,
		.verified = is_signed ? EVENT_VERIFIED_OK : EVENT_VERIFIED_NONE,
		.source = bytes_str(source->name),
		.provider = bytes_str(source->provider->name),
		.event = arena_copy(a, r->claims.event),
		.delivery = arena_copy(a, r->claims.delivery),
		.hook = arena_copy(a, r->claims.hook),
		.scheme = bytes_str(is_signed ? source->provider->scheme : "none"),
		.key_id = bytes_str(key_id),
		.method = bytes_str("POST"),
		.path = arena_copy(a, r->facts.path),
		.query = arena_copy(a, r->facts.query),
		.content_type = arena_copy(a, r->facts.content_type),
		.remote = remote_address(r),
		.headers = headers,
		.header_count = r->head.header_count,
		.body = { r->body, r->body_bytes },
	};
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
	if (result->rc != RC_OK)
		return refuse_store(r, result->rc, &result->err);
	char body[96], seq[24];
	snprintf(seq, sizeof seq, "%" PRIu64, result->seq);
	snprintf(body, sizeof body, "{\"seq\":%s,\"duplicate\":%s}\n", seq,
		result->duplicate ? "true" : "false");
	return request_answer(r, 202, body, "X-Hooklog-Seq", seq);
}

enum MHD_Result
request_finish(struct request *r)
{
	const char *key_id = "";
	if (atomic_load(&r->in->stopping))
		return request_refuse(r, &(struct refusal){ 503, "ingest.busy", "stopping", NULL });
	if (!r->source->allow_unsigned && !verify(r, &key_id))
		return request_refuse(r, &(struct refusal){ 401, "ingest.signature",
						 "the signature does not match the body", NULL });
	fill_event(r, key_id);
	lend(r);
	/* Before the store can call back: what is resumed must have been suspended. */
	if (r->in->pool)
		MHD_suspend_connection(r->connection);
	struct store_result failed = { .rc = RC_OK };
	failed.rc = store_submit(r->in->store, &r->event, on_stored, r, &failed.err);
	if (failed.rc != RC_OK) {
		settle(r, REQUEST_STORED, &failed);
		take_back(r);
	}
	if (r->in->pool)
		return MHD_YES;
	wait_for_commit(r);
	return request_conclude(r);
}
