/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crypto.h"
#include "event/sign.h"

static const char github_prefix[] = "sha256=";

void
sign_github(struct bytes secret, struct bytes body, struct buf *out)
{
	unsigned char mac[SHA256_BYTES];
	crypto_hmac_sha256(secret, body, mac);
	buf_put_str(out, github_prefix);
	buf_put_hex(out, mac, sizeof mac);
}

bool
sign_github_matches(struct bytes secret, struct bytes body, struct bytes header_value)
{
	const size_t prefix = sizeof github_prefix - 1;
	unsigned char want[SHA256_BYTES], got[SHA256_BYTES];
	if (secret.len == 0 || header_value.len != prefix + 2 * SHA256_BYTES ||
		memcmp(header_value.data, github_prefix, prefix) != 0 ||
		!crypto_unhex((struct bytes){ header_value.data + prefix, 2 * SHA256_BYTES }, got,
			SHA256_BYTES))
		return false;
	crypto_hmac_sha256(secret, body, want);
	return crypto_equal(want, got, sizeof want);
}
