/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/helper.h"

#include "store/index_levels.h"

/* The two trees of the index against a plain array: whatever was put and moved in whatever order, they answer as one. */

#define KEYS 600
#define STEPS 4000

struct model {
	bool there[KEYS];
	struct index_entry entries[KEYS];
};

struct test {
	char *dir;
	MDB_env *env;
	MDB_txn *txn;
	struct index_levels levels;
	struct model model;
	uint64_t noise;
};

static void
begin(struct test *t)
{
	char path[4096];
	struct err e;
	*t = (struct test){ .dir = helper_dir(), .noise = 1 };
	snprintf(path, sizeof path, "%s/index.mdb", t->dir);
	assert_int_equal(db_open(path, DB_WRITE, &t->env, &e), RC_OK);
	assert_int_equal(mdb_txn_begin(t->env, NULL, 0, &t->txn), 0);
	assert_int_equal(index_levels_open(t->txn, MDB_CREATE, &t->levels), 0);
}

static void
next_transaction(struct test *t)
{
	assert_int_equal(mdb_txn_commit(t->txn), 0);
	assert_int_equal(mdb_txn_begin(t->env, NULL, 0, &t->txn), 0);
}

static void
end(struct test *t)
{
	assert_int_equal(mdb_txn_commit(t->txn), 0);
	db_close(t->env);
	helper_remove(t->dir);
}

static unsigned
draw(struct test *t, unsigned below)
{
	t->noise = t->noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(t->noise >> 33) % below;
}

/* Keys in threes have one prefix; neighbours in number are far from each other in order. */
static struct index_key
key_of(unsigned n)
{
	struct index_key key = { { 0 } };
	unsigned prefix = n / 3 * 37 % 256;
	key.bytes[0] = (unsigned char)prefix;
	key.bytes[3] = (unsigned char)(n / 3);
	key.bytes[INDEX_PREFIX_BYTES] = (unsigned char)n;
	key.bytes[INDEX_PREFIX_BYTES + 1] = (unsigned char)(n >> 8);
	return key;
}

static void
put(struct test *t, unsigned n, uint64_t seq)
{
	struct index_key key = key_of(n);
	struct index_entry entry = { .seq = seq };
	memset(entry.body, (int)(seq % 251), sizeof entry.body);
	assert_int_equal(index_levels_put(t->txn, &t->levels, &key, &entry), 0);
	t->model.there[n] = true;
	t->model.entries[n] = entry;
}

struct seen {
	const struct model *model;
	struct index_key last;
	size_t count;
};

static void
see(const struct index_key *key, const struct index_entry *entry, void *context)
{
	struct seen *s = context;
	unsigned n = key->bytes[INDEX_PREFIX_BYTES] | (unsigned)key->bytes[INDEX_PREFIX_BYTES + 1] << 8;
	assert_true(n < KEYS && s->model->there[n]);
	assert_int_equal(s->model->entries[n].seq, entry->seq);
	assert_memory_equal(s->model->entries[n].body, entry->body, sizeof entry->body);
	if (s->count > 0)
		assert_true(memcmp(s->last.bytes, key->bytes, sizeof key->bytes) < 0);
	s->last = *key;
	s->count++;
}

static void
check_one(struct test *t, unsigned n)
{
	struct index_key key = key_of(n);
	struct index_entry entry;
	int code = index_levels_find(t->txn, &t->levels, &key, &entry);
	assert_int_equal(code, t->model.there[n] ? 0 : MDB_NOTFOUND);
	if (code == 0)
		assert_int_equal(entry.seq, t->model.entries[n].seq);
}

static void
check_all(struct test *t)
{
	struct seen all = { .model = &t->model };
	size_t want = 0;
	for (unsigned n = 0; n < KEYS; n++) {
		check_one(t, n);
		want += t->model.there[n];
	}
	assert_int_equal(index_levels_each(t->txn, &t->levels, (struct bytes){ 0 }, see, &all), 0);
	assert_int_equal(all.count, want);
	for (unsigned n = 0; n < KEYS; n += 3) {
		struct index_key key = key_of(n);
		struct seen some = { .model = &t->model };
		assert_int_equal(index_levels_each(t->txn, &t->levels, (struct bytes){ key.bytes, INDEX_PREFIX_BYTES }, see,
					 &some),
			0);
		assert_int_equal(some.count, t->model.there[n] + t->model.there[n + 1] + t->model.there[n + 2]);
	}
}

/* Puts, puts again with another number, and moves of every size. */
static void
two_trees_answer_as_one(void **state)
{
	(void)state;
	struct test t;
	struct index_key from = { { 0 } };
	begin(&t);
	check_all(&t);
	for (unsigned step = 1; step <= STEPS; step++) {
		if (draw(&t, 8) == 0)
			assert_int_equal(index_levels_move(t.txn, &t.levels, &from, draw(&t, 20)), 0);
		else
			put(&t, draw(&t, KEYS), step);
		check_one(&t, draw(&t, KEYS));
		if (step % 97 == 0)
			next_transaction(&t);
		if (step % 500 == 0)
			check_all(&t);
	}
	end(&t);
}

/* The number below `count` whose key is the last one in order. */
static unsigned
largest(unsigned count)
{
	unsigned found = 0;
	for (unsigned n = 1; n < count; n++) {
		struct index_key a = key_of(found), b = key_of(n);
		found = memcmp(a.bytes, b.bytes, sizeof a.bytes) < 0 ? n : found;
	}
	return found;
}

/* A move takes exactly so many, goes on where the last one ended, and begins again at the first key. */
static void
moving_goes_round(void **state)
{
	(void)state;
	struct test t;
	struct index_key from = { { 0 } };
	size_t recent, keys;
	begin(&t);
	for (unsigned n = 0; n < 90; n++)
		put(&t, n, n + 1);
	for (size_t moved = 40; moved <= 80; moved += 40) {
		assert_int_equal(index_levels_move(t.txn, &t.levels, &from, 40), 0);
		assert_int_equal(index_levels_count(t.txn, &t.levels, &recent, &keys), 0);
		assert_int_equal(recent, 90 - moved);
		assert_int_equal(keys, moved);
	}
	/* The smallest key comes back: it is behind, so that the ten that are left go first. */
	put(&t, 0, 1000);
	assert_int_equal(index_levels_move(t.txn, &t.levels, &from, 10), 0);
	assert_int_equal(index_levels_count(t.txn, &t.levels, &recent, &keys), 0);
	assert_int_equal(recent, 1);
	assert_int_equal(keys, 90);
	check_all(&t); /* where both have a key, the small tree is right */
	/* The largest key is where the last move ended; the smallest is what comes next in the round. */
	put(&t, largest(90), 1001);
	assert_int_equal(index_levels_move(t.txn, &t.levels, &from, 1), 0);
	struct index_key first = key_of(0);
	MDB_val k = { sizeof first.bytes, first.bytes }, v;
	assert_int_equal(mdb_get(t.txn, t.levels.recent, &k, &v), MDB_NOTFOUND);
	assert_int_equal(index_levels_move(t.txn, &t.levels, &from, 10), 0);
	assert_int_equal(index_levels_count(t.txn, &t.levels, &recent, &keys), 0);
	assert_int_equal(recent, 0);
	assert_int_equal(keys, 90);
	check_all(&t);
	/* With nothing to move nothing is moved. */
	assert_int_equal(index_levels_move(t.txn, &t.levels, &from, 10), 0);
	check_all(&t);
	end(&t);
}

static void
what_is_no_entry_is_damage(void **state)
{
	(void)state;
	struct test t;
	struct index_key key = key_of(7), from = { { 0 } };
	struct index_entry entry;
	begin(&t);
	put(&t, 1, 1);
	MDB_val k = { sizeof key.bytes, key.bytes }, v = { 3, key.bytes };
	assert_int_equal(mdb_put(t.txn, t.levels.recent, &k, &v, 0), 0);
	struct seen seen = { .model = &t.model };
	assert_int_equal(index_levels_find(t.txn, &t.levels, &key, &entry), MDB_CORRUPTED);
	assert_int_equal(index_levels_each(t.txn, &t.levels, (struct bytes){ 0 }, see, &seen), MDB_CORRUPTED);
	assert_int_equal(index_levels_move(t.txn, &t.levels, &from, 10), MDB_CORRUPTED);
	end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_trees_answer_as_one),
		cmocka_unit_test(moving_goes_round),
		cmocka_unit_test(what_is_no_entry_is_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
