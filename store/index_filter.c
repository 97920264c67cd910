/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index_filter.h"

static void
add_part(struct index_filter *f, size_t bytes)
{
	struct index_filter_part *p = &f->parts[f->part_count++];
	p->count = bytes / sizeof *p->blocks;
	/* No block lies on two lines of the cache. */
	p->blocks = aligned_alloc(sizeof *p->blocks, p->count * sizeof *p->blocks);
	ASSERT(p->blocks != NULL);
	memset(p->blocks, 0, p->count * sizeof *p->blocks);
	p->keys = 0;
	p->room = bytes * 8 / INDEX_FILTER_BITS_PER_KEY;
}

static size_t
bytes_of(const struct index_filter *f)
{
	size_t blocks = 0;
	for (size_t i = 0; i < f->part_count; i++)
		blocks += f->parts[i].count;
	return blocks * sizeof *f->parts[0].blocks;
}

static size_t
within(size_t bytes, size_t least, size_t most)
{
	return bytes < least ? least : bytes > most ? most : bytes;
}

void
index_filter_init(struct index_filter *f, size_t restored)
{
	*f = (struct index_filter){ 0 };
	/* What is added needs room, too. */
	if (restored > 0)
		add_part(f, within(restored / 8 * INDEX_FILTER_BITS_PER_KEY, INDEX_FILTER_BYTES_MIN,
				INDEX_FILTER_BYTES_MAX - INDEX_FILTER_BYTES_MIN));
	add_part(f, INDEX_FILTER_BYTES_MIN);
}

void
index_filter_free(struct index_filter *f)
{
	for (size_t i = 0; i < f->part_count; i++)
		free(f->parts[i].blocks);
	f->part_count = 0;
}

/* Which block of how many, and a bit in each of its words. Blocks follow the order of keys, in which they are restored:
 * so that goes through memory once. */
struct place {
	size_t block;
	uint32_t bits[8];
};

static struct place
place_of(const struct index_key *key, size_t blocks)
{
	struct place p;
	uint64_t which;
	memcpy(&which, key->bytes + INDEX_PREFIX_BYTES, sizeof which);
	p.block = (size_t)((uint64_t)index_prefix_number(key) * blocks >> 32);
	for (unsigned i = 0; i < COUNT_OF(p.bits); i++)
		p.bits[i] = UINT32_C(1) << (which >> (5 * i) & 31);
	return p;
}

static void
add_to(struct index_filter_part *part, const struct index_key *key)
{
	struct place p = place_of(key, part->count);
	for (unsigned i = 0; i < COUNT_OF(p.bits); i++)
		part->blocks[p.block].words[i] |= p.bits[i];
	part->keys++;
}

void
index_filter_restore(struct index_filter *f, const struct index_key *key)
{
	add_to(&f->parts[0], key);
}

void
index_filter_add(struct index_filter *f, const struct index_key *key)
{
	const struct index_filter_part *last = &f->parts[f->part_count - 1];
	if (last->keys >= last->room && f->part_count < COUNT_OF(f->parts)) {
		size_t bytes = bytes_of(f), left = INDEX_FILTER_BYTES_MAX - bytes;
		if (left >= INDEX_FILTER_BYTES_MIN)
			add_part(f, within(2 * bytes, INDEX_FILTER_BYTES_MIN, left));
	}
	add_to(&f->parts[f->part_count - 1], key);
}

bool
index_filter_may_have(const struct index_filter *f, const struct index_key *key)
{
	for (size_t i = 0; i < f->part_count; i++) {
		const struct index_filter_part *part = &f->parts[i];
		struct place p = place_of(key, part->count);
		const struct index_filter_block *block = &part->blocks[p.block];
		uint32_t missing = 0;
		for (unsigned j = 0; j < COUNT_OF(p.bits); j++)
			missing |= p.bits[j] & ~block->words[j];
		if (missing == 0)
			return true;
	}
	return false;
}
