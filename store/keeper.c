/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/keeper_work.h"
#include "store/reader.h"
#include "store/record.h"
#include "store/stats.h"

#define CHECKPOINT_INTERVAL_S 3600
/* How often the thread looks around by itself. */
#define TICK_MS 1000

/* ---- the thread ---- */

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
		keeper_work_rotate(k);
		keeper_work_sign(k, rolled, last_time, last_seq);
		if (!last_time)
			keeper_work_look(k);
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
			keeper_add_sealed(k, st->first_seq);
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
