/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "replay/message.h"
#include "replay/post.h"

/* The original headers, and ours. */
#define HEADERS_MAX (LIMIT_IMPORT_HEADERS + 16)

struct message {
	struct broker_publisher *publisher;
	struct arena *arena, *scratch;
	const char *spec, *run; /* borrowed */
	char log_id[2 * STORE_LOG_ID_BYTES + 1];
};

enum rc
message_open(struct message **out, const struct replay_target_options *o, struct err *e)
{
	if (o->secret.len > 0)
		return err_set(e, RC_INVALID, NULL,
			"a broker gets no signatures; its credentials stand in its URL: "
			"docs/brokers.md");
	struct message *m = base_zalloc(sizeof(*m));
	m->arena = arena_new(1024);
	m->scratch = arena_new((size_t)256 * 1024);
	m->spec = o->spec;
	m->run = o->run == NULL ? "" : o->run;
	for (size_t i = 0; i < STORE_LOG_ID_BYTES; i++)
		snprintf(m->log_id + 2 * i, 3, "%02x", o->log_id[i]);
	enum rc rc = broker_publisher_open(
		&m->publisher, o->spec, o->out_of_order ? "" : m->run, e);
	if (rc != RC_OK)
		message_close(m);
	else
		*out = m;
	return rc;
}

void
message_close(struct message *m)
{
	if (m == NULL)
		return;
	broker_publisher_close(m->publisher);
	arena_free(m->arena);
	arena_free(m->scratch);
	free(m);
}

const char *
message_param(const struct message *m, const char *name)
{
	return broker_param(m->spec, name, m->arena);
}

struct arena *
message_scratch(struct message *m)
{
	return m->scratch;
}

/* Brokers check neither names nor values, and a line break would end the header. */
static bool
is_plain(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = value.data[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* RFC 9110 §5.6.2. */
static bool
is_token(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = name.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
		if (!letter && (c <= ' ' || c >= 0x7f ||
				       strchr("\"(),/:;<=>?@[\\]{}", c) != NULL))
			return false;
	}
	return name.len > 0;
}

/* Nothing for an empty value or one that could not travel. */
static void
put(struct broker_header *list, size_t *count, const char *name, struct bytes value,
	struct arena *a)
{
	if (value.len > 0 && is_plain(value))
		list[(*count)++] = (struct broker_header){ name, arena_string(a, value) };
}

/* Of an event that came from a broker: what spoke of that delivery. The logs it went through stay
 * behind ours, so that it is not taken round in a circle. */
static bool
is_told_anew(struct bytes name)
{
	if (bytes_is_nocase(name, "Hooklog-Log"))
		return false;
	return (name.len > 8 && strncasecmp((const char *)name.data, "Hooklog-", 8) == 0) ||
	       (name.len > 5 && strncasecmp((const char *)name.data, "Nats-", 5) == 0);
}

static void
put_headers(struct message *m, const struct event *ev, struct broker_header *list, size_t *count)
{
	struct arena *a = m->scratch;
	char at[CLOCK_TEXT_BYTES];
	clock_format_us(ev->received_at_us, at);
	put(list, count, "Hooklog-Log", bytes_str(m->log_id), a);
	put(list, count, BROKER_RUN_HEADER, bytes_str(m->run), a);
	put(list, count, BROKER_NUMBER_HEADER,
		bytes_str(arena_printf(a, "%" PRIu64, ev->seq)), a);
	put(list, count, "Hooklog-Source", ev->source, a);
	put(list, count, "Hooklog-Provider", ev->provider, a);
	put(list, count, "Hooklog-Event", ev->event, a);
	put(list, count, "Hooklog-Delivery", ev->delivery, a);
	put(list, count, "Hooklog-Origin", bytes_str(event_origin_name(ev->origin)), a);
	put(list, count, "Hooklog-Received-At", bytes_str(at), a);
	if (event_header_value(ev, "Content-Type").data == NULL)
		put(list, count, "Content-Type", ev->content_type, a);
	for (size_t i = 0; i < ev->header_count && i < LIMIT_IMPORT_HEADERS; i++) {
		const struct event_header *h = &ev->headers[i];
		if (is_token(h->name) && !is_told_anew(h->name) && post_may_send(h))
			put(list, count, arena_string(a, h->name), h->value, a);
	}
}

enum rc
message_publish(struct message *m, const struct event *ev, const char *subject, struct bytes key,
	struct err *e)
{
	struct arena *a = m->scratch;
	size_t count = 0;
	struct broker_header *headers = arena_alloc(a, HEADERS_MAX * sizeof(*headers));
	put_headers(m, ev, headers, &count);
	const struct broker_message message = { .number = ev->seq,
		.id = arena_printf(a, "%s/%" PRIu64, m->log_id, ev->seq),
		.subject = subject,
		.key = key,
		.body = ev->body,
		.headers = headers,
		.header_count = count };
	enum rc rc = broker_publish(m->publisher, &message, e);
	if (rc != RC_INVALID)
		return rc;
	struct err cause = *e;
	return err_set(e, RC_DENIED, "replay.refused", "event %" PRIu64 " cannot be sent: %s",
		ev->seq, cause.text);
}

enum rc
message_confirm(struct message *m, bool all, size_t *count, struct err *e)
{
	return broker_confirm(m->publisher, all, count, e);
}
