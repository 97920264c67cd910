/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "store/dir.h"
#include "store/index.h"

struct index_view {
	MDB_env *env;
	MDB_dbi keys, meta;
	MDB_txn *txn;
};

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
	code = mdb_dbi_open(txn, INDEX_KEYS, 0, &v->keys);
	if (code == 0)
		code = mdb_dbi_open(txn, INDEX_META, 0, &v->meta);
	if (code == 0) {
		code = mdb_txn_commit(txn);
		txn = NULL;
	}
	if (code != 0)
		rc = db_err(e, code == MDB_NOTFOUND ? MDB_INVALID : code, "open %s", path);
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
	if (v->txn != NULL)
		mdb_txn_abort(v->txn);
	db_close(v->env);
	free(v);
}

enum rc
index_view_refresh(struct index_view *v, uint64_t *last_seq, struct err *e)
{
	if (v->txn != NULL)
		mdb_txn_abort(v->txn);
	v->txn = NULL;
	enum rc rc = db_read_begin(v->env, &v->txn, e);
	if (rc != RC_OK)
		return rc;
	MDB_val k = db_val(bytes_str(INDEX_META_LAST)), value;
	int code = mdb_get(v->txn, v->meta, &k, &value);
	if (code != 0 || value.mv_size != 8)
		return db_err(e, code == 0 || code == MDB_NOTFOUND ? MDB_INVALID : code,
			"read how far the index goes");
	*last_seq = db_get_seq(value.mv_data);
	return RC_OK;
}

static uint64_t
find(const struct index_view *v, const struct index_key *key, const struct event *ev)
{
	MDB_val k = { INDEX_KEY_BYTES, (void *)(uintptr_t)key->bytes }, value;
	if (mdb_get(v->txn, v->keys, &k, &value) != 0 || value.mv_size != 8 + SHA256_BYTES)
		return 0;
	const unsigned char *p = value.mv_data;
	return memcmp(p + 8, ev->body_sha256, SHA256_BYTES) == 0 ? db_get_seq(p) : 0;
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
	index_key_with_body(&key, ev->body_sha256, &second);
	return find(v, &second, ev);
}

enum rc
index_view_each(const struct index_view *v, index_entry_fn fn, void *context, struct err *e)
{
	MDB_cursor *cursor = NULL;
	MDB_val k, value;
	int code = mdb_cursor_open(v->txn, v->keys, &cursor);
	while (code == 0 && (code = mdb_cursor_get(cursor, &k, &value, MDB_NEXT)) == 0) {
		struct index_key key;
		struct index_entry entry;
		if (k.mv_size != INDEX_KEY_BYTES || value.mv_size != 8 + SHA256_BYTES) {
			code = MDB_CORRUPTED;
			break;
		}
		memcpy(key.bytes, k.mv_data, INDEX_KEY_BYTES);
		entry.seq = db_get_seq(value.mv_data);
		memcpy(entry.body_sha256, (const unsigned char *)value.mv_data + 8, SHA256_BYTES);
		fn(&key, &entry, context);
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? RC_OK : db_err(e, code, "read the dedupe index");
}
