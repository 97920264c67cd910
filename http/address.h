/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H

#include <sys/socket.h>

#include "base/base.h"

/* Which addresses a request may go to. Any thread. */

/* Whether the address belongs to the public internet: none of the special-purpose ranges of IANA
 * (RFC 6890 and its registries), neither as such nor inside a mapped, 6to4, Teredo or NAT64
 * address. Anything but IPv4 and IPv6 is not. */
bool address_is_global(const struct sockaddr *address);

/* Whether the address is in a range such as "10.0.0.0/8" or "::1", one address without a slash.
 * False for anything that is no range. IPv4 ranges hold mapped addresses, too. */
bool address_in(const struct sockaddr *address, struct bytes range);

/* Writes the address without its port. */
void address_text(const struct sockaddr *address, char *out, size_t out_bytes);

#endif
