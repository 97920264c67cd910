/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "store/archived.h"

void
archived_list(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES], struct arena *a,
	struct archived_segment **segments, size_t *count)
{
	struct manifest m;
	struct err e;
	*segments = NULL;
	*count = 0;
	enum rc rc = manifest_read(dir, a, &m, &e);
	if (rc == RC_CORRUPT || rc == RC_INVALID)
		log_err("log.backup-damaged", &e);
	if (rc != RC_OK || memcmp(m.log_id, log_id, STORE_LOG_ID_BYTES) != 0)
		return;
	*segments = arena_alloc(a, (m.segment_count + 1) * sizeof **segments);
	for (size_t i = 0; i < m.segment_count; i++) {
		struct archived_segment *s = &(*segments)[*count];
		if (!m.segments[i].sealed)
			continue;
		s->first_seq = m.segments[i].first_seq;
		s->last_seq = m.segments[i].last_seq;
		memcpy(s->file, m.segments[i].file, sizeof s->file);
		++*count;
	}
}
