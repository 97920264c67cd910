/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/ledger.h"
#include "store/signkey.h"

#define TITLE "hooklog checkpoints 1\n"
/* What every signature covers in front of the line, so that it can mean nothing else anywhere else. */
#define PREFIX "hooklog checkpoint v1\n"
#define LINE_BYTES_MAX 1024
/* A line an hour for a century, and a segment a second for a week. */
#define FILE_BYTES_MAX ((size_t)512 << 20)

struct ledger {
	char *dir;
	int fd;
	uint64_t bytes; /* length of the file up to its last whole line */
	unsigned char log_id[STORE_LOG_ID_BYTES];
	unsigned char key[ED25519_KEY_BYTES], public_key[ED25519_KEY_BYTES];
};

/* ---- lines ---- */

/* The fields of each kind, in order; every line goes on with key and signature. */
enum field { F_SEQ, F_CHAIN, F_FIRST, F_ROOT, F_AT, F_COUNT, F_FIRST_AT, F_LAST_AT, F_BYTES, F_FILE, F_NEW_KEY,
	F_DICTS };

static const struct kind {
	const char *word;
	size_t field_count;
	enum field fields[11];
} kinds[] = {
	[STORE_CHECKPOINT] = { "checkpoint", 6, { F_SEQ, F_CHAIN, F_FIRST, F_ROOT, F_DICTS, F_AT } },
	[STORE_SEAL] = { "seal", 11,
		{ F_SEQ, F_CHAIN, F_FIRST, F_ROOT, F_DICTS, F_AT, F_COUNT, F_FIRST_AT, F_LAST_AT, F_BYTES, F_FILE } },
	[STORE_KEY] = { "key", 2, { F_NEW_KEY, F_AT } },
};

/* One of the two is not NULL: a number or 32 bytes. */
struct place {
	uint64_t *number;
	unsigned char *hash;
};

static struct place
place_of(struct store_statement *st, enum field f)
{
	switch (f) {
	case F_SEQ: return (struct place){ .number = &st->seq };
	case F_CHAIN: return (struct place){ .hash = st->chain };
	case F_FIRST: return (struct place){ .number = &st->first_seq };
	case F_ROOT: return (struct place){ .hash = st->root };
	case F_AT: return (struct place){ .number = &st->at_us };
	case F_COUNT: return (struct place){ .number = &st->count };
	case F_FIRST_AT: return (struct place){ .number = &st->first_at_us };
	case F_LAST_AT: return (struct place){ .number = &st->last_at_us };
	case F_BYTES: return (struct place){ .number = &st->file_bytes };
	case F_FILE: return (struct place){ .hash = st->file_sha256 };
	case F_DICTS: return (struct place){ .hash = st->dicts };
	case F_NEW_KEY: break;
	}
	return (struct place){ .hash = st->new_key };
}

/* The next word of *rest, which is cut off it with the space behind. */
static struct bytes
word(struct bytes *rest)
{
	const unsigned char *space = rest->len == 0 ? NULL : memchr(rest->data, ' ', rest->len);
	struct bytes w = { rest->data, space == NULL ? rest->len : (size_t)(space - rest->data) };
	size_t used = w.len + (space == NULL ? 0 : 1);
	rest->data += used;
	rest->len -= used;
	return w;
}

static bool
parse_number(struct bytes text, uint64_t *out)
{
	uint64_t v = 0;
	/* One way only to write a number, or one signed line could be written in two ways. */
	if (text.len == 0 || text.len > 20 || (text.len > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

bool
ledger_parse(struct bytes line, struct store_statement *st)
{
	*st = (struct store_statement){ 0 };
	/* As with numbers. */
	for (size_t i = 0; i < line.len; i++) {
		if (line.data[i] >= 'A' && line.data[i] <= 'F')
			return false;
	}
	struct bytes kind = word(&line);
	size_t k = 0;
	while (k < COUNT_OF(kinds) && !bytes_is(kind, kinds[k].word))
		k++;
	if (k == COUNT_OF(kinds))
		return false;
	st->kind = (enum store_statement_kind)k;
	for (size_t i = 0; i < kinds[k].field_count; i++) {
		struct place p = place_of(st, kinds[k].fields[i]);
		struct bytes text = word(&line);
		if (p.number != NULL ? !parse_number(text, p.number)
				     : !crypto_unhex(text, p.hash, SHA256_BYTES))
			return false;
	}
	struct bytes key = word(&line);
	return crypto_unhex(key, st->key, sizeof st->key) &&
		crypto_unhex(line, st->signature, sizeof st->signature);
}

/* The line without signature and newline: what is signed after the prefix. */
static void
put_claim(struct buf *out, const struct store_statement *st)
{
	struct store_statement copy = *st;
	const struct kind *k = &kinds[st->kind];
	buf_put_str(out, k->word);
	for (size_t i = 0; i < k->field_count; i++) {
		struct place p = place_of(&copy, k->fields[i]);
		buf_put_char(out, ' ');
		if (p.number != NULL)
			buf_printf(out, "%" PRIu64, *p.number);
		else
			buf_put_hex(out, p.hash, SHA256_BYTES);
	}
	buf_put_char(out, ' ');
	buf_put_hex(out, st->key, sizeof st->key);
}

void
ledger_put_line(struct buf *out, const struct store_statement *st)
{
	put_claim(out, st);
	buf_put_char(out, ' ');
	buf_put_hex(out, st->signature, sizeof st->signature);
	buf_put_char(out, '\n');
}

/* What is signed: prefix, log id in hexadecimal, newline, the line up to the key. */
static void
put_message(struct buf *out, const unsigned char log_id[STORE_LOG_ID_BYTES],
	const struct store_statement *st)
{
	buf_put_str(out, PREFIX);
	buf_put_hex(out, log_id, STORE_LOG_ID_BYTES);
	buf_put_char(out, '\n');
	put_claim(out, st);
}

bool
ledger_signed(const unsigned char log_id[STORE_LOG_ID_BYTES], const struct store_statement *st)
{
	struct buf message = buf_new(LINE_BYTES_MAX);
	put_message(&message, log_id, st);
	bool good = crypto_ed25519_verify(st->key, buf_bytes(&message), st->signature);
	buf_free(&message);
	return good;
}

/* ---- reading ---- */

enum rc
ledger_read(const char *dir, struct arena *a, struct ledger_view *v, struct err *e)
{
	char *path = dir_path(dir, LEDGER_NAME);
	struct bytes text;
	*v = (struct ledger_view){ 0 };
	enum rc rc = fs_read(path, FILE_BYTES_MAX, a, &text, e);
	size_t title = strlen(TITLE);
	if (rc == RC_OK && (text.len < title || memcmp(text.data, TITLE, title) != 0))
		rc = err_set(e, RC_CORRUPT, "log.checkpoints", "%s is no file of checkpoints of this format",
			path);
	free(path);
	if (rc != RC_OK)
		return rc;
	size_t lines = 0;
	for (size_t i = title; i < text.len; i++)
		lines += text.data[i] == '\n';
	struct store_statement *found = arena_alloc(a, (lines + 1) * sizeof *found);
	/* A line that says nothing is only damage when a good one follows: of an append the power cut short
	 * the end, with the newline, may have reached the disk without the beginning. */
	size_t at = title, good = title, pending = 0;
	while (at < text.len) {
		const unsigned char *end = memchr(text.data + at, '\n', text.len - at);
		if (end == NULL)
			break;
		struct bytes line = { text.data + at, (size_t)(end - text.data) - at };
		at += line.len + 1;
		if (ledger_parse(line, &found[v->count])) {
			v->bad_lines += pending;
			pending = 0;
			good = at;
			found[v->count].line = v->count + v->bad_lines + 2;
			v->count++;
		} else {
			pending++;
		}
	}
	v->statements = found;
	v->good_bytes = good;
	v->torn = good < text.len;
	return RC_OK;
}

/* ---- writing ---- */

static enum rc
open_file(struct ledger *l, const char *dir, const struct ledger_view *v, struct err *e)
{
	char *path = dir_path(dir, LEDGER_NAME);
	enum rc rc = RC_OK;
	l->fd = open(path, O_WRONLY | O_CLOEXEC);
	if (l->fd < 0)
		rc = err_sys(e, RC_IO, "data-dir.unwritable", errno, "open %s", path);
	l->bytes = v->good_bytes;
	if (rc == RC_OK && v->torn && ftruncate(l->fd, (off_t)l->bytes) != 0)
		rc = err_sys(e, RC_IO, "log.failed", errno, "cut a torn line off %s", path);
	/* What a killed writer appended may not have left the page cache, and is believed from now on. */
	if (rc == RC_OK && fdatasync(l->fd) != 0)
		rc = err_sys(e, RC_IO, "log.failed", errno, "sync %s", path);
	free(path);
	return rc;
}

/* The key the statements so far speak for, the last one named; NULL: none. */
static const unsigned char *
current_key(const struct ledger_view *v)
{
	for (size_t i = v->count; i-- > 0;) {
		if (v->statements[i].kind == STORE_KEY)
			return v->statements[i].new_key;
	}
	return NULL;
}

enum rc
ledger_open(struct ledger **out, const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES],
	struct arena *a, struct ledger_view *v, struct err *e)
{
	struct ledger *l = base_zalloc(sizeof *l);
	*out = NULL;
	l->fd = -1;
	l->dir = base_strdup(dir);
	memcpy(l->log_id, log_id, STORE_LOG_ID_BYTES);
	enum rc rc = ledger_read(dir, a, v, e);
	if (rc == RC_NOTFOUND) {
		char *path = dir_path(dir, LEDGER_NAME);
		rc = fs_write(path, bytes_str(TITLE), 0640, e);
		free(path);
		*v = (struct ledger_view){ .good_bytes = strlen(TITLE) };
	}
	if (rc == RC_OK)
		rc = signkey_settle(dir, current_key(v), e);
	if (rc == RC_OK)
		rc = signkey_load(dir, l->key, e);
	if (rc == RC_OK) {
		crypto_ed25519_public(l->key, l->public_key);
		rc = open_file(l, dir, v, e);
	}
	if (rc != RC_OK) {
		ledger_close(l);
		return rc;
	}
	*out = l;
	return RC_OK;
}

enum rc
ledger_introduce(struct ledger *l, const struct ledger_view *v, struct err *e)
{
	struct store_statement st = { .kind = STORE_KEY };
	const unsigned char *known = current_key(v);
	if (known != NULL && memcmp(known, l->public_key, sizeof l->public_key) == 0)
		return RC_OK;
	memcpy(st.new_key, l->public_key, sizeof st.new_key);
	enum rc rc = ledger_append(l, &st, e);
	if (rc == RC_OK && known != NULL)
		LOG_WARN("log.checkpoints",
			F_S("note", "checkpoints are signed with another key from now on; tell those who "
				    "check them"));
	return rc;
}

void
ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	crypto_wipe(l->key, sizeof l->key);
	free(l->dir);
	free(l);
}

enum rc
ledger_append(struct ledger *l, struct store_statement *st, struct err *e)
{
	struct buf text = buf_new(LINE_BYTES_MAX);
	enum rc rc = RC_OK;
	st->at_us = (uint64_t)clock_now_us();
	memcpy(st->key, l->public_key, sizeof st->key);
	put_message(&text, l->log_id, st);
	crypto_ed25519_sign(l->key, buf_bytes(&text), st->signature);
	buf_clear(&text);
	ledger_put_line(&text, st);
	ASSERT(!text.overflow);
	for (size_t done = 0; done < text.len;) {
		ssize_t n = pwrite(l->fd, text.data + done, text.len - done, (off_t)(l->bytes + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = err_sys(e, errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_IO,
				"log.checkpoints", errno, "write a checkpoint");
			break;
		}
		done += (size_t)n;
	}
	if (rc == RC_OK && fdatasync(l->fd) != 0)
		rc = err_sys(e, RC_IO, "log.checkpoints", errno, "sync a checkpoint");
	if (rc == RC_OK)
		l->bytes += text.len;
	else if (ftruncate(l->fd, (off_t)l->bytes) != 0)
		err_wrap(e, "a part of a line was left behind");
	buf_free(&text);
	return rc;
}

enum rc
ledger_rotate(struct ledger *l, struct err *e)
{
	unsigned char key[ED25519_KEY_BYTES] = { 0 };
	struct store_statement st = { .kind = STORE_KEY };
	enum rc rc = signkey_make_next(l->dir, key, e);
	if (rc == RC_OK) {
		crypto_ed25519_public(key, st.new_key);
		rc = ledger_append(l, &st, e);
	}
	/* From here on it is the key, whatever its file is called. */
	if (rc == RC_OK) {
		memcpy(l->key, key, sizeof l->key);
		memcpy(l->public_key, st.new_key, sizeof l->public_key);
		rc = signkey_take_next(l->dir, e);
	}
	crypto_wipe(key, sizeof key);
	return rc;
}

bool
ledger_current(const struct ledger *l, const struct store_statement *st)
{
	return memcmp(st->key, l->public_key, sizeof l->public_key) == 0;
}

static int
by_segment(const void *a, const void *b)
{
	const struct store_statement *x = *(const struct store_statement *const *)a,
				     *y = *(const struct store_statement *const *)b;
	return x->first_seq != y->first_seq ? (x->first_seq > y->first_seq) - (x->first_seq < y->first_seq)
					    : (x->line > y->line) - (x->line < y->line);
}

enum rc
ledger_renew_seals(struct ledger *l, bool (*stop)(void *context), void *context, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct ledger_view v;
	enum rc rc = ledger_read(l->dir, a, &v, e);
	const struct store_statement **seals = arena_alloc(a, (v.count + 1) * sizeof *seals);
	size_t count = 0;
	for (size_t i = 0; rc == RC_OK && i < v.count; i++) {
		if (v.statements[i].kind == STORE_SEAL)
			seals[count++] = &v.statements[i];
	}
	qsort(seals, count, sizeof *seals, by_segment);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct store_statement st = *seals[i];
		bool newest = i + 1 == count || seals[i + 1]->first_seq != st.first_seq;
		if (!newest || ledger_current(l, &st) || !ledger_signed(l->log_id, &st))
			continue;
		rc = stop(context) ? err_set(e, RC_AGAIN, NULL, "stopped while renewing seals")
				   : ledger_append(l, &st, e);
	}
	arena_free(a);
	return rc;
}

enum rc
store_statements(const char *dir, struct arena *a, const struct store_statement **statements,
	size_t *count, struct err *e)
{
	struct ledger_view v;
	*statements = NULL;
	*count = 0;
	enum rc rc = ledger_read(dir, a, &v, e);
	if (rc == RC_OK) {
		*statements = v.statements;
		*count = v.count;
	}
	return rc;
}

bool
store_statement_signed(const unsigned char log_id[STORE_LOG_ID_BYTES], const struct store_statement *st)
{
	return ledger_signed(log_id, st);
}
