/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/index_file.h"

/* The small level keeps one in so many of all deliveries, and not more than so many: a small part of the file, which is
 * written in far fewer pages than deliveries. Moving goes round the keys, so that where it arrives up to twice as many of a
 * whole round have gathered: with ten million stored, ten for each page of the large level. */
#define RECENT_SHARE 8
#define RECENT_KEYS_MAX ((size_t)1 << 20)
/* Keys one transaction adds. In a very large index each lies on a page of its own, which LMDB copies and keeps in
 * memory until the commit, and after it for the next one. */
#define TXN_KEYS 4096

void
index_tail_free(struct index_tail *t)
{
	keytab_free(&t->keys);
	source_tail_free(&t->sources);
	t->committed_keys = t->committed_records = 0;
}

/* ---- opening ---- */

static int
open_databases(struct index_file *f, MDB_txn *txn, struct index_cover *cover)
{
	int code = index_levels_open(txn, MDB_CREATE, &f->levels);
	if (code == 0)
		code = mdb_dbi_open(txn, INDEX_SOURCES, MDB_CREATE, &f->sources);
	if (code == 0)
		code = mdb_dbi_open(txn, INDEX_META, MDB_CREATE, &f->meta);
	if (code == 0 && !index_read_cover(txn, f->meta, cover)) {
		*cover = (struct index_cover){ .first_seq = 1 };
		code = index_put_meta(txn, f->meta, INDEX_META_FORMAT, bytes_str(INDEX_FORMAT));
	}
	if (code == 0)
		code = index_put_meta(txn, f->meta, INDEX_META_LOG_ID, (struct bytes){ f->log_id, STORE_LOG_ID_BYTES });
	return code == 0 ? index_put_cover(txn, f->meta, cover, false) : code;
}

enum rc
index_file_open(struct index_file *f, struct index_cover *cover, size_t *keys, struct err *e)
{
	MDB_txn *txn = NULL;
	size_t recent = 0;
	enum rc rc = db_open(f->path, DB_WRITE, &f->env, e);
	if (rc != RC_OK)
		return rc;
	f->map = db_map_of(f->env);
	int code = mdb_txn_begin(f->env, NULL, 0, &txn);
	if (code == 0)
		code = open_databases(f, txn, cover);
	if (code == 0)
		code = index_levels_count(txn, &f->levels, &recent, keys);
	*keys += recent;
	if (code == 0)
		code = mdb_txn_commit(txn);
	else if (txn != NULL)
		mdb_txn_abort(txn);
	return code == 0 ? RC_OK : db_err(e, code, "open %s", f->path);
}

void
index_file_close(struct index_file *f)
{
	db_close(f->env);
	f->env = NULL;
}

void
index_file_remove(const struct index_file *f)
{
	struct err e;
	char *dir = base_strdup(f->path);
	*strrchr(dir, '/') = '\0';
	char *lock = dir_path(dir, "index.mdb-lock");
	unlink(f->path);
	unlink(lock);
	if (fs_sync_dir(dir, &e) != RC_OK)
		log_err("log.index", &e);
	free(lock);
	free(dir);
}

void
index_file_forget(const struct index_file *f)
{
	db_forget(&f->map);
}

/* ---- reading ---- */

enum rc
index_file_find(const struct index_file *f, const struct index_key *key, struct index_entry *entry, struct err *e)
{
	MDB_txn *txn;
	enum rc rc = db_read_begin(f->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	int code = index_levels_find(txn, &f->levels, key, entry);
	if (code == MDB_NOTFOUND)
		rc = RC_NOTFOUND; /* the usual case, not worth a text */
	else if (code != 0)
		rc = db_err(e, code, "look up a delivery in %s", f->path);
	mdb_txn_abort(txn);
	return rc;
}

enum rc
index_file_each(const struct index_file *f, unsigned char first, index_entry_fn fn, void *context,
	struct err *e)
{
	MDB_txn *txn;
	enum rc rc = db_read_begin(f->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	int code = index_levels_each(txn, &f->levels, (struct bytes){ &first, 1 }, fn, context);
	mdb_txn_abort(txn);
	return code == 0 ? RC_OK : db_err(e, code, "read %s", f->path);
}

/* ---- writing ---- */

static enum rc
write_err(const struct index_file *f, int code, struct err *e)
{
	if (code == 0)
		return RC_OK;
	if (db_means_full(f->env, f->path, code, 0))
		return err_set(e, RC_FULL, "disk-full", "write %s: %s; make room, it goes on by itself", f->path,
			mdb_strerror(code == EIO ? ENOSPC : code));
	return err_set(e, RC_IO, "log.index",
		"write %s: %s; nothing more is accepted until a restart, which makes the index anew", f->path,
		mdb_strerror(code));
}

/* A row of the tail, by the first bytes of its key; LMDB takes equal ones in whatever order. */
struct ordered {
	uint32_t prefix, row;
};

static int
by_prefix(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	return (x->prefix > y->prefix) - (x->prefix < y->prefix);
}

/* Neighbours share pages. */
static struct ordered *
order(const struct keytab_row *rows, size_t count)
{
	struct ordered *all = base_alloc((count + 1) * sizeof *all);
	for (size_t i = 0; i < count; i++)
		all[i] = (struct ordered){ index_prefix_number(&rows[i].key), (uint32_t)i };
	qsort(all, count, sizeof *all, by_prefix);
	return all;
}

static int
put_keys(const struct index_file *f, MDB_txn *txn, const struct keytab_row *rows, const struct ordered *from,
	size_t count)
{
	int code = 0;
	for (size_t i = 0; code == 0 && i < count; i++) {
		const struct keytab_row *row = &rows[from[i].row];
		code = index_levels_put(txn, &f->levels, &row->key, &row->entry);
	}
	return code;
}

enum rc
index_file_write(struct index_file *f, const struct index_tail *t, bool clean, struct err *e)
{
	size_t count = t->committed_keys, done = 0;
	struct ordered *ordered = order(t->keys.rows, count);
	int code;
	do {
		MDB_txn *txn = NULL;
		size_t n = count - done < TXN_KEYS ? count - done : TXN_KEYS;
		code = mdb_txn_begin(f->env, NULL, 0, &txn);
		if (code == 0)
			code = put_keys(f, txn, t->keys.rows, ordered + done, n);
		done += n;
		if (code == 0 && done == count)
			code = source_tail_write(&t->sources, t->committed_records, txn, f->sources);
		if (code == 0 && done == count)
			code = index_put_cover(txn, f->meta, &t->cover, clean);
		if (code == 0)
			code = mdb_txn_commit(txn);
		else if (txn != NULL)
			mdb_txn_abort(txn);
	} while (code == 0 && done < count);
	index_file_forget(f);
	free(ordered);
	return write_err(f, code, e);
}

/* How many of the small level's are too many. */
static size_t
too_many(size_t recent, size_t keys)
{
	size_t room = (recent + keys) / RECENT_SHARE;
	if (room > RECENT_KEYS_MAX)
		room = RECENT_KEYS_MAX;
	return recent > room ? recent - room : 0;
}

enum rc
index_file_settle(struct index_file *f, struct err *e)
{
	size_t recent, keys, excess = 0;
	int code;
	do {
		MDB_txn *txn = NULL;
		code = mdb_txn_begin(f->env, NULL, 0, &txn);
		if (code == 0)
			code = index_levels_count(txn, &f->levels, &recent, &keys);
		if (code == 0)
			excess = too_many(recent, keys);
		if (code == 0 && excess > 0)
			code = index_levels_move(txn, &f->levels, &f->move_from, excess < TXN_KEYS ? excess : TXN_KEYS);
		if (code == 0)
			code = mdb_txn_commit(txn); /* of nothing, when nothing was moved */
		else if (txn != NULL)
			mdb_txn_abort(txn);
	} while (code == 0 && excess > TXN_KEYS);
	index_file_forget(f);
	return write_err(f, code, e);
}
