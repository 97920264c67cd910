/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/dir.h"
#include "store/signkey.h"

#define FILE_BYTES_MAX 256

static enum rc
write_new(const char *path, unsigned char key[ED25519_KEY_BYTES], struct err *e)
{
	struct buf hex = buf_new(FILE_BYTES_MAX);
	crypto_random(key, ED25519_KEY_BYTES);
	buf_put_hex(&hex, key, ED25519_KEY_BYTES);
	buf_put_char(&hex, '\n');
	enum rc rc = fs_write(path, buf_bytes(&hex), 0600, e);
	crypto_wipe(hex.data, hex.len);
	buf_free(&hex);
	return rc;
}

static enum rc
read_file(const char *path, unsigned char key[ED25519_KEY_BYTES], struct err *e)
{
	struct arena *a = arena_new(FILE_BYTES_MAX);
	struct bytes text;
	enum rc rc = fs_read(path, FILE_BYTES_MAX, a, &text, e);
	if (rc == RC_OK) {
		if (text.len > 0 && text.data[text.len - 1] == '\n')
			text.len--;
		if (!crypto_unhex(text, key, ED25519_KEY_BYTES))
			rc = err_set(e, RC_INVALID, "log.checkpoints",
				"%s holds no key: 64 hexadecimal digits are expected; restore it, or move it "
				"away for a new one",
				path);
		crypto_wipe((void *)(uintptr_t)text.data, text.len);
	}
	arena_free(a);
	return rc;
}

enum rc
signkey_load(const char *dir, unsigned char key[ED25519_KEY_BYTES], struct err *e)
{
	char *path = dir_path(dir, SIGNKEY_NAME);
	enum rc rc = read_file(path, key, e);
	if (rc == RC_NOTFOUND)
		rc = write_new(path, key, e);
	free(path);
	return rc;
}

enum rc
signkey_make_next(const char *dir, unsigned char key[ED25519_KEY_BYTES], struct err *e)
{
	char *path = dir_path(dir, SIGNKEY_NEXT_NAME);
	enum rc rc = write_new(path, key, e);
	free(path);
	return rc;
}

enum rc
signkey_take_next(const char *dir, struct err *e)
{
	char *next = dir_path(dir, SIGNKEY_NEXT_NAME), *path = dir_path(dir, SIGNKEY_NAME);
	enum rc rc = rename(next, path) == 0
		? fs_sync_dir(dir, e)
		: err_sys(e, RC_IO, "log.checkpoints", errno, "rename %s to " SIGNKEY_NAME, next);
	free(next);
	free(path);
	return rc;
}

enum rc
signkey_settle(const char *dir, const unsigned char *public_key, struct err *e)
{
	char *path = dir_path(dir, SIGNKEY_NEXT_NAME);
	unsigned char key[ED25519_KEY_BYTES] = { 0 }, its_public[ED25519_KEY_BYTES];
	enum rc rc = read_file(path, key, e);
	if (rc == RC_OK && public_key != NULL) {
		crypto_ed25519_public(key, its_public);
		if (memcmp(its_public, public_key, sizeof its_public) == 0) {
			rc = signkey_take_next(dir, e);
			goto done;
		}
	}
	/* Nothing was signed with it, and nothing will be. */
	if (rc == RC_OK || rc == RC_INVALID)
		unlink(path);
	if (rc == RC_NOTFOUND || rc == RC_INVALID)
		rc = RC_OK;
done:
	crypto_wipe(key, sizeof key);
	free(path);
	return rc;
}
