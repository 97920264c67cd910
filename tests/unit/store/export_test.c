/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/fs.h"
#include "store/ops.h"
#include "store/stream.h"

/* A stream in memory. */
struct memory {
	struct bytes data;
	size_t at;
};

static enum rc
get(void *context, unsigned char *data, size_t size, size_t *got, struct err *e UNUSED)
{
	struct memory *m = context;
	*got = m->data.len - m->at < size ? m->data.len - m->at : size;
	memcpy(data, m->data.data + m->at, *got);
	m->at += *got;
	return RC_OK;
}

/* Reads all frames; RC_OK when the stream is sound to its end. */
static enum rc
read_all(struct bytes data, uint64_t *records)
{
	struct memory m = { data, 0 };
	struct stream_reader *r;
	struct stream_frame f;
	struct err e;
	bool footer = false;
	*records = 0;
	enum rc rc = stream_reader_new(&r, get, &m, &e);
	while (rc == RC_OK) {
		rc = stream_next(r, &f, &e);
		*records += rc == RC_OK && f.type == STREAM_RECORD;
		footer = footer || (rc == RC_OK && f.type == STREAM_FOOTER);
	}
	stream_reader_free(r);
	return rc == RC_NOTFOUND && footer ? RC_OK : rc;
}

/* A log of several segments, some events with dictionaries in reach, some raw; gives the stream. */
static struct bytes
export_log(const char *dir, int count, struct arena *a, struct store_export_report *report)
{
	struct store *s =
		helper_open_with((struct store_options){ .dir = dir, .segment_bytes_max = 400000 });
	struct store_reader *r;
	struct bytes data;
	struct err e;
	char path[4096], delivery[32];
	unsigned char *noise = helper_noise(5000, 3);
	for (int i = 0; i < count; i++) {
		snprintf(delivery, sizeof delivery, "d-%d", i);
		noise[0] = (unsigned char)i;
		helper_append_bytes(s, i % 7 == 0 ? "" : delivery,
			i % 3 == 0 ? bytes_str("{\"zen\":\"Keep it logically awesome.\"}")
				   : (struct bytes){ noise, 5000 });
	}
	snprintf(path, sizeof path, "%s/stream", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_export(r, 0, 0, fd, NULL, NULL, report, &e), RC_OK);
	close(fd);
	assert_int_equal(fs_read(path, (size_t)1 << 26, a, &data, &e), RC_OK);
	unlink(path);
	store_reader_close(r);
	store_close(s);
	free(noise);
	return data;
}

static void
no_damage_passes(void **state UNUSED)
{
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	struct store_export_report report;
	struct bytes data = export_log(dir, 120, a, &report);
	uint64_t records, seed = 1;
	assert_true(report.events == 120 && report.bytes == data.len);
	assert_int_equal(read_all(data, &records), RC_OK);
	assert_true(records == 120);
	unsigned char *copy = base_alloc(data.len + 16);
	for (int i = 0; i < 2000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		size_t at = (size_t)(seed >> 16) % data.len;
		memcpy(copy, data.data, data.len);
		copy[at] ^= (unsigned char)(1u << (seed & 7));
		assert_int_not_equal(read_all((struct bytes){ copy, data.len }, &records), RC_OK);
		/* Cut anywhere. */
		assert_int_not_equal(read_all((struct bytes){ data.data, at }, &records), RC_OK);
	}
	memcpy(copy, data.data, data.len);
	copy[data.len] = 'x';
	assert_int_not_equal(read_all((struct bytes){ copy, data.len + 1 }, &records), RC_OK);
	free(copy);
	arena_free(a);
	helper_remove(dir);
}

static void
write_file(const char *path, struct bytes data)
{
	struct err e;
	assert_int_equal(fs_write(path, data, 0600, &e), RC_OK);
}

static enum rc
import(const char *dir, const char *file, struct store_import_report *report, struct err *e)
{
	int fd = open(file, O_RDONLY);
	assert_true(fd >= 0);
	const struct store_options options = { .dir = dir };
	enum rc rc =
		store_import(&options, (struct bytes){ NULL, 0 }, fd, false, NULL, NULL, report, e);
	close(fd);
	return rc;
}

/* Runs in a child: a process opens a log once. */
static void
in_child(void (*body)(const char *dir, const char *file), const char *dir, const char *file)
{
	int status = -1;
	pid_t child = fork();
	if (child == 0) {
		body(dir, file);
		_exit(0);
	}
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
}

static void
import_lossless(const char *dir, const char *file)
{
	struct store_import_report report;
	struct err e = { .text = "" };
	if (import(dir, file, &report, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(report.mode, STORE_IMPORT_LOSSLESS);
	assert_true(report.added == 60 && report.first_seq == 1 && report.last_seq == 60);
}

/* The same archive once more, and then again beside what came meanwhile. */
static void
import_again(const char *dir, const char *file)
{
	struct store_import_report report;
	struct err e = { .text = "" };
	if (import(dir, file, &report, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(report.mode, STORE_IMPORT_MERGE);
	/* Also those without a delivery id: it is the same log. */
	assert_true(report.added == 0 && report.duplicates == 60);
}

static void
import_into_another(const char *dir, const char *file)
{
	struct store_import_report report;
	struct err e = { .text = "" };
	struct store *s = helper_open(dir);
	helper_append(s, "d-1", "another body");
	store_close(s);
	if (import(dir, file, &report, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(report.mode, STORE_IMPORT_MERGE);
	assert_true(report.added == 60 && report.first_seq == 2 && report.last_seq == 61);
	/* Those without a delivery id, every seventh, are no duplicates of anything. */
	assert_int_equal(import(dir, file, &report, &e), RC_OK);
	assert_true(report.added == 9 && report.duplicates == 51);
}

static void
import_damaged(const char *dir, const char *file)
{
	struct store_import_report report;
	struct err e = { .text = "" };
	assert_int_equal(import(dir, file, &report, &e), RC_CORRUPT);
	assert_string_equal(e.id, "log.archive-damaged");
	assert_true(report.added == 0);
}

static void
an_archive_becomes_the_same_log(void **state UNUSED)
{
	char *dir = helper_dir(), *copy = helper_dir(), *other = helper_dir(),
	     *again = helper_dir();
	char file[4096];
	struct arena *a = arena_new(4096);
	struct store_export_report report, second;
	struct bytes data = export_log(dir, 60, a, &report);
	snprintf(file, sizeof file, "%s/in", again);
	write_file(file, (struct bytes){ data.data, data.len - 1 });
	in_child(import_damaged, copy, file);
	write_file(file, data);
	in_child(import_lossless, copy, file);
	helper_verify(copy, 60, RC_OK);
	in_child(import_again, copy, file);
	/* Records, segments, dictionaries: all of it comes out again, but for the time of the
	 * export. */
	struct bytes other_data = export_log(copy, 0, a, &second);
	assert_true(data.len == other_data.len);
	assert_memory_equal(report.chain, second.chain, STORE_CHAIN_BYTES);
	size_t header = sizeof STORE_EXPORT_MAGIC - 1 + 16 + 4 + 16 + 8, footer = 16 + 24 + 32 + 32;
	assert_memory_equal(
		data.data + header, other_data.data + header, data.len - header - footer);
	in_child(import_into_another, other, file);
	helper_verify(other, 70, RC_OK);
	unlink(file);
	arena_free(a);
	helper_remove(dir);
	helper_remove(copy);
	helper_remove(other);
	helper_remove(again);
}

/* The log was set back to 30 events and went on: its event 31 is another one. */
static void
set_back(const char *dir, const char *file)
{
	struct store_import_report report;
	struct err e = { .text = "" };
	assert_int_equal(import(dir, file, &report, &e), RC_OK);
	struct store *s = helper_open(dir);
	assert_true(helper_append(s, "new", "new") == 31);
	store_close(s);
}

static void
import_conflict(const char *dir, const char *file)
{
	struct store_import_report report;
	struct err e = { .text = "" };
	assert_int_equal(import(dir, file, &report, &e), RC_CONFLICT);
	assert_string_equal(e.id, "log.archive-conflict");
	assert_true(report.duplicates == 30 && report.added == 0);
}

static void
another_history_is_refused(void **state UNUSED)
{
	char *dir = helper_dir(), *copy = helper_dir(), *files = helper_dir();
	char whole[4096], half[4096];
	struct arena *a = arena_new(4096);
	struct store_export_report report;
	struct store_reader *r;
	struct err e;
	snprintf(whole, sizeof whole, "%s/whole", files);
	snprintf(half, sizeof half, "%s/half", files);
	write_file(whole, export_log(dir, 60, a, &report));
	int fd = open(half, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_export(r, 1, 30, fd, NULL, NULL, &report, &e), RC_OK);
	assert_true(report.events == 30);
	store_reader_close(r);
	close(fd);
	in_child(set_back, copy, half);
	in_child(import_conflict, copy, whole);
	helper_verify(copy, 31, RC_OK);
	arena_free(a);
	helper_remove(dir);
	helper_remove(copy);
	helper_remove(files);
}

/* A range that starts inside a segment becomes a log that starts with that number. */
static void
import_range(const char *dir, const char *file)
{
	struct store_import_report report;
	struct store_span span;
	struct store_reader *r;
	struct err e;
	assert_int_equal(import(dir, file, &report, &e), RC_OK);
	assert_true(report.added == 21 && report.first_seq == 20 && report.last_seq == 40);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_span(r, &span, &e), RC_OK);
	assert_true(span.first_seq == 20 && span.last_seq == 40);
	store_reader_close(r);
}

static void
a_range_is_a_log_that_starts_later(void **state UNUSED)
{
	char *dir = helper_dir(), *copy = helper_dir(), *files = helper_dir();
	char file[4096];
	struct arena *a = arena_new(4096);
	struct store_export_report report;
	struct store_reader *r;
	struct err e;
	export_log(dir, 60, a, &report);
	snprintf(file, sizeof file, "%s/range", files);
	int fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_export(r, 20, 40, fd, NULL, NULL, &report, &e), RC_OK);
	store_reader_close(r);
	close(fd);
	in_child(import_range, copy, file);
	helper_verify(copy, 40, RC_OK);
	arena_free(a);
	helper_remove(dir);
	helper_remove(copy);
	helper_remove(files);
}

/* Another process appends through the door of the one that writes. */
static void
append_remotely(const char *dir, const char *file UNUSED)
{
	const struct store_options options = { .dir = dir };
	struct store_appender *a;
	struct store_result results[3];
	struct err e = { .text = "" };
	unsigned char *noise = helper_noise((size_t)3 << 20, 9);
	if (store_appender_open(&a, &options, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(store_appender_remote(a));
	const struct event events[] = { helper_event("x", bytes_str("one")),
		helper_event("x", bytes_str("one")),
		helper_event("y", (struct bytes){ noise, (size_t)3 << 20 }) };
	assert_int_equal(store_appender_append(a, events, 3, results, &e), RC_OK);
	assert_true(results[0].rc == RC_OK && results[0].seq == 2 && !results[0].duplicate);
	assert_true(results[1].rc == RC_OK && results[1].seq == 2 && results[1].duplicate);
	assert_true(results[2].rc == RC_OK && results[2].seq == 3);
	assert_int_equal(store_appender_roll(a, &e), RC_OK);
	store_appender_close(a);
	free(noise);
}

static void
the_door_of_a_running_log(void **state UNUSED)
{
	char *dir = helper_dir();
	char path[4096];
	int status = -1;
	/* Forked before this process opens the log. */
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		char c;
		assert_true(read(ready[0], &c, 1) == 1);
		append_remotely(dir, NULL);
		_exit(0);
	}
	struct store *s = helper_open(dir);
	assert_true(helper_append(s, "a", "first") == 1);
	assert_true(write(ready[1], "x", 1) == 1);
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
	assert_true(helper_append(s, "b", "in the next segment") == 4);
	snprintf(path, sizeof path, "%s/00000000000000000004.mdb", dir);
	assert_true(fs_exists(path));
	store_close(s);
	snprintf(path, sizeof path, "%s/door", dir);
	assert_false(fs_exists(path));
	helper_verify(dir, 4, RC_OK);
	close(ready[0]);
	close(ready[1]);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_damage_passes),
		cmocka_unit_test(an_archive_becomes_the_same_log),
		cmocka_unit_test(another_history_is_refused),
		cmocka_unit_test(a_range_is_a_log_that_starts_later),
		cmocka_unit_test(the_door_of_a_running_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
