/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/load_internal.h"
#include "projector/row_hash.h"
#include "projector/tables.h"

/* Reading back what was sent (docs/adr/0023-verify.md). */

static enum rc
read_table(struct pg *pg, const struct load *l, const struct definition *d, struct load_sum *sum,
	struct err *e)
{
	struct buf sql = buf_new(LIMIT_CONFIG_FILE_BYTES);
	buf_put_str(&sql, "copy ");
	load_put_table(&sql, l, d);
	buf_put_str(&sql, " (");
	tables_put_columns(&sql, d);
	buf_put_str(&sql, ") to stdout (format binary)");
	enum rc rc = pg_copy_out(pg, buf_cstr(&sql), e);
	buf_free(&sql);
	while (rc == RC_OK) {
		struct bytes fields;
		rc = state_get_copied(pg, &fields, e);
		if (rc != RC_OK || fields.data == NULL)
			break;
		load_add(sum, row_hash(d, fields));
	}
	return rc;
}

enum rc
load_check_table(struct pg *pg, size_t table, void *context, struct err *e)
{
	struct load *l = context;
	const struct definition *d = load_definition(l, table);
	bool own = l->target.generation; /* transaction */
	struct load_sum have = { 0, 0 };
	enum rc rc = load_check_stop(l, e);
	if (rc == RC_OK && own)
		rc = load_begin(pg, e);
	if (rc != RC_OK)
		return rc;
	if (load_wants(l, d))
		rc = read_table(pg, l, d, &have, e);
	if (own)
		rc = load_end(pg, rc, e);
	if (rc == RC_OK && (have.rows != l->sent[table].rows || have.hash != l->sent[table].hash))
		rc = err_set(e, RC_CORRUPT, "project.differs",
			"table %s.%s is not what was written to it: it has %" PRIu64
			" rows with the sum %016" PRIx64 ", not %" PRIu64 " with %016" PRIx64,
			l->s->generation.schema, d->table, have.rows, have.hash,
			l->sent[table].rows, l->sent[table].hash);
	return rc;
}

/* A row that events after the last one we sent have made or changed: the database got it from the
 * applier. */
static void
take_merged(size_t table, struct state_row *row, void *context)
{
	struct load *l = context;
	struct buf *out = &l->streams[table];
	buf_clear(out);
	state_put_copy(out, load_definition(l, table), row);
	l->sent[table].hash -= row->sum;
	row->sum = load_hash(out, 0, load_definition(l, table));
	l->sent[table].hash += row->sum;
	l->sent[table].rows = l->state.tables[table].count;
}

static enum rc
sum_streamed(size_t table, const struct fold_table *rows, void *context, struct err *e UNUSED)
{
	struct load *l = context;
	struct buf *out = &l->streams[table];
	for (const struct fold_row *row = rows->first; row != NULL; row = row->next) {
		buf_clear(out);
		state_put_copy_folded(out, rows->definition, row);
		load_add(&l->sent[table], load_hash(out, 0, rows->definition));
	}
	return RC_OK;
}

bool
load_is_whole(const struct load *l)
{
	return l->state.first_pass;
}

enum rc
load_check(struct load *l, struct err *e)
{
	struct session *s = l->s;
	unsigned char chain[STORE_CHAIN_BYTES];
	uint64_t *refused = NULL;
	struct load_hooks hooks = { .streamed = sum_streamed, .merged = take_merged, .context = l };
	session_stop_ahead(s);
	enum rc rc = session_read_refused(s, &refused, &hooks.refused_count, e);
	hooks.refused = refused;
	for (size_t i = 0; i < s->catalog.count; i++)
		buf_clear(&l->streams[i]);
	ASSERT(load_is_whole(l) || l->target.last == s->generation.seq);
	l->state.bytes_max = SIZE_MAX; /* the caller adds little */
	if (rc == RC_OK)
		rc = load_pass(
			s, &l->state, l->target.last + 1, s->generation.seq, &hooks, chain, e);
	if (rc == RC_OK && l->state.overflow)
		rc = err_set(e, RC_INVALID, NULL, "a row is too large to be compared");
	l->target.last = s->generation.seq;
	if (rc == RC_OK)
		rc = load_run(l, load_check_table, e);
	free(refused);
	return rc;
}
