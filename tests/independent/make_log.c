/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/store.h"

/* Makes the log the independent reader reads, in the folder argv[1]: several segments, dictionaries,
 * reused delivery ids, empty and raw bodies, one of 25 MB. Prints a line per event: number, delivery id,
 * SHA-256 of the body, the number of the first event with the same delivery id or 0. */

#define SEGMENT_BYTES 700000
#define EVENTS 6000

static void
put(struct store *s, const char *delivery, struct bytes body, uint64_t same_key)
{
	unsigned char hash[SHA256_BYTES];
	struct event ev = { .source = bytes_str("gh"), .provider = bytes_str("github"),
		.event = bytes_str("push"), .delivery = bytes_str(delivery), .hook = bytes_str("7"),
		.content_type = bytes_str("application/json"), .method = bytes_str("POST"),
		.path = bytes_str("/in/gh"), .body = body };
	struct store_result result = store_append(s, &ev);
	if (result.rc != RC_OK || result.duplicate) {
		fprintf(stderr, "append: %s\n", result.err.text);
		exit(1);
	}
	crypto_sha256(body, hash);
	printf("%" PRIu64 " %s ", result.seq, delivery);
	for (size_t i = 0; i < sizeof hash; i++)
		printf("%02x", hash[i]);
	printf(" %" PRIu64 "\n", same_key);
}

/* JSON of which most is the same in all, so that dictionaries pay. */
static void
put_json(struct store *s, unsigned i)
{
	struct buf b = buf_new(1 << 20);
	char delivery[32];
	snprintf(delivery, sizeof delivery, "json-%u", i);
	buf_printf(&b, "{\"action\":\"opened\",\"number\":%u,\"repository\":{\"full_name\":\"acme/widgets\",", i);
	for (unsigned n = 0; n < 6 + i % 40; n++)
		buf_printf(&b, "\"field_%u\":\"https://api.example.com/repos/acme/widgets/%u\",", n, i * 31 + n);
	buf_printf(&b, "\"private\":false}}");
	put(s, delivery, buf_bytes(&b), 0);
	buf_free(&b);
}

static void
put_odd_ones(struct store *s)
{
	size_t size = 25 * 1000 * 1000;
	unsigned char *noise = base_alloc(size);
	crypto_random(noise, size);
	put(s, "noise", (struct bytes){ noise, size }, 0);
	/* Lengths around those at which pages and checksums change their ways. */
	for (size_t len = 0; len < 400; len += 7)
		put(s, "", (struct bytes){ noise, len }, 0);
	for (size_t len = 1800; len < 4400; len += 37)
		put(s, "", (struct bytes){ noise, len }, 0);
	free(noise);
}

int
main(int argc, char **argv)
{
	struct store *s;
	struct err e;
	struct store_options options = { .dir = argc > 1 ? argv[1] : "", .segment_bytes_max = SEGMENT_BYTES };
	if (argc != 2 || store_open(&s, &options, &e) != RC_OK) {
		fprintf(stderr, "usage: make_log FOLDER, which is new\n");
		return 1;
	}
	put(s, "again", bytes_str("first body"), 0);
	put(s, "again", bytes_str("second body"), 1);
	put(s, "again", bytes_str(""), 1);
	for (unsigned i = 0; i < EVENTS; i++) {
		put_json(s, i);
		/* Now and then time to train. */
		if (i % 1000 == 999)
			clock_sleep_ms(300);
		if (i == EVENTS / 2)
			put_odd_ones(s);
	}
	put(s, "again", bytes_str("a body much later"), 1);
	store_close(s);
	return 0;
}
