/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "broker/broker.h"
#include "event/jpath.h"
#include "ingest/compose.h"
#include "ingest/consume.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MS_MAX 30000
/* How long a cycle waits for the first message. One that is to end when nothing comes waits longer:
 * a broker may need a moment to find out what there is. */
#define WAIT_MS 1000
#define IDLE_WAIT_MS 3000
#define MESSAGE_ID "ingest.message"
/* What msgpack adds to a header, and the rest of an envelope; redaction may lengthen values. */
#define HEADER_SLACK_BYTES 32
#define ENVELOPE_SLACK_BYTES ((size_t)8 * 1024)

struct consume {
	const struct consume_options *options;
	struct consume_result *result;
	struct sources *sources;
	struct source source; /* as configured, but signatures are not asked for */
	unsigned char salt[REDACT_SALT_BYTES];
	char log_id[2 * STORE_LOG_ID_BYTES + 1];
	char remote[256]; /* the URL without its query */
	struct quarantine *quarantine;
	struct jpath_set *no_paths; /* walking with it only checks */
	/* Of one connection: */
	struct store_appender *appender;
	struct broker_consumer *consumer;
	/* Of one cycle: */
	struct arena *a;
	struct event *events;
	size_t count, capacity;
};

static bool
stopped_within_ms(const struct consume *c, int64_t ms)
{
	struct pollfd p = { .fd = c->options->stop_fd, .events = POLLIN };
	int64_t end_ms = clock_monotonic_ms() + ms;
	for (;;) {
		int64_t left_ms = end_ms - clock_monotonic_ms();
		if (poll(&p, 1, left_ms > 0 ? (int)left_ms : 0) > 0)
			return true;
		if (clock_monotonic_ms() >= end_ms)
			return false;
	}
}

/* ---- one message ---- */

/* A message as the request it might have been. */
struct message {
	const struct broker_received *received;
	struct guard_request head;
	struct guard_facts facts;
	struct delivery delivery;
};

static struct bytes
header_of(const struct guard_request *head, const char *name)
{
	for (size_t i = 0; i < head->header_count; i++) {
		if (bytes_is_nocase(head->headers[i].name, name))
			return head->headers[i].value;
	}
	return (struct bytes){ NULL, 0 };
}

/* Without what speaks of the delivery to the broker. False: there is more than an event can hold;
 * the head has no headers then. */
static bool
make_head(struct consume *c, const struct broker_received *m, struct message *out)
{
	struct event_header *headers = arena_alloc(c->a, (m->header_count + 1) * sizeof *headers);
	size_t bytes = strlen(m->channel) + strlen(m->position), count = 0;
	*out = (struct message){ .received = m };
	for (size_t i = 0; i < m->header_count; i++) {
		const struct broker_header *h = &m->headers[i];
		if (strncasecmp(h->name, "Nats-", 5) == 0)
			continue;
		headers[count++] =
			(struct event_header){ bytes_str(h->name), bytes_str(h->value) };
		bytes += strlen(h->name) + strlen(h->value) + HEADER_SLACK_BYTES;
	}
	bool fits = count <= LIMIT_IMPORT_HEADERS &&
		    bytes + ENVELOPE_SLACK_BYTES <= LIMIT_ENVELOPE_BYTES;
	out->head = (struct guard_request){ .method = bytes_str("POST"),
		.uri = bytes_str(m->channel),
		.version = bytes_str("HTTP/1.1"),
		.headers = headers,
		.header_count = fits ? count : 0 };
	struct bytes type = header_of(&out->head, "Content-Type");
	out->facts = (struct guard_facts){ .content_length = m->body.len,
		.path = bytes_str(m->channel),
		.query = bytes_str(""),
		.content_type = type.data == NULL ? bytes_str("application/json") : type };
	return fits;
}

/* Whether a replay of this log sent it, perhaps by way of others. */
static bool
is_own(const struct consume *c, const struct message *m)
{
	for (size_t i = 0; i < m->head.header_count; i++) {
		const struct event_header *h = &m->head.headers[i];
		if ((bytes_is_nocase(h->name, "Hooklog-Log") ||
			    bytes_is_nocase(h->name, "X-Hooklog-Log")) &&
			bytes_is(h->value, c->log_id))
			return true;
	}
	return false;
}

static bool
refuse(struct refusal *no, const char *error)
{
	*no = (struct refusal){ .status = 400, .id = MESSAGE_ID, .error = error };
	return false;
}

/* Whether the body is what its content type says, as far as JSON and forms go. */
static bool
body_is_sound(struct consume *c, const struct message *m, struct refusal *no)
{
	struct bytes type = m->facts.content_type, json;
	struct err e;
	const struct event ev = { .content_type = type, .body = m->received->body };
	const char *text = arena_string(c->a, type);
	if (m->received->body.len == 0)
		return refuse(no, "the message has no body");
	if (m->received->body.len > LIMIT_BODY_BYTES)
		return refuse(no, "the message is larger than a webhook may be");
	if (strcasestr(text, "json") == NULL &&
		strcasestr(text, "application/x-www-form-urlencoded") == NULL)
		return true;
	struct jpath_doc *doc;
	if (event_payload(&ev, c->a, &json, &e) != RC_OK ||
		jpath_walk(c->no_paths, json, c->a, &doc, &e) != RC_OK)
		return refuse(no, arena_string(c->a, bytes_str(e.text)));
	return true;
}

/* Reads the message as a delivery. It needs no id, having a position; where the headers of its
 * provider name no event, those of a replay may, or who consumes. */
static bool
read_delivery(struct consume *c, struct message *m, struct refusal *no)
{
	struct delivery *d = &m->delivery;
	if (!delivery_begin(d, &c->source, &m->head, &m->facts, c->a, no)) {
		struct bytes event = d->claims.event;
		if (event.len == 0)
			event = header_of(&m->head, "Hooklog-Event");
		if (event.len == 0)
			event = bytes_str(c->options->event);
		if (event.len == 0 || !provider_is_claim(event))
			return false;
		d->claims.event = event;
	}
	return body_is_sound(c, m, no) && delivery_read_body(d, m->received->body, no);
}

static void
add_events(struct consume *c, const struct message *m)
{
	struct event *events;
	size_t count;
	const struct compose how = { .source = &c->source,
		.content = &m->delivery.content,
		.headers = m->head.headers,
		.header_count = m->head.header_count,
		.path = m->facts.path,
		.query = m->facts.query,
		.content_type = m->facts.content_type,
		.remote = bytes_str(c->remote),
		.body = m->received->body,
		.salt = c->salt,
		.origin = EVENT_ORIGIN_BROKER,
		.verified = EVENT_VERIFIED_NONE,
		.key_id = "" };
	compose_events(&how, c->a, &events, &count);
	if (c->count + count > c->capacity) {
		c->capacity = 2 * (c->count + count);
		c->events = base_realloc(c->events, c->capacity * sizeof *c->events);
	}
	for (size_t i = 0; i < count; i++) {
		const char *position = m->received->position;
		if (count > 1)
			position = arena_printf(c->a, "%s/%zu", position, i + 1);
		events[i].delivery = bytes_str(position);
		events[i].hook = bytes_str("");
		c->events[c->count++] = events[i];
	}
}

/* Keeps a message that is no delivery, in the quarantine, so that the broker need not. */
static enum rc
set_aside(struct consume *c, struct message *m, const struct refusal *no, struct err *e)
{
	const struct consume_options *o = c->options;
	uint64_t id = 0;
	m->delivery.source = &c->source;
	m->delivery.claims.delivery = bytes_str(m->received->position);
	m->delivery.claims.hook = bytes_str("");
	if (m->delivery.claims.event.data == NULL)
		m->delivery.claims.event = bytes_str("");
	const struct quarantine_refused refused = { .delivery = &m->delivery,
		.head = &m->head,
		.facts = &m->facts,
		.refusal = no,
		.salt = c->salt,
		.origin = EVENT_ORIGIN_BROKER,
		.remote = bytes_str(c->remote),
		.body = m->received->body };
	enum rc rc = RC_INVALID;
	if (o->quarantine.bytes_max > 0 && o->quarantine.per_second_max > 0)
		rc = quarantine_keep(c->quarantine, &refused, &id, e);
	/* Others are refused so fast that it is not this one's turn yet. */
	while (rc == RC_AGAIN && !stopped_within_ms(c, 100))
		rc = quarantine_keep(c->quarantine, &refused, &id, e);
	if (rc == RC_INVALID)
		return err_set(e, RC_FULL, MESSAGE_ID,
			"message %s is no delivery (%s) and the quarantine cannot keep it",
			m->received->position, no->error);
	if (rc != RC_OK)
		return rc;
	c->result->quarantined++;
	LOG_WARN(MESSAGE_ID, F_S("position", m->received->position), F_U("quarantine", id),
		F_S("error", no->error));
	return RC_OK;
}

static enum rc
take_message(struct consume *c, const struct broker_received *received, struct err *e)
{
	struct message m;
	struct refusal no = { .status = 0 };
	bool fits = make_head(c, received, &m);
	if (!fits) {
		(void)refuse(&no, "its headers are larger than an event's may be");
		return set_aside(c, &m, &no, e);
	}
	/* It would go round in a circle. */
	if (is_own(c, &m)) {
		c->result->own++;
		return RC_OK;
	}
	if (!read_delivery(c, &m, &no))
		return set_aside(c, &m, &no, e);
	add_events(c, &m);
	return RC_OK;
}

/* ---- one connection ---- */

static enum rc
read_log_id(struct consume *c, struct err *e)
{
	struct store_reader *reader = NULL;
	struct store_span span;
	enum rc rc = store_appender_reader(c->appender, &reader, e);
	if (rc == RC_OK)
		rc = store_span(reader, &span, e);
	for (size_t i = 0; rc == RC_OK && i < STORE_LOG_ID_BYTES; i++)
		snprintf(c->log_id + 2 * i, 3, "%02x", span.log_id[i]);
	store_reader_close(reader);
	return rc;
}

static enum rc
connect_both(struct consume *c, struct err *e)
{
	const struct consume_options *o = c->options;
	enum rc rc = store_appender_open(&c->appender, &o->store, e);
	if (rc == RC_OK)
		rc = read_log_id(c, e);
	/* Who writes the log makes the salt; here that is this process, or it is made already. */
	if (rc == RC_OK)
		rc = redact_salt(o->salt_file, c->salt, e);
	if (rc == RC_OK)
		rc = broker_consumer_open(&c->consumer, o->from, e);
	return rc;
}

static void
disconnect_both(struct consume *c)
{
	broker_consumer_close(c->consumer);
	store_appender_close(c->appender);
	c->consumer = NULL;
	c->appender = NULL;
}

static enum rc
store_events(struct consume *c, struct err *e)
{
	struct store_import_report report = { 0 };
	enum rc rc = RC_OK;
	for (size_t done = 0; rc == RC_OK && done < c->count; done += STORE_APPEND_EVENTS_MAX) {
		size_t left = c->count - done;
		rc = store_import_events(c->appender, c->events + done,
			left < STORE_APPEND_EVENTS_MAX ? left : STORE_APPEND_EVENTS_MAX, &report,
			e);
	}
	c->result->added += report.added;
	c->result->duplicates += report.duplicates;
	if (report.added > 0 && c->result->first_seq == 0)
		c->result->first_seq = report.first_seq;
	if (report.added > 0)
		c->result->last_seq = report.last_seq;
	return rc;
}

/* Takes, stores, and only then tells the broker. */
static enum rc
cycle(struct consume *c, size_t *count, struct err *e)
{
	const struct consume_options *o = c->options;
	const struct broker_received *messages;
	arena_reset(c->a);
	c->count = 0;
	enum rc rc = broker_take(c->consumer, o->batch, o->idle_exit ? IDLE_WAIT_MS : WAIT_MS, c->a,
		&messages, count, e);
	for (size_t i = 0; rc == RC_OK && i < *count; i++)
		rc = take_message(c, &messages[i], e);
	if (rc == RC_OK)
		rc = store_events(c, e);
	if (rc == RC_OK)
		rc = broker_done(c->consumer, e);
	if (rc != RC_OK)
		return rc;
	c->result->taken += *count;
	c->result->cycles++;
	if (o->progress != NULL)
		o->progress(c->result, o->context);
	return RC_OK;
}

/* Until it is to end, a stop, or a failure. *moved: a cycle was completed. */
static enum rc
serve(struct consume *c, bool *moved, struct err *e)
{
	const struct consume_options *o = c->options;
	enum rc rc = connect_both(c, e);
	while (rc == RC_OK) {
		size_t count = 0;
		rc = cycle(c, &count, e);
		*moved = *moved || rc == RC_OK;
		if (rc != RC_OK || (o->cycles > 0 && c->result->cycles >= o->cycles) ||
			(o->idle_exit && count == 0))
			break;
		c->result->interrupted = stopped_within_ms(c, o->sleep_ms);
		if (c->result->interrupted)
			break;
	}
	disconnect_both(c);
	return rc;
}

/* ---- all of it ---- */

static enum rc
find_source(struct consume *c, struct err *e)
{
	const char *name = c->options->source;
	enum rc rc = sources_load(&c->sources, c->options->sources_dir, e);
	if (rc != RC_OK)
		return rc;
	const struct source *found = sources_find(c->sources, bytes_str(name));
	if (found == NULL || found->disabled)
		return err_set(e, RC_NOTFOUND, "ingest.source",
			"there is no source '%.64s' that is enabled; make it with hooklog source add",
			name);
	c->source = *found;
	c->source.allow_unsigned = true;
	return RC_OK;
}

static int64_t
backoff_ms(const struct consume_options *o, uint64_t failures)
{
	int64_t ms = o->backoff_first_ms > 0 ? o->backoff_first_ms : BACKOFF_FIRST_MS;
	for (uint64_t i = 1; i < failures && ms < BACKOFF_MS_MAX; i++)
		ms *= 2;
	return ms < BACKOFF_MS_MAX ? ms : BACKOFF_MS_MAX;
}

static enum rc
serve_until_done(struct consume *c, struct err *e)
{
	const struct consume_options *o = c->options;
	bool ends = o->cycles > 0 || o->idle_exit;
	uint64_t failures = 0;
	for (;;) {
		bool moved = false;
		enum rc rc = serve(c, &moved, e);
		failures = moved ? 1 : failures + 1;
		if (rc != RC_AGAIN || (ends && failures > o->retries))
			return rc;
		LOG_WARN(e->id == NULL ? "consume.again" : e->id, F_S("error", e->text));
		c->result->interrupted = stopped_within_ms(c, backoff_ms(o, failures));
		if (c->result->interrupted)
			return RC_OK;
		c->result->retried++;
	}
}

enum rc
consume_run(const struct consume_options *options, struct consume_result *result, struct err *e)
{
	struct consume c = { .options = options, .result = result };
	*result = (struct consume_result){ 0 };
	enum rc rc = broker_check(options->from, BROKER_CONSUME, e);
	if (rc != RC_OK)
		return rc;
	c.a = arena_new((size_t)1024 * 1024);
	c.no_paths = jpath_set_new();
	c.quarantine = quarantine_new(&options->quarantine);
	snprintf(c.remote, sizeof c.remote, "%.*s", (int)strcspn(options->from, "?#"),
		options->from);
	rc = find_source(&c, e);
	if (rc == RC_OK)
		rc = serve_until_done(&c, e);
	quarantine_free(c.quarantine);
	jpath_set_free(c.no_paths);
	sources_release(c.sources);
	crypto_wipe(c.salt, sizeof c.salt);
	arena_free(c.a);
	free(c.events);
	return rc;
}
