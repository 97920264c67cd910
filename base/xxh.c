/* SPDX-License-Identifier: Apache-2.0 */
#include <xxhash.h>

#include "base/xxh.h"

uint64_t
xxh3(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

uint64_t
xxh3_seeded(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}

void
xxh128(struct bytes data, unsigned char out[XXH128_BYTES])
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(data.data, data.len));
	memcpy(out, canonical.digest, XXH128_BYTES);
}
