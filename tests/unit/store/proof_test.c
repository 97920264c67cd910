/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/helper.h"

#include "store/ops.h"
#include "store/tree.h"

#define PROOF_BYTES_MAX ((size_t)8 << 20)

static void
key_of(const char *dir, unsigned char key[ED25519_KEY_BYTES])
{
	struct arena *a = arena_new(4096);
	const struct store_statement *st;
	size_t count;
	struct err e;
	assert_int_equal(store_statements(dir, a, &st, &count, &e), RC_OK);
	memcpy(key, st[0].new_key, ED25519_KEY_BYTES);
	arena_free(a);
}

/* Bodies of one kind, so that a dictionary pays. */
static void
body_of(unsigned i, char out[600])
{
	snprintf(out, 600,
		"{\"action\":\"opened\",\"number\":%u,\"repository\":{\"full_name\":\"acme/r%u\",\"private\":false,"
		"\"html_url\":\"https://example.com/acme/r%u\",\"owner\":{\"login\":\"acme\",\"id\":%u}},"
		"\"sender\":{\"login\":\"user-%u\",\"type\":\"User\",\"site_admin\":false},\"at\":%u}",
		i, i % 7, i % 7, i * 31, i * i % 101, i * 977);
}

static void
fill(const char *dir, unsigned count, uint64_t segment_bytes_max)
{
	struct store *s = helper_open_with(
		(struct store_options){ .dir = dir, .segment_bytes_max = segment_bytes_max });
	for (unsigned i = 1; i <= count; i++) {
		char body[600], delivery[32];
		body_of(i, body);
		snprintf(delivery, sizeof delivery, "d%u", i);
		assert_true(helper_append(s, delivery, body) == i);
	}
	store_close(s);
}

static struct store_reader *
open_reader(const char *dir)
{
	struct store_reader *r;
	struct err e;
	if (store_reader_open(&r, dir, &e) != RC_OK)
		fail_msg("%s", e.text);
	return r;
}

static void
prove(struct store_reader *r, uint64_t seq, struct buf *out)
{
	struct err e;
	buf_clear(out);
	if (store_prove(r, seq, out, &e) != RC_OK)
		fail_msg("event %" PRIu64 ": %s", seq, e.text);
	assert_false(out->overflow);
}

static void
every_event_can_be_proven(void **state)
{
	(void)state;
	static const uint64_t segment_bytes[] = { 0, 40000 };
	for (size_t round = 0; round < COUNT_OF(segment_bytes); round++) {
		char *dir = helper_dir();
		struct arena *a = arena_new(1 << 16);
		struct buf out = buf_new(PROOF_BYTES_MAX);
		unsigned char key[ED25519_KEY_BYTES];
		fill(dir, 130, segment_bytes[round]);
		key_of(dir, key);
		struct store_reader *r = open_reader(dir);
		for (unsigned i = 1; i <= 130; i++) {
			struct store_proven p;
			struct err e = { .text = "" };
			char body[600];
			arena_reset(a);
			prove(r, i, &out);
			if (store_check_proof(buf_bytes(&out), key, a, &p, &e) != RC_OK)
				fail_msg("event %u: %s", i, e.text);
			body_of(i, body);
			assert_true(p.record.event.seq == i && bytes_is(p.record.event.body, body));
			assert_true(p.by.seq >= i && p.by.first_seq <= i);
			assert_int_equal(p.by.kind == STORE_SEAL, round == 1 && p.by.seq < 130);
		}
		store_reader_close(r);
		buf_free(&out);
		arena_free(a);
		helper_remove(dir);
	}
}

/* Whether the proof with one digit changed is refused. */
static bool
refused(struct buf *proof, size_t at, const unsigned char *key, struct arena *a)
{
	struct store_proven p;
	struct err e;
	unsigned char before = proof->data[at];
	proof->data[at] = before == '0' ? '1' : before == '\n' ? ' ' : before == ' ' ? '\n' : '0';
	arena_reset(a);
	enum rc rc = store_check_proof(buf_bytes(proof), key, a, &p, &e);
	proof->data[at] = before;
	return rc == RC_DENIED || rc == RC_INVALID;
}

static void
nothing_in_a_proof_can_be_changed(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(1 << 16);
	struct buf out = buf_new(PROOF_BYTES_MAX);
	unsigned char key[ED25519_KEY_BYTES];
	struct store_proven p;
	struct err e;
	fill(dir, 21, 0);
	key_of(dir, key);
	struct store_reader *r = open_reader(dir);
	prove(r, 10, &out);
	for (size_t i = 0; i < out.len; i++) {
		if (!refused(&out, i, key, a))
			fail_msg("byte %zu was changed and nobody noticed: %.60s", i, out.data + i);
	}
	for (size_t len = 0; len < out.len; len++) {
		arena_reset(a);
		assert_int_equal(store_check_proof((struct bytes){ out.data, len }, key, a, &p, &e),
			RC_INVALID);
	}
	key[3] ^= 1;
	assert_int_equal(store_check_proof(buf_bytes(&out), key, a, &p, &e), RC_DENIED);
	store_reader_close(r);
	buf_free(&out);
	arena_free(a);
	helper_remove(dir);
}

/* Replaces what stands behind "\nword " in a by what stands there in b. */
static void
swap_line(const struct buf *a, const struct buf *b, const char *word, struct buf *out)
{
	char mark[32];
	snprintf(mark, sizeof mark, "\n%s ", word);
	const char *at = strstr((const char *)a->data, mark), *from = strstr((const char *)b->data, mark);
	assert_true(at != NULL && from != NULL);
	const char *at_end = strchr(at + 1, '\n'), *from_end = strchr(from + 1, '\n');
	buf_clear(out);
	buf_put(out, a->data, (size_t)((const unsigned char *)at - a->data));
	buf_put(out, from, (size_t)(from_end - from));
	buf_put(out, at_end, a->len - (size_t)((const unsigned char *)at_end - a->data));
}

/* Parts of one right proof put into another right one. */
static void
proofs_cannot_be_mixed(void **state)
{
	(void)state;
	static const char *const words[] = { "log", "seq", "previous", "header", "payload", "path", "statement" };
	char *dir = helper_dir(), *other = helper_dir();
	struct arena *a = arena_new(1 << 16);
	struct buf one = buf_new(PROOF_BYTES_MAX), two = buf_new(PROOF_BYTES_MAX),
		   three = buf_new(PROOF_BYTES_MAX), mixed = buf_new(PROOF_BYTES_MAX);
	unsigned char key[ED25519_KEY_BYTES];
	struct store_proven p;
	struct err e;
	fill(dir, 21, 0);
	fill(other, 21, 0);
	key_of(dir, key);
	struct store_reader *r = open_reader(dir), *other_r = open_reader(other);
	prove(r, 10, &one);
	prove(r, 15, &two);
	prove(other_r, 10, &three);
	buf_cstr(&one);
	buf_cstr(&two);
	buf_cstr(&three);
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		bool same = strcmp(words[i], "log") == 0 || strcmp(words[i], "statement") == 0;
		swap_line(&one, &two, words[i], &mixed);
		arena_reset(a);
		assert_int_equal(store_check_proof(buf_bytes(&mixed), key, a, &p, &e),
			same ? RC_OK : RC_DENIED);
		if (strcmp(words[i], "seq") == 0)
			continue; /* the same in both logs */
		swap_line(&one, &three, words[i], &mixed);
		arena_reset(a);
		if (!bytes_equal(buf_bytes(&mixed), buf_bytes(&one)))
			assert_int_equal(store_check_proof(buf_bytes(&mixed), key, a, &p, &e), RC_DENIED);
	}
	assert_int_equal(store_check_proof(buf_bytes(&three), key, a, &p, &e), RC_DENIED);
	store_reader_close(r);
	store_reader_close(other_r);
	buf_free(&one);
	buf_free(&two);
	buf_free(&three);
	buf_free(&mixed);
	arena_free(a);
	helper_remove(dir);
	helper_remove(other);
}

static void
a_dictionary_belongs_to_the_proof(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(1 << 16);
	struct buf out = buf_new(PROOF_BYTES_MAX);
	unsigned char key[ED25519_KEY_BYTES];
	struct store_proven p;
	struct err e;
	uint64_t last = 0;
	/* The first dictionary comes some time after the 512th event. */
	struct store *s = helper_open(dir);
	for (unsigned i = 1; i < 200000; i++) {
		char body[600];
		body_of(i, body);
		last = helper_append(s, "", body);
		if (i < 700 || i % 500 != 0)
			continue;
		const struct store_record *records;
		struct store_reader *r;
		size_t count;
		assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
		assert_int_equal(store_read(r, last, 1, 1, a, &records, &count, &e), RC_OK);
		bool small = records[0].stored_bytes < 300;
		store_reader_close(r);
		arena_reset(a);
		if (small)
			break;
	}
	store_close(s);
	key_of(dir, key);
	struct store_reader *r = open_reader(dir);
	prove(r, last, &out);
	assert_non_null(strstr(buf_cstr(&out), "\ndictionary "));
	assert_int_equal(store_check_proof(buf_bytes(&out), key, a, &p, &e), RC_OK);
	size_t at = (size_t)(strstr((char *)out.data, "\ndictionary ") - (char *)out.data) + 12;
	size_t end = (size_t)((const unsigned char *)strchr((char *)out.data + at, '\n') - out.data);
	for (size_t i = at; i < end; i += 997)
		assert_true(refused(&out, i, key, a));
	/* An event from before the dictionary is proven by the same statement. */
	prove(r, 1, &out);
	arena_reset(a);
	assert_int_equal(store_check_proof(buf_bytes(&out), key, a, &p, &e), RC_OK);
	store_reader_close(r);
	buf_free(&out);
	arena_free(a);
	helper_remove(dir);
}

static void
what_was_not_signed_is_not_proven(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct buf out = buf_new(PROOF_BYTES_MAX);
	struct store_reader *r;
	struct err e;
	fill(dir, 3, 0);
	struct store *s = helper_open(dir);
	assert_true(helper_append(s, "new", "x") == 4);
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	prove(r, 3, &out);
	assert_int_equal(store_prove(r, 4, &out, &e), RC_NOTFOUND);
	assert_string_equal(e.id, "log.unsigned");
	assert_int_equal(store_prove(r, 5, &out, &e), RC_NOTFOUND);
	store_reader_close(r);
	store_close(s);
	r = open_reader(dir);
	prove(r, 4, &out);
	store_reader_close(r);
	buf_free(&out);
	helper_remove(dir);
}

static void
redact(const char *dir, uint64_t seq)
{
	const struct store_options options = { .dir = dir };
	struct store_redact_report report;
	struct err e = { .text = "" };
	if (store_redact(&options, seq, "a request", &report, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static void
check(struct buf *proof, const unsigned char *key, struct arena *a, struct store_proven *p)
{
	struct err e = { .text = "" };
	arena_reset(a);
	if (store_check_proof(buf_bytes(proof), key, a, p, &e) != RC_OK)
		fail_msg("%s", e.text);
}

/* Of a redacted event it is shown that it was there; what was proven before stays proven. */
static void
a_redacted_event_was_in_the_log(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(1 << 16);
	struct buf before = buf_new(PROOF_BYTES_MAX), beside = buf_new(PROOF_BYTES_MAX),
		   out = buf_new(PROOF_BYTES_MAX), other = buf_new(PROOF_BYTES_MAX);
	unsigned char key[ED25519_KEY_BYTES], hash[SHA256_BYTES];
	struct store_proven p;
	struct err e;
	char body[600];
	fill(dir, 21, 0);
	key_of(dir, key);
	struct store_reader *r = open_reader(dir);
	prove(r, 10, &before);
	prove(r, 11, &beside);
	store_reader_close(r);
	redact(dir, 10);
	redact(dir, 1);
	body_of(10, body);
	crypto_sha256(bytes_str(body), hash);
	check(&before, key, a, &p);
	assert_true(bytes_is(p.record.event.body, body) && p.audit.event.seq == 0);
	check(&beside, key, a, &p);
	r = open_reader(dir);
	prove(r, 11, &out);
	check(&out, key, a, &p);
	prove(r, 10, &out);
	check(&out, key, a, &p);
	assert_true(p.record.event.seq == 10 && p.audit.event.seq == 22 && p.record.event.body.len == 0);
	assert_true((p.record.event.flags & EVENT_FLAG_REDACTED) != 0);
	assert_memory_equal(p.record.event.erased_sha256, hash, sizeof hash);
	assert_non_null(strstr(buf_cstr(&out), "\nredacted "));
	for (size_t i = 0; i < out.len; i++) {
		if (!refused(&out, i, key, a))
			fail_msg("byte %zu was changed and nobody noticed: %.60s", i, out.data + i);
	}
	for (size_t len = 0; len < out.len; len++) {
		arena_reset(a);
		assert_int_equal(store_check_proof((struct bytes){ out.data, len }, key, a, &p, &e),
			RC_INVALID);
	}
	/* The right proof of the audit event of another redaction. */
	prove(r, 1, &other);
	check(&other, key, a, &p);
	assert_true(p.audit.event.seq == 23);
	const char *second = strstr((char *)out.data + 1, "hooklog proof"),
		   *of_other = strstr(buf_cstr(&other) + 1, "hooklog proof");
	buf_clear(&before);
	buf_put(&before, out.data, (size_t)((const unsigned char *)second - out.data));
	buf_put_str(&before, of_other);
	arena_reset(a);
	assert_int_equal(store_check_proof(buf_bytes(&before), key, a, &p, &e), RC_DENIED);
	assert_non_null(strstr(e.text, "audit event"));
	store_reader_close(r);
	buf_free(&before);
	buf_free(&beside);
	buf_free(&out);
	buf_free(&other);
	arena_free(a);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_can_be_proven),
		cmocka_unit_test(nothing_in_a_proof_can_be_changed),
		cmocka_unit_test(proofs_cannot_be_mixed),
		cmocka_unit_test(a_dictionary_belongs_to_the_proof),
		cmocka_unit_test(what_was_not_signed_is_not_proven),
		cmocka_unit_test(a_redacted_event_was_in_the_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
