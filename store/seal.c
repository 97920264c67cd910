/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/record.h"
#include "store/seal.h"

/* Records looked at in one read transaction; checking their checksums takes a millisecond or two. */
#define STEP_RECORDS 1024
#define STEP_BYTES ((size_t)16 << 20)

void
seal_add_dict(unsigned char dicts[SHA256_BYTES], const unsigned char dict_sha256[SHA256_BYTES])
{
	const struct bytes parts[] = { { dicts, SHA256_BYTES }, { dict_sha256, SHA256_BYTES } };
	unsigned char hash[SHA256_BYTES];
	crypto_sha256_parts(parts, COUNT_OF(parts), hash);
	memcpy(dicts, hash, SHA256_BYTES);
}

enum rc
seal_note_dict(struct seal_tree *t, struct segment *s, MDB_txn *txn, uint32_t id, struct err *e)
{
	const struct dict *d;
	if (id == 0)
		return RC_OK;
	for (size_t i = t->dict_count; i-- > 0;) {
		if (t->dict_ids[i] == id)
			return RC_OK;
	}
	if (t->dict_count == SEAL_DICTS_MAX)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"segment %" PRIu64 " names more than %d dictionaries", s->first_seq, SEAL_DICTS_MAX);
	enum rc rc = segment_dict(s, txn, id, &d, e);
	if (rc != RC_OK)
		return rc;
	crypto_sha256(dict_bytes(d), t->dict_hashes[t->dict_count]);
	seal_add_dict(t->dicts, t->dict_hashes[t->dict_count]);
	t->dict_ids[t->dict_count++] = id;
	return RC_OK;
}

/* Adds up to STEP_RECORDS records to t; at_us takes the times of the first and the last one. */
static enum rc
step(struct seal_tree *t, struct segment *s, uint64_t seq, struct tree_path *path, int64_t at_us[2],
	struct err *e)
{
	MDB_txn *txn;
	MDB_cursor *cursor = NULL;
	unsigned char key[8];
	struct record_header h;
	size_t bytes = 0;
	struct db_pages touched = DB_PAGES_NONE;
	enum rc rc = db_read_begin(s->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	int code = mdb_cursor_open(txn, s->events, &cursor);
	db_put_seq(key, t->next_seq);
	MDB_val k = { sizeof key, key }, v;
	MDB_cursor_op op = MDB_SET_KEY;
	for (size_t i = 0; code == 0 && rc == RC_OK && i < STEP_RECORDS && bytes < STEP_BYTES &&
		t->next_seq <= seq; i++, op = MDB_NEXT) {
		code = mdb_cursor_get(cursor, &k, &v, op);
		if (code != 0)
			break;
		if (k.mv_size != 8 || db_get_seq(k.mv_data) != t->next_seq)
			code = MDB_NOTFOUND;
		else
			rc = record_open(db_bytes(v), t->next_seq, &h, e);
		if (code == 0 && rc == RC_OK)
			rc = seal_note_dict(t, s, txn, h.dict_id, e);
		if (code != 0 || rc != RC_OK)
			break;
		if (t->next_seq == s->first_seq)
			at_us[0] = h.received_at_us;
		at_us[1] = h.received_at_us;
		tree_add(&t->tree, h.chain, path);
		memcpy(t->chain, h.chain, STORE_CHAIN_BYTES);
		db_touched(&touched, v);
		bytes += v.mv_size;
		t->next_seq++;
	}
	if (code == MDB_NOTFOUND)
		rc = err_set(e, RC_CORRUPT, "log.damaged", "record %" PRIu64 " is missing", t->next_seq);
	else if (code != 0)
		rc = db_err(e, code, "record %" PRIu64, t->next_seq);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	db_forget(&touched);
	return rc;
}

static enum rc
follow(struct seal_tree *t, struct segment *s, uint64_t seq, struct tree_path *path, int64_t at_us[2],
	seal_stop_fn stop, void *context, struct err *e)
{
	enum rc rc = RC_OK;
	if (t->first_seq != s->first_seq) {
		*t = (struct seal_tree){ .first_seq = s->first_seq, .next_seq = s->first_seq };
		memcpy(t->chain, s->prev_chain, STORE_CHAIN_BYTES);
	}
	while (rc == RC_OK && t->next_seq <= seq) {
		if (stop != NULL && stop(context))
			return err_set(e, RC_AGAIN, NULL, "stopped while reading segment %" PRIu64,
				s->first_seq);
		rc = step(t, s, seq, path, at_us, e);
	}
	return rc;
}

enum rc
seal_tree_follow(struct seal_tree *t, struct segment *s, uint64_t seq, struct tree_path *path,
	seal_stop_fn stop, void *context, struct err *e)
{
	int64_t at_us[2];
	return follow(t, s, seq, path, at_us, stop, context, e);
}

enum rc
seal_describe(struct segment *s, struct store_statement *st, seal_stop_fn stop, void *context,
	struct err *e)
{
	struct seal_tree t = { .first_seq = 0 };
	MDB_txn *txn;
	mdb_filehandle_t fd;
	uint64_t first, last;
	int64_t at_us[2] = { 0, 0 };
	enum rc rc = db_read_begin(s->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	rc = segment_range(s, txn, &first, &last, e);
	mdb_txn_abort(txn);
	if (rc == RC_OK && last == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "segment %" PRIu64 " is empty", s->first_seq);
	if (rc == RC_OK)
		rc = follow(&t, s, last, NULL, at_us, stop, context, e);
	if (rc != RC_OK)
		return rc;
	*st = (struct store_statement){ .kind = STORE_SEAL, .seq = last, .first_seq = first,
		.count = last - first + 1, .first_at_us = (uint64_t)at_us[0],
		.last_at_us = (uint64_t)at_us[1] };
	memcpy(st->chain, t.chain, STORE_CHAIN_BYTES);
	memcpy(st->dicts, t.dicts, sizeof st->dicts);
	tree_root(&t.tree, NULL, st->root);
	/* Through LMDB's own descriptor: a second one would count as opening the file twice. */
	mdb_env_get_fd(s->env, &fd);
	rc = crypto_sha256_fd(fd, st->file_sha256, &st->file_bytes, e);
	return rc == RC_OK ? RC_OK : err_wrap(e, "segment %" PRIu64, s->first_seq);
}

enum rc
seal_protect(const struct segment *s, struct err *e)
{
	struct stat st;
	mdb_filehandle_t fd;
	mdb_env_get_fd(s->env, &fd);
	if (fstat(fd, &st) != 0)
		return err_sys(e, RC_IO, NULL, errno, "stat segment %" PRIu64, s->first_seq);
	if ((st.st_mode & 0222) == 0)
		return RC_OK;
	/* Who may read it stays as it was. */
	if (fchmod(fd, st.st_mode & 0555) != 0)
		return err_sys(e, RC_IO, NULL, errno, "make segment %" PRIu64 " read-only", s->first_seq);
	if (fsync(fd) != 0)
		return err_sys(e, RC_IO, "log.failed", errno, "sync segment %" PRIu64, s->first_seq);
	return RC_OK;
}
