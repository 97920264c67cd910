/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/helper.h"

#include "base/limits.h"
#include "store/pack.h"

static const unsigned char log_id[STORE_LOG_ID_BYTES] = { 1, 2, 3 };

/* A sealed record of 200 payload bytes with number 7. */
static size_t
make(unsigned char out[512], struct record_header *h)
{
	unsigned char previous[STORE_CHAIN_BYTES];
	record_first_chain(log_id, previous);
	for (size_t i = 0; i < 200; i++)
		out[RECORD_HEADER_BYTES + i] = (unsigned char)(i * 31);
	*h = (struct record_header){ .codec = RECORD_RAW, .flags = 0x8001, .dict_id = 0xdeadbeef, .seq = 7,
		.received_at_us = -5, .same_key_seq = UINT64_C(0x0102030405060708), .plain_bytes = 200,
		.envelope_bytes = 150 };
	record_seal(out, RECORD_HEADER_BYTES + 200, h, previous);
	return RECORD_HEADER_BYTES + 200;
}

static void
header_round_trip(void **state)
{
	(void)state;
	unsigned char bytes[512], previous[STORE_CHAIN_BYTES];
	struct record_header h, back;
	struct err e;
	size_t len = make(bytes, &h);
	assert_int_equal(record_open((struct bytes){ bytes, len }, 7, &back, &e), RC_OK);
	assert_int_equal(back.codec, h.codec);
	assert_int_equal(back.flags, h.flags);
	assert_int_equal(back.dict_id, h.dict_id);
	assert_int_equal(back.seq, 7);
	assert_true(back.received_at_us == -5);
	assert_true(back.same_key_seq == h.same_key_seq);
	assert_int_equal(back.plain_bytes, 200);
	assert_int_equal(back.envelope_bytes, 150);
	assert_memory_equal(back.chain, h.chain, STORE_CHAIN_BYTES);
	record_first_chain(log_id, previous);
	assert_true(record_chain_fits((struct bytes){ bytes, len }, previous));
	previous[0] ^= 1;
	assert_false(record_chain_fits((struct bytes){ bytes, len }, previous));
}

static void
layout_is_the_documented_one(void **state)
{
	(void)state;
	unsigned char bytes[512];
	struct record_header h;
	make(bytes, &h);
	static const unsigned char want[] = { 1, 0, 0x01, 0x80, 0xef, 0xbe, 0xad, 0xde, 7, 0, 0, 0, 0, 0, 0,
		0, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 8, 7, 6, 5, 4, 3, 2, 1, 200, 0, 0, 0, 150,
		0, 0, 0 };
	assert_memory_equal(bytes + 8, want, sizeof want);
	assert_memory_equal(bytes + 48, h.chain, STORE_CHAIN_BYTES);
}

static void
every_bit_flip_is_found(void **state)
{
	(void)state;
	unsigned char bytes[512];
	struct record_header h;
	struct err e;
	size_t len = make(bytes, &h);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
		assert_int_equal(record_open((struct bytes){ bytes, len }, 7, &h, &e), RC_CORRUPT);
		bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(record_open((struct bytes){ bytes, cut }, 7, &h, &e), RC_CORRUPT);
	assert_int_equal(record_open((struct bytes){ bytes, len }, 8, &h, &e), RC_CORRUPT);
	assert_int_equal(record_open((struct bytes){ bytes, len }, 7, &h, &e), RC_OK);
}

static void
impossible_lengths_are_refused(void **state)
{
	(void)state;
	unsigned char bytes[512], previous[STORE_CHAIN_BYTES] = { 0 };
	struct record_header h, back;
	struct err e;
	size_t len = make(bytes, &h);
	h.envelope_bytes = h.plain_bytes + 1;
	record_seal(bytes, len, &h, previous);
	assert_int_equal(record_open((struct bytes){ bytes, len }, 7, &back, &e), RC_CORRUPT);
	h.envelope_bytes = 1;
	h.plain_bytes = (uint32_t)LIMIT_RECORD_BYTES + 1;
	record_seal(bytes, len, &h, previous);
	assert_int_equal(record_open((struct bytes){ bytes, len }, 7, &back, &e), RC_CORRUPT);
}

/* Packs, checks the codec, unpacks and compares. */
static void
there_and_back(struct packer *p, const struct dict *d, struct bytes envelope, struct bytes body,
	enum record_codec want)
{
	struct packed packed;
	struct err e;
	struct arena *a = arena_new(1024);
	struct unpacker *u = unpacker_new();
	pack(p, envelope, body, &packed);
	assert_int_equal(packed.codec, want);
	assert_true(packed_bytes(&packed) <= envelope.len + body.len);
	unsigned char *payload = arena_alloc(a, packed_bytes(&packed) + 1);
	memcpy(payload, packed.parts[0].data, packed.parts[0].len);
	if (packed.parts[1].len > 0)
		memcpy(payload + packed.parts[0].len, packed.parts[1].data, packed.parts[1].len);
	struct record_header h = { .codec = packed.codec, .seq = 1, .plain_bytes = packed.plain_bytes,
		.envelope_bytes = packed.envelope_bytes,
		.dict_id = packed.dict == NULL ? 0 : dict_id(packed.dict) };
	assert_int_equal(h.dict_id, d == NULL ? 0 : dict_id(d));
	struct bytes stored = { payload, packed_bytes(&packed) }, envelope_back, body_back;
	assert_int_equal(unpack(u, &h, stored, d, a, &envelope_back, &body_back, &e), RC_OK);
	assert_true(bytes_equal(envelope, envelope_back));
	assert_true(bytes_equal(body, body_back));
	/* A header that promises another length than the frame holds. */
	h.plain_bytes--;
	assert_int_equal(unpack(u, &h, stored, d, a, &envelope_back, &body_back, &e), RC_CORRUPT);
	h.plain_bytes += 2;
	assert_int_equal(unpack(u, &h, stored, d, a, &envelope_back, &body_back, &e), RC_CORRUPT);
	h.codec = 9;
	assert_int_equal(unpack(u, &h, stored, d, a, &envelope_back, &body_back, &e), RC_INVALID);
	packed_free(&packed);
	unpacker_free(u);
	arena_free(a);
}

static void
packing_round_trip(void **state)
{
	(void)state;
	struct packer *p = packer_new();
	unsigned char *noise = helper_noise(100000, 1);
	static char text[20000];
	memset(text, 'x', sizeof text);
	there_and_back(p, NULL, bytes_str("e"), (struct bytes){ NULL, 0 }, RECORD_RAW);
	there_and_back(p, NULL, bytes_str("envelope"), (struct bytes){ noise, 100000 }, RECORD_RAW);
	there_and_back(p, NULL, bytes_str("envelope"), (struct bytes){ (unsigned char *)text, sizeof text },
		RECORD_ZSTD);
	free(noise);
	packer_free(p);
}

#define SAMPLE_COUNT 300

static void
dictionary_round_trip(void **state)
{
	(void)state;
	struct buf samples = buf_new((size_t)1 << 22), body = buf_new(10000);
	size_t sizes[SAMPLE_COUNT];
	for (unsigned i = 0; i < SAMPLE_COUNT; i++) {
		size_t before = samples.len;
		for (unsigned j = 0; j < 20; j++)
			buf_printf(&samples, "{\"repository\":{\"id\":%u,\"full_name\":\"acme/r%u\"},\"n\":%u}",
				i * 7919, i * 31 + j, j * i);
		sizes[i] = samples.len - before;
	}
	struct dict *d = dict_train(buf_bytes(&samples), sizes, SAMPLE_COUNT);
	assert_non_null(d);
	assert_null(dict_train(buf_bytes(&samples), sizes, 2));
	buf_printf(&body, "{\"repository\":{\"id\":42,\"full_name\":\"acme/unseen\"},\"n\":1}");
	struct packer *p = packer_new();
	struct packed without, with;
	pack(p, bytes_str("envelope"), buf_bytes(&body), &without);
	packer_set_dict(p, d);
	pack(p, bytes_str("envelope"), buf_bytes(&body), &with);
	assert_int_equal(with.codec, RECORD_ZSTD);
	assert_true(packed_bytes(&with) < packed_bytes(&without));
	packed_free(&without);
	packed_free(&with);
	there_and_back(p, d, bytes_str("envelope"), buf_bytes(&body), RECORD_ZSTD);
	packer_set_dict(p, NULL);
	packer_free(p);
	dict_unref(d);
	buf_free(&samples);
	buf_free(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_round_trip),
		cmocka_unit_test(layout_is_the_documented_one),
		cmocka_unit_test(every_bit_flip_is_found),
		cmocka_unit_test(impossible_lengths_are_refused),
		cmocka_unit_test(packing_round_trip),
		cmocka_unit_test(dictionary_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
