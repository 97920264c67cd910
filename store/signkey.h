/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SIGNKEY_H
#define STORE_SIGNKEY_H

#include "base/crypto.h"

/* The file with the private key that signs checkpoints, and its change: the next key is on disk under a
 * name of its own before the ledger says that it signs from now on, and takes the present one's name
 * after that. Whoever holds the writer's lock. */

#define SIGNKEY_NAME "checkpoint.key"
#define SIGNKEY_NEXT_NAME "checkpoint.key.next"

/* Reads the key of the log in dir, or makes one. RC_INVALID: the file holds no key. */
enum rc signkey_load(const char *dir, unsigned char key[ED25519_KEY_BYTES], struct err *e) MUST_CHECK;

/* Makes the next key. */
enum rc signkey_make_next(const char *dir, unsigned char key[ED25519_KEY_BYTES], struct err *e) MUST_CHECK;

/* The next key is the key. */
enum rc signkey_take_next(const char *dir, struct err *e) MUST_CHECK;

/* Ends a change that a crash interrupted. public_key: the one the ledger names last, NULL: none. */
enum rc signkey_settle(const char *dir, const unsigned char *public_key, struct err *e) MUST_CHECK;

#endif
