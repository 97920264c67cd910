/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include "tests/crash/state.h"

/* ---- files ---- */

static int
file_of(const struct state *s, uint64_t inode)
{
	/* The newest first: a number is given out again when its file is gone. */
	for (size_t i = s->file_count; i > 0; i--) {
		if (s->files[i - 1].inode == inode)
			return (int)i - 1;
	}
	return -1;
}

/* Shared with the processes that check images, which never look: a private page would be copied at the next
 * write after each of their forks, and there are hundreds of forks for each write of the workload. */
static unsigned char *
move_content(unsigned char *from, size_t len, size_t room)
{
	unsigned char *to = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(to != MAP_FAILED);
	if (from != NULL) {
		memcpy(to, from, len);
		munmap(from, len);
	}
	return to;
}

static void
file_reserve(struct state_file *f, size_t len)
{
	if (len <= f->room)
		return;
	size_t room = len * 2;
	f->durable = move_content(f->durable, f->room, room);
	f->work = move_content(f->work, f->room, room);
	f->room = room;
}

/* The piece is on the disk from now on; older pieces of the same place are history. */
static void
make_durable(struct state *s, size_t index)
{
	struct state_chunk c = s->chunks[index];
	struct state_file *f = &s->files[c.file];
	memcpy(f->durable + c.offset, c.data, c.len);
	if (c.offset + c.len > f->durable_len)
		f->durable_len = c.offset + c.len;
	size_t kept = 0;
	for (size_t i = 0; i < s->chunk_count; i++) {
		const struct state_chunk *o = &s->chunks[i];
		bool gone = i == index || (i < index && o->file == c.file && o->offset >= c.offset &&
			o->offset + o->len <= c.offset + c.len);
		if (!gone)
			s->chunks[kept++] = *o;
	}
	s->chunk_count = kept;
}

/* ---- names ---- */

/* The name an operation gives or takes. */
static const char *
target_of(const struct state_op *op)
{
	return op->kind == OP_RENAME ? op->to : op->name.path;
}

static void
names_apply(struct state_name *names, size_t *count, const struct state_op *op)
{
	const char *target = target_of(op);
	size_t kept = 0;
	struct state_name given = op->name;
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(names[i].path, op->name.path) != 0 && strcmp(names[i].path, target) != 0)
			names[kept++] = names[i];
	}
	if (op->kind != OP_REMOVE) {
		ASSERT(kept < STATE_NAMES_MAX);
		memcpy(given.path, target, strlen(target) + 1);
		names[kept++] = given;
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

/* Makes the pending names of a folder durable, NULL: of all. A file that moved into it is at its old place no
 * more: a file system writes both ends of a rename at once. */
static void
keep_names(struct state *s, const char *folder)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->op_count; i++) {
		const struct state_op op = s->ops[i];
		if (folder != NULL && !in_folder(target_of(&op), folder)) {
			s->ops[kept++] = op;
			continue;
		}
		names_apply(s->names, &s->name_count, &op);
		size_t before = kept;
		kept = 0;
		for (size_t j = 0; j < before; j++) {
			if (op.kind != OP_RENAME || strcmp(target_of(&s->ops[j]), op.name.path) != 0)
				s->ops[kept++] = s->ops[j];
		}
	}
	s->op_count = kept;
}

static void
relative(const struct state *s, struct bytes path, char out[STATE_PATH_BYTES])
{
	size_t root = strlen(s->root);
	ASSERT(path.len >= root && memcmp(path.data, s->root, root) == 0);
	struct bytes rest = { path.data + root, path.len - root };
	if (rest.len > 0)
		rest = (struct bytes){ rest.data + 1, rest.len - 1 };
	ASSERT(rest.len < STATE_PATH_BYTES);
	memcpy(out, rest.data, rest.len);
	out[rest.len] = '\0';
}

size_t
state_names(const struct state *s, size_t count, size_t skipped, struct state_name out[STATE_NAMES_MAX])
{
	size_t n = s->name_count;
	memcpy(out, s->names, n * sizeof *out);
	for (size_t i = 0; i < count; i++) {
		if (i != skipped)
			names_apply(out, &n, &s->ops[i]);
	}
	return n;
}

/* The file of a name, for a rename; -1: a folder, or none. */
static int
file_named(const struct state *s, const char *path)
{
	struct state_name names[STATE_NAMES_MAX];
	size_t count = state_names(s, s->op_count, SIZE_MAX, names);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i].path, path) == 0)
			return names[i].file;
	}
	return -1;
}

static void
add_op(struct state *s, enum state_op_kind kind, struct bytes path, struct bytes to, int file)
{
	ASSERT(s->op_count < STATE_OPS_MAX);
	struct state_op *op = &s->ops[s->op_count];
	*op = (struct state_op){ .kind = kind, .name = { .file = file } };
	relative(s, path, op->name.path);
	if (kind == OP_RENAME) {
		relative(s, to, op->to);
		op->name.file = file_named(s, op->name.path);
	}
	s->op_count++;
}

static bool
ends_with(const char *path, const char *end)
{
	size_t len = strlen(path), end_len = strlen(end);
	return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

static bool
has_name_ending(const struct state *s, int file, const char *end)
{
	for (size_t i = 0; i < s->name_count; i++) {
		if (s->names[i].file == file && ends_with(s->names[i].path, end))
			return true;
	}
	for (size_t i = 0; i < s->op_count; i++) {
		if (s->ops[i].name.file == file && ends_with(target_of(&s->ops[i]), end))
			return true;
	}
	return false;
}

/* ---- writing and syncing ---- */

static void
add_write(struct state *s, const struct shim_record *r, const unsigned char *data)
{
	int file = file_of(s, r->file);
	ASSERT(file >= 0);
	struct state_file *f = &s->files[file];
	uint64_t end = r->offset + r->data_bytes;
	file_reserve(f, end);
	if (end > f->cache_len)
		f->cache_len = end;
	bool signal = has_name_ending(s, file, "/head");
	for (uint64_t at = r->offset; at < end;) {
		uint64_t next = (at / s->rules->granule + 1) * s->rules->granule;
		next = next < end ? next : end;
		if (s->chunk_count == s->chunk_room) {
			s->chunk_room = s->chunk_room * 2 + 64;
			s->chunks = base_realloc(s->chunks, s->chunk_room * sizeof *s->chunks);
		}
		s->chunks[s->chunk_count++] = (struct state_chunk){ .file = file, .offset = at,
			.signal = signal, .len = (unsigned)(next - at), .data = data + (at - r->offset),
			.pid = r->pid };
		at = next;
	}
}

static void
sync_file(struct state *s, const struct shim_record *r)
{
	int file = file_of(s, r->file);
	const struct model_rules *rules = s->rules;
	ASSERT(file >= 0);
	if (rules->no_sync && has_name_ending(s, file, ".mdb"))
		return;
	bool starting = rules->no_start_sync && s->first_pid != 0 && r->pid != s->first_pid &&
		s->opened_pid != r->pid;
	for (size_t i = 0; i < s->chunk_count;) {
		struct state_chunk *c = &s->chunks[i];
		if (c->file != file || c->limbo || (starting && c->pid != r->pid)) {
			i++;
		} else if (r->error != 0) {
			c->limbo = true;
			i++;
		} else {
			size_t before = s->chunk_count;
			make_durable(s, i);
			i -= before - s->chunk_count - 1;
		}
	}
	if (r->error == 0 && s->files[file].durable_len > s->files[file].cache_len)
		s->files[file].cache_len = s->files[file].durable_len;
	if (r->error == 0 && rules->file_keeps_names)
		keep_names(s, NULL);
}

void
state_finish_write(struct state *s, const struct shim_record *r)
{
	int file = file_of(s, r->file);
	/* Its own pieces are the newest ones. */
	for (size_t i = s->chunk_count; i-- > 0;) {
		if (s->chunks[i].file == file && s->chunks[i].offset >= r->offset &&
			s->chunks[i].offset < r->offset + r->data_bytes) {
			size_t before = s->chunk_count;
			make_durable(s, i);
			i -= before - s->chunk_count - 1;
		}
	}
}

void
state_opened(struct state *s, uint32_t pid)
{
	s->opened_pid = pid;
	if (s->first_pid == 0)
		s->first_pid = pid;
}

void
state_apply(struct state *s, const struct shim_record *r, struct bytes name, struct bytes data)
{
	struct bytes none = { NULL, 0 };
	char folder[STATE_PATH_BYTES];
	switch ((enum shim_kind)r->kind) {
	case SHIM_T_CREATE:
		ASSERT(s->file_count < STATE_FILES_MAX);
		s->files[s->file_count++] = (struct state_file){ .inode = r->file };
		file_reserve(&s->files[s->file_count - 1], 4096);
		add_op(s, OP_ADD, name, none, (int)s->file_count - 1);
		break;
	case SHIM_T_WRITE:
		add_write(s, r, data.data);
		break;
	case SHIM_T_TRUNCATE: /* cutting off what may be durable is not modelled, nor done */
		ASSERT(s->files[file_of(s, r->file)].cache_len == r->offset);
		break;
	case SHIM_T_SYNC:
		sync_file(s, r);
		break;
	case SHIM_T_SYNC_DIR:
		relative(s, name, folder);
		if (!s->rules->no_dir_sync)
			keep_names(s, folder);
		break;
	case SHIM_T_RENAME:
		add_op(s, OP_RENAME, name, data, 0);
		break;
	case SHIM_T_UNLINK:
		add_op(s, OP_REMOVE, name, none, 0);
		break;
	case SHIM_T_MKDIR:
		add_op(s, OP_ADD, name, none, -1);
		break;
	case SHIM_T_MARK:
		break;
	}
}

/* ---- what an image holds ---- */

struct bytes
state_content(struct state *s, int file, int tail)
{
	struct state_file *f = &s->files[file];
	size_t len = f->durable_len, grown = tail > 0 && f->cache_len > len ? f->cache_len : len;
	bool touched = grown > len;
	for (size_t i = 0; i < s->chunk_count; i++) {
		const struct state_chunk *c = &s->chunks[i];
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
	for (size_t i = 0; i < s->chunk_count; i++) {
		const struct state_chunk *c = &s->chunks[i];
		if (c->file == file && c->chosen)
			memcpy(f->work + c->offset, c->data, c->len);
	}
	return (struct bytes){ f->work, grown };
}

void
state_free(struct state *s)
{
	for (size_t i = 0; i < s->file_count; i++) {
		if (s->files[i].room > 0) {
			munmap(s->files[i].durable, s->files[i].room);
			munmap(s->files[i].work, s->files[i].room);
		}
	}
	free(s->chunks);
}
