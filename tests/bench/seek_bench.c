/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"

/* How long it takes to find the first event at or after a time, in a process that has nothing open:
 *
 *	seek_bench DIR [EVENTS]     makes the log in DIR when it is not there, default 10,000,000
 *events
 *
 * Each look-up opens a new reader, so that opening segments counts. Run it twice, after
 * `echo 1 > /proc/sys/vm/drop_caches` for cold figures. */

#define BATCH 1024
#define LOOKUPS 100

static void
die(const char *what, const struct err *e)
{
	fprintf(stderr, "seek_bench: %s: %s\n", what, e->text);
	exit(1);
}

static void
done(size_t index, const struct store_result *result, void *context)
{
	(void)index;
	if (result->rc != RC_OK)
		die("append", &result->err);
	(void)context;
}

static void
make(const char *dir, uint64_t events)
{
	const struct store_options options = { .dir = dir,
		.segment_bytes_max = (uint64_t)64 << 20 };
	struct event *ev = base_alloc(BATCH * sizeof *ev);
	char(*ids)[24] = base_alloc(BATCH * sizeof *ids);
	struct store *s;
	struct err e;
	if (store_open(&s, &options, &e) != RC_OK)
		die("open", &e);
	for (uint64_t seq = 1; seq <= events;) {
		size_t n = 0;
		for (; n < BATCH && seq + n <= events; n++) {
			snprintf(ids[n], sizeof ids[n], "%" PRIu64, seq + n);
			ev[n] = (struct event){ .source = bytes_str("gh"),
				.provider = bytes_str("github"),
				.event = bytes_str("push"),
				.delivery = bytes_str(ids[n]),
				.body = bytes_str("{\"ref\":\"refs/heads/main\"}") };
		}
		enum rc rc;
		while ((rc = store_submit_batch(s, ev, n, done, NULL, &e)) == RC_FULL)
			clock_sleep_ms(1);
		if (rc != RC_OK)
			die("submit", &e);
		seq += n;
	}
	store_close(s);
	free(ids);
	free(ev);
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	struct store_reader *r;
	struct store_span span;
	struct err e;
	int64_t took[LOOKUPS];
	char path[4096];
	struct stat st;
	if (argc < 2) {
		fprintf(stderr, "usage: seek_bench DIR [EVENTS]\n");
		return 2;
	}
	snprintf(path, sizeof path, "%s/LOG", argv[1]);
	if (stat(path, &st) != 0)
		make(argv[1], argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000);
	if (store_reader_open(&r, argv[1], &e) != RC_OK || store_span(r, &span, &e) != RC_OK)
		die("read", &e);
	struct arena *a = arena_new(4096);
	const struct store_segment_stat *segments;
	size_t count;
	if (store_segments(r, a, &segments, &count, &e) != RC_OK)
		die("segments", &e);
	int64_t first_us = segments[0].first_at_us, last_us = first_us;
	for (size_t i = 0; i < count; i++) {
		if (segments[i].last_at_us > last_us)
			last_us = segments[i].last_at_us;
	}
	store_reader_close(r);
	for (size_t i = 0; i < LOOKUPS; i++) {
		uint64_t seq;
		int64_t at_us = first_us + (last_us - first_us) / LOOKUPS * (int64_t)i;
		int64_t start_us = clock_monotonic_us();
		if (store_reader_open(&r, argv[1], &e) != RC_OK ||
			store_seq_at(r, at_us, &seq, &e) != RC_OK)
			die("look up", &e);
		took[i] = clock_monotonic_us() - start_us;
		store_reader_close(r);
	}
	qsort(took, LOOKUPS, sizeof took[0], by_time);
	printf("{\"events\":%" PRIu64 ",\"segments\":%zu,\"lookups\":%d,\"median_us\":%" PRId64
	       ",\"min_us\":%" PRId64 ",\"max_us\":%" PRId64 "}\n",
		span.last_seq, count, LOOKUPS, took[LOOKUPS / 2], took[0], took[LOOKUPS - 1]);
	arena_free(a);
	return 0;
}
