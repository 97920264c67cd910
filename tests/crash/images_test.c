/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: release
 * TEST-TIMEOUT: 14400
 * TEST-ALONE */
#include <errno.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/crash/pool.h"
#include "tests/crash/work.h"
#include "tests/unit/store/helper.h"

/* Power cuts: what is on the disk at every moment of a workload, for every choice of what was still in
 * the cache, is opened by the program as it is, must hold all that was acknowledged, and must take more.
 * docs/testing.md explains the parts. */

#define IMAGES_AT_LEAST 20000
#define IMAGES_AT_LEAST_SOAK 500000
#define SEED 20240229

static bool
soak(void)
{
	return getenv("TEST_SOAK") != NULL;
}

/* A folder in memory when there is room, since the test syncs hundreds of thousands of times and means
 * none of them. */
static char *
scratch(void)
{
	struct statvfs fs;
	const char *base = getenv("TMPDIR");
	char path[200];
	if (statvfs("/dev/shm", &fs) == 0 && access("/dev/shm", W_OK) == 0 &&
		(uint64_t)fs.f_bavail * fs.f_frsize > (uint64_t)1 << 30)
		base = "/dev/shm";
	snprintf(path, sizeof path, "%s/hooklog-crash.XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(path));
	return base_strdup(path);
}

/* Explores until the pool has taken `images` more or there are no others. */
static void
explore(struct pool *p, const struct work_recording *r, struct model_rules rules, uint64_t images)
{
	struct model_trace trace = { r->trace.data, r->trace.len, r->root };
	uint64_t all = model_explore(&trace, &rules, 0, NULL, NULL);
	uint64_t until = pool_images(p) + images;
	double keep = 1.3 * (double)images / (double)(all + 1);
	pool_allow(p, images);
	for (int pass = 0; pass < 4 && pool_images(p) < until; pass++, keep *= 3) {
		rules.seed++;
		model_explore(&trace, &rules, keep, pool_take, p);
		if (keep >= 1)
			break;
	}
}

struct totals {
	uint64_t images, violations;
};

static void
run_workload(const struct workload *w, struct totals *totals)
{
	struct work_recording r;
	char *base = scratch();
	uint64_t images = soak() ? w->images_soak : w->images, seed = SEED;
	const char *given = getenv("TEST_SEED");
	if (given != NULL)
		seed = strtoull(given, NULL, 10);
	else if (soak())
		crypto_random((unsigned char *)&seed, sizeof seed);
	work_record(w, base, &r);
	struct check_expect expect = { .ids = r.ids, .count = r.id_count,
		.segment_bytes_max = w->segment_bytes_max, .write_on = w->write_on,
		.archived = w->archived, .further = w->further };
	struct pool *p = pool_new(base, &expect, r.stale_lock);
	struct model_rules rules = { .granule = 4096, .random = soak() ? 200 : 20, .seed = seed };
	if (w->coarse) {
		explore(p, &r, rules, images);
	} else {
		explore(p, &r, rules, images / 3);
		rules.file_keeps_names = true;
		explore(p, &r, rules, images / 6);
		rules.granule = 512;
		rules.file_keeps_names = false;
		explore(p, &r, rules, images - pool_images(p));
	}
	struct pool_result result = pool_finish(p, r.ends, r.end_count, false);
	printf("# note: %s: %" PRIu64 " images, %" PRIu64 " violations (seed %" PRIu64 ")\n", w->name,
		result.images, result.violations, seed);
	totals->images += result.images;
	totals->violations += result.violations;
	work_free(&r);
	assert_int_equal(rmdir(base), 0);
	free(base);
	if (result.violations > 0)
		fail_msg("%s: %s", w->name, result.first);
}

static void
every_image_holds_what_was_promised(void **state)
{
	(void)state;
	struct totals totals = { 0 };
	const char *only = getenv("TEST_ONLY");
	for (size_t i = 0; i < work_count; i++) {
		if (only == NULL || strstr(work_list[i].name, only) != NULL)
			run_workload(&work_list[i], &totals);
	}
	printf("# note: %" PRIu64 " different images, %" PRIu64 " violations\n", totals.images,
		totals.violations);
	if (only == NULL)
		assert_true(totals.images >= (soak() ? IMAGES_AT_LEAST_SOAK : IMAGES_AT_LEAST));
}

/* ---- the harness finds what it is there to find ---- */

struct control {
	const char *name, *workload;
	struct model_rules rules;
	bool early;
};

static const struct control controls[] = {
	{ "no sync", "sixty commits", { .no_sync = true }, false },
	{ "no sync of the root", "sixty commits", { .no_meta_sync = true }, false },
	{ "answer before the commit", "made and three events", { .no_sync = false }, true },
	{ "no sync of folders", "made and three events", { .no_dir_sync = true }, false },
	{ "no sync at the start", "killed in the write of the root", { .no_start_sync = true }, false },
};

static void
every_control_fails(void **state)
{
	(void)state;
	unsigned images = soak() ? 3000 : 300;
	const char *only = getenv("TEST_ONLY");
	for (size_t i = 0; i < COUNT_OF(controls); i++) {
		const struct control *c = &controls[i];
		if (only != NULL && strstr(c->name, only) == NULL)
			continue;
		struct work_recording r;
		char *base = scratch();
		size_t w = 0;
		while (w < work_count && strcmp(work_list[w].name, c->workload) != 0)
			w++;
		assert_true(w < work_count);
		work_record(&work_list[w], base, &r);
		struct check_expect expect = { .ids = r.ids, .count = r.id_count, .write_on = 8 };
		struct pool *p = pool_new(base, &expect, r.stale_lock);
		struct model_rules rules = c->rules;
		rules.granule = 4096;
		rules.random = 5;
		rules.seed = SEED;
		explore(p, &r, rules, images);
		struct pool_result result = pool_finish(p, r.ends, r.end_count, c->early);
		printf("# note: control \"%s\": %" PRIu64 " images, %" PRIu64 " violations, as it should\n",
			c->name, result.images, result.violations);
		work_free(&r);
		assert_int_equal(rmdir(base), 0);
		free(base);
		if (result.violations == 0)
			fail_msg("without %s nothing was found: the harness is blind", c->name);
	}
}

/* ---- the last control: a checksum nobody looks at ---- */

static bool checksums_ignored;

/* Stands in for libxxhash's. Ignored, it gives what stands in the record in front of the bytes. */
XXH64_hash_t
XXH3_64bits(const void *data, size_t len)
{
	XXH64_hash_t stored;
	if (!checksums_ignored)
		return XXH3_64bits_withSeed(data, len, 0);
	memcpy(&stored, (const unsigned char *)data - 8, sizeof stored);
	return stored;
}

/* Flips the bit in the copy of body that stands in the segment. */
static void
flip(const char *segment, const unsigned char *body, size_t len, size_t bit)
{
	FILE *f = fopen(segment, "r+b");
	assert_non_null(f);
	unsigned char *data = base_alloc(1 << 20);
	size_t size = fread(data, 1, 1 << 20, f);
	unsigned char *at = memmem(data, size, body, len);
	assert_non_null(at);
	long place = (long)(at - data) + (long)(bit / 8);
	assert_int_equal(fseek(f, place, SEEK_SET), 0);
	assert_int_equal(fputc(data[place] ^ 1 << bit % 8, f), data[place] ^ 1 << bit % 8);
	assert_int_equal(fclose(f), 0);
	free(data);
}

/* Whether reading event 1 succeeds and gives other bytes than body. */
static bool
reads_wrong(const char *dir, struct bytes body)
{
	struct store_reader *r;
	struct arena *a = arena_new(4096);
	const struct store_record *records;
	size_t count;
	struct err e;
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	bool wrong = store_read(r, 1, 1, 1, a, &records, &count, &e) == RC_OK && count == 1 &&
		!bytes_equal(records[0].event.body, body);
	store_reader_close(r);
	arena_free(a);
	return wrong;
}

static void
an_ignored_checksum_shows(void **state)
{
	(void)state;
	char *dir = helper_dir(), segment[400];
	struct store *s = helper_open(dir);
	unsigned char *noise = helper_noise(600, 1);
	unsigned honest = 0, ignored = 0;
	helper_append_bytes(s, "a", (struct bytes){ noise, 600 });
	store_close(s);
	snprintf(segment, sizeof segment, "%s/00000000000000000001.mdb", dir);
	for (size_t bit = 0; bit < 100; bit++) {
		flip(segment, noise, 600, bit * 48);
		honest += reads_wrong(dir, (struct bytes){ noise, 600 });
		checksums_ignored = true;
		ignored += reads_wrong(dir, (struct bytes){ noise, 600 });
		checksums_ignored = false;
		/* And back again, or the next search would not find the body. */
		noise[bit * 48 / 8] ^= (unsigned char)(1 << bit * 48 % 8);
		flip(segment, noise, 600, bit * 48);
		noise[bit * 48 / 8] ^= (unsigned char)(1 << bit * 48 % 8);
	}
	printf("# note: control \"checksum ignored\": 100 flipped bits, %u wrong bodies, as it should; "
	       "with the checksum %u\n", ignored, honest);
	assert_int_equal(honest, 0);
	assert_true(ignored > 0);
	free(noise);
	helper_remove(dir);
}

int
main(void)
{
	/* The runner's deadline is that of the long form. */
	alarm(soak() ? 14000 : 900);
	setvbuf(stdout, NULL, _IOLBF, 0); /* for who follows a long run in a file */
	/* LMDB asks for megabytes of zeros at every opening. Fresh from the kernel they cost nothing until they are
	 * used; malloc would rather clear what was freed before. */
	mallopt(M_MMAP_THRESHOLD, 1 << 18);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_control_fails),
		cmocka_unit_test(an_ignored_checksum_shows),
		cmocka_unit_test(every_image_holds_what_was_promised),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
