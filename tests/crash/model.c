/* SPDX-License-Identifier: Apache-2.0 */
#include <xxhash.h>

#include "tests/crash/model.h"
#include "tests/crash/state.h"
#include "tests/tools/random.h"

#define EXHAUSTIVE_MAX 8 /* up to so many pieces all subsets are tried */
/* LMDB's two roots are the first two pages. */
#define META_END 8192

struct model {
	const struct model_trace *trace;
	const struct model_rules *rules;
	struct state disk;
	struct model_point point;
	uint64_t seen_ids[4096];
	uint64_t random, candidates;
	bool look;
	double keep;
	model_image_fn found;
	void *context;
};

/* ---- one image ---- */

/* A name in a folder that is not there itself is nowhere. */
static bool
is_reachable(const struct state_name *names, size_t count, const char *path)
{
	const char *slash = strrchr(path, '/');
	while (slash != NULL) {
		size_t len = (size_t)(slash - path);
		bool there = false;
		for (size_t i = 0; i < count && !there; i++)
			there = names[i].file < 0 && strlen(names[i].path) == len &&
				strncmp(names[i].path, path, len) == 0;
		if (!there)
			return false;
		slash = memrchr(path, '/', len);
	}
	return true;
}

/* Which of the pending names, and how a file ends that was growing (state_content). */
struct choice {
	size_t names, skipped;
	int tail;
};

static void
build(struct model *m, const struct choice *choice)
{
	struct state_name names[STATE_NAMES_MAX];
	struct model_file files[STATE_NAMES_MAX];
	struct model_image image = { .files = files, .point = m->point };
	XXH3_state_t *hash = XXH3_createState();
	ASSERT(hash != NULL && XXH3_128bits_reset(hash) == XXH_OK);
	size_t count = state_names(&m->disk, choice->names, choice->skipped, names);
	for (size_t i = 0; i < count; i++) {
		if (!is_reachable(names, count, names[i].path))
			continue;
		struct model_file *f = &files[image.count++];
		*f = (struct model_file){ .name = names[i].path, .folder = names[i].file < 0 };
		if (!f->folder)
			f->content = state_content(&m->disk, names[i].file, choice->tail);
		XXH3_128bits_update(hash, f->name, strlen(f->name) + 1);
		XXH3_128bits_update(hash, &f->content.len, sizeof f->content.len);
		XXH3_128bits_update(hash, f->content.data, f->content.len);
	}
	XXH128_hash_t h = XXH3_128bits_digest(hash);
	XXH3_freeState(hash);
	image.hash[0] = h.low64;
	image.hash[1] = h.high64;
	m->found(&image, m->context);
}

/* ---- the subsets of one moment ---- */

static size_t
find_places(struct state *s, bool *growing)
{
	size_t places = 0;
	*growing = false;
	for (size_t i = 0; i < s->chunk_count; i++) {
		struct state_chunk *c = &s->chunks[i];
		struct state_file *f = &s->files[c->file];
		c->chosen = false;
		if (c->signal)
			continue;
		*growing = *growing || f->cache_len > f->durable_len;
		c->place = places;
		/* The newest first: rewritten places are mostly near the end. */
		for (size_t j = i; j-- > 0;) {
			const struct state_chunk *o = &s->chunks[j];
			if (!o->signal && o->file == c->file && o->offset == c->offset && o->len == c->len) {
				c->place = o->place;
				break;
			}
		}
		if (c->place == places)
			places++;
	}
	return places;
}

enum shape { NONE, ALL, PREFIX, SUFFIX, ONLY, ALL_BUT, META, ALL_BUT_META, RANDOM, BITS };

static void
choose(struct model *m, enum shape shape, uint64_t n)
{
	uint64_t word = 0;
	uint64_t density = shape == RANDOM ? random_next(&m->random) % 7 + 1 : 0;
	for (size_t i = 0; i < m->disk.chunk_count; i++) {
		struct state_chunk *c = &m->disk.chunks[i];
		if (c->signal)
			continue;
		bool meta = c->offset < META_END;
		switch (shape) {
		case NONE: c->chosen = false; break;
		case ALL: c->chosen = true; break;
		case PREFIX: c->chosen = c->place < n; break;
		case SUFFIX: c->chosen = c->place >= n; break;
		case ONLY: c->chosen = c->place == n; break;
		case ALL_BUT: c->chosen = c->place != n; break;
		case META: c->chosen = meta; break;
		case ALL_BUT_META: c->chosen = !meta; break;
		case BITS: c->chosen = (n >> c->place & 1) != 0; break;
		case RANDOM:
			word = random_next(&m->random);
			c->chosen = word % 8 < density;
			break;
		}
	}
}

/* The signal file holds any of its values. */
static void
choose_signal(struct model *m)
{
	uint64_t pick = random_next(&m->random) % 4, at = random_next(&m->random);
	size_t signals = 0, n = 0;
	for (size_t i = 0; i < m->disk.chunk_count; i++)
		signals += m->disk.chunks[i].signal;
	for (size_t i = 0; i < m->disk.chunk_count; i++) {
		if (m->disk.chunks[i].signal)
			m->disk.chunks[i].chosen = pick >= 2 || (pick == 1 && n++ <= at % signals);
	}
}

/* One subset of the pieces with everything that can vary beside it. Most are not kept, so the pieces are
 * chosen only for the first one that is. */
static void
offer(struct model *m, enum shape shape, uint64_t n, bool growing)
{
	size_t ops = m->disk.op_count, variants = ops + 1 + (ops >= 2 ? ops - 1 : 0);
	bool chosen = false;
	for (size_t v = 0; v < variants; v++) {
		struct choice choice = { v, SIZE_MAX, 0 };
		if (v > ops)
			choice = (struct choice){ ops, v - ops - 1, 0 };
		for (choice.tail = 0; choice.tail < (growing ? 3 : 1); choice.tail++) {
			m->candidates++;
			if (m->found == NULL || (double)(random_next(&m->random) >> 11) * 0x1p-53 >= m->keep)
				continue;
			if (!chosen)
				choose(m, shape, n);
			chosen = true;
			choose_signal(m);
			build(m, &choice);
		}
	}
}

static void
moment(struct model *m)
{
	bool growing;
	if (!m->look)
		return;
	size_t places = find_places(&m->disk, &growing);
	if (places <= EXHAUSTIVE_MAX) {
		for (uint64_t bits = 0; bits < (uint64_t)1 << places; bits++)
			offer(m, BITS, bits, growing);
	} else {
		static const enum shape once[] = { NONE, ALL, META, ALL_BUT_META };
		static const enum shape each[] = { PREFIX, SUFFIX, ONLY, ALL_BUT };
		for (size_t i = 0; i < COUNT_OF(once); i++)
			offer(m, once[i], 0, growing);
		/* With thousands of pieces, as in one very large event, only some of the cuts. */
		size_t step = places / 512 + 1;
		for (size_t n = 1; n < places; n += step) {
			for (size_t i = 0; i < COUNT_OF(each); i++)
				offer(m, each[i], n, growing);
		}
	}
	for (unsigned i = 0; i < m->rules->random && places > 1; i++)
		offer(m, RANDOM, 0, growing);
}

/* ---- the trace ---- */

static bool
next_record(const struct model_trace *t, size_t *at, struct shim_record *r, struct bytes *name,
	struct bytes *data)
{
	if (t->len - *at < sizeof *r)
		return false;
	memcpy(r, t->data + *at, sizeof *r);
	const unsigned char *p = t->data + *at + sizeof *r;
	*name = (struct bytes){ p, r->name_bytes };
	*data = (struct bytes){ p + r->name_bytes, r->data_bytes };
	*at += sizeof *r + r->name_bytes + r->data_bytes;
	return *at <= t->len;
}

static void
raise_to(uint64_t *value, uint64_t at_least)
{
	*value = *value < at_least ? at_least : *value;
}

static void
apply_mark(struct model *m, const struct shim_record *r)
{
	switch ((enum model_mark)r->file) {
	case MODEL_SUBMIT:
		for (uint64_t i = 0; i < m->point.submitted; i++) {
			if (m->seen_ids[i] == r->offset)
				return;
		}
		ASSERT(m->point.submitted < COUNT_OF(m->seen_ids));
		m->seen_ids[m->point.submitted++] = r->offset;
		break;
	case MODEL_ACK:
		raise_to(&m->point.acked, r->offset);
		break;
	case MODEL_VISIBLE:
		raise_to(&m->point.visible, r->offset);
		break;
	case MODEL_DONE:
		raise_to(&m->point.done, r->offset);
		break;
	case MODEL_LOOK:
		m->look = r->offset != 0;
		break;
	case MODEL_OPENED:
		state_opened(&m->disk, r->pid);
		break;
	case MODEL_END:
		m->point.submitted = r->offset;
		break;
	}
}

uint64_t
model_explore(const struct model_trace *trace, const struct model_rules *rules, double keep,
	model_image_fn found, void *context)
{
	struct model *m = base_zalloc(sizeof *m);
	struct shim_record r;
	struct bytes name, data;
	m->trace = trace;
	m->rules = rules;
	m->disk.root = trace->root;
	m->disk.rules = rules;
	m->random = rules->seed;
	m->look = true;
	m->keep = keep;
	m->found = found;
	m->context = context;
	for (size_t at = 0; next_record(trace, &at, &r, &name, &data);) {
		if (r.kind == SHIM_T_MARK) {
			apply_mark(m, &r);
			continue;
		}
		state_apply(&m->disk, &r, name, data);
		/* What was promised before the next thing happens holds for this state of the disk. */
		struct shim_record mark;
		struct bytes ignored;
		uint64_t submitted = m->point.submitted;
		if (r.kind == SHIM_T_WRITE && r.dsync && !rules->no_sync && !rules->no_meta_sync) {
			moment(m);
			state_finish_write(&m->disk, &r);
		}
		for (size_t ahead = at; next_record(trace, &ahead, &mark, &ignored, &ignored) &&
			mark.kind == SHIM_T_MARK; at = ahead)
			apply_mark(m, &mark);
		uint64_t later = m->point.submitted;
		m->point.submitted = submitted;
		moment(m);
		m->point.submitted = later;
	}
	uint64_t candidates = m->candidates;
	state_free(&m->disk);
	free(m);
	return candidates;
}

void
model_marks(const struct model_trace *trace,
	void (*found)(unsigned mark, uint64_t value, void *context), void *context)
{
	struct shim_record r;
	struct bytes name, data;
	for (size_t at = 0; next_record(trace, &at, &r, &name, &data);) {
		if (r.kind == SHIM_T_MARK)
			found((unsigned)r.file, r.offset, context);
		else
			found(0, 0, context);
	}
}
