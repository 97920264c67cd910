/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_XXH_H
#define BASE_XXH_H

#include "base/base.h"

/* XXH3 with seed 0 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md): fast hashes against
 * accident, not against somebody who wants two inputs to collide; for that there is base/crypto.h. The only
 * user of xxhash.h. All functions: any thread, no allocation, no failure. */

#define XXH128_BYTES 16

uint64_t xxh3(const void *data, size_t len);

/* XXH3-64 with a seed of the caller's. */
uint64_t xxh3_seeded(const void *data, size_t len, uint64_t seed);

/* XXH3-128, big-endian: the bytes that `xxh128sum` prints. */
void xxh128(struct bytes data, unsigned char out[XXH128_BYTES]);

#endif
