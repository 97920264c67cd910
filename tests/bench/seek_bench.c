/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"

/* How long `hooklog replay --target -` takes to its first byte, from the start of the process, when it
 * selects a little of a large log:
 *
 *	seek_bench DIR HOOKLOG [EVENTS]    makes the log of DIR when it is not there, default 10,000,000
 *
 * Each look-up is a process of its own. For a cold page cache, too, run it again after
 * `echo 1 > /proc/sys/vm/drop_caches`. */

#define BATCH 1024
#define LOOKUPS 20
/* One event of so many comes from the rare source. */
#define RARE 20011
#define WINDOW_US ((int64_t)300 * 1000000)

_Noreturn static void
die(const char *what, const char *why)
{
	fprintf(stderr, "seek_bench: %s: %s\n", what, why);
	exit(1);
}

struct batch {
	sem_t answered;
	size_t count;
};

static void
done(size_t index, const struct store_result *result, void *context)
{
	struct batch *b = context;
	if (result->rc != RC_OK)
		die("append", result->err.text);
	if (index + 1 == b->count)
		sem_post(&b->answered);
}

/* The id of event seq; as long and as random as a UUID. */
static void
delivery_of(uint64_t seq, char id[40])
{
	uint64_t x = seq * UINT64_C(0x9e3779b97f4a7c15), y = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	snprintf(id, 40, "%08x-%04x-%04x-%04x-%012" PRIx64, (unsigned)(y >> 32), (unsigned)(y >> 16 & 0xffff),
		(unsigned)(y & 0xffff), (unsigned)(x >> 48), seq);
}

static void
make(const char *dir, uint64_t events)
{
	const struct store_options options = { .dir = dir };
	struct event *ev = base_alloc(BATCH * sizeof *ev);
	char(*ids)[40] = base_alloc(BATCH * sizeof *ids);
	struct store *s;
	struct err e;
	if (store_open(&s, &options, &e) != RC_OK)
		die("open", e.text);
	struct batch b;
	sem_init(&b.answered, 0, 0);
	for (uint64_t seq = 1; seq <= events; seq += b.count) {
		for (b.count = 0; b.count < BATCH && seq + b.count <= events; b.count++) {
			uint64_t i = seq + b.count;
			delivery_of(i, ids[b.count]);
			ev[b.count] = (struct event){ .source = bytes_str(i % RARE == 0 ? "rare" : "gh"),
				.provider = bytes_str("github"),
				.event = bytes_str("push"),
				.delivery = bytes_str(ids[b.count]),
				.content_type = bytes_str("application/json"),
				.body = bytes_str("{\"ref\":\"refs/heads/main\"}") };
		}
		if (store_submit_batch(s, ev, b.count, done, &b, &e) != RC_OK)
			die("submit", e.text);
		while (sem_wait(&b.answered) != 0)
			continue;
	}
	sem_destroy(&b.answered);
	store_close(s);
	free(ids);
	free(ev);
}

/* Runs the program; *first_us: until its first byte, -1: it wrote none. Without `whole` it is killed
 * then. Gives the time until it had ended or was killed. What it says goes to the file `said`. */
static int64_t
time_run(const char *hooklog, const char *const *args, bool whole, const char *said, int64_t *first_us)
{
	int fds[2], status;
	char bytes[65536];
	ssize_t n;
	if (pipe(fds) != 0)
		die("pipe", strerror(errno));
	int64_t start_us = clock_monotonic_us();
	pid_t child = fork();
	if (child < 0)
		die("fork", strerror(errno));
	if (child == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		if (freopen(said, "w", stderr) == NULL)
			_exit(127);
		execv(hooklog, (char *const *)(uintptr_t)args);
		_exit(127);
	}
	close(fds[1]);
	*first_us = -1;
	while ((n = read(fds[0], bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0 && *first_us < 0)
			*first_us = clock_monotonic_us() - start_us;
		if (n > 0 && !whole)
			break;
	}
	int64_t took_us = clock_monotonic_us() - start_us;
	close(fds[0]);
	if (!whole)
		kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child ||
		(whole && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)))
		die("run", hooklog);
	return took_us;
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void
print(const char *what, int64_t took_us[LOOKUPS])
{
	qsort(took_us, LOOKUPS, sizeof *took_us, by_time);
	printf("%-42s median %6.1f ms  min %6.1f  max %6.1f\n", what, (double)took_us[LOOKUPS / 2] / 1000,
		(double)took_us[0] / 1000, (double)took_us[LOOKUPS - 1] / 1000);
}

enum what { VERSION, WINDOW, SOURCE, DELIVERY, UNKNOWN };

static const struct {
	const char *text;
	bool whole; /* until its end, otherwise until the first byte */
} rows[] = {
	[VERSION] = { "for comparison: a process, --version", true },
	[WINDOW] = { "five minutes: --since --until", false },
	[SOURCE] = { "a rare source: --source --since", false },
	[DELIVERY] = { "one delivery: --delivery", false },
	[UNKNOWN] = { "a delivery that is not there, to the end", true },
};

static void
measure(enum what what, const char *dir, const char *hooklog, uint64_t events, int64_t first_at_us,
	int64_t last_at_us)
{
	int64_t took[LOOKUPS];
	for (uint64_t i = 0; i < LOOKUPS; i++) {
		char since[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES], id[40];
		const char *args[12] = { "hooklog", "replay", "--data", dir, "--target", "-" };
		int64_t at_us = first_at_us + (last_at_us - first_at_us) / (LOOKUPS + 1) * (int64_t)i;
		clock_format_us(at_us, since);
		clock_format_us(at_us + WINDOW_US, until);
		delivery_of(what == UNKNOWN ? events + 1 + i : 1 + events / LOOKUPS * i, id);
		switch (what) {
		case VERSION:
			args[1] = "--version";
			args[2] = NULL;
			break;
		case WINDOW:
			args[6] = "--since", args[7] = since, args[8] = "--until", args[9] = until;
			break;
		case SOURCE:
			args[6] = "--source", args[7] = "rare", args[8] = "--since", args[9] = since;
			break;
		case DELIVERY:
		case UNKNOWN:
			args[6] = "--delivery", args[7] = id;
			break;
		}
		char said[4104];
		snprintf(said, sizeof said, "%s/said", dir);
		int64_t first_us, whole_us = time_run(hooklog, args, rows[what].whole, said, &first_us);
		if ((first_us < 0) != (what == UNKNOWN)) {
			fprintf(stderr, "seek_bench: look-up %" PRIu64 ", see %s\n", i, said);
			die(rows[what].text, first_us < 0 ? "found nothing" : "found something");
		}
		took[i] = rows[what].whole ? whole_us : first_us;
	}
	print(rows[what].text, took);
}

int
main(int argc, char **argv)
{
	struct store_reader *r;
	struct store_span span;
	struct err e;
	char log[4096], path[4104];
	struct stat st;
	if (argc < 3) {
		fprintf(stderr, "usage: seek_bench DIR HOOKLOG [EVENTS]\n");
		return 2;
	}
	snprintf(log, sizeof log, "%s/log", argv[1]);
	snprintf(path, sizeof path, "%s/LOG", log);
	if (stat(path, &st) != 0)
		make(log, argc > 3 ? strtoull(argv[3], NULL, 10) : 10000000);
	struct arena *a = arena_new(4096);
	const struct store_segment_stat *segments;
	size_t count;
	if (store_reader_open(&r, log, &e) != RC_OK || store_span(r, &span, &e) != RC_OK ||
		store_segments(r, a, &segments, &count, &e) != RC_OK)
		die("read", e.text);
	int64_t first_at_us = segments[0].first_at_us, last_at_us = first_at_us;
	uint64_t bytes = 0;
	for (size_t i = 0; i < count; i++) {
		bytes += segments[i].file_bytes;
		if (segments[i].last_at_us > last_at_us)
			last_at_us = segments[i].last_at_us;
	}
	store_reader_close(r);
	snprintf(path, sizeof path, "%s/index.mdb", log);
	if (stat(path, &st) != 0)
		die(path, strerror(errno));
	printf("%" PRIu64 " events, %.0f MiB in %zu segments, index %.1f bytes per event, %d look-ups each\n",
		span.last_seq, (double)bytes / (1 << 20), count, (double)st.st_size / (double)span.last_seq,
		LOOKUPS);
	for (enum what what = VERSION; what <= UNKNOWN; what++)
		measure(what, argv[1], argv[2], span.last_seq, first_at_us, last_at_us);
	arena_free(a);
	return 0;
}
