/* SPDX-License-Identifier: Apache-2.0 */
#include "base/xxh.h"
#include "store/db.h"
#include "store/index_key.h"

/* What is behind the first bytes of an id need not count: this only brings equal ones together. */
#define PREFIX_OF_BYTES 128

void
index_prefix(struct bytes delivery, unsigned char out[INDEX_PREFIX_BYTES])
{
	unsigned char lower[PREFIX_OF_BYTES], hash[8];
	size_t len = delivery.len < sizeof lower ? delivery.len : sizeof lower;
	for (size_t i = 0; i < len; i++)
		lower[i] = delivery.data[i] >= 'A' && delivery.data[i] <= 'Z' ? delivery.data[i] | 0x20
									: delivery.data[i];
	db_put_seq(hash, xxh3(lower, len));
	memcpy(out, hash, INDEX_PREFIX_BYTES);
}

bool
index_key_of(const struct event *ev, struct index_key *key)
{
	unsigned char lengths[3][8], hash[SHA256_BYTES];
	if (ev->delivery.len == 0)
		return false;
	index_prefix(ev->delivery, key->bytes);
	db_put_seq(lengths[0], ev->source.len);
	db_put_seq(lengths[1], ev->hook.len);
	db_put_seq(lengths[2], ev->delivery.len);
	const struct bytes parts[] = { { lengths[0], 8 }, ev->source, { lengths[1], 8 }, ev->hook,
		{ lengths[2], 8 }, ev->delivery };
	crypto_sha256_parts(parts, COUNT_OF(parts), hash);
	memcpy(key->bytes + INDEX_PREFIX_BYTES, hash, INDEX_KEY_BYTES - INDEX_PREFIX_BYTES);
	return true;
}

void
index_key_with_body(const struct index_key *key, const unsigned char body_xxh128[XXH128_BYTES],
	struct index_key *out)
{
	unsigned char hash[SHA256_BYTES];
	const struct bytes parts[] = { { key->bytes, INDEX_KEY_BYTES }, { body_xxh128, XXH128_BYTES } };
	crypto_sha256_parts(parts, COUNT_OF(parts), hash);
	memcpy(out->bytes, key->bytes, INDEX_PREFIX_BYTES);
	memcpy(out->bytes + INDEX_PREFIX_BYTES, hash, INDEX_KEY_BYTES - INDEX_PREFIX_BYTES);
}

bool
index_is_body(const struct index_entry *entry, const unsigned char body_xxh128[XXH128_BYTES])
{
	return memcmp(entry->body, body_xxh128, INDEX_BODY_BYTES) == 0;
}
