/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/metrics.h"

static const int64_t bounds_us[METRICS_BUCKETS] = { 500, 1000, 2500, 5000, 10000, 25000, 50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000 };

enum outcome
metrics_outcome(unsigned status, bool stored, bool duplicate)
{
	switch (status) {
	case 200:
	case 202:
		return !stored ? OUTCOME_ANSWERED : duplicate ? OUTCOME_DUPLICATE : OUTCOME_STORED;
	case 400:
	case 405:
	case 415:
		return OUTCOME_MALFORMED;
	case 401:
	case 403:
		return OUTCOME_UNAUTHORIZED;
	case 404:
		return OUTCOME_NOT_FOUND;
	case 409:
		return OUTCOME_LOOP;
	case 413:
		return OUTCOME_TOO_LARGE;
	case 503:
		return OUTCOME_BUSY;
	default:
		return OUTCOME_OTHER;
	}
}

const char *
metrics_outcome_name(enum outcome outcome)
{
	static const char *const names[OUTCOME_COUNT] = { "stored", "duplicate", "answered",
		"malformed", "unauthorized", "not_found", "loop", "too_large", "busy", "other" };
	return names[outcome];
}

void
metrics_duration(struct metrics *m, int64_t us)
{
	size_t i = 0;
	while (i < METRICS_BUCKETS && us > bounds_us[i])
		i++;
	atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(
		&m->duration_us, us > 0 ? (unsigned long long)us : 0, memory_order_relaxed);
}

void
metrics_put_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
metrics_put(struct buf *out, const char *name, const char *labels, double value)
{
	if (labels == NULL)
		buf_printf(out, "%s %.17g\n", name, value);
	else
		buf_printf(out, "%s{%s} %.17g\n", name, labels, value);
}

void
metrics_put_duration(struct buf *out, const struct metrics *m)
{
	static const char name[] = "hooklog_ingest_duration_seconds";
	unsigned long long sum = 0;
	metrics_put_family(out, name, "histogram",
		"Time from a request's head to its answer, the commit included.");
	for (size_t i = 0; i <= METRICS_BUCKETS; i++) {
		sum += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		if (i < METRICS_BUCKETS)
			buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name,
				(double)bounds_us[i] / 1e6, sum);
		else
			buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, sum);
	}
	buf_printf(out, "%s_sum %.6f\n%s_count %llu\n", name,
		(double)atomic_load_explicit(&m->duration_us, memory_order_relaxed) / 1e6, name,
		sum);
}
