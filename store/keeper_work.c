/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/keeper_work.h"
#include "store/stats.h"

#define FIGURES_MS 5000
/* What failed is tried again after this. */
#define RETRY_MS 30000
/* A stop waits for this much of hashing, some seconds; the rest is done after the next start. */
#define CLOSING_SEALS_MAX 4

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

void
keeper_add_sealed(struct keeper *k, uint64_t first_seq)
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
			keeper_add_sealed(k, first_seq);
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
			keeper_add_sealed(k, firsts[i]);
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

void
keeper_work_rotate(struct keeper *k)
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

void
keeper_work_look(struct keeper *k)
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

void
keeper_work_sign(struct keeper *k, bool rolled, bool last_time, uint64_t last_seq)
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
