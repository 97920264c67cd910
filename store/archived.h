/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_ARCHIVED_H
#define STORE_ARCHIVED_H

#include "store/manifest.h"

/* What the archive folder holds, for readers. */

struct archived_segment {
	uint64_t first_seq, last_seq;
	char file[MANIFEST_FILE_BYTES];
};

/* Reads which segments of the log of that id the archive in dir holds, rising, in a. A folder that
 * is not there, or cannot be read, holds none: it may not be mounted, and the log goes on without
 * it. */
void archived_list(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES], struct arena *a,
	struct archived_segment **segments, size_t *count);

#endif
