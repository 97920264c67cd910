/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/load.h"

/* The program, libpq and rows on their way to it: measured, some 80 MiB. */
#define BESIDE_BYTES ((size_t)96 * 1024 * 1024)

/* For rows and batches. */
static size_t
memory_bytes(const struct projector_options *o)
{
	size_t max = o->memory_bytes_max == 0 ? (size_t)1 << 30 : o->memory_bytes_max;
	return max > 2 * BESIDE_BYTES ? max - BESIDE_BYTES : max;
}

size_t
load_state_bytes(const struct projector_options *o)
{
	return memory_bytes(o) / 8 * 5;
}

/* Bodies a batch may have, of what is left: each thread has two, which take up to three times that with
 * what they fold to and what arenas waste. */
static size_t
batch_bytes(const struct projector_options *o, size_t threads)
{
	return memory_bytes(o) / 8 * 3 / (2 * threads * 3);
}

/* Events that are read, then folded, by one thread: so few that what was read is still in the processor's cache when it is
 * folded. The larger batches of settings are for the database's sake. */
#define FOLD_EVENTS_MAX 500

static enum rc
take(struct state *st, const struct fold *fold, const struct load_hooks *h, struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < fold->count && rc == RC_OK; i++) {
		const struct fold_table *t = &fold->tables[i];
		if (h->streamed != NULL && state_is_streamed(t->definition)) {
			if (st->first_pass && t->count > 0)
				rc = h->streamed(i, t, h->context, e);
			continue;
		}
		for (const struct fold_row *row = t->first; row != NULL; row = row->next) {
			struct state_row *merged = state_merge(st, &st->tables[i], row);
			if (h->merged != NULL && merged != NULL)
				h->merged(i, merged, h->context);
		}
	}
	for (size_t i = 0; i < fold->parked_count && rc == RC_OK && st->first_pass && h->parked != NULL; i++)
		rc = h->parked(fold->parked[i].seq, fold->parked[i].reason, h->context, e);
	return rc;
}

/* Batches are read and folded by several threads and merged here. */
static enum rc
start_ahead(struct session *s, uint64_t first, uint64_t last, const struct load_hooks *h, struct err *e)
{
	struct ahead_options options = { .catalog = &s->catalog, .reader = s->o->reader, .first = first,
		.last = last, .events_max = s->o->batch_events_max, .bytes_max = s->o->batch_bytes_max,
		.threads = ahead_threads(),
		.refused = { h->refused_count > 0 ? "refused" : NULL, h->refused, h->refused_count } };
	if (options.events_max > FOLD_EVENTS_MAX)
		options.events_max = FOLD_EVENTS_MAX;
	size_t share = batch_bytes(s->o, options.threads);
	if (options.bytes_max > share)
		options.bytes_max = share;
	return ahead_start(&s->ahead, &options, e);
}

enum rc
load_pass(struct session *s, struct state *st, uint64_t first, uint64_t last, const struct load_hooks *h,
	unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	enum rc rc = first > last ? RC_OK : start_ahead(s, first, last, h, e);
	for (uint64_t seq = first; rc == RC_OK && seq <= last;) {
		struct ahead_batch batch;
		if (session_stopped(s, 0)) {
			rc = err_set(e, RC_AGAIN, "project.rebuild-interrupted",
				"stopped while reading the log, at event %" PRIu64 "; run it again", seq);
			break;
		}
		rc = session_read_error(ahead_take(s->ahead, &batch, e), seq, e);
		if (rc == RC_OK && batch.count == 0)
			rc = err_set(e, RC_CONFLICT, "project.log-mismatch",
				"the log ends before event %" PRIu64, seq);
		if (rc == RC_OK)
			rc = take(st, &batch.fold, h, e);
		if (rc != RC_OK)
			break;
		seq += batch.count;
		memcpy(chain, batch.records[batch.count - 1].chain, STORE_CHAIN_BYTES);
		if (s->o->progress != NULL)
			s->o->progress(seq - 1, last, s->o->context);
	}
	session_stop_ahead(s);
	return rc;
}
