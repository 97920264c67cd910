/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/ops.h"
#include "tests/bench/producers.h"

/* What the log costs, beside what its promise costs elsewhere; tests/bench/log_bench.mjs runs it and
 * docs/benchmarks.md has the method. CORPUS: a file with one real payload per line. DIR: an empty folder on
 * the disk to be measured.
 *
 *	log_bench appends CORPUS DIR                         a second, 64 producers, each waiting for its answer: JSON
 *	log_bench bytes CORPUS DIR                           on disk, per byte received
 *	log_bench read CORPUS DIR ROUNDS                     events a second, read in order by one thread
 *	log_bench grow CORPUS DIR EVENTS                     an append's cost as the log grows; kills itself
 *	log_bench start DIR                                  opens what grow left behind */

#define WARM_UP_EVENTS 4000
#define READ_EVENTS 60000
#define BYTES_EVENTS 60000
#define GROW_STEP 1000000
/* Twice what the index takes in one write. */
#define COMPARED 500000
#define COMPARISONS 9
#define ROUNDS_MAX 32

static atomic_uint syncs; /* of this program, liblmdb's included */

int
fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	return (int)syscall(SYS_fdatasync, fd);
}

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "log_bench: %s: %s\n", what, why);
	exit(1);
}

static double
seconds_since(int64_t from_us)
{
	return (double)(clock_monotonic_us() - from_us) / 1e6;
}

static double
cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Median, least and most of the rounds. */
static void
print_rounds(const char *what, double *values, unsigned count, const char *unit)
{
	qsort(values, count, sizeof *values, compare);
	printf("%-34s median %9.0f %s, from %.0f to %.0f\n", what, values[count / 2], unit, values[0],
		values[count - 1]);
}

static struct event
webhook(struct bytes body, char *delivery, size_t size, uint64_t n)
{
	snprintf(delivery, size, "%08" PRIx64 "-0000-11ef-9000-%012" PRIx64, n >> 8, n);
	return (struct event){
		.source = bytes_str("github"),
		.provider = bytes_str("github"),
		.event = bytes_str("pull_request"),
		.delivery = bytes_str(delivery),
		.hook = bytes_str("42"),
		.method = bytes_str("POST"),
		.path = bytes_str("/in/github"),
		.content_type = bytes_str("application/json"),
		.body = body,
	};
}

static void
appended(const struct store_result *result, void *context)
{
	if (result->rc != RC_OK || result->duplicate)
		die("append", result->err.text);
	producer_answered(context);
}

static void
send_to_hooklog(struct producer *p, uint64_t n)
{
	struct err e;
	p->event = webhook(p->body, p->delivery, sizeof p->delivery, n);
	if (store_submit(p->group->all->s, &p->event, appended, p, &e) != RC_OK)
		die("append", e.text);
}

static struct store *
open_log(const char *dir)
{
	struct store_options options = { .dir = dir };
	struct store *s;
	struct err e;
	if (store_open(&s, &options, &e) != RC_OK)
		die("open", e.text);
	return s;
}

/* ---- the peers ---- */

static void
check_lmdb(const char *what, int rc)
{
	if (rc != 0)
		die(what, mdb_strerror(rc));
}

/* The same bodies, uncompressed, as values under ascending numbers in an LMDB of default settings: batch of
 * them per transaction, one thread. Nothing else is done: no numbers per source, no check, no dedupe. */
static double
lmdb_round(struct producers *all, const char *dir, uint64_t batch)
{
	char path[4096];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi db;
	uint64_t n = 0;
	snprintf(path, sizeof path, "%s/peer.mdb", dir);
	check_lmdb("mdb_env_create", mdb_env_create(&env));
	check_lmdb("mdb_env_set_mapsize", mdb_env_set_mapsize(env, (size_t)64 << 30));
	check_lmdb("mdb_env_open", mdb_env_open(env, path, MDB_NOSUBDIR, 0600));
	int64_t from_us = clock_monotonic_us();
	double seconds = 0;
	while ((seconds = seconds_since(from_us)) * 1000 < ROUND_MS) {
		check_lmdb("mdb_txn_begin", mdb_txn_begin(env, NULL, 0, &txn));
		check_lmdb("mdb_dbi_open", mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &db));
		for (uint64_t i = 0; i < batch; i++, n++) {
			struct bytes body = producers_body(all, n);
			MDB_val key = { sizeof n, &n };
			MDB_val value = { body.len, (void *)(uintptr_t)body.data };
			check_lmdb("mdb_put", mdb_put(txn, db, &key, &value, MDB_APPEND));
		}
		check_lmdb("mdb_txn_commit", mdb_txn_commit(txn));
	}
	mdb_env_close(env);
	unlink(path);
	snprintf(path, sizeof path, "%s/peer.mdb-lock", dir);
	unlink(path);
	return (double)n / seconds;
}

/* One pwrite and one fdatasync per batch of bytes, into a file that grows: batches a second. The least any
 * log could do for the same promise. */
static double
bare_round(const char *dir, size_t bytes)
{
	char path[4096];
	unsigned char *data = base_zalloc(bytes + 1);
	uint64_t n = 0;
	double seconds;
	snprintf(path, sizeof path, "%s/bare", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int64_t from_us = clock_monotonic_us();
	while ((seconds = seconds_since(from_us)) * 1000 < ROUND_MS) {
		if (pwrite(fd, data, bytes, (off_t)(n * bytes)) != (ssize_t)bytes || fdatasync(fd) != 0)
			die(path, strerror(errno));
		n++;
	}
	free(data);
	close(fd);
	unlink(path);
	return (double)n / seconds;
}

/* ---- appends ---- */

static uint64_t
log_bytes(struct store *s)
{
	const struct store_segment_stat *segments;
	struct store_reader *r;
	struct err e;
	size_t count;
	uint64_t bytes = 0;
	struct arena *a = arena_new(4096);
	if (store_reader_from(s, &r, &e) != RC_OK || store_segments(r, a, &segments, &count, &e) != RC_OK)
		die("segments", e.text);
	for (size_t i = 0; i < count; i++)
		bytes += segments[i].file_bytes;
	store_reader_close(r);
	arena_free(a);
	return bytes;
}

static void
appends(const struct corpus *c, const char *dir)
{
	static struct producers all;
	producers_new(&all, c);
	all.send = send_to_hooklog;
	all.s = open_log(dir);
	/* Until the first dictionary is there, as it is after the first seconds of a log's life. */
	all.limit = WARM_UP_EVENTS;
	producers_run(&all);
	clock_sleep_ms(500);
	all.limit = 0;
	uint64_t bytes = log_bytes(all.s);
	unsigned syncs_before = atomic_load(&syncs);
	struct round r = producers_run(&all);
	double commits = atomic_load(&syncs) - syncs_before;
	bytes = log_bytes(all.s) - bytes;
	store_close(all.s);
	double events = (double)r.events / commits;
	double lmdb = lmdb_round(&all, dir, (uint64_t)(events + 0.5));
	double bare = bare_round(dir, (size_t)((double)bytes / commits)) * events;
	printf("{\"hooklog\":%.0f,\"lmdb\":%.0f,\"bare\":%.0f,\"events_per_commit\":%.1f,\"bytes_per_commit\":%.0f}\n",
		(double)r.events / r.seconds, lmdb, bare, events, (double)bytes / commits);
}

/* ---- bytes on disk ---- */

struct pending {
	pthread_mutex_t lock;
	pthread_cond_t less;
	unsigned count;
};

static void
pending_done(size_t index, const struct store_result *result, void *context)
{
	struct pending *p = context;
	(void)index;
	if (result->rc != RC_OK || result->duplicate)
		die("append", result->err.text);
	pthread_mutex_lock(&p->lock);
	p->count--;
	pthread_cond_signal(&p->less);
	pthread_mutex_unlock(&p->lock);
}

/* Appends count variants of the lines first, first + step, ... and gives back the bytes of their bodies. */
static uint64_t
append_lines(struct store *s, const struct corpus *c, size_t first, size_t step, uint64_t count, uint64_t number)
{
	struct pending p = { .lock = PTHREAD_MUTEX_INITIALIZER, .less = PTHREAD_COND_INITIALIZER };
	struct bytes bodies[256];
	char ids[256][64];
	struct event events[256];
	uint64_t bytes = 0;
	struct err e;
	size_t line = first;
	for (uint64_t at = 0; at < count;) {
		size_t n = 0;
		for (; n < 256 && at + n < count; n++) {
			bodies[n] = corpus_vary(c->lines[line], number + at + n);
			events[n] = webhook(bodies[n], ids[n], sizeof ids[n], number + at + n);
			bytes += bodies[n].len;
			line = line + step < c->count ? line + step : first;
		}
		p.count = (unsigned)n;
		if (store_submit_batch(s, events, n, pending_done, &p, &e) != RC_OK)
			die("append", e.text);
		pthread_mutex_lock(&p.lock);
		while (p.count > 0)
			pthread_cond_wait(&p.less, &p.lock);
		pthread_mutex_unlock(&p.lock);
		for (size_t i = 0; i < n; i++)
			free((void *)(uintptr_t)bodies[i].data);
		at += n;
	}
	return bytes;
}

/* The first segment takes the even payloads, on which the second one's dictionary is trained; the second the
 * odd ones, which no dictionary has seen, over and over with other ids. The second one's whole file counts. */
static void
bytes_on_disk(const struct corpus *c, const char *dir)
{
	struct store_options options = { .dir = dir };
	const struct store_segment_stat *segments;
	struct store_appender *appender;
	struct store_reader *r;
	struct store *s = open_log(dir);
	struct err e;
	size_t count;
	append_lines(s, c, 0, 2, 4000, 0);
	clock_sleep_ms(3000);
	store_close(s);
	if (store_appender_open(&appender, &options, &e) != RC_OK || store_appender_roll(appender, &e) != RC_OK)
		die("roll", e.text);
	store_appender_close(appender);
	clock_sleep_ms(1000);
	s = open_log(dir);
	uint64_t bytes = append_lines(s, c, 1, 2, BYTES_EVENTS, UINT64_C(1) << 32);
	struct arena *a = arena_new(4096);
	if (store_reader_from(s, &r, &e) != RC_OK || store_segments(r, a, &segments, &count, &e) != RC_OK)
		die("segments", e.text);
	uint64_t stored = 0;
	for (size_t i = 1; i < count; i++)
		stored += segments[i].file_bytes;
	printf("%d events the dictionary has not seen: %.1f MB of bodies in %.1f MB of segment files: 1/%.2f (at most "
	       "1/8 is wanted)\n",
		BYTES_EVENTS, (double)bytes / 1e6, (double)stored / 1e6, (double)bytes / (double)stored);
	store_reader_close(r);
	store_close(s);
	arena_free(a);
}

/* ---- reading ---- */

static void
read_in_order(const struct corpus *c, const char *dir, unsigned rounds)
{
	double rates[ROUNDS_MAX], rates_bytes[ROUNDS_MAX];
	struct store *s = open_log(dir);
	struct store_reader *r;
	struct err e;
	append_lines(s, c, 0, 1, READ_EVENTS, 0);
	store_close(s);
	if (store_reader_open(&r, dir, &e) != RC_OK)
		die("open", e.text);
	struct arena *a = arena_new(1 << 20);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t bytes = 0, events = 0;
		double from = cpu_seconds();
		for (uint64_t seq = 1; seq <= READ_EVENTS;) {
			const struct store_record *records;
			size_t count;
			arena_reset(a);
			if (store_read(r, seq, 256, 4 << 20, a, &records, &count, &e) != RC_OK)
				die("read", e.text);
			for (size_t j = 0; j < count; j++)
				bytes += records[j].event.body.len;
			seq += count;
			events += count;
		}
		double took = cpu_seconds() - from;
		rates[i] = (double)events / took;
		rates_bytes[i] = (double)bytes / took / 1e6;
	}
	print_rounds("read and decompressed", rates, rounds, "events/s of one core");
	print_rounds("", rates_bytes, rounds, "MB/s of bodies");
	store_reader_close(r);
	arena_free(a);
}

/* ---- a log that grows ---- */

static long
anonymous_kib(void)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtol(line + 8, NULL, 10);
	}
	if (f != NULL)
		fclose(f);
	return kib;
}

/* Appends count more events after the first `at`; microseconds of CPU of the whole process for each. */
static double
append_more(struct producers *all, uint64_t at, uint64_t count)
{
	double cpu = cpu_seconds();
	all->limit = at + count;
	atomic_store(&all->taken, at);
	producers_run(all);
	return (cpu_seconds() - cpu) * 1e6 / (double)count;
}

/* A new log beside the grown one, in turns: an append's cost from the 100,000th event on, and from where the
 * grown one is. Deliveries are known to none of them. */
static void
compare_with_new(struct producers *all, const char *dir, uint64_t at)
{
	double fresh[COMPARISONS], grown[COMPARISONS], ratio[COMPARISONS];
	struct store *large = all->s;
	char path[4096];
	for (unsigned i = 0; i < COMPARISONS; i++, at += COMPARED) {
		snprintf(path, sizeof path, "%s-new%u", dir, i);
		all->s = open_log(path);
		append_more(all, at, 100000);
		fresh[i] = append_more(all, at + 100000, COMPARED);
		store_close(all->s);
		all->s = large;
		grown[i] = append_more(all, at, COMPARED);
		ratio[i] = grown[i] / fresh[i];
		printf("from the 100,000th event on %.1f us of CPU each, from the %" PRIu64 "th on %.1f us: %.2f\n", fresh[i],
			at, grown[i], ratio[i]);
		fflush(stdout);
	}
	qsort(ratio, COMPARISONS, sizeof *ratio, compare);
	printf("growth: median %.2f, from %.2f to %.2f (at most 1.2 is wanted)\n", ratio[COMPARISONS / 2], ratio[0],
		ratio[COMPARISONS - 1]);
	fflush(stdout);
}

static void
grow(const struct corpus *c, const char *dir, uint64_t events)
{
	static struct producers all;
	producers_new(&all, c);
	all.send = send_to_hooklog;
	all.s = open_log(dir);
	for (uint64_t at = 0, step; at < events; at += step) {
		step = events - at > GROW_STEP ? GROW_STEP : events - at;
		int64_t from_us = clock_monotonic_us();
		double each_us = append_more(&all, at, step);
		printf("%9" PRIu64 " events stored, the last %7" PRIu64 ": %5.1f us of CPU each, %6.0f/s, "
		       "anonymous memory %ld MiB, log %.0f MB\n",
			at + step, step, each_us, (double)step / seconds_since(from_us), anonymous_kib() / 1024,
			(double)log_bytes(all.s) / 1e6);
		fflush(stdout);
	}
	compare_with_new(&all, dir, events);
	kill(getpid(), SIGKILL);
}

static void
start(const char *dir)
{
	char delivery[64];
	int64_t from_us = clock_monotonic_us();
	struct store *s = open_log(dir);
	double ready = seconds_since(from_us);
	struct event ev = webhook(bytes_str("{}"), delivery, sizeof delivery, UINT64_MAX >> 9);
	struct store_result result = store_append(s, &ev);
	if (result.rc != RC_OK)
		die("append", result.err.text);
	printf("ready after %.3f s, event %" PRIu64 " stored after %.3f s (at most 3 s is wanted)\n", ready,
		result.seq, seconds_since(from_us));
	store_close(s);
}

int
main(int argc, char **argv)
{
	struct corpus c = { 0 };
	const char *what = argc > 1 ? argv[1] : "";
	unsigned long number = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	unsigned rounds = number > ROUNDS_MAX ? ROUNDS_MAX : (unsigned)number;
	if (argc > 3)
		corpus_read(&c, argv[2]);
	if (strcmp(what, "appends") == 0 && argc == 4)
		appends(&c, argv[3]);
	else if (strcmp(what, "bytes") == 0 && argc == 4)
		bytes_on_disk(&c, argv[3]);
	else if (strcmp(what, "read") == 0 && argc == 5 && rounds > 0)
		read_in_order(&c, argv[3], rounds);
	else if (strcmp(what, "grow") == 0 && argc == 5 && number > 0)
		grow(&c, argv[3], number);
	else if (strcmp(what, "start") == 0 && argc == 3)
		start(argv[2]);
	else
		die("usage", "see the comment at the top of tests/bench/log_bench.c");
	corpus_free(&c);
	return 0;
}
