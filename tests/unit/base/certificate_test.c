/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/certificate.h"

#define ID "test.id"

static char dir[64], chain_file[96], key_file[96];

static int
make_dir(void **state UNUSED)
{
	snprintf(dir, sizeof dir, "/tmp/certificate-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(chain_file, sizeof chain_file, "%s/chain.pem", dir);
	snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
	return 0;
}

static int
drop_dir(void **state UNUSED)
{
	unlink(chain_file);
	unlink(key_file);
	return rmdir(dir);
}

static EVP_PKEY *
new_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	assert_non_null(key);
	return key;
}

/* Appends a certificate of key for name, valid from one moment to another, as seconds from now. */
static void
put_certificate(FILE *f, EVP_PKEY *key, const char *name, const char *alternative, long from, long to)
{
	X509 *x = X509_new();
	X509_set_version(x, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_set_pubkey(x, key);
	X509_NAME *subject = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, subject);
	if (alternative != NULL) {
		X509_EXTENSION *extension =
			X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
		X509_add_ext(x, extension, -1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, x), 1);
	X509_free(x);
}

static void
write_key(EVP_PKEY *key, const char *passphrase, unsigned mode)
{
	unlink(key_file);
	FILE *f = fopen(key_file, "we");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, passphrase == NULL ? NULL : EVP_aes_128_cbc(),
				 (const unsigned char *)passphrase,
				 passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL),
		1);
	fclose(f);
	assert_int_equal(chmod(key_file, mode), 0);
}

static void
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A pair that is right. */
static EVP_PKEY *
write_pair(void)
{
	EVP_PKEY *key = new_key();
	FILE *f = fopen(chain_file, "we");
	assert_non_null(f);
	put_certificate(f, key, "common.example", "DNS:hooks.example.com,DNS:b.example", -60, 3600);
	fclose(f);
	write_key(key, NULL, 0600);
	return key;
}

static void
expect(enum rc rc, const char *text)
{
	struct certificate c;
	struct err e = { 0 };
	assert_int_equal(certificate_load(&c, chain_file, key_file, ID, &e), rc);
	if (strstr(e.text, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, e.text);
	assert_string_equal(e.id, ID);
	assert_null(c.chain);
	assert_null(c.key);
}

static void
test_a_pair_is_read_whole(void **state UNUSED)
{
	struct certificate c, without;
	struct err e = { 0 };
	EVP_PKEY_free(write_pair());
	assert_int_equal(certificate_load(&c, chain_file, key_file, ID, &e), RC_OK);
	assert_string_equal(c.name, "hooks.example.com");
	assert_non_null(strstr(c.chain, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(c.key, "PRIVATE KEY"));
	assert_true(c.not_after_s - c.not_before_s == 3660);
	assert_int_equal(certificate_load(&without, chain_file, NULL, ID, &e), RC_OK);
	assert_null(without.key);
	assert_memory_equal(without.pin, c.pin, sizeof c.pin);
	certificate_free(&without);
	certificate_free(&c);
}

static void
test_a_chain_is_valid_as_long_as_all_of_it(void **state UNUSED)
{
	struct certificate c;
	struct err e = { 0 };
	EVP_PKEY *key = new_key(), *issuer = new_key();
	FILE *f = fopen(chain_file, "we");
	put_certificate(f, key, "own.example", NULL, -1000, 9000);
	put_certificate(f, issuer, "issuer", NULL, -500, 5000);
	fclose(f);
	write_key(key, NULL, 0640);
	assert_int_equal(certificate_load(&c, chain_file, key_file, ID, &e), RC_OK);
	assert_string_equal(c.name, "own.example");
	assert_true(c.not_after_s - c.not_before_s == 5500);
	certificate_free(&c);
	/* The issuer's first: the key is not its. */
	f = fopen(chain_file, "we");
	put_certificate(f, issuer, "issuer", NULL, -500, 5000);
	put_certificate(f, key, "own.example", NULL, -1000, 9000);
	fclose(f);
	expect(RC_INVALID, "is not that of the first certificate");
	EVP_PKEY_free(key);
	EVP_PKEY_free(issuer);
}

static void
test_what_is_wrong_is_said(void **state UNUSED)
{
	EVP_PKEY *key = write_pair();
	write_key(key, NULL, 0604);
	expect(RC_INVALID, "can be read by others (mode 604); run: chmod o-rwx");
	write_key(key, "open sesame", 0600);
	expect(RC_INVALID, "is encrypted");
	EVP_PKEY *other = new_key();
	write_key(other, NULL, 0600);
	expect(RC_INVALID, "is not that of the first certificate");
	write_text(key_file, "nothing of the kind\n");
	expect(RC_INVALID, "has no private key in PEM");
	unlink(key_file);
	expect(RC_NOTFOUND, key_file);
	write_key(key, NULL, 0600);
	write_text(chain_file, "nothing of the kind\n");
	expect(RC_INVALID, "has no certificate in PEM");
	write_text(chain_file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	expect(RC_INVALID, chain_file);
	FILE *f = fopen(chain_file, "we");
	put_certificate(f, key, "own.example", NULL, -10, 10);
	fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", f);
	fclose(f);
	expect(RC_INVALID, "has a certificate that cannot be read");
	unlink(chain_file);
	expect(RC_NOTFOUND, chain_file);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void
test_a_short_rsa_key_is_refused(void **state UNUSED)
{
	EVP_PKEY *key = EVP_RSA_gen(1024);
	assert_non_null(key);
	FILE *f = fopen(chain_file, "we");
	put_certificate(f, key, "own.example", NULL, -10, 10);
	fclose(f);
	write_key(key, NULL, 0600);
	expect(RC_INVALID, "has 1024 bits; at least 2048");
	EVP_PKEY_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_pair_is_read_whole, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(
			test_a_chain_is_valid_as_long_as_all_of_it, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(test_what_is_wrong_is_said, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(test_a_short_rsa_key_is_refused, make_dir, drop_dir),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
