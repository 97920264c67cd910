/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crypto.h"
#include "replay/backoff.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MS_MAX 30000
/* A target that asks for more than this is taken at its word for an hour, then asked again. */
#define RETRY_AFTER_S_MAX 3600

int64_t
replay_backoff_us(int64_t first_ms, uint64_t attempt, int64_t retry_after_s)
{
	int64_t ms = first_ms > 0 ? first_ms : BACKOFF_FIRST_MS;
	for (uint64_t i = 0; i < attempt && ms < BACKOFF_MS_MAX; i++)
		ms *= 2;
	ms = ms < BACKOFF_MS_MAX ? ms : BACKOFF_MS_MAX;
	uint32_t random;
	crypto_random(&random, sizeof(random));
	ms = ms / 2 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
	if (retry_after_s > RETRY_AFTER_S_MAX)
		retry_after_s = RETRY_AFTER_S_MAX;
	return 1000 * (retry_after_s * 1000 > ms ? retry_after_s * 1000 : ms);
}
