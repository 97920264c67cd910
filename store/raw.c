/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "store/dir.h"
#include "store/raw.h"

/* ---- reading ---- */

/* Copies the records of one segment; *b is filled but for records and count. */
static enum rc
copy_records(struct segment *s, MDB_txn *txn, uint64_t seq, uint64_t last, size_t max_bytes,
	struct arena *a, struct raw_batch *b, struct err *e)
{
	const size_t most = LIMIT_COMMIT_EVENTS;
	enum rc rc = RC_OK;
	size_t start = arena_used_bytes(a);
	uint64_t end = last < b->segment_last ? last : b->segment_last;
	size_t room = seq > end ? 0 : end - seq < most ? (size_t)(end - seq + 1) : most;
	struct raw_record *records = arena_alloc(a, (room + 1) * sizeof *records);
	while (rc == RC_OK && b->count < room &&
		(b->count == 0 || arena_used_bytes(a) - start < max_bytes)) {
		struct raw_record *record = &records[b->count];
		struct bytes bytes;
		record->seq = seq + b->count;
		rc = segment_get(s, txn, record->seq, &bytes, e);
		if (rc == RC_NOTFOUND)
			rc = err_set(e, RC_CORRUPT, "log.damaged", "record %" PRIu64 " is missing",
				record->seq);
		if (rc == RC_OK)
			rc = record_open(bytes, record->seq, &record->header, e);
		if (rc != RC_OK)
			break;
		record->bytes = arena_copy(a, bytes);
		b->count++;
	}
	b->records = records;
	return rc;
}

enum rc
raw_read(struct store_reader *r, uint64_t seq, uint64_t last, size_t max_bytes, struct arena *a,
	struct raw_batch *b, struct err *e)
{
	/* Twice at most: a segment may be removed under us, and a new one may have been begun. */
	for (int attempt = 0;; attempt++) {
		size_t index;
		struct segment *s;
		MDB_txn *txn;
		uint64_t first;
		*b = (struct raw_batch){ 0 };
		enum rc rc = reader_locate(r, seq, &index, e);
		if (rc != RC_OK || r->count == 0)
			return rc;
		if (index == r->count)
			return err_set(e, RC_NOTFOUND, "log.removed",
				"record %" PRIu64
				" is not held any more; the log starts with %" PRIu64,
				seq, r->firsts[0]);
		rc = reader_enter(r, index, &s, &txn, e);
		if (rc == RC_NOTFOUND && attempt < 2) {
			rc = reader_refresh(r, e);
			if (rc != RC_OK)
				return rc;
			continue;
		}
		if (rc != RC_OK)
			return rc;
		b->segment_first = s->first_seq;
		b->sealed = index + 1 < r->count;
		memcpy(b->prev_chain, s->prev_chain, STORE_CHAIN_BYTES);
		rc = segment_range(s, txn, &first, &b->segment_last, e);
		if (rc == RC_OK)
			rc = copy_records(s, txn, seq, last, max_bytes, a, b, e);
		reader_leave(s, txn);
		if (rc != RC_OK || b->count > 0 || seq > last || attempt == 2)
			return rc;
		rc = reader_refresh(r, e);
		if (rc != RC_OK)
			return rc;
	}
}

static bool
follows_from_place(struct bytes key)
{
	return bytes_is(key, "log_id") || bytes_is(key, "first_seq") || bytes_is(key, "prev_chain");
}

enum rc
raw_read_meta(struct store_reader *r, uint64_t segment_first, struct arena *a,
	const struct raw_meta **entries, size_t *count, struct err *e)
{
	struct segment *s;
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	MDB_stat stat;
	enum rc rc = segment_acquire(r->set, segment_first, &s, e);
	if (rc != RC_OK)
		return rc;
	*count = 0;
	rc = segment_begin(s, &txn, e);
	if (rc != RC_OK)
		goto done;
	int code = mdb_stat(txn, s->meta, &stat);
	if (code == 0)
		code = mdb_cursor_open(txn, s->meta, &cursor);
	if (code != 0) {
		rc = db_err(e, code, "segment %" PRIu64, segment_first);
		goto done;
	}
	struct raw_meta *found = arena_alloc(a, (stat.ms_entries + 1) * sizeof *found);
	while (*count < stat.ms_entries && (code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		if (follows_from_place(db_bytes(k)))
			continue;
		found[*count].key = arena_copy(a, db_bytes(k));
		found[(*count)++].value = arena_copy(a, db_bytes(v));
	}
	*entries = found;
	if (code != 0 && code != MDB_NOTFOUND)
		rc = db_err(e, code, "segment %" PRIu64, segment_first);
done:
	mdb_cursor_close(cursor);
	reader_leave(s, txn);
	return rc;
}

static enum rc
check_records(struct segment *s, MDB_txn *txn, uint64_t first, uint64_t last,
	unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	uint64_t held_first, held_last;
	enum rc rc = segment_range(s, txn, &held_first, &held_last, e);
	if (rc == RC_OK && (held_first != first || held_last != last))
		rc = err_set(e, RC_CORRUPT, "log.backup-damaged", "it holds other events");
	memcpy(chain, s->prev_chain, STORE_CHAIN_BYTES);
	for (uint64_t seq = first; rc == RC_OK && seq <= last; seq++) {
		struct bytes record;
		struct record_header h;
		rc = segment_get(s, txn, seq, &record, e);
		if (rc == RC_OK)
			rc = record_open(record, seq, &h, e);
		if (rc == RC_OK && !record_chain_fits(record, chain))
			rc = err_set(e, RC_CORRUPT, "log.damaged", "the chain is broken at event %" PRIu64, seq);
		if (rc == RC_OK)
			memcpy(chain, h.chain, STORE_CHAIN_BYTES);
	}
	return rc;
}

enum rc
raw_check_frozen(const char *dir, const char *file, const unsigned char log_id[STORE_LOG_ID_BYTES],
	uint64_t first, uint64_t last, unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	struct segment *s;
	MDB_txn *txn = NULL;
	char *path = dir_path(dir, file);
	enum rc rc = segment_open(path, DB_FROZEN, log_id, first, &s, e);
	if (rc == RC_OK)
		rc = db_read_begin(s->env, &txn, e);
	if (rc == RC_OK)
		rc = check_records(s, txn, first, last, chain, e);
	if (txn != NULL)
		mdb_txn_abort(txn);
	segment_close(s);
	free(path);
	return rc;
}

/* ---- making ---- */

struct raw_build {
	char *path;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi events, meta;
	size_t count, bytes; /* in the transaction */
};

static enum rc
begin(struct raw_build *b, struct err *e)
{
	int code = mdb_txn_begin(b->env, NULL, 0, &b->txn);
	if (code == 0)
		code = mdb_dbi_open(b->txn, "events", 0, &b->events);
	if (code == 0)
		code = mdb_dbi_open(b->txn, "meta", 0, &b->meta);
	b->count = b->bytes = 0;
	return code == 0 ? RC_OK : db_err(e, code, "write %s", b->path);
}

/* Goes on with the file of a segment, which is there. */
static enum rc
open_build(struct raw_build **out, const char *dir, uint64_t first_seq, struct err *e)
{
	char name[DIR_NAME_BYTES];
	struct raw_build *b = base_zalloc(sizeof *b);
	dir_segment_name(first_seq, name);
	b->path = dir_path(dir, name);
	enum rc rc = db_open(b->path, DB_WRITE, &b->env, e);
	if (rc == RC_OK)
		rc = begin(b, e);
	if (rc != RC_OK) {
		raw_build_free(b);
		b = NULL;
	}
	*out = b;
	return rc;
}

enum rc
raw_build_new(struct raw_build **b, const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES],
	uint64_t first_seq, const unsigned char prev_chain[STORE_CHAIN_BYTES], struct err *e)
{
	char name[DIR_NAME_BYTES];
	dir_segment_name(first_seq, name);
	char *path = dir_path(dir, name);
	*b = NULL;
	unlink(path);
	free(path);
	enum rc rc = segment_make(dir, log_id, first_seq, prev_chain, e);
	return rc == RC_OK ? open_build(b, dir, first_seq, e) : rc;
}

static enum rc
commit(struct raw_build *b, struct err *e)
{
	int code = mdb_txn_commit(b->txn);
	b->txn = NULL;
	return code == 0 ? RC_OK : db_err(e, code, "write %s", b->path);
}

enum rc
raw_build_meta(struct raw_build *b, struct bytes key, struct bytes value, struct err *e)
{
	MDB_val k = db_val(key), v = db_val(value);
	int code = mdb_put(b->txn, b->meta, &k, &v, 0);
	return code == 0 ? RC_OK : db_err(e, code, "write %s", b->path);
}

enum rc
raw_build_record(struct raw_build *b, uint64_t seq, struct bytes record, struct err *e)
{
	unsigned char key[8];
	db_put_seq(key, seq);
	if (b->count >= LIMIT_COMMIT_EVENTS || b->bytes >= LIMIT_COMMIT_BYTES) {
		enum rc rc = commit(b, e);
		if (rc == RC_OK)
			rc = begin(b, e);
		if (rc != RC_OK)
			return rc;
	}
	MDB_val k = { sizeof key, key }, v = db_val(record);
	int code = mdb_put(b->txn, b->events, &k, &v, MDB_APPEND);
	if (code != 0)
		return db_err(e, code, "write %s", b->path);
	b->count++;
	b->bytes += record.len;
	return RC_OK;
}

/* One more transaction, which changes nothing: LMDB keeps two roots, and now both show all of it. A file that takes
 * another one's place may be opened beside a table of readers that still speaks of the other one, and by its last
 * transaction, odd or even, tells which root to take. */
static enum rc
commit_again(struct raw_build *b, struct err *e)
{
	unsigned char first[8];
	MDB_val k = db_val(bytes_str("first_seq")), v;
	enum rc rc = begin(b, e);
	if (rc != RC_OK)
		return rc;
	int code = mdb_get(b->txn, b->meta, &k, &v);
	if (code == 0 && v.mv_size != sizeof first)
		code = MDB_INVALID;
	if (code == 0) {
		memcpy(first, v.mv_data, sizeof first);
		v.mv_data = first;
		code = mdb_put(b->txn, b->meta, &k, &v, 0);
	}
	return code == 0 ? commit(b, e) : db_err(e, code, "write %s", b->path);
}

enum rc
raw_build_end(struct raw_build *b, struct err *e)
{
	enum rc rc = commit(b, e);
	if (rc == RC_OK)
		rc = commit_again(b, e);
	if (rc != RC_OK)
		return rc;
	int code = mdb_env_sync(b->env, 1);
	return code == 0 ? RC_OK : db_err(e, code, "sync %s", b->path);
}

void
raw_build_free(struct raw_build *b)
{
	if (b == NULL)
		return;
	if (b->txn != NULL)
		mdb_txn_abort(b->txn);
	db_close(b->env);
	free(b->path);
	free(b);
}
