/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "store/dir.h"
#include "store/index_view.h"
#include "store/ledger.h"
#include "store/redact.h"
#include "store/seal.h"
#include "store/verify.h"

/* Records looked at in one read transaction: an older one would keep the writer from reusing pages. */
#define STEP_RECORDS 256
#define STEP_BYTES ((size_t)16 << 20)

struct verifier {
	struct store_reader *reader;
	struct arena *a, *kept;
	struct signed_claims claims;
	size_t next_claim;
	/* Over the segment's records so far, when all of them were looked at. */
	struct seal_tree tree;
	bool tree_known;
	int64_t segment_at_us; /* time of the segment's first record */
	uint64_t owned_last;
	bool sealed_wanted; /* whether seals are looked at */
	store_finding_fn warned;
	void (*progress)(uint64_t events, uint64_t bytes, void *context);
	struct index_view *index; /* NULL: there is none */
	struct index_cover cover; /* of the index */
	store_finding_fn found;
	void *context;
	struct store_verify_report *report;
	bool chain_known; /* of the record before the next one; lost at a damaged record */
	unsigned char chain[STORE_CHAIN_BYTES];
	int64_t at_us;
	int64_t redacted_at_us; /* the newest confirmed redaction in the segment */
};

static void
say(void *context, bool warning, uint64_t seq, const char *text)
{
	struct verifier *v = context;
	store_finding_fn fn = warning ? v->warned : v->found;
	if (warning)
		v->report->warning_count++;
	else
		v->report->error_count++;
	if (fn != NULL)
		fn(seq, text, v->context);
}

static void
finding(struct verifier *v, uint64_t seq, const char *text)
{
	say(v, false, seq, text);
}

/* Whether a redelivery of ev would be answered with the number of an event like it. Another number than
 * its own is rare: it was stored twice because the index had been wrong. */
static bool
index_knows(struct verifier *v, const struct event *ev)
{
	const struct store_record *other;
	size_t count;
	struct index_key key, other_key;
	struct err e;
	if (!index_key_of(ev, &key))
		return true;
	uint64_t seq = index_view_find(v->index, ev);
	if (seq == ev->seq && seq <= v->owned_last)
		v->report->owned++;
	if (seq == 0 || seq == ev->seq)
		return seq != 0;
	return store_read(v->reader, seq, 1, 1, v->a, &other, &count, &e) == RC_OK && count == 1 &&
		index_key_of(&other->event, &other_key) &&
		memcmp(key.bytes, other_key.bytes, INDEX_KEY_BYTES) == 0 &&
		memcmp(ev->body_xxh128, other->event.body_xxh128, XXH128_BYTES) == 0;
}

/* What a record's own checks cannot know: does it follow from the one before, is the body what the
 * envelope says, would a redelivery be recognised. */
static void
check_context(struct verifier *v, struct bytes bytes, const struct store_record *record)
{
	unsigned char hash[XXH128_BYTES];
	const struct event *ev = &record->event;
	if (v->chain_known && !record_chain_fits(bytes, v->chain))
		finding(v, ev->seq, "the chain is broken: this or an earlier record was replaced");
	if (ev->received_at_us < v->at_us)
		finding(v, ev->seq, "the time is before that of the record before");
	if ((ev->flags & EVENT_FLAG_REDACTED) != 0) {
		bool beyond;
		const char *text = redact_check(v->reader, bytes, record, v->a, &beyond);
		struct record_redaction redaction;
		record_read_redaction(bytes, &redaction);
		if (text != NULL)
			say(v, beyond, ev->seq, text);
		else if (redaction.at_us > v->redacted_at_us)
			v->redacted_at_us = redaction.at_us;
	} else {
		xxh128(ev->body, hash);
		if (memcmp(hash, ev->body_xxh128, XXH128_BYTES) != 0)
			finding(v, ev->seq, "the body does not have the hash its envelope states");
	}
	if (v->index != NULL && ev->seq <= v->cover.last_seq) {
		if (!index_knows(v, ev))
			finding(v, ev->seq,
				"the dedupe index does not know it; remove index.mdb while stopped");
		if (ev->seq >= v->cover.first_seq && !index_view_has_source(v->index, ev))
			finding(v, ev->seq,
				"the index of sources does not know it; remove index.mdb while stopped");
	}
	v->at_us = ev->received_at_us;
	memcpy(v->chain, record->chain, STORE_CHAIN_BYTES);
	v->chain_known = true;
}

/* Holds what was signed of this record against it. */
static void
check_claims(struct verifier *v, uint64_t first_seq, const struct store_record *record)
{
	const struct signed_claims *c = &v->claims;
	uint64_t seq = record->event.seq;
	unsigned char root[SHA256_BYTES];
	if (v->tree_known)
		tree_add(&v->tree.tree, record->chain, NULL);
	while (v->next_claim < c->count && c->by_seq[v->next_claim]->seq < seq)
		v->next_claim++;
	for (; v->next_claim < c->count && c->by_seq[v->next_claim]->seq == seq; v->next_claim++) {
		const struct store_statement *st = c->by_seq[v->next_claim];
		v->report->statements++;
		if (memcmp(st->chain, record->chain, STORE_CHAIN_BYTES) != 0) {
			finding(v, seq, "history was rewritten: this is not the record that was signed");
			continue;
		}
		if (st->first_seq != first_seq) {
			finding(v, seq, "the record was signed as part of another segment");
		} else if (v->tree_known) {
			tree_root(&v->tree.tree, NULL, root);
			if (memcmp(root, st->root, sizeof root) != 0)
				finding(v, seq, "the hash tree of the segment is not the one that was signed");
			if (memcmp(v->tree.dicts, st->dicts, sizeof st->dicts) != 0)
				finding(v, seq, "the dictionaries up to here are not those that were signed");
		}
	}
}

/* A segment that is finished is held against its seal as a whole, file included. */
static enum rc
check_seal(struct verifier *v, uint64_t first_seq, uint64_t last_seq, struct err *e)
{
	struct segment *s;
	struct stat file;
	mdb_filehandle_t fd;
	unsigned char hash[SHA256_BYTES];
	uint64_t bytes;
	const struct store_statement *st = claims_seal(&v->claims, first_seq);
	if (st == NULL) {
		say(v, true, first_seq, "the segment has no signed root yet; the next start makes it");
		return RC_OK;
	}
	if (st->seq != last_seq || st->count != last_seq - first_seq + 1)
		finding(v, first_seq, "the segment does not end with the record it was sealed with");
	if (v->tree_known && ((int64_t)st->first_at_us != v->segment_at_us ||
				     (int64_t)st->last_at_us != v->at_us))
		finding(v, first_seq, "the times of the segment's records are not those that were sealed");
	enum rc rc = segment_acquire(v->reader->set, first_seq, &s, e);
	if (rc != RC_OK)
		return rc;
	mdb_env_get_fd(s->env, &fd);
	rc = crypto_sha256_fd(fd, hash, &bytes, e);
	if (rc == RC_OK && (bytes != st->file_bytes || memcmp(hash, st->file_sha256, sizeof hash) != 0)) {
		/* A redaction replaces the file, and has it sealed again afterwards. */
		bool interrupted = v->redacted_at_us > (int64_t)st->at_us;
		say(v, interrupted, first_seq,
			interrupted ? "a redaction was interrupted before the segment was sealed again; repeat it"
				    : "the segment's file is not the one that was sealed");
	}
	if (rc == RC_OK && fstat(fd, &file) == 0 && (file.st_mode & 0222) != 0)
		say(v, true, first_seq, "the segment is sealed, but its file is not read-only");
	segment_release(s);
	return rc;
}

static enum rc
check_record(struct verifier *v, struct segment *s, MDB_txn *txn, uint64_t seq, struct err *e)
{
	struct bytes bytes;
	struct store_record record;
	enum rc rc = segment_get(s, txn, seq, &bytes, e);
	if (rc == RC_NOTFOUND) {
		finding(v, seq, "the record is missing");
	} else if (rc == RC_OK) {
		v->report->checked_bytes += bytes.len;
		rc = segment_decode(s, txn, v->reader->unpacker, seq, bytes, v->a, &record, e);
		if (rc == RC_OK)
			check_context(v, bytes, &record);
		else if (rc == RC_CORRUPT || rc == RC_INVALID)
			finding(v, seq, e->text);
	} else if (rc == RC_CORRUPT) {
		finding(v, seq, e->text);
	}
	v->report->checked_events++;
	if (rc == RC_OK && v->tree_known) {
		rc = seal_note_dict(&v->tree, s, txn, record_dict_id(bytes), e);
		if (rc == RC_CORRUPT)
			finding(v, seq, e->text);
	}
	if (rc == RC_OK) {
		if (seq == s->first_seq)
			v->segment_at_us = record.event.received_at_us;
		check_claims(v, s->first_seq, &record);
		return RC_OK;
	}
	v->chain_known = v->tree_known = false;
	return rc == RC_NOTFOUND || rc == RC_CORRUPT || rc == RC_INVALID ? RC_OK : rc;
}

/* Checks up to STEP_RECORDS records of one segment from *seq on, up to last at most; *end: the segment
 * holds no more. */
static enum rc
check_step(struct verifier *v, size_t index, uint64_t *seq, uint64_t last, bool *end, struct err *e)
{
	struct segment *s;
	MDB_txn *txn;
	uint64_t first, segment_last;
	if (v->index != NULL && index_view_refresh(v->index, &v->cover, e) != RC_OK) {
		finding(v, 0, e->text);
		index_view_close(v->index);
		v->index = NULL;
	}
	arena_reset(v->a);
	enum rc rc = reader_enter(v->reader, index, &s, &txn, e);
	if (rc != RC_OK)
		return rc;
	if (*seq == s->first_seq) {
		if (v->chain_known && memcmp(v->chain, s->prev_chain, STORE_CHAIN_BYTES) != 0)
			finding(v, 0, "a segment does not continue the chain of the one before");
		memcpy(v->chain, s->prev_chain, STORE_CHAIN_BYTES);
		if (v->report->checked_events == 0)
			memcpy(v->report->prev_chain, v->chain, STORE_CHAIN_BYTES);
		v->chain_known = v->tree_known = true;
		v->tree = (struct seal_tree){ 0 };
		v->redacted_at_us = 0;
	}
	rc = segment_range(s, txn, &first, &segment_last, e);
	for (size_t i = 0; rc == RC_OK && i < STEP_RECORDS && *seq <= segment_last && *seq <= last &&
		arena_used_bytes(v->a) < STEP_BYTES; i++)
		rc = check_record(v, s, txn, (*seq)++, e);
	*end = *seq > segment_last;
	reader_leave(s, txn);
	return rc;
}

/* The chain value the first record to check must follow from, when it does not open a segment. */
static void
learn_chain_before(struct verifier *v, uint64_t first)
{
	const struct store_record *records;
	size_t count;
	struct err e;
	arena_reset(v->a);
	if (store_read(v->reader, first - 1, 1, 1, v->a, &records, &count, &e) != RC_OK || count != 1)
		return;
	memcpy(v->chain, records[0].chain, STORE_CHAIN_BYTES);
	v->at_us = records[0].event.received_at_us;
	v->chain_known = true;
}

static enum rc
check_all(struct verifier *v, uint64_t first, uint64_t last, struct err *e)
{
	struct store_reader *r = v->reader;
	uint64_t seq = first;
	size_t index;
	if (first == 1) {
		record_first_chain(segment_set_log_id(r->set), v->chain);
		v->chain_known = true;
	}
	enum rc rc = reader_locate(r, first, &index, e);
	if (rc != RC_OK || r->count == 0)
		return rc;
	if (index == r->count)
		return err_set(e, RC_NOTFOUND, "log.removed", "the log starts with %" PRIu64, r->firsts[0]);
	if (seq != r->firsts[index])
		learn_chain_before(v, seq);
	while (rc == RC_OK && seq <= last && index < r->count) {
		bool end = false;
		rc = check_step(v, index, &seq, last, &end, e);
		if (v->progress != NULL)
			v->progress(v->report->checked_events, v->report->checked_bytes, v->context);
		if (rc == RC_CORRUPT) {
			finding(v, 0, e->text);
			v->chain_known = v->tree_known = false;
			rc = RC_OK;
			end = true;
		}
		if (rc != RC_OK || !end)
			continue;
		if (index + 1 == r->count)
			rc = reader_refresh(r, e);
		if (rc == RC_OK && v->sealed_wanted && index + 1 < r->count && first <= r->firsts[index])
			rc = check_seal(v, r->firsts[index], seq - 1, e);
		if (++index < r->count && r->firsts[index] != seq) {
			finding(v, seq, "records between two segments are missing");
			v->chain_known = false;
			seq = r->firsts[index];
		}
	}
	v->report->first_seq = seq > first ? first : 0;
	v->report->last_seq = seq > first ? seq - 1 : 0;
	memcpy(v->report->chain, v->chain, STORE_CHAIN_BYTES);
	return rc;
}

/* What was acknowledged and what was signed must be there, when the end was looked at. head and statements
 * were read before the log: while somebody writes, the log is never behind them. end: the last record. */
static void
check_end(struct verifier *v, uint64_t head, uint64_t end, uint64_t last)
{
	const struct signed_claims *c = &v->claims;
	uint64_t seq = c->count == 0 ? 0 : c->by_seq[c->count - 1]->seq;
	if (last >= head && end < head)
		finding(v, end + 1, "the log ends before what was acknowledged: its newest part is lost");
	if (last == UINT64_MAX && end < seq)
		finding(v, seq,
			"the record was signed, but the log ends before it: its newest part is lost");
}

static enum rc
open_all(struct verifier *v, const struct store_verify_options *options, enum verify_scope scope,
	struct err *e)
{
	v->sealed_wanted = scope != VERIFY_RECORDS;
	/* Signed statements first, then the log: it is never behind what was signed earlier. */
	enum rc rc = scope == VERIFY_RECORDS
		? RC_OK
		: claims_read(&v->claims, options, v->kept, say, v, e);
	if (rc == RC_OK)
		rc = store_reader_open(&v->reader, options->dir, e);
	if (rc != RC_OK || scope == VERIFY_RECORDS)
		return rc;
	if (scope == VERIFY_ALL)
		claims_check(&v->claims, segment_set_log_id(v->reader->set), options->key, say, v);
	if (scope == VERIFY_PART_WITHOUT_INDEX)
		return RC_OK;
	rc = index_view_open(&v->index, options->dir, e);
	if (rc == RC_CORRUPT)
		finding(v, 0, "the dedupe index is damaged; remove index.mdb while stopped");
	return rc == RC_CORRUPT || rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc
verify_run(const struct store_verify_options *options, enum verify_scope scope, uint64_t owned_last,
	struct store_verify_report *report, struct err *e)
{
	struct verifier v = { .found = options->found, .warned = options->warned,
		.progress = options->progress, .context = options->context, .report = report,
		.owned_last = owned_last };
	uint64_t first = options->first, last = options->last == 0 ? UINT64_MAX : options->last;
	*report = (struct store_verify_report){ 0 };
	v.a = arena_new((size_t)1 << 20);
	v.kept = arena_new(4096);
	uint64_t head = scope == VERIFY_RECORDS ? 0 : dir_read_head(options->dir);
	enum rc rc = open_all(&v, options, scope, e);
	if (rc != RC_OK)
		goto done;
	if (first <= 1)
		first = v.reader->count > 0 ? v.reader->firsts[0] : 1;
	rc = check_all(&v, first, last, e);
	if (rc == RC_OK)
		check_end(&v, head, report->last_seq != 0 ? report->last_seq : first - 1, last);
	if (rc == RC_OK && report->error_count > 0)
		rc = err_set(e, RC_CORRUPT, "log.damaged", "%" PRIu64 " findings in %s", report->error_count,
			options->dir);
done:
	index_view_close(v.index);
	store_reader_close(v.reader);
	arena_free(v.kept);
	arena_free(v.a);
	return rc;
}

enum rc
store_verify_with(const struct store_verify_options *options, struct store_verify_report *report,
	struct err *e)
{
	return verify_run(options, VERIFY_ALL, UINT64_MAX, report, e);
}

enum rc
store_verify(const char *dir, uint64_t first, uint64_t last, store_finding_fn found, void *context,
	struct store_verify_report *report, struct err *e)
{
	const struct store_verify_options options = { .dir = dir, .first = first, .last = last,
		.found = found, .context = context };
	return verify_run(&options, VERIFY_ALL, UINT64_MAX, report, e);
}
