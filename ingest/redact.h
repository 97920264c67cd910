/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_REDACT_H
#define INGEST_REDACT_H

#include "ingest/provider.h"

/* Header values that are secrets, or proofs made with one, never reach the log: in their place
 * stands "redacted:" and 16 hexadecimal digits of an HMAC of the value. The key is a random salt in
 * a file of its own, not in the log, so somebody who has only the log or a copy of it cannot try
 * out tokens. Equal values stay recognisable as equal, also when they are spelled in two ways
 * ("bearer" in small letters, %41 for A in a query): that is how the quarantine knows a token again.
 *
 * Signatures are redacted too although they are no secrets: a stored one would tempt a replay to
 * send it again, and the receiver already says in the envelope what was verified with which key. */

#define REDACT_SALT_BYTES 32

/* Reads the salt, or makes the file with mode 0600. Not for two processes at once: the caller holds
 * the log's lock. RC_INVALID: the file is no salt. RC_IO, RC_FULL. */
enum rc redact_salt(
	const char *path, unsigned char salt[REDACT_SALT_BYTES], struct err *e) MUST_CHECK;

/* Whether the header's value must not be stored. */
bool redact_is_secret(const struct provider_setup *setup, struct bytes name);

/* The text that stands for a value, in a. */
struct bytes redact_value(
	const unsigned char salt[REDACT_SALT_BYTES], struct bytes value, struct arena *a);

/* The query with the value of setup->secret_query replaced in the same way, in a. */
struct bytes redact_query(const struct provider_setup *setup,
	const unsigned char salt[REDACT_SALT_BYTES], struct bytes query, struct arena *a);

#endif
