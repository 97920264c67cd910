/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_KEY_H
#define STORE_INDEX_KEY_H

#include "event/event.h"

/* What the index knows a delivery by, and what it knows of it.
 *
 * The key of a delivery is a short hash of its id, in lower case, that brings all records with this id
 * together, and 128 bits of SHA-256 over (source, hook, delivery) with their lengths. Nobody finds two
 * deliveries with the same key by accident, and a hit is compared with the record itself before it
 * counts (writer.c). */

#define INDEX_PREFIX_BYTES 4
#define INDEX_KEY_BYTES (INDEX_PREFIX_BYTES + 16)
#define INDEX_BODY_BYTES XXH128_BYTES /* its XXH3-128 */

struct index_key {
	unsigned char bytes[INDEX_KEY_BYTES];
};

struct index_entry {
	uint64_t seq;
	unsigned char body[INDEX_BODY_BYTES]; /* the body's XXH3-128 */
};

/* False: the event has no delivery id, so it has no key. */
bool index_key_of(const struct event *ev, struct index_key *key);

/* The key of a second body under the same delivery, so that its redeliveries are found, too. */
void index_key_with_body(const struct index_key *key, const unsigned char body_xxh128[XXH128_BYTES],
	struct index_key *out);

/* The first bytes of every key of this delivery id. */
void index_prefix(struct bytes delivery, unsigned char out[INDEX_PREFIX_BYTES]);

/* The same of a key, as a number: keys in their order have rising ones. */
static inline uint32_t
index_prefix_number(const struct index_key *key)
{
	const unsigned char *b = key->bytes;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

bool index_is_body(const struct index_entry *entry, const unsigned char body_xxh128[XXH128_BYTES]);

#endif
