/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan tsan */
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/clock.h"
#include "base/fs.h"
#include "store/index.h"

/* The index when its disk is full or fails: no delivery's key is lost, the log is told, and nobody waits for ever. */

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

#define WRITES_EVERY 131072
#define MEMORY_HOLDS 262144

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_write_is_final),
		cmocka_unit_test(a_full_disk_is_waited_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
