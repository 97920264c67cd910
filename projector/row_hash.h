/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_ROW_HASH_H
#define PROJECTOR_ROW_HASH_H

#include "projector/catalog.h"

/* Sums over rows that tell whether a table holds what was sent to it, whatever the order. */

/* Of a row in COPY's binary format, without its number of fields. The same for what was sent and for what comes back: PostgreSQL
 * writes jsonb in its own way, so the value counts and not its text. The rest is compared as bytes. Any thread. */
uint64_t row_hash(const struct definition *d, struct bytes fields);

/* Of a JSON value whose syntax is right: the same for all texts that PostgreSQL's jsonb takes for equal and writes alike, as long
 * as it can hold the value (value.c sees to that). */
uint64_t row_hash_json(struct bytes json);

#endif
