/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: ingest/provider.h
 *
 * TEST-SOAK
 * TEST-VARIANTS: release
 * TEST-ALONE
 * TEST-TIMEOUT: 1200
 *
 * Whether the time of a comparison tells how much of a signature or token was right: Welch's t between two
 * classes of wrong ones, those that are wrong at their first and those at their last byte, in random order.
 * |t| over 4.5 would be a difference (the usual bound of such tests). The same is done to memcmp, where it
 * must be found: else the test could not find anything. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "ingest/provider.h"

#define SAMPLES 1000000
#define WARM_UP 10000
#define T_MAX 4.5
/* Calls in one sample: what is looked for is some nanoseconds, and so is what the clock can tell. */
#define CALLS 4

static const struct bytes secret = { (const unsigned char *)"the secret that somebody guesses", 32 };
static const struct bytes body = { (const unsigned char *)"{}", 2 };

/* Both classes: a right signature with one character changed. */
static char wrong[2][128];
static volatile bool sink;

static double
now_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void
check_signature(const char *text)
{
	sink = provider_hex_matches("sha256=", bytes_str(text), secret, &body, 1);
}

static void
check_token(const char *text)
{
	sink = provider_token_matches(bytes_str(text), secret);
}

static void
check_memcmp(const char *text)
{
	/* By hand: the library's own compares so many bytes at once that it is hard to catch. */
	size_t i = 0;
	while (i < secret.len && ((volatile const char *)text)[i] == (char)secret.data[i])
		i++;
	sink = i == secret.len;
}

struct sum {
	double n, mean, m2;
};

static void
add(struct sum *s, double x)
{
	double off = x - s->mean;
	s->n++;
	s->mean += off / s->n;
	s->m2 += off * (x - s->mean);
}

/* Interruptions by others are as likely in both classes and only make it harder to see: what is over the limit,
 * three times what it took on average while warming up, is left out of both. */
static double
welch_t(void (*check)(const char *text))
{
	struct sum sums[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	double limit = 0;
	unsigned char coin[1024];
	for (size_t i = 0; i < WARM_UP; i++) {
		double from = now_ns();
		check(wrong[i % 2]);
		limit += (now_ns() - from) / WARM_UP;
	}
	limit *= 3 * CALLS;
	for (size_t i = 0; i < SAMPLES; i++) {
		if (i % sizeof coin == 0)
			crypto_random(coin, sizeof coin);
		int which = coin[i % sizeof coin] & 1;
		double from = now_ns();
		for (int k = 0; k < CALLS; k++)
			check(wrong[which]);
		double took = now_ns() - from;
		if (took < limit)
			add(&sums[which], took);
	}
	double spread = sums[0].m2 / (sums[0].n - 1) / sums[0].n +
			sums[1].m2 / (sums[1].n - 1) / sums[1].n;
	double t = (sums[0].mean - sums[1].mean) / sqrt(spread);
	print_message("# note: %.0f and %.0f samples of %.1f and %.1f ns, t = %.2f\n", sums[0].n, sums[1].n,
		sums[0].mean, sums[1].mean, t);
	return fabs(t);
}

static void
change(const char *right, size_t prefix)
{
	size_t last = strlen(right) - 1;
	for (int i = 0; i < 2; i++) {
		snprintf(wrong[i], sizeof wrong[i], "%s", right);
		char *c = &wrong[i][i == 0 ? prefix : last];
		*c = *c == '7' ? '8' : '7';
	}
}

static void
test_a_signature(void **state UNUSED)
{
	unsigned char mac[SHA256_BYTES];
	struct buf text = buf_new(128);
	crypto_hmac_sha256(secret, body, mac);
	buf_put_str(&text, "sha256=");
	buf_put_hex(&text, mac, sizeof mac);
	assert_true(provider_hex_matches("sha256=", buf_bytes(&text), secret, &body, 1));
	change(buf_cstr(&text), strlen("sha256="));
	buf_free(&text);
	assert_true(welch_t(check_signature) < T_MAX);
}

static void
test_a_token(void **state UNUSED)
{
	change((const char *)secret.data, 0);
	assert_true(welch_t(check_token) < T_MAX);
}

static void
test_a_comparison_that_stops_is_found(void **state UNUSED)
{
	change((const char *)secret.data, 0);
	assert_true(welch_t(check_memcmp) > T_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_comparison_that_stops_is_found),
		cmocka_unit_test(test_a_signature),
		cmocka_unit_test(test_a_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
