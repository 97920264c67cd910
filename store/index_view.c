/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "store/dir.h"
#include "store/index_view.h"

struct index_view {
	MDB_env *env;
	struct index_levels levels;
	MDB_dbi sources, meta;
	MDB_txn *txn;
	/* What index_view_has_source looked at last. */
	bool set_known;
	uint64_t set_tag, set_block;
	struct source_set set;
};

bool
index_fits(struct store_reader *r, const struct index_cover *cover)
{
	const struct store_record *records;
	size_t count;
	struct err e;
	struct arena *a = arena_new(4096);
	bool fits = cover->last_seq == 0 ||
		store_read(r, cover->last_seq, 1, 1, a, &records, &count, &e) != RC_OK ||
		(count == 1 && memcmp(records[0].chain, cover->chain, STORE_CHAIN_BYTES) == 0);
	arena_free(a);
	return fits;
}

/* An index of another version is as good as none. */
static int
open_databases(struct index_view *v, MDB_txn *txn)
{
	MDB_val k = db_val(bytes_str(INDEX_META_FORMAT)), format;
	int code = mdb_dbi_open(txn, INDEX_META, 0, &v->meta);
	if (code == 0)
		code = mdb_get(txn, v->meta, &k, &format);
	if (code == 0 && !bytes_is(db_bytes(format), INDEX_FORMAT))
		return MDB_NOTFOUND;
	if (code == 0)
		code = index_levels_open(txn, 0, &v->levels);
	if (code == 0)
		code = mdb_dbi_open(txn, INDEX_SOURCES, 0, &v->sources);
	return code == MDB_NOTFOUND ? MDB_INVALID : code;
}

enum rc
index_view_open(struct index_view **out, const char *dir, struct err *e)
{
	char *path = dir_path(dir, "index.mdb");
	MDB_txn *txn = NULL;
	enum rc rc;
	int code;
	struct index_view *v = base_zalloc(sizeof *v);
	*out = NULL;
	if (!fs_exists(path)) {
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no %s", path);
		goto done;
	}
	rc = db_open(path, DB_READ, &v->env, e);
	if (rc == RC_OK)
		rc = db_read_begin(v->env, &txn, e);
	if (rc != RC_OK)
		goto done;
	code = open_databases(v, txn);
	if (code == 0) {
		code = mdb_txn_commit(txn);
		txn = NULL;
	}
	if (code == MDB_NOTFOUND)
		rc = err_set(e, RC_NOTFOUND, NULL, "%s is of another version", path);
	else if (code != 0)
		rc = db_err(e, code, "open %s", path);
done:
	if (txn != NULL)
		mdb_txn_abort(txn);
	free(path);
	if (rc == RC_OK)
		*out = v;
	else
		index_view_close(v);
	return rc;
}

void
index_view_close(struct index_view *v)
{
	if (v == NULL)
		return;
	index_view_rest(v);
	db_close(v->env);
	free(v);
}

enum rc
index_view_refresh(struct index_view *v, struct index_cover *cover, struct err *e)
{
	index_view_rest(v);
	enum rc rc = db_read_begin(v->env, &v->txn, e);
	if (rc == RC_OK && !index_read_cover(v->txn, v->meta, cover))
		rc = db_err(e, MDB_INVALID, "read how far the index goes");
	return rc;
}

void
index_view_rest(struct index_view *v)
{
	if (v->txn != NULL)
		mdb_txn_abort(v->txn);
	v->txn = NULL;
	v->set_known = false;
}

static uint64_t
find(const struct index_view *v, const struct index_key *key, const struct event *ev)
{
	struct index_entry entry;
	if (index_levels_find(v->txn, &v->levels, key, &entry) != 0)
		return 0;
	return index_is_body(&entry, ev->body_xxh128) ? entry.seq : 0;
}

uint64_t
index_view_find(const struct index_view *v, const struct event *ev)
{
	struct index_key key, second;
	if (!index_key_of(ev, &key))
		return 0;
	uint64_t seq = find(v, &key, ev);
	if (seq != 0)
		return seq;
	index_key_with_body(&key, ev->body_xxh128, &second);
	return find(v, &second, ev);
}

enum rc
index_view_each(const struct index_view *v, index_entry_fn fn, void *context, struct err *e)
{
	int code = index_levels_each(v->txn, &v->levels, (struct bytes){ 0 }, fn, context);
	return code == 0 ? RC_OK : db_err(e, code, "read the dedupe index");
}

struct seqs {
	index_seq_fn fn;
	void *context;
};

static void
give_seq(const struct index_key *key, const struct index_entry *entry, void *context)
{
	const struct seqs *to = context;
	(void)key;
	to->fn(entry->seq, to->context);
}

enum rc
index_view_deliveries(const struct index_view *v, struct bytes delivery, index_seq_fn fn, void *context,
	struct err *e)
{
	unsigned char prefix[INDEX_PREFIX_BYTES];
	struct seqs to = { fn, context };
	index_prefix(delivery, prefix);
	int code = index_levels_each(v->txn, &v->levels, (struct bytes){ prefix, sizeof prefix }, give_seq, &to);
	return code == 0 ? RC_OK : db_err(e, code, "look for a delivery in the index");
}

enum rc
index_view_each_source(const struct index_view *v, index_set_fn fn, void *context, struct err *e)
{
	MDB_cursor *cursor = NULL;
	MDB_val k, value;
	int code = mdb_cursor_open(v->txn, v->sources, &cursor);
	while (code == 0 && (code = mdb_cursor_get(cursor, &k, &value, MDB_NEXT)) == 0) {
		struct source_set set;
		uint64_t tag, block;
		if (!source_entry_decode(k, value, &tag, &block, &set))
			code = MDB_CORRUPTED;
		else
			fn(tag, block, &set, context);
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? RC_OK : db_err(e, code, "read the index of sources");
}

bool
index_view_has_source(struct index_view *v, const struct event *ev)
{
	uint64_t tag = source_tag(ev->source), block = ev->seq / SOURCES_BLOCK;
	unsigned place = (unsigned)(ev->seq % SOURCES_BLOCK);
	if (!v->set_known || v->set_tag != tag || v->set_block != block) {
		v->set = (struct source_set){ { 0 } };
		v->set_tag = tag;
		v->set_block = block;
		/* What cannot be read does not have it. */
		v->set_known = source_set_read(v->txn, v->sources, tag, block, &v->set) == 0;
	}
	return v->set_known && source_set_next(&v->set, place) == place;
}

enum rc
index_view_source(const struct index_view *v, uint64_t tag, uint64_t block, struct source_set *set,
	struct err *e)
{
	int code = source_set_read(v->txn, v->sources, tag, block, set);
	return code == 0 || code == MDB_NOTFOUND ? RC_OK : db_err(e, code, "read the index of sources");
}

enum rc
index_view_next_block(const struct index_view *v, uint64_t tag, uint64_t *block, struct err *e)
{
	int code = source_next_block(v->txn, v->sources, tag, block);
	return code == 0 ? RC_OK : db_err(e, code, "read the index of sources");
}
