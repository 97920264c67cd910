/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/crypto.h"

/* SHA-256 over bytes that come piece by piece. One thread at a time. */
struct hash;

struct hash *hash_new(void);
void hash_add(struct hash *h, struct bytes data);
/* The hash of everything added so far; more may be added afterwards. */
void hash_peek(const struct hash *h, unsigned char out[SHA256_BYTES]);
void hash_free(struct hash *h); /* NULL is fine */

#endif
