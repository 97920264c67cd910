/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CERTIFICATE_H
#define BASE_CERTIFICATE_H

#include "base/crypto.h"

/* What a server shows and proves in TLS: a chain of X.509 certificates and the private key of the first,
 * read from files in PEM (RFC 7468) and checked, so that what is wrong with them is said in words. */

#define CERTIFICATE_NAME_BYTES 256

struct certificate {
	char *chain, *key;                 /* PEM, ended by NUL; key: NULL when it was not read */
	char name[CERTIFICATE_NAME_BYTES]; /* the first DNS name, else the common name, else "" */
	int64_t not_before_s, not_after_s; /* Unix time; of the whole chain: latest and earliest */
	unsigned char pin[SHA256_BYTES];   /* of SubjectPublicKeyInfo, as in RFC 7469 §2.4 */
};

/* Reads both files, or only the chain when key_file is NULL. The key's file is opened as secret_open
 * with SECRET_GROUP_TOO does. Owned by the caller until certificate_free. RC_NOTFOUND, RC_IO.
 * RC_INVALID: others can read the key; no PEM; the key is encrypted, shorter than RSA with 2,048 bits, or
 * not of the first certificate. Errors have the id given, a literal. Whether it is valid now is
 * for the caller to ask. Any thread. */
enum rc certificate_load(struct certificate *c, const char *chain_file, const char *key_file,
	const char *id, struct err *e) MUST_CHECK;

/* Wipes the key. A zeroed one is fine. */
void certificate_free(struct certificate *c);

#endif
