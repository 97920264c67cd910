/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/store.h"

/* The bytes of one stored record: a fixed header and the payload (docs/on-disk-format.md). Nothing in
 * here allocates or touches LMDB. */

#define RECORD_VERSION 1
#define RECORD_HEADER_BYTES 80
/* A record whose body was erased: all of the header but version and checksum is as it was, the payload
 * is a struct record_redaction and the envelope. */
#define RECORD_VERSION_REDACTED 2
#define RECORD_REDACTION_BYTES 116

enum record_codec { RECORD_RAW = 0, RECORD_ZSTD = 1 };

struct record_header {
	enum record_codec codec;
	uint16_t flags;
	uint32_t dict_id;        /* 0: none */
	uint64_t seq;
	int64_t received_at_us;
	uint64_t same_key_seq;
	uint32_t plain_bytes;    /* envelope and body before compression */
	uint32_t envelope_bytes; /* of these, the envelope */
	unsigned char chain[STORE_CHAIN_BYTES];
	bool redacted;           /* codec, dict_id and plain_bytes are those of the erased payload */
};

struct record_redaction {
	uint64_t audit_seq;      /* the event that says why */
	int64_t at_us;           /* when that was received */
	unsigned char chain_before[STORE_CHAIN_BYTES];
	unsigned char record_sha256[SHA256_BYTES]; /* of all bytes of the original record */
	uint32_t record_bytes;   /* how many they were */
	unsigned char body_sha256[SHA256_BYTES]; /* of the erased body */
};

/* The chain value before the first record of a log. */
void record_first_chain(const unsigned char log_id[STORE_LOG_ID_BYTES],
	unsigned char out[STORE_CHAIN_BYTES]);

/* Writes the header in front of a payload that already stands at record + RECORD_HEADER_BYTES, takes
 * the chain on from previous and sets h->chain. bytes: the whole record. */
void record_seal(unsigned char *record, size_t bytes, struct record_header *h,
	const unsigned char previous[STORE_CHAIN_BYTES]);

/* As record_seal, for a record whose bytes 8 to 47 stand there already as well. */
void record_rebuild(unsigned char *record, size_t bytes, const unsigned char previous[STORE_CHAIN_BYTES]);

/* Where the bytes of the header lie that the chain covers, and how many. */
#define RECORD_COVERED_AT 8
#define RECORD_COVERED_BYTES 40

/* Checks length, checksum, version, number and lengths, in this order, then fills *h. No length is
 * believed before the checksum fits.
 * RC_CORRUPT: damaged (id log.damaged). RC_INVALID: a version this program does not know. */
enum rc record_open(struct bytes record, uint64_t seq, struct record_header *h, struct err *e)
	MUST_CHECK;

/* Reads what a redacted record says of its redaction; record_open must have accepted it as one. */
void record_read_redaction(struct bytes record, struct record_redaction *r);

/* Makes the redacted form of record (sealed as h) into out, of RECORD_HEADER_BYTES +
 * RECORD_REDACTION_BYTES + envelope.len bytes. */
void record_redact(struct bytes record, struct bytes envelope, const struct record_redaction *r,
	unsigned char *out);

/* Writes the checksum over everything behind it. */
void record_set_checksum(unsigned char *record, size_t bytes);

/* Hash over what a redacted record says and its audit event does not repeat: all of it but version,
 * checksum, chain value, and number and time of the audit event, which are not known before that. */
void record_kept_hash(struct bytes redacted, unsigned char out[SHA256_BYTES]);

/* Whether the record's chain value follows from previous. */
bool record_chain_fits(struct bytes record, const unsigned char previous[STORE_CHAIN_BYTES]);

/* The chain value a record of at least RECORD_HEADER_BYTES states. Points into it. */
static inline const unsigned char *
record_chain(struct bytes record)
{
	return record.data + RECORD_HEADER_BYTES - STORE_CHAIN_BYTES;
}

/* The SHA-256 of the body that a redacted record, which record_open accepted as one, states. Points into it. */
static inline const unsigned char *
record_erased_sha256(struct bytes record)
{
	return record.data + RECORD_HEADER_BYTES + RECORD_REDACTION_BYTES - SHA256_BYTES;
}

/* The id of the dictionary such a record states; 0: none. */
uint32_t record_dict_id(struct bytes record);

static inline struct bytes
record_payload(struct bytes record)
{
	return (struct bytes){ record.data + RECORD_HEADER_BYTES, record.len - RECORD_HEADER_BYTES };
}

#endif
