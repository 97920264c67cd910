/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index_levels.h"

int
index_levels_open(MDB_txn *txn, unsigned flags, struct index_levels *l)
{
	int code = mdb_dbi_open(txn, INDEX_RECENT, flags, &l->recent);
	return code == 0 ? mdb_dbi_open(txn, INDEX_KEYS, flags, &l->keys) : code;
}

static MDB_val
key_val(const struct index_key *key)
{
	return (MDB_val){ INDEX_KEY_BYTES, (void *)(uintptr_t)key->bytes };
}

static int
decode(MDB_val value, struct index_entry *entry)
{
	if (value.mv_size != INDEX_VALUE_BYTES)
		return MDB_CORRUPTED;
	entry->seq = db_get_seq(value.mv_data);
	memcpy(entry->body, (const unsigned char *)value.mv_data + 8, INDEX_BODY_BYTES);
	return 0;
}

int
index_levels_find(MDB_txn *txn, const struct index_levels *l, const struct index_key *key,
	struct index_entry *entry)
{
	MDB_val k = key_val(key), v;
	int code = mdb_get(txn, l->recent, &k, &v);
	if (code == MDB_NOTFOUND)
		code = mdb_get(txn, l->keys, &k, &v);
	return code == 0 ? decode(v, entry) : code;
}

int
index_levels_put(MDB_txn *txn, const struct index_levels *l, const struct index_key *key,
	const struct index_entry *entry)
{
	unsigned char value[INDEX_VALUE_BYTES];
	db_put_seq(value, entry->seq);
	memcpy(value + 8, entry->body, INDEX_BODY_BYTES);
	MDB_val k = key_val(key), v = { sizeof value, value };
	return mdb_put(txn, l->recent, &k, &v, 0);
}

int
index_levels_count(MDB_txn *txn, const struct index_levels *l, size_t *recent, size_t *keys)
{
	MDB_stat stat = { 0 };
	int code = mdb_stat(txn, l->recent, &stat);
	*recent = stat.ms_entries;
	if (code == 0)
		code = mdb_stat(txn, l->keys, &stat);
	*keys = stat.ms_entries;
	return code;
}

/* What is moved in one go, copied: changing one tree may move pages of the other. */
struct moved {
	struct index_key key;
	unsigned char value[INDEX_VALUE_BYTES];
};

/* Copies up to *count entries and says how many; *from is then the key behind them, or the first there can be. */
static int
copy_recent(MDB_txn *txn, const struct index_levels *l, struct index_key *from, struct moved *to, size_t *count)
{
	MDB_cursor *cursor = NULL;
	MDB_val k = key_val(from), v;
	size_t n = 0;
	int code = mdb_cursor_open(txn, l->recent, &cursor);
	if (code == 0)
		code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	if (code == MDB_NOTFOUND)
		code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
	for (; code == 0; code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size != INDEX_KEY_BYTES || v.mv_size != INDEX_VALUE_BYTES)
			code = MDB_CORRUPTED;
		if (code != 0 || n == *count)
			break;
		memcpy(to[n].key.bytes, k.mv_data, k.mv_size);
		memcpy(to[n++].value, v.mv_data, v.mv_size);
	}
	if (code == 0)
		memcpy(from->bytes, k.mv_data, k.mv_size);
	else if (code == MDB_NOTFOUND)
		*from = (struct index_key){ { 0 } };
	mdb_cursor_close(cursor);
	*count = n;
	return code == MDB_NOTFOUND ? 0 : code;
}

int
index_levels_move(MDB_txn *txn, const struct index_levels *l, struct index_key *from, size_t count)
{
	struct moved *moved = base_alloc((count + 1) * sizeof *moved);
	int code = copy_recent(txn, l, from, moved, &count);
	for (size_t i = 0; code == 0 && i < count; i++) {
		MDB_val k = key_val(&moved[i].key), v = { sizeof moved[i].value, moved[i].value };
		code = mdb_put(txn, l->keys, &k, &v, 0);
		if (code == 0)
			code = mdb_del(txn, l->recent, &k, NULL);
	}
	free(moved);
	return code;
}

/* ---- both as one ---- */

/* A tree on the way through it; code is MDB_NOTFOUND behind the last key with the prefix. */
struct walk {
	MDB_cursor *cursor;
	MDB_val k, v;
	int code;
};

static void
step(struct walk *w, MDB_cursor_op op, struct bytes prefix)
{
	w->code = mdb_cursor_get(w->cursor, &w->k, &w->v, op);
	if (w->code == 0 && w->k.mv_size != INDEX_KEY_BYTES)
		w->code = MDB_CORRUPTED;
	else if (w->code == 0 && prefix.len > 0 && memcmp(w->k.mv_data, prefix.data, prefix.len) != 0)
		w->code = MDB_NOTFOUND;
}

static void
start(struct walk *w, MDB_txn *txn, MDB_dbi tree, struct bytes prefix)
{
	*w = (struct walk){ .k = db_val(prefix) };
	w->code = mdb_cursor_open(txn, tree, &w->cursor);
	if (w->code == 0)
		step(w, prefix.len > 0 ? MDB_SET_RANGE : MDB_FIRST, prefix);
}

static bool
failed(const struct walk *w)
{
	return w->code != 0 && w->code != MDB_NOTFOUND;
}

int
index_levels_each(MDB_txn *txn, const struct index_levels *l, struct bytes prefix, index_entry_fn fn,
	void *context)
{
	struct walk recent, keys;
	int code = 0;
	start(&recent, txn, l->recent, prefix);
	start(&keys, txn, l->keys, prefix);
	while (code == 0 && !failed(&recent) && !failed(&keys) && (recent.code == 0 || keys.code == 0)) {
		struct index_key key;
		struct index_entry entry;
		int order = recent.code != 0 ? 1
			: keys.code != 0     ? -1
					     : memcmp(recent.k.mv_data, keys.k.mv_data, INDEX_KEY_BYTES);
		const struct walk *first = order <= 0 ? &recent : &keys;
		memcpy(key.bytes, first->k.mv_data, sizeof key.bytes);
		code = decode(first->v, &entry);
		if (code == 0)
			fn(&key, &entry, context);
		if (order <= 0)
			step(&recent, MDB_NEXT, prefix);
		if (order >= 0)
			step(&keys, MDB_NEXT, prefix);
	}
	if (code == 0)
		code = failed(&recent) ? recent.code : failed(&keys) ? keys.code : 0;
	mdb_cursor_close(recent.cursor);
	mdb_cursor_close(keys.cursor);
	return code;
}
