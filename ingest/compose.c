/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "ingest/compose.h"

static const struct event_header *
copy_headers(const struct compose *c, struct arena *a, size_t *count)
{
	struct event_header *headers = arena_alloc(a, (c->header_count + 1) * sizeof *headers);
	*count = 0;
	for (size_t i = 0; i < c->header_count; i++) {
		const struct event_header *from = &c->headers[i];
		if (bytes_is_nocase(from->name, COMPOSE_RECEIVED_HEADER) ||
			bytes_is_nocase(from->name, COMPOSE_BATCH_HEADER) ||
			bytes_is_nocase(from->name, SIGN_RELAY_SIGNATURE))
			continue;
		struct event_header *to = &headers[(*count)++];
		to->name = arena_copy(a, from->name);
		to->value = redact_is_secret(c->source->setup, from->name)
				    ? redact_value(c->salt, from->value, a)
				    : arena_copy(a, from->value);
	}
	if (c->received_at_us != 0) {
		char text[CLOCK_TEXT_BYTES];
		clock_format_us(c->received_at_us, text);
		headers[(*count)++] = (struct event_header){ bytes_str(COMPOSE_RECEIVED_HEADER),
			bytes_str(arena_string(a, bytes_str(text))) };
	}
	return headers;
}

/* One event of a batch, which so far is like all of them. */
static void
take_part(struct event *event, const struct provider_part *part, size_t number, size_t count,
	struct arena *a)
{
	struct event_header *headers = arena_alloc(a, (event->header_count + 1) * sizeof *headers);
	if (event->header_count > 0)
		memcpy(headers, event->headers, event->header_count * sizeof *headers);
	headers[event->header_count++] = (struct event_header){ bytes_str(COMPOSE_BATCH_HEADER),
		bytes_str(arena_printf(a, "%zu/%zu", number, count)) };
	event->headers = headers;
	event->event = part->event;
	event->delivery = part->delivery;
	event->hook = part->hook;
	event->content_type = part->content_type;
	event->body = part->body;
}

/* What the operator of the other log did there was not done here. */
static enum event_origin
origin_of(const struct relay *relay)
{
	return relay->origin == EVENT_ORIGIN_OPERATOR ? EVENT_ORIGIN_REPLAY : relay->origin;
}

void
compose_events(const struct compose *c, struct arena *a, struct event **events, size_t *count)
{
	const struct source *source = c->source;
	const struct provider_content *content = c->content;
	size_t header_count = 0;
	const struct event_header *headers = copy_headers(c, a, &header_count);
	bool relayed = c->relay != NULL && c->relay->given;
	const char *scheme = source->allow_unsigned ? "none" : source->setup->scheme;
	const struct event common = {
		.origin = relayed ? origin_of(c->relay) : c->origin,
		.relayed_at_us = relayed ? c->relay->received_at_us : 0,
		.verified = c->verified,
		.source = arena_copy(a, bytes_str(source->name)),
		.provider = bytes_str(source->provider->name),
		.event = arena_copy(a, content->claims.event),
		.delivery = arena_copy(a, content->claims.delivery),
		.hook = arena_copy(a, content->claims.hook),
		.scheme = arena_copy(a, bytes_str(relayed ? "hooklog-relay" : scheme)),
		.key_id = arena_copy(a, bytes_str(c->key_id)),
		.method = bytes_str("POST"),
		.path = arena_copy(a, c->path),
		.query = redact_query(source->setup, c->salt, c->query, a),
		.content_type = arena_copy(a, c->content_type),
		.remote = arena_copy(a, c->remote),
		.headers = headers,
		.header_count = header_count,
		.body = c->body,
	};
	*count = content->is_batch ? content->part_count : 1;
	*events = arena_alloc(a, (*count + 1) * sizeof **events);
	for (size_t i = 0; i < *count; i++) {
		(*events)[i] = common;
		if (content->is_batch)
			take_part(&(*events)[i], &content->parts[i], i + 1, *count, a);
	}
}
