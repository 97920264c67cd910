/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "projector/ahead.h"
#include "tests/unit/projector/helper.h"

/* What several threads read and fold comes out in the order of the log, all of it and once, and folded as
 * one thread folds it. Run under the thread sanitizer, too. */

#define EVENTS 3000
#define REFUSED_EVERY 7

#define THINGS                                                                                     \
	"-- provider: github\n-- key: id\n-- rows: thing\n"                                        \
	"create table zz_things (\n\tid bigint primary key,\n\tname text -- = name\n);\n"

static struct arena *a;
static struct catalog things;
static struct store_reader *reader;
static char dir[256];

static void
stored(size_t index UNUSED, const struct store_result *result, void *context)
{
	size_t *count = context;
	*count += result->rc == RC_OK;
}

static int
remove_entry(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *at UNUSED)
{
	return remove(path);
}

static int
setup(void **state UNUSED)
{
	const char *base = getenv("TMPDIR");
	struct err e = { 0 };
	a = arena_new(1024 * 1024);
	things = helper_catalog(THINGS, a);
	snprintf(dir, sizeof dir, "%s/hooklog-ahead.XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(dir));
	const struct store_options options = { .dir = dir };
	struct store *store;
	if (store_open(&store, &options, &e) != RC_OK)
		fail_msg("%s", e.text);
	struct event *events = arena_alloc(a, EVENTS * sizeof *events);
	size_t count = 0;
	for (size_t n = 0; n < EVENTS; n++) {
		events[n] = helper_record(0, "mention", arena_printf(a,
			"{\"thing\":{\"id\":%zu,\"name\":\"n%zu\"}}", n % 100, n)).event;
		events[n].delivery = bytes_str(arena_printf(a, "d-%zu", n));
	}
	for (size_t n = 0; n < EVENTS; n += 1000)
		assert_int_equal(store_submit_batch(store, events + n, 1000, stored, &count, &e), RC_OK);
	store_close(store);
	assert_int_equal(count, EVENTS);
	assert_int_equal(store_reader_open(&reader, dir, &e), RC_OK);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	store_reader_close(reader);
	catalog_free(&things);
	arena_free(a);
	return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
start(struct ahead **ahead, uint64_t first, uint64_t last, size_t batch, size_t threads,
	const struct fold_refused *refused)
{
	struct ahead_options options = { .catalog = &things, .reader = reader, .first = first, .last = last,
		.events_max = batch, .bytes_max = 1 << 20, .threads = threads };
	struct err e = { 0 };
	if (refused != NULL)
		options.refused = *refused;
	if (ahead_start(ahead, &options, &e) != RC_OK)
		fail_msg("%s", e.text);
}

/* Everything of a fold that matters here. */
static void
put_fold(struct buf *out, const struct fold *fold, struct arena *texts)
{
	const struct fold_table *t = helper_table(fold, "zz_things");
	for (const struct fold_row *row = t->first; row != NULL; row = row->next)
		buf_printf(out, "%s %s %" PRIu64 "..%" PRIu64 "\n", helper_cell(t, row, "id", texts),
			helper_cell(t, row, "name", texts), row->first_seq, row->last_seq);
	for (size_t i = 0; i < fold->parked_count; i++)
		buf_printf(out, "parked %" PRIu64 " %s\n", fold->parked[i].seq, fold->parked[i].reason);
}

static void
test_same_as_one_thread(void **state UNUSED)
{
	static const struct {
		size_t threads, batch;
		uint64_t first, last;
	} cases[] = { { 1, 1000, 1, 0 }, { 2, 7, 1, 0 }, { 4, 64, 1, EVENTS }, { 4, 1, 2900, 2999 },
		{ 3, 500, 1234, 1234 }, { 2, 10, EVENTS, 0 } };
	uint64_t seqs[EVENTS / REFUSED_EVERY];
	for (size_t i = 0; i < COUNT_OF(seqs); i++)
		seqs[i] = (i + 1) * REFUSED_EVERY;
	const struct fold_refused refused = { "refused", seqs, COUNT_OF(seqs) };
	struct buf ours = buf_new(1 << 24), expected = buf_new(1 << 24);
	struct arena *one = arena_new(1024 * 1024);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ahead *ahead;
		struct ahead_batch batch;
		struct err e = { 0 };
		uint64_t next = cases[i].first, last = cases[i].last == 0 ? EVENTS : cases[i].last;
		start(&ahead, cases[i].first, cases[i].last, cases[i].batch, cases[i].threads, &refused);
		for (;;) {
			assert_int_equal(ahead_take(ahead, &batch, &e), RC_OK);
			if (batch.count == 0)
				break;
			struct fold fold;
			arena_reset(one);
			buf_clear(&ours);
			buf_clear(&expected);
			assert_in_range(batch.count, 1, cases[i].batch);
			for (size_t k = 0; k < batch.count; k++)
				assert_int_equal(batch.records[k].event.seq, next++);
			fold_events(&things, batch.records, batch.count, &refused, one, &fold);
			put_fold(&ours, &batch.fold, one);
			put_fold(&expected, &fold, one);
			assert_string_equal(buf_cstr(&ours), buf_cstr(&expected));
		}
		assert_int_equal(next, last + 1);
		ahead_stop(ahead);
	}
	arena_free(one);
	buf_free(&ours);
	buf_free(&expected);
}

/* Whatever the threads are at. */
static void
test_stop_any_time(void **state UNUSED)
{
	for (size_t taken = 0; taken < 40; taken++) {
		struct ahead *ahead;
		struct ahead_batch batch;
		struct err e = { 0 };
		start(&ahead, 1, 0, 20, 1 + taken % 4, NULL);
		for (size_t i = 0; i < taken; i++)
			assert_int_equal(ahead_take(ahead, &batch, &e), RC_OK);
		ahead_stop(ahead);
	}
	ahead_stop(NULL);
}

/* An error comes in its place: behind the batches before it. */
static void
test_error(void **state UNUSED)
{
	struct ahead *ahead;
	struct ahead_batch batch;
	struct err e = { 0 };
	start(&ahead, 0, 0, 20, 2, NULL);
	assert_int_equal(ahead_take(ahead, &batch, &e), RC_NOTFOUND);
	assert_true(e.text[0] != '\0');
	ahead_stop(ahead);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_one_thread),
		cmocka_unit_test(test_stop_any_time),
		cmocka_unit_test(test_error),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
