/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <unistd.h>

#include "base/crypto.h"

static const struct {
	const char *name;
	size_t bytes;
} hashes[] = {
	[CRYPTO_SHA1] = { "SHA1", 20 },
	[CRYPTO_SHA256] = { "SHA256", 32 },
	[CRYPTO_SHA512] = { "SHA512", 64 },
};

/* libcrypto looks an algorithm up by its name, under locks, whenever it is asked for one that was not fetched before; of a
 * delivery's several small hashes that was half the cost. Fetched once, constant from then on, never freed. */
static struct {
	EVP_MD *sha256;
	EVP_MAC_CTX *hmac[COUNT_OF(hashes)]; /* each with its hash and without a key: to be copied */
} fetched;
static pthread_once_t fetched_once = PTHREAD_ONCE_INIT;

static void
fetch(void)
{
	fetched.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	ASSERT(fetched.sha256 != NULL);
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	for (size_t i = 0; i < COUNT_OF(hashes); i++) {
		/* OSSL_PARAM has no const, yet only reads. */
		const OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string("digest", (char *)(uintptr_t)hashes[i].name, 0),
			OSSL_PARAM_construct_end(),
		};
		fetched.hmac[i] = EVP_MAC_CTX_new(mac);
		ASSERT(fetched.hmac[i] != NULL && EVP_MAC_CTX_set_params(fetched.hmac[i], params) == 1);
	}
	EVP_MAC_free(mac);
}

static EVP_MD_CTX *
sha256_new(void)
{
	pthread_once(&fetched_once, fetch);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ASSERT(ctx != NULL && EVP_DigestInit_ex(ctx, fetched.sha256, NULL) == 1);
	return ctx;
}

void
crypto_sha256_parts(const struct bytes *parts, size_t count, unsigned char out[SHA256_BYTES])
{
	EVP_MD_CTX *ctx = sha256_new();
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

enum rc
crypto_sha256_fd(int fd, unsigned char out[SHA256_BYTES], uint64_t *bytes, struct err *e)
{
	enum rc rc = RC_OK;
	const size_t piece = (size_t)1 << 18;
	unsigned char *data = base_alloc(piece);
	EVP_MD_CTX *ctx = sha256_new();
	*bytes = 0;
	for (;;) {
		ssize_t n = pread(fd, data, piece, (off_t)*bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_sys(e, RC_IO, NULL, errno, "read a file to hash it");
		if (n <= 0)
			break;
		ASSERT(EVP_DigestUpdate(ctx, data, (size_t)n) == 1);
		*bytes += (uint64_t)n;
	}
	ASSERT(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
	EVP_MD_CTX_free(ctx);
	free(data);
	return rc;
}

void
crypto_hmac_sha256(struct bytes key, struct bytes data, unsigned char out[SHA256_BYTES])
{
	unsigned char mac[CRYPTO_MAC_BYTES_MAX];
	crypto_hmac_parts(CRYPTO_SHA256, key, &data, 1, mac);
	memcpy(out, mac, SHA256_BYTES);
}

void
crypto_ed25519_public(const unsigned char key[ED25519_KEY_BYTES],
	unsigned char public_key[ED25519_KEY_BYTES])
{
	size_t len = ED25519_KEY_BYTES;
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, ED25519_KEY_BYTES);
	ASSERT(pkey != NULL && EVP_PKEY_get_raw_public_key(pkey, public_key, &len) == 1 &&
		len == ED25519_KEY_BYTES);
	EVP_PKEY_free(pkey);
}

void
crypto_ed25519_sign(const unsigned char key[ED25519_KEY_BYTES], struct bytes message,
	unsigned char signature[ED25519_SIGNATURE_BYTES])
{
	size_t len = ED25519_SIGNATURE_BYTES;
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, ED25519_KEY_BYTES);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ASSERT(pkey != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1);
	ASSERT(EVP_DigestSign(ctx, signature, &len, message.data, message.len) == 1 &&
		len == ED25519_SIGNATURE_BYTES);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}

bool
crypto_ed25519_verify(const unsigned char public_key[ED25519_KEY_BYTES], struct bytes message,
	const unsigned char signature[ED25519_SIGNATURE_BYTES])
{
	EVP_PKEY *pkey =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, ED25519_KEY_BYTES);
	if (pkey == NULL)
		return false;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ASSERT(ctx != NULL);
	bool good = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		EVP_DigestVerify(ctx, signature, ED25519_SIGNATURE_BYTES, message.data, message.len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return good;
}

size_t
crypto_hash_bytes(enum crypto_hash hash)
{
	return hashes[hash].bytes;
}

void
crypto_hmac_parts(enum crypto_hash hash, struct bytes key, const struct bytes *parts, size_t count,
	unsigned char out[CRYPTO_MAC_BYTES_MAX])
{
	static const unsigned char empty[1] = { 0 };
	size_t len = 0;
	pthread_once(&fetched_once, fetch);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(fetched.hmac[hash]);
	ASSERT(ctx != NULL && EVP_MAC_init(ctx, key.len > 0 ? key.data : empty, key.len, NULL) == 1);
	for (size_t i = 0; i < count; i++)
		ASSERT(parts[i].len == 0 || EVP_MAC_update(ctx, parts[i].data, parts[i].len) == 1);
	ASSERT(EVP_MAC_final(ctx, out, &len, CRYPTO_MAC_BYTES_MAX) == 1);
	ASSERT(len == hashes[hash].bytes);
	EVP_MAC_CTX_free(ctx);
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

/* One more than the digit's value; 0: none. Without branches, since nothing about the next digit can be guessed. */
static const unsigned char nibbles[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
	['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
	['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool
crypto_unhex(struct bytes text, unsigned char *out, size_t len)
{
	if (text.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned high = nibbles[text.data[2 * i]], low = nibbles[text.data[2 * i + 1]];
		if (high == 0 || low == 0)
			return false;
		out[i] = (unsigned char)((high - 1) << 4 | (low - 1));
	}
	return true;
}

static int
sextet(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Not EVP_DecodeBlock: it takes white space and leftover bits, so that one value would have many
 * spellings. */
bool
crypto_unbase64(struct bytes text, unsigned char *out, size_t cap, size_t *len)
{
	size_t pad = 0;
	*len = 0;
	if (text.len % 4 != 0)
		return false;
	while (pad < 2 && pad < text.len && text.data[text.len - 1 - pad] == '=')
		pad++;
	size_t bytes = text.len / 4 * 3 - pad;
	if (bytes > cap)
		return false;
	uint32_t bits = 0;
	unsigned held = 0;
	for (size_t i = 0; i < text.len - pad; i++) {
		int six = sextet(text.data[i]);
		if (six < 0)
			return false;
		bits = bits << 6 | (uint32_t)six;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[(*len)++] = (unsigned char)(bits >> held);
		}
	}
	ASSERT(*len == bytes);
	return (bits & ((1u << held) - 1)) == 0;
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
