/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/ops.h"
#include "store/raw.h"
#include "store/stream.h"

/* What one read transaction copies out. */
#define STEP_BYTES ((size_t)4 << 20)
#define DICTS_MAX 64

struct exporter {
	struct store_reader *r;
	struct stream_writer *w;
	struct arena *a;
	uint64_t first, last;
	uint64_t segment_first; /* the one under way; 0: none */
	uint32_t dicts[DICTS_MAX];
	size_t dict_count;
	bool chain_known;
	unsigned char chain[STORE_CHAIN_BYTES];
	struct store_export_report *report;
};

static enum rc
put_to_fd(void *context, struct bytes data, struct err *e)
{
	const int *fd = context;
	while (data.len > 0) {
		ssize_t n = write(*fd, data.data, data.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_IO,
				NULL, errno, "write the archive");
		data.data += n;
		data.len -= (size_t)n;
	}
	return RC_OK;
}

/* Takes up a segment: the frame of its start, and what its meta holds when all of it is exported.
 */
static enum rc
begin_segment(struct exporter *x, uint64_t seq, const struct raw_batch *b, struct err *e)
{
	const struct raw_meta *metas;
	struct raw_batch before;
	size_t count;
	unsigned char chain[STORE_CHAIN_BYTES];
	enum rc rc = RC_OK;
	if (seq == b->segment_first) {
		memcpy(chain, b->prev_chain, STORE_CHAIN_BYTES);
	} else {
		rc = raw_read(x->r, seq - 1, seq - 1, 1, x->a, &before, e);
		if (rc != RC_OK)
			return rc;
		memcpy(chain, before.records[0].header.chain, STORE_CHAIN_BYTES);
	}
	if (x->chain_known && memcmp(chain, x->chain, STORE_CHAIN_BYTES) != 0)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"segment %" PRIu64 " does not continue the chain of the one before",
			b->segment_first);
	memcpy(x->chain, chain, STORE_CHAIN_BYTES);
	x->chain_known = true;
	x->segment_first = b->segment_first;
	x->dict_count = 0;
	rc = stream_put_segment(x->w, seq, chain, e);
	bool whole = b->sealed && seq == b->segment_first && x->last >= b->segment_last;
	if (rc != RC_OK || !whole)
		return rc;
	rc = raw_read_meta(x->r, b->segment_first, x->a, &metas, &count, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		/* Dictionaries go in front of the first record that needs them. */
		if (metas[i].key.len < 5 || memcmp(metas[i].key.data, "dict.", 5) != 0)
			rc = stream_put_meta(x->w, metas[i].key, metas[i].value, e);
	}
	return rc;
}

static enum rc
put_dict(struct exporter *x, uint32_t id, struct err *e)
{
	char key[RAW_DICT_KEY_BYTES];
	const struct raw_meta *metas;
	size_t count;
	for (size_t i = 0; i < x->dict_count; i++) {
		if (x->dicts[i] == id)
			return RC_OK;
	}
	snprintf(key, sizeof key, RAW_DICT_KEY, id);
	enum rc rc = raw_read_meta(x->r, x->segment_first, x->a, &metas, &count, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (!bytes_is(metas[i].key, key))
			continue;
		if (x->dict_count < DICTS_MAX)
			x->dicts[x->dict_count++] = id;
		return stream_put_meta(x->w, metas[i].key, metas[i].value, e);
	}
	return rc != RC_OK ? rc
			   : err_set(e, RC_CORRUPT, "log.damaged",
				     "segment %" PRIu64 " lacks dictionary %08" PRIx32,
				     x->segment_first, id);
}

static enum rc
put_batch(struct exporter *x, const struct raw_batch *b, struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < b->count; i++) {
		const struct raw_record *record = &b->records[i];
		if (!record_chain_fits(record->bytes, x->chain))
			return err_set(e, RC_CORRUPT, "log.damaged",
				"the chain is broken at event %" PRIu64
				"; run `hooklog log verify`",
				record->seq);
		/* Of a redacted record, too: what was signed counts it. */
		if (record->header.dict_id != 0)
			rc = put_dict(x, record->header.dict_id, e);
		if (rc == RC_OK)
			rc = stream_put_record(x->w, record->seq, record->bytes, e);
		memcpy(x->chain, record->header.chain, STORE_CHAIN_BYTES);
	}
	return rc;
}

static enum rc
put_all(struct exporter *x, store_progress_fn progress, void *context, struct err *e)
{
	uint64_t seq = x->first;
	while (seq <= x->last) {
		struct raw_batch b;
		arena_reset(x->a);
		enum rc rc = raw_read(x->r, seq, x->last, STEP_BYTES, x->a, &b, e);
		if (rc == RC_OK && b.count == 0)
			return RC_OK;
		if (rc == RC_OK && b.segment_first != x->segment_first)
			rc = begin_segment(x, seq, &b, e);
		if (rc == RC_OK)
			rc = put_batch(x, &b, e);
		if (rc != RC_OK)
			return rc;
		if (x->report->events == 0)
			x->report->first_seq = seq;
		x->report->events += b.count;
		seq += b.count;
		x->report->last_seq = seq - 1;
		x->report->bytes = stream_written(x->w, x->report->sha256);
		if (progress != NULL)
			progress(x->report->events, x->report->bytes, context);
	}
	return RC_OK;
}

enum rc
store_export(struct store_reader *r, uint64_t first, uint64_t last, int fd,
	store_progress_fn progress, void *context, struct store_export_report *report,
	struct err *e)
{
	struct store_span span;
	struct exporter x = { .r = r, .first = first, .last = last, .report = report };
	*report = (struct store_export_report){ 0 };
	enum rc rc = store_span(r, &span, e);
	if (rc != RC_OK)
		return rc;
	if (x.last == 0 || x.last > span.last_seq)
		x.last = span.last_seq;
	if (x.first == 0)
		x.first = span.first_seq == 0 ? 1 : span.first_seq;
	x.a = arena_new((size_t)1 << 20);
	rc = stream_writer_new(&x.w, put_to_fd, &fd, span.log_id, clock_now_us(), e);
	if (rc == RC_OK)
		rc = put_all(&x, progress, context, e);
	if (rc == RC_OK)
		rc = stream_put_footer(x.w, e);
	if (rc == RC_OK) {
		report->bytes = stream_written(x.w, report->sha256);
		memcpy(report->chain, x.chain, STORE_CHAIN_BYTES);
	}
	stream_writer_free(x.w);
	arena_free(x.a);
	return rc;
}
