/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "event/jpath.h"
#include "ingest/provider_table.h"

/* CloudEvents 1.0 over HTTP in all three content modes, and the handshake of its web hook
 * specification: docs/providers/cloudevents.md. */

#define ORIGINS_MAX 16
#define ORIGIN_HEADER "WebHook-Request-Origin"
#define RATE_HEADER "WebHook-Request-Rate"
#define TOKEN_KEY "access_token"
#define JSON_TYPE "application/cloudevents+json"

struct setup {
	struct provider_setup base;
	const char *origins[ORIGINS_MAX];
	size_t origin_count;
	const char *rate; /* per minute, or "*" */
};

static const char *const single_headers[] = { "ce-specversion", "ce-id", "ce-source", "ce-type",
	NULL };
static const char *const secret_headers[] = { "Authorization", NULL };
#define BASE                                                                                       \
	{                                                                                          \
		.scheme = "bearer", .single_headers = single_headers,                              \
		.secret_headers = secret_headers, .secret_query = TOKEN_KEY,                       \
	}
static const struct setup default_setup = { .base = BASE, .rate = "*" };

static const struct provider_option options[] = {
	{ "allowed_origin", true, "who may send, as in WebHook-Request-Origin; or *" },
	{ "allowed_rate", false, "requests per minute that senders are told; default *" },
	{ NULL, false, NULL },
};

static bool
is_rate(const char *text)
{
	int64_t rate;
	return strcmp(text, "*") == 0 ||
	       (provider_parse_seconds(bytes_str(text), &rate) && rate > 0);
}

static enum rc
configure(const struct provider_pair *pairs, size_t count, struct arena *a,
	const struct provider_setup **out, struct err *e)
{
	struct setup *s = arena_zalloc(a, sizeof *s);
	*s = default_setup;
	const char *rate = provider_option_value(pairs, count, "allowed_rate");
	if (rate != NULL)
		s->rate = rate;
	if (!is_rate(s->rate))
		return err_set(e, RC_INVALID, "ingest.source",
			"allowed_rate: requests per minute or *, not \"%s\"", s->rate);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(pairs[i].name, "allowed_origin") != 0)
			continue;
		if (s->origin_count == ORIGINS_MAX || pairs[i].value[0] == '\0')
			return err_set(e, RC_INVALID, "ingest.source",
				"allowed_origin: 1 to %d, none of them empty", ORIGINS_MAX);
		s->origins[s->origin_count++] = pairs[i].value;
	}
	*out = &s->base;
	return RC_OK;
}

enum mode { BINARY, STRUCTURED, BATCH, UNKNOWN };

/* Whether type is name, apart from parameters. */
static bool
is_type(struct bytes type, const char *name)
{
	size_t len = strlen(name);
	if (type.len < len || !bytes_is_nocase((struct bytes){ type.data, len }, name))
		return false;
	return type.len == len || type.data[len] == ';' || type.data[len] == ' ' ||
	       type.data[len] == '\t';
}

static enum mode
mode_of(struct bytes type)
{
	static const char any[] = "application/cloudevents";
	if (is_type(type, "application/cloudevents-batch+json"))
		return BATCH;
	if (is_type(type, JSON_TYPE))
		return STRUCTURED;
	size_t len = sizeof any - 1;
	bool other = type.len >= len && bytes_is_nocase((struct bytes){ type.data, len }, any);
	return other ? UNKNOWN : BINARY;
}

static enum rc
invalid(struct err *e, const char *text)
{
	return err_set(e, RC_INVALID, "ingest.malformed", "%s", text);
}

static enum rc
read_claims(const struct provider_setup *s UNUSED, const struct event *head,
	struct provider_claims *claims, struct err *e)
{
	enum mode mode = mode_of(head->content_type);
	/* Only whether there is one; verify decodes it. */
	claims->signature = event_header_value(head, "Authorization");
	for (size_t at = 0; claims->signature.data == NULL && at < head->query.len;) {
		const struct bytes rest = { head->query.data + at, head->query.len - at };
		const unsigned char *amp = memchr(rest.data, '&', rest.len);
		if (rest.len > strlen(TOKEN_KEY "=") &&
			memcmp(rest.data, TOKEN_KEY "=", strlen(TOKEN_KEY "=")) == 0)
			claims->signature = rest;
		at = amp == NULL ? head->query.len : at + (size_t)(amp - rest.data) + 1;
	}
	if (mode == UNKNOWN)
		return err_set(e, RC_CONFLICT, "ingest.malformed",
			"of CloudEvents' formats only JSON is taken");
	if (mode != BINARY)
		return RC_OK;
	for (const char *const *name = single_headers; *name != NULL; name++) {
		if (event_header_value(head, *name).len == 0)
			return err_set(e, RC_INVALID, "ingest.malformed", "%s is missing", *name);
	}
	if (!bytes_is(event_header_value(head, "ce-specversion"), "1.0"))
		return invalid(e, "ce-specversion is not 1.0");
	if (event_header_value(head, "ce-datacontenttype").data != NULL)
		return invalid(e, "ce-datacontenttype belongs into Content-Type");
	return RC_OK;
}

static bool
signature_formed(const struct provider_setup *s UNUSED, struct bytes signature)
{
	return signature.len > 0;
}

static bool
verify(const struct provider_check *c, struct bytes secret)
{
	struct bytes token = provider_authorization(c->head, "Bearer");
	bool has_header = event_header_value(c->head, "Authorization").data != NULL;
	/* Two tokens say two things (RFC 6750 §2). */
	struct bytes in_query = provider_query_value(c->head->query, TOKEN_KEY, c->a);
	if (has_header && in_query.data != NULL)
		return false;
	return provider_token_matches(has_header ? token : in_query, secret);
}

/* Takes the quotes and one round of percent escapes away (HTTP binding §3.1.3.2). */
static enum rc
read_attribute(const struct event *head, const char *name, struct arena *a, struct bytes *out,
	struct err *e)
{
	struct bytes value = event_header_value(head, name);
	if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"') {
		unsigned char *plain = arena_alloc(a, value.len);
		size_t n = 0;
		for (size_t i = 1; i + 1 < value.len; i++) {
			if (value.data[i] == '\\' && i + 2 < value.len)
				i++;
			plain[n++] = value.data[i];
		}
		value = (struct bytes){ plain, n };
	}
	*out = provider_unescape(value, false, a);
	if (out->data == NULL || out->len == 0 || !provider_is_claim(*out))
		return err_set(e, RC_INVALID, "ingest.malformed", "%s is malformed", name);
	return RC_OK;
}

static enum rc
read_binary(const struct provider_check *c, struct provider_claims *claims, struct err *e)
{
	enum rc rc = read_attribute(c->head, "ce-type", c->a, &claims->event, e);
	if (rc == RC_OK)
		rc = read_attribute(c->head, "ce-id", c->a, &claims->delivery, e);
	if (rc == RC_OK)
		rc = read_attribute(c->head, "ce-source", c->a, &claims->hook, e);
	return rc;
}

enum { SPECVERSION, ID, SOURCE, TYPE, DATA, DATA_BASE64, WHOLE, ATTRIBUTES };

static bool
is_set(struct jpath_value v)
{
	return v.type != JPATH_ABSENT && v.type != JPATH_NULL;
}

static enum rc
read_string(
	struct jpath_value v, const char *name, struct arena *a, struct bytes *out, struct err *e)
{
	bool altered = false;
	*out = v.type == JPATH_STRING ? jpath_text(v, a, &altered) : bytes_str("");
	if (out->len == 0 || altered || !provider_is_claim(*out))
		return err_set(e, RC_INVALID, "ingest.malformed",
			"an event's %s is missing or no good", name);
	return RC_OK;
}

static enum rc
read_event(const struct jpath_doc *doc, const size_t slots[ATTRIBUTES], size_t row, struct arena *a,
	struct provider_part *part, struct err *e)
{
	struct bytes version;
	struct jpath_value whole = jpath_get(doc, slots[WHOLE], row);
	if (whole.type != JPATH_OBJECT)
		return invalid(e, "an event is not an object");
	enum rc rc =
		read_string(jpath_get(doc, slots[SPECVERSION], row), "specversion", a, &version, e);
	if (rc == RC_OK && !bytes_is(version, "1.0"))
		rc = invalid(e, "specversion is not 1.0");
	if (rc == RC_OK)
		rc = read_string(jpath_get(doc, slots[ID], row), "id", a, &part->delivery, e);
	if (rc == RC_OK)
		rc = read_string(jpath_get(doc, slots[SOURCE], row), "source", a, &part->hook, e);
	if (rc == RC_OK)
		rc = read_string(jpath_get(doc, slots[TYPE], row), "type", a, &part->event, e);
	if (rc == RC_OK && is_set(jpath_get(doc, slots[DATA], row)) &&
		is_set(jpath_get(doc, slots[DATA_BASE64], row)))
		rc = invalid(e, "data and data_base64 exclude each other");
	part->body = whole.raw;
	part->content_type = bytes_str(JSON_TYPE);
	return rc;
}

/* Elements of the outermost array, more or less: never fewer than there are. Keeps a body of many
 * tiny ones from being taken apart. */
static size_t
count_elements(struct bytes json)
{
	size_t count = 1, depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < json.len; i++) {
		unsigned char c = json.data[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			depth++;
		} else if (c == ']' || c == '}') {
			depth -= depth > 0;
		} else if (c == ',' && depth == 1) {
			count++;
		}
	}
	return count;
}

static enum rc
add_paths(struct jpath_set *set, bool batch, size_t slots[ATTRIBUTES], struct err *e)
{
	static const char *const one[ATTRIBUTES] = { "specversion", "id", "source", "type", "data",
		"data_base64", "" };
	static const char *const many[ATTRIBUTES] = { "[].specversion", "[].id", "[].source",
		"[].type", "[].data", "[].data_base64", "[]" };
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < ATTRIBUTES; i++)
		rc = jpath_add(set, batch ? many[i] : one[i], &slots[i], e);
	return rc;
}

static enum rc
read_json(
	const struct provider_check *c, bool batch, struct provider_content *content, struct err *e)
{
	size_t slots[ATTRIBUTES], document = 0, rows = 0;
	struct jpath_doc *doc = NULL;
	struct provider_part *parts = NULL;
	if (batch && count_elements(c->body) > LIMIT_COMMIT_EVENTS)
		return err_set(e, RC_FULL, "ingest.too-large", "more than %d events in one batch",
			LIMIT_COMMIT_EVENTS);
	struct jpath_set *set = jpath_set_new();
	enum rc rc = add_paths(set, batch, slots, e);
	if (rc == RC_OK)
		rc = jpath_add(set, "", &document, e);
	if (rc == RC_OK)
		rc = jpath_walk(set, c->body, c->a, &doc, e);
	if (rc != RC_OK)
		goto done;
	if (batch && jpath_get(doc, document, 0).type != JPATH_ARRAY) {
		rc = invalid(e, "a batch is an array");
		goto done;
	}
	rows = jpath_rows(doc, slots[WHOLE]);
	parts = arena_zalloc(c->a, (rows + 1) * sizeof *parts);
	for (size_t row = 0; rc == RC_OK && row < rows; row++)
		rc = read_event(doc, slots, row, c->a, &parts[row], e);
done:
	jpath_set_free(set);
	if (rc != RC_OK)
		return rc;
	content->is_batch = batch;
	content->parts = parts;
	content->part_count = rows;
	if (!batch) {
		content->claims.event = parts[0].event;
		content->claims.delivery = parts[0].delivery;
		content->claims.hook = parts[0].hook;
	}
	return RC_OK;
}

static enum rc
read_body(const struct provider_check *c, struct provider_content *content, struct err *e)
{
	enum mode mode = mode_of(c->head->content_type);
	if (mode == BINARY)
		return read_binary(c, &content->claims, e);
	return read_json(c, mode == BATCH, content, e);
}

static size_t
count_header(const struct event *head, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < head->header_count; i++)
		count += bytes_is_nocase(head->headers[i].name, name);
	return count;
}

static enum rc
options_reply(const struct provider_setup *base, const struct event *head, struct arena *a,
	struct provider_reply *reply, struct err *e)
{
	const struct setup *s = (const struct setup *)base;
	struct bytes origin = event_header_value(head, ORIGIN_HEADER);
	bool allowed = false;
	/* Whole origins only: one that begins with an allowed one is another one. */
	for (size_t i = 0; i < s->origin_count; i++)
		allowed |= bytes_is(origin, s->origins[i]) || strcmp(s->origins[i], "*") == 0;
	if (count_header(head, ORIGIN_HEADER) != 1 || origin.len == 0 || !allowed)
		return err_set(e, RC_DENIED, "ingest.origin",
			"this sender is not among the source's allowed_origin");
	reply->headers[0].name = "Allow";
	reply->headers[0].value = "POST, OPTIONS";
	reply->headers[1].name = "WebHook-Allowed-Origin";
	reply->headers[1].value = arena_string(a, origin);
	reply->header_count = 2;
	if (event_header_value(head, RATE_HEADER).data != NULL) {
		reply->headers[2].name = "WebHook-Allowed-Rate";
		reply->headers[2].value = s->rate;
		reply->header_count = 3;
	}
	return RC_OK;
}

static enum rc
make_ping(const struct provider_setup *s UNUSED, struct bytes secret, struct arena *a,
	struct provider_ping *ping, struct err *e UNUSED)
{
	memset(ping, 0, sizeof *ping);
	ping->body = bytes_str("{\"hello\":\"world\"}");
	provider_ping_add(ping, "Content-Type", bytes_str("application/json"));
	provider_ping_add(ping, "ce-specversion", bytes_str("1.0"));
	provider_ping_add(ping, "ce-id", provider_uuid(a));
	provider_ping_add(ping, "ce-source", bytes_str("/hooklog/test"));
	provider_ping_add(ping, "ce-type", bytes_str("hooklog.test"));
	if (secret.len > 0)
		provider_ping_add(ping, "Authorization",
			bytes_str(arena_printf(
				a, "Bearer %.*s", (int)secret.len, (const char *)secret.data)));
	return RC_OK;
}

const struct provider provider_cloudevents = {
	.name = "cloudevents",
	.label = "CloudEvents",
	.setup = &default_setup.base,
	.options = options,
	.configure = configure,
	.read = read_claims,
	.signature_formed = signature_formed,
	.verify = verify,
	.read_body = read_body,
	.options_reply = options_reply,
	.ping = make_ping,
};
