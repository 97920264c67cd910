/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "store/dir.h"
#include "store/ops.h"
#include "store/raw.h"

static void
append_some(const char *dir)
{
	struct store *s = helper_open(dir);
	char delivery[16];
	for (int i = 0; i < 30; i++) {
		snprintf(delivery, sizeof delivery, "d-%d", i);
		helper_append(s, delivery,
			"{\"action\":\"opened\",\"number\":1,\"zen\":\"Anything added dilutes "
			"everything else.\"}");
	}
	store_close(s);
}

static void
redact(const char *dir, uint64_t seq, struct store_redact_report *report)
{
	const struct store_options options = { .dir = dir };
	struct err e = { .text = "" };
	if (store_redact(&options, seq, "asked for", report, &e) != RC_OK)
		fail_msg("%s", e.text);
}

/* Runs in a child: a process opens a file once. */
static void
in_child(void (*body)(const char *dir), const char *dir)
{
	int status = -1;
	pid_t child = fork();
	if (child == 0) {
		body(dir);
		_exit(0);
	}
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
}

static void
redact_first_last_and_middle(const char *dir)
{
	struct store_redact_report report;
	redact(dir, 1, &report);
	assert_true(report.audit_seq == 31 && report.local && !report.before);
	redact(dir, 30, &report);
	assert_true(report.audit_seq == 32 && report.local);
	redact(dir, 15, &report);
	assert_true(report.audit_seq == 33);
	redact(dir, 15, &report);
	assert_true(report.audit_seq == 33 && report.before && !report.local);
}

static void
numbers_hashes_and_chain_stay(void **state UNUSED)
{
	char *dir = helper_dir();
	struct arena *a = arena_new(4096), *b = arena_new(4096);
	struct store_reader *r;
	const struct store_record *before, *after;
	size_t count;
	struct err e;
	append_some(dir);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_read(r, 1, 30, 1000000, a, &before, &count, &e), RC_OK);
	assert_int_equal(count, 30);
	store_reader_close(r);
	in_child(redact_first_last_and_middle, dir);
	helper_verify(dir, 33, RC_OK);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_read(r, 1, 33, 1000000, b, &after, &count, &e), RC_OK);
	assert_int_equal(count, 33);
	for (size_t i = 0; i < 30; i++) {
		bool gone = i == 0 || i == 14 || i == 29;
		assert_memory_equal(before[i].chain, after[i].chain, STORE_CHAIN_BYTES);
		assert_memory_equal(
			before[i].event.body_xxh128, after[i].event.body_xxh128, XXH128_BYTES);
		assert_true(bytes_equal(before[i].event.delivery, after[i].event.delivery));
		assert_true(before[i].event.received_at_us == after[i].event.received_at_us);
		assert_int_equal((after[i].event.flags & EVENT_FLAG_REDACTED) != 0, gone);
		assert_true(gone ? after[i].event.body.len == 0
				 : bytes_equal(before[i].event.body, after[i].event.body));
	}
	store_reader_close(r);
	arena_free(a);
	arena_free(b);
	helper_remove(dir);
}

/* Somebody with write access erases event 5 by himself; audit: the event he names. */
static uint64_t forged_audit;

static void
forge(const char *dir)
{
	struct arena *a = arena_new(4096);
	struct store_reader *r;
	struct raw_batch b;
	struct raw_build *build;
	struct err e;
	unsigned char out[4096];
	struct store *s = helper_open(dir);
	helper_append(s, "later", "{\"redacted_seq\":5}");
	store_close(s);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(raw_read(r, 1, 31, 1000000, a, &b, &e), RC_OK);
	assert_int_equal(b.count, 31);
	store_reader_close(r);
	struct record_redaction redaction = { .audit_seq = forged_audit };
	memcpy(redaction.chain_before, b.records[3].header.chain, STORE_CHAIN_BYTES);
	crypto_sha256(b.records[4].bytes, redaction.record_sha256);
	/* A sound envelope, made anew. */
	struct event ev = helper_event("d-4", (struct bytes){ NULL, 0 });
	struct buf envelope = buf_new(2048);
	event_encode(&ev, &envelope);
	struct record_header h = b.records[4].header;
	h.envelope_bytes = (uint32_t)envelope.len;
	unsigned char fresh[4096] = { 0 };
	record_seal(fresh, RECORD_HEADER_BYTES + h.plain_bytes, &h, b.records[3].header.chain);
	memcpy(fresh + RECORD_HEADER_BYTES - STORE_CHAIN_BYTES, b.records[4].header.chain,
		STORE_CHAIN_BYTES);
	record_redact((struct bytes){ fresh, sizeof fresh }, buf_bytes(&envelope), &redaction, out);
	unsigned char log_id[STORE_LOG_ID_BYTES];
	assert_int_equal(dir_read_log(dir, log_id, &e), RC_OK);
	assert_int_equal(raw_build_new(&build, dir, log_id, 1, b.prev_chain, &e), RC_OK);
	for (size_t i = 0; i < b.count; i++) {
		struct bytes record = b.records[i].bytes;
		if (i == 4)
			record = (struct bytes){ out,
				RECORD_HEADER_BYTES + RECORD_REDACTION_BYTES + envelope.len };
		assert_int_equal(raw_build_record(build, i + 1, record, &e), RC_OK);
	}
	assert_int_equal(raw_build_end(build, &e), RC_OK);
	raw_build_free(build);
	buf_free(&envelope);
	arena_free(a);
}

static void
without_its_audit_it_is_damage(void **state UNUSED)
{
	static const uint64_t audits[] = { 31, 5, 3, 0 };
	for (size_t i = 0; i < COUNT_OF(audits); i++) {
		char *dir = helper_dir();
		append_some(dir);
		forged_audit = audits[i];
		in_child(forge, dir);
		helper_verify(dir, 31, RC_CORRUPT);
		helper_remove(dir);
	}
}

/* ---- a table of readers that belongs to another file ---- */

/* An environment whose last transaction is an odd or an even one, held open by a child until it is killed. */
static pid_t
hold_open(const char *path, bool odd)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		MDB_env *env;
		MDB_txn *txn;
		MDB_dbi dbi;
		struct err e;
		MDB_val k = { 1, &byte }, v = { 1, &byte };
		byte = 'x';
		if (db_open(path, DB_WRITE, &env, &e) != RC_OK)
			_exit(1);
		for (int i = 0; i < 100 + odd; i++) {
			if (mdb_txn_begin(env, NULL, 0, &txn) != 0 || mdb_dbi_open(txn, NULL, 0, &dbi) != 0 ||
				mdb_put(txn, dbi, &k, &v, 0) != 0 || mdb_txn_commit(txn) != 0)
				_exit(2);
		}
		/* The process has its place in the table only once it has read. */
		if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 || write(ready[1], "x", 1) != 1)
			_exit(3);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

/* How many records the first segment has. */
static size_t
records_in(const char *dir)
{
	char path[400];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi events;
	MDB_stat stat;
	struct err e;
	snprintf(path, sizeof path, "%s/00000000000000000001.mdb", dir);
	assert_int_equal(db_open(path, DB_READ, &env, &e), RC_OK);
	assert_int_equal(db_read_begin(env, &txn, &e), RC_OK);
	assert_int_equal(mdb_dbi_open(txn, "events", 0, &events), 0);
	assert_int_equal(mdb_stat(txn, events, &stat), 0);
	mdb_txn_abort(txn);
	db_close(env);
	return stat.ms_entries;
}

/* Who opens the segment between the new file's coming and the going of the old one's table of readers, while another process
 * still has the old one open, is told by that table which of LMDB's two roots is the newest: the old file's. So
 * both roots of a file that takes another one's place must show all of it. */
static void
either_root_has_all_records(void **state)
{
	(void)state;
	for (int odd = 0; odd < 2; odd++) {
		char *dir = helper_dir(), other[400], lock[420], segment_lock[420];
		snprintf(other, sizeof other, "%s/other.mdb", dir);
		snprintf(lock, sizeof lock, "%s-lock", other);
		snprintf(segment_lock, sizeof segment_lock, "%s/00000000000000000001.mdb-lock", dir);
		append_some(dir);
		in_child(redact_first_last_and_middle, dir);
		size_t all = records_in(dir);
		assert_true(all >= 30);
		pid_t child = hold_open(other, odd == 1);
		int moved = rename(lock, segment_lock);
		size_t seen = records_in(dir);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		assert_int_equal(moved, 0);
		assert_int_equal(seen, all);
		helper_remove(dir);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_hashes_and_chain_stay),
		cmocka_unit_test(without_its_audit_it_is_damage),
		cmocka_unit_test(either_root_has_all_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
