/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/replay.h"

enum rc
replay_range(struct store_reader *r, const struct replay_select *select, uint64_t *from,
	uint64_t *to, struct err *e)
{
	struct store_span span;
	enum rc rc = store_span(r, &span, e);
	if (rc != RC_OK)
		return rc;
	if (select->from_seq > 0 && select->from_seq < span.first_seq)
		return err_set(e, RC_NOTFOUND, "replay.range-gone",
			"the log holds events from %" PRIu64 " on, not %" PRIu64
			" any more; give --from %" PRIu64 " or restore the older segments",
			span.first_seq, select->from_seq, span.first_seq);
	*from = select->from_seq > 0 ? select->from_seq : span.first_seq;
	*to = select->to_seq > 0 && select->to_seq < span.last_seq ? select->to_seq : span.last_seq;
	if (span.last_seq == 0) {
		*from = 1;
		*to = 0;
		return RC_OK;
	}
	/* received_at never goes backwards from one sequence to the next: a time range is a range.
	 */
	uint64_t seq;
	if (select->has_since) {
		rc = store_seq_at(r, select->since_us, &seq, e);
		if (rc != RC_OK)
			return rc;
		*from = seq > *from ? seq : *from;
	}
	if (select->has_until) {
		rc = store_seq_at(r, select->until_us, &seq, e);
		if (rc != RC_OK)
			return rc;
		*to = seq <= *to ? seq - 1 : *to;
	}
	return RC_OK;
}
