/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "ingest/guard.h"

/* Headers that decide where a message ends or who it is for. A second copy means that somebody
 * between the sender and us may have obeyed the other one. */
static const char *const framing_headers[] = {
	"Content-Length",
	"Transfer-Encoding",
	"Host",
	"Content-Type",
	"Content-Encoding",
	NULL,
};

static bool
refuse(struct refusal *no, unsigned status, const char *id, const char *error)
{
	*no = (struct refusal){ .status = status, .id = id, .error = error };
	return false;
}

static bool
malformed(struct refusal *no, const char *error)
{
	return refuse(no, 400, "ingest.malformed", error);
}

/* tchar of RFC 9110 §5.6.2. */
static bool
is_token(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = name.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool digit = c >= '0' && c <= '9';
		if (!letter && !digit && (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return name.len > 0;
}

/* Field values may hold tabs, printable ASCII and bytes from 0x80 on (RFC 9110 §5.5). */
static bool
is_field_value(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = value.data[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool
is_visible(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] <= 0x20 || text.data[i] >= 0x7f)
			return false;
	}
	return text.len > 0;
}

static size_t
count_of(const struct guard_request *request, const char *name, struct bytes *value)
{
	size_t count = 0;
	for (size_t i = 0; i < request->header_count; i++) {
		if (!bytes_is_nocase(request->headers[i].name, name))
			continue;
		if (count++ == 0)
			*value = request->headers[i].value;
	}
	return count;
}

bool
guard_once(const struct guard_request *request, const char *const *names, struct refusal *no)
{
	struct bytes ignored;
	for (; *names != NULL; names++) {
		if (count_of(request, *names, &ignored) > 1)
			return malformed(no, "a header that may occur once occurs more than once");
	}
	return true;
}

static bool
parse_length(struct bytes text, uint64_t *length)
{
	*length = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || *length > UINT64_MAX / 10 - 1)
			return false;
		*length = *length * 10 + (uint64_t)(text.data[i] - '0');
	}
	return text.len > 0;
}

static bool
check_framing(const struct guard_request *request, struct guard_facts *facts, struct refusal *no)
{
	struct bytes length, coding;
	size_t lengths = count_of(request, "Content-Length", &length);
	size_t codings = count_of(request, "Transfer-Encoding", &coding);
	if (lengths > 0 && codings > 0)
		return malformed(no, "Content-Length and Transfer-Encoding exclude each other");
	if (codings > 0) {
		if (!facts->http11)
			return malformed(no, "Transfer-Encoding needs HTTP/1.1");
		if (!bytes_is_nocase(coding, "chunked"))
			return malformed(no, "the only Transfer-Encoding taken is chunked");
		facts->chunked = true;
	}
	if (lengths > 0 && !parse_length(length, &facts->content_length))
		return malformed(no, "Content-Length is not a number");
	return true;
}

/* Splits the target in origin form, or in absolute form, which RFC 9112 §3.2.2 obliges a server to
 * take. The path is compared as sent: a source's name needs no percent escapes. */
static void
split_target(struct bytes uri, struct guard_facts *facts)
{
	static const char scheme[] = "http://";
	if (uri.len >= sizeof scheme - 1 &&
		strncasecmp((const char *)uri.data, scheme, sizeof scheme - 1) == 0) {
		uri.data += sizeof scheme - 1;
		uri.len -= sizeof scheme - 1;
		while (uri.len > 0 && uri.data[0] != '/') {
			uri.data++;
			uri.len--;
		}
	}
	facts->path = uri;
	facts->query = bytes_str("");
	for (size_t i = 0; i < uri.len; i++) {
		if (uri.data[i] == '?') {
			facts->path.len = i;
			facts->query = (struct bytes){ uri.data + i + 1, uri.len - i - 1 };
			return;
		}
	}
}

static bool
is_form(struct bytes content_type)
{
	static const char form[] = "application/x-www-form-urlencoded";
	size_t len = sizeof form - 1;
	if (content_type.len < len || strncasecmp((const char *)content_type.data, form, len) != 0)
		return false;
	return content_type.len == len || content_type.data[len] == ';' ||
	       content_type.data[len] == ' ' || content_type.data[len] == '\t';
}

bool
guard_head(const struct guard_request *request, struct guard_facts *facts, struct refusal *no)
{
	*facts = (struct guard_facts){ .content_type = bytes_str("") };
	facts->http11 = bytes_is(request->version, "HTTP/1.1");
	if (!facts->http11 && !bytes_is(request->version, "HTTP/1.0"))
		return malformed(no, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	if (!is_token(request->method) || !is_visible(request->uri))
		return malformed(no, "the request line is malformed");
	if (request->header_count > LIMIT_HEADERS)
		return malformed(no, "too many headers");
	for (size_t i = 0; i < request->header_count; i++) {
		if (!is_token(request->headers[i].name))
			return malformed(no, "a header has a malformed name");
		if (!is_field_value(request->headers[i].value))
			return malformed(no, "a header has control characters in its value");
	}
	if (!guard_once(request, framing_headers, no) || !check_framing(request, facts, no))
		return false;
	struct bytes host;
	if (facts->http11 && count_of(request, "Host", &host) == 0)
		return malformed(no, "HTTP/1.1 needs a Host");
	split_target(request->uri, facts);
	if (count_of(request, "Content-Type", &facts->content_type) > 0)
		facts->form = is_form(facts->content_type);
	return true;
}

size_t
guard_body_max(const struct guard_facts *facts)
{
	return facts->form ? LIMIT_FORM_BODY_BYTES : LIMIT_BODY_BYTES;
}

bool
guard_body(const struct guard_request *request, const struct guard_facts *facts, struct refusal *no)
{
	struct bytes coding;
	if (count_of(request, "Content-Encoding", &coding) > 0 && coding.len > 0 &&
		!bytes_is_nocase(coding, "identity"))
		return refuse(no, 415, "ingest.malformed",
			"Content-Encoding is not taken: the signature covers the plain bytes");
	if (facts->content_length > guard_body_max(facts))
		return refuse(no, 413, "ingest.too-large", "the body is larger than what is taken");
	return true;
}

bool
guard_is_source_name(struct bytes name)
{
	if (name.len == 0 || name.len > LIMIT_SOURCE_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = name.data[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!word && (i == 0 || (c != '_' && c != '-')))
			return false;
	}
	return true;
}

struct bytes
guard_source_name(struct bytes path)
{
	static const char prefix[] = "/in/";
	size_t len = sizeof prefix - 1;
	if (path.len <= len || memcmp(path.data, prefix, len) != 0)
		return (struct bytes){ NULL, 0 };
	struct bytes name = { path.data + len, path.len - len };
	return guard_is_source_name(name) ? name : (struct bytes){ NULL, 0 };
}
