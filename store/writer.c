/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "store/probe.h"
#include "store/queue.h"
#include "store/recover.h"
#include "store/writer.h"

/* What a clock that is slewed, not set, never goes back by. */
#define CLOCK_STEP_US 100000
/* How much of the log may count as memory of the writer's. */
#define FORGET_EVERY_BYTES ((size_t)16 * 1024 * 1024)

/* What a commit in the making has added; taken over by the store only when it is on disk. */
struct commit {
	struct item *items;
	size_t count;
	MDB_txn *txn;
	size_t puts;
	int64_t first_put_at_us; /* of the first record put */
	uint64_t last_seq;
	int64_t last_at_us;
	size_t bytes;
	unsigned char chain[STORE_CHAIN_BYTES];
};

/* ---- errors ---- */

static enum rc
commit_err(const struct store *s, const struct commit *c, int code, const char *what, struct err *e)
{
	if (db_means_full(s->segment->env, s->dir, code, c->bytes))
		return err_set(e, RC_FULL, "disk-full",
			"%s: %s; make room on the disk of %s, it goes on by itself", what,
			mdb_strerror(code == EIO ? ENOSPC : code), s->dir);
	return err_set(e, RC_IO, "log.failed", "%s: %s; nothing more is accepted until a restart", what,
		mdb_strerror(code));
}

static void
set_health(struct store *s, enum rc rc, const struct err *e)
{
	if ((enum rc)atomic_load(&s->health) == rc)
		return;
	pthread_mutex_lock(&s->lock);
	if (rc != RC_OK)
		s->failure = *e;
	atomic_store(&s->health, (int)rc);
	pthread_mutex_unlock(&s->lock);
	if (rc == RC_OK)
		LOG_INFO("log.recovered", F_S("path", s->dir), F_U("seq", s->last_seq));
	else
		log_err("log.failed", e);
}

/* ---- one commit ---- */

/* Whether the log really holds what the index says: an answer "already stored as seq" is a promise.
 * A record that is gone with its segment cannot be asked any more. RC_AGAIN: it cannot be told now. */
static enum rc
really_holds(struct store *s, const struct item *item, const struct index_entry *entry, bool *holds,
	struct err *e)
{
	const struct store_record *records;
	size_t count;
	struct index_key key;
	arena_reset(s->scratch);
	enum rc rc = store_read(s->reader, entry->seq, 1, 1, s->scratch, &records, &count, e);
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT && rc != RC_INVALID)
		return e->rc = RC_AGAIN;
	*holds = rc == RC_NOTFOUND ? entry->seq != 0
		: rc == RC_OK && count == 1 && index_key_of(&records[0].event, &key) &&
			memcmp(key.bytes, item->key.bytes, INDEX_KEY_BYTES) == 0 &&
			memcmp(records[0].event.body_xxh128, item->body_xxh128, XXH128_BYTES) == 0;
	if (!*holds)
		LOG_ERROR("log.index", F_S("path", s->dir), F_U("seq", entry->seq),
			F_S("note", "the dedupe index points to a record that is damaged or another one; "
				"stop, run `hooklog log verify`, remove index.mdb"));
	return RC_OK;
}

/* Looks for the item's delivery. Sets item->duplicate and seq, or *same_key_seq when the key was used for
 * another body; *key is the key to add, and *add whether to. */
static enum rc
look_up(struct store *s, struct item *item, uint64_t *same_key_seq, struct index_key *key, bool *add,
	struct err *e)
{
	struct index_entry known;
	bool stored;
	*same_key_seq = 0;
	*add = false;
	if (!item->has_key)
		return RC_OK;
	*key = item->key;
	enum rc rc = index_find(s->index, key, &known, &stored, e);
	if (rc == RC_OK && !index_is_body(&known, item->body_xxh128)) {
		*same_key_seq = known.seq;
		index_key_with_body(&item->key, item->body_xxh128, key);
		rc = index_find(s->index, key, &known, &stored, e);
	}
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	/* What is in memory may belong to this very commit, so it cannot be read yet; nor need it be. */
	bool holds = rc == RC_OK;
	if (rc == RC_OK && stored)
		rc = really_holds(s, item, &known, &holds, e);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	if (holds) {
		item->duplicate = true;
		item->seq = known.seq;
	} else {
		*add = true;
	}
	return RC_OK;
}

static int
put_record(struct store *s, struct commit *c, struct item *item, uint64_t same_key_seq, int64_t now_us)
{
	unsigned char key[8];
	struct packed *p = &item->packed;
	/* Another log's time counts as far as it does not contradict this log's own. */
	int64_t at_us = item->relayed_at_us > 0 && item->relayed_at_us < now_us ? item->relayed_at_us : now_us;
	struct record_header h = { .codec = p->codec, .dict_id = p->dict == NULL ? 0 : dict_id(p->dict),
		.seq = c->last_seq + 1, .received_at_us = at_us > c->last_at_us ? at_us : c->last_at_us,
		.flags = (uint16_t)(same_key_seq == 0 ? 0 : EVENT_FLAG_KEY_REUSED),
		.same_key_seq = same_key_seq, .plain_bytes = p->plain_bytes, .envelope_bytes = p->envelope_bytes };
	db_put_seq(key, h.seq);
	MDB_val k = { sizeof key, key }, v = { RECORD_HEADER_BYTES + packed_bytes(p), NULL };
	int code = mdb_put(c->txn, s->segment->events, &k, &v, MDB_APPEND | MDB_RESERVE);
	/* The number stands there already: two writers, or a bug of ours. */
	ASSERT(code != MDB_KEYEXIST);
	if (code != 0)
		return code;
	unsigned char *to = (unsigned char *)v.mv_data + RECORD_HEADER_BYTES;
	for (size_t i = 0; i < COUNT_OF(p->parts); i++) {
		if (p->parts[i].len > 0)
			memcpy(to, p->parts[i].data, p->parts[i].len);
		to += p->parts[i].len;
	}
	record_seal(v.mv_data, v.mv_size, &h, c->chain);
	memcpy(c->chain, h.chain, STORE_CHAIN_BYTES);
	if (c->puts++ == 0)
		c->first_put_at_us = h.received_at_us;
	c->last_seq = h.seq;
	c->last_at_us = h.received_at_us;
	c->bytes += v.mv_size;
	item->seq = h.seq;
	return 0;
}

/* Times never fall from one record to the next, so after a step back of the clock all records get the time
 * of the last one before it until the clock has caught up. */
static void
watch_clock(struct store *s, int64_t now_us)
{
	int64_t back_us = s->last_at_us - now_us;
	if (back_us > CLOCK_STEP_US && !s->clock_behind) {
		s->clock_behind = true;
		keeper_clock_stepped(s->keeper);
		LOG_WARN("log.clock-step", F_I("back_ms", back_us / 1000),
			F_S("note", "the clock was set back; events get the time of the last one before "
				    "until it has caught up"));
	} else if (back_us <= 0 && s->clock_behind) {
		s->clock_behind = false;
		LOG_INFO("log.clock-step", F_S("note", "the clock has caught up"));
	}
}

/* Puts all items of the commit into its transaction; *code is LMDB's when it refused. */
static enum rc
put_items(struct store *s, struct commit *c, int *code, struct err *e)
{
	int64_t now_us = clock_now_us();
	watch_clock(s, now_us);
	for (struct item *item = c->items; item != NULL; item = item->next) {
		uint64_t same_key_seq;
		struct index_key key;
		bool add;
		item->duplicate = false;
		enum rc rc = look_up(s, item, &same_key_seq, &key, &add, e);
		if (rc != RC_OK)
			return rc;
		if (item->duplicate)
			continue;
		if (item->packed.dict != NULL) {
			rc = segment_put_dict(s->segment, c->txn, item->packed.dict, e);
			if (rc != RC_OK)
				return rc;
		}
		*code = put_record(s, c, item, same_key_seq, now_us);
		if (*code != 0)
			return commit_err(s, c, *code, "append", e);
		index_add_source(s->index, item->seq, item->source_tag);
		if (add) {
			struct index_entry entry = { .seq = item->seq };
			memcpy(entry.body, item->body_xxh128, INDEX_BODY_BYTES);
			index_add(s->index, &key, &entry);
		}
	}
	return RC_OK;
}

/* When the very last write of a commit failed, LMDB does not know either whether it is on disk, and lets
 * nobody read or write any more. */
static bool
root_is_lost(const struct store *s)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(s->segment->env, NULL, 0, &txn);
	if (code == 0)
		mdb_txn_abort(txn);
	return code == MDB_PANIC;
}

/* Writes the commit's items as one transaction. On failure nothing of it is visible. */
static enum rc
commit_once(struct store *s, struct commit *c, int *code, struct err *e)
{
	c->puts = 0;
	c->bytes = 0;
	c->last_seq = s->last_seq;
	c->last_at_us = s->last_at_us;
	memcpy(c->chain, s->chain, STORE_CHAIN_BYTES);
	*code = mdb_txn_begin(s->segment->env, NULL, 0, &c->txn);
	if (*code != 0)
		return commit_err(s, c, *code, "begin a commit", e);
	enum rc rc = put_items(s, c, code, e);
	/* Nobody could look whether it is a duplicate: the sender shall come back. */
	if (rc == RC_AGAIN)
		rc = e->rc = RC_FULL;
	if (rc != RC_OK || c->puts == 0) {
		mdb_txn_abort(c->txn);
		goto done;
	}
	*code = mdb_txn_commit(c->txn);
	if (*code != 0)
		rc = commit_err(s, c, *code, "commit", e);
	if (rc == RC_FULL && root_is_lost(s))
		rc = err_set(e, RC_IO, "log.failed",
			"write the root: %s; nothing more is accepted until a restart, which looks what is on "
			"disk", mdb_strerror(*code));
done:
	c->txn = NULL;
	if (rc != RC_OK)
		index_rollback(s->index);
	return rc;
}

static void
publish(struct store *s)
{
	unsigned char head[8];
	for (int i = 0; i < 8; i++)
		head[i] = (unsigned char)(s->last_seq >> (8 * i));
	/* Only a signal for those who wait; they look into the log itself, and time out without it. */
	if (pwrite(s->head_fd, head, sizeof head, 0) != (ssize_t)sizeof head)
		return;
}

static void
accept_commit(struct store *s, const struct commit *c)
{
	if (c->puts == 0)
		return;
	if (s->segment_last == 0)
		s->segment_first_at_us = c->first_put_at_us;
	s->segment_last = s->last_seq = c->last_seq;
	s->last_at_us = c->last_at_us;
	memcpy(s->chain, c->chain, STORE_CHAIN_BYTES);
	keeper_committed(s->keeper, s->last_seq, s->chain);
	publish(s);
	/* LMDB looks at each page it goes on from, and the kernel maps those around it, too. */
	s->mapped_bytes += c->bytes;
	if (s->mapped_bytes >= FORGET_EVERY_BYTES) {
		segment_forget(s->segment);
		s->mapped_bytes = 0;
	}
}

enum rc
writer_roll(struct store *s, struct err *e)
{
	struct segment *next;
	uint64_t first = s->last_seq + 1;
	ASSERT(s->segment_last != 0);
	enum rc rc = RC_OK;
	segment_set_write_from(s->set, first);
	if (!s->next_made)
		rc = segment_make(s->dir, segment_set_log_id(s->set), first, s->chain, e);
	if (rc != RC_OK)
		return rc;
	s->next_made = true;
	rc = segment_acquire_writable(s->set, first, &next, e);
	if (rc != RC_OK)
		return rc;
	s->next_made = false;
	segment_release(s->segment);
	s->segment = next;
	s->segment_last = 0;
	keeper_rolled(s->keeper, s->segment->first_seq);
	trainer_kick(s->trainer);
	return RC_OK;
}

/* Does what store_roll in another thread waits for. */
static void
roll_as_asked(struct store *s)
{
	struct err e = { 0 };
	enum rc rc = (enum rc)atomic_load(&s->health);
	if (rc != RC_OK && rc != RC_FULL)
		e = s->failure;
	else
		rc = s->segment_last == 0 ? RC_OK : writer_roll(s, &e);
	pthread_mutex_lock(&s->lock);
	s->roll_wanted = false;
	*s->rolled = (struct store_result){ .rc = rc, .seq = s->segment->first_seq, .err = e };
	pthread_cond_broadcast(&s->rolling);
	pthread_mutex_unlock(&s->lock);
}

enum rc
store_roll(struct store *s, struct err *e)
{
	struct store_result result = { 0 };
	pthread_mutex_lock(&s->lock);
	while (s->roll_wanted)
		pthread_cond_wait(&s->rolling, &s->lock);
	ASSERT(!s->closing);
	s->roll_wanted = true;
	s->rolled = &result;
	pthread_cond_signal(&s->queued);
	while (s->rolled == &result && s->roll_wanted)
		pthread_cond_wait(&s->rolling, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (result.rc != RC_OK && e != NULL)
		*e = result.err;
	return result.rc;
}

static bool
segment_is_due(const struct store *s)
{
	MDB_envinfo info;
	MDB_stat stat;
	if (s->segment_last == 0)
		return false;
	mdb_env_info(s->segment->env, &info);
	mdb_env_stat(s->segment->env, &stat);
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize >= s->options.segment_bytes_max ||
		clock_now_us() - s->segment_first_at_us >= s->options.segment_age_s_max * 1000000;
}

/* Stops before the disk is full: the last of the room is for what else lives there, the index, the tables,
 * and for whoever has to clean up. */
static enum rc
check_room(const struct store *s, struct err *e)
{
	if (s->options.free_bytes_min == 0)
		return RC_OK;
	uint64_t free_bytes = probe_free_bytes(s->dir);
	if (free_bytes >= s->options.free_bytes_min)
		return RC_OK;
	return err_set(e, RC_FULL, "disk-full",
		"%" PRIu64 " MiB are free on the disk of %s, store.free_bytes_min wants %" PRIu64
		" MiB; make room, it goes on by itself",
		free_bytes >> 20, s->dir, s->options.free_bytes_min >> 20);
}

/* A segment that cannot be made for lack of room is no reason to stop: the old one goes on. Once the new
 * one has its name the old one is over, or its next record would stand in both. */
static enum rc
commit(struct store *s, struct commit *c, struct err *e)
{
	int code = 0;
	enum rc rc = check_room(s, e);
	if (rc == RC_OK)
		rc = index_ready(s->index, e);
	if (rc != RC_OK)
		return rc;
	if (s->next_made || segment_is_due(s))
		rc = writer_roll(s, e);
	if (rc == RC_FULL && !s->next_made)
		rc = RC_OK;
	if (rc == RC_OK)
		rc = commit_once(s, c, &code, e);
	if (rc == RC_FULL && code == MDB_MAP_FULL && s->segment_last != 0) {
		rc = writer_roll(s, e);
		if (rc == RC_OK)
			rc = commit_once(s, c, &code, e);
	}
	return rc;
}

/* ---- the thread ---- */

static void
answer(struct item *items, enum rc rc, const struct err *e)
{
	struct store_result result = { .rc = rc };
	if (rc != RC_OK)
		result.err = *e;
	while (items != NULL) {
		struct item *item = items;
		items = item->next;
		if (rc == RC_OK) {
			result.seq = item->seq;
			result.duplicate = item->duplicate;
		}
		if (item->batch_done != NULL)
			item->batch_done(item->batch_index, &result, item->context);
		else
			item->done(&result, item->context);
		packed_free(&item->packed);
		free(item);
	}
}

/* Any failure but a full disk is final: after a failed sync nobody knows what the page cache holds is
 * on disk, so going on would acknowledge on hearsay. */
static void
finish(struct store *s, struct commit *c, enum rc rc, struct err *e)
{
	if (rc == RC_OK) {
		accept_commit(s, c);
		set_health(s, RC_OK, NULL);
	} else {
		if (rc != RC_FULL && rc != RC_CORRUPT)
			rc = RC_IO;
		e->rc = rc;
		set_health(s, rc, e);
		if (rc != RC_FULL)
			recover_note_failure(s->dir, e);
	}
	answer(c->items, rc, e);
	if (rc == RC_OK && c->puts > 0)
		index_committed(s->index, s->last_seq, s->chain);
}

void *
writer_thread(void *context)
{
	struct store *s = context;
	for (;;) {
		struct commit c = { 0 };
		struct err e = { .rc = RC_OK };
		pthread_mutex_lock(&s->lock);
		queue_wait(s);
		if (s->roll_wanted) {
			pthread_mutex_unlock(&s->lock);
			roll_as_asked(s);
			continue;
		}
		if (s->first == NULL) {
			pthread_mutex_unlock(&s->lock);
			return NULL;
		}
		c.items = queue_take(s, &c.count);
		enum rc stopped = (enum rc)atomic_load(&s->health);
		if (stopped != RC_OK && stopped != RC_FULL)
			e = s->failure;
		pthread_mutex_unlock(&s->lock);
		if (e.rc != RC_OK) {
			answer(c.items, e.rc, &e);
			continue;
		}
		int64_t from_us = clock_monotonic_us();
		enum rc rc = commit(s, &c, &e);
		int64_t took_us = clock_monotonic_us() - from_us;
		queue_note_commit(s, c.count, took_us);
		if (rc == RC_OK)
			commits_note(&s->commits, c.count, took_us);
		finish(s, &c, rc, &e);
		s->answered_at_us = clock_monotonic_us();
	}
}
