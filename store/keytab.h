/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_KEYTAB_H
#define STORE_KEYTAB_H

#include "store/index_key.h"

/* A hash table from index keys to entries that remembers the order of insertion, so that the last ones
 * can be taken back. One thread at a time. */
struct keytab {
	struct keytab_row {
		struct index_key key;
		struct index_entry entry;
	} *rows;
	size_t count, room;
	uint32_t *slots; /* row number + 1, 0: empty; open addressing */
	size_t slot_count;
};

void keytab_free(struct keytab *t);
const struct index_entry *keytab_find(const struct keytab *t, const struct index_key *key);
/* key must be new. */
void keytab_add(struct keytab *t, const struct index_key *key, const struct index_entry *entry);
/* Takes back everything but the first count rows. */
void keytab_truncate(struct keytab *t, size_t count);

#endif
