/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/state.h"
#include "tests/unit/projector/helper.h"

/* The fold of a whole log in memory: any order, any batches and any number of passes give the same rows,
 * and the bytes it sends are those a plain encoding of the values gives. */

#define THINGS                                                                                     \
	"-- provider: github\n-- key: id\n-- version: updated_at\n-- rows: thing on thing rank 1\n"  \
	"-- rows: thing on mention\n-- delete: thing.deleted\n"                                      \
	"create table zz_things (\n\tid bigint primary key,\n\tname text, -- = name\n"              \
	"\tsize integer, -- full = size\n\tgood boolean, -- full = good\n"                           \
	"\tat timestamptz, -- full = updated_at\n\ttags text[], -- full = tags\n"                   \
	"\tmore jsonb, -- full = more\n\tclosed_by bigint -- closed = $.action='closed' => $.sender.id\n);\n"

#define EVENTS 24
#define SEEDS 1000

static struct arena *a, *batch;
static struct catalog things;

static int
setup(void **state UNUSED)
{
	a = arena_new(1024 * 1024);
	batch = arena_new(1024 * 1024);
	things = helper_catalog(THINGS, a);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	catalog_free(&things);
	arena_free(a);
	arena_free(batch);
	return 0;
}

static uint64_t random_state;

static unsigned
below(unsigned n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (unsigned)(random_state * UINT64_C(2685821657736338717) >> 33) % n;
}

static struct store_record
random_record(uint64_t seq, struct arena *texts)
{
	static const char *const actions[] = { "edited", "closed", "deleted", "opened" };
	struct buf body = buf_new(4096);
	buf_printf(&body, "{\"action\":\"%s\",\"sender\":{\"id\":%u},\"thing\":{\"id\":%u", actions[below(4)],
		below(9), 1 + below(6));
	if (below(4) > 0)
		buf_printf(&body, ",\"updated_at\":\"2026-01-0%uT00:00:00Z\"", 1 + below(3));
	if (below(3) > 0)
		buf_printf(&body, ",\"name\":\"n%" PRIu64 "%.*s\"", seq, (int)below(40), "........................................");
	if (below(2) > 0)
		buf_printf(&body, ",\"size\":%u,\"good\":%s,\"tags\":[\"a\",\"%u\\\"\"],\"more\":{\"x\":%u}",
			below(1000), below(2) > 0 ? "true" : "null", below(10), below(10));
	buf_put_str(&body, "}}");
	struct store_record r = helper_record(seq, below(2) > 0 ? "thing" : "mention",
		arena_string(texts, buf_bytes(&body)));
	r.event.origin = below(6);
	buf_free(&body);
	return r;
}

static struct state_table *
table_of(struct state *st)
{
	for (size_t i = 0; i < things.count; i++) {
		if (strcmp(things.definitions[i].table, "zz_things") == 0)
			return &st->tables[i];
	}
	fail_msg("no table");
	return NULL;
}

static void
merge_batch(struct state *st, const struct store_record *records, size_t count)
{
	struct fold fold = { 0 };
	arena_reset(batch);
	fold_events(&things, records, count, NULL, batch, &fold);
	assert_int_equal(fold.parked_count, 0);
	struct state_table *t = table_of(st);
	for (const struct fold_row *row = helper_table(&fold, "zz_things")->first; row != NULL; row = row->next)
		state_merge(st, t, row);
}

static int
by_bytes(const void *left, const void *right)
{
	const struct bytes *l = left, *r = right;
	size_t len = l->len < r->len ? l->len : r->len;
	int order = memcmp(l->data, r->data, len);
	return order != 0 ? order : (l->len > r->len) - (l->len < r->len);
}

/* All rows of all passes as COPY gets them, sorted. */
static struct bytes
fold_all(const struct store_record *records, size_t count, size_t bytes_max, size_t step, size_t *passes)
{
	struct state st;
	struct bytes rows[64];
	size_t row_count = 0;
	*passes = 0;
	state_open(&st, &things, bytes_max);
	do {
		for (size_t at = 0; at < count; at += step)
			merge_batch(&st, records + at, count - at < step ? count - at : step);
		assert_false(st.overflow);
		const struct state_table *t = table_of(&st);
		for (size_t b = 0; b < t->bucket_count; b++) {
			for (const struct state_row *row = t->buckets[b]; row != NULL; row = row->next) {
				struct buf out = buf_new(65536);
				state_put_copy(&out, t->definition, row);
				assert_in_range(row_count, 0, 63);
				rows[row_count++] = arena_copy(a, buf_bytes(&out));
				buf_free(&out);
			}
		}
		++*passes;
		assert_in_range(*passes, 1, 64);
	} while (state_next_pass(&st));
	assert_int_equal(st.bytes, 0);
	state_close(&st);
	qsort(rows, row_count, sizeof rows[0], by_bytes);
	struct buf all = buf_new(1024 * 1024);
	for (size_t i = 0; i < row_count; i++)
		buf_put_bytes(&all, rows[i]);
	struct bytes joined = arena_copy(a, buf_bytes(&all));
	buf_free(&all);
	return joined;
}

static void
test_permutation_law(void **state UNUSED)
{
	size_t most_passes = 0;
	struct arena *texts = arena_new(65536);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct store_record records[EVENTS + EVENTS / 3];
		random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
		size_t passes, count = EVENTS;
		for (size_t i = 0; i < EVENTS; i++)
			records[i] = random_record(i + 1, texts);
		struct bytes want = fold_all(records, count, SIZE_MAX, EVENTS, &passes);
		assert_int_equal(passes, 1);
		/* Some of them twice, as after a lost connection. */
		for (size_t i = 0; i < EVENTS / 3; i++)
			records[count++] = records[below(EVENTS)];
		for (size_t i = count; i > 1; i--) {
			size_t k = below((unsigned)i);
			struct store_record swap = records[i - 1];
			records[i - 1] = records[k];
			records[k] = swap;
		}
		static const size_t steps[] = { 1, 7, 500 };
		for (size_t i = 0; i < COUNT_OF(steps); i++) {
			/* Enough for the buckets and few rows more. */
			struct bytes got = fold_all(records, count, i == 0 ? SIZE_MAX : 256 * 8 + 1200, steps[i],
				&passes);
			if (!bytes_equal(want, got))
				fail_msg("seed %" PRIu64 ", batches of %zu, %zu passes", seed, steps[i], passes);
			most_passes = passes > most_passes ? passes : most_passes;
		}
		arena_reset(texts);
		if (seed % 50 == 0) {
			catalog_free(&things);
			arena_reset(a);
			things = helper_catalog(THINGS, a);
		}
	}
	assert_true(most_passes > 1); /* or the bound was never met */
	arena_free(texts);
}

/* One row by hand, byte by byte. */
static void
test_copy_format(void **state UNUSED)
{
	struct store_record r = helper_record(3, "thing",
		"{\"action\":\"opened\",\"thing\":{\"id\":258,\"name\":\"x\",\"size\":5,\"good\":false,"
		"\"updated_at\":\"2000-01-01T00:00:01Z\",\"tags\":[\"a\",\"\\\"\"],\"more\":[1]}}");
	struct state st;
	state_open(&st, &things, SIZE_MAX);
	merge_batch(&st, &r, 1);
	struct state_table *t = table_of(&st);
	struct buf out = buf_new(65536);
	for (size_t b = 0; b < t->bucket_count; b++) {
		for (const struct state_row *row = t->buckets[b]; row != NULL; row = row->next)
			state_put_copy(&out, t->definition, row);
	}
	static const unsigned char want[] = {
		0, 27,                                        /* 8 columns, 7 of bookkeeping, 4 versions */
		0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2,           /* id */
		0, 0, 0, 1, 'x',                              /* name */
		0, 0, 0, 4, 0, 0, 0, 5,                       /* size */
		0, 0, 0, 1, 0,                                /* good */
		0, 0, 0, 8, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40,  /* at: a second after PostgreSQL's epoch */
		0, 0, 0, 30, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1, /* tags */
		0, 0, 0, 1, 'a', 0, 0, 0, 1, '"',
		0, 0, 0, 4, 1, '[', '1', ']',                 /* more */
		0xff, 0xff, 0xff, 0xff,                       /* closed_by */
		0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3,           /* first_seq */
	};
	assert_true(out.len > sizeof want);
	assert_memory_equal(out.data, want, sizeof want);
	buf_free(&out);
	state_close(&st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_permutation_law),
		cmocka_unit_test(test_copy_format),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
