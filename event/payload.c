/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event.h"

/* Whether the content type without its parameters is that of a form (RFC 9110 §8.3.1). */
static bool
is_form(struct bytes type)
{
	const unsigned char *end = type.len > 0 ? memchr(type.data, ';', type.len) : NULL;
	if (end != NULL)
		type.len = (size_t)(end - type.data);
	while (type.len > 0 && (type.data[0] == ' ' || type.data[0] == '\t')) {
		type.data++;
		type.len--;
	}
	while (type.len > 0 && (type.data[type.len - 1] == ' ' || type.data[type.len - 1] == '\t'))
		type.len--;
	return bytes_is_nocase(type, "application/x-www-form-urlencoded");
}

/* Decodes one name or value of a form (WHATWG URL §5.1) into out, which has room for in.len bytes,
 * and sets *len. False: a '%' without two hexadecimal digits; WHATWG would keep it as it is, but a
 * payload that has one was damaged on the way. */
static bool
form_decode(struct bytes in, unsigned char *out, size_t *len)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = in.data[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (in.len - i < 3 ||
				!crypto_unhex((struct bytes){ in.data + i + 1, 2 }, &c, 1))
				return false;
			i += 2;
		}
		out[n++] = c;
	}
	*len = n;
	return true;
}

/* Takes the next field, up to '&', from the front of *form. False: there is none. */
static bool
next_field(struct bytes *form, struct bytes *name, struct bytes *value)
{
	if (form->len == 0)
		return false;
	const unsigned char *amp = memchr(form->data, '&', form->len);
	size_t len = amp != NULL ? (size_t)(amp - form->data) : form->len;
	const unsigned char *equals = len > 0 ? memchr(form->data, '=', len) : NULL;
	size_t name_len = equals != NULL ? (size_t)(equals - form->data) : len;
	*name = (struct bytes){ form->data, name_len };
	*value = equals != NULL ? (struct bytes){ equals + 1, len - name_len - 1 }
				: (struct bytes){ form->data + len, 0 };
	size_t used = len + (amp != NULL);
	form->data += used;
	form->len -= used;
	return true;
}

static bool
is_payload(struct bytes name)
{
	unsigned char text[3 * 7]; /* "payload" with every byte escaped */
	size_t len;
	return name.len <= sizeof text && form_decode(name, text, &len) &&
	       bytes_is((struct bytes){ text, len }, "payload");
}

void
event_body_sha256(const struct event *ev, unsigned char out[SHA256_BYTES])
{
	if ((ev->flags & EVENT_FLAG_REDACTED) != 0)
		memcpy(out, ev->erased_sha256, SHA256_BYTES);
	else
		crypto_sha256(ev->body, out);
}

enum rc
event_payload(const struct event *ev, struct arena *a, struct bytes *json, struct err *e)
{
	if ((ev->flags & EVENT_FLAG_REDACTED) != 0)
		return err_set(e, RC_INVALID, "event.redacted", "the body was erased by `hooklog log redact`");
	if (!is_form(ev->content_type)) {
		*json = ev->body;
		return RC_OK;
	}
	struct bytes form = ev->body, name, value;
	while (next_field(&form, &name, &value)) {
		if (!is_payload(name))
			continue;
		if (value.len == 0 || (memchr(value.data, '%', value.len) == NULL &&
					      memchr(value.data, '+', value.len) == NULL)) {
			*json = value;
			return RC_OK;
		}
		unsigned char *out = arena_alloc(a, value.len);
		if (!form_decode(value, out, &json->len))
			return err_set(e, RC_INVALID, "event.form-invalid",
				"the field payload of the form has a '%%' without two hexadecimal "
				"digits");
		json->data = out;
		return RC_OK;
	}
	return err_set(e, RC_INVALID, "event.form-invalid", "the form has no field payload");
}
