/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ledger.h"
#include "store/proof.h"
#include "store/reader.h"
#include "store/seal.h"

/* Making a proof. */

static void
put_hex_line(struct buf *out, const char *word, struct bytes value)
{
	buf_put_str(out, word);
	buf_put_char(out, ' ');
	buf_put_hex(out, value.data, value.len);
	buf_put_char(out, '\n');
}

/* The last statement that covers record seq of the segment, and the lines before it that lead from the
 * first key there ever was, or the first after one that was lost, to the one that signed it. */
struct grounds {
	const struct store_statement *all, *st;
	size_t keys_from; /* in all */
};

static enum rc
find_grounds(const char *dir, uint64_t first_seq, uint64_t seq, struct arena *a, struct grounds *g,
	struct err *e)
{
	size_t count, from = 0;
	const unsigned char *key = NULL;
	*g = (struct grounds){ 0 };
	enum rc rc = store_statements(dir, a, &g->all, &count, e);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		const struct store_statement *st = &g->all[i];
		if (st->kind == STORE_KEY) {
			if (key == NULL || memcmp(st->key, key, ED25519_KEY_BYTES) != 0)
				from = i + 1;
			key = st->new_key;
		} else if (st->first_seq == first_seq && st->seq >= seq) {
			g->st = st;
			g->keys_from = from;
		}
	}
	if (g->st == NULL)
		return err_set(e, RC_NOTFOUND, "log.unsigned",
			"event %" PRIu64
			" is newer than the last signed checkpoint; try again after the next one", seq);
	return RC_OK;
}

/* Copies the record and the chain value before it. */
static enum rc
copy_record(struct segment *s, uint64_t seq, struct arena *a, struct bytes *record,
	unsigned char previous[STORE_CHAIN_BYTES], struct err *e)
{
	MDB_txn *txn;
	struct bytes bytes;
	struct record_header h;
	enum rc rc = segment_begin(s, &txn, e);
	if (rc != RC_OK)
		return rc;
	memcpy(previous, s->prev_chain, STORE_CHAIN_BYTES);
	if (seq > s->first_seq) {
		rc = segment_get(s, txn, seq - 1, &bytes, e);
		if (rc == RC_OK)
			rc = record_open(bytes, seq - 1, &h, e);
		if (rc == RC_OK)
			memcpy(previous, h.chain, STORE_CHAIN_BYTES);
	}
	if (rc == RC_OK)
		rc = segment_get(s, txn, seq, &bytes, e);
	if (rc == RC_OK)
		rc = record_open(bytes, seq, &h, e);
	if (rc == RC_OK)
		*record = arena_copy(a, bytes);
	mdb_txn_abort(txn);
	if (rc == RC_NOTFOUND)
		return err_set(e, RC_NOTFOUND, NULL, "there is no event %" PRIu64, seq);
	if (rc == RC_OK && !record_chain_fits(*record, previous))
		return err_set(e, RC_CORRUPT, "log.unprovable",
			"event %" PRIu64 " cannot be proven: it was altered", seq);
	return rc;
}

static enum rc
put_dictionary(struct buf *out, struct segment *s, uint32_t id, struct err *e)
{
	MDB_txn *txn;
	const struct dict *d;
	if (id == 0)
		return RC_OK;
	enum rc rc = segment_begin(s, &txn, e);
	if (rc != RC_OK)
		return rc;
	rc = segment_dict(s, txn, id, &d, e);
	mdb_txn_abort(txn);
	if (rc == RC_OK)
		put_hex_line(out, "dictionary", dict_bytes(d));
	return rc;
}

/* What stands of the record itself in a proof. */
static enum rc
put_record(struct buf *out, uint64_t seq, struct bytes record, const unsigned char *previous,
	struct record_header *h, struct err *e)
{
	enum rc rc = record_open(record, seq, h, e);
	if (rc != RC_OK)
		return rc;
	if (h->redacted) {
		put_hex_line(out, "redacted",
			(struct bytes){ record.data + RECORD_COVERED_AT, record.len - RECORD_COVERED_AT });
		return RC_OK;
	}
	put_hex_line(out, "previous", (struct bytes){ previous, STORE_CHAIN_BYTES });
	put_hex_line(out, "header",
		(struct bytes){ record.data + RECORD_COVERED_AT, RECORD_COVERED_BYTES });
	put_hex_line(out, "payload", record_payload(record));
	return RC_OK;
}

static enum rc
prove_in(struct segment *s, const unsigned char *log_id, const struct grounds *g, uint64_t seq,
	struct bytes record, const unsigned char *previous, struct buf *out, uint64_t *audit_seq,
	struct err *e)
{
	const struct store_statement *st = g->st;
	struct seal_tree t = { .first_seq = 0 };
	struct tree_path path = { .index = seq - st->first_seq };
	struct record_header h;
	struct record_redaction redaction = { 0 };
	unsigned char root[SHA256_BYTES];
	enum rc rc = seal_tree_follow(&t, s, st->seq, &path, NULL, NULL, e);
	if (rc != RC_OK)
		return rc;
	tree_root(&t.tree, &path, root);
	if (memcmp(root, st->root, sizeof root) != 0 || memcmp(t.dicts, st->dicts, sizeof t.dicts) != 0)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"the records do not fit line %" PRIu64 " of checkpoints; run `hooklog log verify`",
			st->line);
	buf_put_str(out, PROOF_TITLE "\n");
	put_hex_line(out, "log", (struct bytes){ log_id, STORE_LOG_ID_BYTES });
	buf_printf(out, "seq %" PRIu64 "\n", seq);
	rc = put_record(out, seq, record, previous, &h, e);
	if (rc == RC_OK && h.redacted)
		record_read_redaction(record, &redaction);
	for (size_t i = 0; i < path.count; i++)
		put_hex_line(out, "path", (struct bytes){ path.hashes[i], SHA256_BYTES });
	for (size_t i = 0; i < t.dict_count; i++)
		put_hex_line(out, "dict", (struct bytes){ t.dict_hashes[i], SHA256_BYTES });
	if (rc == RC_OK && !h.redacted)
		rc = put_dictionary(out, s, h.dict_id, e);
	for (const struct store_statement *key = g->all + g->keys_from; key < st; key++) {
		if (key->kind == STORE_KEY)
			ledger_put_line(out, key);
	}
	buf_put_str(out, "statement ");
	ledger_put_line(out, st);
	*audit_seq = redaction.audit_seq;
	return rc;
}

/* *audit_seq is the audit event when seq was redacted, else 0. */
static enum rc
prove_one(struct store_reader *r, uint64_t seq, struct arena *a, struct buf *out, uint64_t *audit_seq,
	struct err *e)
{
	struct segment *s = NULL;
	struct grounds g;
	struct bytes record;
	unsigned char previous[STORE_CHAIN_BYTES];
	size_t index;
	const unsigned char *log_id = segment_set_log_id(r->set);
	enum rc rc = reader_locate(r, seq, &index, e);
	if (rc == RC_OK && index == r->count)
		rc = err_set(e, RC_NOTFOUND, "log.removed", "event %" PRIu64 " is not held any more", seq);
	if (rc == RC_OK)
		rc = segment_acquire(r->set, r->firsts[index], &s, e);
	if (rc == RC_OK)
		rc = copy_record(s, seq, a, &record, previous, e);
	if (rc == RC_OK)
		rc = find_grounds(segment_set_dir(r->set), s->first_seq, seq, a, &g, e);
	if (rc == RC_OK && !ledger_signed(log_id, g.st))
		rc = err_set(e, RC_CORRUPT, "log.damaged",
			"line %" PRIu64 " of checkpoints is not signed as it says", g.st->line);
	if (rc == RC_OK)
		rc = prove_in(s, log_id, &g, seq, record, previous, out, audit_seq, e);
	segment_release(s);
	return rc;
}

enum rc
store_prove(struct store_reader *r, uint64_t seq, struct buf *out, struct err *e)
{
	struct arena *a = arena_new(4096);
	uint64_t audit_seq = 0, none;
	enum rc rc = reader_refresh(r, e);
	if (rc == RC_OK)
		rc = prove_one(r, seq, a, out, &audit_seq, e);
	/* The audit event cannot have been redacted itself. */
	if (rc == RC_OK && audit_seq != 0) {
		rc = prove_one(r, audit_seq, a, out, &none, e);
		if (rc != RC_OK)
			err_wrap(e, "event %" PRIu64 " is redacted, and its audit event", seq);
	}
	arena_free(a);
	return rc;
}
