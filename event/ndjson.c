/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "event/event.h"
#include "event/jpath.h"

/* A string literal. */
#define PUT(out, text) buf_put(out, text, sizeof(text) - 1)

/* Appends data as a JSON string, each byte that is not part of well-formed UTF-8 as U+FFFD; false when
 * there was one. */
static bool
put_lossy(struct buf *out, struct bytes data)
{
	if (buf_put_json_plain(out, data))
		return true;
	if (utf8_valid(data)) {
		buf_put_json(out, data);
		return true;
	}
	/* Rare and short (a header, a path), so it may take a copy. */
	struct buf text = buf_new(3 * data.len);
	for (size_t i = 0, len; i < data.len; i += len) {
		unsigned char c = data.data[i];
		len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		if (len <= data.len - i && utf8_valid((struct bytes){ data.data + i, len })) {
			buf_put(&text, data.data + i, len);
		} else {
			PUT(&text, "\xef\xbf\xbd");
			len = 1;
		}
	}
	buf_put_json(out, buf_bytes(&text));
	buf_free(&text);
	return false;
}

static void
put_base64(struct buf *out, struct bytes data)
{
	buf_put_char(out, '"');
	crypto_put_base64(out, data);
	buf_put_char(out, '"');
}

/* Appends ,"key":"value", and ,"key_base64":"..." when the value is not UTF-8. start is what stands
 * before the value. */
static inline void
put_text(struct buf *out, const char *start, size_t len, const char *key, struct bytes value)
{
	buf_put(out, start, len);
	if (!put_lossy(out, value)) {
		buf_printf(out, ",\"%s_base64\":", key);
		put_base64(out, value);
	}
}
#define PUT_TEXT(out, key, value) \
	put_text(out, ",\"" key "\":", sizeof(",\"" key "\":") - 1, key, value)

static void
put_number(struct buf *out, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;
	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_put(out, digits + i, sizeof digits - i);
}

/* [name, value], and a third element with the value's exact bytes when it is not UTF-8. Names are
 * tokens of ASCII as HTTP demands; another one is shown as well as it can be. */
static void
put_headers(struct buf *out, const struct event *ev)
{
	PUT(out, ",\"headers\":[");
	for (size_t i = 0; i < ev->header_count; i++) {
		const struct event_header *h = &ev->headers[i];
		if (i > 0)
			buf_put_char(out, ',');
		buf_put_char(out, '[');
		(void)put_lossy(out, h->name);
		buf_put_char(out, ',');
		if (!put_lossy(out, h->value)) {
			buf_put_char(out, ',');
			put_base64(out, h->value);
		}
		buf_put_char(out, ']');
	}
	buf_put_char(out, ']');
}

static const char *
verified_name(enum event_verified verified)
{
	static const char *const names[] = {
		[EVENT_VERIFIED_NONE] = "none",
		[EVENT_VERIFIED_OK] = "ok",
		[EVENT_VERIFIED_FAILED] = "failed",
	};
	ASSERT((size_t)verified < COUNT_OF(names));
	return names[verified];
}

bool
event_put_json_head(struct buf *out, const struct event *ev)
{
	char at[CLOCK_TEXT_BYTES];
	clock_format_us(ev->received_at_us, at);
	bool key_reused = (ev->flags & EVENT_FLAG_KEY_REUSED) != 0;

	PUT(out, "{\"seq\":");
	put_number(out, ev->seq);
	PUT(out, ",\"received_at\":\"");
	buf_put_str(out, at);
	buf_put_char(out, '"');
	PUT_TEXT(out, "source", ev->source);
	PUT_TEXT(out, "provider", ev->provider);
	PUT_TEXT(out, "origin", bytes_str(event_origin_name(ev->origin)));
	PUT_TEXT(out, "event", ev->event);
	PUT_TEXT(out, "delivery", ev->delivery);
	PUT_TEXT(out, "hook", ev->hook);
	PUT_TEXT(out, "verified", bytes_str(verified_name(ev->verified)));
	PUT_TEXT(out, "scheme", ev->scheme);
	PUT_TEXT(out, "key_id", ev->key_id);
	PUT_TEXT(out, "method", ev->method);
	PUT_TEXT(out, "path", ev->path);
	PUT_TEXT(out, "query", ev->query);
	PUT_TEXT(out, "content_type", ev->content_type);
	PUT_TEXT(out, "remote", ev->remote);
	put_headers(out, ev);
	PUT(out, ",\"flags\":{\"key_reused\":");
	buf_put_str(out, key_reused ? "true" : "false");
	buf_put_str(out, (ev->flags & EVENT_FLAG_REDACTED) != 0 ? ",\"redacted\":true}" : "}");
	if (key_reused)
		buf_printf(out, ",\"same_key_seq\":%" PRIu64, ev->same_key_seq);
	PUT(out, ",\"body_xxh128\":\"");
	buf_put_hex(out, ev->body_xxh128, sizeof ev->body_xxh128);
	if ((ev->flags & EVENT_FLAG_REDACTED) != 0) {
		PUT(out, "\",\"erased_sha256\":\"");
		buf_put_hex(out, ev->erased_sha256, sizeof ev->erased_sha256);
	}
	PUT(out, "\",\"body_bytes\":");
	put_number(out, ev->body.len);
	if (jpath_is_line(ev->body)) {
		PUT(out, ",\"body\":");
		return true;
	}
	if (utf8_valid(ev->body)) {
		PUT(out, ",\"body\":");
		buf_put_json(out, ev->body);
	} else {
		PUT(out, ",\"body_base64\":");
		put_base64(out, ev->body);
	}
	return false;
}

void
event_put_json(struct buf *out, const struct event *ev)
{
	if (event_put_json_head(out, ev))
		buf_put_bytes(out, ev->body);
	buf_put_char(out, '}');
}
