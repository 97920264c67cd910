/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "store/ledger.h"
#include "store/reader.h"
#include "store/seal.h"

/* One event, shown to somebody who has nothing but the log's public key (docs/on-disk-format.md). */

#define TITLE "hooklog proof 1"

/* ---- making one ---- */

static void
put_hex_line(struct buf *out, const char *word, struct bytes value)
{
	buf_put_str(out, word);
	buf_put_char(out, ' ');
	buf_put_hex(out, value.data, value.len);
	buf_put_char(out, '\n');
}

/* The last statement that covers record seq of the segment. */
static enum rc
find_statement(const char *dir, uint64_t first_seq, uint64_t seq, struct arena *a,
	const struct store_statement **found, struct err *e)
{
	const struct store_statement *st;
	size_t count;
	*found = NULL;
	enum rc rc = store_statements(dir, a, &st, &count, e);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (st[i].kind != STORE_KEY && st[i].first_seq == first_seq && st[i].seq >= seq)
			*found = &st[i];
	}
	if (*found == NULL)
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
	enum rc rc = db_read_begin(s->env, &txn, e);
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
			"event %" PRIu64 " cannot be proven: its body was redacted, or it was altered", seq);
	return rc;
}

static enum rc
put_dictionary(struct buf *out, struct segment *s, uint32_t id, struct err *e)
{
	MDB_txn *txn;
	const struct dict *d;
	if (id == 0)
		return RC_OK;
	enum rc rc = db_read_begin(s->env, &txn, e);
	if (rc != RC_OK)
		return rc;
	rc = segment_dict(s, txn, id, &d, e);
	mdb_txn_abort(txn);
	if (rc == RC_OK)
		put_hex_line(out, "dictionary", dict_bytes(d));
	return rc;
}

static enum rc
prove_in(struct segment *s, const unsigned char *log_id, const struct store_statement *st, uint64_t seq,
	struct bytes record, const unsigned char *previous, struct buf *out, struct err *e)
{
	struct seal_tree t = { .first_seq = 0 };
	struct tree_path path = { .index = seq - st->first_seq };
	struct record_header h;
	unsigned char root[SHA256_BYTES];
	enum rc rc = record_open(record, seq, &h, e);
	if (rc == RC_OK)
		rc = seal_tree_follow(&t, s, st->seq, &path, NULL, NULL, e);
	if (rc != RC_OK)
		return rc;
	tree_root(&t.tree, &path, root);
	if (memcmp(root, st->root, sizeof root) != 0 || memcmp(t.dicts, st->dicts, sizeof t.dicts) != 0)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"the records do not fit line %" PRIu64 " of checkpoints; run `hooklog log verify`",
			st->line);
	buf_put_str(out, TITLE "\n");
	put_hex_line(out, "log", (struct bytes){ log_id, STORE_LOG_ID_BYTES });
	buf_printf(out, "seq %" PRIu64 "\n", seq);
	put_hex_line(out, "previous", (struct bytes){ previous, STORE_CHAIN_BYTES });
	put_hex_line(out, "header",
		(struct bytes){ record.data + RECORD_COVERED_AT, RECORD_COVERED_BYTES });
	put_hex_line(out, "payload", record_payload(record));
	for (size_t i = 0; i < path.count; i++)
		put_hex_line(out, "path", (struct bytes){ path.hashes[i], SHA256_BYTES });
	for (size_t i = 0; i < t.dict_count; i++)
		put_hex_line(out, "dict", (struct bytes){ t.dict_hashes[i], SHA256_BYTES });
	rc = put_dictionary(out, s, h.dict_id, e);
	buf_put_str(out, "statement ");
	ledger_put_line(out, st);
	return rc;
}

enum rc
store_prove(struct store_reader *r, uint64_t seq, struct buf *out, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct segment *s = NULL;
	const struct store_statement *st;
	struct bytes record;
	unsigned char previous[STORE_CHAIN_BYTES];
	size_t index;
	const unsigned char *log_id = segment_set_log_id(r->set);
	enum rc rc = reader_refresh(r, e);
	if (rc == RC_OK)
		rc = reader_locate(r, seq, &index, e);
	if (rc == RC_OK && index == r->count)
		rc = err_set(e, RC_NOTFOUND, "log.removed", "event %" PRIu64 " is not held any more", seq);
	if (rc == RC_OK)
		rc = segment_acquire(r->set, r->firsts[index], &s, e);
	if (rc == RC_OK)
		rc = copy_record(s, seq, a, &record, previous, e);
	if (rc == RC_OK)
		rc = find_statement(segment_set_dir(r->set), s->first_seq, seq, a, &st, e);
	if (rc == RC_OK && !ledger_signed(log_id, st))
		rc = err_set(e, RC_CORRUPT, "log.damaged",
			"line %" PRIu64 " of checkpoints is not signed as it says", st->line);
	if (rc == RC_OK)
		rc = prove_in(s, log_id, st, seq, record, previous, out, e);
	segment_release(s);
	arena_free(a);
	return rc;
}

/* ---- checking one ---- */

struct proof {
	unsigned char log_id[STORE_LOG_ID_BYTES];
	uint64_t seq;
	unsigned char previous[STORE_CHAIN_BYTES];
	unsigned char header[RECORD_COVERED_BYTES];
	struct bytes payload, dictionary; /* dictionary.data NULL: none */
	unsigned char path[TREE_LEVELS][SHA256_BYTES];
	size_t path_count;
	unsigned char dicts[SEAL_DICTS_MAX][SHA256_BYTES];
	size_t dict_count;
	struct store_statement st;
};

/* The value of the next line when its word is this one; the line is cut off *rest then. */
static bool
take_line(struct bytes *rest, const char *word, struct bytes *value)
{
	size_t len = strlen(word);
	const unsigned char *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
	if (end == NULL)
		return false;
	size_t line = (size_t)(end - rest->data);
	if (line <= len || memcmp(rest->data, word, len) != 0 || rest->data[len] != ' ')
		return false;
	*value = (struct bytes){ rest->data + len + 1, line - len - 1 };
	rest->data += line + 1;
	rest->len -= line + 1;
	return true;
}

static bool
take_hex(struct bytes *rest, const char *word, unsigned char *out, size_t len)
{
	struct bytes text;
	return take_line(rest, word, &text) && crypto_unhex(text, out, len);
}

static bool
take_bytes(struct bytes *rest, const char *word, struct arena *a, struct bytes *out)
{
	struct bytes text;
	if (!take_line(rest, word, &text))
		return false;
	unsigned char *to = arena_alloc(a, text.len / 2 + 1);
	*out = (struct bytes){ to, text.len / 2 };
	return crypto_unhex(text, to, text.len / 2);
}

static bool
take_hashes(struct bytes *rest, const char *word, unsigned char (*out)[SHA256_BYTES], size_t room,
	size_t *count)
{
	struct bytes text, before = *rest;
	for (*count = 0; take_line(rest, word, &text); before = *rest, ++*count) {
		if (*count == room || !crypto_unhex(text, out[*count], SHA256_BYTES))
			return false;
	}
	*rest = before;
	return true;
}

static bool
parse_seq(struct bytes text, uint64_t *seq)
{
	uint64_t v = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*seq = v;
	return text.len > 0 && v > 0;
}

static bool
parse_proof(struct bytes text, struct arena *a, struct proof *p)
{
	struct bytes value;
	*p = (struct proof){ 0 };
	if (!take_line(&text, "hooklog", &value) || !bytes_is(value, &TITLE[strlen("hooklog ")]) ||
		!take_hex(&text, "log", p->log_id, sizeof p->log_id) || !take_line(&text, "seq", &value) ||
		!parse_seq(value, &p->seq) ||
		!take_hex(&text, "previous", p->previous, sizeof p->previous) ||
		!take_hex(&text, "header", p->header, sizeof p->header) ||
		!take_bytes(&text, "payload", a, &p->payload) ||
		!take_hashes(&text, "path", p->path, TREE_LEVELS, &p->path_count) ||
		!take_hashes(&text, "dict", p->dicts, SEAL_DICTS_MAX, &p->dict_count))
		return false;
	/* "dictionary" may be missing, so what does not fit here must be the statement. */
	if (!take_bytes(&text, "dictionary", a, &p->dictionary))
		p->dictionary = (struct bytes){ NULL, 0 };
	return take_line(&text, "statement", &value) && ledger_parse(value, &p->st) && text.len == 0;
}

/* The dictionary the record needs, from the proof, if it is one that was signed. */
static enum rc
signed_dict(const struct proof *p, uint32_t id, struct dict **d, struct err *e)
{
	unsigned char fold[SHA256_BYTES] = { 0 }, hash[SHA256_BYTES];
	bool listed = false;
	*d = NULL;
	if (p->dictionary.data != NULL)
		crypto_sha256(p->dictionary, hash);
	for (size_t i = 0; i < p->dict_count; i++) {
		seal_add_dict(fold, p->dicts[i]);
		listed = listed ||
			(p->dictionary.data != NULL && memcmp(hash, p->dicts[i], sizeof hash) == 0);
	}
	if (memcmp(fold, p->st.dicts, sizeof fold) != 0)
		return err_set(e, RC_DENIED, "log.unprovable",
			"the dictionaries are not those that were signed");
	if (id == 0)
		return RC_OK;
	if (listed && p->dictionary.len > 0)
		*d = dict_new(p->dictionary);
	if (*d != NULL && dict_id(*d) == id)
		return RC_OK;
	dict_unref(*d);
	*d = NULL;
	return err_set(e, RC_DENIED, "log.unprovable", "the dictionary is not the one that was signed");
}

static enum rc
check_signed(const struct proof *p, const unsigned char key[ED25519_KEY_BYTES],
	const unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	const struct store_statement *st = &p->st;
	const char *wrong = NULL;
	if (st->kind == STORE_KEY || p->seq < st->first_seq || p->seq > st->seq)
		wrong = "the statement says nothing about this event";
	else if (memcmp(st->key, key, ED25519_KEY_BYTES) != 0)
		wrong = "the statement is not signed by the given key";
	else if (!ledger_signed(p->log_id, st))
		wrong = "the statement's signature is wrong";
	else if (!tree_path_fits(p->seq - st->first_seq, st->seq - st->first_seq + 1, chain,
			 (const unsigned char(*)[SHA256_BYTES])p->path, p->path_count, st->root))
		wrong = "the event is not the one that was signed";
	if (wrong == NULL)
		return RC_OK;
	return err_set(e, RC_DENIED, "log.unprovable", "%s", wrong);
}

/* Decodes the record, whose bytes are proven by now. */
static enum rc
decode(const struct proof *p, struct bytes record, struct arena *a, struct store_record *out,
	struct err *e)
{
	struct unpacker *u = unpacker_new();
	struct dict *d = NULL;
	struct record_header h;
	struct bytes envelope, body;
	unsigned char hash[SHA256_BYTES];
	*out = (struct store_record){ .stored_bytes = record.len };
	enum rc rc = record_open(record, p->seq, &h, e);
	if (rc == RC_OK)
		rc = signed_dict(p, h.dict_id, &d, e);
	if (rc == RC_OK)
		rc = unpack(u, &h, record_payload(record), d, a, &envelope, &body, e);
	if (rc == RC_OK)
		rc = event_decode(envelope, a, &out->event, e);
	if (rc != RC_OK)
		goto done;
	crypto_sha256(body, hash);
	if (memcmp(hash, out->event.body_sha256, sizeof hash) != 0)
		rc = err_set(e, RC_DENIED, "log.unprovable",
			"the body does not have the hash its envelope states");
	out->event.seq = p->seq;
	out->event.received_at_us = h.received_at_us;
	out->event.flags = h.flags;
	out->event.same_key_seq = h.same_key_seq;
	out->event.body = body;
	memcpy(out->chain, h.chain, STORE_CHAIN_BYTES);
done:
	dict_unref(d);
	unpacker_free(u);
	if (rc == RC_CORRUPT || rc == RC_INVALID)
		rc = e->rc = RC_DENIED;
	return rc;
}

enum rc
store_check_proof(struct bytes proof, const unsigned char key[ED25519_KEY_BYTES], struct arena *a,
	struct store_proven *proven, struct err *e)
{
	struct proof *p = arena_alloc(a, sizeof *p);
	struct record_header h;
	if (!parse_proof(proof, a, p) || p->payload.len > LIMIT_RECORD_BYTES)
		return err_set(e, RC_INVALID, "log.unprovable", "this is no proof of the form \"%s\"", TITLE);
	size_t bytes = RECORD_HEADER_BYTES + p->payload.len;
	unsigned char *record = arena_alloc(a, bytes);
	memcpy(record + RECORD_COVERED_AT, p->header, sizeof p->header);
	memcpy(record + RECORD_HEADER_BYTES, p->payload.data, p->payload.len);
	record_rebuild(record, bytes, p->previous);
	enum rc rc = record_open((struct bytes){ record, bytes }, p->seq, &h, e);
	if (rc != RC_OK)
		return e->rc = RC_DENIED;
	rc = check_signed(p, key, h.chain, e);
	if (rc == RC_OK)
		rc = decode(p, (struct bytes){ record, bytes }, a, &proven->record, e);
	if (rc != RC_OK)
		return rc;
	memcpy(proven->log_id, p->log_id, STORE_LOG_ID_BYTES);
	proven->by = p->st;
	return RC_OK;
}
