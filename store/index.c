/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/keytab.h"

/* Records kept in memory before they are written out: ten megabytes, and what a start after a kill
 * has to read again. More in one go means fewer writes of the same pages. */
#define FLUSH_RECORDS 131072
#define FLUSH_EVERY_MS 10000
/* How long a failed write of the index waits before the next try. */
#define RETRY_S 10
/* The writer waits for the thread rather than let its memory grow past this. */
#define TAIL_RECORDS_MAX ((size_t)1 << 18)
/* Keys one transaction adds. In a large index each lies on a page of its own, which LMDB copies and keeps in
 * memory until the commit, and after it for the next one. */
#define TXN_KEYS 4096

/* What the index does not hold yet. */
struct tail {
	struct keytab keys;
	struct source_tail sources;
	/* Of these, what belongs to commits that are on disk, and what the index covers with them. */
	size_t committed_keys, committed_records;
	struct index_cover cover;
};

struct index {
	char *path;
	unsigned char log_id[STORE_LOG_ID_BYTES];
	MDB_env *env;
	MDB_dbi keys, sources, meta;
	/* Writer thread's own. */
	struct tail tail; /* newer than frozen */
	int64_t flushed_at_ms;
	/* Filled while idle, read by both while busy, by nobody else. */
	struct tail frozen;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool busy;    /* the thread works on frozen */
	bool closing;
	struct err why;     /* of trouble; guarded by lock */
	atomic_int trouble; /* RC_OK, or how the last write failed: RC_FULL is tried again, RC_IO is final */
	pthread_t thread;
	bool started;
};

static int
put(MDB_txn *txn, MDB_dbi dbi, struct bytes key, struct bytes value)
{
	MDB_val k = db_val(key), v = db_val(value);
	return mdb_put(txn, dbi, &k, &v, 0);
}

static int
put_cover(struct index *ix, MDB_txn *txn, const struct index_cover *cover, bool clean)
{
	unsigned char first[8], last[8];
	db_put_seq(first, cover->first_seq);
	db_put_seq(last, cover->last_seq);
	int code = put(txn, ix->meta, bytes_str(INDEX_META_FIRST), (struct bytes){ first, sizeof first });
	if (code == 0)
		code = put(txn, ix->meta, bytes_str(INDEX_META_LAST), (struct bytes){ last, sizeof last });
	if (code == 0)
		code = put(txn, ix->meta, bytes_str(INDEX_META_CHAIN),
			(struct bytes){ cover->chain, STORE_CHAIN_BYTES });
	if (code == 0)
		code = put(txn, ix->meta, bytes_str(INDEX_META_CLEAN), bytes_str(clean ? "1" : "0"));
	return code;
}

static int
by_key(const void *a, const void *b)
{
	const struct keytab_row *x = a, *y = b;
	return memcmp(x->key.bytes, y->key.bytes, INDEX_KEY_BYTES);
}

static int
put_keys(struct index *ix, MDB_txn *txn, const struct keytab_row *rows, size_t count)
{
	int code = 0;
	for (size_t i = 0; code == 0 && i < count; i++) {
		unsigned char value[INDEX_VALUE_BYTES];
		db_put_seq(value, rows[i].entry.seq);
		memcpy(value + 8, rows[i].entry.body, INDEX_BODY_BYTES);
		code = put(txn, ix->keys, (struct bytes){ rows[i].key.bytes, INDEX_KEY_BYTES },
			(struct bytes){ value, sizeof value });
	}
	return code;
}

/* Adds what is committed of t, in several transactions; the last one moves the covered range on, so that what
 * an interruption leaves is only added once more. Sorted, neighbours share pages. */
static enum rc
write_tail(struct index *ix, const struct tail *t, bool clean, struct err *e)
{
	size_t count = t->committed_keys, done = 0;
	struct keytab_row *rows = base_alloc((count + 1) * sizeof *rows);
	if (count > 0)
		memcpy(rows, t->keys.rows, count * sizeof *rows);
	qsort(rows, count, sizeof *rows, by_key);
	int code;
	do {
		MDB_txn *txn = NULL;
		size_t n = count - done < TXN_KEYS ? count - done : TXN_KEYS;
		code = mdb_txn_begin(ix->env, NULL, 0, &txn);
		if (code == 0)
			code = put_keys(ix, txn, rows + done, n);
		done += n;
		if (code == 0 && done == count)
			code = source_tail_write(&t->sources, t->committed_records, txn, ix->sources);
		if (code == 0 && done == count)
			code = put_cover(ix, txn, &t->cover, clean);
		if (code == 0)
			code = mdb_txn_commit(txn);
		else if (txn != NULL)
			mdb_txn_abort(txn);
	} while (code == 0 && done < count);
	free(rows);
	if (code == 0)
		return RC_OK;
	if (db_means_full(ix->env, ix->path, code, 0))
		return err_set(e, RC_FULL, "disk-full", "write %s: %s; make room, it goes on by itself", ix->path,
			mdb_strerror(code == EIO ? ENOSPC : code));
	return err_set(e, RC_IO, "log.index",
		"write %s: %s; nothing more is accepted until a restart, which makes the index anew", ix->path,
		mdb_strerror(code));
}

static void
remove_files(const struct index *ix)
{
	struct err e;
	char *dir = base_strdup(ix->path);
	*strrchr(dir, '/') = '\0';
	char *lock = dir_path(dir, "index.mdb-lock");
	unlink(ix->path);
	unlink(lock);
	if (fs_sync_dir(dir, &e) != RC_OK)
		log_err("log.index", &e);
	free(lock);
	free(dir);
}

/* What the file holds after a write that failed for another reason than a full disk nobody knows, and a key that is
 * lost would let a redelivery be stored twice: the next start makes it anew, and the log takes nothing more. */
static void
tell_failure(struct index *ix, enum rc rc, const struct err *e)
{
	log_err("log.index", e);
	if (rc != RC_FULL)
		remove_files(ix);
}

/* Rows that find no room stay in memory, and the next round tries again. */
static void *
index_thread(void *context)
{
	struct index *ix = context;
	pthread_mutex_lock(&ix->lock);
	for (;;) {
		while (!ix->busy && !ix->closing)
			pthread_cond_wait(&ix->changed, &ix->lock);
		if (!ix->busy)
			break;
		pthread_mutex_unlock(&ix->lock);
		struct err e;
		enum rc rc = write_tail(ix, &ix->frozen, false, &e);
		if (rc != RC_OK)
			tell_failure(ix, rc, &e);
		pthread_mutex_lock(&ix->lock);
		if (rc != RC_OK)
			ix->why = e;
		atomic_store(&ix->trouble, (int)rc);
		ix->busy = rc != RC_OK;
		pthread_cond_broadcast(&ix->changed);
		if (rc != RC_OK && (ix->closing || rc != RC_FULL))
			break; /* still busy: the next start reads the log again */
		if (rc != RC_OK) {
			struct timespec until;
			clock_gettime(CLOCK_MONOTONIC, &until);
			until.tv_sec += RETRY_S;
			pthread_cond_timedwait(&ix->changed, &ix->lock, &until);
		}
	}
	pthread_mutex_unlock(&ix->lock);
	return NULL;
}

static void
tail_free(struct tail *t)
{
	keytab_free(&t->keys);
	source_tail_free(&t->sources);
	t->committed_keys = t->committed_records = 0;
}

/* Whether the thread has finished with frozen; then frozen is emptied. Does not wait for a disk (index_ready). */
static bool
thaw(struct index *ix, bool wait)
{
	pthread_mutex_lock(&ix->lock);
	while (wait && ix->busy && atomic_load(&ix->trouble) == RC_OK)
		pthread_cond_wait(&ix->changed, &ix->lock);
	bool idle = !ix->busy;
	pthread_mutex_unlock(&ix->lock);
	if (idle)
		tail_free(&ix->frozen);
	return idle;
}

static void
flush(struct index *ix)
{
	if (!thaw(ix, ix->tail.committed_records >= TAIL_RECORDS_MAX))
		return;
	ix->frozen = ix->tail;
	ix->tail = (struct tail){ .cover = ix->frozen.cover };
	ix->flushed_at_ms = clock_monotonic_ms();
	pthread_mutex_lock(&ix->lock);
	ix->busy = true;
	pthread_cond_broadcast(&ix->changed);
	pthread_mutex_unlock(&ix->lock);
}

enum rc
index_ready(struct index *ix, struct err *e)
{
	enum rc rc = (enum rc)atomic_load(&ix->trouble);
	if (rc == RC_OK || (rc == RC_FULL && ix->tail.committed_records < TAIL_RECORDS_MAX))
		return RC_OK;
	pthread_mutex_lock(&ix->lock);
	*e = ix->why;
	pthread_cond_broadcast(&ix->changed);
	pthread_mutex_unlock(&ix->lock);
	return e->rc = rc;
}

static enum rc
find_stored(struct index *ix, const struct index_key *key, struct index_entry *entry, struct err *e)
{
	MDB_txn *txn;
	enum rc rc = db_read_begin(ix->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	MDB_val k = { INDEX_KEY_BYTES, (void *)(uintptr_t)key->bytes }, v;
	int code = mdb_get(txn, ix->keys, &k, &v);
	if (code == 0 && v.mv_size == INDEX_VALUE_BYTES) {
		entry->seq = db_get_seq(v.mv_data);
		memcpy(entry->body, (unsigned char *)v.mv_data + 8, INDEX_BODY_BYTES);
	} else if (code == MDB_NOTFOUND) {
		rc = RC_NOTFOUND; /* the usual case, not worth a text */
	} else {
		rc = db_err(e, code == 0 ? MDB_CORRUPTED : code, "look up a delivery in %s", ix->path);
	}
	mdb_txn_abort(txn);
	return rc;
}

enum rc
index_find(struct index *ix, const struct index_key *key, struct index_entry *entry, bool *stored,
	struct err *e)
{
	const struct index_entry *found = keytab_find(&ix->tail.keys, key);
	if (found == NULL)
		found = keytab_find(&ix->frozen.keys, key);
	*stored = found == NULL;
	if (found == NULL)
		return find_stored(ix, key, entry, e);
	*entry = *found;
	return RC_OK;
}

void
index_add(struct index *ix, const struct index_key *key, const struct index_entry *entry)
{
	keytab_add(&ix->tail.keys, key, entry);
}

void
index_add_source(struct index *ix, uint64_t seq, uint64_t tag)
{
	source_tail_add(&ix->tail.sources, seq, tag);
}

void
index_rollback(struct index *ix)
{
	keytab_truncate(&ix->tail.keys, ix->tail.committed_keys);
	ix->tail.sources.count = ix->tail.committed_records;
}

void
index_committed(struct index *ix, uint64_t last_seq, const unsigned char chain[STORE_CHAIN_BYTES])
{
	struct tail *t = &ix->tail;
	t->committed_keys = t->keys.count;
	t->committed_records = t->sources.count;
	t->cover.last_seq = last_seq;
	memcpy(t->cover.chain, chain, STORE_CHAIN_BYTES);
	if (t->committed_records >= FLUSH_RECORDS ||
		(t->committed_records > 0 && clock_monotonic_ms() - ix->flushed_at_ms >= FLUSH_EVERY_MS))
		flush(ix);
}

/* ---- opening ---- */

/* Adds what the event at the end of the log needs. */
static void
add_event(struct index *ix, const struct event *ev)
{
	struct index_key key, second;
	struct index_entry known, entry = { .seq = ev->seq };
	bool stored;
	index_add_source(ix, ev->seq, source_tag(ev->source));
	if (!index_key_of(ev, &key))
		return;
	memcpy(entry.body, ev->body_xxh128, INDEX_BODY_BYTES);
	if (index_find(ix, &key, &known, &stored, NULL) != RC_OK) {
		index_add(ix, &key, &entry);
		return;
	}
	index_key_with_body(&key, ev->body_xxh128, &second);
	if (known.seq != ev->seq && index_find(ix, &second, &known, &stored, NULL) != RC_OK)
		index_add(ix, &second, &entry);
}

static enum rc
open_env(struct index *ix, struct err *e)
{
	MDB_txn *txn = NULL;
	enum rc rc = db_open(ix->path, DB_WRITE, &ix->env, e);
	if (rc != RC_OK)
		return rc;
	struct index_cover *cover = &ix->tail.cover;
	int code = mdb_txn_begin(ix->env, NULL, 0, &txn);
	if (code == 0)
		code = mdb_dbi_open(txn, INDEX_KEYS, MDB_CREATE, &ix->keys);
	if (code == 0)
		code = mdb_dbi_open(txn, INDEX_SOURCES, MDB_CREATE, &ix->sources);
	if (code == 0)
		code = mdb_dbi_open(txn, INDEX_META, MDB_CREATE, &ix->meta);
	if (code == 0 && !index_read_cover(txn, ix->meta, cover)) {
		*cover = (struct index_cover){ .first_seq = 1 };
		code = put(txn, ix->meta, bytes_str(INDEX_META_FORMAT), bytes_str(INDEX_FORMAT));
	}
	if (code == 0)
		code = put(txn, ix->meta, bytes_str(INDEX_META_LOG_ID),
			(struct bytes){ ix->log_id, STORE_LOG_ID_BYTES });
	if (code == 0)
		code = put_cover(ix, txn, cover, false);
	if (code == 0) {
		code = mdb_txn_commit(txn);
		txn = NULL;
	}
	if (txn != NULL)
		mdb_txn_abort(txn);
	return code == 0 ? RC_OK : db_err(e, code, "open %s", ix->path);
}

static void
throw_away(const struct index *ix)
{
	LOG_WARN("log.index", F_S("path", ix->path),
		F_S("note", "the index is damaged, of another version or of another log; building it anew"));
	remove_files(ix);
}

/* Adds what the log holds after last_seq. */
static enum rc
roll_forward(struct index *ix, struct store_reader *r, struct err *e)
{
	struct arena *a = arena_new((size_t)1 << 20);
	const struct store_record *records;
	size_t count;
	struct store_span span;
	struct index_cover *cover = &ix->tail.cover;
	enum rc rc = store_span(r, &span, e);
	if (rc == RC_OK && span.first_seq > cover->last_seq + 1)
		*cover = (struct index_cover){ span.first_seq, span.first_seq - 1, { 0 } };
	while (rc == RC_OK) {
		arena_reset(a);
		rc = store_read(r, cover->last_seq + 1, 4096, (size_t)16 << 20, a, &records, &count, e);
		if (rc != RC_OK || count == 0)
			break;
		for (size_t i = 0; i < count; i++)
			add_event(ix, &records[i].event);
		index_committed(ix, records[count - 1].event.seq, records[count - 1].chain);
	}
	arena_free(a);
	return rc;
}

static enum rc
start_thread(struct index *ix, struct err *e)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&ix->thread, NULL, index_thread, ix);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0)
		return err_sys(e, RC_IO, NULL, code, "start the index thread");
	ix->started = true;
	return RC_OK;
}

enum rc
index_open(struct index **out, struct store_reader *r, struct err *e)
{
	struct store_span span;
	*out = NULL;
	enum rc rc = store_span(r, &span, e);
	if (rc != RC_OK)
		return rc;
	struct index *ix = base_zalloc(sizeof *ix);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&ix->lock, NULL);
	pthread_cond_init(&ix->changed, &attr);
	pthread_condattr_destroy(&attr);
	atomic_init(&ix->trouble, RC_OK);
	ix->path = dir_path(segment_set_dir(r->set), "index.mdb");
	memcpy(ix->log_id, span.log_id, STORE_LOG_ID_BYTES);
	ix->flushed_at_ms = clock_monotonic_ms();
	if (fs_exists(ix->path) && !index_looks_sound(ix->path, ix->log_id, span.last_seq))
		throw_away(ix);
	rc = open_env(ix, e);
	if (rc == RC_OK && !index_fits(r, &ix->tail.cover)) {
		db_close(ix->env);
		throw_away(ix);
		rc = open_env(ix, e);
	}
	if (rc == RC_OK)
		rc = start_thread(ix, e);
	if (rc == RC_OK)
		rc = roll_forward(ix, r, e);
	if (rc != RC_OK) {
		index_close(ix);
		return rc;
	}
	*out = ix;
	return RC_OK;
}

void
index_close(struct index *ix)
{
	if (ix == NULL)
		return;
	if (ix->started) {
		pthread_mutex_lock(&ix->lock);
		ix->closing = true;
		pthread_cond_broadcast(&ix->changed);
		pthread_mutex_unlock(&ix->lock);
		pthread_join(ix->thread, NULL);
		struct err e;
		/* With a tail still frozen its write failed, so the later one must not go first. */
		enum rc rc = ix->busy ? RC_OK : write_tail(ix, &ix->tail, true, &e);
		if (rc != RC_OK)
			tell_failure(ix, rc, &e);
	}
	tail_free(&ix->tail);
	tail_free(&ix->frozen);
	db_close(ix->env);
	pthread_cond_destroy(&ix->changed);
	pthread_mutex_destroy(&ix->lock);
	free(ix->path);
	free(ix);
}
