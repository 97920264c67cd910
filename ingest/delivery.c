/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "ingest/delivery.h"

static bool
refuse(struct refusal *no, unsigned status, const char *id, const char *error)
{
	*no = (struct refusal){ .status = status, .id = id, .error = error };
	return false;
}

static bool
not_signed(struct refusal *no, const char *error)
{
	return refuse(no, 401, "ingest.signature", error);
}

static bool
check_copies(const struct delivery *d, const struct guard_request *request, struct refusal *no)
{
	const struct provider_setup *setup = d->source->setup;
	if (setup->single_headers != NULL && !guard_once(request, setup->single_headers, no))
		return false;
	if (setup->secret_headers != NULL && !guard_once(request, setup->secret_headers, no))
		return not_signed(
			no, "there is more than one signature of a kind that comes alone");
	return true;
}

static bool
begin_relay(struct delivery *d, const struct guard_request *request, struct refusal *no)
{
	static const char *const once[] = { SIGN_RELAY_SIGNATURE, SIGN_RELAY_RECEIVED,
		SIGN_RELAY_ORIGIN, SIGN_RELAY_EVENT, SIGN_RELAY_DELIVERY, SIGN_RELAY_HOOK, NULL };
	struct relay *r = &d->relay;
	const struct event *head = &d->head;
	r->what = (struct sign_relay){ .received_at =
					       event_header_value(head, SIGN_RELAY_RECEIVED),
		.origin = event_header_value(head, SIGN_RELAY_ORIGIN),
		.event = event_header_value(head, SIGN_RELAY_EVENT),
		.delivery = event_header_value(head, SIGN_RELAY_DELIVERY),
		.hook = event_header_value(head, SIGN_RELAY_HOOK) };
	r->given = true;
	if (!guard_once(request, once, no))
		return false;
	if (!sign_relay_read(event_header_value(head, SIGN_RELAY_SIGNATURE), &r->what.signed_at_s,
		    r->mac))
		return not_signed(no, "the signature of the replay is malformed");
	if (!clock_parse_us(r->what.received_at, &r->received_at_us) ||
		!event_origin_parse(r->what.origin, &r->origin))
		return refuse(no, 400, "ingest.malformed",
			"the replay does not say when and how its event first came");
	d->claims.event = r->what.event;
	d->claims.delivery = r->what.delivery;
	d->claims.hook = r->what.hook;
	return true;
}

bool
delivery_begin(struct delivery *d, const struct source *source, const struct guard_request *request,
	const struct guard_facts *facts, struct arena *a, struct refusal *no)
{
	const struct provider *provider = source->provider;
	const struct bytes nothing = bytes_str("");
	struct err e = { .rc = RC_OK };
	*d = (struct delivery){ .source = source, .arena = a };
	d->head = (struct event){ .headers = request->headers,
		.header_count = request->header_count,
		.query = facts->query,
		.content_type = facts->content_type,
		.method = request->method };
	d->claims = (struct provider_claims){ nothing, nothing, nothing, { NULL, 0 }, nothing };
	if (source->trust_replays &&
		event_header_value(&d->head, SIGN_RELAY_SIGNATURE).data != NULL)
		return begin_relay(d, request, no);
	if (!check_copies(d, request, no))
		return false;
	enum rc rc = provider->read(source->setup, &d->head, &d->claims, &e);
	if (rc == RC_DENIED && source->allow_unsigned)
		rc = RC_OK;
	if (rc != RC_OK)
		return refuse(no,
			rc == RC_DENIED     ? 401
			: rc == RC_CONFLICT ? 415
					    : 400,
			rc == RC_DENIED ? "ingest.signature" : "ingest.malformed",
			arena_string(a, bytes_str(e.text)));
	if (source->allow_unsigned)
		return true;
	if (d->claims.signature.data == NULL) {
		d->unsigned_ping = provider->unsigned_ping != NULL &&
				   bytes_is(d->claims.event, provider->unsigned_ping);
		return d->unsigned_ping || not_signed(no, "the delivery is not signed");
	}
	if (!provider->signature_formed(source->setup, d->claims.signature))
		return not_signed(no, "the signature is malformed");
	return true;
}

bool
delivery_check_time(const struct delivery *d, int64_t now_s, struct refusal *no)
{
	int64_t window_s = d->source->setup->window_s, at_s = 0;
	if (d->relay.given) {
		at_s = d->relay.what.signed_at_s;
		return (at_s >= now_s - SIGN_RELAY_WINDOW_S &&
			       at_s <= now_s + SIGN_RELAY_WINDOW_S) ||
		       not_signed(no, "the replay was signed too far from this receiver's clock");
	}
	if (window_s == 0 || d->source->allow_unsigned || d->unsigned_ping)
		return true;
	if (!provider_parse_seconds(d->claims.timestamp, &at_s))
		return not_signed(no, "the timestamp is no number of seconds");
	if (at_s < now_s - window_s || at_s > now_s + window_s)
		return not_signed(no, "the timestamp is too far from this receiver's clock");
	return true;
}

bool
delivery_verify(struct delivery *d, struct bytes body, int64_t now_us, const char **key_id)
{
	const struct source *source = d->source;
	struct provider_check check = { source->setup, &d->head, body, body, &d->claims, d->arena };
	bool matched = false;
	*key_id = "";
	if (source->allow_unsigned)
		return true;
	if (d->unsigned_ping)
		return false;
	if (!d->relay.given && source->provider->message != NULL &&
		!source->provider->message(&check))
		return false;
	/* Tries every active secret, also after one matched: the time must not tell which. */
	for (size_t i = 0; i < source->secret_count; i++) {
		const struct source_secret *secret = &source->secrets[i];
		if (!source_secret_active(secret, now_us))
			continue;
		bool this_one = d->relay.given
					? sign_relay_matches(secret->value, &d->relay.what, body,
						  d->relay.mac)
					: source->provider->verify(&check, secret->value);
		if (this_one && !matched)
			*key_id = secret->key_id;
		matched |= this_one;
	}
	return matched;
}

/* "sha256:" and the hexadecimal hash of the body. */
static struct bytes
id_of_body(struct bytes body, struct arena *a)
{
	unsigned char hash[SHA256_BYTES];
	struct buf text = buf_new(128);
	crypto_sha256(body, hash);
	buf_put_str(&text, "sha256:");
	buf_put_hex(&text, hash, sizeof hash);
	struct bytes id = arena_copy(a, buf_bytes(&text));
	buf_free(&text);
	return id;
}

bool
delivery_read_body(struct delivery *d, struct bytes body, struct refusal *no)
{
	const struct provider *provider = d->source->provider;
	const struct provider_check check = { d->source->setup, &d->head, body, body, &d->claims,
		d->arena };
	struct err e = { .rc = RC_OK };
	d->content = (struct provider_content){ .claims = d->claims };
	if (d->relay.given)
		return true;
	if (provider->read_body != NULL && provider->read_body(&check, &d->content, &e) != RC_OK)
		return refuse(no, e.rc == RC_FULL ? 413 : 400,
			e.rc == RC_FULL ? "ingest.too-large" : "ingest.malformed",
			arena_string(d->arena, bytes_str(e.text)));
	if (!d->content.is_batch && d->content.claims.delivery.len == 0 && provider->body_is_id)
		d->content.claims.delivery = id_of_body(body, d->arena);
	return true;
}
