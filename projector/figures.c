/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "projector/figures.h"

/* How old what we know of parked events may be: others retry and drop them. */
#define PARKED_AGE_MS 5000

void
figures_moved(struct projector_figures *f, const struct applier *before, const struct applier *after)
{
	if (f == NULL)
		return;
	if (after->generation->seq > atomic_load(&f->seq))
		atomic_fetch_add(&f->events, after->generation->seq - atomic_load(&f->seq));
	atomic_store(&f->seq, after->generation->seq);
	atomic_fetch_add(&f->parked_total, after->parked - before->parked);
	if (after->parked > before->parked)
		f->parked_read_ms = 0;
}

void
figures_attached(struct projector_figures *f, const struct generation *g)
{
	if (f == NULL)
		return;
	atomic_store(&f->seq, g->seq);
	f->parked_read_ms = 0;
	atomic_store(&f->known, true);
	atomic_store(&f->running, true);
}

void
figures_detached(struct projector_figures *f, bool trouble)
{
	if (f == NULL)
		return;
	atomic_store(&f->running, false);
	atomic_fetch_add(&f->retries, trouble);
}

enum rc
figures_read_parked(struct projector_figures *f, struct pg *pg, const struct generation *g, struct err *e)
{
	int64_t now_ms = clock_monotonic_ms();
	if (f == NULL || (f->parked_read_ms != 0 && now_ms - f->parked_read_ms < PARKED_AGE_MS))
		return RC_OK;
	unsigned char id[4];
	const struct pg_param param = pg_param_int4(g->id, id);
	struct pg_result *r = NULL;
	enum rc rc = pg_query(pg,
		"select count(*), coalesce((extract(epoch from min(parked_at)) * 1000000)::bigint, 0) "
		"from hooklog.parked_events where generation = $1",
		&param, 1, &r, e);
	if (rc == RC_OK) {
		atomic_store(&f->parked, strtoull(pg_field(r, 0, 0), NULL, 10));
		atomic_store(&f->parked_oldest_us, strtoll(pg_field(r, 0, 1), NULL, 10));
		f->parked_read_ms = now_ms;
	}
	pg_result_free(r);
	return rc;
}

/* ---- the text ---- */

static void
put(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

/* Seconds since then, 0 when then is 0 or ahead of our clock. */
static double
age_s(int64_t then_us)
{
	int64_t now_us = clock_now_us();
	return then_us == 0 || then_us > now_us ? 0 : (double)(now_us - then_us) / 1e6;
}

static int64_t
received_at(struct store_reader *r, uint64_t seq)
{
	struct arena *a = arena_new((size_t)64 * 1024);
	const struct store_record *records;
	size_t count = 0;
	struct err e;
	int64_t us = 0;
	if (store_read(r, seq, 1, 1, a, &records, &count, &e) == RC_OK && count == 1)
		us = records[0].event.received_at_us;
	arena_free(a);
	return us;
}

void
projector_put_metrics(struct buf *out, struct projector_figures *f, struct store_reader *r)
{
	struct store_span span;
	struct err e;
	uint64_t seq = atomic_load(&f->seq);
	put(out, "hooklog_projector_running", "gauge", "1: it has its lock and its connection, and is not paused.",
		atomic_load(&f->running));
	put(out, "hooklog_projector_events_total", "counter", "Events projected by this process.",
		(double)atomic_load(&f->events));
	put(out, "hooklog_projector_retries_total", "counter",
		"Times that the database was in trouble and the projector tried again.", (double)atomic_load(&f->retries));
	put(out, "hooklog_projector_parked_total", "counter", "Events parked by this process.",
		(double)atomic_load(&f->parked_total));
	if (!atomic_load(&f->known) || store_span(r, &span, &e) != RC_OK)
		return;
	put(out, "hooklog_projector_seq", "gauge", "All events up to this number are in the live tables.", (double)seq);
	put(out, "hooklog_projector_lag_events", "gauge", "Events of the log that are not in the live tables.",
		span.last_seq > seq ? (double)(span.last_seq - seq) : 0);
	put(out, "hooklog_projector_lag_seconds", "gauge", "Age of the first event that is not in the live tables.",
		span.last_seq > seq ? age_s(received_at(r, seq + 1)) : 0);
	put(out, "hooklog_projector_parked", "gauge", "Events that could not be projected.",
		(double)atomic_load(&f->parked));
	put(out, "hooklog_projector_parked_oldest_seconds", "gauge",
		"How long the first of them has been parked; 0: none is.", age_s(atomic_load(&f->parked_oldest_us)));
}
