/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PROBE_H
#define STORE_PROBE_H

#include "store/store.h"

/* How long the disk says a flush takes. A disk, controller or hypervisor that acknowledges flushes it did
 * not do loses acknowledged events with the next power cut, and nothing but a power cut proves it; that
 * it is too fast to be true is the one thing one can see from inside. */

struct probe {
	int64_t sync_us;   /* the median of some fdatasync of one page; -1: could not be measured */
	bool rotating;     /* a disk with platters */
	const char *doubt; /* NULL, or a sentence why it cannot be true; static storage */
};

/* Writes and syncs a small temporary file in dir, for some tenths of a second at most. Never fails. */
void probe_sync(const char *dir, struct probe *p);

/* The judgement alone. */
const char *probe_judge(int64_t sync_us, bool rotating);

/* Bytes that may still be written to the file system of dir; UINT64_MAX: unknown. */
uint64_t probe_free_bytes(const char *dir);

#endif
