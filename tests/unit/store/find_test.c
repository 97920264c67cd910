/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/index_view.h"
#include "tests/unit/store/helper.h"

/* What the index says of sources and deliveries, against reading everything. */

#define EVENTS 20000u
#define BATCH 1000u

/* Common, in stretches, rare, and once only. */
static const char *
source_of(uint64_t seq)
{
	if (seq == 17001)
		return "once";
	if (seq % 3000 == 7)
		return "rare";
	if (seq % 5000 > 4000)
		return "stretch";
	return "common";
}

static const char *const names[] = { "common", "stretch", "rare", "once", "nobody" };

static void
done(size_t index, const struct store_result *result, void *context)
{
	(void)index;
	(void)context;
	ASSERT(result->rc == RC_OK && !result->duplicate);
}

/* Appends records first to last. */
static void
fill(struct store *s, uint64_t first, uint64_t last)
{
	static struct event ev[BATCH];
	static char ids[BATCH][24];
	struct err e;
	while (first <= last) {
		size_t n = 0;
		for (; n < BATCH && first + n <= last; n++) {
			snprintf(ids[n], sizeof ids[n], "Id-%" PRIu64, first + n);
			ev[n] = helper_event(ids[n], bytes_str("{}"));
			ev[n].source = bytes_str(source_of(first + n));
		}
		enum rc rc = store_submit_batch(s, ev, n, done, NULL, &e);
		ASSERT(rc == RC_OK);
		first += n;
		/* The batch is borrowed until it was answered: a single append comes after it. */
		struct event last_of_batch = helper_event("", bytes_str("x"));
		last_of_batch.source = bytes_str(source_of(first));
		ASSERT(store_append(s, &last_of_batch).seq == first);
		first++;
	}
}

static struct store_finder *
finder_of(struct store_reader *r, const char *source, const char *second, const char *delivery)
{
	const struct bytes sources[] = { bytes_str(source == NULL ? "" : source),
		bytes_str(second == NULL ? "" : second) };
	const struct store_wanted wanted = { .sources = sources,
		.source_count = source == NULL ? 0 : second == NULL ? 1 : 2,
		.delivery = bytes_str(delivery == NULL ? "" : delivery) };
	return store_finder_open(r, &wanted);
}

/* Goes through all the finder gives from `from` to `last`: everything of the sources must be among it.
 * Gives how many numbers have to be read. */
static uint64_t
check_sources(struct store_finder *f, const char *source, const char *second, uint64_t from, uint64_t last)
{
	uint64_t read = 0, next = from, first, end;
	while (next <= last) {
		store_finder_next(f, next, &first, &end);
		ASSERT(first >= next && end >= first);
		for (uint64_t seq = next; seq < first && seq <= last; seq++)
			ASSERT(strcmp(source_of(seq), source) != 0 &&
				(second == NULL || strcmp(source_of(seq), second) != 0));
		if (first > last)
			break;
		end = end < last ? end : last;
		read += end - first + 1;
		next = end + 1;
	}
	return read;
}

static struct store_reader *
reader(const char *dir)
{
	struct store_reader *r;
	struct err e;
	enum rc rc = store_reader_open(&r, dir, &e);
	if (rc != RC_OK)
		fprintf(stderr, "%s\n", e.text);
	ASSERT(rc == RC_OK);
	return r;
}

static uint64_t
last_of(struct store_reader *r)
{
	struct store_span span;
	struct err e;
	ASSERT(store_span(r, &span, &e) == RC_OK);
	return span.last_seq;
}

static void
check_all_sources(const char *dir)
{
	struct store_reader *r = reader(dir);
	uint64_t last = last_of(r);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		uint64_t own = 0;
		for (uint64_t seq = 1; seq <= last; seq++)
			own += strcmp(source_of(seq), names[i]) == 0;
		struct store_finder *f = finder_of(r, names[i], NULL, NULL);
		ASSERT(store_finder_problem(f) == NULL);
		uint64_t read = check_sources(f, names[i], NULL, 1, last);
		/* No more than a short gap beside each. */
		ASSERT(read >= own && read <= own + own / 100 + 8);
		check_sources(f, names[i], NULL, 8191, 8193);
		check_sources(f, names[i], NULL, last, last);
		store_finder_close(f);
	}
	struct store_finder *f = finder_of(r, "rare", "once", NULL);
	ASSERT(check_sources(f, "rare", "once", 1, last) < 30);
	store_finder_close(f);
	/* Nothing wanted: everything is read, and that is no problem. */
	f = finder_of(r, NULL, NULL, NULL);
	ASSERT(check_sources(f, "common", NULL, 1, last) == last && store_finder_problem(f) == NULL);
	store_finder_close(f);
	store_reader_close(r);
}

static void
ignore(uint64_t seq, const char *text, void *context)
{
	(void)context;
	fprintf(stderr, "verify: %" PRIu64 ": %s\n", seq, text);
}

static void
assert_verifies(const char *dir)
{
	struct store_verify_report report;
	struct err e;
	const struct store_verify_options options = { .dir = dir, .found = ignore, .warned = NULL };
	assert_int_equal(store_verify_parallel(&options, &report, &e), RC_OK);
}

static void
ranges_of_a_source_are_exact(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	fill(s, 1, EVENTS);
	store_close(s);
	check_all_sources(dir);
	assert_verifies(dir);
	helper_remove(dir);
}

/* Appends and dies without a word: the next start reads on where the index ends. */
static void
a_start_after_a_kill_completes_it(void **state)
{
	(void)state;
	char *dir = helper_dir();
	for (uint64_t part = 0; part < 3; part++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct store *s = helper_open(dir);
			fill(s, part * 6006 + 1, (part + 1) * 6006 - 1);
			_exit(0);
		}
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
	store_close(helper_open(dir));
	check_all_sources(dir);
	assert_verifies(dir);
	helper_remove(dir);
}

static void
what_it_does_not_cover_is_read(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	fill(s, 1, 5004);
	store_close(s);
	s = helper_open(dir);
	fill(s, 5006, 7006);
	/* The newest ones are in the writer's memory; another process knows of the first ones only. */
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* The parent's descriptors would look like a second opening. */
		for (int fd = 3; fd < 256; fd++)
			close(fd);
		struct store_reader *r = reader(dir);
		uint64_t last = last_of(r);
		struct store_finder *f = finder_of(r, "rare", NULL, NULL);
		uint64_t read = check_sources(f, "rare", NULL, 1, last);
		ASSERT(store_finder_problem(f) == NULL && read >= last - 5005 && read < last - 5005 + 20);
		store_finder_close(f);
		f = finder_of(r, NULL, NULL, "Id-6000");
		uint64_t first, end;
		store_finder_next(f, 1, &first, &end);
		ASSERT(first == 5006 && end == UINT64_MAX);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* In the writer's own process the file is open already. */
	struct store_reader *r;
	struct err e;
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	struct store_finder *f = finder_of(r, "rare", NULL, NULL);
	assert_non_null(store_finder_problem(f));
	assert_int_equal(check_sources(f, "rare", NULL, 1, 7007), 7007);
	store_finder_close(f);
	store_reader_close(r);
	store_close(s);
	/* Without an index everything is read, and the next start makes it. */
	char path[4096];
	snprintf(path, sizeof path, "%s/index.mdb", dir);
	assert_int_equal(unlink(path), 0);
	r = reader(dir);
	f = finder_of(r, "rare", NULL, NULL);
	assert_non_null(store_finder_problem(f));
	assert_int_equal(check_sources(f, "rare", NULL, 1, 7007), 7007);
	store_finder_close(f);
	store_reader_close(r);
	store_close(helper_open(dir));
	check_all_sources(dir);
	helper_remove(dir);
}

/* All that the finder gives for a delivery, as text. */
static const char *
found(const char *dir, const char *delivery, char text[128])
{
	struct store_reader *r = reader(dir);
	uint64_t last = last_of(r), first, end;
	struct store_finder *f = finder_of(r, NULL, NULL, delivery);
	text[0] = '\0';
	assert_null(store_finder_problem(f));
	for (uint64_t next = 1; next <= last; next = end + 1) {
		store_finder_next(f, next, &first, &end);
		if (first > last)
			break;
		assert_int_equal(first, end);
		size_t len = strlen(text);
		snprintf(text + len, 128 - len, "%" PRIu64 " ", first);
	}
	store_finder_close(f);
	store_reader_close(r);
	return text;
}

static void
a_delivery_is_found_by_its_id(void **state)
{
	(void)state;
	char *dir = helper_dir(), text[128];
	struct store *s = helper_open(dir);
	for (int i = 1; i <= 20; i++) {
		char id[16];
		snprintf(id, sizeof id, "n%d", i);
		helper_append(s, id, "x");
	}
	assert_int_equal(helper_append(s, "AbC-1", "first"), 21);
	assert_int_equal(helper_append(s, "AbC-1", "another body"), 22);
	assert_int_equal(helper_append(s, "AbC-1", "a third body"), 23);
	assert_int_equal(helper_append(s, "abc-1", "first"), 24); /* a different id */
	assert_int_equal(helper_append(s, "AbC-1", "another body"), 22); /* known */
	struct event ev = helper_event("AbC-1", bytes_str("first"));
	ev.source = bytes_str("other");
	assert_int_equal(store_append(s, &ev).seq, 25);
	ev.hook = bytes_str("18");
	assert_int_equal(store_append(s, &ev).seq, 26);
	store_close(s);
	assert_string_equal(found(dir, "n7", text), "7 ");
	assert_string_equal(found(dir, "abc-1", text), "21 22 23 24 25 26 ");
	assert_string_equal(found(dir, "ABC-1", text), "21 22 23 24 25 26 ");
	assert_string_equal(found(dir, "abc-2", text), "");
	assert_string_equal(found(dir, "n", text), "");
	assert_verifies(dir);
	helper_remove(dir);
}

/* Runs change on a database of the index, in a process of its own. */
static void
change_index(const char *dir, const char *database,
	bool (*change)(MDB_cursor *cursor, MDB_val *key, MDB_val *value))
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char path[4096];
		MDB_env *env;
		MDB_txn *txn;
		MDB_dbi dbi;
		MDB_cursor *cursor = NULL;
		MDB_val k, v;
		struct err e;
		snprintf(path, sizeof path, "%s/index.mdb", dir);
		bool ok = db_open(path, DB_WRITE, &env, &e) == RC_OK &&
			mdb_txn_begin(env, NULL, 0, &txn) == 0 &&
			mdb_dbi_open(txn, database, 0, &dbi) == 0 &&
			mdb_cursor_open(txn, dbi, &cursor) == 0 &&
			mdb_cursor_get(cursor, &k, &v, MDB_FIRST) == 0 && change(cursor, &k, &v);
		mdb_cursor_close(cursor);
		ok = ok && mdb_txn_commit(txn) == 0;
		db_close(env);
		_exit(ok ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool
flip(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	unsigned char copy[2048];
	memcpy(copy, value->mv_data, value->mv_size);
	copy[1] ^= 4;
	MDB_val changed = { value->mv_size, copy };
	return mdb_cursor_put(cursor, key, &changed, MDB_CURRENT) == 0;
}

static bool
forget(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	(void)key;
	(void)value;
	return mdb_cursor_del(cursor, 0) == 0;
}

/* Says that number 1 is another source's, too. */
static bool
invent(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	struct source_tail t = { 0 };
	(void)key;
	(void)value;
	source_tail_add(&t, 1, source_tag(bytes_str("invented")));
	int code = source_tail_write(&t, 1, mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor));
	source_tail_free(&t);
	return code == 0;
}

static bool
put_meta(MDB_cursor *cursor, const char *name, struct bytes value)
{
	MDB_val k = db_val(bytes_str(name)), v = db_val(value);
	return mdb_cursor_put(cursor, &k, &v, 0) == 0;
}

/* Covers one event less than it has keys for, as a write between two of its steps shows it. */
static bool
cover_one_less(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	unsigned char last[8];
	(void)key;
	(void)value;
	db_put_seq(last, 29);
	return put_meta(cursor, INDEX_META_LAST, (struct bytes){ last, sizeof last });
}

static bool
without_the_last(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	struct source_tail t = { 0 };
	for (uint64_t seq = 1; seq <= 29; seq++)
		source_tail_add(&t, seq, source_tag(bytes_str("gh")));
	int code = mdb_cursor_del(cursor, 0);
	(void)key;
	(void)value;
	if (code == 0)
		code = source_tail_write(&t, t.count, mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor));
	source_tail_free(&t);
	return code == 0;
}

/* As a kill leaves it that came after the keys and before the last transaction of a write. */
static bool
uncover(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	static const unsigned char none[8];
	(void)key;
	(void)value;
	return put_meta(cursor, INDEX_META_LAST, (struct bytes){ none, sizeof none }) &&
		put_meta(cursor, INDEX_META_CLEAN, bytes_str("0")) &&
		put_meta(cursor, "kept", bytes_str("1"));
}

static bool
was_kept(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	*key = db_val(bytes_str("kept"));
	return mdb_cursor_get(cursor, key, value, MDB_SET) == 0;
}

static void
a_half_written_index_is_completed(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	fill(s, 1, 5004);
	store_close(s);
	change_index(dir, INDEX_META, uncover);
	s = helper_open(dir);
	struct event ev = helper_event("Id-4711", bytes_str("{}"));
	ev.source = bytes_str(source_of(4711));
	struct store_result again = store_append(s, &ev);
	assert_true(again.rc == RC_OK && again.duplicate);
	assert_int_equal(again.seq, 4711);
	store_close(s);
	change_index(dir, INDEX_META, was_kept);
	check_all_sources(dir);
	assert_verifies(dir);
	helper_remove(dir);
}

/* Whoever verifies while the index is being written meets keys that are not covered yet. */
static void
a_write_under_way_is_no_damage(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	for (int i = 1; i <= 30; i++) {
		char id[16];
		snprintf(id, sizeof id, "n%d", i);
		helper_append(s, id, "x");
	}
	store_close(s);
	change_index(dir, INDEX_META, cover_one_less);
	change_index(dir, INDEX_SOURCES, without_the_last);
	assert_verifies(dir);
	helper_remove(dir);
}

static void
verify_finds(bool (*change)(MDB_cursor *cursor, MDB_val *key, MDB_val *value))
{
	char *dir = helper_dir();
	struct store_verify_report report;
	struct err e;
	struct store *s = helper_open(dir);
	for (int i = 0; i < 30; i++)
		helper_append(s, "", "x");
	store_close(s);
	assert_verifies(dir);
	change_index(dir, INDEX_SOURCES, change);
	const struct store_verify_options options = { .dir = dir };
	assert_int_equal(store_verify_parallel(&options, &report, &e), RC_CORRUPT);
	if (change == flip) {
		/* Who looks for something is told, and reads everything. */
		struct store_reader *r = reader(dir);
		struct store_finder *f = finder_of(r, "gh", NULL, NULL);
		uint64_t first, last;
		assert_null(store_finder_problem(f));
		store_finder_next(f, 1, &first, &last);
		assert_non_null(store_finder_problem(f));
		assert_true(first == 1 && last == UINT64_MAX);
		store_finder_close(f);
		store_reader_close(r);
	}
	helper_remove(dir);
}

static void
verify_notices_a_wrong_index_of_sources(void **state)
{
	(void)state;
	verify_finds(flip);
	verify_finds(forget);
	verify_finds(invent);
}

/* Two logs with one id went different ways: the index of one says nothing about the other. */
static void
an_index_of_another_history_is_not_used(void **state)
{
	(void)state;
	char *dir = helper_dir(), *other = helper_dir(), command[8192];
	char own[64], copied[64];
	struct store *s = helper_open(dir);
	helper_append(s, "a", "x");
	store_close(s);
	snprintf(command, sizeof command, "%s/.", dir);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		execlp("cp", "cp", "-a", command, other, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	const char *const bodies[] = { "one", "two" };
	for (int i = 0; i < 2; i++) {
		s = helper_open(i == 0 ? dir : other);
		struct event ev = helper_event("", bytes_str(bodies[i]));
		ev.source = bytes_str(bodies[i]);
		assert_int_equal(store_append(s, &ev).seq, 2);
		store_close(s);
	}
	snprintf(command, sizeof command, "%s/index.mdb", dir);
	snprintf(own, sizeof own, "%s/index.mdb", other);
	assert_int_equal(rename(command, own), 0);
	snprintf(copied, sizeof copied, "%s", other);
	struct store_reader *r = reader(copied);
	struct store_finder *f = finder_of(r, "two", NULL, NULL);
	uint64_t first, last;
	assert_non_null(store_finder_problem(f));
	store_finder_next(f, 1, &first, &last);
	assert_true(first == 1 && last == UINT64_MAX);
	store_finder_close(f);
	store_reader_close(r);
	/* A start makes it anew. */
	store_close(helper_open(other));
	r = reader(other);
	f = finder_of(r, "two", NULL, NULL);
	assert_null(store_finder_problem(f));
	store_finder_next(f, 1, &first, &last);
	assert_true(first == 2 && last == 2);
	store_finder_close(f);
	store_reader_close(r);
	assert_verifies(other);
	helper_remove(dir);
	helper_remove(other);
}

/* An index made when the oldest segment was gone knows nothing of what was in it. */
static void
what_came_before_it_is_read(void **state)
{
	(void)state;
	char *dir = helper_dir(), path[4096], away[4096];
	struct store *s = helper_open_with(
		(struct store_options){ .dir = dir, .segment_bytes_max = 65536 });
	unsigned char *noise = helper_noise(20000, 3);
	for (int i = 0; i < 20; i++)
		helper_append_bytes(s, "", (struct bytes){ noise + i, 19000 });
	store_close(s);
	struct store_reader *r = reader(dir);
	const struct store_segment_stat *segments;
	size_t count;
	struct err e;
	struct arena *a = arena_new(4096);
	assert_int_equal(store_segments(r, a, &segments, &count, &e), RC_OK);
	assert_true(count > 2);
	uint64_t second = segments[1].first_seq, first, last;
	store_reader_close(r);
	snprintf(path, sizeof path, "%s/index.mdb", dir);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof path, "%s/%s", dir, segments[0].name);
	snprintf(away, sizeof away, "%s/away", dir);
	assert_int_equal(rename(path, away), 0);
	store_close(helper_open(dir));
	assert_int_equal(rename(away, path), 0);
	r = reader(dir);
	struct store_finder *f = finder_of(r, "nobody", NULL, NULL);
	assert_null(store_finder_problem(f));
	store_finder_next(f, 1, &first, &last);
	assert_true(first == 1 && last == second - 1);
	store_finder_next(f, second, &first, &last);
	assert_true(first == 21 && last == UINT64_MAX);
	store_finder_close(f);
	store_reader_close(r);
	arena_free(a);
	free(noise);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_of_a_source_are_exact),
		cmocka_unit_test(a_start_after_a_kill_completes_it),
		cmocka_unit_test(what_it_does_not_cover_is_read),
		cmocka_unit_test(a_delivery_is_found_by_its_id),
		cmocka_unit_test(a_half_written_index_is_completed),
		cmocka_unit_test(a_write_under_way_is_no_damage),
		cmocka_unit_test(verify_notices_a_wrong_index_of_sources),
		cmocka_unit_test(an_index_of_another_history_is_not_used),
		cmocka_unit_test(what_came_before_it_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
