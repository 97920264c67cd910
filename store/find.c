/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index_view.h"

/* Others between two numbers looked for that are read along with them: cheaper than to begin anew. */
#define GAP_MAX 8u

struct store_finder {
	struct index_view *view; /* NULL: none, or no longer */
	struct index_cover cover;
	struct err problem;      /* text empty: none */
	uint64_t *tags;          /* of the sources */
	size_t tag_count;
	/* With a delivery: all numbers it may have, rising. */
	bool by_delivery;
	uint64_t *seqs;
	size_t count, room;
	/* Otherwise the block looked at last. */
	bool block_known;
	uint64_t block;
	struct source_set set;
};

static void
add_seq(uint64_t seq, void *context)
{
	struct store_finder *f = context;
	if (f->count == f->room) {
		f->room = f->room == 0 ? 16 : f->room * 2;
		f->seqs = base_realloc(f->seqs, f->room * sizeof *f->seqs);
	}
	f->seqs[f->count++] = seq;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static enum rc
look(struct store_finder *f, struct store_reader *r, const struct store_wanted *wanted)
{
	struct err *e = &f->problem;
	enum rc rc = index_view_open(&f->view, segment_set_dir(r->set), e);
	if (rc == RC_OK)
		rc = index_view_refresh(f->view, &f->cover, e);
	if (rc == RC_OK && !index_fits(r, &f->cover))
		rc = err_set(e, RC_INVALID, NULL, "the index belongs to another log");
	if (rc == RC_OK && f->by_delivery) {
		rc = index_view_deliveries(f->view, wanted->delivery, add_seq, f, e);
		if (f->count > 0)
			qsort(f->seqs, f->count, sizeof *f->seqs, by_number);
	}
	return rc;
}

static void
give_up(struct store_finder *f)
{
	index_view_close(f->view);
	f->view = NULL;
}

struct store_finder *
store_finder_open(struct store_reader *r, const struct store_wanted *wanted)
{
	struct store_finder *f = base_zalloc(sizeof *f);
	f->by_delivery = wanted->delivery.len > 0;
	f->tag_count = wanted->source_count;
	f->tags = base_alloc((f->tag_count + 1) * sizeof *f->tags);
	for (size_t i = 0; i < f->tag_count; i++)
		f->tags[i] = source_tag(wanted->sources[i]);
	if (!f->by_delivery && f->tag_count == 0)
		return f;
	if (look(f, r, wanted) != RC_OK)
		give_up(f);
	else
		index_view_rest(f->view);
	return f;
}

void
store_finder_close(struct store_finder *f)
{
	if (f == NULL)
		return;
	index_view_close(f->view);
	free(f->seqs);
	free(f->tags);
	free(f);
}

const char *
store_finder_problem(const struct store_finder *f)
{
	return f->problem.text[0] == '\0' ? NULL : f->problem.text;
}

/* The first of the delivery's numbers at or after seq; 0: none. */
static uint64_t
next_of_delivery(const struct store_finder *f, uint64_t seq)
{
	size_t low = 0, high = f->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->seqs[middle] < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->count && f->seqs[low] <= f->cover.last_seq ? f->seqs[low] : 0;
}

/* Loads what the sources have in the first block from block on that any of them is in. RC_NOTFOUND: they
 * are in none. */
static enum rc
load_block(struct store_finder *f, uint64_t block)
{
	struct err *e = &f->problem;
	struct index_cover now;
	uint64_t nearest = UINT64_MAX;
	f->block_known = false;
	enum rc rc = index_view_refresh(f->view, &now, e);
	for (size_t i = 0; rc == RC_OK && i < f->tag_count; i++) {
		uint64_t at = block;
		rc = index_view_next_block(f->view, f->tags[i], &at, e);
		if (rc == RC_OK && at < nearest)
			nearest = at;
		if (rc == RC_NOTFOUND)
			rc = RC_OK;
	}
	if (rc == RC_OK && nearest == UINT64_MAX)
		rc = RC_NOTFOUND;
	f->set = (struct source_set){ { 0 } };
	for (size_t i = 0; rc == RC_OK && i < f->tag_count; i++)
		rc = index_view_source(f->view, f->tags[i], nearest, &f->set, e);
	index_view_rest(f->view);
	if (rc == RC_OK || rc == RC_NOTFOUND)
		f->problem = (struct err){ .rc = RC_OK };
	f->block = nearest;
	f->block_known = rc == RC_OK;
	return rc;
}

/* The next numbers of the sources at or after seq. RC_NOTFOUND: none. */
static enum rc
next_of_sources(struct store_finder *f, uint64_t seq, uint64_t *first, uint64_t *last)
{
	uint64_t block = seq / SOURCES_BLOCK;
	unsigned place = (unsigned)(seq % SOURCES_BLOCK);
	for (;; block++, place = 0) {
		if (!f->block_known || f->block != block) {
			enum rc rc = load_block(f, block);
			if (rc != RC_OK)
				return rc;
			if (f->block != block)
				place = 0;
			block = f->block;
		}
		place = source_set_next(&f->set, place);
		if (place < SOURCES_BLOCK)
			break;
	}
	unsigned end = place, next = place;
	while (next < SOURCES_BLOCK && next - end <= GAP_MAX) {
		end = next;
		next = source_set_next(&f->set, end + 1);
	}
	*first = block * SOURCES_BLOCK + place;
	*last = block * SOURCES_BLOCK + end;
	return *first <= f->cover.last_seq ? RC_OK : RC_NOTFOUND;
}

void
store_finder_next(struct store_finder *f, uint64_t seq, uint64_t *first, uint64_t *last)
{
	*first = seq;
	*last = UINT64_MAX;
	if (f->view == NULL || seq > f->cover.last_seq)
		return;
	if (seq < f->cover.first_seq) {
		*last = f->cover.first_seq - 1;
		return;
	}
	enum rc rc = RC_OK;
	if (!f->by_delivery)
		rc = next_of_sources(f, seq, first, last);
	else if ((*first = *last = next_of_delivery(f, seq)) == 0)
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		return;
	*first = seq;
	if (rc == RC_NOTFOUND)
		*first = f->cover.last_seq + 1;
	else
		give_up(f);
	*last = UINT64_MAX;
}
