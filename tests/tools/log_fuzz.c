/* SPDX-License-Identifier: Apache-2.0 */
#include <xxhash.h>

#include "base/buf.h"
#include "base/limits.h"
#include "store/ledger.h"
#include "store/pack.h"
#include "store/stream.h"
#include "tests/tools/log_fuzz.h"

/* Stands in for libxxhash's. */
XXH64_hash_t
XXH3_64bits(const void *data, size_t len)
{
	(void)data;
	(void)len;
	return 0;
}

static const unsigned char log_id[STORE_LOG_ID_BYTES] = "an id of 16 byte";

/* Reads all of b, so that a run that points astray is found. */
static void
touch(struct bytes b)
{
	unsigned sum = 0;
	for (size_t i = 0; i < b.len; i++)
		sum += b.data[i];
	ASSERT(sum < UINT32_MAX);
}

/* ---- one record ---- */

unsigned char *
fuzz_sample_record(unsigned number, size_t *size)
{
	struct event ev = { .source = bytes_str("gh"), .provider = bytes_str("github"),
		.event = bytes_str("push"), .delivery = bytes_str(number % 2 == 0 ? "d" : ""),
		.content_type = bytes_str("application/json"),
		.body = bytes_str(number % 3 == 0 ? "" : "{\"a\":[1,2,3],\"b\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaa\"}") };
	unsigned char chain[STORE_CHAIN_BYTES];
	struct buf envelope = buf_new(LIMIT_ENVELOPE_BYTES);
	struct packer *p = packer_new();
	struct packed packed;
	xxh128(ev.body, ev.body_xxh128);
	event_encode(&ev, &envelope);
	pack(p, buf_bytes(&envelope), ev.body, &packed);
	struct record_header h = { .codec = packed.codec, .seq = number + 1,
		.received_at_us = 1700000000000000, .plain_bytes = packed.plain_bytes,
		.envelope_bytes = packed.envelope_bytes };
	*size = RECORD_HEADER_BYTES + packed_bytes(&packed);
	unsigned char *record = base_alloc(*size), *to = record + RECORD_HEADER_BYTES;
	for (size_t i = 0; i < COUNT_OF(packed.parts); i++) {
		if (packed.parts[i].len > 0)
			memcpy(to, packed.parts[i].data, packed.parts[i].len);
		to += packed.parts[i].len;
	}
	record_first_chain(log_id, chain);
	record_seal(record, *size, &h, chain);
	packed_free(&packed);
	packer_free(p);
	buf_free(&envelope);
	return record;
}

static bool
run_record(const unsigned char *data, size_t size)
{
	struct bytes record = { data, size }, envelope, body;
	struct record_header h;
	struct err e;
	struct event ev = { 0 };
	bool taken = false;
	if (size < RECORD_HEADER_BYTES)
		return false;
	/* It stands in the place it says; that it does not is found before anything else. */
	uint64_t seq = 0;
	for (size_t i = 0; i < 8; i++)
		seq |= (uint64_t)data[16 + i] << (8 * i);
	if (record_open(record, seq, &h, &e) != RC_OK || h.plain_bytes > 1 << 20)
		return false; /* more is allowed and slow */
	struct arena *a = arena_new(1 << 16);
	struct unpacker *u = unpacker_new();
	if (unpack(u, &h, record_payload(record), NULL, a, &envelope, &body, &e) == RC_OK) {
		/* Of an erased body only the length is left. */
		ASSERT(h.redacted ? body.len == 0
				  : envelope.len == h.envelope_bytes && envelope.len + body.len == h.plain_bytes);
		touch(envelope);
		touch(body);
		if (event_decode(envelope, a, &ev, &e) == RC_OK) {
			taken = true;
			touch(ev.delivery);
			for (size_t i = 0; i < ev.header_count; i++) {
				touch(ev.headers[i].name);
				touch(ev.headers[i].value);
			}
		}
	}
	unpacker_free(u);
	arena_free(a);
	return taken;
}

/* ---- an archive ---- */

static enum rc
into_buffer(void *context, struct bytes data, struct err *e)
{
	(void)e;
	buf_put(context, data.data, data.len);
	return RC_OK;
}

unsigned char *
fuzz_sample_stream(unsigned number, size_t *size)
{
	struct buf out = buf_new(1 << 20);
	struct stream_writer *w;
	struct err e;
	unsigned char chain[STORE_CHAIN_BYTES];
	size_t len;
	record_first_chain(log_id, chain);
	ASSERT(stream_writer_new(&w, into_buffer, &out, log_id, 1700000000000000, &e) == RC_OK);
	ASSERT(stream_put_segment(w, 1, chain, &e) == RC_OK);
	if (number % 2 == 0)
		ASSERT(stream_put_meta(w, bytes_str("a key"), bytes_str("a value"), &e) == RC_OK);
	unsigned char *record = fuzz_sample_record(0, &len);
	ASSERT(stream_put_record(w, 1, (struct bytes){ record, len }, &e) == RC_OK);
	ASSERT(stream_put_footer(w, &e) == RC_OK);
	stream_writer_free(w);
	free(record);
	*size = buf_bytes(&out).len;
	unsigned char *copy = base_alloc(*size);
	memcpy(copy, buf_bytes(&out).data, *size);
	buf_free(&out);
	return copy;
}

static enum rc
from_bytes(void *context, unsigned char *data, size_t size, size_t *got, struct err *e)
{
	struct bytes *left = context;
	(void)e;
	*got = left->len < size ? left->len : size;
	if (*got > 0)
		memcpy(data, left->data, *got);
	left->data += *got;
	left->len -= *got;
	return RC_OK;
}

static bool
run_stream(const unsigned char *data, size_t size)
{
	struct bytes left = { data, size };
	struct stream_reader *r;
	struct stream_frame frame;
	struct err e;
	uint64_t last = 0;
	bool taken = false;
	if (stream_reader_new(&r, from_bytes, &left, &e) != RC_OK)
		return false;
	while (stream_next(r, &frame, &e) == RC_OK) {
		taken = taken || frame.type == STREAM_FOOTER;
		if (frame.type == STREAM_META)
			touch(frame.key);
		if (frame.type == STREAM_META || frame.type == STREAM_RECORD)
			touch(frame.data);
		if (frame.type == STREAM_RECORD) {
			ASSERT(last == 0 || frame.seq == last + 1);
			last = frame.seq;
		}
	}
	stream_reader_free(r);
	return taken;
}

/* ---- a line of JSON ---- */

static unsigned char *
copy_of(struct bytes b, size_t *size)
{
	unsigned char *copy = base_alloc(b.len + 1);
	memcpy(copy, b.data, b.len);
	*size = b.len;
	return copy;
}

static unsigned char *
sample_line(unsigned number, size_t *size)
{
	struct event_header headers[] = { { bytes_str("X-One"), bytes_str("1") },
		{ bytes_str("X-Two"), bytes_str("\"\\\xff") } };
	struct event ev = { .seq = number + 1, .received_at_us = 1700000000000000, .source = bytes_str("gh"),
		.provider = bytes_str("github"), .event = bytes_str("push"), .delivery = bytes_str("d\xc3\xa9"),
		.hook = bytes_str("7"), .content_type = bytes_str("application/json"),
		.origin = number % 7, .headers = headers, .header_count = number % 3,
		.body = bytes_str(number % 2 == 0 ? "{\"a\":[1,2,\"\u00e9\"]}" : "\xff\xfe no text") };
	struct buf out = buf_new(1 << 16);
	if (number == 5) {
		ev.flags = EVENT_FLAG_REDACTED;
		ev.body = (struct bytes){ NULL, 0 };
	}
	xxh128(ev.body, ev.body_xxh128);
	event_put_json(&out, &ev);
	unsigned char *copy = copy_of(buf_bytes(&out), size);
	buf_free(&out);
	return copy;
}

/* What was read and is written again reads as the same. */
static bool
run_line(const unsigned char *data, size_t size)
{
	struct arena *a = arena_new(1 << 16);
	struct event_parser *p = event_parser_new();
	struct event ev = { 0 }, again = { 0 };
	struct buf out = buf_new(16 * size + 4096);
	struct err e;
	bool taken = event_from_json(p, (struct bytes){ data, size }, a, &ev, &e) == RC_OK;
	if (taken) {
		touch(ev.body);
		touch(ev.delivery);
		event_put_json(&out, &ev);
		ASSERT(!out.overflow && event_from_json(p, buf_bytes(&out), a, &again, &e) == RC_OK);
		ASSERT(bytes_equal(ev.body, again.body) && bytes_equal(ev.source, again.source) &&
			bytes_equal(ev.delivery, again.delivery) && bytes_equal(ev.path, again.path) &&
			ev.header_count == again.header_count && ev.origin == again.origin);
	}
	buf_free(&out);
	event_parser_free(p);
	arena_free(a);
	return taken;
}

/* ---- a line of checkpoints ---- */

static unsigned char *
sample_statement(unsigned number, size_t *size)
{
	struct store_statement st = { .kind = (enum store_statement_kind)(number % 3), .seq = 17 + number,
		.first_seq = 1, .at_us = 1700000000000000, .count = 17, .file_bytes = 4096 };
	struct buf out = buf_new(4096);
	memset(st.chain, (int)number, sizeof st.chain);
	ledger_put_line(&out, &st);
	unsigned char *copy = copy_of((struct bytes){ out.data, out.len - 1 }, size);
	buf_free(&out);
	return copy;
}

/* There is one way only to write a statement. */
static bool
run_statement(const unsigned char *data, size_t size)
{
	struct store_statement st;
	struct buf out = buf_new(4096);
	bool taken = ledger_parse((struct bytes){ data, size }, &st);
	if (taken) {
		ledger_put_line(&out, &st);
		ASSERT(out.len == size + 1 && memcmp(out.data, data, size) == 0);
	}
	buf_free(&out);
	return taken;
}

const struct fuzz_target fuzz_targets[] = {
	{ "record", run_record, fuzz_sample_record, 20000 },
	{ "stream", run_stream, fuzz_sample_stream, 20000 },
	{ "line", run_line, sample_line, 20000 },
	{ "statement", run_statement, sample_statement, 20000 },
	{ "proof", fuzz_run_proof, fuzz_sample_proof, 5000 },
	{ "verify", fuzz_run_verify, fuzz_sample_second, 200 },
	{ "import", fuzz_run_import, fuzz_sample_stream, 200 },
};
const size_t fuzz_target_count = COUNT_OF(fuzz_targets);
