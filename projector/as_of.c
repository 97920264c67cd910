/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "projector/load.h"
#include "projector/tables.h"

static enum rc
check_schema(const char *schema, struct err *e)
{
	size_t len = strspn(schema, "abcdefghijklmnopqrstuvwxyz0123456789_");
	bool ours = strcmp(schema, "gh") == 0 || strcmp(schema, "hooklog") == 0 || strncmp(schema, "gh_g", 4) == 0;
	struct generation g;
	if (schema[0] == '\0' || schema[len] != '\0' || (schema[0] >= '0' && schema[0] <= '9') ||
		len >= sizeof g.schema || strncmp(schema, "pg_", 3) == 0 || ours)
		return err_set(e, RC_INVALID, NULL,
			"\"%s\" cannot be the schema: up to %zu of a-z, 0-9 and _, no digit in front, and not gh, "
			"hooklog, gh_g... or pg_...", schema, sizeof g.schema - 1);
	return RC_OK;
}

static enum rc
create(struct session *s, uint64_t seq, struct err *e)
{
	struct buf sql = buf_new(LIMIT_TEXT_BYTES);
	buf_put_str(&sql, "create schema ");
	pg_put_identifier(&sql, s->generation.schema);
	buf_put_str(&sql, "; comment on schema ");
	pg_put_identifier(&sql, s->generation.schema);
	buf_printf(&sql, " is 'Tables of hooklog as they were at event %" PRIu64 "; they do not change.'", seq);
	enum rc rc = pg_exec(s->pg, buf_cstr(&sql), e);
	if (rc != RC_OK && strcmp(e->code, "42P06") == 0)
		rc = err_set(e, RC_INVALID, NULL, "schema %s exists; name another one, or drop it first",
			s->generation.schema);
	for (size_t i = 0; i < s->catalog.count && rc == RC_OK; i++) {
		buf_clear(&sql);
		tables_put_create(&sql, &s->catalog.definitions[i], s->generation.schema);
		rc = pg_exec(s->pg, buf_cstr(&sql), e);
		if (rc != RC_OK)
			rc = tables_refused(&s->catalog.definitions[i], buf_cstr(&sql), pg_error_position(s->pg), e);
	}
	const struct pg_param schema = pg_param_text(s->generation.schema);
	struct pg_result *r = NULL;
	if (rc == RC_OK)
		rc = pg_query(s->pg, "select hooklog.grant_readers_on($1)", &schema, 1, &r, e);
	pg_result_free(r);
	buf_free(&sql);
	return rc;
}

enum rc
projector_as_of(const struct projector_options *o, uint64_t seq, const char *schema, uint64_t *parked,
	struct err *e)
{
	struct session s;
	struct store_span span;
	unsigned char chain[STORE_CHAIN_BYTES];
	struct load_target target = { .first = 1, .last = seq };
	uint64_t *refused = NULL;
	*parked = 0;
	enum rc rc = check_schema(schema, e);
	if (rc != RC_OK)
		return rc;
	rc = session_open(&s, o, e);
	if (rc == RC_OK)
		rc = store_span(o->reader, &span, e);
	if (rc == RC_OK && (seq == 0 || seq > span.last_seq))
		rc = err_set(e, RC_NOTFOUND, NULL, "the log has no event %" PRIu64 "; the last one is %" PRIu64, seq,
			span.last_seq);
	if (rc == RC_OK)
		rc = session_connect(&s, "hooklog as-of", e);
	/* What the database refused for the live tables it would refuse here. */
	if (rc == RC_OK) {
		rc = generation_find(s.pg, GENERATION_LIVE, &s.generation, e);
		if (rc == RC_OK)
			rc = session_read_refused(&s, &refused, &target.refused_count, e);
		target.refused = refused;
		rc = rc == RC_NOTFOUND ? RC_OK : rc;
	}
	snprintf(s.generation.schema, sizeof s.generation.schema, "%s", schema);
	if (rc == RC_OK) {
		rc = load_begin(s.pg, e);
		if (rc == RC_OK)
			rc = create(&s, seq, e);
		if (rc == RC_OK)
			rc = load_tables(&s, &target, chain, e);
		rc = load_end(s.pg, rc, e);
	}
	*parked = s.applier.parked;
	free(refused);
	session_close(&s);
	return rc;
}
