/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "store/watch.h"

/* A look in the making. */
struct look {
	struct watch_reader found[WATCH_READERS_MAX];
	size_t count;
};

/* LMDB tells its table as lines of text only: pid, thread in hexadecimal, transaction or "-". */
static int
take_line(const char *line, void *context)
{
	struct look *l = context;
	struct watch_reader r = { 0 };
	char txn[32];
	if (l->count == WATCH_READERS_MAX ||
		sscanf(line, "%" SCNd64 " %" SCNx64 " %31s", &r.pid, &r.thread, txn) != 3 ||
		txn[0] < '0' || txn[0] > '9')
		return 0;
	r.txn = strtoull(txn, NULL, 10);
	l->found[l->count++] = r;
	return 0;
}

void
watch_look(struct watch *w, MDB_env *env, int64_t now_ms, int64_t *oldest_ms)
{
	struct look *l = base_zalloc(sizeof *l);
	int dead = 0;
	*oldest_ms = 0;
	if (mdb_reader_check(env, &dead) == 0 && dead > 0) {
		w->cleared += (uint64_t)dead;
		LOG_INFO("log.readers-cleared", F_I("dead", dead));
	}
	mdb_reader_list(env, take_line, l);
	for (size_t i = 0; i < l->count; i++) {
		struct watch_reader *r = &l->found[i];
		r->since_ms = now_ms;
		for (size_t k = 0; k < w->count; k++) {
			const struct watch_reader *b = &w->readers[k];
			if (b->pid != r->pid || b->thread != r->thread || b->txn != r->txn)
				continue;
			r->since_ms = b->since_ms;
			r->told = b->told;
		}
		int64_t age_ms = now_ms - r->since_ms;
		if (age_ms > *oldest_ms)
			*oldest_ms = age_ms;
		if (age_ms < WATCH_SLOW_MS || r->told)
			continue;
		r->told = true;
		w->slow++;
		LOG_WARN("log.slow-reader", F_I("pid", r->pid), F_I("ms", age_ms), F_U("txn", r->txn),
			F_S("note", "a read transaction is kept open; the log's file grows meanwhile"));
	}
	memcpy(w->readers, l->found, l->count * sizeof *l->found);
	w->count = l->count;
	free(l);
}

void
watch_now(MDB_env *env, struct watch_now *n)
{
	struct look *l = base_zalloc(sizeof *l);
	MDB_envinfo info;
	*n = (struct watch_now){ 0 };
	MDB_stat stat;
	mdb_env_info(env, &info);
	mdb_env_stat(env, &stat);
	n->map_bytes = info.me_mapsize;
	n->map_used_bytes = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
	mdb_reader_list(env, take_line, l);
	n->readers = l->count;
	for (size_t i = 0; i < l->count; i++) {
		uint64_t behind = info.me_last_txnid > l->found[i].txn
			? info.me_last_txnid - l->found[i].txn
			: 0;
		if (n->oldest_pid == 0 || behind > n->oldest_txns) {
			n->oldest_txns = behind;
			n->oldest_pid = l->found[i].pid;
		}
	}
	free(l);
}
