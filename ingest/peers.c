/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "ingest/peers.h"

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static struct peer
from_v4(const void *address)
{
	struct peer p = { .unix_socket = false };
	memcpy(p.bytes, mapped, sizeof mapped);
	memcpy(p.bytes + sizeof mapped, address, 4);
	return p;
}

struct peer
peer_of(const struct sockaddr *address)
{
	struct peer p = { .unix_socket = false };
	if (address != NULL && address->sa_family == AF_INET) {
		struct sockaddr_in in4;
		memcpy(&in4, address, sizeof in4);
		return from_v4(&in4.sin_addr);
	}
	if (address != NULL && address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		memcpy(p.bytes, &in6.sin6_addr, sizeof p.bytes);
		return p;
	}
	p.unix_socket = true;
	return p;
}

/* "192.0.2.1", "192.0.2.1:5", "2001:db8::1", "[2001:db8::1]:5". */
static bool
parse_address(struct bytes text, struct peer *out)
{
	char copy[INET6_ADDRSTRLEN + 1];
	unsigned char raw[16];
	while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
		text.data++;
		text.len--;
	}
	while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
		text.len--;
	const unsigned char *colon = memchr(text.data, ':', text.len);
	if (text.len > 0 && text.data[0] == '[') {
		const unsigned char *end = memchr(text.data, ']', text.len);
		if (end == NULL)
			return false;
		text = (struct bytes){ text.data + 1, (size_t)(end - text.data) - 1 };
	} else if (colon != NULL &&
		   memchr(colon + 1, ':', text.len - (size_t)(colon + 1 - text.data)) == NULL) {
		text.len = (size_t)(colon - text.data);
	}
	if (text.len == 0 || text.len >= sizeof copy)
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, raw) == 1) {
		*out = from_v4(raw);
		return true;
	}
	*out = (struct peer){ .unix_socket = false };
	return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

static enum rc
parse_one(struct bytes text, struct peers *out, struct err *e)
{
	struct peer base = { .unix_socket = true };
	unsigned bits = 128;
	const unsigned char *slash = memchr(text.data, '/', text.len);
	struct bytes address = text;
	if (slash != NULL)
		address.len = (size_t)(slash - text.data);
	if (out->count == PEERS_MAX)
		return err_set(e, RC_INVALID, "config.invalid",
			"ingest.trusted_proxies: at most %d", PEERS_MAX);
	bool ok = bytes_is(text, "unix") || parse_address(address, &base);
	if (ok && slash != NULL) {
		bool v4 = memcmp(base.bytes, mapped, sizeof mapped) == 0;
		unsigned value = 0;
		const unsigned char *end = text.data + text.len;
		ok = end - slash > 1 && end - slash <= 4;
		for (const unsigned char *p = slash + 1; ok && p < end; p++) {
			ok = *p >= '0' && *p <= '9';
			value = value * 10 + (unsigned)(*p - '0');
		}
		ok = ok && value <= (v4 ? 32u : 128u);
		bits = v4 ? 96 + value : value;
	}
	if (!ok)
		return err_set(e, RC_INVALID, "config.invalid",
			"ingest.trusted_proxies: \"%.*s\" is no address; write 127.0.0.1, "
			"10.0.0.0/8, "
			"::1 or unix",
			(int)text.len, (const char *)text.data);
	out->list[out->count].base = base;
	out->list[out->count++].bits = bits;
	return RC_OK;
}

enum rc
peers_parse(const char *text, struct peers *out, struct err *e)
{
	*out = (struct peers){ .count = 0 };
	enum rc rc = RC_OK;
	while (rc == RC_OK && *text != '\0') {
		size_t skip = strspn(text, " ,\t");
		text += skip;
		size_t len = strcspn(text, " ,\t");
		if (len > 0)
			rc = parse_one((struct bytes){ (const unsigned char *)text, len }, out, e);
		text += len;
	}
	return rc;
}

bool
peers_have(const struct peers *p, const struct peer *peer)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct peer *base = &p->list[i].base;
		unsigned whole = p->list[i].bits / 8, rest = p->list[i].bits % 8;
		if (base->unix_socket || peer->unix_socket) {
			if (base->unix_socket && peer->unix_socket)
				return true;
			continue;
		}
		if (memcmp(base->bytes, peer->bytes, whole) != 0)
			continue;
		if (rest == 0 || ((base->bytes[whole] ^ peer->bytes[whole]) >> (8 - rest)) == 0)
			return true;
	}
	return false;
}

static struct bytes
peer_text(const struct peer *p, unsigned port, struct arena *a)
{
	char host[INET6_ADDRSTRLEN] = "";
	if (p->unix_socket)
		return bytes_str("unix");
	bool v4 = memcmp(p->bytes, mapped, sizeof mapped) == 0;
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? p->bytes + sizeof mapped : p->bytes, host,
		sizeof host);
	if (port == 0)
		return bytes_str(arena_string(a, bytes_str(host)));
	return bytes_str(arena_printf(a, v4 ? "%s:%u" : "[%s]:%u", host, port));
}

static unsigned
port_of(const struct sockaddr *address)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	if (address != NULL && address->sa_family == AF_INET) {
		memcpy(&in4, address, sizeof in4);
		return ntohs(in4.sin_port);
	}
	if (address != NULL && address->sa_family == AF_INET6) {
		memcpy(&in6, address, sizeof in6);
		return ntohs(in6.sin6_port);
	}
	return 0;
}

struct bytes
peer_client(const struct peers *trusted, const struct sockaddr *address,
	const struct event_header *headers, size_t count, struct arena *a)
{
	struct peer at = peer_of(address);
	if (!peers_have(trusted, &at))
		return peer_text(&at, port_of(address), a);
	/* Each proxy adds who it saw at the end: the last one that is not ours is the sender. */
	bool any = false;
	for (size_t i = count; i > 0; i--) {
		if (!bytes_is_nocase(headers[i - 1].name, "X-Forwarded-For"))
			continue;
		struct bytes rest = headers[i - 1].value;
		while (rest.len > 0) {
			const unsigned char *comma = memrchr(rest.data, ',', rest.len);
			size_t from = comma == NULL ? 0 : (size_t)(comma - rest.data) + 1;
			struct peer next;
			if (!parse_address(
				    (struct bytes){ rest.data + from, rest.len - from }, &next))
				goto done;
			at = next;
			any = true;
			if (!peers_have(trusted, &at))
				goto done;
			rest.len = comma == NULL ? 0 : from - 1;
		}
	}
done:
	return peer_text(&at, any ? 0 : port_of(address), a);
}
