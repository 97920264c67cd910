/* SPDX-License-Identifier: Apache-2.0 */
#include "store/dir.h"
#include "store/index_view.h"
#include "store/verify.h"

/* The dedupe index against the log. That every event is in the index is looked at with each record; what
 * is here finds entries that no event stands behind. Counting is enough to know that there are none. */

struct counting {
	uint64_t first, last;
	uint64_t written_last; /* what is behind `last`, but not this, may be on its way into the index */
	uint64_t within, beyond, example;
};

static void
count_entry(const struct index_key *key, const struct index_entry *entry, void *context)
{
	struct counting *c = context;
	(void)key;
	if (entry->seq == 0 || entry->seq > c->written_last) {
		c->beyond++;
		c->example = entry->seq;
	} else if (entry->seq >= c->first && entry->seq <= c->last) {
		c->within++;
	}
}

/* Each number belongs to one source, and with each record it is looked at that it is its own. */
static void
count_set(uint64_t tag, uint64_t block, const struct source_set *set, void *context)
{
	struct counting *c = context;
	(void)tag;
	for (unsigned place = source_set_next(set, 0); place < SOURCES_BLOCK;
		place = source_set_next(set, place + 1)) {
		const struct index_entry entry = { .seq = block * SOURCES_BLOCK + place };
		count_entry(NULL, &entry, c);
	}
}

enum rc
verify_index_count(const char *dir, uint64_t first, struct index_count *c, verify_say_fn say, void *context,
	struct err *e)
{
	struct index_view *v = NULL;
	struct index_cover cover = { 0 };
	struct counting n = { .first = first };
	struct counting numbers = { 0 };
	*c = (struct index_count){ 0 };
	enum rc rc = index_view_open(&v, dir, e);
	if (rc == RC_OK)
		rc = index_view_refresh(v, &cover, e);
	/* Keys are written in several steps, of which the last one says that they are covered. */
	uint64_t head = dir_read_head(dir);
	n.last = cover.last_seq;
	n.written_last = head > n.last ? head : n.last;
	numbers.first = cover.first_seq;
	numbers.last = numbers.written_last = cover.last_seq;
	if (rc == RC_OK)
		rc = index_view_each(v, count_entry, &n, e);
	if (rc == RC_OK)
		rc = index_view_each_source(v, count_set, &numbers, e);
	index_view_close(v);
	if (rc == RC_NOTFOUND) {
		say(context, true, 0, "there is no dedupe index; the next start makes it from the log");
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	if (n.beyond > 0)
		say(context, n.example != 0, n.example,
			"the dedupe index names events beyond the log's end; the next start checks it");
	if (numbers.beyond > 0 || numbers.within != cover.last_seq + 1 - cover.first_seq)
		say(context, false, numbers.example,
			"the index of sources does not give every event one source; remove index.mdb while "
			"stopped");
	*c = (struct index_count){ .last_seq = n.last, .entries = n.within };
	return RC_OK;
}

struct looking {
	struct store_reader *reader;
	struct arena *a;
	uint64_t first, last;
	verify_say_fn say;
	void *context;
};

static void
look_at_entry(const struct index_key *key, const struct index_entry *entry, void *context)
{
	struct looking *l = context;
	const struct store_record *records;
	size_t count;
	struct index_key own, second;
	struct err e;
	if (entry->seq < l->first || entry->seq > l->last)
		return;
	arena_reset(l->a);
	/* A damaged record is a finding of its own. */
	if (store_read(l->reader, entry->seq, 1, 1, l->a, &records, &count, &e) != RC_OK || count != 1)
		return;
	const struct event *ev = &records[0].event;
	bool right = index_key_of(ev, &own) &&
		index_is_body(entry, ev->body_xxh128);
	if (right && memcmp(own.bytes, key->bytes, INDEX_KEY_BYTES) != 0) {
		index_key_with_body(&own, ev->body_xxh128, &second);
		right = memcmp(second.bytes, key->bytes, INDEX_KEY_BYTES) == 0;
	}
	if (!right)
		l->say(l->context, false, entry->seq,
			"the dedupe index names this event for another delivery; remove index.mdb while "
			"stopped");
}

enum rc
verify_index_entries(const char *dir, uint64_t first, uint64_t last, verify_say_fn say, void *context,
	struct err *e)
{
	struct index_view *v = NULL;
	struct looking l = { .first = first, .last = last, .say = say, .context = context,
		.a = arena_new((size_t)1 << 16) };
	struct index_cover cover;
	enum rc rc = store_reader_open(&l.reader, dir, e);
	if (rc == RC_OK)
		rc = index_view_open(&v, dir, e);
	if (rc == RC_OK)
		rc = index_view_refresh(v, &cover, e);
	if (rc == RC_OK)
		rc = index_view_each(v, look_at_entry, &l, e);
	index_view_close(v);
	store_reader_close(l.reader);
	arena_free(l.a);
	return rc;
}
