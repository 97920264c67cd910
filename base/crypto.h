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

/* SHA-256 over the whole file fd is open on, from its start, without moving its offset; *bytes is how many
 * there were. RC_IO. */
enum rc crypto_sha256_fd(int fd, unsigned char out[SHA256_BYTES], uint64_t *bytes, struct err *e)
	MUST_CHECK;

/* HMAC-SHA-256 (RFC 2104). */
void crypto_hmac_sha256(struct bytes key, struct bytes data, unsigned char out[SHA256_BYTES]);

/* Ed25519 (RFC 8032). The private key is its 32-byte seed. */
#define ED25519_KEY_BYTES 32
#define ED25519_SIGNATURE_BYTES 64

void crypto_ed25519_public(const unsigned char key[ED25519_KEY_BYTES],
	unsigned char public_key[ED25519_KEY_BYTES]);
void crypto_ed25519_sign(const unsigned char key[ED25519_KEY_BYTES], struct bytes message,
	unsigned char signature[ED25519_SIGNATURE_BYTES]);

/* False also for bytes that are no public key. */
bool crypto_ed25519_verify(const unsigned char public_key[ED25519_KEY_BYTES], struct bytes message,
	const unsigned char signature[ED25519_SIGNATURE_BYTES]);

enum crypto_hash { CRYPTO_SHA1, CRYPTO_SHA256, CRYPTO_SHA512 };

#define CRYPTO_MAC_BYTES_MAX 64

/* Length of the hash's output: 20, 32 or 64. */
size_t crypto_hash_bytes(enum crypto_hash hash);

/* HMAC (RFC 2104) over the concatenation of the parts; writes crypto_hash_bytes(hash) bytes. */
void crypto_hmac_parts(enum crypto_hash hash, struct bytes key, const struct bytes *parts,
	size_t count, unsigned char out[CRYPTO_MAC_BYTES_MAX]);

/* Whether two runs of the same length are equal, in time that does not depend on their content. */
bool crypto_equal(const void *a, const void *b, size_t len);

void crypto_random(void *out, size_t len);

/* Overwrites memory that held a secret; the compiler cannot remove it. */
void crypto_wipe(void *data, size_t len);

/* Exactly 2 * len hexadecimal digits of either case into out; false otherwise. */
bool crypto_unhex(struct bytes text, unsigned char *out, size_t len);

/* Standard base64 with padding (RFC 4648 §4), nothing else: no white space, no bits left over. False,
 * also when it is more than cap bytes; *len is what was written. */
bool crypto_unbase64(struct bytes text, unsigned char *out, size_t cap, size_t *len);

/* Appends standard base64 with padding (RFC 4648 §4). */
void crypto_put_base64(struct buf *out, struct bytes data);

#endif
