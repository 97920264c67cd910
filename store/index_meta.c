/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index_meta.h"

bool
index_meta_is(MDB_txn *txn, MDB_dbi meta, const char *key, struct bytes value)
{
	MDB_val k = db_val(bytes_str(key)), v;
	return mdb_get(txn, meta, &k, &v) == 0 && bytes_equal(db_bytes(v), value);
}

int
index_put_meta(MDB_txn *txn, MDB_dbi meta, const char *key, struct bytes value)
{
	MDB_val k = db_val(bytes_str(key)), v = db_val(value);
	return mdb_put(txn, meta, &k, &v, 0);
}

bool
index_read_cover(MDB_txn *txn, MDB_dbi meta, struct index_cover *cover)
{
	MDB_val k = db_val(bytes_str(INDEX_META_FIRST)), v;
	if (mdb_get(txn, meta, &k, &v) != 0 || v.mv_size != 8)
		return false;
	cover->first_seq = db_get_seq(v.mv_data);
	k = db_val(bytes_str(INDEX_META_LAST));
	if (mdb_get(txn, meta, &k, &v) != 0 || v.mv_size != 8)
		return false;
	cover->last_seq = db_get_seq(v.mv_data);
	k = db_val(bytes_str(INDEX_META_CHAIN));
	if (mdb_get(txn, meta, &k, &v) != 0 || v.mv_size != STORE_CHAIN_BYTES)
		return false;
	memcpy(cover->chain, v.mv_data, STORE_CHAIN_BYTES);
	return true;
}

int
index_put_cover(MDB_txn *txn, MDB_dbi meta, const struct index_cover *cover, bool clean)
{
	unsigned char first[8], last[8];
	db_put_seq(first, cover->first_seq);
	db_put_seq(last, cover->last_seq);
	int code = index_put_meta(txn, meta, INDEX_META_FIRST, (struct bytes){ first, sizeof first });
	if (code == 0)
		code = index_put_meta(txn, meta, INDEX_META_LAST, (struct bytes){ last, sizeof last });
	if (code == 0)
		code = index_put_meta(txn, meta, INDEX_META_CHAIN, (struct bytes){ cover->chain, STORE_CHAIN_BYTES });
	if (code == 0)
		code = index_put_meta(txn, meta, INDEX_META_CLEAN, bytes_str(clean ? "1" : "0"));
	return code;
}
