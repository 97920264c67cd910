/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan tsan */
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/clock.h"
#include "base/fs.h"
#include "store/index.h"
#include "store/index_levels.h"

/* The index knows every delivery at every moment; and when its disk is full or fails no delivery's key is lost, the log is
 * told, and nobody waits for ever. */

static atomic_int sync_error; /* what fdatasync shall fail with; 0: nothing */

/* Stands in for libc's, also for liblmdb. */
int
fdatasync(int fd)
{
	int failing = atomic_load(&sync_error);
	if (failing == 0)
		return (int)syscall(SYS_fdatasync, fd);
	errno = failing;
	return -1;
}

struct test {
	char *dir, path[300];
	struct store_reader *reader;
	struct index *index;
	uint64_t last; /* the log's last number, as the index is told */
};

/* The index of a new log, opened beside it: what the index is told of is in no log, which it does not look at. */
static struct test
begin(void)
{
	struct test t = { .dir = helper_dir() };
	struct err e;
	snprintf(t.path, sizeof t.path, "%s/index.mdb", t.dir);
	store_close(helper_open(t.dir));
	assert_int_equal(store_reader_open(&t.reader, t.dir, &e), RC_OK);
	assert_int_equal(index_open(&t.index, t.reader, &e), RC_OK);
	assert_int_equal(index_ready(t.index, &e), RC_OK);
	return t;
}

static void
end(struct test *t)
{
	atomic_store(&sync_error, 0);
	index_close(t->index);
	store_reader_close(t->reader);
	helper_remove(t->dir);
}

/* As many commits as make the index write. */
static void
commit_many(struct test *t, uint64_t records)
{
	static const unsigned char chain[STORE_CHAIN_BYTES];
	for (uint64_t i = 0; i < records; i++) {
		index_add_source(t->index, ++t->last, 1);
		if (t->last % 64 == 0)
			index_committed(t->index, t->last, chain);
	}
}

/* What the index answers once it does not answer `than` any more. */
static enum rc
answer_other(struct test *t, enum rc than, struct err *e)
{
	int64_t deadline_ms = clock_monotonic_ms() + 60000;
	enum rc rc;
	while ((rc = index_ready(t->index, e)) == than && clock_monotonic_ms() < deadline_ms)
		clock_sleep_ms(5);
	return rc;
}

/* 125,000 and 250,000, up to the next commit of commit_many. */
#define WRITES_EVERY 125056
#define MEMORY_HOLDS 250048

static void
a_failed_write_is_final(void **state)
{
	(void)state;
	struct test t = begin();
	struct err e;
	atomic_store(&sync_error, EIO);
	commit_many(&t, WRITES_EVERY);
	assert_int_equal(answer_other(&t, RC_OK, &e), RC_IO);
	assert_string_equal(e.id, "log.index");
	/* A disk that works again changes nothing, and nobody waits for the write that will not come. */
	atomic_store(&sync_error, 0);
	commit_many(&t, 2 * MEMORY_HOLDS);
	assert_int_equal(index_ready(t.index, &e), RC_IO);
	assert_false(fs_exists(t.path));
	index_close(t.index);
	/* Anew. */
	assert_int_equal(index_open(&t.index, t.reader, &e), RC_OK);
	assert_int_equal(index_ready(t.index, &e), RC_OK);
	assert_true(fs_exists(t.path));
	end(&t);
}

static void
a_full_disk_is_waited_out(void **state)
{
	(void)state;
	struct test t = begin();
	struct err e;
	atomic_store(&sync_error, ENOSPC);
	commit_many(&t, WRITES_EVERY);
	/* Memory holds what comes meanwhile, and then says so. */
	assert_int_equal(index_ready(t.index, &e), RC_OK);
	commit_many(&t, MEMORY_HOLDS - 64);
	assert_int_equal(index_ready(t.index, &e), RC_OK);
	commit_many(&t, 64);
	assert_int_equal(answer_other(&t, RC_OK, &e), RC_FULL);
	assert_string_equal(e.id, "disk-full");
	assert_true(fs_exists(t.path));
	atomic_store(&sync_error, 0);
	assert_int_equal(answer_other(&t, RC_FULL, &e), RC_OK);
	commit_many(&t, 64);
	end(&t);
}

/* A delivery's key, and what the index shall know of it. */
static struct index_entry
delivery(uint64_t n, struct index_key *key)
{
	char id[32];
	struct index_entry entry = { .seq = n };
	snprintf(id, sizeof id, "delivery %" PRIu64, n);
	struct event ev = helper_event(id, bytes_str("{}"));
	memset(entry.body, (int)(n % 256), sizeof entry.body);
	assert_true(index_key_of(&ev, key));
	return entry;
}

static void
assert_known(struct test *t, uint64_t n)
{
	struct index_key key;
	struct index_entry want = delivery(n, &key), found;
	bool stored;
	struct err e;
	assert_int_equal(index_find(t->index, &key, &found, &stored, &e), RC_OK);
	assert_int_equal(found.seq, want.seq);
	assert_memory_equal(found.body, want.body, sizeof want.body);
	delivery(n + (UINT64_C(1) << 32), &key);
	assert_int_equal(index_find(t->index, &key, &found, &stored, &e), RC_NOTFOUND);
}

/* Deliveries go from memory into the small tree and from there into the large one, and the filter grows with them: at no
 * moment is one of them unknown, or a strange one known. */
static void
a_delivery_is_known_at_every_moment(void **state)
{
	(void)state;
	static const unsigned char chain[STORE_CHAIN_BYTES];
	const uint64_t events = 3 * WRITES_EVERY + 1000;
	struct test t = begin();
	uint64_t noise = 7;
	for (uint64_t n = 1; n <= events; n++) {
		struct index_key key;
		struct index_entry entry = delivery(n, &key);
		index_add_source(t.index, n, 1);
		index_add(t.index, &key, &entry);
		noise = noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		if (n % 8 == 0)
			assert_known(&t, 1 + (noise >> 33) % n);
		if (n % 1000 == 0)
			index_committed(t.index, n, chain);
	}
	for (uint64_t n = 1; n <= events; n += 7)
		assert_known(&t, n);
	end(&t);
}

/* Puts something that is no entry into a tree of the index. */
static void
damage(const struct test *t, const char *tree)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	struct err e;
	unsigned char key[INDEX_KEY_BYTES] = { 200 };
	MDB_val k = { sizeof key, key }, v = { 5, key };
	assert_int_equal(db_open(t->path, DB_WRITE, &env, &e), RC_OK);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, tree, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	db_close(env);
}

/* An index that was closed in order is not looked through before the start, but soon after it. */
static void
damage_is_found_in_the_background(void **state)
{
	(void)state;
	static const char *const trees[] = { INDEX_RECENT, INDEX_KEYS };
	for (size_t i = 0; i < COUNT_OF(trees); i++) {
		struct test t = begin();
		struct err e;
		index_close(t.index);
		damage(&t, trees[i]);
		assert_int_equal(index_open(&t.index, t.reader, &e), RC_OK);
		assert_int_equal(answer_other(&t, RC_OK, &e), RC_IO);
		assert_string_equal(e.id, "log.index");
		assert_false(fs_exists(t.path));
		assert_int_equal(index_health(t.index, &e), RC_IO);
		/* Nobody waits for it. */
		commit_many(&t, 2 * MEMORY_HOLDS);
		assert_int_equal(index_ready(t.index, &e), RC_IO);
		index_close(t.index);
		assert_int_equal(index_open(&t.index, t.reader, &e), RC_OK);
		assert_int_equal(index_ready(t.index, &e), RC_OK);
		end(&t);
	}
}

/* How much of the file's pages is in our address space. */
static long
mapped_kib(const char *path)
{
	char line[4096];
	long kib = -1;
	bool ours = false;
	FILE *f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		size_t len = strcspn(line, "\n"), end = strlen(path);
		/* What is said of a map begins with a capital; the map itself with its address, and ends with its file. */
		if (line[0] < 'A' || line[0] > 'Z')
			ours = len > end && memcmp(line + len - end, path, end) == 0;
		else if (ours && strncmp(line, "Rss:", 4) == 0)
			kib = strtol(line + 4, NULL, 10);
	}
	fclose(f);
	assert_true(kib >= 0);
	return kib;
}

static off_t
size_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Until the file has grown and is left alone. */
static void
wait_for_write(const char *path, off_t before)
{
	int64_t deadline_ms = clock_monotonic_ms() + 30000;
	off_t last = before;
	do {
		last = size_of(path);
		clock_sleep_ms(300);
	} while ((last == before || size_of(path) != last) && clock_monotonic_ms() < deadline_ms);
	assert_true(last > before);
}

/* The index reads its file wherever it writes, which must not make all of it memory of ours. */
static void
its_pages_do_not_count_as_memory(void **state)
{
	(void)state;
	static const unsigned char chain[STORE_CHAIN_BYTES];
	struct test t = begin();
	for (uint64_t n = 1; n <= 3 * WRITES_EVERY; n++) {
		struct index_key key;
		struct index_entry entry = delivery(n, &key);
		index_add_source(t.index, n, 1);
		index_add(t.index, &key, &entry);
		off_t before = n % WRITES_EVERY == 0 ? size_of(t.path) : 0;
		if (n % 64 == 0)
			index_committed(t.index, n, chain);
		if (n % WRITES_EVERY == 0)
			wait_for_write(t.path, before);
	}
	assert_true(size_of(t.path) > 12 << 20);
	assert_in_range(mapped_kib(t.path), 0, 1024);
	end(&t);
}

#define SESSION 700

static void
send_again(struct store *s, unsigned n, bool duplicate)
{
	char id[32];
	snprintf(id, sizeof id, "session %u", n);
	struct store_result result = helper_append_bytes(s, id, bytes_str("{}"));
	assert_int_equal(result.rc, RC_OK);
	assert_int_equal(result.duplicate, duplicate);
	assert_int_equal(result.seq, n);
}

/* What is in the file when a writer opens it is known to it from its first event on, before it has made its filter. */
static void
deliveries_of_earlier_sessions_are_known(void **state)
{
	(void)state;
	char *dir = helper_dir();
	for (unsigned session = 0; session < 5; session++) {
		struct store *s = helper_open(dir);
		send_again(s, session * SESSION + 1, false);
		for (unsigned n = session * SESSION; n >= 1; n -= n > 3 ? 3 : 1)
			send_again(s, n, true);
		for (unsigned n = session * SESSION + 2; n <= (session + 1) * SESSION; n++)
			send_again(s, n, false);
		store_close(s);
		helper_verify(dir, (session + 1) * SESSION, RC_OK);
	}
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_write_is_final),
		cmocka_unit_test(a_full_disk_is_waited_out),
		cmocka_unit_test(damage_is_found_in_the_background),
		cmocka_unit_test(a_delivery_is_known_at_every_moment),
		cmocka_unit_test(its_pages_do_not_count_as_memory),
		cmocka_unit_test(deliveries_of_earlier_sessions_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
