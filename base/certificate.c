/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>
#include <unistd.h>

#include "base/certificate.h"
#include "base/fs.h"
#include "base/secret.h"

#define CHAIN_BYTES_MAX ((size_t)256 * 1024)
#define KEY_BYTES_MAX ((size_t)32 * 1024)
#define RSA_BITS_MIN 2048

/* Instead of a question at the terminal. */
static int
no_passphrase(char *out UNUSED, int size UNUSED, int writing UNUSED, void *context UNUSED)
{
	return -1;
}

static int64_t
unix_time(const ASN1_TIME *at, int64_t fallback)
{
	struct tm tm = { 0 };
	return ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : fallback;
}

static void
take_text(struct certificate *c, const ASN1_STRING *text)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, text);
	if (len > 0)
		snprintf(c->name, sizeof c->name, "%.*s", len, (const char *)utf8);
	OPENSSL_free(utf8);
}

static void
take_name(struct certificate *c, const X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && c->name[0] == '\0'; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS)
			take_text(c, name->d.dNSName);
	}
	GENERAL_NAMES_free(names);
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID((X509_NAME *)(uintptr_t)subject, NID_commonName, -1);
	if (c->name[0] == '\0' && at >= 0)
		take_text(c, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static void
take_pin(struct certificate *c, X509 *x)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	ASSERT(len > 0);
	crypto_sha256((struct bytes){ der, (size_t)len }, c->pin);
	OPENSSL_free(der);
}

/* *leaf is the first certificate, the caller's. */
static enum rc
read_chain(struct certificate *c, const char *path, X509 **leaf, const char *id, struct err *e)
{
	BIO *text = BIO_new_mem_buf(c->chain, -1);
	X509 *x = NULL;
	c->not_before_s = INT64_MIN;
	c->not_after_s = INT64_MAX;
	ASSERT(text != NULL);
	while ((x = PEM_read_bio_X509(text, NULL, no_passphrase, NULL)) != NULL) {
		int64_t from = unix_time(X509_get0_notBefore(x), INT64_MIN);
		int64_t to = unix_time(X509_get0_notAfter(x), INT64_MAX);
		c->not_before_s = from > c->not_before_s ? from : c->not_before_s;
		c->not_after_s = to < c->not_after_s ? to : c->not_after_s;
		if (*leaf == NULL)
			*leaf = x;
		else
			X509_free(x);
	}
	/* The end of the file is an error of its own kind; any other is a certificate that cannot
	 * be read. */
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(text);
	if (*leaf == NULL)
		return err_set(e, RC_INVALID, id,
			"%s has no certificate in PEM, which begins with a line BEGIN CERTIFICATE",
			path);
	if (!at_end)
		return err_set(e, RC_INVALID, id, "%s has a certificate that cannot be read", path);
	take_name(c, *leaf);
	take_pin(c, *leaf);
	return RC_OK;
}

static enum rc
read_key(const struct certificate *c, const char *path, const char *chain_file, X509 *leaf,
	const char *id, struct err *e)
{
	if (strstr(c->key, "ENCRYPTED") != NULL)
		return err_set(e, RC_INVALID, id,
			"the key in %s is encrypted, and nobody can be asked for its passphrase; "
			"write it "
			"without one: openssl pkey -in %s -out <new file>",
			path, path);
	BIO *text = BIO_new_mem_buf(c->key, -1);
	ASSERT(text != NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL);
	enum rc rc = RC_OK;
	if (key == NULL)
		rc = err_set(e, RC_INVALID, id, "%s has no private key in PEM", path);
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
		rc = err_set(e, RC_INVALID, id,
			"the RSA key in %s has %d bits; at least %d are needed", path,
			EVP_PKEY_get_bits(key), RSA_BITS_MIN);
	else if (X509_check_private_key(leaf, key) != 1)
		rc = err_set(e, RC_INVALID, id,
			"the key in %s is not that of the first certificate in %s; the server's "
			"own "
			"certificate comes first, those that issued it behind",
			path, chain_file);
	ERR_clear_error();
	EVP_PKEY_free(key);
	BIO_free(text);
	return rc;
}

static enum rc
slurp(int fd, const char *path, size_t max, char **out, const char *id, struct err *e)
{
	size_t have = 0;
	char *text = base_zalloc(max + 1);
	*out = text;
	while (have < max) {
		ssize_t n = read(fd, text + have, max - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, RC_IO, id, errno, "read %s", path);
		if (n == 0)
			return RC_OK;
		have += (size_t)n;
	}
	return err_set(e, RC_INVALID, id, "%s is larger than %zu bytes", path, max - 1);
}

static enum rc
read_files(struct certificate *c, const char *chain_file, const char *key_file, const char *id,
	struct err *e)
{
	struct arena *a = arena_new(16 * 1024);
	struct bytes chain;
	int fd = -1;
	enum rc rc = fs_read(chain_file, CHAIN_BYTES_MAX, a, &chain, e);
	if (rc != RC_OK) {
		if (e != NULL)
			e->id = id;
		goto done;
	}
	c->chain = base_zalloc(chain.len + 1);
	memcpy(c->chain, chain.data, chain.len);
	if (key_file == NULL)
		goto done;
	rc = secret_open(&fd, key_file, SECRET_GROUP_TOO, id, e);
	if (rc == RC_OK)
		rc = slurp(fd, key_file, KEY_BYTES_MAX, &c->key, id, e);
done:
	if (fd >= 0)
		close(fd);
	arena_free(a);
	return rc;
}

enum rc
certificate_load(struct certificate *c, const char *chain_file, const char *key_file,
	const char *id, struct err *e)
{
	X509 *leaf = NULL;
	*c = (struct certificate){ .chain = NULL };
	enum rc rc = read_files(c, chain_file, key_file, id, e);
	if (rc == RC_OK)
		rc = read_chain(c, chain_file, &leaf, id, e);
	if (rc == RC_OK && key_file != NULL)
		rc = read_key(c, key_file, chain_file, leaf, id, e);
	X509_free(leaf);
	if (rc != RC_OK)
		certificate_free(c);
	return rc;
}

void
certificate_free(struct certificate *c)
{
	if (c->key != NULL)
		crypto_wipe(c->key, strlen(c->key));
	free(c->chain);
	free(c->key);
	*c = (struct certificate){ .chain = NULL };
}
