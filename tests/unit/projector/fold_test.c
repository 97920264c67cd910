/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/projector/helper.h"

/* One entity with everything: stamped versions, ranks, two more groups, tombstones, an array of stubs. */
#define THINGS                                                                                     \
	"-- provider: github\n-- key: id\n-- version: updated_at\n"                                \
	"-- rows: thing on thing rank 1\n-- rows: thing\n-- rows: stubs[]\n"                       \
	"-- delete: thing.deleted\n"                                                               \
	"create table zz_things (\n\tid bigint primary key,\n\tname text, -- = name\n"             \
	"\tsize bigint, -- full = size\n\tcolour text, -- full = colour\n"                         \
	"\tclosed_by bigint -- closed = $.action='closed' => $.sender.id | $.action='reopened' => null\n" \
	");\n"

static struct arena *a;
static struct catalog things;

static int
setup(void **state UNUSED)
{
	a = arena_new(1024 * 1024);
	things = helper_catalog(THINGS, a);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	catalog_free(&things);
	arena_free(a);
	return 0;
}

static void
put_version(struct buf *out, const struct version *v)
{
	buf_printf(out, " (%" PRId64 ", %d, %" PRIu64 ")", v->at_us, v->rank, v->seq);
}

/* Everything of a row that reaches the database. */
static const char *
show(const struct fold_table *t, const struct fold_row *row)
{
	const struct definition *d = t->definition;
	struct buf out = buf_new(64 * 1024);
	for (size_t i = 0; i < d->column_count; i++) {
		const char *value = helper_cell(t, row, d->columns[i].name, a);
		buf_printf(&out, "%s=%s ", d->columns[i].name, value == NULL ? "null" : value);
	}
	for (size_t g = 0; g < d->group_count; g++)
		put_version(&out, &row->versions[g]);
	put_version(&out, &row->life);
	buf_printf(&out, " deleted %" PRId64 " %" PRIu64 " seen %" PRIu64 "..%" PRIu64 " by %d at %" PRId64
			 " %" PRId64 "\n",
		row->deleted_at_us, row->deleted_seq, row->first_seq, row->last_seq, (int)row->origin,
		row->webhook_at_us, row->api_at_us);
	const char *text = arena_string(a, buf_bytes(&out));
	buf_free(&out);
	return text;
}

static struct fold_row *
row_of(const struct fold_table *t, int64_t id)
{
	for (struct fold_row *row = t->first; row != NULL; row = row->next) {
		if (row->cells[helper_column(t->definition, "id")].integer == id)
			return row;
	}
	return NULL;
}

/* ---- the upsert of tables.c, in C: what the database does with a folded batch ---- */

static void
merge_row(const struct definition *d, struct fold_row *t, const struct fold_row *excluded)
{
	for (size_t g = 0; g < d->group_count; g++) {
		if (version_compare(&excluded->versions[g], &t->versions[g]) <= 0)
			continue;
		t->versions[g] = excluded->versions[g];
		for (size_t i = 0; i < d->column_count; i++) {
			if (!d->columns[i].key && d->columns[i].group == g)
				t->cells[i] = excluded->cells[i];
		}
	}
	if (version_compare(&excluded->life, &t->life) > 0) {
		t->life = excluded->life;
		t->deleted_at_us = excluded->deleted_at_us;
		t->deleted_seq = excluded->deleted_seq;
	}
	if (excluded->last_seq >= t->last_seq)
		t->origin = excluded->origin;
	if (excluded->first_seq < t->first_seq)
		t->first_seq = excluded->first_seq;
	if (excluded->last_seq > t->last_seq)
		t->last_seq = excluded->last_seq;
	if (excluded->webhook_at_us > t->webhook_at_us)
		t->webhook_at_us = excluded->webhook_at_us;
	if (excluded->api_at_us > t->api_at_us)
		t->api_at_us = excluded->api_at_us;
}

#define IDS 4

struct database {
	const struct fold_table *table;
	struct fold_row *rows[IDS + 1]; /* by id */
};

static void
upsert(struct database *db, const struct fold_table *t)
{
	db->table = t;
	for (struct fold_row *row = t->first; row != NULL; row = row->next) {
		int64_t id = row->cells[0].integer;
		assert_in_range(id, 1, IDS);
		if (db->rows[id] == NULL)
			db->rows[id] = row;
		else
			merge_row(t->definition, db->rows[id], row);
	}
}

static void
project(struct database *db, const struct store_record *records, size_t count)
{
	struct fold fold;
	fold_events(&things, records, count, NULL, a, &fold);
	assert_int_equal(fold.parked_count, 0);
	upsert(db, helper_table(&fold, "zz_things"));
}

/* ---- random events ---- */

static uint64_t random_state;

static uint64_t
next_random(void) /* xorshift64* */
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(2685821657736338717);
}

static unsigned
below(unsigned n)
{
	return (unsigned)(next_random() >> 33) % n;
}

/* What one event says of one thing; the oracle below reads these instead of JSON. */
struct telling {
	uint64_t seq;
	unsigned id, at;         /* at 0: no time */
	bool own, named, full, colour_null;
	enum { ACTION_NONE, ACTION_CLOSED, ACTION_REOPENED, ACTION_DELETED } action;
	enum event_origin origin;
};

static struct telling
random_telling(uint64_t seq)
{
	return (struct telling){ .seq = seq, .id = 1 + below(IDS), .at = below(4), .own = below(2) == 0,
		.named = below(4) != 0, .full = below(2) == 0, .colour_null = below(2) == 0,
		.action = below(4), .origin = below(6) };
}

static struct store_record
record_of(const struct telling *t)
{
	static const char *const actions[] = { "none", "closed", "reopened", "deleted" };
	struct buf body = buf_new(4096);
	buf_printf(&body, "{\"action\":\"%s\",\"sender\":{\"id\":%" PRIu64 "},\"thing\":{\"id\":%u",
		actions[t->action], 100 + t->seq, t->id);
	if (t->at > 0)
		buf_printf(&body, ",\"updated_at\":\"2026-01-0%uT00:00:00Z\"", t->at);
	if (t->named)
		buf_printf(&body, ",\"name\":\"n%" PRIu64 "\"", t->seq);
	if (t->full) {
		buf_printf(&body, ",\"size\":%" PRIu64, t->seq);
		if (t->colour_null)
			buf_put_str(&body, ",\"colour\":null");
		else
			buf_printf(&body, ",\"colour\":\"c%" PRIu64 "\"", t->seq);
	}
	buf_put_str(&body, "}}");
	struct store_record r = helper_record(t->seq, t->own ? "thing" : "mention",
		arena_string(a, buf_bytes(&body)));
	r.event.origin = t->origin;
	buf_free(&body);
	return r;
}

/* Written from the rules, not from the code: the newest telling by time, rank, number. */
static bool
is_newer(const struct telling *left, const struct telling *right, bool life)
{
	if (left->at != right->at)
		return left->at > right->at;
	if (left->at > 0 || life) {
		int l = left->at > 0 && left->own, r = right->at > 0 && right->own;
		if (life) { /* a deletion wins over what was told at the same time */
			l += left->own && left->action == ACTION_DELETED ? 2 : 0;
			r += right->own && right->action == ACTION_DELETED ? 2 : 0;
		}
		if (l != r && !(l > 1 && r > 1))
			return l > r;
	}
	return left->seq > right->seq;
}

enum what { WHAT_NAME, WHAT_FULL, WHAT_CLOSED, WHAT_LIFE };

static bool
tells(const struct telling *t, enum what what)
{
	switch (what) {
	case WHAT_NAME:
		return t->named;
	case WHAT_FULL:
		return t->full;
	case WHAT_CLOSED:
		return t->action == ACTION_CLOSED || t->action == ACTION_REOPENED;
	case WHAT_LIFE:
		return true;
	}
	return false;
}

static const struct telling *
newest(const struct telling *tellings, size_t count, unsigned id, enum what what)
{
	const struct telling *best = NULL;
	for (size_t i = 0; i < count; i++) {
		if (tellings[i].id == id && tells(&tellings[i], what) &&
			(best == NULL || is_newer(&tellings[i], best, what == WHAT_LIFE)))
			best = &tellings[i];
	}
	return best;
}

static void
assert_cell(const struct database *db, const struct fold_row *row, const char *column, const char *want)
{
	const char *got = helper_cell(db->table, row, column, a);
	if ((got == NULL) != (want == NULL) || (got != NULL && strcmp(got, want) != 0))
		fail_msg("%s is %s, not %s: %s", column, got == NULL ? "null" : got,
			want == NULL ? "null" : want, show(db->table, row));
}

static void
check_oracle(const struct database *db, const struct telling *tellings, size_t count)
{
	for (unsigned id = 1; id <= IDS; id++) {
		const struct telling *life = newest(tellings, count, id, WHAT_LIFE);
		const struct fold_row *row = db->rows[id];
		assert_int_equal(row == NULL, life == NULL);
		if (row == NULL)
			continue;
		const struct telling *name = newest(tellings, count, id, WHAT_NAME),
				     *full = newest(tellings, count, id, WHAT_FULL),
				     *closed = newest(tellings, count, id, WHAT_CLOSED);
		assert_cell(db, row, "name",
			name == NULL ? NULL : arena_printf(a, "n%" PRIu64, name->seq));
		assert_cell(db, row, "size", full == NULL ? NULL : arena_printf(a, "%" PRIu64, full->seq));
		assert_cell(db, row, "colour",
			full == NULL || full->colour_null ? NULL : arena_printf(a, "c%" PRIu64, full->seq));
		assert_cell(db, row, "closed_by",
			closed == NULL || closed->action == ACTION_REOPENED
				? NULL
				: arena_printf(a, "%" PRIu64, 100 + closed->seq));
		bool deleted = life->own && life->action == ACTION_DELETED;
		assert_true(row->deleted_seq == (deleted ? life->seq : 0));
		assert_true(row->deleted_at_us == (deleted ? HELPER_TIME_US(life->seq) : INT64_MIN));
	}
}

static void
shuffle(struct store_record *records, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t k = below((unsigned)i);
		struct store_record swap = records[i - 1];
		records[i - 1] = records[k];
		records[k] = swap;
	}
}

#define EVENTS 14

/* Any order, any split into batches: the same rows; and the rows are what the rules say. */
static void
test_laws(void **state UNUSED)
{
	for (uint64_t seed = 1; seed <= 1000; seed++) {
		random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
		struct telling tellings[EVENTS];
		struct store_record records[EVENTS];
		for (size_t i = 0; i < EVENTS; i++) {
			tellings[i] = random_telling(i + 1);
			records[i] = record_of(&tellings[i]);
		}
		struct database whole = { NULL, { NULL } };
		project(&whole, records, EVENTS);
		check_oracle(&whole, tellings, EVENTS);
		for (size_t round = 0; round < 6; round++) {
			struct database parts = { NULL, { NULL } };
			shuffle(records, EVENTS);
			for (size_t at = 0; at < EVENTS;) {
				size_t step = 1 + below(round == 0 ? 1 : EVENTS);
				if (step > EVENTS - at)
					step = EVENTS - at;
				project(&parts, records + at, step);
				at += step;
			}
			for (unsigned id = 1; id <= IDS; id++) {
				if (whole.rows[id] == NULL) {
					assert_null(parts.rows[id]);
					continue;
				}
				const char *want = show(whole.table, whole.rows[id]),
					   *got = show(parts.table, parts.rows[id]);
				if (strcmp(want, got) != 0)
					fail_msg("seed %" PRIu64 ":\n%s%s", seed, want, got);
			}
		}
		/* What was told a second time, as after a lost connection, changes nothing. */
		const char *before = whole.rows[tellings[0].id] == NULL
			? ""
			: show(whole.table, whole.rows[tellings[0].id]);
		project(&whole, records, EVENTS / 2);
		assert_string_equal(before, show(whole.table, whole.rows[tellings[0].id]));
		arena_reset(a);
		catalog_free(&things);
		things = helper_catalog(THINGS, a);
	}
}

/* ---- which events a rows line takes ---- */

static void
test_lines_of_events(void **state UNUSED)
{
	static const struct {
		const char *provider, *lines;
		const char *rows; /* of: gh thing, gh other, any thing, any other */
	} cases[] = {
		{ "github", "-- rows: .\n", "1100" },
		{ "github", "-- rows: . on thing\n", "1000" },
		{ "github", "-- rows: . on neither, other\n", "0100" },
		{ "*", "-- rows: .\n", "1111" },
		{ "*", "-- rows: . on thing\n", "1010" },
		{ "zz_forge", "-- rows: .\n", "0000" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *text = arena_printf(a,
			"-- provider: %s\n-- key: id\n-- kind: fact\n%screate table zz_lines (\n"
			"\tid bigint primary key -- = @seq\n);\n", cases[i].provider, cases[i].lines);
		struct catalog c = helper_catalog(text, a);
		char rows[5] = { 0 };
		for (size_t k = 0; k < 4; k++) {
			struct store_record record = helper_record(1, k % 2 == 0 ? "thing" : "other", "{}");
			struct fold fold;
			record.event.provider = bytes_str(k < 2 ? "github" : "zz_unknown");
			fold_events(&c, &record, 1, NULL, a, &fold);
			assert_int_equal(fold.parked_count, 0);
			rows[k] = (char)('0' + helper_table(&fold, "zz_lines")->count);
		}
		assert_string_equal(rows, cases[i].rows);
		catalog_free(&c);
	}
}

/* ---- single rules ---- */

static struct fold
fold_bodies(const struct catalog *c, const char *event, const char *const *bodies, size_t count)
{
	struct fold fold;
	struct store_record *records = arena_alloc(a, count * sizeof *records);
	for (size_t i = 0; i < count; i++)
		records[i] = helper_record(i + 1, event, bodies[i]);
	fold_events(c, records, count, NULL, a, &fold);
	return fold;
}

static void
test_stubs_never_overwrite(void **state UNUSED)
{
	static const char *const bodies[] = {
		"{\"thing\":{\"id\":1,\"updated_at\":\"2020-01-01T00:00:00Z\",\"name\":\"old\",\"size\":3}}",
		"{\"stubs\":[{\"id\":1,\"name\":\"stub\"},{\"id\":2,\"name\":\"only a stub\"}]}",
	};
	struct fold fold = fold_bodies(&things, "mention", bodies, COUNT_OF(bodies));
	const struct fold_table *t = helper_table(&fold, "zz_things");
	assert_string_equal(helper_cell(t, row_of(t, 1), "name", a), "old");
	assert_string_equal(helper_cell(t, row_of(t, 2), "name", a), "only a stub");
	assert_int_equal(row_of(t, 2)->versions[1].seq, 0); /* partial */
	assert_int_equal(row_of(t, 1)->last_seq, 2);
}

static void
test_tombstones(void **state UNUSED)
{
	static const char *const bodies[] = {
		"{\"action\":\"deleted\",\"thing\":{\"id\":1,\"updated_at\":\"2026-01-02T00:00:00Z\"}}",
		"{\"action\":\"edited\",\"thing\":{\"id\":1,\"updated_at\":\"2026-01-01T00:00:00Z\"}}",
		"{\"action\":\"edited\",\"thing\":{\"id\":1,\"updated_at\":\"2026-01-02T00:00:00Z\"}}",
		"{\"action\":\"edited\",\"thing\":{\"id\":1,\"updated_at\":\"2026-01-03T00:00:00Z\"}}",
	};
	struct fold fold = fold_bodies(&things, "thing", bodies, 3);
	const struct fold_table *t = helper_table(&fold, "zz_things");
	assert_int_equal(row_of(t, 1)->deleted_seq, 1);
	assert_true(row_of(t, 1)->deleted_at_us == HELPER_TIME_US(1));
	fold = fold_bodies(&things, "thing", bodies, 4);
	t = helper_table(&fold, "zz_things");
	assert_int_equal(row_of(t, 1)->deleted_seq, 0);
	/* A mention in the event that deletes something else is no tombstone. */
	fold = fold_bodies(&things, "mention", bodies, 1);
	t = helper_table(&fold, "zz_things");
	assert_int_equal(row_of(t, 1)->deleted_seq, 0);
}

static void
test_tombstones_with_conditions(void **state UNUSED)
{
	struct catalog c = helper_catalog("-- provider: github\n-- key: name\n-- rows: . rank 1\n"
					  "-- delete: drop, move where gone='true'\n"
					  "create table zz_refs (\n\tname text primary key,\n\tx bigint -- = x\n);\n", a);
	static const struct {
		const char *event, *body;
		bool deleted;
	} rows[] = {
		{ "drop", "{\"name\":\"a\"}", true },
		{ "drop", "{\"name\":\"a\",\"action\":\"any\"}", true },
		{ "move", "{\"name\":\"a\",\"gone\":true}", true },
		{ "move", "{\"name\":\"a\",\"gone\":false}", false },
		{ "other", "{\"name\":\"a\",\"gone\":true}", false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fold fold = fold_bodies(&c, rows[i].event, &rows[i].body, 1);
		assert_int_equal(helper_table(&fold, "zz_refs")->first->deleted_seq, rows[i].deleted);
	}
	catalog_free(&c);
}

/* Of two states told with the same time the later state wins, in whichever order they came. */
static void
test_ranks_of_values(void **state UNUSED)
{
	struct catalog c = helper_catalog(
		"-- provider: github\n-- key: id\n-- version: at\n-- rank: state queued=0 running=1 done=30\n"
		"-- rows: job on job rank 1\n-- rows: job on mention\n"
		"create table zz_jobs (\n\tid bigint primary key,\n\tstate text -- = state\n);\n", a);
#define JOB(state, at) "{\"job\":{\"id\":1,\"state\":\"" state "\",\"at\":\"2026-01-01T00:00:0" at "Z\"}}"
	static const struct {
		const char *bodies[2], *want;
	} rows[] = {
		{ { JOB("queued", "1"), JOB("running", "1") }, "running" },
		{ { JOB("running", "1"), JOB("queued", "1") }, "running" },
		{ { JOB("done", "1"), JOB("running", "1") }, "done" },
		{ { JOB("done", "1"), JOB("running", "2") }, "running" },
		{ { JOB("strange", "1"), JOB("queued", "1") }, "queued" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fold fold = fold_bodies(&c, "job", rows[i].bodies, 2);
		const struct fold_table *t = helper_table(&fold, "zz_jobs");
		assert_string_equal(helper_cell(t, t->first, "state", a), rows[i].want);
	}
	struct fold fold = fold_bodies(&c, "job", rows[2].bodies, 1);
	assert_int_equal(helper_table(&fold, "zz_jobs")->first->versions[0].rank, 31);
	catalog_free(&c);
}

static const char *const users_body =
	"{\"sender\":{\"id\":5,\"login\":\"a\",\"type\":\"User\"},\"pull_request\":{\"id\":9,"
	"\"user\":{\"id\":6,\"login\":\"b\"},\"requested_reviewers\":[{\"id\":7,\"login\":\"c\"},"
	"{\"id\":5,\"login\":\"other\"}],\"assignee\":null,\"head\":{\"user\":null}}}";

static void
test_many_objects_of_one_event(void **state UNUSED)
{
	struct fold fold = fold_bodies(&things, "pull_request", &users_body, 1);
	const struct fold_table *t = helper_table(&fold, "users");
	assert_int_equal(t->count, 3);
	assert_string_equal(helper_cell(t, row_of(t, 7), "login", a), "c");
	/* The same account twice in one event: the first rows line counts, whatever the batch. */
	assert_string_equal(helper_cell(t, row_of(t, 5), "login", a), "a");
}

static void
test_what_is_not_json_is_parked_with_its_envelope(void **state UNUSED)
{
	static const char *const bodies[] = { "{\"sender\":{\"id\":1}}", "{\"sender\":{\"id\":2}",
		"{\"sender\":{\"id\":3}}" };
	struct fold fold = fold_bodies(&things, "push", bodies, COUNT_OF(bodies));
	assert_int_equal(fold.parked_count, 1);
	assert_int_equal(fold.parked[0].seq, 2);
	assert_true(strlen(fold.parked[0].reason) > 0);
	const struct fold_table *events = helper_table(&fold, "events");
	assert_int_equal(events->count, 3);
	assert_string_equal(helper_cell(events, events->first->next, "parked", a), "true");
	assert_string_equal(helper_cell(events, events->first->next, "event", a), "push");
	assert_string_equal(helper_cell(events, events->first, "parked", a), "false");
	assert_null(row_of(helper_table(&fold, "users"), 2));
	assert_non_null(row_of(helper_table(&fold, "users"), 3));
}

/* Nobody's tables need the body of an unknown provider. */
static void
test_unknown_providers_need_no_json(void **state UNUSED)
{
	struct store_record record = helper_record(1, "", "a=b");
	record.event.provider = bytes_str("acme");
	struct fold fold;
	fold_events(&things, &record, 1, NULL, a, &fold);
	assert_int_equal(fold.parked_count, 0);
	assert_int_equal(helper_table(&fold, "events")->count, 1);
}

/* A key that fits no bigint parks the whole event: no table takes a part of it. */
static void
test_key_out_of_range(void **state UNUSED)
{
	static const char *const bodies[] = {
		"{\"sender\":{\"id\":1},\"organization\":{\"id\":92233720368547758070}}",
		"{\"sender\":{\"id\":\"2\"}}",
	};
	struct fold fold = fold_bodies(&things, "push", bodies, COUNT_OF(bodies));
	assert_int_equal(fold.parked_count, 2);
	assert_non_null(strstr(fold.parked[0].reason, "organization"));
	assert_non_null(strstr(fold.parked[0].reason, "bigint"));
	assert_int_equal(helper_table(&fold, "users")->count, 0);
	assert_int_equal(helper_table(&fold, "events")->count, 2);
}

static void
test_null_key_makes_no_row(void **state UNUSED)
{
	static const char *const bodies[] = { "{\"sender\":{\"id\":null,\"login\":\"ghost\"}}",
		"{\"sender\":{\"login\":\"ghost\"}}", "{\"sender\":7}" };
	struct fold fold = fold_bodies(&things, "push", bodies, COUNT_OF(bodies));
	assert_int_equal(fold.parked_count, 0);
	assert_int_equal(helper_table(&fold, "users")->count, 0);
}

/* With a key made of the envelope that never fits its column, the event has no row even when parked. */
static void
test_key_of_the_envelope_out_of_range(void **state UNUSED)
{
	struct catalog c = helper_catalog(
		"-- key: id\n-- rows: .\ncreate table zz_bad (\n\tid bigint primary key, -- = @delivery\n"
		"\tname text -- = name\n);\n",
		a);
	static const char *const bodies[] = { "{}", "not json" };
	struct fold fold = fold_bodies(&c, "push", bodies, COUNT_OF(bodies));
	assert_int_equal(fold.parked_count, 2);
	assert_int_equal(helper_table(&fold, "zz_bad")->count, 0);
	assert_int_equal(helper_table(&fold, "events")->count, 2);
	catalog_free(&c);
}

static void
test_park_reason_leaves_the_envelope(void **state UNUSED)
{
	struct store_record record = helper_record(1, "push", users_body);
	struct fold fold;
	const struct fold_refused refused = { .reason = "refused" };
	fold_events(&things, &record, 1, &refused, a, &fold);
	assert_int_equal(fold.parked_count, 1);
	assert_string_equal(fold.parked[0].reason, "refused");
	assert_int_equal(helper_table(&fold, "users")->count, 0);
	assert_int_equal(helper_table(&fold, "events")->count, 1);
}

static void
test_form_bodies(void **state UNUSED)
{
	struct store_record record =
		helper_record(1, "push", "payload=%7B%22sender%22%3A%7B%22id%22%3A4%7D%7D");
	record.event.content_type = bytes_str("application/x-www-form-urlencoded");
	struct fold fold;
	fold_events(&things, &record, 1, NULL, a, &fold);
	assert_int_equal(fold.parked_count, 0);
	assert_non_null(row_of(helper_table(&fold, "users"), 4));
}

/* ---- the catalog ---- */

#define OTHER_TABLE "create table zz_other (\n\tid bigint primary key,\n\tname text -- = name\n);\n"

static void
test_catalog_refuses(void **state UNUSED)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "-- key: id\n-- rows: x\ncreate table users (\n\tid bigint primary key,\n\tn text -- = n\n);\n",
			"users" },
		{ "-- view: gh.users\n-- key: id\n-- rows: x\n" OTHER_TABLE, "gh.users" },
		{ "-- key: id\n-- rows: x[]\ncreate table zz (\n\tid bigint primary key,\n\tn text -- = a[].b\n);\n",
			"a[].b" },
		{ "no projection at all\n", "create table" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct catalog c;
		struct err e = { 0 };
		assert_int_equal(helper_load(&c, "other.sql", rows[i].text, a, &e), RC_INVALID);
		if (strstr(e.text, "other.sql") == NULL || strstr(e.text, rows[i].says) == NULL)
			fail_msg("'%s' expected: %s", rows[i].says, e.text);
	}
}

static void
test_catalog_replaces_and_hashes(void **state UNUSED)
{
	struct catalog plain, again, other;
	struct err e = { 0 };
	assert_int_equal(catalog_load(&plain, "", a, &e), RC_OK);
	assert_int_equal(catalog_load(&again, "", a, &e), RC_OK);
	assert_memory_equal(plain.hash, again.hash, sizeof plain.hash);
	assert_int_equal(helper_load(&other, "users.sql",
				 "-- key: id\n-- rows: x\n-- view: gh.users\n" OTHER_TABLE, a, &e),
		RC_OK);
	assert_int_equal(other.count, plain.count);
	assert_memory_not_equal(plain.hash, other.hash, sizeof plain.hash);
	catalog_free(&plain);
	catalog_free(&again);
	catalog_free(&other);
	assert_int_equal(catalog_load(&plain, "/nowhere/at/all", a, &e), RC_NOTFOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_laws),
		cmocka_unit_test(test_lines_of_events),
		cmocka_unit_test(test_stubs_never_overwrite),
		cmocka_unit_test(test_tombstones),
		cmocka_unit_test(test_tombstones_with_conditions),
		cmocka_unit_test(test_ranks_of_values),
		cmocka_unit_test(test_many_objects_of_one_event),
		cmocka_unit_test(test_what_is_not_json_is_parked_with_its_envelope),
		cmocka_unit_test(test_unknown_providers_need_no_json),
		cmocka_unit_test(test_key_out_of_range),
		cmocka_unit_test(test_null_key_makes_no_row),
		cmocka_unit_test(test_key_of_the_envelope_out_of_range),
		cmocka_unit_test(test_park_reason_leaves_the_envelope),
		cmocka_unit_test(test_form_bodies),
		cmocka_unit_test(test_catalog_refuses),
		cmocka_unit_test(test_catalog_replaces_and_hashes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
