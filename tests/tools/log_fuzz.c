/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <lmdb.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/limits.h"
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

static unsigned char *
sample_record(unsigned number, size_t *size)
{
	struct event ev = { .source = bytes_str("gh"), .provider = bytes_str("github"),
		.event = bytes_str("push"), .delivery = bytes_str(number % 2 == 0 ? "d" : ""),
		.content_type = bytes_str("application/json"),
		.body = bytes_str(number % 3 == 0 ? "" : "{\"a\":[1,2,3],\"b\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaa\"}") };
	unsigned char chain[STORE_CHAIN_BYTES];
	struct buf envelope = buf_new(LIMIT_ENVELOPE_BYTES);
	struct packer *p = packer_new();
	struct packed packed;
	crypto_sha256(ev.body, ev.body_sha256);
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

static void
run_record(const unsigned char *data, size_t size)
{
	struct bytes record = { data, size }, envelope, body;
	struct record_header h;
	struct err e;
	struct event ev = { 0 };
	if (size < RECORD_HEADER_BYTES)
		return;
	/* It stands in the place it says; that it does not is found before anything else. */
	uint64_t seq = 0;
	for (size_t i = 0; i < 8; i++)
		seq |= (uint64_t)data[16 + i] << (8 * i);
	if (record_open(record, seq, &h, &e) != RC_OK || h.plain_bytes > 1 << 20)
		return; /* more is allowed and slow */
	struct arena *a = arena_new(1 << 16);
	struct unpacker *u = unpacker_new();
	if (unpack(u, &h, record_payload(record), NULL, a, &envelope, &body, &e) == RC_OK) {
		/* Of an erased body only the length is left. */
		ASSERT(h.redacted ? body.len == 0
				  : envelope.len == h.envelope_bytes && envelope.len + body.len == h.plain_bytes);
		touch(envelope);
		touch(body);
		if (event_decode(envelope, a, &ev, &e) == RC_OK) {
			touch(ev.delivery);
			for (size_t i = 0; i < ev.header_count; i++) {
				touch(ev.headers[i].name);
				touch(ev.headers[i].value);
			}
		}
	}
	unpacker_free(u);
	arena_free(a);
}

/* ---- an archive ---- */

static enum rc
into_buffer(void *context, struct bytes data, struct err *e)
{
	(void)e;
	buf_put(context, data.data, data.len);
	return RC_OK;
}

static unsigned char *
sample_stream(unsigned number, size_t *size)
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
	unsigned char *record = sample_record(0, &len);
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

static void
run_stream(const unsigned char *data, size_t size)
{
	struct bytes left = { data, size };
	struct stream_reader *r;
	struct stream_frame frame;
	struct err e;
	uint64_t last = 0;
	if (stream_reader_new(&r, from_bytes, &left, &e) != RC_OK)
		return;
	while (stream_next(r, &frame, &e) == RC_OK) {
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
}

/* ---- a proof ---- */

static unsigned char *
sample_proof(unsigned number, size_t *size)
{
	/* The words a proof is made of; what they must be is for the fuzzer to find out. */
	static const char text[] = "hooklog proof 1\nlog 00112233445566778899aabbccddeeff\nrecord 00\n"
		"dictionary 00\nprev 00\npath 00\ncheckpoint 1 00 1 00 00 1 00 00\n";
	*size = sizeof text - 1 - number % 3;
	unsigned char *copy = base_alloc(*size);
	memcpy(copy, text, *size);
	return copy;
}

static void
run_proof(const unsigned char *data, size_t size)
{
	static const unsigned char key[ED25519_KEY_BYTES];
	struct arena *a = arena_new(1 << 16);
	struct store_proven proven;
	struct err e;
	/* Nobody here has the key. */
	ASSERT(store_check_proof((struct bytes){ data, size }, key, a, &proven, &e) != RC_OK);
	arena_free(a);
}

/* ---- verify ---- */

/* A log of three events, the second of which is replaced; lives as long as the process. */
static void
replace_second(const char *dir, struct bytes record)
{
	char path[400];
	unsigned char key[8] = { 0, 0, 0, 0, 0, 0, 0, 2 };
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi events;
	MDB_val k = { sizeof key, key }, v = { record.len, (void *)(uintptr_t)record.data };
	snprintf(path, sizeof path, "%s/00000000000000000001.mdb", dir);
	ASSERT(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 4) == 0 &&
		mdb_env_set_mapsize(env, (size_t)64 << 20) == 0 &&
		mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOSYNC, 0600) == 0);
	ASSERT(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, "events", 0, &events) == 0);
	ASSERT(mdb_put(txn, events, &k, &v, 0) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
}

static void
remove_log(const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	rmdir(dir);
}

static unsigned char *
sample_second(unsigned number, size_t *size)
{
	(void)number;
	return sample_record(1, size);
}

static void
run_verify(const unsigned char *data, size_t size)
{
	const char *base = getenv("TMPDIR");
	char dir[200];
	struct store *s;
	struct err e;
	struct store_verify_report report;
	if (size == 0 || size > 1 << 20)
		return;
	snprintf(dir, sizeof dir, "%s/hooklog-fuzz.XXXXXX", base == NULL ? "/tmp" : base);
	ASSERT(mkdtemp(dir) != NULL);
	struct store_options options = { .dir = dir };
	ASSERT(store_open(&s, &options, &e) == RC_OK);
	for (unsigned i = 0; i < 3; i++) {
		struct event ev = { .source = bytes_str("gh"), .delivery = bytes_str(""),
			.body = bytes_str("a body") };
		ASSERT(store_append(s, &ev).rc == RC_OK);
	}
	store_close(s);
	replace_second(dir, (struct bytes){ data, size });
	/* The checksum of anything fits here, and yet nothing else may pass: the chain knows. */
	ASSERT(store_verify(dir, 1, 0, NULL, NULL, &report, &e) != RC_OK);
	remove_log(dir);
}

const struct fuzz_target fuzz_targets[] = {
	{ "record", run_record, sample_record, 20000 },
	{ "stream", run_stream, sample_stream, 20000 },
	{ "proof", run_proof, sample_proof, 20000 },
	{ "verify", run_verify, sample_second, 200 },
};
const size_t fuzz_target_count = COUNT_OF(fuzz_targets);

/* libFuzzer's entry; tests/fuzz/long.test.mjs builds one program per target. */
#ifdef FUZZ_TARGET
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Puts the samples into the folder FUZZ_CORPUS, from which the fuzzer then begins. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	const char *dir = getenv("FUZZ_CORPUS");
	for (size_t i = 0; i < fuzz_target_count && dir != NULL; i++) {
		for (unsigned n = 0; n < 6 && strcmp(fuzz_targets[i].name, FUZZ_TARGET) == 0; n++) {
			char path[400];
			size_t size;
			unsigned char *sample = fuzz_targets[i].sample(n, &size);
			snprintf(path, sizeof path, "%s/sample-%u", dir, n);
			FILE *f = fopen(path, "wb");
			ASSERT(f != NULL && fwrite(sample, 1, size, f) == size && fclose(f) == 0);
			free(sample);
		}
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < fuzz_target_count; i++) {
		if (strcmp(fuzz_targets[i].name, FUZZ_TARGET) == 0)
			fuzz_targets[i].run(data, size);
	}
	return 0;
}
#endif
