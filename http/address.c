/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "http/address.h"

/* Everything of 2000::/3 that is not somebody's public address, and of IPv4 as a whole
 * (iana.org/assignments/iana-ipv4-special-registry and -ipv6-). */
static const char *const special[] = { "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
	"169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20" };

/* The address as 16 bytes, IPv4 as a mapped one. False: another family. */
static bool
to_v6(const struct sockaddr *address, unsigned char out[16])
{
	if (address->sa_family == AF_INET) {
		memset(out, 0, 10);
		out[10] = out[11] = 0xff;
		memcpy(out + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(out, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
	return true;
}

static bool
is_mapped(const unsigned char a[16])
{
	static const unsigned char prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	return memcmp(a, prefix, sizeof(prefix)) == 0;
}

bool
address_in(const struct sockaddr *address, struct bytes range)
{
	char text[64];
	unsigned char a[16], net[16] = { 0 };
	if (range.len == 0 || range.len >= sizeof(text) || !to_v6(address, a))
		return false;
	memcpy(text, range.data, range.len);
	text[range.len] = '\0';
	char *slash = strchr(text, '/');
	if (slash != NULL)
		*slash++ = '\0';
	bool v4 = strchr(text, ':') == NULL;
	if (v4) {
		net[10] = net[11] = 0xff;
		if (inet_pton(AF_INET, text, net + 12) != 1)
			return false;
	} else if (inet_pton(AF_INET6, text, net) != 1) {
		return false;
	}
	/* "::/0" means all of IPv6 and no more. */
	if (v4 != is_mapped(a))
		return false;
	unsigned long bits = v4 ? 32 : 128, given = bits;
	if (slash != NULL) {
		if (slash[0] == '\0' || strspn(slash, "0123456789") != strlen(slash) ||
			strlen(slash) > 3)
			return false;
		given = strtoul(slash, NULL, 10);
	}
	if (given > bits)
		return false;
	given += 128 - bits;
	for (size_t i = 0; i < given; i++) {
		unsigned char mask = (unsigned char)(0x80U >> (i % 8));
		if ((a[i / 8] & mask) != (net[i / 8] & mask))
			return false;
	}
	return true;
}

bool
address_is_global(const struct sockaddr *address)
{
	unsigned char a[16];
	if (!to_v6(address, a))
		return false;
	if (!is_mapped(a) && (a[0] & 0xe0) != 0x20) /* not 2000::/3 */
		return false;
	for (size_t i = 0; i < COUNT_OF(special); i++)
		if (address_in(address, bytes_str(special[i])))
			return false;
	return true;
}

void
address_text(const struct sockaddr *address, char *out, size_t out_bytes)
{
	unsigned char a[16];
	snprintf(out, out_bytes, "?");
	if (!to_v6(address, a))
		return;
	if (is_mapped(a))
		(void)inet_ntop(AF_INET, a + 12, out, (socklen_t)out_bytes);
	else
		(void)inet_ntop(AF_INET6, a, out, (socklen_t)out_bytes);
}
