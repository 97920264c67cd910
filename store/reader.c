/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "store/dir.h"
#include "store/reader.h"

struct store_reader *
reader_new(struct segment_set *set)
{
	struct store_reader *r = base_zalloc(sizeof *r);
	r->set = segment_set_ref(set);
	r->names = arena_new(4096);
	r->unpacker = unpacker_new();
	r->inotify = -1;
	return r;
}

enum rc
store_reader_open(struct store_reader **r, const char *dir, struct err *e)
{
	return store_reader_open_archived(r, dir, NULL, e);
}

enum rc
store_reader_open_archived(struct store_reader **r, const char *dir, const char *archive_dir,
	struct err *e)
{
	unsigned char log_id[STORE_LOG_ID_BYTES];
	*r = NULL;
	enum rc rc = dir_read_log(dir, log_id, e);
	if (rc != RC_OK)
		return rc;
	struct segment_set *set = segment_set_new(dir, log_id);
	segment_set_use_archive(set, archive_dir);
	struct store_reader *reader = reader_new(set);
	segment_set_unref(set);
	rc = reader_refresh(reader, e);
	if (rc != RC_OK) {
		store_reader_close(reader);
		return rc;
	}
	*r = reader;
	return RC_OK;
}

enum rc
store_reader_share(struct store_reader *other, struct store_reader **r, struct err *e)
{
	*r = NULL;
	struct store_reader *reader = reader_new(other->set);
	enum rc rc = reader_refresh(reader, e);
	if (rc != RC_OK) {
		store_reader_close(reader);
		return rc;
	}
	*r = reader;
	return RC_OK;
}

void
store_reader_close(struct store_reader *r)
{
	if (r == NULL)
		return;
	if (r->inotify >= 0)
		close(r->inotify);
	unpacker_free(r->unpacker);
	arena_free(r->names);
	segment_set_unref(r->set);
	free(r);
}

/* Puts the archived segments that lead up to the log's first one in front. */
static void
join_archive(struct store_reader *r)
{
	const struct archived_segment *archived;
	size_t count, from;
	segment_set_list_archive(r->set, r->names, &archived, &count);
	while (count > 0 && archived[count - 1].first_seq >= r->firsts[0])
		count--;
	for (from = count; from > 0; from--) {
		uint64_t next = from == count ? r->firsts[0] : archived[from].first_seq;
		if (archived[from - 1].last_seq + 1 != next)
			break;
	}
	size_t more = count - from;
	if (more == 0)
		return;
	uint64_t *all = arena_alloc(r->names, (more + r->count) * sizeof *all);
	for (size_t i = 0; i < more; i++)
		all[i] = archived[from + i].first_seq;
	memcpy(all + more, r->firsts, r->count * sizeof *all);
	r->firsts = all;
	r->count += more;
	r->archived_count = more;
}

enum rc
reader_refresh(struct store_reader *r, struct err *e)
{
	arena_reset(r->names);
	r->count = 0;
	r->archived_count = 0;
	enum rc rc = dir_segments(segment_set_dir(r->set), r->names, &r->firsts, &r->count, e);
	if (rc == RC_OK && segment_set_archive(r->set) != NULL && r->count > 0)
		join_archive(r);
	return rc;
}

/* The last segment that starts at or before seq; count: none. */
static size_t
find(const struct store_reader *r, uint64_t seq)
{
	size_t low = 0, high = r->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (r->firsts[middle] <= seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? r->count : low - 1;
}

enum rc
reader_locate(struct store_reader *r, uint64_t seq, size_t *index, struct err *e)
{
	*index = find(r, seq);
	if (*index < r->count)
		return RC_OK;
	enum rc rc = reader_refresh(r, e);
	*index = find(r, seq);
	return rc;
}

enum rc
reader_enter(struct store_reader *r, size_t index, struct segment **s, MDB_txn **txn, struct err *e)
{
	*s = NULL;
	*txn = NULL;
	enum rc rc = segment_acquire(r->set, r->firsts[index], s, e);
	if (rc != RC_OK)
		return rc;
	rc = segment_begin(*s, txn, e);
	if (rc != RC_OK) {
		segment_release(*s);
		*s = NULL;
	}
	return rc;
}

void
reader_leave(struct segment *s, MDB_txn *txn)
{
	if (txn != NULL)
		mdb_txn_abort(txn);
	segment_release(s);
}

/* A read transaction ends after this, whatever was asked for: while it lasts the writer cannot use old
 * pages again. */
#define READ_TXN_MS 100
/* Records between two looks at the clock. */
#define CLOCK_EVERY 16

/* What one call of store_read collects. */
struct batch {
	struct arena *a;
	struct store_record *records;
	size_t count, room;
	size_t max_count, max_bytes, start_bytes;
};

static struct store_record *
batch_next(struct batch *b)
{
	if (b->count == b->room) {
		size_t room = b->room == 0 ? 16 : b->room * 4;
		room = room < b->max_count ? room : b->max_count;
		struct store_record *more = arena_alloc(b->a, room * sizeof *more);
		if (b->count > 0)
			memcpy(more, b->records, b->count * sizeof *more);
		b->records = more;
		b->room = room;
	}
	return &b->records[b->count];
}

/* Copies records from seq on out of one segment; *next is the first one not copied. *last: the
 * segment's last seq, 0 when it is empty. *full: the batch's limits are reached. */
static enum rc
read_segment(struct store_reader *r, struct segment *s, MDB_txn *txn, uint64_t seq, struct batch *b,
	uint64_t *next, uint64_t *last, bool *full, struct err *e)
{
	uint64_t first;
	MDB_cursor *cursor = NULL;
	*next = seq;
	*full = false;
	enum rc rc = segment_range(s, txn, &first, last, e);
	if (rc != RC_OK || seq > *last)
		return rc;
	int code = mdb_cursor_open(txn, s->events, &cursor);
	if (code != 0)
		return db_err(e, code, "read segment %" PRIu64, s->first_seq);
	unsigned char key[8];
	db_put_seq(key, seq);
	MDB_val k = { sizeof key, key }, v;
	MDB_cursor_op op = MDB_SET_KEY;
	int64_t until_ms = clock_monotonic_ms() + READ_TXN_MS;
	struct db_pages touched = DB_PAGES_NONE;
	for (; *next <= *last; op = MDB_NEXT) {
		if (b->count == b->max_count ||
			(b->count > 0 && arena_used_bytes(b->a) - b->start_bytes >= b->max_bytes) ||
			(b->count % CLOCK_EVERY == CLOCK_EVERY - 1 && clock_monotonic_ms() > until_ms)) {
			*full = true;
			break;
		}
		code = mdb_cursor_get(cursor, &k, &v, op);
		if (code == MDB_NOTFOUND || (code == 0 && (k.mv_size != 8 || db_get_seq(k.mv_data) != *next)))
			rc = err_set(e, RC_CORRUPT, "log.damaged", "record %" PRIu64 " is missing", *next);
		else if (code != 0)
			rc = db_err(e, code, "record %" PRIu64, *next);
		else
			rc = segment_decode(s, txn, r->unpacker, *next, db_bytes(v), b->a, batch_next(b), e);
		if (rc != RC_OK)
			break;
		db_touched(&touched, v);
		b->count++;
		++*next;
	}
	mdb_cursor_close(cursor);
	db_forget(&touched);
	return rc;
}

/* Whether there is more to read after segment index, which ends with last: the next segment's name is
 * the next number, so one look-up tells. */
static enum rc
follow(struct store_reader *r, size_t index, uint64_t last, bool *more, struct err *e)
{
	uint64_t next = last == 0 ? r->firsts[index] : last + 1;
	*more = false;
	if (index + 1 < r->count) {
		if (r->firsts[index + 1] != next)
			return err_set(e, RC_CORRUPT, "log.damaged",
				"records %" PRIu64 " to %" PRIu64 " are missing", next,
				r->firsts[index + 1] - 1);
		*more = true;
		return RC_OK;
	}
	char name[DIR_NAME_BYTES];
	dir_segment_name(next, name);
	char *path = dir_path(segment_set_dir(r->set), name);
	*more = last != 0 && fs_exists(path);
	free(path);
	return *more ? reader_refresh(r, e) : RC_OK;
}

enum rc
store_read(struct store_reader *r, uint64_t seq, size_t max_count, size_t max_bytes, struct arena *a,
	const struct store_record **records, size_t *count, struct err *e)
{
	struct batch b = { .a = a, .max_count = max_count > 0 ? max_count : 1, .max_bytes = max_bytes,
		.start_bytes = arena_used_bytes(a) };
	enum rc rc = RC_OK;
	bool full = false, more = true, retried = false;
	while (more && !full) {
		size_t index;
		struct segment *s;
		MDB_txn *txn;
		uint64_t last = 0;
		rc = reader_locate(r, seq, &index, e);
		if (rc != RC_OK || r->count == 0)
			break;
		if (index == r->count) {
			rc = err_set(e, RC_NOTFOUND, "log.removed",
				"record %" PRIu64 " is not held any more; the log starts with %" PRIu64
				"; mount the archive that holds it and name it in store.archive_dir",
				seq, r->firsts[0]);
			break;
		}
		rc = reader_enter(r, index, &s, &txn, e);
		if (rc == RC_NOTFOUND && !retried) {
			retried = true;
			rc = reader_refresh(r, e);
			if (rc != RC_OK)
				break;
			continue;
		}
		if (rc != RC_OK)
			break;
		rc = read_segment(r, s, txn, seq, &b, &seq, &last, &full, e);
		reader_leave(s, txn);
		if (rc == RC_OK && !full)
			rc = follow(r, index, last, &more, e);
		if (rc != RC_OK)
			break;
	}
	*records = b.records;
	*count = b.count;
	/* What stands before the damage is given out first; the next call starts with the damage. */
	return b.count > 0 ? RC_OK : rc;
}
