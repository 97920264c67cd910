/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/fs.h"
#include "base/limits.h"

static void
make_path(char *out, size_t size, const char *dir, const char *name)
{
	snprintf(out, size, "%s/%s", dir, name);
}

/* Reads one record through a reader of s. */
static const struct store_record *
read_one(struct store *s, uint64_t seq, struct arena *a)
{
	struct store_reader *r;
	const struct store_record *records;
	size_t count;
	struct err e;
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	if (store_read(r, seq, 1, 1, a, &records, &count, &e) != RC_OK)
		fail_msg("store_read: %s", e.text);
	store_reader_close(r);
	assert_int_equal(count, 1);
	assert_true(records->event.seq == seq);
	return records;
}

static void
bytes_come_back(void **state)
{
	(void)state;
	char *dir = helper_dir();
	static const size_t sizes[] = { 0, 1, 100, 4096, 10000, LIMIT_BODY_BYTES };
	unsigned char *noise = helper_noise(LIMIT_BODY_BYTES, 7);
	unsigned char *zeros = base_zalloc(LIMIT_BODY_BYTES);
	struct arena *a = arena_new(4096);
	struct store *s = helper_open(dir);
	uint64_t seq = 0;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		const unsigned char *bodies[] = { noise, zeros };
		for (size_t j = 0; j < COUNT_OF(bodies); j++) {
			struct bytes body = { bodies[j], sizes[i] };
			struct store_result result = helper_append_bytes(s, "", body);
			assert_false(result.duplicate);
			assert_true(result.seq == ++seq);
			arena_reset(a);
			const struct event *ev = &read_one(s, seq, a)->event;
			assert_true(bytes_equal(ev->body, body));
			assert_true(bytes_is(ev->source, "gh"));
			assert_true(bytes_is(ev->remote, "203.0.113.7:41234"));
			assert_int_equal(ev->verified, EVENT_VERIFIED_OK);
		}
	}
	/* Refused by its length before a byte is looked at. */
	struct event large = helper_event("", (struct bytes){ noise, LIMIT_FORM_BODY_BYTES + 1 });
	assert_int_equal(store_append(s, &large).rc, RC_INVALID);
	store_close(s);
	helper_verify(dir, seq, RC_OK);
	arena_free(a);
	free(noise);
	free(zeros);
	helper_remove(dir);
}

static void
times_never_fall_and_reading_stops_at_limits(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	struct store_reader *r;
	struct arena *a = arena_new(4096);
	const struct store_record *records;
	size_t count;
	struct err e;
	uint64_t at_seq;
	for (int i = 0; i < 50; i++)
		helper_append(s, "", "0123456789");
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_read(r, 1, 1000, 1000000, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 50);
	for (size_t i = 1; i < count; i++)
		assert_true(records[i - 1].event.received_at_us <= records[i].event.received_at_us);
	/* The first of those that share a time. */
	int64_t at_us = records[25].event.received_at_us;
	assert_int_equal(store_seq_at(r, at_us, &at_seq, &e), RC_OK);
	assert_true(at_seq >= 1 && at_seq <= 26);
	assert_true(records[at_seq - 1].event.received_at_us == at_us);
	assert_true(at_seq == 1 || records[at_seq - 2].event.received_at_us < at_us);
	assert_int_equal(store_seq_at(r, INT64_MAX, &at_seq, &e), RC_OK);
	assert_true(at_seq == 51);
	assert_int_equal(store_seq_at(r, INT64_MIN, &at_seq, &e), RC_OK);
	assert_true(at_seq == 1);
	assert_int_equal(store_read(r, 10, 7, 1000000, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 7);
	assert_true(records[0].event.seq == 10 && records[6].event.seq == 16);
	assert_int_equal(store_read(r, 10, 7, 1, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 1);
	assert_int_equal(store_read(r, 51, 7, 1, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 0);
	assert_int_equal(store_read(r, 5000, 7, 1, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 0);
	assert_int_equal(store_read(r, 0, 7, 1, a, &records, &count, &e), RC_NOTFOUND);
	store_reader_close(r);
	store_close(s);
	arena_free(a);
	helper_remove(dir);
}

static void
expect(struct store *s, const char *delivery, const char *body, uint64_t seq, bool duplicate)
{
	struct store_result result = helper_append_bytes(s, delivery, bytes_str(body));
	assert_true(result.seq == seq);
	assert_int_equal(result.duplicate, duplicate);
}

static void
duplicates_are_found_for_ever(void **state)
{
	(void)state;
	char *dir = helper_dir(), path[4096];
	struct store *s = helper_open(dir);
	expect(s, "a", "one", 1, false);
	expect(s, "a", "one", 1, true);
	expect(s, "b", "one", 2, false);
	expect(s, "", "one", 3, false);
	expect(s, "", "one", 4, false);
	/* Another body under a known delivery is kept and marked; its redelivery is a duplicate, too. */
	expect(s, "a", "two", 5, false);
	expect(s, "a", "two", 5, true);
	expect(s, "a", "one", 1, true);
	struct event other = helper_event("a", bytes_str("one"));
	other.hook = bytes_str("18");
	assert_true(store_append(s, &other).seq == 6);
	/* The lengths are part of the key: "1" + "8a" is not "18" + "a". */
	other.hook = bytes_str("1");
	other.delivery = bytes_str("8a");
	assert_true(store_append(s, &other).seq == 7);
	struct arena *a = arena_new(1024);
	const struct event *ev = &read_one(s, 5, a)->event;
	assert_int_equal(ev->flags, EVENT_FLAG_KEY_REUSED);
	assert_true(ev->same_key_seq == 1);
	store_close(s);
	for (int round = 0; round < 4; round++) {
		make_path(path, sizeof path, dir, "index.mdb");
		if (round == 1) {
			assert_int_equal(unlink(path), 0);
		} else if (round == 2) {
			/* Damage: all pages after the first. */
			int fd = open(path, O_RDWR);
			unsigned char *noise = helper_noise(65536, 3);
			assert_true(pwrite(fd, noise, 65536, 4096) == 65536);
			free(noise);
			close(fd);
		} else if (round == 3) {
			assert_int_equal(truncate(path, 100), 0);
		}
		s = helper_open(dir);
		expect(s, "a", "one", 1, true);
		expect(s, "a", "two", 5, true);
		expect(s, "b", "one", 2, true);
		expect(s, "", "one", 8 + (uint64_t)round, false);
		store_close(s);
		helper_verify(dir, 8 + (uint64_t)round, RC_OK);
	}
	arena_free(a);
	helper_remove(dir);
}

struct counter {
	pthread_mutex_t lock;
	pthread_cond_t done;
	size_t left;
	struct store_result results[64];
};

struct slot {
	struct counter *counter;
	size_t index;
};

static void
count_down(const struct store_result *result, void *context)
{
	struct slot *slot = context;
	pthread_mutex_lock(&slot->counter->lock);
	slot->counter->results[slot->index] = *result;
	slot->counter->left--;
	pthread_cond_signal(&slot->counter->done);
	pthread_mutex_unlock(&slot->counter->lock);
}

/* Sixty-four submissions of four deliveries in one go land in few commits, so most duplicates meet
 * their original inside one. */
static void
duplicates_in_one_batch(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store *s = helper_open(dir);
	struct counter c = { .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER,
		.left = 64 };
	struct slot slots[64];
	static const char *const deliveries[] = { "a", "b", "c", "d" };
	for (size_t i = 0; i < 64; i++) {
		slots[i] = (struct slot){ &c, i };
		struct event ev = helper_event(deliveries[i % 4], bytes_str(deliveries[i % 4]));
		struct err e;
		assert_int_equal(store_submit(s, &ev, count_down, &slots[i], &e), RC_OK);
	}
	pthread_mutex_lock(&c.lock);
	while (c.left > 0)
		pthread_cond_wait(&c.done, &c.lock);
	pthread_mutex_unlock(&c.lock);
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal(c.results[i].rc, RC_OK);
		assert_true(c.results[i].seq == i % 4 + 1);
		assert_int_equal(c.results[i].duplicate, i >= 4);
	}
	store_close(s);
	helper_verify(dir, 4, RC_OK);
	helper_remove(dir);
}

static void
segments_roll_and_read_on(void **state)
{
	(void)state;
	char *dir = helper_dir();
	unsigned char *noise = helper_noise(20000, 11);
	struct store_options options = { .dir = dir, .segment_bytes_max = 100000 };
	struct store_reader *r, *early;
	const struct store_record *records;
	const struct store_segment_stat *segments;
	struct arena *a = arena_new(4096);
	size_t count;
	struct err e;
	uint64_t seq;
	struct store *s = helper_open_with(options);
	assert_int_equal(store_reader_from(s, &early, &e), RC_OK);
	for (int i = 0; i < 30; i++)
		helper_append_bytes(s, "", (struct bytes){ noise, 20000 });
	/* One made before the first roll finds the rest by itself, also after the writer has gone. */
	store_close(s);
	assert_int_equal(store_read(early, 1, 1000, 100000000, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 30);
	store_reader_close(early);
	s = helper_open_with(options);
	for (int i = 0; i < 30; i++)
		helper_append_bytes(s, "", (struct bytes){ noise, 20000 });
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_read(r, 1, 1000, 100000000, a, &records, &count, &e), RC_OK);
	assert_int_equal(count, 60);
	for (size_t i = 0; i < count; i++)
		assert_true(records[i].event.seq == i + 1);
	int64_t at_us = records[40].event.received_at_us;
	assert_int_equal(store_seq_at(r, at_us, &seq, &e), RC_OK);
	assert_true(records[seq - 1].event.received_at_us == at_us && seq <= 41);
	assert_true(records[seq - 2].event.received_at_us < at_us);
	assert_int_equal(store_segments(r, a, &segments, &count, &e), RC_OK);
	assert_true(count > 5);
	for (size_t i = 0; i < count; i++) {
		assert_true(segments[i].first_seq == (i == 0 ? 1 : segments[i - 1].last_seq + 1));
		assert_int_equal(segments[i].sealed, i + 1 < count);
		assert_true(segments[i].file_bytes > 20000);
	}
	assert_true(segments[count - 1].last_seq == 60);
	uint64_t second = segments[1].first_seq;
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, segments[0].name);
	store_reader_close(r);
	store_close(s);
	helper_verify(dir, 60, RC_OK);
	/* A log whose oldest segment was taken away starts later and stays in order. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_read(r, second - 1, 1, 1, a, &records, &count, &e), RC_NOTFOUND);
	assert_int_equal(store_read(r, second, 1000, 100000000, a, &records, &count, &e), RC_OK);
	assert_true(count == 60 - second + 1);
	struct store_span span;
	assert_int_equal(store_span(r, &span, &e), RC_OK);
	assert_true(span.first_seq == second && span.last_seq == 60);
	store_reader_close(r);
	helper_verify(dir, 60, RC_OK);
	arena_free(a);
	free(noise);
	helper_remove(dir);
}

static void
age_seals_a_segment(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct store_reader *r;
	const struct store_segment_stat *segments;
	struct arena *a = arena_new(4096);
	size_t count;
	struct err e;
	struct store *s = helper_open_with((struct store_options){ .dir = dir, .segment_age_s_max = 1 });
	helper_append(s, "", "old");
	usleep(1100000);
	helper_append(s, "", "new");
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_segments(r, a, &segments, &count, &e), RC_OK);
	assert_int_equal(count, 2);
	assert_true(segments[1].first_seq == 2 && segments[1].last_seq == 2);
	store_reader_close(r);
	store_close(s);
	arena_free(a);
	helper_remove(dir);
}

static void
the_log_is_guarded(void **state)
{
	(void)state;
	char *dir = helper_dir(), path[4096];
	struct store *s = helper_open(dir), *second;
	struct store_options options = { .dir = dir };
	struct store_reader *r, *twice;
	struct err e;
	assert_int_equal(store_open(&second, &options, &e), RC_AGAIN);
	assert_string_equal(e.id, "log.locked");
	assert_null(second);
	/* A second environment on the same file would break LMDB's locks for the first. */
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	struct store_span span;
	assert_int_equal(store_span(r, &span, &e), RC_CONFLICT);
	store_reader_close(r);
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_reader_share(r, &twice, &e), RC_OK);
	helper_append(s, "a", "x");
	assert_int_equal(store_span(twice, &span, &e), RC_OK);
	assert_true(span.first_seq == 1 && span.last_seq == 1);
	store_reader_close(twice);
	store_reader_close(r);
	store_close(s);
	make_path(path, sizeof path, dir, "LOG");
	assert_int_equal(fs_write(path, bytes_str("hooklog log\nformat 3\nid 00\n"), 0600, &e), RC_OK);
	assert_int_equal(store_open(&s, &options, &e), RC_INVALID);
	assert_string_equal(e.id, "log.version");
	assert_int_equal(store_reader_open(&r, dir, &e), RC_INVALID);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_open(&s, &options, &e), RC_CORRUPT);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_NOTFOUND);
	helper_remove(dir);
	options.dir = "/proc/hooklog-test";
	assert_int_equal(store_open(&s, &options, &e), RC_IO);
	assert_string_equal(e.id, "data-dir.unwritable");
	options.dir = "/proc";
	assert_int_equal(store_open(&s, &options, &e), RC_INVALID);
	assert_string_equal(e.id, "log.filesystem");
}

/* The child waits for event 2 in another process; the parent appends it when the child sits in its
 * wait. The child's time-out is far beyond the runner's patience, so only a wake-up passes. */
static void
a_reader_in_another_process_is_woken(void **state)
{
	(void)state;
	char *dir = helper_dir();
	int up[2], down[2];
	char byte = 0;
	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(down), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store_reader *r;
		struct err e;
		if (read(down[0], &byte, 1) != 1 || store_reader_open(&r, dir, &e) != RC_OK ||
			store_wait(r, 0, 600000, -1, &e) != RC_OK || write(up[1], &byte, 1) != 1 ||
			store_wait(r, 1, 600000, -1, &e) != RC_OK)
			_exit(1);
		store_reader_close(r);
		_exit(0);
	}
	struct store *s = helper_open(dir);
	helper_append(s, "", "first");
	assert_int_equal(write(down[1], &byte, 1), 1);
	assert_int_equal(read(up[0], &byte, 1), 1);
	usleep(50000);
	helper_append(s, "", "second");
	int status;
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
	struct store_reader *r;
	struct err e;
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_wait(r, 2, 10, -1, &e), RC_AGAIN);
	assert_int_equal(write(down[1], &byte, 1), 1);
	assert_int_equal(store_wait(r, 2, 600000, down[0], &e), RC_AGAIN);
	store_reader_close(r);
	store_close(s);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back),
		cmocka_unit_test(times_never_fall_and_reading_stops_at_limits),
		cmocka_unit_test(duplicates_are_found_for_ever),
		cmocka_unit_test(duplicates_in_one_batch),
		cmocka_unit_test(segments_roll_and_read_on),
		cmocka_unit_test(age_seals_a_segment),
		cmocka_unit_test(the_log_is_guarded),
		cmocka_unit_test(a_reader_in_another_process_is_woken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
