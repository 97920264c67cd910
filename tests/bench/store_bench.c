/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"

/* Appends a second with threads that each wait for their answer, beside the least any log could do for
 * the same promise: one pwrite and one fdatasync per batch, with the bytes that went to disk.
 *
 *	store_bench [DIR]
 */

#define THREADS_MAX 64
#define BODY_BYTES 10240
#define RUN_MS 5000
#define WARM_UP_EVENTS 2000
/* Different bodies per thread, made before the clock starts. */
#define BODIES 64

static atomic_uint syncs; /* of this program, liblmdb's included */
static atomic_bool stop;

int
fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	return (int)syscall(SYS_fdatasync, fd);
}

struct worker {
	struct store *s;
	unsigned number;
	bool compressible;
	uint64_t appends;
	uint64_t limit; /* 0: until stop */
	char *bodies[BODIES];
	size_t lengths[BODIES];
};

/* About what a forge sends: names and ids that differ, around keys and URLs that do not. */
static size_t
fill_json(char *body, uint64_t n)
{
	size_t len = 0;
	for (unsigned i = 0; len < BODY_BYTES - 400; i++)
		len += (size_t)snprintf(body + len, BODY_BYTES - len,
			"{\"id\":%" PRIu64 ",\"node_id\":\"PR_%016" PRIx64
			"\",\"url\":\"https://api.example.com/repos/acme/widgets-%" PRIu64
			"/pulls/%u\",\"state\":\"open\",\"user\":{\"login\":\"user-%" PRIu64
			"\",\"type\":\"User\",\"site_admin\":false},\"sha\":\"%016" PRIx64 "%016" PRIx64
			"\"},",
			n * 7919 + i, n * UINT64_C(0x9e3779b97f4a7c15) + i, n % 50, i, n % 300,
			(n + i) * UINT64_C(0xbf58476d1ce4e5b9), (n ^ i) * UINT64_C(0x94d049bb133111eb));
	return len;
}

static size_t
fill_noise(char *body, uint64_t n)
{
	for (size_t i = 0; i < BODY_BYTES; i += 8) {
		n = n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		uint64_t mixed = n ^ (n >> 29);
		memcpy(body + i, &mixed, 8);
	}
	return BODY_BYTES;
}

static void *
work(void *context)
{
	struct worker *w = context;
	char delivery[64];
	for (uint64_t i = 0; w->limit > 0 ? i < w->limit : !atomic_load(&stop); i++) {
		uint64_t n = (uint64_t)w->number << 40 | (w->limit > 0 ? (uint64_t)1 << 39 : 0) | i;
		const char *body = w->bodies[i % BODIES];
		size_t len = w->lengths[i % BODIES];
		snprintf(delivery, sizeof delivery, "%08" PRIx64 "-0000-11ef-9000-%012" PRIx64, n >> 8, n);
		struct event ev = {
			.source = bytes_str("github"),
			.provider = bytes_str("github"),
			.event = bytes_str("pull_request"),
			.delivery = bytes_str(delivery),
			.hook = bytes_str("42"),
			.method = bytes_str("POST"),
			.path = bytes_str("/in/github"),
			.content_type = bytes_str("application/json"),
			.body = { (const unsigned char *)body, len },
		};
		struct store_result result = store_append(w->s, &ev);
		if (result.rc != RC_OK || result.duplicate) {
			fprintf(stderr, "append: %s\n", result.err.text);
			exit(1);
		}
		w->appends++;
	}
	return NULL;
}

static void
make_bodies(struct worker *w)
{
	for (unsigned i = 0; i < BODIES; i++) {
		uint64_t n = (uint64_t)w->number << 32 | (w->limit > 0 ? 1u << 31 : 0u) | i;
		w->bodies[i] = base_alloc(BODY_BYTES);
		w->lengths[i] = w->compressible ? fill_json(w->bodies[i], n) : fill_noise(w->bodies[i], n);
	}
}

static void
run_threads(struct store *s, unsigned count, bool compressible, uint64_t limit, uint64_t *appends,
	double *seconds)
{
	struct worker *workers = base_zalloc(THREADS_MAX * sizeof *workers);
	pthread_t threads[THREADS_MAX];
	atomic_store(&stop, false);
	for (unsigned i = 0; i < count; i++) {
		workers[i] = (struct worker){ .s = s, .number = i + 1, .compressible = compressible,
			.limit = limit };
		make_bodies(&workers[i]);
	}
	int64_t from_us = clock_monotonic_us();
	for (unsigned i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			exit(1);
	}
	if (limit == 0) {
		clock_sleep_ms(RUN_MS);
		atomic_store(&stop, true);
	}
	*appends = 0;
	for (unsigned i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		*appends += workers[i].appends;
		for (unsigned j = 0; j < BODIES; j++)
			free(workers[i].bodies[j]);
	}
	*seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
	free(workers);
}

/* Seconds for count times pwrite + fdatasync of bytes each, into a file that grows. */
static double
bare(const char *dir, unsigned count, size_t bytes)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/bare", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned char *data = base_zalloc(bytes + 1);
	int64_t from_us = clock_monotonic_us();
	for (unsigned i = 0; i < count; i++) {
		if (pwrite(fd, data, bytes, (off_t)((uint64_t)i * bytes)) != (ssize_t)bytes ||
			fdatasync(fd) != 0)
			exit(1);
	}
	double seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
	free(data);
	close(fd);
	unlink(path);
	return seconds;
}

static void
remove_log(const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
		unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		closedir(d);
}

static uint64_t
log_bytes(struct store_reader *r, struct arena *a)
{
	const struct store_segment_stat *segments;
	struct err e;
	size_t count;
	uint64_t bytes = 0;
	arena_reset(a);
	if (store_segments(r, a, &segments, &count, &e) != RC_OK)
		exit(1);
	for (size_t i = 0; i < count; i++)
		bytes += segments[i].file_bytes;
	return bytes;
}

static void
measure(const char *dir, unsigned threads, bool compressible)
{
	struct store_options options = { .dir = dir };
	struct store_reader *r;
	struct store *s;
	struct err e;
	uint64_t appends;
	double seconds;
	struct arena *a = arena_new(4096);
	if (store_open(&s, &options, &e) != RC_OK || store_reader_from(s, &r, &e) != RC_OK) {
		fprintf(stderr, "open: %s\n", e.text);
		exit(1);
	}
	run_threads(s, threads, compressible, WARM_UP_EVENTS / threads, &appends, &seconds);
	uint64_t bytes = log_bytes(r, a);
	unsigned syncs_before = atomic_load(&syncs);
	run_threads(s, threads, compressible, 0, &appends, &seconds);
	unsigned commits = atomic_load(&syncs) - syncs_before;
	bytes = log_bytes(r, a) - bytes;
	store_reader_close(r);
	store_close(s);
	double limit = bare(dir, commits, (size_t)(bytes / commits));
	printf("%-12s %2u threads: %7.0f appends/s, %5.0f commits/s, %4.1f events and %5.1f KiB each; "
	       "bare pwrite+fdatasync of the same batches would allow %7.0f/s; ratio %.2f\n",
		compressible ? "JSON 10 KB" : "noise 10 KB", threads, (double)appends / seconds,
		(double)commits / seconds, (double)appends / commits,
		(double)bytes / commits / 1024.0, (double)appends / limit,
		(double)appends / seconds / ((double)appends / limit));
	fflush(stdout);
	arena_free(a);
	remove_log(dir);
}

int
main(int argc, char **argv)
{
	char made[] = "/var/tmp/hooklog-bench.XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(made);
	if (dir == NULL) {
		fprintf(stderr, "cannot make a folder in /var/tmp\n");
		return 1;
	}
	measure(dir, 1, true);
	measure(dir, 8, true);
	measure(dir, 64, true);
	measure(dir, 8, false);
	rmdir(dir);
	return 0;
}
