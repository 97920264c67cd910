/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "ingest/ring_file.h"

static enum rc
evict(struct ring *r, struct ring_header *h, struct err *e)
{
	struct ring_record rec;
	uint64_t at = h->first;
	enum rc rc = ring_record_at(r, &at, &rec, e);
	if (rc != RC_OK)
		return rc;
	h->first = at + ring_record_size(rec.bytes);
	if (--h->count == 0) {
		h->first = RING_AREA_AT;
		h->next = RING_AREA_AT;
	} else if ((rc = ring_record_at(r, &h->first, &rec, e)) != RC_OK) {
		return rc;
	}
	return ring_write_header(r, h, e);
}

/* Makes room for size bytes in one piece at h->next. */
static enum rc
make_room(struct ring *r, struct ring_header *h, uint64_t size, struct err *e)
{
	enum rc rc = RC_OK;
	while (rc == RC_OK) {
		bool full = h->count > 0 && h->next == h->first;
		if (!full && h->next >= h->first) {
			if (h->size - h->next >= size)
				return RC_OK;
			if (h->count == 0) {
				h->first = RING_AREA_AT;
				h->next = RING_AREA_AT;
				continue;
			}
			const uint64_t filler = RING_FILLER_MAGIC;
			if (h->size - h->next >= sizeof filler)
				rc = ring_write_at(r, &filler, sizeof filler, h->next, e);
			h->next = RING_AREA_AT;
		} else if (!full && h->first - h->next >= size) {
			return RC_OK;
		} else {
			rc = evict(r, h, e);
		}
	}
	return rc;
}

static void
lock(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	while (flock(r->fd, LOCK_EX) != 0 && errno == EINTR) {
	}
}

static void
unlock(struct ring *r)
{
	flock(r->fd, LOCK_UN);
	pthread_mutex_unlock(&r->lock);
}

size_t
ring_data_max(const struct ring *r)
{
	return (size_t)((r->size - RING_AREA_AT) / 4 - sizeof(struct ring_record) - 8);
}

/* Under the lock. id 0: the next one. */
static enum rc
add(struct ring *r, struct ring_record *rec, struct bytes data, struct err *e)
{
	struct ring_header h;
	if (data.len > ring_data_max(r))
		return err_set(
			e, RC_INVALID, RING_ID, "%zu bytes do not fit into %s", data.len, r->path);
	enum rc rc = ring_read_header(r, &h, e);
	if (rc == RC_OK)
		rc = make_room(r, &h, ring_record_size(data.len), e);
	/* What is about to be overwritten is no longer part of the ring. */
	if (rc == RC_OK)
		rc = ring_write_header(r, &h, e);
	if (rc != RC_OK)
		return rc;
	if (rec->id == 0)
		rec->id = h.next_id;
	h.next_id = rec->id + 1;
	rec->magic = RING_RECORD_MAGIC;
	rec->bytes = data.len;
	ring_record_check(rec, data, rec->check);
	rc = ring_write_at(r, rec, sizeof *rec, h.next, e);
	if (rc == RC_OK)
		rc = ring_write_at(r, data.data, data.len, h.next + sizeof *rec, e);
	if (rc != RC_OK)
		return rc;
	if (h.count++ == 0)
		h.first = h.next;
	h.next += ring_record_size(data.len);
	return ring_write_header(r, &h, e);
}

enum rc
ring_add(struct ring *r, int64_t at_us, struct bytes data, uint64_t *id, struct err *e)
{
	struct ring_record rec = { .at_us = at_us, .state = RING_WAITING };
	lock(r);
	enum rc rc = add(r, &rec, data, e);
	unlock(r);
	*id = rec.id;
	return rc;
}

static struct ring_entry
entry_of(const struct ring_record *rec)
{
	return (struct ring_entry){ .id = rec->id,
		.at_us = rec->at_us,
		.state = (enum ring_state)rec->state,
		.seq = rec->seq,
		.bytes = (size_t)rec->bytes };
}

enum rc
ring_list(struct ring *r, struct arena *a, const struct ring_entry **entries, size_t *count,
	struct err *e)
{
	struct ring_header h;
	struct ring_record rec;
	*count = 0;
	lock(r);
	enum rc rc = ring_read_header(r, &h, e);
	if (rc == RC_OK && h.count > h.size / sizeof rec)
		rc = ring_damaged(r, e);
	if (rc == RC_OK) {
		struct ring_entry *list = arena_alloc(a, ((size_t)h.count + 1) * sizeof *list);
		uint64_t at = h.first;
		for (; rc == RC_OK && *count < h.count; *count += rc == RC_OK) {
			rc = ring_record_at(r, &at, &rec, e);
			list[*count] = entry_of(&rec);
			at += ring_record_size(rec.bytes);
		}
		*entries = list;
	}
	unlock(r);
	return rc;
}

/* Under the lock: where the record is. */
static enum rc
find(struct ring *r, uint64_t id, struct ring_record *rec, uint64_t *at, struct err *e)
{
	struct ring_header h;
	enum rc rc = ring_read_header(r, &h, e);
	*at = h.first;
	for (uint64_t i = 0; rc == RC_OK && i < h.count; i++) {
		rc = ring_record_at(r, at, rec, e);
		if (rc == RC_OK && rec->id == id)
			return RC_OK;
		*at += ring_record_size(rec->bytes);
	}
	if (rc != RC_OK)
		return rc;
	return err_set(e, RC_NOTFOUND, NULL,
		"there is no request %" PRIu64
		" in the quarantine; it may have made room for newer "
		"ones",
		id);
}

enum rc
ring_read(struct ring *r, uint64_t id, struct arena *a, struct ring_entry *entry,
	struct bytes *data, struct err *e)
{
	struct ring_record rec;
	unsigned char check[RING_CHECK_BYTES];
	uint64_t at = 0;
	lock(r);
	enum rc rc = find(r, id, &rec, &at, e);
	if (rc == RC_OK) {
		unsigned char *bytes = arena_alloc(a, (size_t)rec.bytes + 1);
		rc = ring_read_at(r, bytes, (size_t)rec.bytes, at + sizeof rec, e);
		*data = (struct bytes){ bytes, (size_t)rec.bytes };
	}
	unlock(r);
	if (rc != RC_OK)
		return rc;
	ring_record_check(&rec, *data, check);
	if (memcmp(check, rec.check, sizeof check) != 0)
		return ring_damaged(r, e);
	*entry = entry_of(&rec);
	return RC_OK;
}

enum rc
ring_mark(struct ring *r, uint64_t id, enum ring_state state, uint64_t seq, struct err *e)
{
	struct ring_record rec;
	uint64_t at = 0;
	lock(r);
	enum rc rc = find(r, id, &rec, &at, e);
	rec.state = state;
	rec.seq = seq;
	if (rc == RC_OK)
		rc = ring_write_at(r, &rec, sizeof rec, at, e);
	unlock(r);
	return rc;
}

/* ---- opening ---- */

static enum rc
open_file(struct ring **out, const char *path, int flags, struct err *e)
{
	struct ring *r = base_zalloc(sizeof *r);
	pthread_mutex_init(&r->lock, NULL);
	snprintf(r->path, sizeof r->path, "%s", path);
	r->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (r->fd < 0) {
		enum rc rc = err_sys(
			e, errno == ENOENT ? RC_NOTFOUND : RC_IO, RING_ID, errno, "open %s", path);
		ring_close(r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

void
ring_close(struct ring *r)
{
	if (r == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

enum rc
ring_remake(struct ring **out, const char *path, uint64_t size, struct err *e)
{
	char beside[PATH_MAX];
	struct ring *r = NULL;
	struct ring_header h = {
		.size = size, .first = RING_AREA_AT, .next = RING_AREA_AT, .next_id = 1
	};
	memcpy(h.magic, ring_magic, sizeof h.magic);
	if (size < RING_SIZE_MIN ||
		(size_t)snprintf(beside, sizeof beside, "%s.new", path) >= sizeof beside)
		return err_set(e, RC_INVALID, RING_ID, "%s: at least %" PRIu64 " bytes", path,
			RING_SIZE_MIN);
	enum rc rc = open_file(&r, beside, O_CREAT | O_TRUNC, e);
	if (rc != RC_OK)
		return rc;
	r->size = size;
	/* All of it now: later the disk may be full. */
	int failed = posix_fallocate(r->fd, 0, (off_t)size);
	if (failed != 0)
		rc = err_sys(e, failed == ENOSPC ? RC_FULL : RC_IO, RING_ID, failed,
			"make %s with %" PRIu64 " bytes", beside, size);
	if (rc == RC_OK)
		rc = ring_write_header(r, &h, e);
	if (rc == RC_OK && rename(beside, path) != 0)
		rc = err_sys(e, RC_IO, RING_ID, errno, "rename %s", beside);
	if (rc == RC_OK) {
		snprintf(r->path, sizeof r->path, "%s", path);
		*out = r;
		return RC_OK;
	}
	unlink(beside);
	ring_close(r);
	return rc;
}

/* Moves what fits into a ring of another size, and closes the old one. */
static enum rc
resize(struct ring **r, uint64_t size, struct err *e)
{
	struct ring *old = *r, *fresh = NULL;
	struct arena *a = arena_new(4096), *each = arena_new(4096);
	const struct ring_entry *entries = NULL;
	size_t count = 0;
	enum rc rc = ring_list(old, a, &entries, &count, e);
	if (rc == RC_OK)
		rc = ring_remake(&fresh, old->path, size, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct ring_entry entry;
		struct bytes data;
		arena_reset(each);
		rc = ring_read(old, entries[i].id, each, &entry, &data, e);
		if (rc != RC_OK || data.len > ring_data_max(fresh))
			continue;
		struct ring_record rec = {
			.id = entry.id, .at_us = entry.at_us, .state = entry.state, .seq = entry.seq
		};
		rc = add(fresh, &rec, data, e);
	}
	if (rc == RC_OK) {
		ring_close(old);
		*r = fresh;
	} else {
		ring_close(fresh);
	}
	arena_free(each);
	arena_free(a);
	return rc;
}

enum rc
ring_open(struct ring **out, const char *path, uint64_t size, struct err *e)
{
	struct ring *r = NULL;
	struct ring_header h;
	if (size > 0 && !fs_exists(path))
		return ring_remake(out, path, size, e);
	enum rc rc = open_file(&r, path, 0, e);
	if (rc != RC_OK)
		return rc;
	lock(r);
	rc = ring_read_header(r, &h, e);
	unlock(r);
	if (rc == RC_OK) {
		r->size = h.size;
		if (size > 0 && size != h.size)
			rc = resize(&r, size, e);
	}
	if (rc == RC_OK)
		*out = r;
	else
		ring_close(r);
	return rc;
}
