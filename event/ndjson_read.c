/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "event/event.h"
#include "event/jpath_internal.h"

/* event_put_json backwards: the same bytes come out of the line that went into it. */

/* Text members, each with its <key>_base64 beside it. */
static const struct {
	const char *key, *base64;
	size_t offset;
	bool always; /* the line must have it */
} texts[] = {
	{ "source", "source_base64", offsetof(struct event, source), true },
	{ "provider", "provider_base64", offsetof(struct event, provider), false },
	{ "event", "event_base64", offsetof(struct event, event), false },
	{ "delivery", "delivery_base64", offsetof(struct event, delivery), false },
	{ "hook", "hook_base64", offsetof(struct event, hook), false },
	{ "scheme", "scheme_base64", offsetof(struct event, scheme), false },
	{ "key_id", "key_id_base64", offsetof(struct event, key_id), false },
	{ "method", "method_base64", offsetof(struct event, method), false },
	{ "path", "path_base64", offsetof(struct event, path), false },
	{ "query", "query_base64", offsetof(struct event, query), false },
	{ "content_type", "content_type_base64", offsetof(struct event, content_type), false },
	{ "remote", "remote_base64", offsetof(struct event, remote), false },
};

struct event_parser {
	struct jpath_set *line, *pair;
	size_t text[COUNT_OF(texts)], text_base64[COUNT_OF(texts)];
	size_t seq, received_at, origin, verified, headers, redacted, xxh128, sha256, erased, body, body_base64;
	size_t element;
};

static size_t
add(struct jpath_set *set, const char *path)
{
	size_t slot;
	struct err e;
	ASSERT(jpath_add(set, path, &slot, &e) == RC_OK);
	return slot;
}

struct event_parser *
event_parser_new(void)
{
	struct event_parser *p = base_zalloc(sizeof *p);
	p->line = jpath_set_new();
	p->pair = jpath_set_new();
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		p->text[i] = add(p->line, texts[i].key);
		p->text_base64[i] = add(p->line, texts[i].base64);
	}
	p->seq = add(p->line, "seq");
	p->received_at = add(p->line, "received_at");
	p->origin = add(p->line, "origin");
	p->verified = add(p->line, "verified");
	p->headers = add(p->line, "headers[]");
	p->redacted = add(p->line, "flags.redacted");
	p->xxh128 = add(p->line, "body_xxh128");
	p->sha256 = add(p->line, "body_sha256");
	p->erased = add(p->line, "erased_sha256");
	p->body = add(p->line, "body");
	p->body_base64 = add(p->line, "body_base64");
	p->element = add(p->pair, "[]");
	return p;
}

void
event_parser_free(struct event_parser *p)
{
	if (p == NULL)
		return;
	jpath_set_free(p->line);
	jpath_set_free(p->pair);
	free(p);
}

/* The exact bytes a JSON string stands for. jpath_unescape makes U+FFFD of \u0000, which PostgreSQL
 * cannot store; a body may well hold a NUL, so those are done here. */
static struct bytes
exact(struct jpath_value v, struct arena *a)
{
	struct bytes in = { v.raw.data + 1, v.raw.len - 2 };
	if (in.len == 0 || memchr(in.data, '\\', in.len) == NULL)
		return in;
	unsigned char *out = arena_alloc(a, in.len);
	size_t n = 0, start = 0, at = 0;
	bool altered;
	while (at < in.len) {
		if (in.data[at] != '\\') {
			at++;
		} else if (in.len - at >= 6 && memcmp(in.data + at, "\\u0000", 6) == 0) {
			n += jpath_unescape(
				(struct bytes){ in.data + start, at - start }, out + n, &altered);
			out[n++] = '\0';
			at += 6;
			start = at;
		} else {
			at += 2;
		}
	}
	n += jpath_unescape((struct bytes){ in.data + start, in.len - start }, out + n, &altered);
	return (struct bytes){ out, n };
}

/* Text, or with base64 what it decodes to. False: neither. */
static bool
bytes_of(struct jpath_value text, struct jpath_value base64, struct arena *a, struct bytes *out)
{
	*out = (struct bytes){ NULL, 0 };
	if (base64.type == JPATH_STRING) {
		struct bytes in = exact(base64, a);
		unsigned char *to = arena_alloc(a, in.len + 1);
		size_t len;
		if (!crypto_unbase64(in, to, in.len, &len))
			return false;
		*out = (struct bytes){ to, len };
		return true;
	}
	if (text.type == JPATH_STRING)
		*out = exact(text, a);
	return text.type == JPATH_STRING || text.type == JPATH_ABSENT || text.type == JPATH_NULL;
}

static enum rc
wrong(const char *key, struct err *e)
{
	return err_set(e, RC_INVALID, "event.line-invalid",
		"the line is no event: %s is missing or wrong", key);
}

static bool
known_origin(struct jpath_value v, struct arena *a, enum event_origin *origin)
{
	return v.type == JPATH_STRING && event_origin_parse(exact(v, a), origin);
}

static enum event_verified
verified_of(struct jpath_value v)
{
	if (v.type == JPATH_STRING && bytes_is(v.raw, "\"ok\""))
		return EVENT_VERIFIED_OK;
	return v.type == JPATH_STRING && bytes_is(v.raw, "\"failed\"") ? EVENT_VERIFIED_FAILED
								       : EVENT_VERIFIED_NONE;
}

static enum rc
take_headers(const struct event_parser *p, const struct jpath_doc *doc, struct arena *a,
	struct event *ev, struct err *e)
{
	size_t count = jpath_rows(doc, p->headers);
	if (count > LIMIT_IMPORT_HEADERS)
		return wrong("headers", e);
	struct event_header *headers = arena_alloc(a, (count + 1) * sizeof *headers);
	for (size_t i = 0; i < count; i++) {
		struct jpath_doc *pair;
		struct jpath_value v = jpath_get(doc, p->headers, i),
				   base64 = { .type = JPATH_ABSENT };
		if (v.type != JPATH_ARRAY || jpath_walk(p->pair, v.raw, a, &pair, e) != RC_OK ||
			jpath_rows(pair, p->element) < 2)
			return wrong("headers", e);
		struct jpath_value name = jpath_get(pair, p->element, 0);
		if (jpath_rows(pair, p->element) > 2)
			base64 = jpath_get(pair, p->element, 2);
		if (name.type != JPATH_STRING ||
			!bytes_of(jpath_get(pair, p->element, 1), base64, a, &headers[i].value))
			return wrong("headers", e);
		headers[i].name = exact(name, a);
	}
	ev->headers = headers;
	ev->header_count = count;
	return RC_OK;
}

/* The hash a line states, if it does; it must be right when have is not NULL. */
static enum rc
take_hash(struct jpath_value stated, const char *key, struct arena *a, const unsigned char *have,
	unsigned char *hash, size_t len, struct err *e)
{
	if (stated.type == JPATH_ABSENT)
		return RC_OK;
	if (stated.type != JPATH_STRING || !crypto_unhex(exact(stated, a), hash, len))
		return wrong(key, e);
	if (have != NULL && memcmp(hash, have, len) != 0)
		return err_set(e, RC_INVALID, "event.line-invalid",
			"the body does not have the %s the line states: it was changed on the way", key);
	return RC_OK;
}

static enum rc
take_hashes(const struct event_parser *p, const struct jpath_doc *doc, struct arena *a, struct event *ev,
	struct err *e)
{
	unsigned char sha256[SHA256_BYTES], stated[SHA256_BYTES];
	struct jpath_value of_body = jpath_get(doc, p->sha256, 0);
	bool redacted = (ev->flags & EVENT_FLAG_REDACTED) != 0;
	xxh128(ev->body, ev->body_xxh128);
	if (redacted) {
		enum rc rc = take_hash(jpath_get(doc, p->erased, 0), "erased_sha256", a, NULL,
			ev->erased_sha256, SHA256_BYTES, e);
		if (rc != RC_OK)
			return rc;
	} else if (of_body.type != JPATH_ABSENT) {
		crypto_sha256(ev->body, sha256);
		enum rc rc = take_hash(of_body, "body_sha256", a, sha256, stated, SHA256_BYTES, e);
		if (rc != RC_OK)
			return rc;
	}
	return take_hash(jpath_get(doc, p->xxh128, 0), "body_xxh128", a, redacted ? NULL : ev->body_xxh128,
		redacted ? ev->body_xxh128 : stated, XXH128_BYTES, e);
}

enum rc
event_from_json(const struct event_parser *p, struct bytes line, struct arena *a, struct event *ev,
	struct err *e)
{
	struct jpath_doc *doc;
	int64_t seq;
	*ev = (struct event){ .origin = EVENT_ORIGIN_IMPORT };
	enum rc rc = jpath_walk(p->line, line, a, &doc, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct bytes value;
		struct jpath_value text = jpath_get(doc, p->text[i], 0);
		if ((texts[i].always && text.type != JPATH_STRING) ||
			!bytes_of(text, jpath_get(doc, p->text_base64[i], 0), a, &value))
			return wrong(texts[i].key, e);
		memcpy((unsigned char *)ev + texts[i].offset, &value, sizeof value);
	}
	struct jpath_value origin = jpath_get(doc, p->origin, 0),
			   at = jpath_get(doc, p->received_at, 0);
	if (origin.type != JPATH_ABSENT && !known_origin(origin, a, &ev->origin))
		return wrong("origin", e);
	ev->verified = verified_of(jpath_get(doc, p->verified, 0));
	struct jpath_value number = jpath_get(doc, p->seq, 0);
	if (number.type == JPATH_NUMBER && jpath_int64(number, &seq) && seq > 0)
		ev->seq = (uint64_t)seq;
	if (at.type == JPATH_STRING && !clock_parse_us(exact(at, a), &ev->received_at_us))
		return wrong("received_at", e);
	if (jpath_get(doc, p->redacted, 0).type == JPATH_TRUE)
		ev->flags |= EVENT_FLAG_REDACTED;
	rc = take_headers(p, doc, a, ev, e);
	if (rc != RC_OK)
		return rc;
	struct jpath_value body = jpath_get(doc, p->body, 0),
			   base64 = jpath_get(doc, p->body_base64, 0);
	if (body.type == JPATH_OBJECT || body.type == JPATH_ARRAY)
		ev->body = body.raw;
	else if ((body.type != JPATH_STRING && base64.type != JPATH_STRING) ||
		 !bytes_of(body, base64, a, &ev->body))
		return wrong("body", e);
	return take_hashes(p, doc, a, ev, e);
}
