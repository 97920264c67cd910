/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/store.h"

/* store_verify, with a choice: records_only leaves out what only a stopped or finished writer
 * guarantees or can mend by itself, the dedupe index and head. */
enum rc verify_run(const char *dir, uint64_t first, uint64_t last, bool records_only,
	store_finding_fn found, void *context, struct store_verify_report *report, struct err *e) MUST_CHECK;

#endif
