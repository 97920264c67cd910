/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/store.h"

/* Events of the largest size GitHub sends, which LMDB must find contiguous pages for: how long one append takes until
 * its answer, in a log that already has several segments of them, and beside it the same bytes written and synced by
 * nobody's database. With bodies that compress to nothing, and with noise, which is stored as it is.
 *
 *	large_bench DIR [APPENDS]        DIR: an empty folder on the disk to be measured */

#define BODY_BYTES ((size_t)25 * 1000 * 1000)
#define APPENDS_DEFAULT 40
#define APPENDS_MAX 1000

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "large_bench: %s: %s\n", what, why);
	exit(1);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void
print(const char *what, double *ms, unsigned count)
{
	qsort(ms, count, sizeof *ms, compare);
	printf("%-44s median %6.1f ms, from %.1f to %.1f (%u)\n", what, ms[count / 2], ms[0], ms[count - 1], count);
}

/* Every body another one, or the second would be a duplicate. */
static void
fill(unsigned char *body, bool noise, uint64_t n)
{
	uint64_t x = n * 0x9e3779b97f4a7c15u + 1;
	memset(body, 'x', BODY_BYTES);
	for (size_t i = 0; i + 8 <= (noise ? BODY_BYTES : 64); i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(body + i, &x, 8);
	}
}

static void
append_some(struct store *s, unsigned char *body, bool noise, double *ms, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char delivery[32];
		snprintf(delivery, sizeof delivery, "%c%u", noise ? 'n' : 'x', i);
		fill(body, noise, i);
		struct event ev = { .source = bytes_str("gh"), .provider = bytes_str("github"),
			.event = bytes_str("push"), .delivery = bytes_str(delivery), .body = { body, BODY_BYTES } };
		int64_t start_us = clock_monotonic_us();
		struct store_result result = store_append(s, &ev);
		ms[i] = (double)(clock_monotonic_us() - start_us) / 1000;
		if (result.rc != RC_OK || result.duplicate)
			die("append", result.err.text);
	}
}

/* What the same bytes cost without a log. */
static void
write_some(const char *dir, unsigned char *body, double *ms, unsigned count)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/bare", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die("open", path);
	for (unsigned i = 0; i < count; i++) {
		fill(body, true, i);
		int64_t start_us = clock_monotonic_us();
		for (size_t done = 0; done < BODY_BYTES;) {
			ssize_t n = write(fd, body + done, BODY_BYTES - done);
			if (n <= 0)
				die("write", path);
			done += (size_t)n;
		}
		if (fdatasync(fd) != 0)
			die("sync", path);
		ms[i] = (double)(clock_monotonic_us() - start_us) / 1000;
	}
	close(fd);
	unlink(path);
}

int
main(int argc, char **argv)
{
	static double ms[APPENDS_MAX];
	long wanted = argc == 3 ? strtol(argv[2], NULL, 10) : APPENDS_DEFAULT;
	char log[4096];
	struct store *s;
	struct err e;
	if (argc < 2 || argc > 3 || wanted < 1 || wanted > APPENDS_MAX) {
		fprintf(stderr, "usage: large_bench DIR [APPENDS]\n");
		return 2;
	}
	unsigned count = (unsigned)wanted;
	snprintf(log, sizeof log, "%s/log", argv[1]);
	/* A segment of 256 MB holds ten: several are begun, and the last event of each starts on a nearly full one. */
	const struct store_options options = { .dir = log, .segment_bytes_max = 256000000 };
	unsigned char *body = base_alloc(BODY_BYTES);
	if (store_open(&s, &options, &e) != RC_OK)
		die("open", e.text);
	append_some(s, body, true, ms, count);
	print("25 MB of noise, until the answer", ms, count);
	append_some(s, body, false, ms, count);
	print("25 MB that compress, until the answer", ms, count);
	store_close(s);
	write_some(argv[1], body, ms, count);
	print("25 MB written and synced, bare", ms, count);
	free(body);
	return 0;
}
