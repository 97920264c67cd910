/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_VERIFY_STATE_H
#define STORE_VERIFY_STATE_H

#include "base/arena.h"
#include "store/store.h"

/* The file that lets an interrupted verify go on: one line per segment that was found sound. */

struct verify_done {
	uint64_t first_seq;
	uint64_t file_bytes;
	int64_t changed_us; /* the file's time of change; with its size, whether it is the same file still */
	struct store_verify_report report;
};

/* Lines of the file at path for this log, in a; none when it is missing or speaks of another log. */
enum rc verify_state_read(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES],
	struct arena *a, const struct verify_done **done, size_t *count, struct err *e) MUST_CHECK;

enum rc verify_state_write(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES],
	const struct verify_done *done, size_t count, struct err *e) MUST_CHECK;

/* Size and time of change of a segment's file; false: it cannot be looked at. */
bool verify_state_file(const char *dir, uint64_t first_seq, struct verify_done *d);

#endif
