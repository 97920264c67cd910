/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/check.h"
#include "tests/unit/store/helper.h"

#define WRITTEN_ON ((uint64_t)1 << 31)
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

static bool
wrong(struct check_outcome *out, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(out->text, sizeof out->text, fmt, args);
	va_end(args);
	out->bad = true;
	return false;
}

static bool
same_event(const struct store_record *r, const struct check_event *c)
{
	return bytes_equal(r->event.body, c->event.body) &&
		bytes_equal(r->event.delivery, c->event.delivery) &&
		bytes_equal(r->event.source, c->event.source);
}

static bool
read_all(struct store *s, const struct check_expect *expect, struct check_outcome *out)
{
	struct store_reader *r;
	struct store_span span;
	struct err e;
	struct arena *a = arena_new(1 << 16);
	struct check_event c = { .body = NULL };
	if (store_reader_from(s, &r, &e) != RC_OK || store_span(r, &span, &e) != RC_OK)
		return wrong(out, "read: %s", e.text);
	out->first = span.first_seq;
	out->last = span.last_seq;
	if (span.last_seq > expect->count)
		return wrong(out, "ends with %" PRIu64 ", %zu were submitted", span.last_seq, expect->count);
	for (uint64_t seq = span.first_seq; seq != 0 && seq <= span.last_seq;) {
		const struct store_record *records;
		size_t count;
		arena_reset(a);
		if (store_read(r, seq, 16, 1 << 20, a, &records, &count, &e) != RC_OK || count == 0)
			return wrong(out, "read %" PRIu64 ": %s", seq, count == 0 ? "nothing" : e.text);
		for (size_t i = 0; i < count; i++, seq++) {
			check_event_make(&c, expect->ids[seq - 1]);
			if (records[i].event.seq != seq || !same_event(&records[i], &c))
				return wrong(out, "%" PRIu64 " is not what was stored", seq);
		}
	}
	check_event_free(&c);
	store_reader_close(r);
	arena_free(a);
	return true;
}

/* Whoever got no answer sends again; whoever got one may, too. */
static bool
send_again(struct store *s, const struct check_expect *expect, struct check_outcome *out)
{
	struct check_event c = { .body = NULL };
	for (uint64_t seq = out->first; seq != 0 && seq <= out->last; seq++) {
		uint64_t id = expect->ids[seq - 1];
		if ((id & (CHECK_KEYLESS | CHECK_LARGE)) != 0)
			continue;
		check_event_make(&c, id);
		struct store_result result = store_append(s, &c.event);
		if (result.rc != RC_OK || !result.duplicate || result.seq != seq)
			return wrong(out, "%" PRIu64 " sent again gives %" PRIu64 " (%s)", seq, result.seq,
				result.rc == RC_OK ? "stored" : result.err.text);
	}
	check_event_free(&c);
	return true;
}

static bool
write_on(struct store *s, const struct check_expect *expect, struct check_outcome *out)
{
	struct check_event c = { .body = NULL };
	for (unsigned i = 0; i < expect->write_on; i++) {
		uint64_t seq = out->last + 1 + i;
		check_event_make(&c, WRITTEN_ON + i);
		struct store_result result = store_append(s, &c.event);
		if (result.rc != RC_OK || result.duplicate || result.seq != seq)
			return wrong(out, "writing on as %" PRIu64 " gives %" PRIu64 " (%s)", seq, result.seq,
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
		wrong(out, "verify, %" PRIu64 ": %s", seq, text);
}

void
check_log(const char *dir, const struct check_expect *expect, struct check_outcome *out)
{
	struct store *s;
	struct err e = { .text = "" };
	struct store_verify_report report;
	struct store_options options = { .dir = dir, .segment_bytes_max = expect->segment_bytes_max };
	*out = (struct check_outcome){ .bad = false };
	if (store_open(&s, &options, &e) != RC_OK) {
		wrong(out, "does not open: %s", e.text);
		return;
	}
	if (!read_all(s, expect, out) || !send_again(s, expect, out) || !write_on(s, expect, out))
		return;
	store_close(s);
	enum rc rc = store_verify(dir, 1, 0, keep_finding, out, &report, &e);
	if (out->bad)
		return;
	if (rc != RC_OK && rc != RC_NOTFOUND)
		wrong(out, "verify: %s", e.text);
	else if (report.last_seq != out->last + expect->write_on)
		wrong(out, "verify ends with %" PRIu64 " instead of %" PRIu64, report.last_seq,
			out->last + expect->write_on);
}
