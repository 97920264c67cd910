/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/crypto.h"

void
crypto_sha256_parts(const struct bytes *parts, size_t count, unsigned char out[SHA256_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ASSERT(ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
	for (size_t i = 0; i < count; i++)
		ASSERT(EVP_DigestUpdate(ctx, parts[i].data, parts[i].len) == 1);
	ASSERT(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
	EVP_MD_CTX_free(ctx);
}

void
crypto_sha256(struct bytes data, unsigned char out[SHA256_BYTES])
{
	crypto_sha256_parts(&data, 1, out);
}

void
crypto_hmac_sha256(struct bytes key, struct bytes data, unsigned char out[SHA256_BYTES])
{
	ASSERT(key.len <= INT32_MAX);
	unsigned int len = SHA256_BYTES;
	static const unsigned char empty[1] = { 0 };
	ASSERT(HMAC(EVP_sha256(), key.len > 0 ? key.data : empty, (int)key.len,
		       data.len > 0 ? data.data : empty, data.len, out, &len) != NULL);
}

bool
crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
crypto_random(void *out, size_t len)
{
	ASSERT(len <= INT32_MAX && RAND_bytes(out, (int)len) == 1);
}

void
crypto_wipe(void *data, size_t len)
{
	OPENSSL_cleanse(data, len);
}

static int
nibble(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
crypto_unhex(struct bytes text, unsigned char *out, size_t len)
{
	if (text.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = nibble(text.data[2 * i]), low = nibble(text.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

void
crypto_put_base64(struct buf *out, struct bytes data)
{
	/* In pieces of a multiple of three bytes, so that only the last one is padded. */
	while (data.len > 0) {
		unsigned char text[4 * 256 + 1];
		size_t piece = data.len < 3 * 256 ? data.len : 3 * 256;
		int n = EVP_EncodeBlock(text, data.data, (int)piece);
		buf_put(out, text, (size_t)n);
		data.data += piece;
		data.len -= piece;
	}
}
