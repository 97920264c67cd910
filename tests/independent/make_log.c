/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <pthread.h>

#include "base/buf.h"
#include "store/ops.h"
#include "store/writer.h"

/* Makes the log the independent reader reads, in the folder argv[1]: several segments, dictionaries,
 * reused delivery ids, empty and raw bodies, one of 25 MB; checkpoints by two keys; redacted events. With
 * argv[2] "small" one without the large bodies. Prints a line per event: number, delivery id, SHA-256 of the
 * body, the number of the first event with the same delivery id or 0; and for each redacted one, behind all
 * of them, "redacted", number, number of the audit event. */

#define EVENTS 6000
#define BATCH 100

static void
print(uint64_t seq, const char *delivery, struct bytes body, uint64_t same_key)
{
	unsigned char hash[SHA256_BYTES];
	crypto_sha256(body, hash);
	printf("%" PRIu64 " %s ", seq, delivery);
	for (size_t i = 0; i < sizeof hash; i++)
		printf("%02x", hash[i]);
	printf(" %" PRIu64 "\n", same_key);
}

static void
fail(const struct err *e)
{
	fprintf(stderr, "make_log: %s\n", e->text);
	exit(1);
}

static void
put(struct store *s, const char *delivery, struct bytes body, uint64_t same_key)
{
	struct event ev = { .source = bytes_str("gh"), .provider = bytes_str("github"),
		.event = bytes_str("push"), .delivery = bytes_str(delivery), .hook = bytes_str("7"),
		.content_type = bytes_str("application/json"), .method = bytes_str("POST"),
		.path = bytes_str("/in/gh"), .body = body };
	struct store_result result = store_append(s, &ev);
	if (result.rc != RC_OK || result.duplicate)
		fail(&result.err);
	print(result.seq, delivery, body, same_key);
}

struct batch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t pending;
	uint64_t seqs[BATCH];
};

static void
stored(size_t index, const struct store_result *result, void *context)
{
	struct batch *b = context;
	if (result->rc != RC_OK)
		fail(&result->err);
	pthread_mutex_lock(&b->lock);
	b->seqs[index] = result->seq;
	b->pending--;
	pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

/* BATCH events in one commit: JSON of which most is the same in all, so that dictionaries pay. */
static void
put_json(struct store *s, unsigned from)
{
	struct batch b = { .pending = BATCH };
	struct buf bodies[BATCH];
	struct event events[BATCH];
	char deliveries[BATCH][32];
	struct err e;
	for (unsigned k = 0; k < BATCH; k++) {
		unsigned i = from + k;
		struct buf *body = &bodies[k];
		*body = buf_new(1 << 20);
		snprintf(deliveries[k], sizeof deliveries[k], "json-%u", i);
		buf_printf(body,
			"{\"action\":\"opened\",\"number\":%u,\"repository\":{\"full_name\":\"acme/widgets\",", i);
		for (unsigned n = 0; n < 6 + i % 40; n++)
			buf_printf(body, "\"field_%u\":\"https://api.example.com/repos/acme/widgets/%u\",", n,
				i * 31 + n);
		buf_printf(body, "\"private\":false}}");
		events[k] = (struct event){ .source = bytes_str("gh"), .provider = bytes_str("github"),
			.event = bytes_str("push"), .delivery = bytes_str(deliveries[k]),
			.hook = bytes_str("7"), .content_type = bytes_str("application/json"),
			.method = bytes_str("POST"), .path = bytes_str("/in/gh"), .body = buf_bytes(body) };
	}
	pthread_mutex_init(&b.lock, NULL);
	pthread_cond_init(&b.changed, NULL);
	if (store_submit_batch(s, events, BATCH, stored, &b, &e) != RC_OK)
		fail(&e);
	pthread_mutex_lock(&b.lock);
	while (b.pending > 0)
		pthread_cond_wait(&b.changed, &b.lock);
	pthread_mutex_unlock(&b.lock);
	for (unsigned k = 0; k < BATCH; k++) {
		print(b.seqs[k], deliveries[k], buf_bytes(&bodies[k]), 0);
		buf_free(&bodies[k]);
	}
}

static void
put_odd_ones(struct store *s, bool small)
{
	size_t size = 25 * 1000 * 1000;
	unsigned char *noise = base_alloc(size);
	crypto_random(noise, size);
	if (!small)
		put(s, "noise", (struct bytes){ noise, size }, 0);
	/* Lengths around those at which pages and checksums change their ways. */
	for (size_t len = 0; len < 400; len += small ? 70 : 7)
		put(s, "", (struct bytes){ noise, len }, 0);
	for (size_t len = 1800; len < 4400; len += small ? 370 : 37)
		put(s, "", (struct bytes){ noise, len }, 0);
	free(noise);
}

static struct store *
open_log(const struct store_options *options)
{
	struct store *s;
	struct err e;
	if (store_open(&s, options, &e) != RC_OK)
		fail(&e);
	return s;
}

static void
rotate_key(const struct store_options *options)
{
	struct store_appender *a;
	struct err e;
	if (store_appender_open(&a, options, &e) != RC_OK || store_appender_rotate_key(a, &e) != RC_OK)
		fail(&e);
	store_appender_close(a);
}

static void
redact(const struct store_options *options, uint64_t seq)
{
	struct store_redact_report report;
	struct err e;
	if (store_redact(options, seq, "a reason that says little", &report, &e) != RC_OK)
		fail(&e);
	printf("redacted %" PRIu64 " %" PRIu64 "\n", seq, report.audit_seq);
}

int
main(int argc, char **argv)
{
	bool small = argc == 3 && strcmp(argv[2], "small") == 0;
	if (argc != 2 && !small) {
		fprintf(stderr, "usage: make_log FOLDER [small]; FOLDER is new\n");
		return 1;
	}
	unsigned count = small ? 1200 : EVENTS;
	const struct store_options options = { .dir = argv[1], .segment_bytes_max = small ? 150000 : 700000 };
	struct store *s = open_log(&options);
	put(s, "again", bytes_str("first body"), 0);
	put(s, "again", bytes_str("second body"), 1);
	put(s, "again", bytes_str(""), 1);
	for (unsigned i = 0; i < count; i += BATCH) {
		put_json(s, i);
		/* Now and then time to train. */
		if (i % (count / 6) == 0)
			trainer_drain(s->trainer);
		if (i == count / 2) {
			put_odd_ones(s, small);
			store_close(s);
			rotate_key(&options);
			s = open_log(&options);
		}
	}
	put(s, "again", bytes_str("a body much later"), 1);
	store_close(s);
	/* The first one, one with a dictionary, one of the last segment, twice in the same. */
	redact(&options, 2);
	redact(&options, count - 1);
	redact(&options, count);
	redact(&options, 10);
	return 0;
}
