/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/dir.h"
#include "store/index_view.h"
#include "store/manifest.h"
#include "store/ops.h"
#include "store/raw.h"

struct pruner {
	const char *log_dir, *archive_dir;
	struct manifest archive;
	struct arena *a;
	uint64_t index_last; /* what the dedupe index covers */
};

/* Reads every record of the archived file in a process of its own, which damage may kill:
 * checksums, numbers, and the chain from the segment's start to prev_chain of the one that follows
 * in the log. */
static enum rc
read_archived(const struct pruner *p, const struct store_segment_stat *s, const char *file,
	const unsigned char next_chain[STORE_CHAIN_BYTES], struct err *e)
{
	int status = -1;
	pid_t child = fork();
	if (child == 0) {
		unsigned char chain[STORE_CHAIN_BYTES];
		struct err ce;
		enum rc rc = raw_check_frozen(p->archive_dir, file, p->archive.log_id, s->first_seq,
			s->last_seq, chain, &ce);
		_exit(rc == RC_OK && memcmp(chain, next_chain, sizeof chain) == 0 ? 0 : 1);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (child < 0)
		return err_set(e, RC_IO, NULL, "fork failed");
	if (status != 0)
		return err_set(e, RC_CORRUPT, "log.backup-damaged",
			"the archived copy %s/%s cannot be read as segment %" PRIu64,
			p->archive_dir, file, s->first_seq);
	return RC_OK;
}

/* Whether the archive holds this very file, now. */
static enum rc
check_archived(const struct pruner *p, const struct store_segment_stat *s,
	const unsigned char next_chain[STORE_CHAIN_BYTES], char file[MANIFEST_FILE_BYTES],
	unsigned char sha256[SHA256_BYTES], struct err *e)
{
	const struct manifest_segment *m = manifest_find(&p->archive, s->first_seq);
	if (m == NULL || m->last_seq != s->last_seq || !m->sealed)
		return err_set(e, RC_NOTFOUND, "log.not-archived",
			"segment %" PRIu64
			" is not in the archive %s; run `hooklog log archive` first",
			s->first_seq, p->archive_dir);
	memcpy(file, m->file, MANIFEST_FILE_BYTES);
	memcpy(sha256, m->sha256, SHA256_BYTES);
	enum rc rc = check_file(p->archive_dir, m->file, m->bytes, m->sha256, e);
	/* And the log's own is the same one: it may have been redacted since. */
	if (rc == RC_OK && check_file(p->log_dir, s->name, m->bytes, m->sha256, e) != RC_OK)
		rc = err_set(e, RC_CONFLICT, "log.not-archived",
			"segment %" PRIu64
			" is not the one that was archived; run `hooklog log archive` again",
			s->first_seq);
	return rc == RC_OK ? read_archived(p, s, m->file, next_chain, e) : rc;
}

/* Says in log/removed what is about to be removed, before it is. */
static enum rc
note_removal(const struct pruner *p, const struct store_segment_stat *s, const char *file,
	const unsigned char sha256[SHA256_BYTES], struct err *e)
{
	char now[CLOCK_TEXT_BYTES];
	struct bytes old = { NULL, 0 };
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	char *path = dir_path(p->log_dir, "removed");
	enum rc rc = fs_read(path, LIMIT_TEXT_BYTES / 2, p->a, &old, e);
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	if (rc == RC_OK) {
		clock_format_us(clock_now_us(), now);
		buf_put_bytes(&out, old);
		buf_printf(&out, "removed %" PRIu64 " %" PRIu64 " %" PRIu64 " ", s->first_seq,
			s->last_seq, s->file_bytes);
		buf_put_hex(&out, sha256, SHA256_BYTES);
		buf_printf(&out, " %s %s\n", now, file);
		rc = fs_write(path, buf_bytes(&out), 0640, e);
	}
	buf_free(&out);
	free(path);
	return rc;
}

/* Readers that have it open go on with it; others take the archived copy from now on. */
static enum rc
remove_segment(const struct pruner *p, const struct store_segment_stat *s, struct err *e)
{
	char lock[DIR_NAME_BYTES + 8];
	snprintf(lock, sizeof lock, "%s-lock", s->name);
	char *path = dir_path(p->log_dir, s->name), *lock_path = dir_path(p->log_dir, lock);
	enum rc rc = RC_OK;
	if (unlink(path) != 0)
		rc = err_sys(e, RC_IO, "data-dir.unwritable", errno, "cannot remove %s", path);
	else
		unlink(lock_path);
	if (rc == RC_OK)
		rc = fs_sync_dir(p->log_dir, e);
	free(path);
	free(lock_path);
	return rc;
}

/* How many of the oldest segments the rules let go; never the one with the last event, which readers hold
 * their place against. */
static size_t
count_due(const struct store_segment_stat *s, size_t count, const struct store_prune_rule *rule)
{
	size_t n = 0, stay = count > 0 && s[count - 1].last_seq == 0 ? 2 : 1;
	while (n + stay < count && s[n].sealed && s[n].last_seq != 0) {
		if (rule->keep_segments != 0 && count - n <= rule->keep_segments)
			break;
		if (rule->before_us != 0 && s[n].last_at_us >= rule->before_us)
			break;
		n++;
	}
	return rule->keep_segments == 0 && rule->before_us == 0 ? 0 : n;
}

/* A key the index does not hold yet would be forgotten with the segment: its redelivery would be
 * stored once more. */
static enum rc
check_index(struct pruner *p, struct err *e)
{
	struct index_view *v = NULL;
	struct index_cover cover;
	enum rc rc = index_view_open(&v, p->log_dir, e);
	if (rc == RC_OK)
		rc = index_view_refresh(v, &cover, e);
	if (rc == RC_OK)
		p->index_last = cover.last_seq;
	index_view_close(v);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		rc = err_set(e, RC_CONFLICT, "log.not-indexed",
			"the log has no sound dedupe index; start the receiver once, then prune");
	return rc;
}

static enum rc
prune_one(struct pruner *p, const struct store_segment_stat *s, const unsigned char *next_chain,
	bool really, struct store_pruned *out, struct err *e)
{
	unsigned char sha256[SHA256_BYTES];
	*out = (struct store_pruned){ .first_seq = s->first_seq,
		.last_seq = s->last_seq,
		.bytes = s->file_bytes,
		.last_at_us = s->last_at_us };
	if (s->last_seq > p->index_last)
		return err_set(e, RC_CONFLICT, "log.not-indexed",
			"the dedupe index reaches event %" PRIu64
			" only, not the end of segment %" PRIu64
			"; it follows within seconds, or with the next start of the receiver",
			p->index_last, s->first_seq);
	enum rc rc = check_archived(p, s, next_chain, out->archive_file, sha256, e);
	if (rc != RC_OK || !really)
		return rc;
	rc = note_removal(p, s, out->archive_file, sha256, e);
	return rc == RC_OK ? remove_segment(p, s, e) : rc;
}

/* The chain value each segment but the first continues from. */
static enum rc
read_chains(struct store_reader *r, const struct store_segment_stat *s, size_t count,
	unsigned char (*chains)[STORE_CHAIN_BYTES], struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct segment *segment;
		uint64_t first = s[i].first_seq != 0 ? s[i].first_seq : r->firsts[i];
		rc = segment_acquire(r->set, first, &segment, e);
		if (rc != RC_OK)
			break;
		memcpy(chains[i], segment->prev_chain, STORE_CHAIN_BYTES);
		segment_release(segment);
	}
	return rc;
}

enum rc
store_prune(const char *log_dir, const char *archive_dir, const struct store_prune_rule *rule,
	bool really, struct arena *a, const struct store_pruned **pruned, size_t *pruned_count,
	struct err *e)
{
	struct pruner p = { .log_dir = log_dir, .archive_dir = archive_dir, .a = a };
	struct store_reader *r = NULL;
	const struct store_segment_stat *s;
	size_t count, due = 0;
	unsigned char(*chains)[STORE_CHAIN_BYTES] = NULL;
	int lock_fd = -1;
	struct store_pruned *done = NULL;
	*pruned_count = 0;
	enum rc rc = dir_lock_maintenance(log_dir, &lock_fd, e);
	if (rc == RC_OK)
		rc = store_reader_open(&r, log_dir, e);
	if (rc == RC_OK)
		rc = store_segments(r, a, &s, &count, e);
	if (rc == RC_OK) {
		due = count_due(s, count, rule);
		done = arena_alloc(a, (due + 1) * sizeof *done);
		chains = arena_alloc(a, (due + 2) * sizeof *chains);
		rc = due == 0 ? RC_OK : read_chains(r, s, due + 1, chains, e);
	}
	/* Closed before the first fork: LMDB does not survive one. */
	store_reader_close(r);
	if (rc == RC_OK && due > 0)
		rc = check_index(&p, e);
	if (rc == RC_OK && due > 0) {
		rc = manifest_read(archive_dir, a, &p.archive, e);
		if (rc == RC_NOTFOUND)
			rc = err_set(e, RC_NOTFOUND, "log.not-archived",
				"there is no archive in %s; run `hooklog log archive` first",
				archive_dir);
	}
	for (size_t i = 0; rc == RC_OK && i < due; i++) {
		rc = prune_one(&p, &s[i], chains[i + 1], really, &done[i], e);
		*pruned_count += rc == RC_OK;
	}
	*pruned = done;
	if (lock_fd >= 0)
		close(lock_fd);
	return rc;
}
