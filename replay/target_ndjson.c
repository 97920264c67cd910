/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "replay/out.h"

/* Escaping makes at most six bytes of one. */
#define LINE_BYTES_MAX (6 * LIMIT_RECORD_BYTES)

struct ndjson {
	struct out *out;
	struct buf line;
};

static enum rc
ndjson_close(void *state, bool complete, struct err *e)
{
	struct ndjson *t = state;
	enum rc rc = out_close(t->out, complete, e);
	buf_free(&t->line);
	free(t);
	return rc;
}

static enum rc
ndjson_open(void **state, const struct replay_target_options *options, struct err *e)
{
	struct ndjson *t = base_zalloc(sizeof(*t));
	t->line = buf_new(LINE_BYTES_MAX);
	enum rc rc = out_open(&t->out, options, e);
	if (rc != RC_OK)
		(void)ndjson_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

static bool
ndjson_keeps(const void *state)
{
	return out_keeps(((const struct ndjson *)state)->out);
}

static enum rc
ndjson_send(void *state, const struct event *const *events, size_t count UNUSED,
	struct replay_answer *answer UNUSED, struct err *e)
{
	struct ndjson *t = state;
	buf_clear(&t->line);
	event_put_json(&t->line, events[0]);
	buf_put_char(&t->line, '\n');
	if (t->line.overflow)
		return err_set(e, RC_INVALID, NULL, "event %" PRIu64 " is too large for one line",
			events[0]->seq);
	return out_write(t->out, buf_bytes(&t->line), e);
}

const struct replay_target_kind replay_target_ndjson = {
	.name = "ndjson",
	.accepts = out_accepts,
	.batch_max = 1,
	.open = ndjson_open,
	.send = ndjson_send,
	.keeps = ndjson_keeps,
	.close = ndjson_close,
};
