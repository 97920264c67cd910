/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_KEEPER_H
#define STORE_KEEPER_H

#include "store/segment.h"

/* The writer's background: signs checkpoints, seals finished segments, watches readers, publishes
 * figures. A thread of its own, so that no
 * commit waits for hashing a gigabyte; nothing it does is needed for an acknowledgement, and what it
 * could not do it does after the next start. */
struct keeper;

/* Opens the ledger of the set's log, compares the log with the last statement, and starts the thread.
 * segment_first: the segment that is written to; last_seq and chain: where the log ends.
 * RC_CORRUPT: the log ends before what was signed (log.lost-tail), or has another history
 * (log.rewritten). */
enum rc keeper_open(struct keeper **k, struct segment_set *set, int64_t checkpoint_interval_s,
	uint64_t segment_first, uint64_t last_seq, const unsigned char chain[STORE_CHAIN_BYTES], struct err *e) MUST_CHECK;

/* Signs the end of the log, finishes sealing within reason, and ends the thread. NULL is fine. */
void keeper_close(struct keeper *k);

/* A commit is on disk: the log ends with last_seq. Writer thread only, cheap. */
void keeper_committed(struct keeper *k, uint64_t last_seq, const unsigned char chain[STORE_CHAIN_BYTES]);

/* Seals a finished segment whose file was replaced once more, and waits for it. Any thread but the
 * keeper's and the writer's. RC_AGAIN: not within timeout_ms; it is still done. */
enum rc keeper_reseal(struct keeper *k, uint64_t first_seq, int64_t timeout_ms, struct err *e) MUST_CHECK;

/* Changes the key that signs (ledger_rotate), and waits for it; what the old key signed and still counts is
 * signed with the new one afterwards. As keeper_reseal otherwise; RC_IO, RC_FULL: it was not changed. */
enum rc keeper_rotate_key(struct keeper *k, int64_t timeout_ms, struct err *e) MUST_CHECK;

/* Another segment is written to from now on. Writer thread only. */
void keeper_rolled(struct keeper *k, uint64_t segment_first);

/* The clock was set back. Writer thread only. */
void keeper_clock_stepped(struct keeper *k);

#endif
