/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>

#include "base/hash.h"

struct hash {
	EVP_MD_CTX *ctx, *copy;
};

struct hash *
hash_new(void)
{
	struct hash *h = base_zalloc(sizeof *h);
	h->ctx = EVP_MD_CTX_new();
	h->copy = EVP_MD_CTX_new();
	ASSERT(h->ctx != NULL && h->copy != NULL);
	ASSERT(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) == 1);
	return h;
}

void
hash_add(struct hash *h, struct bytes data)
{
	ASSERT(EVP_DigestUpdate(h->ctx, data.data, data.len) == 1);
}

void
hash_peek(const struct hash *h, unsigned char out[SHA256_BYTES])
{
	ASSERT(EVP_MD_CTX_copy_ex(h->copy, h->ctx) == 1);
	ASSERT(EVP_DigestFinal_ex(h->copy, out, NULL) == 1);
}

void
hash_free(struct hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_CTX_free(h->copy);
	free(h);
}
