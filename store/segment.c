/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/xxh.h"
#include "store/dir.h"
#include "store/segment.h"

#define META_LOG_ID "log_id"
#define META_FIRST "first_seq"
#define META_PREV_CHAIN "prev_chain"
#define META_DICT "dict.%08" PRIx32
#define META_DICT_BYTES 16

void
segment_close(struct segment *s)
{
	if (s == NULL)
		return;
	while (s->dicts != NULL) {
		struct segment_dict *d = s->dicts;
		s->dicts = d->next;
		dict_unref(d->dict);
		free(d);
	}
	db_close(s->env);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static enum rc
meta_get(const struct segment *s, MDB_txn *txn, const char *key, struct bytes *value, struct err *e)
{
	MDB_val k = db_val(bytes_str(key)), v;
	int code = mdb_get(txn, s->meta, &k, &v);
	if (code != 0)
		return db_err(e, code, "segment %" PRIu64 ": %s", s->first_seq, key);
	*value = db_bytes(v);
	return RC_OK;
}

static enum rc
meta_put(MDB_txn *txn, MDB_dbi meta, const char *key, struct bytes value, struct err *e)
{
	MDB_val k = db_val(bytes_str(key)), v = db_val(value);
	int code = mdb_put(txn, meta, &k, &v, 0);
	return code == 0 ? RC_OK : db_err(e, code, "write %s", key);
}

/* Opens the databases and compares what the segment says of itself with what it should be. */
static enum rc
segment_read_meta(struct segment *s, const unsigned char log_id[STORE_LOG_ID_BYTES], struct err *e)
{
	MDB_txn *txn = NULL;
	struct bytes id, first, chain;
	enum rc rc = db_read_begin(s->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	int code = mdb_dbi_open(txn, "events", 0, &s->events);
	if (code == 0)
		code = mdb_dbi_open(txn, "meta", 0, &s->meta);
	if (code != 0) {
		rc = db_err(e, code == MDB_NOTFOUND ? MDB_INVALID : code, "segment %" PRIu64,
			s->first_seq);
		goto done;
	}
	if (meta_get(s, txn, META_LOG_ID, &id, e) != RC_OK ||
		meta_get(s, txn, META_FIRST, &first, e) != RC_OK ||
		meta_get(s, txn, META_PREV_CHAIN, &chain, e) != RC_OK) {
		rc = err_set(e, RC_CORRUPT, "log.damaged", "segment %" PRIu64 " lacks its description",
			s->first_seq);
		goto done;
	}
	if (!bytes_equal(id, (struct bytes){ log_id, STORE_LOG_ID_BYTES }) || first.len != 8 ||
		db_get_seq(first.data) != s->first_seq || chain.len != STORE_CHAIN_BYTES) {
		rc = err_set(e, RC_CORRUPT, "log.damaged",
			"segment %" PRIu64 " belongs to another log or place; move it away", s->first_seq);
		goto done;
	}
	memcpy(s->prev_chain, chain.data, STORE_CHAIN_BYTES);
	/* Handles outlive only a transaction that commits. */
	code = mdb_txn_commit(txn);
	txn = NULL;
	if (code != 0)
		rc = db_err(e, code, "segment %" PRIu64, s->first_seq);
done:
	if (txn != NULL)
		mdb_txn_abort(txn);
	return rc;
}

enum rc
segment_open(const char *path, enum db_mode mode, const unsigned char log_id[STORE_LOG_ID_BYTES],
	uint64_t first_seq, struct segment **out, struct err *e)
{
	mdb_filehandle_t fd;
	struct segment *s = base_zalloc(sizeof *s);
	s->first_seq = first_seq;
	pthread_mutex_init(&s->lock, NULL);
	enum rc rc = db_open(path, mode, &s->env, e);
	/* Who opens first after a kill takes the newest pages from the page cache, where they may never
	 * have left for the disk; what is visible must be durable. */
	if (rc == RC_OK && mode != DB_FROZEN) {
		mdb_env_get_fd(s->env, &fd);
		if (fdatasync(fd) != 0)
			rc = err_sys(e, RC_IO, "log.failed", errno, "sync %s", path);
	}
	if (rc == RC_OK)
		rc = segment_read_meta(s, log_id, e);
	if (rc != RC_OK) {
		segment_close(s);
		s = NULL;
	}
	*out = s;
	return rc;
}

/* Fills a new environment at path with an empty events database and the description. */
static enum rc
fill_new(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t first_seq,
	const unsigned char prev_chain[STORE_CHAIN_BYTES], struct err *e)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi events, meta;
	unsigned char first[8];
	db_put_seq(first, first_seq);
	enum rc rc = db_open(path, DB_WRITE, &env, e);
	if (rc != RC_OK)
		goto done;
	int code = mdb_txn_begin(env, NULL, 0, &txn);
	if (code == 0)
		code = mdb_dbi_open(txn, "events", MDB_CREATE, &events);
	if (code == 0)
		code = mdb_dbi_open(txn, "meta", MDB_CREATE, &meta);
	if (code != 0) {
		rc = db_err(e, code, "fill %s", path);
		goto done;
	}
	rc = meta_put(txn, meta, META_LOG_ID, (struct bytes){ log_id, STORE_LOG_ID_BYTES }, e);
	if (rc == RC_OK)
		rc = meta_put(txn, meta, META_FIRST, (struct bytes){ first, sizeof first }, e);
	if (rc == RC_OK)
		rc = meta_put(txn, meta, META_PREV_CHAIN, (struct bytes){ prev_chain, STORE_CHAIN_BYTES },
			e);
	if (rc != RC_OK)
		goto done;
	code = mdb_txn_commit(txn);
	txn = NULL;
	if (code == 0)
		code = mdb_env_sync(env, 1);
	if (code != 0)
		rc = db_err(e, code, "write %s", path);
done:
	if (txn != NULL)
		mdb_txn_abort(txn);
	db_close(env);
	return rc;
}

/* The file gets its name only when it is complete, so nobody ever meets half a segment. */
enum rc
segment_make(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t first_seq,
	const unsigned char prev_chain[STORE_CHAIN_BYTES], struct err *e)
{
	char name[DIR_NAME_BYTES], temporary_name[DIR_NAME_BYTES + 16];
	dir_segment_name(first_seq, name);
	snprintf(temporary_name, sizeof temporary_name, "%s.tmp", name);
	char *path = dir_path(dir, name), *temporary = dir_path(dir, temporary_name);
	snprintf(temporary_name, sizeof temporary_name, "%s.tmp-lock", name);
	char *temporary_lock = dir_path(dir, temporary_name);
	unlink(temporary);
	unlink(temporary_lock);
	enum rc rc = fill_new(temporary, log_id, first_seq, prev_chain, e);
	if (rc == RC_OK && rename(temporary, path) != 0)
		rc = err_sys(e, RC_IO, "log.failed", errno, "rename %s", temporary);
	if (rc == RC_OK)
		rc = fs_sync_dir(dir, e);
	if (rc != RC_OK)
		unlink(temporary);
	unlink(temporary_lock);
	free(temporary_lock);
	free(temporary);
	free(path);
	return rc;
}

enum rc
segment_range(const struct segment *s, MDB_txn *txn, uint64_t *first, uint64_t *last, struct err *e)
{
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	enum rc rc = RC_OK;
	*first = *last = 0;
	int code = mdb_cursor_open(txn, s->events, &cursor);
	if (code == 0)
		code = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
	if (code == MDB_NOTFOUND)
		goto done;
	if (code != 0) {
		rc = db_err(e, code, "segment %" PRIu64, s->first_seq);
		goto done;
	}
	if (k.mv_size != 8 || db_get_seq(k.mv_data) < s->first_seq) {
		rc = err_set(e, RC_CORRUPT, "log.damaged", "segment %" PRIu64 " ends with a wrong number",
			s->first_seq);
		goto done;
	}
	*first = s->first_seq;
	*last = db_get_seq(k.mv_data);
done:
	mdb_cursor_close(cursor);
	return rc;
}

void
segment_forget(const struct segment *s)
{
	MDB_txn *txn;
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	struct db_pages all = DB_PAGES_NONE;
	if (db_read_begin(s->env, &txn, NULL) != RC_OK)
		return;
	if (mdb_cursor_open(txn, s->events, &cursor) == 0) {
		if (mdb_cursor_get(cursor, &k, &v, MDB_FIRST) == 0)
			db_touched(&all, v);
		if (mdb_cursor_get(cursor, &k, &v, MDB_LAST) == 0)
			db_touched(&all, v);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	db_forget(&all);
}

enum rc
segment_get(const struct segment *s, MDB_txn *txn, uint64_t seq, struct bytes *record, struct err *e)
{
	unsigned char key[8];
	db_put_seq(key, seq);
	MDB_val k = { sizeof key, key }, v;
	int code = mdb_get(txn, s->events, &k, &v);
	if (code != 0)
		return db_err(e, code, "record %" PRIu64, seq);
	*record = db_bytes(v);
	return RC_OK;
}

/* Checks a stored dictionary: 8 bytes XXH3-64, big-endian, then the dictionary. */
static enum rc
load_dict(const struct segment *s, MDB_txn *txn, uint32_t id, struct dict **d, struct err *e)
{
	char key[META_DICT_BYTES];
	struct bytes value;
	snprintf(key, sizeof key, META_DICT, id);
	*d = NULL;
	if (meta_get(s, txn, key, &value, e) != RC_OK)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"segment %" PRIu64 " lacks dictionary %08" PRIx32, s->first_seq, id);
	if (value.len > 8 && db_get_seq(value.data) == xxh3(value.data + 8, value.len - 8))
		*d = dict_new((struct bytes){ value.data + 8, value.len - 8 });
	if (*d == NULL || dict_id(*d) != id) {
		dict_unref(*d);
		return err_set(e, RC_CORRUPT, "log.damaged",
			"segment %" PRIu64 ": dictionary %08" PRIx32 " is damaged", s->first_seq, id);
	}
	return RC_OK;
}

enum rc
segment_dict(struct segment *s, MDB_txn *txn, uint32_t id, const struct dict **d, struct err *e)
{
	enum rc rc = RC_OK;
	*d = NULL;
	if (id == 0)
		return RC_OK;
	pthread_mutex_lock(&s->lock);
	struct segment_dict *entry = s->dicts;
	while (entry != NULL && dict_id(entry->dict) != id)
		entry = entry->next;
	if (entry == NULL) {
		struct dict *loaded;
		rc = load_dict(s, txn, id, &loaded, e);
		if (rc == RC_OK) {
			entry = base_zalloc(sizeof *entry);
			*entry = (struct segment_dict){ s->dicts, loaded };
			s->dicts = entry;
		}
	}
	if (rc == RC_OK)
		*d = entry->dict;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

enum rc
segment_put_dict(const struct segment *s, MDB_txn *txn, struct dict *d, struct err *e)
{
	char key[META_DICT_BYTES];
	snprintf(key, sizeof key, META_DICT, dict_id(d));
	MDB_val k = db_val(bytes_str(key)), v = { 8 + dict_bytes(d).len, NULL };
	int code = mdb_put(txn, s->meta, &k, &v, MDB_NOOVERWRITE | MDB_RESERVE);
	if (code == MDB_KEYEXIST)
		return RC_OK;
	if (code != 0)
		return db_err(e, code, "write dictionary");
	unsigned char *p = v.mv_data;
	memcpy(p + 8, dict_bytes(d).data, dict_bytes(d).len);
	db_put_seq(p, xxh3(p + 8, dict_bytes(d).len));
	return RC_OK;
}

enum rc
segment_decode(struct segment *s, MDB_txn *txn, struct unpacker *u, uint64_t seq, struct bytes record,
	struct arena *a, struct store_record *out, struct err *e)
{
	struct record_header h;
	const struct dict *d;
	struct bytes envelope, body;
	enum rc rc = record_open(record, seq, &h, e);
	if (rc == RC_OK)
		rc = segment_dict(s, txn, h.redacted ? 0 : h.dict_id, &d, e);
	if (rc == RC_OK)
		rc = unpack(u, &h, record_payload(record), d, a, &envelope, &body, e);
	if (rc != RC_OK)
		return rc;
	*out = (struct store_record){ .stored_bytes = record.len };
	rc = event_decode(envelope, a, &out->event, e);
	if (rc != RC_OK) {
		err_wrap(e, "record %" PRIu64, seq);
		return rc;
	}
	out->event.seq = seq;
	out->event.received_at_us = h.received_at_us;
	out->event.flags = h.flags | (h.redacted ? EVENT_FLAG_REDACTED : 0u);
	out->event.same_key_seq = h.same_key_seq;
	out->event.body = body;
	if (h.redacted)
		memcpy(out->event.erased_sha256, record_erased_sha256(record), SHA256_BYTES);
	memcpy(out->chain, h.chain, STORE_CHAIN_BYTES);
	return RC_OK;
}
