/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/jpath.h"
#include "replay/failures.h"

/* Where seq is, or would be. */
static size_t
place_of(const struct failures *f, uint64_t seq)
{
	size_t low = 0, high = f->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->seqs[middle] < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
failures_add(struct failures *f, uint64_t seq)
{
	size_t at = place_of(f, seq);
	if (at < f->count && f->seqs[at] == seq)
		return;
	if (f->count == f->cap) {
		f->cap = f->cap == 0 ? 64 : 2 * f->cap;
		f->seqs = base_realloc(f->seqs, f->cap * sizeof(*f->seqs));
	}
	memmove(f->seqs + at + 1, f->seqs + at, (f->count - at) * sizeof(*f->seqs));
	f->seqs[at] = seq;
	f->count++;
}

bool
failures_remove(struct failures *f, uint64_t seq)
{
	size_t at = place_of(f, seq);
	if (at == f->count || f->seqs[at] != seq)
		return false;
	f->count--;
	memmove(f->seqs + at, f->seqs + at + 1, (f->count - at) * sizeof(*f->seqs));
	return true;
}

void
failures_free(struct failures *f)
{
	free(f->seqs);
	*f = (struct failures){ 0 };
}

enum { SEQ, STATUS, ATTEMPTS, AT, WHY, DELIVERED, MEMBERS };

static enum rc
read_all(int fd, struct arena *a, struct bytes *data, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(e, RC_IO, NULL, errno, "read failed.ndjson");
	size_t size = (size_t)st.st_size, got = 0;
	unsigned char *text = arena_alloc(a, size + 1);
	while (got < size) {
		ssize_t n = pread(fd, text + got, size - got, (off_t)got);
		if (n < 0)
			return err_sys(e, RC_IO, NULL, errno, "read failed.ndjson");
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*data = (struct bytes){ text, got };
	return RC_OK;
}

/* Calls fn for every whole line; *whole: their length. */
static enum rc
each_line(int fd, struct arena *a, size_t *whole,
	void (*fn)(const struct jpath_value v[MEMBERS], struct arena *a, void *context),
	void *context, struct err *e)
{
	static const char *const names[MEMBERS] = { "seq", "status", "attempts", "at", "why",
		"delivered" };
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	struct bytes data = { NULL, 0 };
	size_t slots[MEMBERS];
	*whole = 0;
	enum rc rc = read_all(fd, a, &data, e);
	for (size_t i = 0; rc == RC_OK && i < MEMBERS; i++)
		rc = jpath_add(set, names[i], &slots[i], e);
	while (rc == RC_OK && *whole < data.len) {
		const unsigned char *start = data.data + *whole;
		const unsigned char *end = memchr(start, '\n', data.len - *whole);
		if (end == NULL)
			break;
		struct jpath_value v[MEMBERS];
		if (jpath_walk(set, (struct bytes){ start, (size_t)(end - start) }, a, &doc,
			    NULL) != RC_OK) {
			rc = err_set(e, RC_CORRUPT, "replay.record", "failed.ndjson is damaged");
			break;
		}
		for (size_t i = 0; i < MEMBERS; i++)
			v[i] = jpath_get(doc, slots[i], 0);
		fn(v, a, context);
		*whole = (size_t)(end - data.data) + 1;
	}
	jpath_set_free(set);
	return rc;
}

static void
note(const struct jpath_value v[MEMBERS], struct arena *a UNUSED, void *context)
{
	struct failures *f = context;
	int64_t seq;
	if (!jpath_int64(v[SEQ], &seq))
		return;
	if (v[DELIVERED].type == JPATH_TRUE)
		(void)failures_remove(f, (uint64_t)seq);
	else
		failures_add(f, (uint64_t)seq);
}

enum rc
failures_read(struct failures *f, int fd, struct err *e)
{
	struct arena *a = arena_new(65536);
	size_t whole;
	enum rc rc = each_line(fd, a, &whole, note, f, e);
	if (rc == RC_OK && ftruncate(fd, (off_t)whole) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "cut failed.ndjson");
	arena_free(a);
	return rc;
}

struct listing {
	struct failures on; /* which are on the list in the end */
	struct journal_failure *list;
	size_t count, cap;
};

static void
collect(const struct jpath_value v[MEMBERS], struct arena *a, void *context)
{
	struct listing *l = context;
	int64_t seq, status = 0, attempts = 0;
	note(v, a, &l->on);
	if (!jpath_int64(v[SEQ], &seq) || v[DELIVERED].type == JPATH_TRUE)
		return;
	(void)jpath_int64(v[STATUS], &status);
	(void)jpath_int64(v[ATTEMPTS], &attempts);
	if (l->count == l->cap) {
		l->cap = l->cap == 0 ? 64 : 2 * l->cap;
		struct journal_failure *more = arena_alloc(a, l->cap * sizeof(*more));
		if (l->count > 0)
			memcpy(more, l->list, l->count * sizeof(*more));
		l->list = more;
	}
	struct journal_failure *x = &l->list[l->count++];
	*x = (struct journal_failure){ .seq = (uint64_t)seq,
		.attempts = (uint64_t)attempts,
		.status = (int)status,
		.why = "" };
	if (v[WHY].type == JPATH_STRING)
		x->why = arena_string(a, jpath_text(v[WHY], a, NULL));
	if (v[AT].type == JPATH_STRING)
		(void)clock_parse_us(jpath_text(v[AT], a, NULL), &x->at_us);
}

enum rc
failures_list(
	int fd, struct arena *a, const struct journal_failure **list, size_t *count, struct err *e)
{
	struct listing l = { 0 };
	size_t whole, n = 0;
	enum rc rc = each_line(fd, a, &whole, collect, &l, e);
	if (rc == RC_OK) {
		/* The last line about each event that is still on the list. */
		struct journal_failure *out = arena_alloc(a, (l.on.count + 1) * sizeof(*out));
		for (size_t i = 0; i < l.count; i++) {
			size_t at = place_of(&l.on, l.list[i].seq);
			if (at < l.on.count && l.on.seqs[at] == l.list[i].seq)
				out[at] = l.list[i];
		}
		n = l.on.count;
		*list = out;
	}
	*count = n;
	failures_free(&l.on);
	return rc;
}
