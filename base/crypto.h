/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/buf.h"
#include "base/err.h"

/* Hashes, MACs and random numbers; the only user of openssl/ headers. All functions: any thread,
 * no allocation the caller sees, abort only when libcrypto itself is broken. */

#define SHA256_BYTES 32

void crypto_sha256(struct bytes data, unsigned char out[SHA256_BYTES]);

/* SHA-256 over the concatenation of the parts. */
void crypto_sha256_parts(const struct bytes *parts, size_t count, unsigned char out[SHA256_BYTES]);

/* HMAC-SHA-256 (RFC 2104). */
void crypto_hmac_sha256(struct bytes key, struct bytes data, unsigned char out[SHA256_BYTES]);

/* Whether two runs of the same length are equal, in time that does not depend on their content. */
bool crypto_equal(const void *a, const void *b, size_t len);

void crypto_random(void *out, size_t len);

/* Overwrites memory that held a secret; the compiler cannot remove it. */
void crypto_wipe(void *data, size_t len);

/* Exactly 2 * len hexadecimal digits of either case into out; false otherwise. */
bool crypto_unhex(struct bytes text, unsigned char *out, size_t len);

/* Appends standard base64 with padding (RFC 4648 §4). */
void crypto_put_base64(struct buf *out, struct bytes data);

#endif
