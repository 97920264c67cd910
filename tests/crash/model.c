/* SPDX-License-Identifier: Apache-2.0 */
#include <xxhash.h>

#include "tests/crash/model.h"
#include "tests/tools/shim.h"

#define FILES_MAX 64
#define NAMES_MAX 64
#define OPS_MAX 32
#define EXHAUSTIVE_MAX 8 /* up to so many pieces all subsets are tried */
/* LMDB's two roots are the first two pages. */
#define META_END 8192

struct file {
	uint64_t inode;
	unsigned char *durable, *work;
	size_t durable_len, cache_len, room;
};

struct name {
	char path[64];
	int file; /* -1: a folder */
};

enum op_kind { OP_ADD, OP_RENAME, OP_REMOVE };

struct op {
	enum op_kind kind;
	struct name name;
	char to[64];
};

/* A piece of a write that no sync has covered. */
struct chunk {
	int file;
	unsigned len;
	uint64_t offset;
	const unsigned char *data;
	uint32_t pid;
	bool limbo;   /* its sync failed: nothing will write it any more */
	bool signal;  /* of the file `head`, which is never synced */
	bool chosen;
	size_t place; /* which of the places below it belongs to */
};

struct model {
	const struct model_trace *trace;
	const struct model_rules *rules;
	struct file files[FILES_MAX];
	size_t file_count;
	struct name names[NAMES_MAX]; /* durable */
	size_t name_count;
	struct op ops[OPS_MAX]; /* not yet */
	size_t op_count;
	struct chunk *chunks;
	size_t chunk_count, chunk_room;
	uint32_t opened_pid, first_pid;
	struct model_point point;
	uint64_t seen_ids[4096];
	uint64_t random, candidates;
	double keep;
	model_image_fn found;
	void *context;
};

uint64_t
model_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- the state of the disk ---- */

static int
file_of(const struct model *m, uint64_t inode)
{
	for (size_t i = m->file_count; i > 0; i--) {
		if (m->files[i - 1].inode == inode)
			return (int)i - 1;
	}
	return -1;
}

static void
file_reserve(struct file *f, size_t len)
{
	if (len <= f->room)
		return;
	size_t room = len * 2;
	f->durable = base_realloc(f->durable, room);
	f->work = base_realloc(f->work, room);
	memset(f->durable + f->room, 0, room - f->room);
	f->room = room;
}

/* The piece is on the disk from now on; older pieces of the same place are history. */
static void
make_durable(struct model *m, size_t index)
{
	struct chunk c = m->chunks[index];
	struct file *f = &m->files[c.file];
	memcpy(f->durable + c.offset, c.data, c.len);
	if (c.offset + c.len > f->durable_len)
		f->durable_len = c.offset + c.len;
	size_t kept = 0;
	for (size_t i = 0; i < m->chunk_count; i++) {
		const struct chunk *o = &m->chunks[i];
		bool gone = i == index || (i < index && o->file == c.file && o->offset >= c.offset &&
			o->offset + o->len <= c.offset + c.len);
		if (!gone)
			m->chunks[kept++] = *o;
	}
	m->chunk_count = kept;
}

static void
names_apply(struct name *names, size_t *count, const struct op *op)
{
	const char *target = op->kind == OP_RENAME ? op->to : op->name.path;
	size_t kept = 0;
	struct name moved = op->name;
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(names[i].path, op->name.path) != 0 && strcmp(names[i].path, target) != 0)
			names[kept++] = names[i];
	}
	if (op->kind != OP_REMOVE) {
		ASSERT(kept < NAMES_MAX);
		memcpy(moved.path, target, strlen(target) + 1);
		names[kept++] = moved;
	}
	*count = kept;
}

static bool
in_folder(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	if (len == 0)
		return strchr(path, '/') == NULL;
	return strncmp(path, folder, len) == 0 && path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

/* Makes the pending names of a folder durable, NULL: of all. */
static void
keep_names(struct model *m, const char *folder)
{
	size_t kept = 0;
	for (size_t i = 0; i < m->op_count; i++) {
		if (folder == NULL || in_folder(m->ops[i].name.path, folder))
			names_apply(m->names, &m->name_count, &m->ops[i]);
		else
			m->ops[kept++] = m->ops[i];
	}
	m->op_count = kept;
}

static void
relative(const struct model *m, struct bytes path, char out[64])
{
	size_t root = strlen(m->trace->root);
	ASSERT(path.len >= root && memcmp(path.data, m->trace->root, root) == 0);
	struct bytes rest = { path.data + root, path.len - root };
	if (rest.len > 0)
		rest = (struct bytes){ rest.data + 1, rest.len - 1 };
	ASSERT(rest.len < 64);
	memcpy(out, rest.data, rest.len);
	out[rest.len] = '\0';
}

/* What the current names of the pending and durable entries say, for a rename. */
static int
file_named(const struct model *m, const char *path)
{
	int file = -1;
	struct name names[NAMES_MAX];
	size_t count = m->name_count;
	memcpy(names, m->names, count * sizeof *names);
	for (size_t i = 0; i < m->op_count; i++)
		names_apply(names, &count, &m->ops[i]);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i].path, path) == 0)
			file = names[i].file;
	}
	return file;
}

static void
add_op(struct model *m, enum op_kind kind, struct bytes path, struct bytes to, int file)
{
	ASSERT(m->op_count < OPS_MAX);
	struct op *op = &m->ops[m->op_count];
	*op = (struct op){ .kind = kind, .name = { .file = file } };
	relative(m, path, op->name.path);
	if (kind == OP_RENAME) {
		relative(m, to, op->to);
		op->name.file = file_named(m, op->name.path);
	}
	m->op_count++;
}

static bool
has_name_ending(const struct model *m, int file, const char *end)
{
	size_t end_len = strlen(end);
	for (size_t i = 0; i < m->name_count + m->op_count; i++) {
		const struct op *op = i < m->name_count ? NULL : &m->ops[i - m->name_count];
		const struct name *n = op == NULL ? &m->names[i] : &op->name;
		const char *path = op != NULL && op->kind == OP_RENAME ? op->to : n->path;
		if (n->file == file && strlen(path) >= end_len &&
			strcmp(path + strlen(path) - end_len, end) == 0)
			return true;
	}
	return false;
}

static void
add_write(struct model *m, const struct shim_record *r, const unsigned char *data)
{
	int file = file_of(m, r->file);
	ASSERT(file >= 0);
	struct file *f = &m->files[file];
	uint64_t end = r->offset + r->data_bytes;
	file_reserve(f, end);
	if (end > f->cache_len)
		f->cache_len = end;
	bool signal = has_name_ending(m, file, "/head");
	for (uint64_t at = r->offset; at < end;) {
		uint64_t next = (at / m->rules->granule + 1) * m->rules->granule;
		next = next < end ? next : end;
		if (m->chunk_count == m->chunk_room) {
			m->chunk_room = m->chunk_room * 2 + 64;
			m->chunks = base_realloc(m->chunks, m->chunk_room * sizeof *m->chunks);
		}
		m->chunks[m->chunk_count++] = (struct chunk){ .file = file, .offset = at, .signal = signal,
			.len = (unsigned)(next - at), .data = data + (at - r->offset), .pid = r->pid };
		at = next;
	}
}

static void
sync_file(struct model *m, const struct shim_record *r)
{
	int file = file_of(m, r->file);
	const struct model_rules *rules = m->rules;
	ASSERT(file >= 0);
	if (rules->no_sync && has_name_ending(m, file, ".mdb"))
		return;
	bool starting = rules->no_start_sync && m->first_pid != 0 && r->pid != m->first_pid &&
		m->opened_pid != r->pid;
	for (size_t i = 0; i < m->chunk_count;) {
		struct chunk *c = &m->chunks[i];
		if (c->file != file || c->limbo || (starting && c->pid != r->pid)) {
			i++;
		} else if (r->error != 0) {
			c->limbo = true;
			i++;
		} else {
			size_t before = m->chunk_count;
			make_durable(m, i);
			i -= before - m->chunk_count - 1;
		}
	}
	if (r->error == 0 && m->files[file].durable_len > m->files[file].cache_len)
		m->files[file].cache_len = m->files[file].durable_len;
	if (r->error == 0 && rules->file_keeps_names)
		keep_names(m, NULL);
}

/* ---- one image ---- */

struct choice {
	size_t names;   /* so many of the pending names */
	size_t skipped; /* but this one; SIZE_MAX: none */
	int tail;       /* a file that was growing: 0 ends with what was written, 1 zeros, 2 garbage */
};

static size_t
names_of(struct model *m, const struct choice *choice, struct name out[NAMES_MAX])
{
	size_t count = m->name_count;
	memcpy(out, m->names, count * sizeof *out);
	for (size_t i = 0; i < choice->names; i++) {
		if (i != choice->skipped)
			names_apply(out, &count, &m->ops[i]);
	}
	return count;
}

static struct bytes
content_of(struct model *m, int file, int tail)
{
	struct file *f = &m->files[file];
	size_t len = f->durable_len, grown = tail > 0 && f->cache_len > len ? f->cache_len : len;
	bool touched = grown > len;
	for (size_t i = 0; i < m->chunk_count; i++) {
		const struct chunk *c = &m->chunks[i];
		if (c->file != file || !c->chosen)
			continue;
		touched = true;
		if (c->offset + c->len > grown)
			grown = c->offset + c->len;
	}
	if (!touched)
		return (struct bytes){ f->durable, len };
	memcpy(f->work, f->durable, len);
	memset(f->work + len, tail == 2 ? 0xa5 : 0, grown - len);
	for (size_t i = 0; i < m->chunk_count; i++) {
		const struct chunk *c = &m->chunks[i];
		if (c->file == file && c->chosen)
			memcpy(f->work + c->offset, c->data, c->len);
	}
	return (struct bytes){ f->work, grown };
}

static void
build(struct model *m, const struct choice *choice)
{
	struct name names[NAMES_MAX];
	struct model_file files[NAMES_MAX];
	struct model_image image = { .files = files, .point = m->point };
	XXH3_state_t *hash = XXH3_createState();
	ASSERT(hash != NULL && XXH3_128bits_reset(hash) == XXH_OK);
	size_t count = names_of(m, choice, names);
	for (size_t i = 0; i < count; i++) {
		/* A name in a folder that is not there itself is nowhere. */
		const char *slash = strchr(names[i].path, '/');
		bool reachable = slash == NULL;
		for (size_t j = 0; j < count && !reachable; j++)
			reachable = names[j].file < 0 && strlen(names[j].path) == (size_t)(slash - names[i].path) &&
				strncmp(names[j].path, names[i].path, strlen(names[j].path)) == 0;
		if (!reachable)
			continue;
		struct model_file *f = &files[image.count++];
		*f = (struct model_file){ .name = names[i].path, .folder = names[i].file < 0 };
		if (!f->folder)
			f->content = content_of(m, names[i].file, choice->tail);
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

/* One subset of the pieces with everything that can vary beside it. */
static void
offer(struct model *m, bool growing)
{
	size_t variants = m->op_count + 1 + (m->op_count >= 2 ? m->op_count - 1 : 0);
	for (size_t v = 0; v < variants; v++) {
		struct choice choice = { v, SIZE_MAX, 0 };
		if (v > m->op_count)
			choice = (struct choice){ m->op_count, v - m->op_count - 1, 0 };
		for (choice.tail = 0; choice.tail < (growing ? 3 : 1); choice.tail++) {
			m->candidates++;
			if (m->found == NULL || (double)(model_random(&m->random) >> 11) * 0x1p-53 >= m->keep)
				continue;
			/* The signal file holds any of its values. */
			uint64_t pick = model_random(&m->random) % 4, at = model_random(&m->random);
			size_t signals = 0, n = 0;
			for (size_t i = 0; i < m->chunk_count; i++)
				signals += m->chunks[i].signal;
			for (size_t i = 0; i < m->chunk_count; i++) {
				if (m->chunks[i].signal)
					m->chunks[i].chosen = pick >= 2 || (pick == 1 && n++ <= at % signals);
			}
			build(m, &choice);
		}
	}
}

/* ---- the subsets of one moment ---- */

static size_t
find_places(struct model *m, bool *growing)
{
	size_t places = 0;
	*growing = false;
	for (size_t i = 0; i < m->chunk_count; i++) {
		struct chunk *c = &m->chunks[i];
		struct file *f = &m->files[c->file];
		c->chosen = false;
		if (c->signal)
			continue;
		*growing = *growing || f->cache_len > f->durable_len;
		c->place = places;
		/* The newest first: rewritten places are mostly near the end. */
		for (size_t j = i; j-- > 0;) {
			const struct chunk *o = &m->chunks[j];
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
	uint64_t density = shape == RANDOM ? model_random(&m->random) % 7 + 1 : 0;
	for (size_t i = 0; i < m->chunk_count; i++) {
		struct chunk *c = &m->chunks[i];
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
			word = model_random(&m->random);
			c->chosen = word % 8 < density;
			break;
		}
	}
}

static void
moment(struct model *m)
{
	bool growing;
	size_t places = find_places(m, &growing);
	if (places <= EXHAUSTIVE_MAX) {
		for (uint64_t bits = 0; bits < (uint64_t)1 << places; bits++) {
			choose(m, BITS, bits);
			offer(m, growing);
		}
	} else {
		static const enum shape once[] = { NONE, ALL, META, ALL_BUT_META };
		static const enum shape each[] = { PREFIX, SUFFIX, ONLY, ALL_BUT };
		for (size_t i = 0; i < COUNT_OF(once); i++) {
			choose(m, once[i], 0);
			offer(m, growing);
		}
		/* With thousands of pieces, as in one very large event, only some of the cuts. */
		size_t step = places / 512 + 1;
		for (size_t n = 1; n < places; n += step) {
			for (size_t i = 0; i < COUNT_OF(each); i++) {
				choose(m, each[i], n);
				offer(m, growing);
			}
		}
	}
	for (unsigned i = 0; i < m->rules->random && places > 1; i++) {
		choose(m, RANDOM, 0);
		offer(m, growing);
	}
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
apply_mark(struct model *m, const struct shim_record *r)
{
	if (r->file == MODEL_SUBMIT) {
		for (uint64_t i = 0; i < m->point.submitted; i++) {
			if (m->seen_ids[i] == r->offset)
				return;
		}
		ASSERT(m->point.submitted < COUNT_OF(m->seen_ids));
		m->seen_ids[m->point.submitted++] = r->offset;
	} else if (r->file == MODEL_ACK && r->offset > m->point.acked) {
		m->point.acked = r->offset;
	} else if (r->file == MODEL_VISIBLE && r->offset > m->point.visible) {
		m->point.visible = r->offset;
	} else if (r->file == MODEL_OPENED) {
		m->opened_pid = r->pid;
		if (m->first_pid == 0)
			m->first_pid = r->pid;
	} else if (r->file == MODEL_END) {
		m->point.submitted = r->offset;
	}
}

static void
apply(struct model *m, const struct shim_record *r, struct bytes name, struct bytes data)
{
	struct bytes none = { NULL, 0 };
	char folder[64];
	switch ((enum shim_kind)r->kind) {
	case SHIM_T_CREATE:
		ASSERT(m->file_count < FILES_MAX);
		m->files[m->file_count++] = (struct file){ .inode = r->file };
		file_reserve(&m->files[m->file_count - 1], 4096);
		add_op(m, OP_ADD, name, none, (int)m->file_count - 1);
		break;
	case SHIM_T_WRITE:
		add_write(m, r, data.data);
		break;
	case SHIM_T_TRUNCATE: /* cutting off what may be durable is not modelled, nor done */
		ASSERT(m->files[file_of(m, r->file)].cache_len == r->offset);
		break;
	case SHIM_T_SYNC:
		sync_file(m, r);
		break;
	case SHIM_T_SYNC_DIR:
		relative(m, name, folder);
		if (!m->rules->no_dir_sync)
			keep_names(m, folder);
		break;
	case SHIM_T_RENAME:
		add_op(m, OP_RENAME, name, data, 0);
		break;
	case SHIM_T_UNLINK:
		add_op(m, OP_REMOVE, name, none, 0);
		break;
	case SHIM_T_MKDIR:
		add_op(m, OP_ADD, name, none, -1);
		break;
	case SHIM_T_MARK:
		apply_mark(m, r);
		break;
	}
}

/* A write through O_DSYNC has returned: its own pieces, the newest ones, are durable. */
static void
finish_write(struct model *m, const struct shim_record *r)
{
	int file = file_of(m, r->file);
	for (size_t i = m->chunk_count; i-- > 0;) {
		if (m->chunks[i].file == file && m->chunks[i].offset >= r->offset &&
			m->chunks[i].offset < r->offset + r->data_bytes) {
			size_t before = m->chunk_count;
			make_durable(m, i);
			i -= before - m->chunk_count - 1;
		}
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
	m->random = rules->seed;
	m->keep = keep;
	m->found = found;
	m->context = context;
	for (size_t at = 0; next_record(trace, &at, &r, &name, &data);) {
		apply(m, &r, name, data);
		/* What was promised before the next thing happens holds for this state of the disk. */
		struct shim_record mark;
		struct bytes ignored;
		uint64_t submitted = m->point.submitted;
		if (r.kind == SHIM_T_MARK)
			continue;
		if (r.kind == SHIM_T_WRITE && r.dsync && !rules->no_sync && !rules->no_meta_sync) {
			moment(m);
			finish_write(m, &r);
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
	for (size_t i = 0; i < m->file_count; i++) {
		free(m->files[i].durable);
		free(m->files[i].work);
	}
	free(m->chunks);
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
