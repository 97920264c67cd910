/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "store/ledger.h"
#include "store/proof.h"
#include "store/redact.h"
#include "store/seal.h"

/* Checking a proof, whose bytes may come from anybody. */

struct proof {
	unsigned char log_id[STORE_LOG_ID_BYTES];
	uint64_t seq;
	unsigned char previous[STORE_CHAIN_BYTES];
	unsigned char header[RECORD_COVERED_BYTES];
	struct bytes payload, dictionary; /* dictionary.data NULL: none */
	struct bytes redacted; /* of a redacted event, instead of the four above: its record from byte 8 on */
	unsigned char path[TREE_LEVELS][SHA256_BYTES];
	size_t path_count;
	unsigned char dicts[SEAL_DICTS_MAX][SHA256_BYTES];
	size_t dict_count;
	struct bytes keys; /* lines */
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
take_record(struct bytes *rest, struct arena *a, struct proof *p)
{
	if (take_bytes(rest, "redacted", a, &p->redacted))
		return true;
	p->redacted = (struct bytes){ NULL, 0 };
	return take_hex(rest, "previous", p->previous, sizeof p->previous) &&
		take_hex(rest, "header", p->header, sizeof p->header) &&
		take_bytes(rest, "payload", a, &p->payload);
}

/* Takes one proof off *rest. */
static bool
take_proof(struct bytes *rest, struct arena *a, struct proof *p)
{
	struct bytes value;
	*p = (struct proof){ 0 };
	if (!take_line(rest, "hooklog", &value) || !bytes_is(value, &PROOF_TITLE[strlen("hooklog ")]) ||
		!take_hex(rest, "log", p->log_id, sizeof p->log_id) || !take_line(rest, "seq", &value) ||
		!parse_seq(value, &p->seq) || !take_record(rest, a, p) ||
		!take_hashes(rest, "path", p->path, TREE_LEVELS, &p->path_count) ||
		!take_hashes(rest, "dict", p->dicts, SEAL_DICTS_MAX, &p->dict_count))
		return false;
	/* It may be missing, so what does not fit here must be the next line. */
	if (!take_bytes(rest, "dictionary", a, &p->dictionary))
		p->dictionary = (struct bytes){ NULL, 0 };
	p->keys.data = rest->data;
	while (take_line(rest, "key", &value))
		p->keys.len = (size_t)(rest->data - p->keys.data);
	return take_line(rest, "statement", &value) && ledger_parse(value, &p->st) &&
		p->payload.len <= LIMIT_RECORD_BYTES && p->redacted.len <= LIMIT_RECORD_BYTES;
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

/* Each key signed the next one, the last one is the statement's, and the given one is among them. */
static bool
leads_from(const struct proof *p, const unsigned char given[ED25519_KEY_BYTES])
{
	struct bytes rest = p->keys;
	struct store_statement line;
	unsigned char last[ED25519_KEY_BYTES];
	bool any = false, found = memcmp(p->st.key, given, ED25519_KEY_BYTES) == 0;
	while (rest.len > 0) {
		const unsigned char *end = memchr(rest.data, '\n', rest.len);
		struct bytes text = { rest.data, (size_t)(end - rest.data) };
		rest = (struct bytes){ end + 1, rest.len - text.len - 1 };
		if (!ledger_parse(text, &line) || line.kind != STORE_KEY || !ledger_signed(p->log_id, &line) ||
			(any && memcmp(line.key, last, sizeof last) != 0))
			return false;
		found = found || memcmp(line.key, given, sizeof line.key) == 0;
		memcpy(last, line.new_key, sizeof last);
		any = true;
	}
	return found && (!any || memcmp(p->st.key, last, sizeof last) == 0);
}

static enum rc
check_signed(const struct proof *p, const unsigned char key[ED25519_KEY_BYTES],
	const unsigned char chain[STORE_CHAIN_BYTES], struct err *e)
{
	const struct store_statement *st = &p->st;
	const char *wrong = NULL;
	if (st->kind == STORE_KEY || p->seq < st->first_seq || p->seq > st->seq)
		wrong = "the statement says nothing about this event";
	else if (!leads_from(p, key))
		wrong = "the statement is not signed by the given key, nor by one that goes back to it";
	else if (!ledger_signed(p->log_id, st))
		wrong = "the statement's signature is wrong";
	else if (!tree_path_fits(p->seq - st->first_seq, st->seq - st->first_seq + 1, chain,
			 (const unsigned char(*)[SHA256_BYTES])p->path, p->path_count, st->root))
		wrong = "the event is not the one that was signed";
	if (wrong == NULL)
		return RC_OK;
	return err_set(e, RC_DENIED, "log.unprovable", "%s", wrong);
}

/* Decodes the record, the chain value of which is proven by now. */
static enum rc
decode(const struct proof *p, struct bytes record, const struct record_header *h, struct arena *a,
	struct store_record *out, struct err *e)
{
	struct unpacker *u = unpacker_new();
	struct dict *d = NULL;
	struct bytes envelope, body;
	unsigned char hash[XXH128_BYTES];
	*out = (struct store_record){ .stored_bytes = record.len };
	enum rc rc = signed_dict(p, h->redacted ? 0 : h->dict_id, &d, e);
	if (rc == RC_OK)
		rc = unpack(u, h, record_payload(record), d, a, &envelope, &body, e);
	if (rc == RC_OK)
		rc = event_decode(envelope, a, &out->event, e);
	if (rc != RC_OK)
		goto done;
	xxh128(body, hash);
	if (!h->redacted && memcmp(hash, out->event.body_xxh128, sizeof hash) != 0)
		rc = err_set(e, RC_DENIED, "log.unprovable",
			"the body does not have the hash its envelope states");
	out->event.seq = p->seq;
	out->event.received_at_us = h->received_at_us;
	out->event.flags = h->flags | (h->redacted ? EVENT_FLAG_REDACTED : 0u);
	out->event.same_key_seq = h->same_key_seq;
	out->event.body = body;
	if (h->redacted)
		memcpy(out->event.erased_sha256, record_erased_sha256(record), SHA256_BYTES);
	memcpy(out->chain, h->chain, STORE_CHAIN_BYTES);
done:
	dict_unref(d);
	unpacker_free(u);
	return rc;
}

/* The bytes of the stored record, made from the proof. */
static struct bytes
rebuild(const struct proof *p, struct arena *a)
{
	bool redacted = p->redacted.data != NULL;
	size_t bytes = redacted ? RECORD_COVERED_AT + p->redacted.len : RECORD_HEADER_BYTES + p->payload.len;
	unsigned char *record = arena_zalloc(a, bytes);
	if (redacted) {
		memcpy(record + RECORD_COVERED_AT, p->redacted.data, p->redacted.len);
		record_set_checksum(record, bytes);
		return (struct bytes){ record, bytes };
	}
	memcpy(record + RECORD_COVERED_AT, p->header, sizeof p->header);
	memcpy(record + RECORD_HEADER_BYTES, p->payload.data, p->payload.len);
	record_rebuild(record, bytes, p->previous);
	return (struct bytes){ record, bytes };
}

/* Checks one proof; *record is the record as stored. */
static enum rc
check_one(const struct proof *p, const unsigned char key[ED25519_KEY_BYTES], struct arena *a,
	struct bytes *record, struct store_record *out, struct err *e)
{
	struct record_header h;
	*record = rebuild(p, a);
	enum rc rc = record_open(*record, p->seq, &h, e);
	if (rc == RC_OK && h.redacted != (p->redacted.data != NULL))
		rc = err_set(e, RC_DENIED, "log.unprovable", "the record is not of the kind the proof says");
	if (rc == RC_OK)
		rc = check_signed(p, key, h.chain, e);
	if (rc == RC_OK)
		rc = decode(p, *record, &h, a, out, e);
	return rc;
}

enum rc
store_check_proof(struct bytes text, const unsigned char key[ED25519_KEY_BYTES], struct arena *a,
	struct store_proven *proven, struct err *e)
{
	struct proof *p = arena_alloc(a, sizeof *p), *audit = arena_zalloc(a, sizeof *audit);
	struct bytes record, audit_record;
	*proven = (struct store_proven){ 0 };
	/* What is said of a redacted event is worth as much as the audit event, which comes with it. */
	if (!take_proof(&text, a, p) ||
		(p->redacted.data != NULL && (!take_proof(&text, a, audit) || audit->redacted.data != NULL)) ||
		text.len != 0)
		return err_set(e, RC_INVALID, "log.unprovable", "this is no proof of the form \"%s\"",
			PROOF_TITLE);
	enum rc rc = check_one(p, key, a, &record, &proven->record, e);
	if (rc == RC_OK && p->redacted.data != NULL) {
		rc = check_one(audit, key, a, &audit_record, &proven->audit, e);
		if (rc == RC_OK && (memcmp(p->log_id, audit->log_id, STORE_LOG_ID_BYTES) != 0 ||
					   audit->seq <= p->seq ||
					   !redact_confirmed(&proven->audit.event, record, &proven->record)))
			rc = err_set(e, RC_DENIED, "log.unprovable",
				"the audit event does not say that this event was redacted");
	}
	if (rc == RC_CORRUPT || rc == RC_INVALID)
		rc = e->rc = RC_DENIED;
	if (rc != RC_OK)
		return rc;
	memcpy(proven->log_id, p->log_id, STORE_LOG_ID_BYTES);
	proven->by = p->st;
	return RC_OK;
}
