/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "tests/crash/check.h"
#include "tests/unit/store/helper.h"

#define LARGE_BYTES ((size_t)25 * 1000 * 1000)

void
check_event_make(struct check_event *c, uint64_t id)
{
	/* From a few bytes to more than two pages; every third compresses well. */
	uint64_t number = id & UINT32_MAX;
	size_t size = number % 5 == 0 ? 50 + number % 40 : 300 + (size_t)(number * 2654435761u % 9000);
	if ((id & CHECK_LARGE) != 0)
		size = LARGE_BYTES;
	free(c->body);
	c->body = helper_noise(size, id);
	if (number % 3 == 0)
		memset(c->body + 16, 'x', size - 16);
	snprintf(c->delivery, sizeof c->delivery, "d%" PRIu64, number);
	c->event = helper_event((id & CHECK_KEYLESS) != 0 ? "" : c->delivery,
		(struct bytes){ c->body, size });
}

void
check_event_free(struct check_event *c)
{
	free(c->body);
	c->body = NULL;
}

bool
check_wrong(struct check_outcome *out, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(out->text, sizeof out->text, fmt, args);
	va_end(args);
	out->bad = true;
	return false;
}

/* Whether the event is the audit of redacting event seq. */
static bool
is_audit(const struct event *ev, uint64_t seq)
{
	char start[64];
	snprintf(start, sizeof start, "{\"redacted_seq\":%" PRIu64 ",", seq);
	return bytes_is(ev->provider, "hooklog") && bytes_is(ev->event, "redaction") &&
		ev->body.len > strlen(start) && memcmp(ev->body.data, start, strlen(start)) == 0;
}

/* Whether the log, which ends with last, says that the event was redacted. */
static bool
has_audit(const struct check_expect *expect, uint64_t seq, uint64_t last)
{
	for (uint64_t i = 0; i < last; i++) {
		if (expect->ids[i] == (CHECK_AUDIT | seq))
			return true;
	}
	return false;
}

static bool
same_event(const struct check_expect *expect, const struct event *ev, uint64_t seq, uint64_t last)
{
	struct check_event c = { .body = NULL };
	uint64_t id = expect->ids[seq - 1];
	if (ev->seq != seq)
		return false;
	if ((id & CHECK_AUDIT) != 0)
		return is_audit(ev, id & UINT32_MAX);
	check_event_make(&c, id);
	bool redacted = (ev->flags & EVENT_FLAG_REDACTED) != 0;
	bool same = bytes_equal(ev->delivery, c.event.delivery) && bytes_equal(ev->source, c.event.source) &&
		(redacted ? ev->body.len == 0 && has_audit(expect, seq, last)
			  : bytes_equal(ev->body, c.event.body));
	check_event_free(&c);
	return same;
}

bool
check_read(struct store_reader *r, const struct check_expect *expect, struct check_outcome *out)
{
	struct store_span span;
	struct err e;
	if (store_span(r, &span, &e) != RC_OK)
		return check_wrong(out, "read: %s", e.text);
	out->first = span.first_seq;
	out->last = span.last_seq;
	if (span.last_seq > expect->count)
		return check_wrong(
			out, "ends with %" PRIu64 ", %zu were submitted", span.last_seq, expect->count);
	if (expect->archived && span.first_seq > 1)
		return check_wrong(out, "starts with %" PRIu64 ", archive included", span.first_seq);
	struct arena *a = arena_new(1 << 16);
	for (uint64_t seq = span.first_seq; !out->bad && seq != 0 && seq <= span.last_seq;) {
		const struct store_record *records;
		size_t count;
		arena_reset(a);
		if (store_read(r, seq, 16, 1 << 20, a, &records, &count, &e) != RC_OK || count == 0) {
			check_wrong(out, "read %" PRIu64 ": %s", seq, count == 0 ? "nothing" : e.text);
			break;
		}
		for (size_t i = 0; i < count; i++, seq++) {
			if (!same_event(expect, &records[i].event, seq, span.last_seq))
				check_wrong(out, "%" PRIu64 " is not what was stored", seq);
		}
	}
	arena_free(a);
	return !out->bad;
}

static bool
read_all(struct store *s, const struct check_expect *expect, struct check_outcome *out)
{
	struct store_reader *r;
	struct err e;
	if (store_reader_from(s, &r, &e) != RC_OK)
		return check_wrong(out, "read: %s", e.text);
	check_read(r, expect, out);
	store_reader_close(r);
	return !out->bad;
}

/* So many of the newest events are all sent again: what the index may not hold yet. */
#define SENT_AGAIN 16

/* Events on their way to the log, all at once, and what became of them. */
struct resent {
	pthread_mutex_t lock;
	pthread_cond_t landed;
	size_t in_the_air;
};

struct resent_event {
	struct check_event made;
	uint64_t seq; /* what it must be known as */
	struct store_result result;
	struct resent *all;
};

static void
resent_landed(const struct store_result *result, void *context)
{
	struct resent_event *ev = context;
	ev->result = *result;
	pthread_mutex_lock(&ev->all->lock);
	if (--ev->all->in_the_air == 0)
		pthread_cond_signal(&ev->all->landed);
	pthread_mutex_unlock(&ev->all->lock);
}

/* Whoever got no answer sends again; whoever got one may, too. */
static bool
send_again(struct store *s, const struct check_expect *expect, struct check_outcome *out)
{
	struct resent all = { .in_the_air = 1 };
	struct resent_event *events = base_zalloc((out->last - out->first + 2) * sizeof *events);
	size_t count = 0;
	struct err e;
	pthread_mutex_init(&all.lock, NULL);
	pthread_cond_init(&all.landed, NULL);
	for (uint64_t seq = out->first; seq != 0 && seq <= out->last; seq++) {
		uint64_t id = expect->ids[seq - 1];
		bool chosen = seq + SENT_AGAIN > out->last || (seq + expect->sample) % 4 == 0;
		if (!chosen || (id & (CHECK_KEYLESS | CHECK_LARGE | CHECK_AUDIT)) != 0)
			continue;
		struct resent_event *ev = &events[count++];
		*ev = (struct resent_event){ .seq = seq, .all = &all };
		check_event_make(&ev->made, id);
		pthread_mutex_lock(&all.lock);
		all.in_the_air++;
		pthread_mutex_unlock(&all.lock);
		if (store_submit(s, &ev->made.event, resent_landed, ev, &e) != RC_OK)
			return check_wrong(out, "%" PRIu64 " is not taken again: %s", seq, e.text);
	}
	pthread_mutex_lock(&all.lock);
	for (all.in_the_air--; all.in_the_air > 0;)
		pthread_cond_wait(&all.landed, &all.lock);
	pthread_mutex_unlock(&all.lock);
	for (size_t i = 0; !out->bad && i < count; i++) {
		const struct store_result *r = &events[i].result;
		if (r->rc != RC_OK || !r->duplicate || r->seq != events[i].seq)
			check_wrong(out, "%" PRIu64 " sent again gives %" PRIu64 " (%s)", events[i].seq, r->seq,
				r->rc == RC_OK ? "stored" : r->err.text);
	}
	for (size_t i = 0; i < count; i++)
		check_event_free(&events[i].made);
	free(events);
	return !out->bad;
}

static bool
write_on(struct store *s, const struct check_expect *expect, struct check_outcome *out)
{
	struct check_event c = { .body = NULL };
	for (unsigned i = 0; i < expect->write_on; i++) {
		uint64_t seq = out->last + 1 + i;
		check_event_make(&c, CHECK_WRITTEN_ON + i);
		struct store_result result = store_append(s, &c.event);
		if (result.rc != RC_OK || result.duplicate || result.seq != seq)
			return check_wrong(out, "writing on as %" PRIu64 " gives %" PRIu64 " (%s)", seq, result.seq,
				result.rc == RC_OK ? "stored" : result.err.text);
	}
	check_event_free(&c);
	return true;
}

static void
keep_finding(uint64_t seq, const char *text, void *context)
{
	struct check_outcome *out = context;
	if (!out->bad)
		check_wrong(out, "verify, %" PRIu64 ": %s", seq, text);
}

static void
verify(const char *dir, uint64_t last, struct check_outcome *out)
{
	struct store_verify_report report;
	struct err e = { .text = "" };
	enum rc rc = store_verify(dir, 1, 0, keep_finding, out, &report, &e);
	if (out->bad)
		return;
	if (rc != RC_OK && rc != RC_NOTFOUND)
		check_wrong(out, "verify: %s", e.text);
	else if (report.last_seq != last)
		check_wrong(out, "verify ends with %" PRIu64 " instead of %" PRIu64, report.last_seq, last);
}

void
check_log(const char *root, const struct check_expect *expect, struct check_outcome *out)
{
	struct store *s;
	struct err e = { .text = "" };
	char dir[300], archive[300];
	snprintf(dir, sizeof dir, "%s/" CHECK_LOG, root);
	snprintf(archive, sizeof archive, "%s/" CHECK_ARCHIVE, root);
	struct store_options options = { .dir = dir, .segment_bytes_max = expect->segment_bytes_max,
		.archive_dir = expect->archived ? archive : NULL };
	*out = (struct check_outcome){ .bad = false };
	if (store_open(&s, &options, &e) != RC_OK) {
		check_wrong(out, "does not open: %s", e.text);
		return;
	}
	if (!read_all(s, expect, out) || !send_again(s, expect, out) || !write_on(s, expect, out))
		return;
	store_close(s);
	verify(dir, out->last + expect->write_on, out);
	if (!out->bad && expect->further != NULL)
		expect->further(root, expect, out);
}
