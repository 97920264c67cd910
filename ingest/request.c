/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/request.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#define BODY_BYTES_FIRST REQUEST_BODY_BYTES_KEPT

void *
request_new(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct request *r = request_take(cls);
	r->connection = connection;
	r->start_us = clock_monotonic_us();
	/* The library unescapes its own copy in place. */
	r->head.uri = bytes_str(arena_string(r->arena, bytes_str(uri)));
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	r->conn = info == NULL ? NULL : info->socket_context;
	return r;
}

static void
drop_body(struct request *r)
{
	atomic_fetch_sub(&r->in->in_flight_bytes, r->body_cap);
	if (r->source != NULL)
		source_give_room(r->source, r->body_cap);
	r->body_bytes = 0;
	r->body_cap = 0;
	if (r->body_memory > REQUEST_BODY_BYTES_KEPT) {
		free(r->body);
		r->body = NULL;
		r->body_memory = 0;
	}
}

void
request_release(struct request *r)
{
	if (atomic_fetch_sub(&r->references, 1) > 1)
		return;
	drop_body(r);
	sources_release(r->sources);
	request_give(r);
}

void
request_completed(void *cls, struct MHD_Connection *connection UNUSED, void **context,
	enum MHD_RequestTerminationCode code UNUSED)
{
	struct ingest *in = cls;
	struct request *r = *context;
	if (r == NULL)
		return;
	*context = NULL;
	conns_phase(in->conns, r->conn, CONN_HEAD);
	request_release(r);
}

static void
count_answer(struct request *r, unsigned status)
{
	struct metrics *m = &r->in->metrics;
	bool stored = r->state == REQUEST_STORED && r->result.rc == RC_OK;
	enum outcome outcome = metrics_outcome(status, stored, r->result.duplicate);
	atomic_fetch_add(
		r->source == NULL ? &m->unknown[outcome] : &r->source->state->outcomes[outcome], 1);
	metrics_duration(m, clock_monotonic_us() - r->start_us);
	if (stored && r->source != NULL)
		source_heard(r->source);
}

enum MHD_Result
request_reply(struct request *r, unsigned status, struct bytes body, const char *type,
	const struct request_header *headers, size_t count)
{
	count_answer(r, status);
	struct MHD_Response *response = MHD_create_response_from_buffer(
		body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", type);
	/* What follows chunks cannot be told from their trailers as surely as what follows a
	 * length. */
	if (!r->in->keep_alive || atomic_load(&r->in->draining) ||
		conns_is_last(r->conn) || status >= 400 || r->facts.chunked || !r->facts.http11)
		MHD_add_response_header(response, "Connection", "close");
	if (status == 503)
		MHD_add_response_header(response, "Retry-After", INGEST_RETRY_AFTER_S);
	for (size_t i = 0; i < count; i++)
		MHD_add_response_header(response, headers[i].name, headers[i].value);
	enum MHD_Result queued = MHD_queue_response(r->connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

enum MHD_Result
request_answer(
	struct request *r, unsigned status, const char *body, const char *header, const char *value)
{
	const struct request_header one = { header, value };
	return request_reply(
		r, status, bytes_str(body), "application/json", &one, header == NULL ? 0 : 1);
}

static void
log_refusal(struct request *r, const struct refusal *no)
{
	/* Anyone may ask for paths that do not exist; that is no news. */
	enum log_level level = no->status == 404 || no->status == 405 ? LOG_LEVEL_DEBUG
								      : LOG_LEVEL_WARN;
	if (level == LOG_LEVEL_WARN && !rate_take(&r->in->refusals, "ingest.refused"))
		return;
	const char *source = r->source == NULL ? "" : r->source->name;
	LOG_AT(level, no->id, F_U("status", no->status), F_S("source", source),
		F_B("delivery", r->delivery.claims.delivery), F_S("error", no->error));
}

enum MHD_Result
request_refuse(struct request *r, const struct refusal *no)
{
	log_refusal(r, no);
	struct buf body = buf_new(4096);
	buf_put_str(&body, "{\"error\":");
	buf_put_json(&body, bytes_str(no->error));
	buf_put_str(&body, ",\"id\":");
	buf_put_json(&body, bytes_str(no->id));
	buf_put_str(&body, "}\n");
	enum MHD_Result queued = request_answer(
		r, no->status, buf_cstr(&body), no->allow == NULL ? NULL : "Allow", no->allow);
	buf_free(&body);
	return queued;
}

static enum MHD_Result
add_header(void *context, enum MHD_ValueKind kind UNUSED, const char *name, size_t name_bytes,
	const char *value, size_t value_bytes)
{
	struct request *r = context;
	struct event_header *list = (struct event_header *)(uintptr_t)r->head.headers;
	/* One more than allowed is counted, so that the guard sees it. */
	if (r->head.header_count <= LIMIT_HEADERS) {
		if (r->head.header_count < LIMIT_HEADERS)
			list[r->head.header_count] = (struct event_header){
				{ (const unsigned char *)name, name_bytes },
				{ (const unsigned char *)(value == NULL ? "" : value),
					value == NULL ? 0 : value_bytes },
			};
		r->head.header_count++;
	}
	return MHD_YES;
}

static enum MHD_Result
answer_health(struct request *r, bool ready)
{
	struct err e = { .rc = RC_OK };
	if (!ready)
		return request_answer(r, 200, "{\"live\":true}\n", NULL, NULL);
	if (atomic_load(&r->in->draining))
		return request_refuse(r, &(struct refusal){ 503, "ingest.busy", "stopping", NULL });
	if (store_health(r->in->store, &e) == RC_OK)
		return request_answer(r, 200, "{\"ready\":true}\n", NULL, NULL);
	return request_refuse(r, &(struct refusal){ 503, e.id == NULL ? "ingest.busy" : e.id,
					 "the log takes no events now", NULL });
}

/* Finds out who the request is for. False with *no filled. */
static bool
find_source(struct request *r, struct refusal *no)
{
	struct ingest *in = r->in;
	struct bytes name = guard_source_name(r->facts.path);
	if (name.data != NULL) {
		pthread_mutex_lock(&in->sources_lock);
		r->sources = sources_retain(in->sources);
		pthread_mutex_unlock(&in->sources_lock);
		r->source = sources_find(r->sources, name);
		if (r->source != NULL && r->source->disabled)
			r->source = NULL;
	}
	if (r->source == NULL) {
		*no = (struct refusal){ 404, "ingest.not-found", "there is nothing here", NULL };
		return false;
	}
	bool options = r->source->provider->options_reply != NULL;
	if (!bytes_is(r->head.method, "POST") &&
		(!options || !bytes_is(r->head.method, "OPTIONS"))) {
		*no = (struct refusal){ 405, "ingest.malformed", "webhooks come by POST",
			options ? "POST, OPTIONS" : "POST" };
		return false;
	}
	return true;
}

/* A replay names every log its event went through: storing our own events again would never end. */
static bool
check_loop(struct request *r, struct refusal *no)
{
	for (size_t i = 0; i < r->head.header_count && r->in->log_id[0] != '\0'; i++) {
		const struct event_header *h = &r->head.headers[i];
		if (!bytes_is_nocase(h->name, "X-Hooklog-Log") ||
			!bytes_is_nocase(h->value, r->in->log_id))
			continue;
		*no = (struct refusal){ 409, "replay.loop",
			arena_printf(
				r->arena, "this is a replay of log %s into itself", r->in->log_id),
			NULL };
		return false;
	}
	return true;
}

/* What the provider wants of the head. A delivery that cannot be right is refused before its body.
 */
static bool
check_delivery(struct request *r, struct refusal *no)
{
	return delivery_begin(&r->delivery, r->source, &r->head, &r->facts, r->arena, no) &&
	       delivery_check_time(&r->delivery, clock_now_us() / 1000000, no);
}

/* A sender that asks whether it may send at all. Nothing is stored. */
static enum MHD_Result
answer_options(struct request *r)
{
	struct event head = { .headers = r->head.headers, .header_count = r->head.header_count };
	struct provider_reply reply = { .header_count = 0 };
	struct request_header headers[PROVIDER_REPLY_HEADERS];
	struct err e = { .rc = RC_OK };
	if (r->facts.chunked || r->facts.content_length > 0)
		return request_refuse(r, &(struct refusal){ 400, "ingest.malformed",
						 "OPTIONS comes without a body", NULL });
	if (r->source->provider->options_reply(r->source->setup, &head, r->arena, &reply, &e) !=
		RC_OK)
		return request_refuse(r, &(struct refusal){ 403, "ingest.origin", e.text, NULL });
	for (size_t i = 0; i < reply.header_count; i++)
		headers[i] =
			(struct request_header){ reply.headers[i].name, reply.headers[i].value };
	return request_reply(
		r, 200, bytes_str("{}\n"), "application/json", headers, reply.header_count);
}

/* The most bytes this source may send. */
static size_t
body_max(const struct request *r)
{
	size_t max = guard_body_max(&r->facts);
	uint64_t own = r->source == NULL ? 0 : r->source->body_bytes_max;
	return own > 0 && own < max ? (size_t)own : max;
}

static bool
check_size(struct request *r, struct refusal *no)
{
	if (r->facts.content_length <= body_max(r))
		return true;
	*no = (struct refusal){ 413, "ingest.too-large",
		"the body is larger than this source takes", NULL };
	return false;
}

static bool
check_room(struct request *r, uint64_t more, struct refusal *no)
{
	struct ingest *in = r->in;
	if (atomic_load(&in->in_flight_bytes) + more <= in->in_flight_bytes_max)
		return true;
	*no = (struct refusal){ 503, "ingest.busy", "too many bodies are being received", NULL };
	return false;
}

/* What the head shows to be wrong is answered before the body, unless it is wanted for the
 * quarantine. */
static enum MHD_Result
refuse_delivery(struct request *r, bool body, const struct refusal *no)
{
	r->kept = body && (no->status == 401 || no->status == 400) &&
		  quarantine_wants(r->in->quarantine, r->facts.content_length);
	if (!r->kept) {
		if (body)
			conns_linger(r->in->conns, r->conn);
		return request_refuse(r, no);
	}
	r->refused = true;
	r->refusal = *no;
	return MHD_YES;
}

static enum MHD_Result
begin(struct request *r, const char *method, const char *version)
{
	struct refusal no;
	r->head.method = bytes_str(method);
	r->head.version = bytes_str(version);
	r->head.headers = arena_alloc(r->arena, LIMIT_HEADERS * sizeof *r->head.headers);
	MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, add_header, r);
	conns_phase(r->in->conns, r->conn, CONN_BODY);
	if (!guard_head(&r->head, &r->facts, &no)) {
		/* Whatever follows is not to be believed to be the body of anything. */
		conns_linger(r->in->conns, r->conn);
		return request_refuse(r, &no);
	}
	bool live = bytes_is(r->facts.path, "/livez"), ready = bytes_is(r->facts.path, "/readyz");
	bool body = r->facts.chunked || r->facts.content_length > 0;
	if ((live || ready) && !body) {
		if (bytes_is(r->head.method, "GET") || bytes_is(r->head.method, "HEAD"))
			return answer_health(r, ready);
		return request_refuse(r, &(struct refusal){ 405, "ingest.malformed",
						 "health is asked for by GET", "GET, HEAD" });
	}
	/* One answer now costs less than a body that waits for its turn. */
	if (conns_open(r->in->conns) > r->in->connections_max) {
		if (body)
			conns_linger(r->in->conns, r->conn);
		return request_refuse(r, &(struct refusal){ 503, "ingest.busy",
						 "too many connections are open", NULL });
	}
	bool found = find_source(r, &no);
	if (found && bytes_is(r->head.method, "OPTIONS"))
		return answer_options(r);
	if (!found || !guard_body(&r->head, &r->facts, &no) || !check_size(r, &no) ||
		!check_loop(r, &no) || !check_room(r, r->facts.content_length, &no)) {
		if (body)
			conns_linger(r->in->conns, r->conn);
		return request_refuse(r, &no);
	}
	return check_delivery(r, &no) ? MHD_YES : refuse_delivery(r, body, &no);
}

/* Doubles the body's memory within the budget that all requests share. The announced length only
 * caps it: memory is taken for bytes that came, so that announcing much and sending little costs
 * nothing. */
static bool
grow(struct request *r, size_t need)
{
	struct ingest *in = r->in;
	size_t cap = r->body_cap == 0 ? BODY_BYTES_FIRST : r->body_cap;
	while (cap < need)
		cap *= 2;
	if (!r->facts.chunked && cap > r->facts.content_length)
		cap = (size_t)r->facts.content_length;
	if (cap < need)
		cap = need;
	size_t more = cap - r->body_cap;
	if (atomic_fetch_add(&in->in_flight_bytes, more) + more > in->in_flight_bytes_max) {
		atomic_fetch_sub(&in->in_flight_bytes, more);
		return false;
	}
	if (!source_take_room(r->source, more)) {
		atomic_fetch_sub(&in->in_flight_bytes, more);
		return false;
	}
	if (cap > r->body_memory) {
		r->body = base_realloc(r->body, cap);
		r->body_memory = cap;
	}
	r->body_cap = cap;
	return true;
}

/* The library takes no answer in the middle of a body: a refused rest is read and forgotten, up to
 * the size of one more body. */
static enum MHD_Result
receive(struct request *r, const char *data, size_t len)
{
	size_t max = body_max(r);
	conns_received(r->conn, len);
	atomic_fetch_add(&r->in->metrics.body_bytes, len);
	if (r->kept &&
		(!quarantine_wants(r->in->quarantine, r->body_bytes + len) ||
			r->body_bytes + len > max ||
			(r->body_bytes + len > r->body_cap && !grow(r, r->body_bytes + len))))
		r->kept = false;
	if (!r->refused && r->body_bytes + len > max) {
		r->refused = true;
		r->refusal = (struct refusal){ 413, "ingest.too-large",
			"the body is larger than what is taken", NULL };
	} else if (!r->refused && r->body_bytes + len > r->body_cap &&
		   !grow(r, r->body_bytes + len)) {
		r->refused = true;
		r->refusal = (struct refusal){ 503, "ingest.busy",
			"too many bodies are being received", NULL };
	}
	if (r->refused && !r->kept) {
		drop_body(r);
		r->discarded_bytes += len;
		return r->discarded_bytes > max ? MHD_NO : MHD_YES;
	}
	memcpy(r->body + r->body_bytes, data, len);
	r->body_bytes += len;
	return MHD_YES;
}

enum MHD_Result
request_handle(void *cls UNUSED, struct MHD_Connection *connection UNUSED, const char *url UNUSED,
	const char *method, const char *version, const char *data, size_t *data_bytes,
	void **context)
{
	struct request *r = *context;
	if (!r->begun) {
		r->begun = true;
		return begin(r, method, version);
	}
	if (*data_bytes > 0) {
		size_t len = *data_bytes;
		*data_bytes = 0;
		return receive(r, data, len);
	}
	if (r->finished)
		return request_conclude(r);
	r->finished = true;
	conns_phase(r->in->conns, r->conn, CONN_WORK);
	if (r->kept)
		return request_quarantine(r, &r->refusal);
	return r->refused ? request_refuse(r, &r->refusal) : request_finish(r);
}
