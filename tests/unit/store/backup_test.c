/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/manifest.h"
#include "store/ops.h"
#include "tests/tools/folder.h"
#include "tests/unit/store/helper.h"

#define EVENTS 10

static char *
below(const char *root, const char *name)
{
	size_t bytes = strlen(root) + strlen(name) + 2;
	char *path = base_alloc(bytes);
	snprintf(path, bytes, "%s/%s", root, name);
	return path;
}

/* A log in root/log whose events are in two finished segments; the open one has none. */
static char *
make_log(const char *root)
{
	char *dir = below(root, "log"), delivery[16];
	const struct store_options options = { .dir = dir };
	struct store_appender *appender;
	struct store_result result;
	struct err e;
	assert_int_equal(store_appender_open(&appender, &options, &e), RC_OK);
	for (int i = 1; i <= EVENTS; i++) {
		snprintf(delivery, sizeof delivery, "d-%d", i);
		const struct event ev = helper_event(delivery, bytes_str("{}"));
		assert_int_equal(store_appender_append(appender, &ev, 1, &result, &e), RC_OK);
		assert_int_equal(result.seq, i);
		if (i == EVENTS / 2 || i == EVENTS)
			assert_int_equal(store_appender_roll(appender, &e), RC_OK);
	}
	store_appender_close(appender);
	return dir;
}

static enum rc
archive(const char *dir, const char *to, struct store_backup_report *report, struct err *e)
{
	struct store_reader *r;
	assert_int_equal(store_reader_open(&r, dir, e), RC_OK);
	enum rc rc = store_archive(r, dir, to, NULL, NULL, report, e);
	store_reader_close(r);
	return rc;
}

static void
prune_all(const char *dir, const char *archive_dir)
{
	struct arena *a = arena_new(4096);
	const struct store_prune_rule rule = { .before_us = INT64_MAX };
	const struct store_pruned *pruned;
	size_t count;
	struct err e;
	if (store_prune(dir, archive_dir, &rule, true, a, &pruned, &count, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(count, 1);
	arena_free(a);
}

static void
assert_all_readable(const char *dir, const char *archive_dir)
{
	struct arena *a = arena_new(4096);
	struct store_reader *r;
	const struct store_record *records;
	size_t count;
	struct err e;
	assert_int_equal(store_reader_open_archived(&r, dir, archive_dir, &e), RC_OK);
	if (store_read(r, 1, EVENTS, 1 << 20, a, &records, &count, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(count, EVENTS);
	store_reader_close(r);
	arena_free(a);
}

/* The log then holds the segment with the last event, which stays whatever the rule, and an empty one. */
static void
pruning_and_archiving_again_keeps_the_archive(void **state UNUSED)
{
	char *root = helper_dir(), *dir = make_log(root), *to = below(root, "archive");
	struct store_backup_report report;
	struct err e;
	assert_int_equal(archive(dir, to, &report, &e), RC_OK);
	assert_int_equal(report.last_seq, EVENTS);
	prune_all(dir, to);
	assert_all_readable(dir, to);
	struct store_reader *r;
	struct store_span span;
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_span(r, &span, &e), RC_OK);
	assert_int_equal(span.first_seq, EVENTS / 2 + 1);
	assert_int_equal(span.last_seq, EVENTS);
	store_reader_close(r);
	if (archive(dir, to, &report, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(report.last_seq, EVENTS);
	assert_all_readable(dir, to);
	free(to);
	free(dir);
	folder_remove(root);
	free(root);
}

static void
a_lost_manifest_costs_no_segment(void **state UNUSED)
{
	char *root = helper_dir(), *dir = make_log(root), *to = below(root, "archive");
	char *manifest = below(to, MANIFEST_NAME), *aside = below(root, "aside");
	struct store_backup_report report;
	struct err e;
	assert_int_equal(archive(dir, to, &report, &e), RC_OK);
	prune_all(dir, to);
	assert_int_equal(rename(manifest, aside), 0);
	assert_int_equal(archive(dir, to, &report, &e), RC_CORRUPT);
	assert_string_equal(e.id, "log.backup-damaged");
	assert_int_equal(rename(aside, manifest), 0);
	assert_all_readable(dir, to);
	free(aside);
	free(manifest);
	free(to);
	free(dir);
	folder_remove(root);
	free(root);
}

static void
touch(const char *folder, const char *name)
{
	char *path = below(folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	free(path);
}

static void
what_an_interrupted_first_run_left_is_cleared(void **state UNUSED)
{
	char *root = helper_dir(), *dir = make_log(root), *to = below(root, "archive");
	static const char *const left[] = { "MANIFEST.tmp.4711",
		"2026-11-21_00000000000000000001-00000000000000000007.mdb" };
	struct store_backup_report report;
	struct err e;
	assert_int_equal(mkdir(to, 0700), 0);
	for (size_t i = 0; i < COUNT_OF(left); i++)
		touch(to, left[i]);
	if (archive(dir, to, &report, &e) != RC_OK)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < COUNT_OF(left); i++) {
		char *path = below(to, left[i]);
		assert_int_equal(access(path, F_OK), -1);
		free(path);
	}
	assert_all_readable(dir, to);
	/* A folder with anything else in it is somebody's. */
	char *foreign = below(root, "foreign");
	assert_int_equal(mkdir(foreign, 0700), 0);
	touch(foreign, "thesis.tex");
	assert_int_equal(archive(dir, foreign, &report, &e), RC_INVALID);
	free(foreign);
	free(to);
	free(dir);
	folder_remove(root);
	free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pruning_and_archiving_again_keeps_the_archive),
		cmocka_unit_test(a_lost_manifest_costs_no_segment),
		cmocka_unit_test(what_an_interrupted_first_run_left_is_cleared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
