/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_UPKEEP_H
#define TESTS_CRASH_UPKEEP_H

#include "tests/crash/work.h"

/* What an operator does to a log, as processes of a workload, and what must be left of it after a power cut:
 * what was reported as done is done, and what was interrupted can be asked for again and then is. */

void upkeep_append(const struct work *w); /* events 49 to 64, behind the 48 of another process */

/* Redacts events 2 and 26. */
void upkeep_redact_two(const struct work *w);
/* Redacts the log's last event, in the segment that is being written. */
void upkeep_redact_newest(const struct work *w);
void upkeep_check_redacted(const char *root, const struct check_expect *expect, struct check_outcome *out);

void upkeep_back_up(const struct work *w);
void upkeep_check_backup(const char *root, const struct check_expect *expect, struct check_outcome *out);

void upkeep_archive(const struct work *w);
/* All but the two newest segments. */
void upkeep_prune(const struct work *w);
void upkeep_check_archive(const char *root, const struct check_expect *expect, struct check_outcome *out);

#endif
