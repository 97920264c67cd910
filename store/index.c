/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/index.h"
#include "store/index_file.h"
#include "store/index_filter.h"
#include "store/index_view.h"

/* Records kept in memory before they are written out, and what a start after a kill has to read again; more in one
 * go means fewer writes of the same pages. A little less than a power of two, at which tables in memory double. */
#define FLUSH_RECORDS 125000
#define FLUSH_EVERY_MS 10000
/* How long a failed write of the index waits before the next try. */
#define RETRY_S 10
/* The writer waits for the thread rather than let its memory grow past this. */
#define TAIL_RECORDS_MAX ((size_t)250000)
/* With more at the start the filter would say no to fewer, and reading gigabytes for it is not worth it. */
#define FILTER_KEYS_MAX ((size_t)40000000)

struct index {
	struct index_file file;
	struct index_filter filter; /* without parts: there is none */
	atomic_bool filter_whole;   /* it has all keys; until then it is no use */
	/* Writer thread's own. */
	struct index_tail tail; /* newer than frozen */
	int64_t flushed_at_ms;
	/* Filled while idle, read by both while busy, by nobody else. */
	struct index_tail frozen;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool busy;    /* the thread works on frozen */
	bool closing;
	struct err why;     /* of trouble; guarded by lock */
	atomic_int trouble; /* RC_OK, or how the last write failed: RC_FULL is tried again, RC_IO is final */
	pthread_t thread;
	bool started;
};

/* What the file holds after a write that failed for another reason than a full disk nobody knows, and a key that is
 * lost would let a redelivery be stored twice: the next start makes it anew, and the log takes nothing more. */
static void
tell_failure(struct index *ix, enum rc rc, const struct err *e)
{
	log_err("log.index", e);
	if (rc != RC_FULL)
		index_file_remove(&ix->file);
}

static void
restore_key(const struct index_key *key, const struct index_entry *entry, void *context)
{
	struct index *ix = context;
	(void)entry;
	index_filter_restore(&ix->filter, key);
}

static bool
is_closing(struct index *ix)
{
	pthread_mutex_lock(&ix->lock);
	bool closing = ix->closing;
	pthread_mutex_unlock(&ix->lock);
	return closing;
}

/* Gives the filter the keys that were there at the start. The writer looks into the file meanwhile. */
static enum rc
restore_filter(struct index *ix, struct err *e)
{
	enum rc rc = RC_OK;
	unsigned first = 0;
	for (; rc == RC_OK && first <= UINT8_MAX && !is_closing(ix); first++) {
		rc = index_file_each(&ix->file, (unsigned char)first, restore_key, ix, e);
		/* Not each time: a part of the keys is spread over all of the file. */
		if (first % 16 == 15)
			index_file_forget(&ix->file);
	}
	if (rc == RC_OK && first > UINT8_MAX)
		atomic_store(&ix->filter_whole, true);
	return rc;
}

/* Notes how a write went, or what the file was found to be. */
static void
note(struct index *ix, enum rc rc, const struct err *e)
{
	if (rc != RC_OK)
		tell_failure(ix, rc, e);
	pthread_mutex_lock(&ix->lock);
	if (rc != RC_OK)
		ix->why = *e;
	atomic_store(&ix->trouble, (int)rc);
	/* Still busy: whoever closes writes nothing, and the next start reads the log again. */
	ix->busy = rc != RC_OK;
	pthread_cond_broadcast(&ix->changed);
	pthread_mutex_unlock(&ix->lock);
}

/* Waits for rows to write out. False: there will be no more. */
static bool
wait_for_rows(struct index *ix)
{
	pthread_mutex_lock(&ix->lock);
	while (!ix->busy && !ix->closing)
		pthread_cond_wait(&ix->changed, &ix->lock);
	bool busy = ix->busy;
	pthread_mutex_unlock(&ix->lock);
	return busy;
}

static void
wait_for_room(struct index *ix)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_S;
	pthread_mutex_lock(&ix->lock);
	if (!ix->closing)
		pthread_cond_timedwait(&ix->changed, &ix->lock, &until);
	pthread_mutex_unlock(&ix->lock);
}

/* Rows that find no room stay in memory, and the next round tries again. */
static void *
index_thread(void *context)
{
	struct index *ix = context;
	struct err e;
	enum rc rc = ix->filter.part_count > 0 && !atomic_load(&ix->filter_whole) ? restore_filter(ix, &e) : RC_OK;
	/* An index that was closed in order is believed until here, and whoever looks into it would find out sooner or later. */
	if (rc == RC_CORRUPT)
		note(ix, err_set(&e, RC_IO, "log.index",
				"%s is damaged; nothing more is accepted until a restart, which makes the index anew",
				ix->file.path), &e);
	else if (rc != RC_OK)
		log_err("log.index", &e);
	while (atomic_load(&ix->trouble) != RC_IO && wait_for_rows(ix)) {
		rc = index_file_write(&ix->file, &ix->frozen, false, &e);
		if (rc == RC_OK)
			rc = index_file_settle(&ix->file, &e);
		note(ix, rc, &e);
		if (rc != RC_OK && is_closing(ix))
			break;
		if (rc == RC_FULL)
			wait_for_room(ix);
	}
	return NULL;
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
		index_tail_free(&ix->frozen);
	return idle;
}

static void
flush(struct index *ix)
{
	if (!thaw(ix, ix->tail.committed_records >= TAIL_RECORDS_MAX))
		return;
	ix->frozen = ix->tail;
	ix->tail = (struct index_tail){ .cover = ix->frozen.cover };
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

enum rc
index_health(struct index *ix, struct err *e)
{
	if (atomic_load(&ix->trouble) != RC_IO)
		return RC_OK;
	pthread_mutex_lock(&ix->lock);
	if (e != NULL)
		*e = ix->why;
	pthread_mutex_unlock(&ix->lock);
	return RC_IO;
}

enum rc
index_find(struct index *ix, const struct index_key *key, struct index_entry *entry, bool *stored,
	struct err *e)
{
	*stored = false;
	if (atomic_load(&ix->filter_whole) && !index_filter_may_have(&ix->filter, key))
		return RC_NOTFOUND;
	const struct index_entry *found = keytab_find(&ix->tail.keys, key);
	if (found == NULL)
		found = keytab_find(&ix->frozen.keys, key);
	*stored = found == NULL;
	if (found == NULL)
		return index_file_find(&ix->file, key, entry, e);
	*entry = *found;
	return RC_OK;
}

void
index_add(struct index *ix, const struct index_key *key, const struct index_entry *entry)
{
	keytab_add(&ix->tail.keys, key, entry);
	if (ix->filter.part_count > 0)
		index_filter_add(&ix->filter, key);
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
	struct index_tail *t = &ix->tail;
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
open_file(struct index *ix, struct err *e)
{
	size_t keys;
	enum rc rc = index_file_open(&ix->file, &ix->tail.cover, &keys, e);
	index_filter_free(&ix->filter);
	if (rc == RC_OK && keys <= FILTER_KEYS_MAX)
		index_filter_init(&ix->filter, keys);
	atomic_store(&ix->filter_whole, rc == RC_OK && keys == 0);
	return rc;
}

static void
throw_away(const struct index *ix)
{
	LOG_WARN("log.index", F_S("path", ix->file.path),
		F_S("note", "the index is damaged, of another version or of another log; building it anew"));
	index_file_remove(&ix->file);
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
	ix->file.path = dir_path(segment_set_dir(r->set), "index.mdb");
	memcpy(ix->file.log_id, span.log_id, STORE_LOG_ID_BYTES);
	ix->flushed_at_ms = clock_monotonic_ms();
	if (fs_exists(ix->file.path) && !index_looks_sound(ix->file.path, ix->file.log_id, span.last_seq))
		throw_away(ix);
	rc = open_file(ix, e);
	if (rc == RC_OK && !index_fits(r, &ix->tail.cover)) {
		index_file_close(&ix->file);
		throw_away(ix);
		rc = open_file(ix, e);
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
		enum rc rc = ix->busy ? RC_OK : index_file_write(&ix->file, &ix->tail, true, &e);
		if (rc == RC_OK && !ix->busy)
			rc = index_file_settle(&ix->file, &e);
		if (rc != RC_OK)
			tell_failure(ix, rc, &e);
	}
	index_tail_free(&ix->tail);
	index_tail_free(&ix->frozen);
	index_filter_free(&ix->filter);
	index_file_close(&ix->file);
	pthread_cond_destroy(&ix->changed);
	pthread_mutex_destroy(&ix->lock);
	free(ix->file.path);
	free(ix);
}
