/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <lmdb.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/ops.h"
#include "store/record.h"
#include "tests/tools/log_fuzz.h"

/* The targets that need a whole log, in a folder of its own. */

static char *
new_dir(void)
{
	const char *base = getenv("TMPDIR");
	size_t size = strlen(base == NULL ? "/tmp" : base) + 32;
	char *dir = base_alloc(size);
	snprintf(dir, size, "%s/hooklog-fuzz.XXXXXX", base == NULL ? "/tmp" : base);
	ASSERT(mkdtemp(dir) != NULL);
	return dir;
}

static void
remove_log(char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	rmdir(dir);
	free(dir);
}

static void
fill(const char *dir, unsigned count)
{
	struct store *s;
	struct err e;
	struct store_options options = { .dir = dir };
	ASSERT(store_open(&s, &options, &e) == RC_OK);
	for (unsigned i = 0; i < count; i++) {
		struct event ev = { .source = bytes_str("gh"), .delivery = bytes_str(""),
			.body = bytes_str("a body") };
		ASSERT(store_append(s, &ev).rc == RC_OK);
	}
	store_close(s);
}

/* ---- a proof ---- */

/* Every second one is of a redacted event, every third one by a second key. */
unsigned char *
fuzz_sample_proof(unsigned number, size_t *size)
{
	char *dir = new_dir();
	const struct store_options options = { .dir = dir };
	struct store_redact_report report;
	struct store_appender *a;
	struct store_reader *r;
	struct buf out = buf_new(1 << 20);
	struct err e;
	fill(dir, 5);
	if (number % 2 == 1)
		ASSERT(store_redact(&options, 3, "why", &report, &e) == RC_OK);
	if (number % 3 == 2) {
		ASSERT(store_appender_open(&a, &options, &e) == RC_OK);
		ASSERT(store_appender_rotate_key(a, &e) == RC_OK);
		store_appender_close(a);
	}
	ASSERT(store_reader_open(&r, dir, &e) == RC_OK && store_prove(r, 3, &out, &e) == RC_OK);
	store_reader_close(r);
	remove_log(dir);
	*size = buf_bytes(&out).len;
	unsigned char *copy = base_alloc(*size);
	memcpy(copy, buf_bytes(&out).data, *size);
	buf_free(&out);
	return copy;
}

/* With the key that it says signed it, so that what comes after the signature is reached. */
bool
fuzz_run_proof(const unsigned char *data, size_t size)
{
	unsigned char key[ED25519_KEY_BYTES] = { 0 };
	const size_t from_end = 1 + 2 * ED25519_SIGNATURE_BYTES + 1 + 2 * ED25519_KEY_BYTES;
	struct arena *a = arena_new(1 << 16);
	struct store_proven proven;
	struct err e;
	if (size > from_end)
		(void)crypto_unhex((struct bytes){ data + size - from_end, 2 * sizeof key }, key, sizeof key);
	bool taken = store_check_proof((struct bytes){ data, size }, key, a, &proven, &e) == RC_OK;
	if (taken) {
		const struct event *ev = &proven.record.event;
		/* Nobody here can sign anything else than the samples. */
		bool redacted = (ev->flags & EVENT_FLAG_REDACTED) != 0;
		ASSERT(ev->seq == 3 && bytes_is(ev->source, "gh"));
		ASSERT(redacted ? ev->body.len == 0 && proven.audit.event.seq == 6 : bytes_is(ev->body, "a body"));
	}
	arena_free(a);
	return taken;
}

/* ---- verify ---- */

/* Puts the record in the place of the second one. */
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

/* Also one that says it was redacted, which no event confirms. */
unsigned char *
fuzz_sample_second(unsigned number, size_t *size)
{
	unsigned char *record = fuzz_sample_record(1, size);
	if (number % 2 == 0)
		return record;
	struct record_redaction redaction = { .audit_seq = 3, .at_us = 1700000000000001 };
	unsigned char envelope[40] = { 0 };
	unsigned char *redacted = base_alloc(RECORD_HEADER_BYTES + RECORD_REDACTION_BYTES + sizeof envelope);
	record_redact((struct bytes){ record, *size }, (struct bytes){ envelope, sizeof envelope }, &redaction,
		redacted);
	redacted[44] = sizeof envelope;
	free(record);
	*size = RECORD_HEADER_BYTES + RECORD_REDACTION_BYTES + sizeof envelope;
	return redacted;
}

bool
fuzz_run_verify(const unsigned char *data, size_t size)
{
	struct err e;
	struct store_verify_report report;
	if (size == 0 || size > 1 << 20)
		return false;
	char *dir = new_dir();
	fill(dir, 3);
	replace_second(dir, (struct bytes){ data, size });
	/* The checksum of anything fits here, and yet nothing else may pass: the chain knows. */
	ASSERT(store_verify(dir, 1, 0, NULL, NULL, &report, &e) != RC_OK);
	remove_log(dir);
	return false;
}

/* ---- an import ---- */

/* Whatever is taken, as a whole into a new log or as new events into one with events, the log is sound
 * afterwards. */
bool
fuzz_run_import(const unsigned char *data, size_t size)
{
	struct store_import_report report;
	struct store_verify_report verified;
	struct err e;
	if (size > 1 << 20)
		return false;
	char *dir = new_dir();
	const struct store_options options = { .dir = dir };
	int fd = memfd_create("stream", MFD_CLOEXEC);
	ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	if (size % 2 == 1)
		fill(dir, 2);
	enum rc rc = store_import(&options, (struct bytes){ NULL, 0 }, fd, false, NULL, NULL, &report, &e);
	close(fd);
	bool taken = rc == RC_OK;
	uint64_t added = taken ? report.added : 0;
	rc = store_verify(dir, 1, 0, NULL, NULL, &verified, &e);
	ASSERT(rc == RC_OK || (rc == RC_NOTFOUND && added == 0));
	ASSERT(rc != RC_OK || verified.last_seq >= added);
	remove_log(dir);
	return taken;
}
