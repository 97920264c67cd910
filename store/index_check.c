/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/index_file.h"

struct entries {
	uint64_t log_last_seq;
	bool wrong;
};

/* Entries of records behind the covered range are what an interrupted index_file_write leaves. */
static void
look_at_entry(const struct index_key *key, const struct index_entry *entry, void *context)
{
	struct entries *all = context;
	(void)key;
	if (entry->seq == 0 || entry->seq > all->log_last_seq)
		all->wrong = true;
}

/* Runs in a child, which damage may kill: whether the file is an index of this log that does not reach
 * past its end. A file that was not closed in order is read as a whole. */
static bool
looks_sound(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t log_last_seq)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi sources, meta;
	struct index_levels levels;
	struct entries entries = { .log_last_seq = log_last_seq };
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	struct index_cover cover;
	struct source_set set;
	uint64_t tag, block;
	struct err e;
	if (db_open(path, DB_READ, &env, &e) != RC_OK ||
		mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 ||
		index_levels_open(txn, 0, &levels) != 0 ||
		mdb_dbi_open(txn, INDEX_SOURCES, 0, &sources) != 0 ||
		mdb_dbi_open(txn, INDEX_META, 0, &meta) != 0)
		return false;
	if (!index_meta_is(txn, meta, INDEX_META_FORMAT, bytes_str(INDEX_FORMAT)) ||
		!index_meta_is(txn, meta, INDEX_META_LOG_ID, (struct bytes){ log_id, STORE_LOG_ID_BYTES }) ||
		!index_read_cover(txn, meta, &cover) || cover.last_seq > log_last_seq)
		return false;
	if (index_meta_is(txn, meta, INDEX_META_CLEAN, bytes_str("1")))
		return true;
	int code = index_levels_each(txn, &levels, (struct bytes){ 0 }, look_at_entry, &entries);
	if (code != 0 || entries.wrong)
		return false;
	code = mdb_cursor_open(txn, sources, &cursor);
	while (code == 0 && (code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		if (!source_entry_decode(k, v, &tag, &block, &set))
			return false;
	}
	return code == MDB_NOTFOUND;
}

bool
index_looks_sound(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES], uint64_t log_last_seq)
{
	/* LMDB trusts its pages and dies of damaged ones, so somebody else looks first. */
	pid_t child = fork();
	if (child == 0)
		_exit(looks_sound(path, log_id, log_last_seq) ? 0 : 1);
	int status = -1;
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return child > 0 && status == 0;
}
