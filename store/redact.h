/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_REDACT_H
#define STORE_REDACT_H

#include "store/reader.h"

/* Checks what a redacted record says of itself against its audit event, which stands behind it in the chain
 * and so cannot have been made up without breaking that. record: as stored; decoded: the same. Uses a.
 * NULL: confirmed. Else what to report, static storage; *beyond: the log ends before the audit event, as
 * a copy of a part of it does, so nothing can be said. */
const char *redact_check(struct store_reader *r, struct bytes record, const struct store_record *decoded,
	struct arena *a, bool *beyond);

/* Whether audit is the event that states this redaction. record: the redacted one as stored; decoded: the
 * same. */
bool redact_confirmed(const struct event *audit, struct bytes record, const struct store_record *decoded);

#endif
