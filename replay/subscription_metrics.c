/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/limits.h"
#include "replay/subscription.h"

struct figures {
	const char *name;
	bool pulled, served;
	uint64_t lag, sent, failed;
	double lag_s;
};

/* How long the first event that is not delivered has been waiting. */
static double
age_s(struct store_reader *r, uint64_t seq)
{
	struct arena *a = arena_new((size_t)64 * 1024);
	const struct store_record *records;
	size_t count;
	struct err e;
	double age = 0;
	if (store_read(r, seq, 1, 1, a, &records, &count, &e) == RC_OK && count == 1)
		age = (double)(clock_now_us() - records[0].event.received_at_us) / 1e6;
	arena_free(a);
	return age > 0 ? age : 0;
}

static bool
look(const char *dir, struct store_reader *r, uint64_t last, struct arena *a, struct figures *f)
{
	struct journal_state *state = arena_alloc(a, sizeof(*state));
	struct err e;
	if (journal_read(dir, f->name, a, state, &f->served, NULL, NULL, &e) != RC_OK)
		return false;
	f->pulled = subscription_is_pulled(dir, f->name, a);
	f->served = f->served && state->status == JOURNAL_STARTED;
	f->lag = last > state->window.settled ? last - state->window.settled : 0;
	f->lag_s = f->lag == 0 ? 0 : age_s(r, state->window.settled + 1);
	f->sent = state->sent;
	f->failed = state->failed;
	return true;
}

static void
put_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put(struct buf *out, const char *name, const struct figures *f, double value)
{
	buf_printf(out, "%s{subscription=\"%s\",kind=\"%s\"} %.17g\n", name, f->name,
		f->pulled ? "pull" : "push", value);
}

void
subscriptions_put_metrics(struct buf *out, const char *dir, struct store_reader *r)
{
	static const struct {
		const char *name, *type, *help;
	} families[] = {
		{ "hooklog_subscription_served", "gauge", "1: a process serves it and it has not stopped." },
		{ "hooklog_subscription_lag_events", "gauge",
			"Events of the log behind its position, whether selected or not." },
		{ "hooklog_subscription_lag_seconds", "gauge",
			"Age of the first event behind its position." },
		{ "hooklog_subscription_delivered_total", "counter",
			"Events delivered; of one that is pulled, events acknowledged." },
		{ "hooklog_subscription_failed", "gauge", "Events on its list of failures." },
	};
	struct arena *a = arena_new((size_t)64 * 1024);
	const char *const *names;
	size_t count = 0, known = 0;
	struct store_span span;
	struct err e;
	if (journal_list(dir, a, &names, &count, &e) != RC_OK || store_span(r, &span, &e) != RC_OK)
		count = 0;
	struct figures *all = arena_alloc(a, (count + 1) * sizeof(*all));
	for (size_t i = 0; i < count; i++) {
		all[known] = (struct figures){ .name = names[i] };
		known += look(dir, r, span.last_seq, a, &all[known]);
	}
	for (size_t k = 0; known > 0 && k < COUNT_OF(families); k++) {
		put_family(out, families[k].name, families[k].type, families[k].help);
		for (size_t i = 0; i < known; i++) {
			const struct figures *f = &all[i];
			const double values[] = { f->served, (double)f->lag, f->lag_s,
				(double)f->sent, (double)f->failed };
			put(out, families[k].name, f, values[k]);
		}
	}
	arena_free(a);
}
