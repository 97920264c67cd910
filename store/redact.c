/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "store/dir.h"
#include "store/manifest.h"
#include "store/ops.h"
#include "store/raw.h"
#include "store/redact.h"
#include "store/scratch.h"

/* An LMDB value that was overwritten stays readable in free pages, so the segment's file is written
 * anew without it and takes the old one's place. */

#define STEP_BYTES ((size_t)4 << 20)
/* "2026-11-21_<20 digits>-<20 digits>" */
#define ARCHIVE_STEM 52
#define AUDIT_BYTES_MAX ((size_t)16384)

#define AUDIT_PROVIDER "hooklog"
#define AUDIT_EVENT "redaction"

struct redactor {
	const struct store_options *options;
	uint64_t seq;
	struct store_appender *appender;
	struct store_reader *r;
	struct arena *a;
	uint64_t segment_first, segment_last;
	unsigned char segment_prev_chain[STORE_CHAIN_BYTES];
	struct record_redaction redaction;
	unsigned char *replacement; /* NULL: the record is redacted already */
	size_t replacement_bytes;
	char *scratch; /* holds the new file of the segment */
	struct store_redact_report *report;
};

/* ---- the audit event ---- */

/* What is said of the redacted record, and held against it later. */
static void
put_claim(struct buf *out, uint64_t seq, struct bytes record)
{
	struct record_redaction redaction, *r = &redaction;
	unsigned char kept[SHA256_BYTES];
	record_read_redaction(record, r);
	record_kept_hash(record, kept);
	buf_printf(out, "{\"redacted_seq\":%" PRIu64 ",\"record_sha256\":\"", seq);
	buf_put_hex(out, r->record_sha256, SHA256_BYTES);
	buf_put_str(out, "\",\"chain_before\":\"");
	buf_put_hex(out, r->chain_before, STORE_CHAIN_BYTES);
	buf_put_str(out, "\",\"chain\":\"");
	buf_put_hex(out, record_chain(record), STORE_CHAIN_BYTES);
	buf_put_str(out, "\",\"body_sha256\":\"");
	buf_put_hex(out, r->body_sha256, SHA256_BYTES);
	buf_put_str(out, "\",\"kept_sha256\":\"");
	buf_put_hex(out, kept, SHA256_BYTES);
	buf_put_str(out, "\"");
}

bool
redact_confirmed(const struct event *audit, struct bytes record, const struct store_record *decoded)
{
	struct record_redaction r;
	struct buf claim = buf_new(AUDIT_BYTES_MAX);
	record_read_redaction(record, &r);
	put_claim(&claim, decoded->event.seq, record);
	bool yes = audit->seq == r.audit_seq && audit->received_at_us == r.at_us &&
		bytes_is(audit->provider, AUDIT_PROVIDER) &&
		bytes_is(audit->event, AUDIT_EVENT) && audit->origin == EVENT_ORIGIN_OPERATOR &&
		audit->body.len > claim.len && memcmp(audit->body.data, claim.data, claim.len) == 0;
	buf_free(&claim);
	return yes;
}

const char *
redact_check(struct store_reader *r, struct bytes record, const struct store_record *decoded,
	struct arena *a, bool *beyond)
{
	struct record_redaction redaction;
	const struct store_record *audit;
	struct store_span span;
	size_t count;
	struct err e;
	const char *forced = "it is redacted, but its audit event does not confirm it: the body was "
			     "replaced by force";
	*beyond = false;
	record_read_redaction(record, &redaction);
	if (redaction.audit_seq <= decoded->event.seq || store_span(r, &span, &e) != RC_OK)
		return forced;
	if (redaction.audit_seq > span.last_seq) {
		*beyond = true;
		return "it is redacted, and the audit event that says why comes after the end of this log";
	}
	if (store_read(r, redaction.audit_seq, 1, 1, a, &audit, &count, &e) != RC_OK || count != 1)
		return "it is redacted, but the audit event that should say why cannot be read";
	return redact_confirmed(&audit->event, record, decoded) ? NULL : forced;
}

static enum rc
append_audit(struct redactor *x, const struct event *ev, const char *reason, struct err *e)
{
	struct store_result result = { 0 };
	const struct store_record *stored;
	size_t count = 0;
	char delivery[48];
	struct buf body = buf_new(AUDIT_BYTES_MAX);
	put_claim(&body, x->seq, (struct bytes){ x->replacement, x->replacement_bytes });
	buf_printf(&body, ",\"body_bytes\":%zu,\"reason\":", ev->body.len);
	buf_put_json(&body, bytes_str(reason));
	buf_put_char(&body, '}');
	snprintf(delivery, sizeof delivery, "redaction-%" PRIu64, x->seq);
	/* The delivery id lets an interrupted redaction find its audit event again. */
	const struct event audit = { .origin = EVENT_ORIGIN_OPERATOR,
		.source = bytes_str(AUDIT_PROVIDER),
		.provider = bytes_str(AUDIT_PROVIDER),
		.event = bytes_str(AUDIT_EVENT),
		.delivery = bytes_str(delivery),
		.content_type = bytes_str("application/json"),
		.body = buf_bytes(&body) };
	enum rc rc = store_appender_append(x->appender, &audit, 1, &result, e);
	if (rc == RC_OK && result.rc != RC_OK) {
		*e = result.err;
		rc = result.rc;
	}
	/* Of an interrupted redaction it is the one from then. */
	if (rc == RC_OK)
		rc = store_read(x->r, result.seq, 1, 1, x->a, &stored, &count, e);
	if (rc == RC_OK && count != 1)
		rc = err_set(e, RC_CORRUPT, "log.damaged", "event %" PRIu64 " is missing", result.seq);
	if (rc == RC_OK) {
		x->redaction.audit_seq = result.seq;
		x->redaction.at_us = stored[0].event.received_at_us;
	}
	buf_free(&body);
	return rc;
}

/* ---- looking ---- */

static bool
is_local(const struct redactor *x, char **path)
{
	char name[DIR_NAME_BYTES];
	dir_segment_name(x->segment_first, name);
	*path = dir_path(x->options->dir, name);
	return fs_exists(*path);
}

/* Finds the record's segment, which must not be written to any more: the open one is finished
 * first. */
static enum rc
find_segment(struct redactor *x, struct raw_batch *b, struct err *e)
{
	enum rc rc = raw_read(x->r, x->seq, x->seq, 1, x->a, b, e);
	if (rc == RC_OK && b->count == 0)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no event %" PRIu64 " yet", x->seq);
	if (rc == RC_OK && !b->sealed) {
		rc = store_appender_roll(x->appender, e);
		if (rc == RC_OK)
			rc = reader_refresh(x->r, e);
		if (rc == RC_OK)
			rc = raw_read(x->r, x->seq, x->seq, 1, x->a, b, e);
		if (rc == RC_OK && !b->sealed)
			rc = err_set(e, RC_AGAIN, "log.locked",
				"the segment of event %" PRIu64 " is still open", x->seq);
	}
	if (rc != RC_OK)
		return rc;
	x->segment_first = b->segment_first;
	x->segment_last = b->segment_last;
	memcpy(x->segment_prev_chain, b->prev_chain, STORE_CHAIN_BYTES);
	return RC_OK;
}

/* The envelope as stored and the event, in x->a. */
static enum rc
read_original(struct redactor *x, struct bytes *envelope, struct event *ev, struct err *e)
{
	struct segment *s;
	MDB_txn *txn = NULL;
	struct bytes record, body = { NULL, 0 };
	struct record_header h;
	const struct dict *d;
	enum rc rc = segment_acquire(x->r->set, x->segment_first, &s, e);
	if (rc != RC_OK)
		return rc;
	rc = segment_begin(s, &txn, e);
	if (rc == RC_OK)
		rc = segment_get(s, txn, x->seq, &record, e);
	if (rc == RC_OK)
		rc = record_open(record, x->seq, &h, e);
	if (rc == RC_OK)
		rc = segment_dict(s, txn, h.dict_id, &d, e);
	if (rc == RC_OK)
		rc = unpack(
			x->r->unpacker, &h, record_payload(record), d, x->a, envelope, &body, e);
	*ev = (struct event){ 0 };
	if (rc == RC_OK)
		rc = event_decode(*envelope, x->a, ev, e);
	ev->body = body;
	reader_leave(s, txn);
	return rc;
}

/* Checks the record once more, while it can be, has the audit event appended, and makes what takes
 * the record's place. */
static enum rc
prepare(struct redactor *x, const struct raw_record *record, const char *reason, struct err *e)
{
	struct raw_batch before;
	struct bytes envelope;
	struct event ev;
	struct record_redaction *r = &x->redaction;
	enum rc rc = RC_OK;
	memcpy(r->chain_before, x->segment_prev_chain, STORE_CHAIN_BYTES);
	if (x->seq != x->segment_first) {
		rc = raw_read(x->r, x->seq - 1, x->seq - 1, 1, x->a, &before, e);
		if (rc != RC_OK)
			return rc;
		memcpy(r->chain_before, before.records[0].header.chain, STORE_CHAIN_BYTES);
	}
	if (!record_chain_fits(record->bytes, r->chain_before))
		return err_set(e, RC_CORRUPT, "log.damaged",
			"the chain is broken at event %" PRIu64 "; nothing was redacted", x->seq);
	rc = read_original(x, &envelope, &ev, e);
	if (rc != RC_OK)
		return rc;
	if (bytes_is(ev.provider, AUDIT_PROVIDER) && ev.origin == EVENT_ORIGIN_OPERATOR)
		return err_set(e, RC_DENIED, "log.redaction",
			"event %" PRIu64 " is the audit of a redaction; it stays", x->seq);
	r->record_bytes = (uint32_t)record->bytes.len;
	crypto_sha256(record->bytes, r->record_sha256);
	crypto_sha256(ev.body, r->body_sha256);
	x->replacement_bytes = RECORD_HEADER_BYTES + RECORD_REDACTION_BYTES + envelope.len;
	x->replacement = arena_alloc(x->a, x->replacement_bytes);
	record_redact(record->bytes, envelope, r, x->replacement);
	rc = append_audit(x, &ev, reason, e);
	if (rc == RC_OK)
		record_redact(record->bytes, envelope, r, x->replacement);
	return rc;
}

/* ---- writing ---- */

/* Writes the segment anew into the scratch folder, with the replacement when there is one. */
static enum rc
rewrite(struct redactor *x, struct err *e)
{
	struct arena *a = arena_new((size_t)1 << 20);
	struct raw_build *build = NULL;
	const struct raw_meta *metas;
	size_t count = 0;
	enum rc rc = raw_build_new(&build, x->scratch, segment_set_log_id(x->r->set),
		x->segment_first, x->segment_prev_chain, e);
	if (rc == RC_OK)
		rc = raw_read_meta(x->r, x->segment_first, a, &metas, &count, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = raw_build_meta(build, metas[i].key, metas[i].value, e);
	for (uint64_t seq = x->segment_first; rc == RC_OK && seq <= x->segment_last;) {
		struct raw_batch b;
		arena_reset(a);
		rc = raw_read(x->r, seq, x->segment_last, STEP_BYTES, a, &b, e);
		if (rc == RC_OK && (b.count == 0 || b.segment_first != x->segment_first))
			rc = err_set(
				e, RC_CORRUPT, "log.damaged", "record %" PRIu64 " is missing", seq);
		for (size_t i = 0; rc == RC_OK && i < b.count; i++) {
			bool it = b.records[i].seq == x->seq && x->replacement != NULL;
			rc = raw_build_record(build, b.records[i].seq,
				it ? (struct bytes){ x->replacement, x->replacement_bytes }
				   : b.records[i].bytes,
				e);
		}
		seq += b.count;
	}
	if (rc == RC_OK)
		rc = raw_build_end(build, e);
	raw_build_free(build);
	arena_free(a);
	return rc;
}

/* Lets the new file take the old one's place in the log's folder. The lock file goes, too: it
 * counts the readers of the old one. */
static enum rc
swap_local(const char *new_path, const char *path, const char *dir, struct err *e)
{
	size_t bytes = strlen(path) + 6;
	char *lock = base_alloc(bytes);
	enum rc rc = RC_OK;
	snprintf(lock, bytes, "%s-lock", path);
	if (chmod(new_path, 0440) != 0 || rename(new_path, path) != 0)
		rc = err_sys(e, RC_IO, "data-dir.unwritable", errno, "cannot replace %s", path);
	else
		unlink(lock);
	if (rc == RC_OK)
		rc = fs_sync_dir(dir, e);
	free(lock);
	return rc;
}

/* Replaces the archived copy of the segment by the file at path. An archived file never changes, so the new one
 * has a name of its own. */
static enum rc
replace_copy(struct redactor *x, struct manifest *m, struct manifest_segment *s, const char *path,
	struct err *e)
{
	struct stat st;
	char old_file[MANIFEST_FILE_BYTES], name[MANIFEST_FILE_BYTES];
	const char *dir = x->options->archive_dir;
	memcpy(old_file, s->file, sizeof old_file);
	snprintf(name, sizeof name, "%s", old_file);
	for (unsigned i = 2; manifest_names(m, name); i++)
		snprintf(name, sizeof name, "%.*s-r%u.mdb", ARCHIVE_STEM, old_file, i);
	memcpy(s->file, name, sizeof name);
	enum rc rc = copy_file(path, dir, s->file, 0444, s->sha256, &s->bytes, e);
	s->mtime_ns = stat(path, &st) == 0
			      ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec
			      : 0;
	if (rc == RC_OK)
		rc = manifest_write(dir, m, e);
	x->report->archived = rc == RC_OK;
	return rc;
}

/* Sees to it that the archive has the body no more. path: the file that takes the copy's place, NULL: it did
 * already. Copies the manifest does not name hold the body, too, when an earlier run was interrupted. */
static enum rc
redact_archive(struct redactor *x, const char *path, struct err *e)
{
	struct manifest m;
	const char *dir = x->options->archive_dir;
	uint64_t *firsts;
	size_t count;
	int lock_fd = -1;
	enum rc rc = manifest_lock(dir, &lock_fd, e);
	if (rc == RC_OK)
		rc = dir_segments(x->options->dir, x->a, &firsts, &count, e);
	if (rc == RC_OK)
		rc = manifest_read(dir, x->a, &m, e);
	if (rc == RC_NOTFOUND) {
		/* The first archive run was interrupted, perhaps. */
		rc = RC_OK;
		memcpy(m.log_id, segment_set_log_id(x->r->set), STORE_LOG_ID_BYTES);
	}
	if (rc != RC_OK || memcmp(m.log_id, segment_set_log_id(x->r->set), STORE_LOG_ID_BYTES) != 0)
		goto done;
	struct manifest_segment *s =
		(struct manifest_segment *)(uintptr_t)manifest_find(&m, x->segment_first);
	if (path != NULL && s != NULL && !check_file_is(path, s->bytes, s->sha256))
		rc = replace_copy(x, &m, s, path, e);
	if (rc == RC_OK)
		rc = manifest_clear_unnamed(dir, &m, count > 0 ? firsts[0] : UINT64_MAX, e);
done:
	if (lock_fd >= 0)
		close(lock_fd);
	return rc;
}

static enum rc
replace_files(struct redactor *x, struct err *e)
{
	char name[DIR_NAME_BYTES];
	char *local = NULL;
	bool has_local = is_local(x, &local);
	const char *archive = x->options->archive_dir;
	bool has_archive = archive != NULL && archive[0] != '\0';
	enum rc rc = RC_OK;
	char *made = NULL;
	if (x->replacement != NULL) {
		char *beside = dir_path(x->options->dir, "segment");
		rc = scratch_make(beside, "redact", &x->scratch, e);
		free(beside);
		if (rc == RC_OK)
			rc = rewrite(x, e);
		dir_segment_name(x->segment_first, name);
		made = dir_path(x->scratch, name);
		if (rc == RC_OK && has_local)
			rc = swap_local(made, local, x->options->dir, e);
		x->report->local = rc == RC_OK && has_local;
	}
	if (rc == RC_OK && has_archive)
		rc = redact_archive(x, has_local ? local : made, e);
	free(made);
	free(local);
	return rc;
}

enum rc
store_redact(const struct store_options *options, uint64_t seq, const char *reason,
	struct store_redact_report *report, struct err *e)
{
	struct redactor x = { .options = options, .seq = seq, .report = report };
	struct raw_batch b;
	int lock_fd = -1;
	*report = (struct store_redact_report){ .seq = seq };
	x.a = arena_new((size_t)1 << 16);
	enum rc rc = RC_OK;
	if (!fs_exists(options->dir))
		rc = err_set(e, RC_NOTFOUND, "log.missing", "there is no log in %s", options->dir);
	if (rc == RC_OK)
		rc = dir_lock_maintenance(options->dir, &lock_fd, e);
	if (rc == RC_OK)
		rc = store_appender_open(&x.appender, options, e);
	if (rc == RC_OK)
		rc = store_appender_reader(x.appender, &x.r, e);
	if (rc == RC_OK)
		rc = find_segment(&x, &b, e);
	if (rc == RC_OK && b.records[0].header.redacted) {
		report->before = true;
		record_read_redaction(b.records[0].bytes, &x.redaction);
	} else if (rc == RC_OK) {
		rc = prepare(&x, &b.records[0], reason, e);
	}
	report->audit_seq = x.redaction.audit_seq;
	memcpy(report->record_sha256, x.redaction.record_sha256, SHA256_BYTES);
	if (rc == RC_OK)
		rc = replace_files(&x, e);
	/* Also after an interrupted run, which may have ended before this. */
	if (rc == RC_OK)
		rc = store_appender_reseal(x.appender, x.segment_first, e);
	scratch_remove(x.scratch);
	store_reader_close(x.r);
	store_appender_close(x.appender);
	if (lock_fd >= 0)
		close(lock_fd);
	arena_free(x.a);
	return rc;
}
