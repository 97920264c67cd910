/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "store/index_levels.h"
#include "store/writer.h"

#define SENDERS 16
#define SENDS 12
#define SLOW_SYNC_US 20000

static atomic_uint syncs;
static atomic_bool slow_disk;

/* LMDB's, once per commit. */
int
fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&slow_disk))
		usleep(SLOW_SYNC_US);
	return (int)syscall(SYS_fdatasync, fd);
}

static void
put_body(struct buf *body, unsigned i)
{
	buf_clear(body);
	buf_printf(body, "{\"action\":\"opened\",\"number\":%u,\"pull_request\":{\"id\":%u,\"node_id\":\"PR_%08x\","
		"\"url\":\"https://api.example.com/repos/acme/widgets-%u/pulls/%u\",\"state\":\"open\","
		"\"user\":{\"login\":\"user-%u\",\"id\":%u,\"type\":\"User\",\"site_admin\":false}}}",
		i, i * 7919, i * 2654435761u, i % 50, i, i % 300, i % 300 * 31);
}

static uint64_t
stored_bytes(struct store_reader *r, uint64_t seq)
{
	struct arena *a = arena_new(1024);
	const struct store_record *records;
	size_t count;
	struct err e;
	assert_int_equal(store_read(r, seq, 1, 1, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 1);
	uint64_t bytes = records[0].stored_bytes;
	arena_free(a);
	return bytes;
}

/* Reads everything in another process, which has to take the dictionaries from the segments. */
static void
read_elsewhere(const char *dir, unsigned events)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store_reader *r;
		struct arena *a = arena_new(1 << 16);
		struct buf body = buf_new(4096);
		struct err e;
		if (store_reader_open(&r, dir, &e) != RC_OK)
			_exit(1);
		for (unsigned i = 0; i < events;) {
			const struct store_record *records;
			size_t count;
			arena_reset(a);
			if (store_read(r, i + 1, 100, 1 << 20, a, &records, &count, &e) != RC_OK || count == 0)
				_exit(2);
			for (size_t j = 0; j < count; j++) {
				put_body(&body, i++);
				if (!bytes_equal(records[j].event.body, buf_bytes(&body)))
					_exit(3);
			}
		}
		_exit(0);
	}
	int status;
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
}

static void
a_dictionary_is_trained_kept_and_carried_on(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store_options options = { .dir = dir, .segment_bytes_max = 600000 };
	struct store *s = helper_open_with(options);
	struct store_reader *r;
	struct buf body = buf_new(4096);
	struct err e;
	unsigned i = 0;
	for (; i < 600; i++) {
		put_body(&body, i);
		helper_append_bytes(s, "", buf_bytes(&body));
	}
	trainer_drain(s->trainer);
	put_body(&body, i++);
	helper_append_bytes(s, "", buf_bytes(&body));
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	uint64_t plain = stored_bytes(r, 1), small = stored_bytes(r, i);
	assert_true(small < plain * 2 / 3);
	store_reader_close(r);
	/* The next start goes on with it, and a segment opened later gets its own copy. */
	store_close(s);
	s = helper_open_with(options);
	put_body(&body, i++);
	helper_append_bytes(s, "", buf_bytes(&body));
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_true(stored_bytes(r, i) < plain * 2 / 3);
	assert_int_equal(writer_roll(s, &e), RC_OK);
	put_body(&body, i++);
	helper_append_bytes(s, "", buf_bytes(&body));
	assert_true(stored_bytes(r, i) < plain * 2 / 3);
	store_reader_close(r);
	store_close(s);
	read_elsewhere(dir, i);
	helper_verify(dir, i, RC_OK);
	buf_free(&body);
	helper_remove(dir);
}

/* Records that do not compress have none, and the last segment may be empty. */
static void
a_start_finds_the_dictionary_that_was_used_last(void **state)
{
	(void)state;
	char *dir = helper_dir();
	unsigned char *noise = helper_noise(2000, 7);
	struct store *s = helper_open(dir);
	struct store_reader *r;
	struct buf body = buf_new(4096);
	struct err e;
	unsigned i = 0;
	for (; i < 600; i++) {
		put_body(&body, i);
		helper_append_bytes(s, "", buf_bytes(&body));
	}
	trainer_drain(s->trainer);
	put_body(&body, i++);
	helper_append_bytes(s, "", buf_bytes(&body));
	for (unsigned n = 0; n < 3; n++, i++)
		helper_append_bytes(s, "", (struct bytes){ noise, 2000 });
	assert_int_equal(writer_roll(s, &e), RC_OK);
	store_close(s);
	s = helper_open(dir);
	put_body(&body, i++);
	helper_append_bytes(s, "", buf_bytes(&body));
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_true(stored_bytes(r, i) < stored_bytes(r, 1) * 2 / 3);
	store_reader_close(r);
	store_close(s);
	helper_verify(dir, i, RC_OK);
	buf_free(&body);
	free(noise);
	helper_remove(dir);
}

/* A map that is full at once: the writer goes on in the next segment, nobody notices. */
static void
a_full_map_rolls_the_segment(void **state)
{
	(void)state;
	char *dir = helper_dir();
	unsigned char *noise = helper_noise(50000, 9);
	struct store *s = helper_open(dir);
	struct store_reader *r;
	const struct store_segment_stat *segments;
	struct arena *a = arena_new(4096);
	size_t count;
	struct err e;
	helper_append_bytes(s, "a", (struct bytes){ noise, 50000 });
	assert_int_equal(mdb_env_set_mapsize(s->segment->env, 300000), 0);
	for (uint64_t i = 2; i <= 20; i++) {
		char delivery[16];
		snprintf(delivery, sizeof delivery, "%" PRIu64, i);
		struct store_result result =
			helper_append_bytes(s, delivery, (struct bytes){ noise, 50000 });
		assert_true(result.seq == i && !result.duplicate);
	}
	assert_true(helper_append_bytes(s, "a", (struct bytes){ noise, 50000 }).duplicate);
	assert_int_equal(store_health(s, &e), RC_OK);
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_segments(r, a, &segments, &count, &e), RC_OK);
	assert_int_equal(count, 2);
	assert_true(segments[0].last_seq >= 2 && segments[0].last_seq < 7);
	store_reader_close(r);
	store_close(s);
	helper_verify(dir, 20, RC_OK);
	arena_free(a);
	free(noise);
	helper_remove(dir);
}

/* Lets the stored entry of every key lead to seq, in whichever tree it is. */
static void
misdirect(const char *dir, uint64_t seq)
{
	static const char *const trees[] = { INDEX_RECENT, INDEX_KEYS };
	char path[4096];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi tree;
	MDB_cursor *cursor;
	MDB_val k, v;
	struct err e;
	size_t count = 0;
	snprintf(path, sizeof path, "%s/index.mdb", dir);
	assert_int_equal(db_open(path, DB_WRITE, &env, &e), RC_OK);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	for (size_t i = 0; i < COUNT_OF(trees); i++) {
		assert_int_equal(mdb_dbi_open(txn, trees[i], 0, &tree), 0);
		assert_int_equal(mdb_cursor_open(txn, tree, &cursor), 0);
		while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
			unsigned char value[INDEX_VALUE_BYTES];
			assert_int_equal(v.mv_size, sizeof value);
			memcpy(value, v.mv_data, sizeof value);
			db_put_seq(value, seq);
			MDB_val changed = { sizeof value, value };
			assert_int_equal(mdb_cursor_put(cursor, &k, &changed, MDB_CURRENT), 0);
			count++;
		}
		mdb_cursor_close(cursor);
	}
	assert_true(count > 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	db_close(env);
}

/* "Already stored as n" is a promise, so an index that lies must not lose an event. */
static void
a_wrong_index_loses_nothing(void **state)
{
	(void)state;
	static const uint64_t wrong[] = { 0, 2, 3, UINT64_C(1) << 60 };
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		char *dir = helper_dir();
		struct store *s = helper_open(dir);
		assert_true(helper_append(s, "a", "one") == 1);
		assert_true(helper_append(s, "", "two") == 2);
		store_close(s);
		misdirect(dir, wrong[i]);
		helper_verify(dir, 2, RC_CORRUPT);
		s = helper_open(dir);
		struct store_result result = helper_append_bytes(s, "a", bytes_str("one"));
		assert_true(!result.duplicate && result.seq == 3);
		/* The entry has been mended. */
		result = helper_append_bytes(s, "a", bytes_str("one"));
		assert_true(result.duplicate && result.seq == 3);
		store_close(s);
		s = helper_open(dir);
		result = helper_append_bytes(s, "a", bytes_str("one"));
		assert_true(result.duplicate && result.seq == 3);
		store_close(s);
		helper_verify(dir, 3, RC_OK);
		helper_remove(dir);
	}
}

struct sender {
	pthread_t thread;
	struct store *s;
	unsigned number;
};

static void *
send_one_after_the_other(void *context)
{
	struct sender *me = context;
	char delivery[32];
	for (unsigned i = 0; i < SENDS; i++) {
		snprintf(delivery, sizeof delivery, "%u-%u", me->number, i);
		struct event ev = helper_event(delivery, bytes_str("{}"));
		struct store_result result = store_append(me->s, &ev);
		if (result.rc != RC_OK || result.duplicate)
			return me;
	}
	return NULL;
}

/* Each sends its next event when the one before is answered. Were those answered last not waited for, two halves of
 * them would take turns: a commit would carry half of the senders, and there would be twice as many. */
static void
who_was_answered_shares_the_next_commit(void **state UNUSED)
{
	unsigned commits = 0, halves = SENDS * 2;
	for (unsigned round = 0; round < 8 && (round == 0 || commits > halves * 3 / 4); round++) {
		char *dir = helper_dir();
		struct sender senders[SENDERS];
		struct store *s = helper_open(dir);
		helper_append(s, "first", "{}");
		atomic_store(&slow_disk, true);
		unsigned before = atomic_load(&syncs);
		for (unsigned i = 0; i < SENDERS; i++) {
			senders[i] = (struct sender){ .s = s, .number = 100 * round + i };
			assert_int_equal(pthread_create(&senders[i].thread, NULL, send_one_after_the_other, &senders[i]), 0);
		}
		for (unsigned i = 0; i < SENDERS; i++) {
			void *failed;
			pthread_join(senders[i].thread, &failed);
			assert_null(failed);
		}
		commits = atomic_load(&syncs) - before;
		atomic_store(&slow_disk, false);
		store_close(s);
		helper_verify(dir, SENDERS * SENDS + 1, RC_OK);
		helper_remove(dir);
	}
	assert_true(commits <= halves * 3 / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dictionary_is_trained_kept_and_carried_on),
		cmocka_unit_test(a_start_finds_the_dictionary_that_was_used_last),
		cmocka_unit_test(a_full_map_rolls_the_segment),
		cmocka_unit_test(a_wrong_index_loses_nothing),
		cmocka_unit_test(who_was_answered_shares_the_next_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
