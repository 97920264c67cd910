/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crypto.h"

static void
assert_hex(const unsigned char *got, const char *want)
{
	unsigned char bytes[SHA256_BYTES];
	assert_true(crypto_unhex(bytes_str(want), bytes, sizeof bytes));
	assert_memory_equal(got, bytes, sizeof bytes);
}

/* FIPS 180-2, appendix B, and the empty message. */
static void
sha256_vectors(void **state UNUSED)
{
	unsigned char out[SHA256_BYTES];
	crypto_sha256((struct bytes){ NULL, 0 }, out);
	assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	crypto_sha256(bytes_str("abc"), out);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_sha256(bytes_str("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), out);
	assert_hex(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void
parts_hash_as_their_concatenation(void **state UNUSED)
{
	const struct bytes parts[] = { bytes_str("a"), { NULL, 0 }, bytes_str("bc") };
	unsigned char out[SHA256_BYTES];
	crypto_sha256_parts(parts, COUNT_OF(parts), out);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, test cases 1, 2, 6 (a key longer than a block) and GitHub's documented example. */
static void
hmac_vectors(void **state UNUSED)
{
	unsigned char out[SHA256_BYTES], key[131];
	memset(key, 0x0b, 20);
	crypto_hmac_sha256((struct bytes){ key, 20 }, bytes_str("Hi There"), out);
	assert_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	crypto_hmac_sha256(bytes_str("Jefe"), bytes_str("what do ya want for nothing?"), out);
	assert_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	crypto_hmac_sha256((struct bytes){ key, sizeof key },
		bytes_str("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	crypto_hmac_sha256(bytes_str("It's a Secret to Everybody"), bytes_str("Hello, World!"), out);
	assert_hex(out, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
	crypto_hmac_sha256((struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 }, out);
	assert_hex(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
equal_looks_at_every_byte(void **state UNUSED)
{
	unsigned char a[40], b[40];
	memset(a, 7, sizeof a);
	memset(b, 7, sizeof b);
	assert_true(crypto_equal(a, b, sizeof a));
	for (size_t i = 0; i < sizeof a; i++) {
		b[i] ^= 0x80;
		assert_false(crypto_equal(a, b, sizeof a));
		b[i] ^= 0x80;
	}
}

static void
unhex_is_strict(void **state UNUSED)
{
	unsigned char out[2] = { 0 };
	assert_true(crypto_unhex(bytes_str("0aFf"), out, 2));
	assert_int_equal(out[0], 0x0a);
	assert_int_equal(out[1], 0xff);
	static const char *const bad[] = { "", "0a", "0aF", "0aFf0", "0aFg", "0x0a", " 0aF", "0aF\n" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(crypto_unhex(bytes_str(bad[i]), out, 2));
	assert_true(crypto_unhex((struct bytes){ NULL, 0 }, out, 0));
}

static void
base64_vectors(void **state UNUSED)
{
	/* RFC 4648 §10. */
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	struct buf b = buf_new(100000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_clear(&b);
		crypto_put_base64(&b, bytes_str(rows[i][0]));
		assert_string_equal(buf_cstr(&b), rows[i][1]);
	}
	/* Longer than one piece: padding only at the very end. */
	unsigned char zeros[3 * 256 * 2 + 1] = { 0 };
	buf_clear(&b);
	crypto_put_base64(&b, (struct bytes){ zeros, sizeof zeros });
	assert_int_equal(b.len, 4 * 513);
	assert_ptr_equal(memchr(b.data, '=', b.len), b.data + b.len - 2);
	buf_free(&b);
}

static void
unbase64_is_strict(void **state UNUSED)
{
	static const char *const right[][2] = { { "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" },
		{ "Zm9v", "foo" }, { "Zm9vYmFy", "foobar" }, { "+/+/", "\xfb\xff\xbf" } };
	/* Cut, padded elsewhere, white space, other alphabets, bits left over, too long. */
	static const char *const wrong[] = { "Z", "Zg", "Zg=", "Zg===", "=Zg=", "Z===", "====",
		"Zm9v\n", " Zm9v", "Zm 9", "-_-_", "Zh==", "Zm9=", "Zg==Zg==", "Zm9vYmFyZm9v" };
	unsigned char out[8];
	size_t len;
	for (size_t i = 0; i < COUNT_OF(right); i++) {
		assert_true(crypto_unbase64(bytes_str(right[i][0]), out, sizeof out, &len));
		assert_true(bytes_is((struct bytes){ out, len }, right[i][1]));
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		if (crypto_unbase64(bytes_str(wrong[i]), out, sizeof out, &len))
			fail_msg("took %s", wrong[i]);
	}
}

static void
hmac_of_parts_is_that_of_the_whole(void **state UNUSED)
{
	/* RFC 2202 and RFC 4231, each case 2. */
	static const char *const want[] = { "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d03"
		 "4f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737") };
	const struct bytes parts[] = { bytes_str("what do ya want "), { NULL, 0 },
		bytes_str("for nothing?") };
	unsigned char got[CRYPTO_MAC_BYTES_MAX], right[CRYPTO_MAC_BYTES_MAX];
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		enum crypto_hash hash = (enum crypto_hash)i;
		size_t len = crypto_hash_bytes(hash);
		assert_true(crypto_unhex(bytes_str(want[i]), right, len));
		crypto_hmac_parts(hash, bytes_str("Jefe"), parts, COUNT_OF(parts), got);
		assert_memory_equal(got, right, len);
	}
	crypto_hmac_sha256(bytes_str(""), bytes_str(""), right);
	crypto_hmac_parts(CRYPTO_SHA256, bytes_str(""), NULL, 0, got);
	assert_memory_equal(got, right, SHA256_BYTES);
}

static void
wiped_memory_is_zero_and_random_is_not(void **state UNUSED)
{
	unsigned char a[32] = { 0 }, zero[32] = { 0 };
	crypto_random(a, sizeof a);
	assert_memory_not_equal(a, zero, sizeof a);
	crypto_wipe(a, sizeof a);
	assert_memory_equal(a, zero, sizeof a);
}

/* RFC 8032, section 7.1, tests 2 and 3. */
static void
ed25519_vectors(void **state UNUSED)
{
	static const struct {
		const char *key, *public_key, *message, *signature;
	} vectors[] = {
		{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
			"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
		{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
			"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
	};
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		unsigned char key[32], want_public[32], public_key[32], message[2], want[64], got[64];
		size_t len = strlen(vectors[i].message) / 2;
		assert_true(crypto_unhex(bytes_str(vectors[i].key), key, sizeof key));
		assert_true(crypto_unhex(bytes_str(vectors[i].public_key), want_public, 32));
		assert_true(crypto_unhex(bytes_str(vectors[i].message), message, len));
		assert_true(crypto_unhex(bytes_str(vectors[i].signature), want, sizeof want));
		struct bytes m = { message, len };
		crypto_ed25519_public(key, public_key);
		assert_memory_equal(public_key, want_public, 32);
		crypto_ed25519_sign(key, m, got);
		assert_memory_equal(got, want, sizeof want);
		assert_true(crypto_ed25519_verify(public_key, m, got));
		for (size_t bit = 0; bit < 8 * sizeof got; bit++) {
			got[bit / 8] ^= (unsigned char)(1u << bit % 8);
			assert_false(crypto_ed25519_verify(public_key, m, got));
			got[bit / 8] ^= (unsigned char)(1u << bit % 8);
		}
		message[0] ^= 1;
		assert_false(crypto_ed25519_verify(public_key, m, got));
		message[0] ^= 1;
		public_key[5] ^= 4;
		assert_false(crypto_ed25519_verify(public_key, m, got));
	}
}

static void
a_file_hashes_as_its_bytes(void **state UNUSED)
{
	FILE *f = tmpfile();
	assert_non_null(f);
	const size_t size = 700001; /* more than two pieces */
	unsigned char *data = base_alloc(size), want[SHA256_BYTES], got[SHA256_BYTES];
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 7 + i / 251);
	assert_true(fwrite(data, 1, size, f) == size && fflush(f) == 0);
	uint64_t bytes;
	struct err e;
	assert_int_equal(crypto_sha256_fd(fileno(f), got, &bytes, &e), RC_OK);
	crypto_sha256((struct bytes){ data, size }, want);
	assert_memory_equal(got, want, sizeof want);
	assert_true(bytes == size);
	assert_int_equal(crypto_sha256_fd(-1, got, &bytes, &e), RC_IO);
	fclose(f);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(parts_hash_as_their_concatenation),
		cmocka_unit_test(hmac_vectors),
		cmocka_unit_test(ed25519_vectors),
		cmocka_unit_test(a_file_hashes_as_its_bytes),
		cmocka_unit_test(equal_looks_at_every_byte),
		cmocka_unit_test(unhex_is_strict),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(unbase64_is_strict),
		cmocka_unit_test(hmac_of_parts_is_that_of_the_whole),
		cmocka_unit_test(wiped_memory_is_zero_and_random_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
