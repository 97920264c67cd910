/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ledger.h"
#include "store/verify.h"

static int
by_seq(const void *a, const void *b)
{
	const struct store_statement *x = *(const struct store_statement *const *)a,
				     *y = *(const struct store_statement *const *)b;
	return x->seq != y->seq ? (x->seq > y->seq) - (x->seq < y->seq)
				: (x->line > y->line) - (x->line < y->line);
}

/* Parses the lines that were kept elsewhere; a copy of the whole file will do, too. */
static void
read_noted(struct signed_claims *c, struct bytes text, struct arena *a)
{
	size_t lines = 1;
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	struct store_statement *found = arena_alloc(a, lines * sizeof *found);
	c->noted = found;
	while (text.len > 0) {
		const unsigned char *end = memchr(text.data, '\n', text.len);
		struct bytes line = { text.data, end == NULL ? text.len : (size_t)(end - text.data) };
		size_t used = line.len + (end != NULL);
		text = (struct bytes){ text.data + used, text.len - used };
		if (line.len == 0 || bytes_is(line, "hooklog checkpoints 1"))
			continue;
		if (!ledger_parse(line, &found[c->noted_count]))
			c->noted_bad_lines++;
		else if (found[c->noted_count].kind != STORE_KEY)
			c->noted_count++;
	}
}

enum rc
claims_read(struct signed_claims *c, const struct store_verify_options *options, struct arena *a,
	verify_say_fn say, void *context, struct err *e)
{
	struct ledger_view *v = arena_zalloc(a, sizeof *v);
	*c = (struct signed_claims){ 0 };
	read_noted(c, options->noted, a);
	enum rc rc = ledger_read(options->dir, a, v, e);
	if (rc == RC_CORRUPT)
		say(context, false, 0, e->text);
	if (rc != RC_OK && rc != RC_CORRUPT && rc != RC_NOTFOUND)
		return rc;
	c->view = rc == RC_OK ? v : NULL;
	c->by_seq = arena_alloc(a, (v->count + c->noted_count + 1) * sizeof *c->by_seq);
	for (size_t i = 0; i < v->count; i++) {
		if (v->statements[i].kind != STORE_KEY)
			c->by_seq[c->count++] = &v->statements[i];
	}
	for (size_t i = 0; i < c->noted_count; i++)
		c->by_seq[c->count++] = &c->noted[i];
	qsort(c->by_seq, c->count, sizeof *c->by_seq, by_seq);
	return RC_OK;
}

/* Which key speaks at some line. */
struct speaker {
	const unsigned char *wanted; /* NULL: any will do */
	unsigned char key[ED25519_KEY_BYTES];
	bool known, trusted, was_trusted;
	size_t trusted_count; /* statements that go back to wanted */
	uint64_t trusted_seq; /* the last event they speak of; the chain leads from it to all before */
	uint64_t before_seq;  /* the last event that keys before wanted spoke of */
};

/* A new key is introduced by the one before, or by nobody, as the first one is. */
static void
take_key(struct speaker *s, const struct store_statement *st, verify_say_fn say, void *context)
{
	char text[128];
	bool passed_on = s->known && memcmp(st->key, s->key, sizeof s->key) == 0;
	if (s->known && !passed_on) {
		snprintf(text, sizeof text,
			"line %" PRIu64 " of checkpoints brings a key that the one before did not sign",
			st->line);
		say(context, true, 0, text);
	}
	s->trusted = (passed_on && s->trusted) ||
		(s->wanted != NULL && memcmp(s->wanted, st->new_key, sizeof s->key) == 0);
	s->was_trusted = s->was_trusted || s->trusted;
	memcpy(s->key, st->new_key, sizeof s->key);
	s->known = true;
}

static void
take_statement(struct speaker *s, const struct store_statement *st)
{
	uint64_t *seq = s->trusted ? &s->trusted_seq : &s->before_seq;
	s->trusted_count += s->trusted;
	if (st->seq > *seq)
		*seq = st->seq;
}

static void
check_one(struct speaker *s, const struct store_statement *st, const unsigned char *log_id,
	verify_say_fn say, void *context)
{
	char text[128];
	const char *wrong = NULL;
	if (!ledger_signed(log_id, st))
		wrong = "is not signed as it says";
	else if (st->kind == STORE_KEY)
		take_key(s, st, say, context);
	else if (!s->known || memcmp(s->key, st->key, sizeof s->key) != 0)
		wrong = "is signed by a key that was not introduced";
	else if (s->wanted != NULL && s->was_trusted && !s->trusted)
		wrong = "does not go back to the given key";
	else
		take_statement(s, st);
	if (wrong == NULL)
		return;
	snprintf(text, sizeof text, "line %" PRIu64 " of checkpoints %s", st->line, wrong);
	say(context, false, st->seq, text);
}

void
claims_check(const struct signed_claims *c, const unsigned char log_id[STORE_LOG_ID_BYTES],
	const unsigned char *key, verify_say_fn say, void *context)
{
	struct speaker s = { .wanted = key };
	const struct ledger_view *v = c->view;
	for (size_t i = 0; i < c->noted_count; i++) {
		if (!ledger_signed(log_id, &c->noted[i]))
			say(context, false, c->noted[i].seq, "a noted checkpoint is not signed for this log");
	}
	if (c->noted_bad_lines > 0)
		say(context, false, 0, "there are noted lines that are no checkpoints");
	if (v == NULL)
		say(context, key == NULL, 0, "there are no signed checkpoints; the next start makes one");
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->count; i++)
		check_one(&s, &v->statements[i], log_id, say, context);
	if (v->bad_lines > 0)
		say(context, false, 0, "there are lines in checkpoints that say nothing");
	if (v->torn)
		say(context, true, 0, "the last line of checkpoints is not finished");
	if (key != NULL && s.trusted_count == 0)
		say(context, false, 0, "no checkpoint goes back to the given key");
	else if (key != NULL && s.before_seq > s.trusted_seq)
		say(context, false, s.trusted_seq + 1, "the given key has signed nothing from here on");
}

const struct store_statement *
claims_seal(const struct signed_claims *c, uint64_t first_seq)
{
	const struct store_statement *found = NULL;
	for (size_t i = 0; i < c->count; i++) {
		const struct store_statement *st = c->by_seq[i];
		if (st->kind == STORE_SEAL && st->first_seq == first_seq &&
			(found == NULL || st->line > found->line))
			found = st;
	}
	return found;
}
