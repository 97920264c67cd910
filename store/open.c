/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/door.h"
#include "store/raw.h"
#include "store/recover.h"
#include "store/writer.h"

#define SEGMENT_BYTES_DEFAULT ((uint64_t)1 << 30)
/* Far enough below the map that a last, large commit fits. */
#define SEGMENT_BYTES_MAX ((uint64_t)1 << 39)
#define SEGMENT_AGE_S_DEFAULT ((int64_t)7 * 24 * 3600)
#define QUEUE_EVENTS_DEFAULT 16384

/* How many of the newest records a start looks at for a dictionary. */
#define DICT_LOOK_BACK 64

/* Reads where the log ends: the state the next record continues from. */
static enum rc
read_end(struct store *s, struct err *e)
{
	MDB_txn *txn = NULL;
	struct bytes record;
	struct record_header h;
	uint64_t first, last;
	enum rc rc = db_read_begin(s->segment->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	rc = segment_range(s->segment, txn, &first, &last, e);
	if (rc != RC_OK)
		goto done;
	s->last_seq = s->segment->first_seq - 1;
	memcpy(s->chain, s->segment->prev_chain, STORE_CHAIN_BYTES);
	if (last == 0)
		goto done;
	rc = segment_get(s->segment, txn, first, &record, e);
	if (rc == RC_OK)
		rc = record_open(record, first, &h, e);
	if (rc != RC_OK)
		goto done;
	s->segment_first_at_us = h.received_at_us;
	rc = segment_get(s->segment, txn, last, &record, e);
	if (rc == RC_OK)
		rc = record_open(record, last, &h, e);
	if (rc != RC_OK)
		goto done;
	s->segment_last = s->last_seq = last;
	s->last_at_us = h.received_at_us;
	memcpy(s->chain, h.chain, STORE_CHAIN_BYTES);
done:
	mdb_txn_abort(txn);
	return rc == RC_NOTFOUND
		? err_set(e, RC_CORRUPT, "log.damaged", "the first or last record is missing")
		: rc;
}

/* Makes the dictionary of that id, in the segment that begins with segment_first, the current one. */
static enum rc
use_dict(struct store *s, uint64_t segment_first, uint32_t id, struct err *e)
{
	struct segment *segment;
	MDB_txn *txn = NULL;
	const struct dict *d;
	enum rc rc = segment_acquire(s->set, segment_first, &segment, e);
	if (rc != RC_OK)
		return rc;
	rc = db_read_begin(segment->env, &txn, e);
	if (rc == RC_OK)
		rc = segment_dict(segment, txn, id, &d, e);
	if (rc == RC_OK) {
		packer_set_dict(s->packer, (struct dict *)(uintptr_t)d);
		trainer_has_dict(s->trainer);
	}
	if (txn != NULL)
		mdb_txn_abort(txn);
	segment_release(segment);
	return rc;
}

/* Goes on with the dictionary that was used last. Records that do not compress have none, and the open segment may be
 * empty. */
static enum rc
take_dict(struct store *s, struct err *e)
{
	struct raw_batch b;
	struct err unimportant;
	for (uint64_t back = 0; back < DICT_LOOK_BACK && back < s->last_seq; back++) {
		uint64_t seq = s->last_seq - back;
		arena_reset(s->scratch);
		/* A record that is gone or damaged is no reason not to start: it costs a dictionary. */
		if (raw_read(s->reader, seq, seq, 1, s->scratch, &b, &unimportant) != RC_OK)
			break;
		if (b.count == 1 && b.records[0].header.dict_id != 0)
			return use_dict(s, b.segment_first, b.records[0].header.dict_id, e);
	}
	return RC_OK;
}

/* An empty last segment follows one that ends with the latest time. */
static enum rc
read_time_before(struct store *s, struct err *e)
{
	struct store_span span;
	const struct store_record *records;
	size_t count;
	if (s->segment_last != 0)
		return RC_OK;
	enum rc rc = store_span(s->reader, &span, e);
	if (rc != RC_OK || span.last_seq == 0)
		return rc;
	rc = store_read(s->reader, span.last_seq, 1, 1, s->scratch, &records, &count, e);
	if (rc == RC_OK && count == 1)
		s->last_at_us = records[0].event.received_at_us;
	arena_reset(s->scratch);
	return rc;
}

/* Whether the segment was finished: usually another one follows it, but that may have been taken away. */
static bool
is_finished(const struct store *s, uint64_t first_seq)
{
	char name[DIR_NAME_BYTES];
	const struct store_statement *statements;
	size_t count;
	struct stat st;
	dir_segment_name(first_seq, name);
	char *path = dir_path(s->dir, name);
	bool finished = stat(path, &st) == 0 && (st.st_mode & 0222) == 0;
	free(path);
	/* A ledger that cannot be read is reported where it is opened. */
	if (!finished && store_statements(s->dir, s->scratch, &statements, &count, NULL) == RC_OK) {
		for (size_t i = 0; i < count; i++)
			finished = finished ||
				(statements[i].kind == STORE_SEAL && statements[i].first_seq == first_seq);
	}
	arena_reset(s->scratch);
	return finished;
}

/* Goes on in a new segment behind a finished one. */
static enum rc
follow_finished(struct store *s, uint64_t first_seq, struct err *e)
{
	enum rc rc = segment_acquire(s->set, first_seq, &s->segment, e);
	if (rc == RC_OK)
		rc = read_end(s, e);
	if (rc == RC_OK)
		rc = segment_make(s->dir, segment_set_log_id(s->set), s->last_seq + 1, s->chain, e);
	if (rc != RC_OK)
		return rc;
	segment_release(s->segment);
	s->segment = NULL;
	s->segment_last = 0;
	return segment_acquire_writable(s->set, s->last_seq + 1, &s->segment, e);
}

static enum rc
open_last_segment(struct store *s, struct err *e)
{
	uint64_t *firsts;
	size_t count;
	unsigned char chain[STORE_CHAIN_BYTES];
	enum rc rc = dir_segments(s->dir, s->scratch, &firsts, &count, e);
	if (rc != RC_OK)
		return rc;
	uint64_t first = count == 0 ? 1 : firsts[count - 1];
	arena_reset(s->scratch);
	if (count == 0) {
		record_first_chain(segment_set_log_id(s->set), chain);
		rc = segment_make(s->dir, segment_set_log_id(s->set), first, chain, e);
		if (rc != RC_OK)
			return rc;
	}
	if (count > 0 && is_finished(s, first))
		return follow_finished(s, first, e);
	rc = segment_acquire_writable(s->set, first, &s->segment, e);
	return rc == RC_OK ? read_end(s, e) : rc;
}

static enum rc
open_files(struct store *s, struct err *e)
{
	unsigned char log_id[STORE_LOG_ID_BYTES];
	const char *warning;
	enum rc rc = fs_mkdir(s->dir, e);
	if (rc == RC_OK)
		rc = dir_check_filesystem(s->dir, &warning, e);
	if (rc == RC_OK)
		rc = dir_lock(s->dir, &s->lock_fd, e);
	if (rc != RC_OK)
		return rc;
	if (warning != NULL)
		LOG_WARN("log.filesystem", F_S("path", s->dir), F_S("note", warning));
	rc = dir_remove_leftovers(s->dir, e);
	if (rc == RC_OK)
		rc = dir_open_head(s->dir, &s->head_fd, e);
	if (rc != RC_OK)
		return rc;
	rc = dir_read_log(s->dir, log_id, e);
	if (rc == RC_NOTFOUND) {
		uint64_t *firsts;
		size_t count;
		rc = dir_segments(s->dir, s->scratch, &firsts, &count, e);
		if (rc == RC_OK && count > 0)
			rc = err_set(e, RC_CORRUPT, "log.damaged",
				"%s holds segments but no file LOG; restore LOG from a backup", s->dir);
		if (rc == RC_OK)
			rc = dir_make_log(s->dir, log_id, e);
	}
	if (rc == RC_OK)
		rc = recover_check(s->dir, e);
	if (rc == RC_OK)
		s->set = segment_set_new(s->dir, log_id);
	if (rc == RC_OK)
		segment_set_use_archive(s->set, s->options.archive_dir);
	return rc;
}

/* LMDB keeps two roots; damage to the newer one brings the older back and looks like a shorter log. */
static enum rc
check_head(const struct store *s, struct err *e)
{
	uint64_t head = dir_read_head(s->dir);
	if (head <= s->last_seq)
		return RC_OK;
	return err_set(e, RC_CORRUPT, "log.lost-tail",
		"the log %s ends with %" PRIu64 ", but %" PRIu64
		" were acknowledged; restore it from a backup, or remove %s/head to go on without the rest",
		s->dir, s->last_seq, head, s->dir);
}

static enum rc
start_thread(struct store *s, struct err *e)
{
	/* An interrupted fdatasync would fail its commit, and LMDB does not repeat it. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&s->thread, NULL, writer_thread, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0)
		return err_sys(e, RC_IO, NULL, code, "start the writer thread");
	s->started = true;
	return RC_OK;
}

static enum rc
fill_options(struct store *s, const struct store_options *options, struct err *e)
{
	s->options = *options;
	if (s->options.segment_bytes_max == 0)
		s->options.segment_bytes_max = SEGMENT_BYTES_DEFAULT;
	if (s->options.segment_age_s_max == 0)
		s->options.segment_age_s_max = SEGMENT_AGE_S_DEFAULT;
	if (s->options.queue_events_max == 0)
		s->options.queue_events_max = QUEUE_EVENTS_DEFAULT;
	if (s->options.commit_events_max == 0)
		s->options.commit_events_max = LIMIT_COMMIT_EVENTS;
	s->options.dir = s->dir;
	if (s->options.segment_bytes_max > SEGMENT_BYTES_MAX)
		return err_set(e, RC_INVALID, "log.options", "a segment may have at most %" PRIu64 " bytes",
			SEGMENT_BYTES_MAX);
	return RC_OK;
}

enum rc
store_open(struct store **out, const struct store_options *options, struct err *e)
{
	struct store *s = base_zalloc(sizeof *s);
	*out = NULL;
	s->dir = base_strdup(options->dir);
	s->lock_fd = s->head_fd = -1;
	s->end = &s->first;
	s->scratch = arena_new((size_t)64 * 1024);
	s->packer = packer_new();
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->queued, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->wake_at = SIZE_MAX;
	pthread_cond_init(&s->rolling, NULL);
	atomic_init(&s->health, RC_OK);
	enum rc rc = fill_options(s, options, e);
	if (rc == RC_OK)
		rc = open_files(s, e);
	if (rc == RC_OK)
		rc = open_last_segment(s, e);
	if (rc == RC_OK)
		rc = store_reader_from(s, &s->reader, e);
	if (rc == RC_OK)
		rc = read_time_before(s, e);
	if (rc == RC_OK)
		rc = check_head(s, e);
	if (rc == RC_OK)
		rc = index_open(&s->index, s->reader, e);
	/* Behind the index, which forks: what forks must have no threads yet. */
	if (rc == RC_OK)
		rc = keeper_open(&s->keeper, s->set, s->options.checkpoint_interval_s,
			s->segment->first_seq, s->last_seq, s->chain, e);
	if (rc == RC_OK)
		rc = trainer_new(&s->trainer, s->packer, e);
	if (rc == RC_OK)
		rc = take_dict(s, e);
	if (rc == RC_OK)
		rc = start_thread(s, e);
	if (rc == RC_OK)
		rc = door_open(&s->door, s, s->dir, e);
	if (rc != RC_OK) {
		store_close(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	door_close(s->door);
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->closing = true;
		pthread_cond_signal(&s->queued);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	keeper_close(s->keeper);
	index_close(s->index);
	store_reader_close(s->reader);
	segment_release(s->segment);
	segment_set_unref(s->set);
	trainer_free(s->trainer);
	packer_free(s->packer);
	arena_free(s->scratch);
	if (s->head_fd >= 0)
		close(s->head_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_cond_destroy(&s->queued);
	pthread_cond_destroy(&s->rolling);
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s);
}

enum rc
store_reader_from(struct store *s, struct store_reader **r, struct err *e)
{
	*r = NULL;
	struct store_reader *reader = reader_new(s->set);
	enum rc rc = reader_refresh(reader, e);
	if (rc != RC_OK) {
		store_reader_close(reader);
		return rc;
	}
	*r = reader;
	return RC_OK;
}

enum rc
store_health(struct store *s, struct err *e)
{
	enum rc rc = (enum rc)atomic_load(&s->health);
	if (rc == RC_OK)
		return index_health(s->index, e);
	pthread_mutex_lock(&s->lock);
	rc = (enum rc)atomic_load(&s->health);
	if (rc != RC_OK && e != NULL)
		*e = s->failure;
	pthread_mutex_unlock(&s->lock);
	return rc;
}
