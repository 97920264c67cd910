/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/xxh.h"
#include "store/record.h"

/* Positions in the header. Integers are little-endian.
 *
 *	 0 checksum u64    8 version u8    9 codec u8   10 flags u16    12 dictionary u32
 *	16 seq u64        24 received i64 32 same_key_seq u64
 *	40 plain u32      44 envelope u32 48 chain 32 bytes            80 payload
 */
enum {
	AT_CHECKSUM = 0,
	AT_VERSION = 8,
	AT_CODEC = 9,
	AT_FLAGS = 10,
	AT_DICT = 12,
	AT_SEQ = 16,
	AT_RECEIVED = 24,
	AT_SAME_KEY = 32,
	AT_PLAIN = 40,
	AT_ENVELOPE = 44,
	AT_CHAIN = 48,
};

static void
put_le(unsigned char *p, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t
get_le(const unsigned char *p, size_t bytes)
{
	uint64_t v = 0;
	for (size_t i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void
record_first_chain(const unsigned char log_id[STORE_LOG_ID_BYTES], unsigned char out[STORE_CHAIN_BYTES])
{
	const struct bytes parts[] = { bytes_str("hooklog log v1"), { log_id, STORE_LOG_ID_BYTES } };
	crypto_sha256_parts(parts, COUNT_OF(parts), out);
}

/* The chain leaves out the checksum, which is no more than a fast way to find damage, and itself. */
static void
chain_of(struct bytes record, const unsigned char previous[STORE_CHAIN_BYTES],
	unsigned char out[STORE_CHAIN_BYTES])
{
	const struct bytes parts[] = { { previous, STORE_CHAIN_BYTES },
		{ record.data + AT_VERSION, AT_CHAIN - AT_VERSION }, record_payload(record) };
	crypto_sha256_parts(parts, COUNT_OF(parts), out);
}

void
record_seal(unsigned char *record, size_t bytes, struct record_header *h,
	const unsigned char previous[STORE_CHAIN_BYTES])
{
	ASSERT(bytes >= RECORD_HEADER_BYTES && bytes <= UINT32_MAX);
	record[AT_VERSION] = RECORD_VERSION;
	record[AT_CODEC] = (unsigned char)h->codec;
	put_le(record + AT_FLAGS, h->flags, 2);
	put_le(record + AT_DICT, h->dict_id, 4);
	put_le(record + AT_SEQ, h->seq, 8);
	put_le(record + AT_RECEIVED, (uint64_t)h->received_at_us, 8);
	put_le(record + AT_SAME_KEY, h->same_key_seq, 8);
	put_le(record + AT_PLAIN, h->plain_bytes, 4);
	put_le(record + AT_ENVELOPE, h->envelope_bytes, 4);
	record_rebuild(record, bytes, previous);
	memcpy(h->chain, record + AT_CHAIN, STORE_CHAIN_BYTES);
}

void
record_rebuild(unsigned char *record, size_t bytes, const unsigned char previous[STORE_CHAIN_BYTES])
{
	unsigned char chain[STORE_CHAIN_BYTES];
	chain_of((struct bytes){ record, bytes }, previous, chain);
	memcpy(record + AT_CHAIN, chain, STORE_CHAIN_BYTES);
	record_set_checksum(record, bytes);
}

void
record_set_checksum(unsigned char *record, size_t bytes)
{
	put_le(record + AT_CHECKSUM, xxh3(record + AT_VERSION, bytes - AT_VERSION), 8);
}

enum rc
record_open(struct bytes record, uint64_t seq, struct record_header *h, struct err *e)
{
	const unsigned char *p = record.data;
	if (record.len < RECORD_HEADER_BYTES)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"record %" PRIu64 " is damaged: %zu bytes are too few for a header", seq, record.len);
	if (get_le(p + AT_CHECKSUM, 8) != xxh3(p + AT_VERSION, record.len - AT_VERSION))
		return err_set(e, RC_CORRUPT, "log.damaged",
			"record %" PRIu64 " is damaged: its checksum does not fit; run `hooklog log verify`",
			seq);
	if (p[AT_VERSION] != RECORD_VERSION && p[AT_VERSION] != RECORD_VERSION_REDACTED)
		return err_set(e, RC_INVALID, "log.version",
			"record %" PRIu64 " has format version %u, this program knows %d; use a newer hooklog",
			seq, p[AT_VERSION], RECORD_VERSION);
	h->codec = p[AT_CODEC];
	h->flags = (uint16_t)get_le(p + AT_FLAGS, 2);
	h->dict_id = (uint32_t)get_le(p + AT_DICT, 4);
	h->seq = get_le(p + AT_SEQ, 8);
	h->received_at_us = (int64_t)get_le(p + AT_RECEIVED, 8);
	h->same_key_seq = get_le(p + AT_SAME_KEY, 8);
	h->plain_bytes = (uint32_t)get_le(p + AT_PLAIN, 4);
	h->envelope_bytes = (uint32_t)get_le(p + AT_ENVELOPE, 4);
	memcpy(h->chain, p + AT_CHAIN, STORE_CHAIN_BYTES);
	h->redacted = p[AT_VERSION] == RECORD_VERSION_REDACTED;
	if (h->seq != seq)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"record %" PRIu64 " stands in the place of record %" PRIu64, h->seq, seq);
	if (h->plain_bytes > LIMIT_RECORD_BYTES || h->envelope_bytes > h->plain_bytes ||
		h->envelope_bytes > LIMIT_ENVELOPE_BYTES)
		return err_set(e, RC_CORRUPT, "log.damaged", "record %" PRIu64 " states impossible lengths",
			seq);
	if (h->redacted && record_payload(record).len != RECORD_REDACTION_BYTES + (size_t)h->envelope_bytes)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"record %" PRIu64 " is redacted, and its length does not fit", seq);
	return RC_OK;
}

uint32_t
record_dict_id(struct bytes record)
{
	return (uint32_t)get_le(record.data + AT_DICT, 4);
}

bool
record_chain_fits(struct bytes record, const unsigned char previous[STORE_CHAIN_BYTES])
{
	unsigned char want[STORE_CHAIN_BYTES];
	if (record.data[AT_VERSION] == RECORD_VERSION_REDACTED) {
		struct record_redaction r;
		/* What was hashed is gone; its audit event, chained behind it, vouches for the link. */
		record_read_redaction(record, &r);
		return memcmp(r.chain_before, previous, STORE_CHAIN_BYTES) == 0;
	}
	chain_of(record, previous, want);
	return memcmp(want, record.data + AT_CHAIN, STORE_CHAIN_BYTES) == 0;
}

/* The payload of a redacted record:
 *
 *	0 audit seq u64   8 time i64   16 chain before   48 SHA-256   80 bytes u32   84 body's SHA-256   116 envelope
 */
void
record_read_redaction(struct bytes record, struct record_redaction *r)
{
	const unsigned char *p = record_payload(record).data;
	r->audit_seq = get_le(p, 8);
	r->at_us = (int64_t)get_le(p + 8, 8);
	memcpy(r->chain_before, p + 16, STORE_CHAIN_BYTES);
	memcpy(r->record_sha256, p + 48, SHA256_BYTES);
	r->record_bytes = (uint32_t)get_le(p + 80, 4);
	memcpy(r->body_sha256, p + 84, SHA256_BYTES);
}

void
record_redact(struct bytes record, struct bytes envelope, const struct record_redaction *r,
	unsigned char *out)
{
	unsigned char *p = out + RECORD_HEADER_BYTES;
	memcpy(out, record.data, RECORD_HEADER_BYTES);
	out[AT_VERSION] = RECORD_VERSION_REDACTED;
	put_le(p, r->audit_seq, 8);
	put_le(p + 8, (uint64_t)r->at_us, 8);
	memcpy(p + 16, r->chain_before, STORE_CHAIN_BYTES);
	memcpy(p + 48, r->record_sha256, SHA256_BYTES);
	put_le(p + 80, r->record_bytes, 4);
	memcpy(p + 84, r->body_sha256, SHA256_BYTES);
	if (envelope.len > 0)
		memcpy(p + RECORD_REDACTION_BYTES, envelope.data, envelope.len);
	record_set_checksum(out, RECORD_HEADER_BYTES + RECORD_REDACTION_BYTES + envelope.len);
}

void
record_kept_hash(struct bytes redacted, unsigned char out[SHA256_BYTES])
{
	struct bytes payload = record_payload(redacted);
	const struct bytes parts[] = { { redacted.data + AT_CODEC, AT_CHAIN - AT_CODEC },
		{ payload.data + 16, payload.len - 16 } };
	crypto_sha256_parts(parts, COUNT_OF(parts), out);
}
