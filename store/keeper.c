/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/keeper.h"
#include "store/ledger.h"
#include "store/probe.h"
#include "store/reader.h"
#include "store/record.h"
#include "store/seal.h"
#include "store/stats.h"
#include "store/watch.h"

#define CHECKPOINT_INTERVAL_S 3600
/* How often the thread looks around by itself. */
#define TICK_MS 1000
#define FIGURES_MS 5000
/* What failed is tried again after this. */
#define RETRY_MS 30000
/* A stop waits for this much of hashing, some seconds; the rest is done after the next start. */
#define CLOSING_SEALS_MAX 4
/* Redactions waiting for their seal; more wait for a later call. */
#define RESEAL_MAX 64

struct keeper {
	struct segment_set *set;
	struct ledger *ledger;
	int64_t interval_ms;
	pthread_mutex_t lock;
	pthread_cond_t changed, done;
	pthread_t thread;
	bool started;
	/* Guarded by lock. */
	bool closing, rolled;
	bool rotate;                /* the key is to be changed */
	enum rc rotated;            /* how that went */
	struct err rotate_err;
	uint64_t again[RESEAL_MAX]; /* segments whose file was replaced, to be sealed once more */
	size_t again_count;
	uint64_t segment_first; /* the one that is written to */
	int64_t clock_steps;
	uint64_t last_seq; /* of the log */
	unsigned char chain[STORE_CHAIN_BYTES];
	/* The thread's own. */
	struct watch watch;
	struct probe probe;
	int64_t figures_at_ms;
	struct seal_tree tree;
	bool seals_by_old_key, end_by_old_key; /* to be signed with the present one, too */
	uint64_t signed_seq; /* of the newest statement */
	int64_t signed_at_ms, retry_at_ms;
	uint64_t *sealed; /* first numbers of the segments that have a seal, rising */
	size_t sealed_count, sealed_room;
};

/* ---- which segments are sealed, or cannot be ---- */

static bool
is_sealed(const struct keeper *k, uint64_t first_seq)
{
	for (size_t i = k->sealed_count; i-- > 0;) {
		if (k->sealed[i] == first_seq)
			return true;
	}
	return false;
}

static void
add_sealed(struct keeper *k, uint64_t first_seq)
{
	if (is_sealed(k, first_seq))
		return;
	if (k->sealed_count == k->sealed_room) {
		k->sealed_room = k->sealed_room == 0 ? 64 : 2 * k->sealed_room;
		k->sealed = base_realloc(k->sealed, k->sealed_room * sizeof *k->sealed);
	}
	k->sealed[k->sealed_count++] = first_seq;
}

/* ---- work ---- */

static bool
closing(void *context)
{
	struct keeper *k = context;
	pthread_mutex_lock(&k->lock);
	bool yes = k->closing;
	pthread_mutex_unlock(&k->lock);
	return yes;
}

static enum rc
seal(struct keeper *k, uint64_t first_seq, bool again, struct err *e)
{
	struct segment *s;
	struct store_statement st;
	enum rc rc = segment_acquire(k->set, first_seq, &s, e);
	if (rc != RC_OK)
		return rc;
	rc = seal_protect(s, e);
	if (rc == RC_OK && (again || !is_sealed(k, first_seq))) {
		rc = seal_describe(s, &st, NULL, NULL, e);
		if (rc == RC_OK)
			rc = ledger_append(k->ledger, &st, e);
		if (rc == RC_OK) {
			add_sealed(k, first_seq);
			if (st.seq > k->signed_seq) {
				k->signed_seq = st.seq;
				k->signed_at_ms = clock_monotonic_ms();
			}
			LOG_INFO("log.sealed", F_U("first", st.first_seq), F_U("last", st.seq),
				F_U("bytes", st.file_bytes));
		}
	}
	segment_release(s);
	return rc;
}

/* Seals every segment but the last that is not sealed yet. */
static enum rc
seal_all(struct keeper *k, struct err *e)
{
	struct arena *a = arena_new(4096);
	uint64_t *firsts;
	size_t count, while_closing = 0;
	enum rc rc = dir_segments(segment_set_dir(k->set), a, &firsts, &count, e);
	for (size_t i = 0; rc == RC_OK && i + 1 < count; i++) {
		if (is_sealed(k, firsts[i]))
			continue;
		if (closing(k) && while_closing++ == CLOSING_SEALS_MAX)
			break;
		rc = seal(k, firsts[i], false, e);
		if (rc == RC_CORRUPT) {
			/* Nothing is signed that is not sound, and nothing else waits for it. */
			log_err("log.damaged", e);
			add_sealed(k, firsts[i]);
			rc = RC_OK;
		}
		if (rc == RC_NOTFOUND)
			rc = RC_OK; /* removed meanwhile */
	}
	arena_free(a);
	return rc;
}

/* Seals what keeper_reseal asked for: the newest seal of a segment counts. */
static enum rc
seal_again(struct keeper *k, struct err *e)
{
	enum rc rc = RC_OK;
	while (rc == RC_OK) {
		pthread_mutex_lock(&k->lock);
		uint64_t first_seq = k->again_count > 0 ? k->again[k->again_count - 1] : 0;
		pthread_mutex_unlock(&k->lock);
		if (first_seq == 0)
			break;
		rc = seal(k, first_seq, true, e);
		if (rc == RC_NOTFOUND)
			rc = RC_OK;
		if (rc != RC_OK)
			break;
		/* Others are only ever added, and only at the end. */
		pthread_mutex_lock(&k->lock);
		size_t i = 0;
		while (k->again[i] != first_seq)
			i++;
		memmove(&k->again[i], &k->again[i + 1], (--k->again_count - i) * sizeof k->again[0]);
		pthread_cond_broadcast(&k->done);
		pthread_mutex_unlock(&k->lock);
	}
	return rc;
}

/* Signs where the log stands. */
static enum rc
checkpoint(struct keeper *k, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct segment *s = NULL;
	uint64_t *firsts;
	size_t count;
	pthread_mutex_lock(&k->lock);
	struct store_statement st = { .kind = STORE_CHECKPOINT, .seq = k->last_seq };
	memcpy(st.chain, k->chain, STORE_CHAIN_BYTES);
	pthread_mutex_unlock(&k->lock);
	enum rc rc = dir_segments(segment_set_dir(k->set), a, &firsts, &count, e);
	while (rc == RC_OK && count > 0 && firsts[count - 1] > st.seq)
		count--;
	if (rc != RC_OK || count == 0)
		goto done;
	rc = segment_acquire(k->set, firsts[count - 1], &s, e);
	if (rc != RC_OK)
		goto done;
	rc = seal_tree_follow(&k->tree, s, st.seq, NULL, NULL, NULL, e);
	if (rc != RC_OK)
		goto done;
	/* What is signed is what stands on the disk, and it must be what was acknowledged. */
	if (memcmp(k->tree.chain, st.chain, STORE_CHAIN_BYTES) != 0) {
		rc = err_set(e, RC_CORRUPT, "log.damaged",
			"record %" PRIu64 " on disk is not the one that was written", st.seq);
		goto done;
	}
	st.first_seq = s->first_seq;
	tree_root(&k->tree.tree, NULL, st.root);
	memcpy(st.dicts, k->tree.dicts, sizeof st.dicts);
	rc = ledger_append(k->ledger, &st, e);
	if (rc == RC_OK) {
		k->signed_seq = st.seq;
		k->signed_at_ms = clock_monotonic_ms();
	}
done:
	segment_release(s);
	arena_free(a);
	return rc;
}

/* Signs what an earlier key has signed and still counts. */
static enum rc
sign_with_new_key(struct keeper *k, uint64_t last_seq, struct err *e)
{
	enum rc rc = RC_OK;
	if (k->end_by_old_key && last_seq > 0)
		rc = checkpoint(k, e);
	if (rc != RC_OK)
		return rc;
	k->end_by_old_key = false;
	if (k->seals_by_old_key)
		rc = ledger_renew_seals(k->ledger, closing, k, e);
	if (rc == RC_AGAIN)
		return RC_OK; /* the next start goes on */
	k->seals_by_old_key = k->seals_by_old_key && rc != RC_OK;
	return rc;
}

/* Does what keeper_rotate_key asked for. */
static void
rotate_key(struct keeper *k)
{
	pthread_mutex_lock(&k->lock);
	bool asked = k->rotate;
	uint64_t last_seq = k->last_seq;
	pthread_mutex_unlock(&k->lock);
	if (!asked)
		return;
	struct err e = { .text = "" }, later;
	enum rc rc = ledger_rotate(k->ledger, &e);
	if (rc == RC_OK) {
		LOG_INFO("log.key-changed", F_S("path", segment_set_dir(k->set)));
		k->seals_by_old_key = k->end_by_old_key = true;
		if (sign_with_new_key(k, last_seq, &later) != RC_OK)
			log_err("log.checkpoints", &later); /* it is tried again */
	}
	pthread_mutex_lock(&k->lock);
	k->rotate = false;
	k->rotated = rc;
	k->rotate_err = e;
	pthread_cond_broadcast(&k->done);
	pthread_mutex_unlock(&k->lock);
}

static void
look_at_readers(struct keeper *k)
{
	struct segment *s;
	struct err e;
	int64_t oldest_ms = 0, now_ms = clock_monotonic_ms();
	pthread_mutex_lock(&k->lock);
	uint64_t first = k->segment_first;
	int64_t clock_steps = k->clock_steps;
	pthread_mutex_unlock(&k->lock);
	if (segment_acquire(k->set, first, &s, &e) != RC_OK)
		return;
	watch_look(&k->watch, s->env, now_ms, &oldest_ms);
	segment_release(s);
	if (k->figures_at_ms != 0 && now_ms - k->figures_at_ms < FIGURES_MS)
		return;
	k->figures_at_ms = now_ms;
	stats_write(segment_set_dir(k->set),
		&(struct store_stats){ .written_at_us = clock_now_us(),
			.sync_us = k->probe.sync_us,
			.oldest_reader_ms = oldest_ms,
			.slow_readers = (int64_t)k->watch.slow,
			.cleared_readers = (int64_t)k->watch.cleared,
			.clock_steps = clock_steps });
}

static void
work(struct keeper *k, bool rolled, bool last_time, uint64_t last_seq)
{
	struct err e = { .text = "" };
	int64_t now_ms = clock_monotonic_ms();
	enum rc rc = RC_OK;
	if (now_ms < k->retry_at_ms && !last_time)
		return;
	if (rolled)
		rc = seal_all(k, &e);
	if (rolled && rc == RC_OK)
		rc = seal_again(k, &e);
	if (rc == RC_OK)
		rc = sign_with_new_key(k, last_seq, &e);
	if (rc == RC_OK && last_seq > k->signed_seq &&
		(last_time || now_ms - k->signed_at_ms >= k->interval_ms))
		rc = checkpoint(k, &e);
	if (rc == RC_OK) {
		k->retry_at_ms = 0;
		return;
	}
	log_err("log.checkpoints", &e);
	k->retry_at_ms = now_ms + RETRY_MS;
	pthread_mutex_lock(&k->lock);
	k->rolled = k->rolled || rolled;
	pthread_mutex_unlock(&k->lock);
}

static void *
keeper_thread(void *context)
{
	struct keeper *k = context;
	bool last_time = false;
	pthread_mutex_lock(&k->lock);
	while (!last_time) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += TICK_MS / 1000;
		if (!k->closing && !k->rolled && !k->rotate)
			pthread_cond_timedwait(&k->changed, &k->lock, &until);
		else if (!k->closing && !k->rotate && k->retry_at_ms != 0)
			pthread_cond_timedwait(&k->changed, &k->lock, &until);
		last_time = k->closing;
		bool rolled = k->rolled;
		uint64_t last_seq = k->last_seq;
		if (clock_monotonic_ms() >= k->retry_at_ms)
			k->rolled = false;
		pthread_mutex_unlock(&k->lock);
		rotate_key(k);
		work(k, rolled, last_time, last_seq);
		if (!last_time)
			look_at_readers(k);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* ---- opening ---- */

/* The chain value of record seq, or RC_NOTFOUND when it is not held any more. */
static enum rc
chain_at(struct keeper *k, uint64_t seq, unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	struct store_reader *r = reader_new(k->set);
	struct segment *s = NULL;
	MDB_txn *txn = NULL;
	struct bytes record;
	struct record_header h;
	size_t index;
	enum rc rc = reader_locate(r, seq, &index, e);
	if (rc == RC_OK && index == r->count)
		rc = err_set(e, RC_NOTFOUND, NULL, "record %" PRIu64 " is not held", seq);
	if (rc == RC_OK)
		rc = reader_enter(r, index, &s, &txn, e);
	if (rc == RC_OK)
		rc = segment_get(s, txn, seq, &record, e);
	if (rc == RC_OK)
		rc = record_open(record, seq, &h, e);
	if (rc == RC_OK)
		memcpy(chain, h.chain, STORE_CHAIN_BYTES);
	if (s != NULL)
		reader_leave(s, txn);
	store_reader_close(r);
	return rc;
}

/* A quick look at whether the log is the one that was signed last; verify does the whole of it. */
static enum rc
compare_newest(struct keeper *k, const struct ledger_view *v, uint64_t last_seq, struct err *e)
{
	const struct store_statement *newest = NULL;
	unsigned char chain[STORE_CHAIN_BYTES];
	const char *dir = segment_set_dir(k->set);
	for (size_t i = 0; i < v->count; i++) {
		const struct store_statement *st = &v->statements[i];
		if (st->kind == STORE_SEAL)
			add_sealed(k, st->first_seq);
		if (st->kind == STORE_SEAL && !ledger_current(k->ledger, st))
			k->seals_by_old_key = true; /* unless that was done already */
		if (st->kind != STORE_KEY && (newest == NULL || st->seq >= newest->seq))
			newest = st;
	}
	if (newest == NULL)
		return RC_OK;
	k->end_by_old_key = !ledger_current(k->ledger, newest);
	if (!ledger_signed(segment_set_log_id(k->set), newest)) {
		LOG_WARN("log.checkpoints", F_S("path", dir), F_U("line", newest->line),
			F_S("note", "a checkpoint is not signed as it should be; run `hooklog log verify`"));
		return RC_OK;
	}
	k->signed_seq = newest->seq;
	if (newest->seq > last_seq)
		return err_set(e, RC_CORRUPT, "log.lost-tail",
			"the log %s ends with %" PRIu64 ", but record %" PRIu64
			" was signed; restore it from a newer backup, or move %s/%s away and remove %s/head "
			"to go on without the rest",
			dir, last_seq, newest->seq, dir, LEDGER_NAME, dir);
	enum rc rc = chain_at(k, newest->seq, chain, e);
	if (rc == RC_NOTFOUND)
		return RC_OK;
	if (rc == RC_OK && memcmp(chain, newest->chain, STORE_CHAIN_BYTES) != 0)
		rc = err_set(e, RC_CORRUPT, "log.rewritten",
			"the log %s is not the one that was signed: up to record %" PRIu64
			" it has another history; run `hooklog log verify`",
			dir, newest->seq);
	return rc;
}

static void
probe(struct keeper *k)
{
	const char *dir = segment_set_dir(k->set), *warning = NULL;
	struct err e;
	probe_sync(dir, &k->probe);
	/* Of memory and the like it is known anyway, and was said. */
	if (dir_check_filesystem(dir, &warning, &e) == RC_OK && warning == NULL &&
		k->probe.doubt != NULL)
		LOG_WARN("log.sync-suspicious", F_S("path", dir), F_I("us", k->probe.sync_us),
			F_S("note", k->probe.doubt));
}

static enum rc
start(struct keeper *k, struct err *e)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&k->thread, NULL, keeper_thread, k);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0)
		return err_sys(e, RC_IO, NULL, code, "start the thread that signs checkpoints");
	k->started = true;
	return RC_OK;
}

enum rc
keeper_open(struct keeper **out, struct segment_set *set, int64_t checkpoint_interval_s,
	uint64_t segment_first, uint64_t last_seq, const unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	struct keeper *k = base_zalloc(sizeof *k);
	struct arena *a = arena_new(4096);
	struct ledger_view v;
	pthread_condattr_t attr;
	*out = NULL;
	k->set = segment_set_ref(set);
	k->interval_ms = 1000 * (checkpoint_interval_s > 0 ? checkpoint_interval_s : CHECKPOINT_INTERVAL_S);
	k->segment_first = segment_first;
	k->last_seq = last_seq;
	memcpy(k->chain, chain, STORE_CHAIN_BYTES);
	k->signed_at_ms = clock_monotonic_ms();
	k->rolled = true; /* the run before may have left something to seal */
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->changed, &attr);
	pthread_cond_init(&k->done, &attr);
	pthread_condattr_destroy(&attr);
	enum rc rc = ledger_open(&k->ledger, segment_set_dir(set), segment_set_log_id(set), a, &v, e);
	if (rc == RC_OK)
		rc = compare_newest(k, &v, last_seq, e);
	if (rc == RC_OK)
		rc = ledger_introduce(k->ledger, &v, e);
	if (rc == RC_OK)
		probe(k);
	if (rc == RC_OK)
		rc = start(k, e);
	arena_free(a);
	if (rc != RC_OK) {
		keeper_close(k);
		return rc;
	}
	*out = k;
	return RC_OK;
}

void
keeper_close(struct keeper *k)
{
	if (k == NULL)
		return;
	if (k->started) {
		pthread_mutex_lock(&k->lock);
		k->closing = true;
		pthread_cond_signal(&k->changed);
		pthread_mutex_unlock(&k->lock);
		pthread_join(k->thread, NULL);
		stats_remove(segment_set_dir(k->set));
	}
	ledger_close(k->ledger);
	segment_set_unref(k->set);
	free(k->sealed);
	pthread_cond_destroy(&k->changed);
	pthread_cond_destroy(&k->done);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

void
keeper_committed(struct keeper *k, uint64_t last_seq, const unsigned char chain[STORE_CHAIN_BYTES])
{
	pthread_mutex_lock(&k->lock);
	k->last_seq = last_seq;
	memcpy(k->chain, chain, STORE_CHAIN_BYTES);
	pthread_mutex_unlock(&k->lock);
}

void
keeper_rolled(struct keeper *k, uint64_t segment_first)
{
	pthread_mutex_lock(&k->lock);
	k->segment_first = segment_first;
	k->rolled = true;
	pthread_cond_signal(&k->changed);
	pthread_mutex_unlock(&k->lock);
}

enum rc
keeper_reseal(struct keeper *k, uint64_t first_seq, int64_t timeout_ms, struct err *e)
{
	struct timespec until;
	bool waiting = true;
	enum rc rc = RC_OK;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	pthread_mutex_lock(&k->lock);
	if (k->again_count == RESEAL_MAX)
		rc = err_set(e, RC_AGAIN, "log.checkpoints", "too many segments wait for their seal");
	else
		k->again[k->again_count++] = first_seq;
	k->rolled = true;
	pthread_cond_signal(&k->changed);
	while (rc == RC_OK && waiting) {
		waiting = false;
		for (size_t i = 0; i < k->again_count; i++)
			waiting = waiting || k->again[i] == first_seq;
		if (waiting && pthread_cond_timedwait(&k->done, &k->lock, &until) != 0)
			rc = err_set(e, RC_AGAIN, "log.checkpoints",
				"segment %" PRIu64 " is not sealed again yet; it will be", first_seq);
	}
	pthread_mutex_unlock(&k->lock);
	return rc;
}

enum rc
keeper_rotate_key(struct keeper *k, int64_t timeout_ms, struct err *e)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	pthread_mutex_lock(&k->lock);
	k->rotate = true;
	pthread_cond_signal(&k->changed);
	int code = 0;
	while (k->rotate && code == 0)
		code = pthread_cond_timedwait(&k->done, &k->lock, &until);
	enum rc rc = k->rotated;
	if (k->rotate)
		rc = err_set(e, RC_AGAIN, "log.checkpoints", "the key is not changed yet; it will be");
	else if (rc != RC_OK)
		*e = k->rotate_err;
	pthread_mutex_unlock(&k->lock);
	return rc;
}

void
keeper_clock_stepped(struct keeper *k)
{
	pthread_mutex_lock(&k->lock);
	k->clock_steps++;
	pthread_mutex_unlock(&k->lock);
}
