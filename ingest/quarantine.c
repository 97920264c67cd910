/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "ingest/quarantine.h"

/* A record of the ring: lengths as 32 bits big-endian.
 *
 *	status | len, id of the reason | len, sentence | len, envelope | body
 */
#define SECOND_US 1000000

struct quarantine {
	struct arena *arena;
	struct quarantine_options options;
	const char *path;
	pthread_mutex_t lock;
	struct ring *ring;
	int64_t due_us; /* as source_take_turn counts */
};

struct quarantine *
quarantine_new(const struct quarantine_options *options)
{
	struct quarantine *q = base_zalloc(sizeof *q);
	q->arena = arena_new(512);
	q->options = *options;
	if (q->options.bytes_max > 0 && q->options.bytes_max < RING_SIZE_MIN)
		q->options.bytes_max = RING_SIZE_MIN;
	q->options.dir = arena_string(q->arena, bytes_str(options->dir));
	q->path = arena_printf(q->arena, "%s/%s", options->dir, QUARANTINE_FILE);
	pthread_mutex_init(&q->lock, NULL);
	return q;
}

void
quarantine_free(struct quarantine *q)
{
	if (q == NULL)
		return;
	ring_close(q->ring);
	pthread_mutex_destroy(&q->lock);
	arena_free(q->arena);
	free(q);
}

/* Under the lock. */
static bool
has_turn(const struct quarantine *q, int64_t now_us)
{
	int64_t from_us = q->due_us > now_us ? q->due_us : now_us;
	return q->options.per_second_max > 0 &&
	       from_us + SECOND_US / (int64_t)q->options.per_second_max - now_us <= SECOND_US;
}

bool
quarantine_wants(struct quarantine *q, uint64_t body_bytes)
{
	if (q->options.bytes_max == 0 || body_bytes > q->options.bytes_max / 8)
		return false;
	pthread_mutex_lock(&q->lock);
	bool wants = has_turn(q, clock_monotonic_us());
	pthread_mutex_unlock(&q->lock);
	return wants;
}

/* Under the lock. A ring that cannot be read is of no use to anybody: it is made anew. */
static enum rc
ensure_ring(struct quarantine *q, struct err *e)
{
	if (q->ring != NULL)
		return RC_OK;
	enum rc rc = fs_mkdir(q->options.dir, e);
	if (rc == RC_OK)
		rc = ring_open(&q->ring, q->path, q->options.bytes_max, e);
	if (rc == RC_CORRUPT)
		rc = ring_remake(&q->ring, q->path, q->options.bytes_max, e);
	if (rc != RC_OK && e != NULL)
		e->id = "ingest.quarantine";
	return rc;
}

/* Whether a secret header's value may be kept as it is: it proves a secret and does not tell it. */
static bool
is_proof(const struct provider_setup *setup, struct bytes name)
{
	static const char *const never[] = { "Authorization", "Cookie", "Proxy-Authorization",
		"X-Gitlab-Token" };
	for (size_t i = 0; i < COUNT_OF(never); i++) {
		if (bytes_is_nocase(name, never[i]))
			return false;
	}
	static const char *const proofs[] = { "hmac", "ed25519", "standard-", "stripe-", "slack-" };
	for (size_t i = 0; i < COUNT_OF(proofs); i++) {
		if (strncmp(setup->scheme, proofs[i], strlen(proofs[i])) == 0)
			return true;
	}
	return false;
}

static void
put_event(struct buf *out, const struct quarantine_refused *refused, struct arena *a)
{
	const struct source *source = refused->delivery->source;
	const struct guard_request *head = refused->head;
	struct event_header *headers = arena_alloc(a, (head->header_count + 1) * sizeof *headers);
	for (size_t i = 0; i < head->header_count; i++) {
		const struct event_header *h = &head->headers[i];
		bool hide = redact_is_secret(source->setup, h->name) &&
			    !is_proof(source->setup, h->name);
		headers[i] = (struct event_header){ h->name,
			hide ? redact_value(refused->salt, h->value, a) : h->value };
	}
	const struct provider_claims *claims = &refused->delivery->claims;
	const struct event ev = {
		.origin = refused->origin,
		.verified = EVENT_VERIFIED_FAILED,
		.source = bytes_str(source->name),
		.provider = bytes_str(source->provider->name),
		.event = claims->event,
		.delivery = claims->delivery,
		.hook = claims->hook,
		.scheme = bytes_str(source->setup->scheme),
		.key_id = bytes_str(""),
		.method = head->method,
		.path = refused->facts->path,
		.query = redact_query(source->setup, refused->salt, refused->facts->query, a),
		.content_type = refused->facts->content_type,
		.remote = refused->remote,
		.headers = headers,
		.header_count = head->header_count,
	};
	event_encode(&ev, out);
}

static void
put_run(struct buf *out, struct bytes run)
{
	buf_put_be32(out, (uint32_t)run.len);
	buf_put_bytes(out, run);
}

enum rc
quarantine_keep(
	struct quarantine *q, const struct quarantine_refused *refused, uint64_t *id, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct buf envelope = buf_new(LIMIT_ENVELOPE_BYTES);
	struct buf record = buf_new(LIMIT_RECORD_BYTES);
	put_event(&envelope, refused, a);
	buf_put_be32(&record, refused->refusal->status);
	put_run(&record, bytes_str(refused->refusal->id));
	put_run(&record, bytes_str(refused->refusal->error));
	put_run(&record, buf_bytes(&envelope));
	buf_put_bytes(&record, refused->body);
	enum rc rc = RC_OK;
	pthread_mutex_lock(&q->lock);
	int64_t now_us = clock_monotonic_us();
	if (!has_turn(q, now_us))
		rc = err_set(e, RC_AGAIN, NULL, "more requests are refused than are kept");
	else if (envelope.overflow || record.overflow)
		rc = err_set(e, RC_INVALID, NULL, "the request is too large to be kept");
	else
		rc = ensure_ring(q, e);
	if (rc == RC_OK) {
		int64_t from_us = q->due_us > now_us ? q->due_us : now_us;
		q->due_us = from_us + SECOND_US / (int64_t)q->options.per_second_max;
		rc = ring_add(q->ring, clock_now_us(), buf_bytes(&record), id, e);
		if (rc == RC_CORRUPT) {
			ring_close(q->ring);
			q->ring = NULL;
		}
	}
	pthread_mutex_unlock(&q->lock);
	buf_free(&record);
	buf_free(&envelope);
	arena_free(a);
	return rc;
}

/* ---- reading ---- */

static bool
take_u32(struct bytes *data, uint32_t *value)
{
	if (data->len < 4)
		return false;
	*value = (uint32_t)data->data[0] << 24 | (uint32_t)data->data[1] << 16 |
		 (uint32_t)data->data[2] << 8 | data->data[3];
	data->data += 4;
	data->len -= 4;
	return true;
}

static bool
take_run(struct bytes *data, struct bytes *run)
{
	uint32_t len = 0;
	if (!take_u32(data, &len) || len > data->len)
		return false;
	*run = (struct bytes){ data->data, len };
	data->data += len;
	data->len -= len;
	return true;
}

enum rc
quarantine_read(
	struct ring *ring, uint64_t id, struct arena *a, struct quarantined *out, struct err *e)
{
	struct bytes data, reason, error, envelope;
	uint32_t status = 0;
	*out = (struct quarantined){ .status = 0 };
	enum rc rc = ring_read(ring, id, a, &out->entry, &data, e);
	if (rc != RC_OK)
		return rc;
	if (!take_u32(&data, &status) || !take_run(&data, &reason) || !take_run(&data, &error) ||
		!take_run(&data, &envelope))
		return err_set(
			e, RC_CORRUPT, "ingest.quarantine", "request %" PRIu64 " is damaged", id);
	out->status = status;
	out->reason_id = arena_string(a, reason);
	out->error = arena_string(a, error);
	rc = event_decode(envelope, a, &out->event, e);
	out->event.body = data;
	out->event.received_at_us = out->entry.at_us;
	xxh128(data, out->event.body_xxh128);
	return rc;
}

const char *
quarantine_state_name(enum ring_state state)
{
	switch (state) {
	case RING_WAITING:
		return "waiting";
	case RING_ADMITTED:
		return "admitted";
	case RING_DROPPED:
		return "dropped";
	}
	return "unknown";
}
