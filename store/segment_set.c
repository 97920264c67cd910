/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "base/fs.h"
#include "store/dir.h"
#include "store/segment.h"

/* Each open segment takes a terabyte of address space, of which x86-64 has 128. */
#define OPEN_MAX 16

struct segment_set {
	char *dir;
	unsigned char log_id[STORE_LOG_ID_BYTES];
	pthread_mutex_t lock;
	unsigned refs;
	uint64_t clock;
	uint64_t write_from; /* segments from this number on are opened for writing, whoever asks first */
	size_t count;
	struct segment *list;
	char *archive_dir; /* NULL: none */
	struct arena *archive_names;
	struct archived_segment *archived;
	size_t archived_count;
};

struct segment_set *
segment_set_new(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES])
{
	struct segment_set *set = base_zalloc(sizeof *set);
	set->dir = base_strdup(dir);
	memcpy(set->log_id, log_id, STORE_LOG_ID_BYTES);
	pthread_mutex_init(&set->lock, NULL);
	set->refs = 1;
	set->write_from = UINT64_MAX;
	return set;
}

struct segment_set *
segment_set_ref(struct segment_set *set)
{
	pthread_mutex_lock(&set->lock);
	set->refs++;
	pthread_mutex_unlock(&set->lock);
	return set;
}

void
segment_set_unref(struct segment_set *set)
{
	if (set == NULL)
		return;
	pthread_mutex_lock(&set->lock);
	bool last = --set->refs == 0;
	pthread_mutex_unlock(&set->lock);
	if (!last)
		return;
	while (set->list != NULL) {
		struct segment *s = set->list;
		ASSERT(s->users == 0);
		set->list = s->next;
		segment_close(s);
	}
	pthread_mutex_destroy(&set->lock);
	arena_free(set->archive_names);
	free(set->archive_dir);
	free(set->dir);
	free(set);
}

const char *
segment_set_dir(const struct segment_set *set)
{
	return set->dir;
}

const unsigned char *
segment_set_log_id(const struct segment_set *set)
{
	return set->log_id;
}

void
segment_set_use_archive(struct segment_set *set, const char *dir)
{
	if (dir == NULL || dir[0] == '\0')
		return;
	set->archive_dir = base_strdup(dir);
	set->archive_names = arena_new(4096);
}

const char *
segment_set_archive(const struct segment_set *set)
{
	return set->archive_dir;
}

/* Reads anew what the archive holds; the set's lock is held. */
static void
read_archive(struct segment_set *set)
{
	arena_reset(set->archive_names);
	archived_list(set->archive_dir, set->log_id, set->archive_names, &set->archived,
		&set->archived_count);
}

void
segment_set_list_archive(struct segment_set *set, struct arena *a,
	const struct archived_segment **segments, size_t *count)
{
	*segments = NULL;
	*count = 0;
	if (set->archive_dir == NULL)
		return;
	pthread_mutex_lock(&set->lock);
	read_archive(set);
	struct archived_segment *copy = arena_alloc(a, (set->archived_count + 1) * sizeof *copy);
	if (set->archived_count > 0)
		memcpy(copy, set->archived, set->archived_count * sizeof *copy);
	*segments = copy;
	*count = set->archived_count;
	pthread_mutex_unlock(&set->lock);
}

/* The path of the archived copy, or NULL; the set's lock is held. */
static char *
archived_path(const struct segment_set *set, uint64_t first_seq)
{
	for (size_t i = 0; i < set->archived_count; i++) {
		if (set->archived[i].first_seq == first_seq)
			return dir_path(set->archive_dir, set->archived[i].file);
	}
	return NULL;
}

/* Where the segment is: in the log's folder or, only to read, in the archive, or NULL; the set's lock is
 * held. */
static char *
find_file(struct segment_set *set, uint64_t first_seq, enum db_mode *mode)
{
	char name[DIR_NAME_BYTES];
	dir_segment_name(first_seq, name);
	char *path = dir_path(set->dir, name);
	if (fs_exists(path))
		return path;
	free(path);
	if (*mode != DB_READ || set->archive_dir == NULL)
		return NULL;
	*mode = DB_FROZEN;
	path = archived_path(set, first_seq);
	if (path == NULL || fs_exists(path))
		return path;
	/* Replaced under another name since the manifest was read. */
	free(path);
	read_archive(set);
	path = archived_path(set, first_seq);
	if (path != NULL && fs_exists(path))
		return path;
	free(path);
	return NULL;
}

/* Opens one more segment; the set's lock is held. */
static enum rc
open_one(struct segment_set *set, uint64_t first_seq, enum db_mode mode, struct segment **out,
	struct err *e)
{
	char *path = find_file(set, first_seq, &mode);
	if (path == NULL)
		return err_set(e, RC_NOTFOUND, NULL, "there is no segment %" PRIu64 " in %s", first_seq,
			set->dir);
	enum rc rc = segment_open(path, mode, set->log_id, first_seq, out, e);
	free(path);
	if (rc != RC_OK)
		return rc;
	(*out)->set = set;
	(*out)->next = set->list;
	set->list = *out;
	set->count++;
	return RC_OK;
}

/* Closes the idle segment that was not used for longest; the set's lock is held. */
static void
close_one_idle(struct segment_set *set)
{
	struct segment **oldest = NULL;
	for (struct segment **p = &set->list; *p != NULL; p = &(*p)->next) {
		if ((*p)->users == 0 && (oldest == NULL || (*p)->used_at < (*oldest)->used_at))
			oldest = p;
	}
	if (oldest == NULL)
		return;
	struct segment *s = *oldest;
	*oldest = s->next;
	set->count--;
	segment_close(s);
}

/* Whether another file has taken the place of the segment's, as a redaction does, or it was removed. Who
 * uses the old one may finish; nobody else gets it. The set's lock is held. */
static bool
is_replaced(struct segment *s)
{
	struct stat st;
	mdb_filehandle_t fd;
	if (!s->replaced) {
		mdb_env_get_fd(s->env, &fd);
		s->replaced = fstat(fd, &st) == 0 && st.st_nlink == 0;
	}
	return s->replaced;
}

/* Closes replaced segments nobody uses any more; the set's lock is held. */
static void
close_replaced(struct segment_set *set)
{
	for (struct segment **p = &set->list; *p != NULL;) {
		struct segment *s = *p;
		if (!s->replaced || s->users > 0) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		set->count--;
		segment_close(s);
	}
}

void
segment_set_write_from(struct segment_set *set, uint64_t first_seq)
{
	pthread_mutex_lock(&set->lock);
	set->write_from = first_seq;
	pthread_mutex_unlock(&set->lock);
}

static enum rc
acquire(struct segment_set *set, uint64_t first_seq, enum db_mode mode, struct segment **out,
	struct err *e)
{
	enum rc rc = RC_OK;
	pthread_mutex_lock(&set->lock);
	struct segment *s = set->list;
	while (s != NULL && (s->first_seq != first_seq || is_replaced(s)))
		s = s->next;
	if (first_seq >= set->write_from)
		mode = DB_WRITE;
	if (s == NULL) {
		close_replaced(set);
		if (set->count >= OPEN_MAX)
			close_one_idle(set);
		rc = open_one(set, first_seq, mode, &s, e);
	}
	if (rc == RC_OK) {
		s->users++;
		s->used_at = ++set->clock;
		*out = s;
	}
	pthread_mutex_unlock(&set->lock);
	return rc;
}

enum rc
segment_acquire(struct segment_set *set, uint64_t first_seq, struct segment **s, struct err *e)
{
	return acquire(set, first_seq, DB_READ, s, e);
}

enum rc
segment_acquire_writable(struct segment_set *set, uint64_t first_seq, struct segment **s, struct err *e)
{
	segment_set_write_from(set, first_seq);
	enum rc rc = acquire(set, first_seq, DB_WRITE, s, e);
	if (rc != RC_OK)
		return rc;
	unsigned flags = 0;
	mdb_env_get_flags((*s)->env, &flags);
	ASSERT((flags & MDB_RDONLY) == 0);
	int code = mdb_env_sync((*s)->env, 1);
	if (code != 0) {
		segment_release(*s);
		*s = NULL;
		return db_err(e, code, "sync segment %" PRIu64, first_seq);
	}
	return RC_OK;
}

void
segment_release(struct segment *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->set->lock);
	ASSERT(s->users > 0);
	s->users--;
	pthread_mutex_unlock(&s->set->lock);
}

enum rc
segment_begin(struct segment *s, MDB_txn **txn, struct err *e)
{
	enum rc rc = db_read_begin(s->env, txn, e);
	if (rc != RC_AGAIN)
		return rc;
	/* A map may be moved only while nobody looks through it: with one user, us, who does not yet. */
	pthread_mutex_lock(&s->set->lock);
	if (s->users == 1 && mdb_env_set_mapsize(s->env, 0) == 0)
		rc = db_read_begin(s->env, txn, e);
	pthread_mutex_unlock(&s->set->lock);
	return rc;
}
