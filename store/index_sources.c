/* SPDX-License-Identifier: Apache-2.0 */
#include "base/xxh.h"
#include "store/index_sources.h"

#define KEY_BYTES 16
#define CHECK_BYTES 8
#define BITS_BYTES (SOURCES_BLOCK / 8)
/* A list has two bytes per member; from here on it would be longer than the bits. */
#define LIST_MAX (BITS_BYTES / 2 - 1)
#define VALUE_BYTES_MAX (BITS_BYTES + CHECK_BYTES)

uint64_t
source_tag(struct bytes name)
{
	return xxh3(name.data, name.len);
}

static void
put_member(struct source_set *set, unsigned place)
{
	set->words[place / 64] |= UINT64_C(1) << (place % 64);
}

unsigned
source_set_next(const struct source_set *set, unsigned place)
{
	for (unsigned word = place / 64; word < COUNT_OF(set->words); word++) {
		uint64_t bits = set->words[word];
		if (word == place / 64)
			bits &= ~UINT64_C(0) << (place % 64);
		if (bits != 0)
			return word * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return SOURCES_BLOCK;
}

static size_t
count_members(const struct source_set *set)
{
	size_t count = 0;
	for (size_t i = 0; i < COUNT_OF(set->words); i++)
		count += (size_t)__builtin_popcountll(set->words[i]);
	return count;
}

static void
make_key(unsigned char key[KEY_BYTES], uint64_t tag, uint64_t block)
{
	db_put_seq(key, tag);
	db_put_seq(key + 8, block);
}

/* The index has no checksums of its own, and what is missing here would not be read by anybody. */
static uint64_t
checksum(const unsigned char key[KEY_BYTES], const unsigned char *members, size_t len)
{
	return xxh3_seeded(members, len, xxh3(key, KEY_BYTES));
}

static size_t
encode(const unsigned char key[KEY_BYTES], const struct source_set *set,
	unsigned char value[VALUE_BYTES_MAX])
{
	size_t len = 0;
	if (count_members(set) > LIST_MAX) {
		for (size_t i = 0; i < COUNT_OF(set->words); i++, len += 8)
			db_put_seq(value + len, set->words[i]);
	} else {
		for (unsigned place = source_set_next(set, 0); place < SOURCES_BLOCK;
			place = source_set_next(set, place + 1)) {
			value[len++] = (unsigned char)(place >> 8);
			value[len++] = (unsigned char)place;
		}
	}
	db_put_seq(value + len, checksum(key, value, len));
	return len + CHECK_BYTES;
}

/* Adds the members to *set; false: damaged. */
static bool
decode(const unsigned char *key, MDB_val v, struct source_set *set)
{
	const unsigned char *value = v.mv_data;
	if (v.mv_size <= CHECK_BYTES || v.mv_size > VALUE_BYTES_MAX)
		return false;
	size_t len = v.mv_size - CHECK_BYTES;
	if (db_get_seq(value + len) != checksum(key, value, len))
		return false;
	if (len == BITS_BYTES) {
		for (size_t i = 0; i < COUNT_OF(set->words); i++)
			set->words[i] |= db_get_seq(value + 8 * i);
		return true;
	}
	for (size_t i = 0; i + 1 < len; i += 2) {
		unsigned place = (unsigned)value[i] << 8 | value[i + 1];
		if (place >= SOURCES_BLOCK)
			return false;
		put_member(set, place);
	}
	return len % 2 == 0;
}

bool
source_entry_decode(MDB_val key, MDB_val value, uint64_t *tag, uint64_t *block, struct source_set *set)
{
	*set = (struct source_set){ { 0 } };
	if (key.mv_size != KEY_BYTES || !decode(key.mv_data, value, set))
		return false;
	*tag = db_get_seq(key.mv_data);
	*block = db_get_seq((const unsigned char *)key.mv_data + 8);
	return true;
}

int
source_set_read(MDB_txn *txn, MDB_dbi sources, uint64_t tag, uint64_t block, struct source_set *set)
{
	unsigned char key[KEY_BYTES];
	make_key(key, tag, block);
	MDB_val k = { sizeof key, key }, v;
	int code = mdb_get(txn, sources, &k, &v);
	if (code == 0 && !decode(key, v, set))
		code = MDB_CORRUPTED;
	return code;
}

int
source_next_block(MDB_txn *txn, MDB_dbi sources, uint64_t tag, uint64_t *block)
{
	MDB_cursor *cursor = NULL;
	unsigned char key[KEY_BYTES];
	make_key(key, tag, *block);
	MDB_val k = { sizeof key, key }, v;
	int code = mdb_cursor_open(txn, sources, &cursor);
	if (code == 0)
		code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	if (code == 0 && k.mv_size != KEY_BYTES)
		code = MDB_CORRUPTED;
	if (code == 0 && db_get_seq(k.mv_data) != tag)
		code = MDB_NOTFOUND;
	if (code == 0)
		*block = db_get_seq((const unsigned char *)k.mv_data + 8);
	mdb_cursor_close(cursor);
	return code;
}

/* ---- the newest records ---- */

void
source_tail_free(struct source_tail *t)
{
	free(t->tags);
	*t = (struct source_tail){ 0 };
}

void
source_tail_add(struct source_tail *t, uint64_t seq, uint64_t tag)
{
	if (t->count == t->room) {
		t->room = t->room == 0 ? 1024 : t->room * 2;
		t->tags = base_realloc(t->tags, t->room * sizeof *t->tags);
	}
	if (t->count == 0)
		t->first_seq = seq;
	ASSERT(seq == t->first_seq + t->count);
	t->tags[t->count++] = tag;
}

struct tagged {
	uint64_t tag, seq;
};

static int
by_tag_and_seq(const void *a, const void *b)
{
	const struct tagged *x = a, *y = b;
	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int
add_to_block(MDB_txn *txn, MDB_dbi sources, uint64_t tag, uint64_t block, struct source_set *set)
{
	unsigned char key[KEY_BYTES], value[VALUE_BYTES_MAX];
	int code = source_set_read(txn, sources, tag, block, set);
	if (code != 0 && code != MDB_NOTFOUND)
		return code;
	make_key(key, tag, block);
	MDB_val k = { sizeof key, key }, v = { encode(key, set, value), value };
	return mdb_put(txn, sources, &k, &v, 0);
}

int
source_tail_write(const struct source_tail *t, size_t count, MDB_txn *txn, MDB_dbi sources)
{
	struct tagged *rows = base_alloc((count + 1) * sizeof *rows);
	int code = 0;
	for (size_t i = 0; i < count; i++)
		rows[i] = (struct tagged){ t->tags[i], t->first_seq + i };
	qsort(rows, count, sizeof *rows, by_tag_and_seq);
	for (size_t i = 0; code == 0 && i < count;) {
		struct source_set set = { { 0 } };
		uint64_t tag = rows[i].tag, block = rows[i].seq / SOURCES_BLOCK;
		for (; i < count && rows[i].tag == tag && rows[i].seq / SOURCES_BLOCK == block; i++)
			put_member(&set, (unsigned)(rows[i].seq % SOURCES_BLOCK));
		code = add_to_block(txn, sources, tag, block, &set);
	}
	free(rows);
	return code;
}
