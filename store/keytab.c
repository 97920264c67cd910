/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keytab.h"

void
keytab_free(struct keytab *t)
{
	free(t->rows);
	free(t->slots);
	*t = (struct keytab){ 0 };
}

/* The slot that holds key, or the empty one where it would go. The key is a hash already. */
static size_t
slot_of(const struct keytab *t, const struct index_key *key)
{
	uint64_t h;
	memcpy(&h, key->bytes + INDEX_PREFIX_BYTES, sizeof h);
	size_t slot = (size_t)h & (t->slot_count - 1);
	while (t->slots[slot] != 0 &&
		memcmp(t->rows[t->slots[slot] - 1].key.bytes, key->bytes, INDEX_KEY_BYTES) != 0)
		slot = (slot + 1) & (t->slot_count - 1);
	return slot;
}

const struct index_entry *
keytab_find(const struct keytab *t, const struct index_key *key)
{
	if (t->count == 0)
		return NULL;
	size_t slot = slot_of(t, key);
	return t->slots[slot] == 0 ? NULL : &t->rows[t->slots[slot] - 1].entry;
}

/* Inserting in the old order keeps what keytab_truncate relies on. */
static void
grow(struct keytab *t)
{
	t->room = t->room == 0 ? 1024 : t->room * 2;
	t->rows = base_realloc(t->rows, t->room * sizeof *t->rows);
	free(t->slots);
	t->slot_count = t->room * 2;
	t->slots = base_zalloc(t->slot_count * sizeof *t->slots);
	for (size_t i = 0; i < t->count; i++)
		t->slots[slot_of(t, &t->rows[i].key)] = (uint32_t)i + 1;
}

void
keytab_add(struct keytab *t, const struct index_key *key, const struct index_entry *entry)
{
	if (t->count == t->room)
		grow(t);
	ASSERT(t->count < UINT32_MAX - 1);
	size_t slot = slot_of(t, key);
	ASSERT(t->slots[slot] == 0);
	t->rows[t->count] = (struct keytab_row){ *key, *entry };
	t->slots[slot] = (uint32_t)++t->count;
}

/* The newest row can be emptied without moving others: no row was placed by probing past its slot
 * since. */
void
keytab_truncate(struct keytab *t, size_t count)
{
	while (t->count > count) {
		size_t slot = slot_of(t, &t->rows[t->count - 1].key);
		t->slots[slot] = 0;
		t->count--;
	}
}
