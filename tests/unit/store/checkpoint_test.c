/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

#include "base/clock.h"
#include "base/fs.h"
#include "store/ledger.h"
#include "store/ops.h"
#include "store/signkey.h"

/* Covers: store/keeper.h
 * Sealed segments, signed checkpoints, and what verify makes of them. */

#define EVENTS 40

static char *
path_in(const char *dir, const char *name)
{
	static char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void
fill(const char *dir, uint64_t segment_bytes_max, unsigned seed)
{
	struct store *s = helper_open_with(
		(struct store_options){ .dir = dir, .segment_bytes_max = segment_bytes_max });
	for (unsigned i = 0; i < EVENTS; i++) {
		char delivery[32];
		unsigned char *noise = helper_noise(3000, i + seed);
		snprintf(delivery, sizeof delivery, "d%u", i);
		helper_append_bytes(s, delivery, (struct bytes){ noise, 3000 });
		free(noise);
	}
	store_close(s);
}

struct tally {
	unsigned errors, warnings;
	char first[256];
};

static void
count_error(uint64_t seq, const char *text, void *context)
{
	struct tally *t = context;
	if (t->errors++ == 0)
		snprintf(t->first, sizeof t->first, "%" PRIu64 ": %s", seq, text);
}

static void
count_warning(uint64_t seq, const char *text, void *context)
{
	struct tally *t = context;
	(void)seq;
	if (t->warnings++ == 0 && t->errors == 0)
		snprintf(t->first, sizeof t->first, "%s", text);
}

/* What verify finds, in a child of its own. */
static struct tally
verify(const char *dir, const unsigned char *key)
{
	int fds[2], status;
	struct tally t = { .errors = 99 };
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct tally mine = { 0 };
		struct store_verify_report report;
		struct err e = { .text = "" };
		const struct store_verify_options options = { .dir = dir, .key = key,
			.found = count_error, .warned = count_warning, .context = &mine };
		enum rc rc = store_verify_with(&options, &report, &e);
		bool right = (rc == RC_CORRUPT) == (mine.errors > 0) && mine.errors == report.error_count &&
			mine.warnings == report.warning_count && (rc == RC_OK || rc == RC_CORRUPT);
		_exit(right && write(fds[1], &mine, sizeof mine) == (ssize_t)sizeof mine ? 0 : 1);
	}
	close(fds[1]);
	assert_true(read(fds[0], &t, sizeof t) == (ssize_t)sizeof t);
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
	return t;
}

static void
assert_found(const char *dir, const unsigned char *key, const char *part)
{
	struct tally t = verify(dir, key);
	if (t.errors == 0 || strstr(t.first, part) == NULL)
		fail_msg("%u errors, first \"%s\", expected \"%s\"", t.errors, t.first, part);
}

static void
assert_sound(const char *dir, unsigned warnings)
{
	struct tally t = verify(dir, NULL);
	if (t.errors != 0 || t.warnings != warnings)
		fail_msg("%u errors, %u warnings: %s", t.errors, t.warnings, t.first);
}

static size_t
statements_of(const char *dir, struct arena *a, const struct store_statement **st)
{
	size_t count;
	struct err e;
	assert_int_equal(store_statements(dir, a, st, &count, &e), RC_OK);
	return count;
}

/* The log's id, read by its own reader. */
static void
log_id_of(const char *dir, unsigned char id[STORE_LOG_ID_BYTES])
{
	struct store_reader *r;
	struct store_span span;
	struct err e;
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_span(r, &span, &e), RC_OK);
	memcpy(id, span.log_id, sizeof span.log_id);
	store_reader_close(r);
}

static void
copy_file(const char *from_dir, const char *to_dir, const char *name)
{
	struct arena *a = arena_new(4096);
	struct bytes text;
	struct err e;
	assert_int_equal(fs_read(path_in(from_dir, name), (size_t)64 << 20, a, &text, &e), RC_OK);
	unlink(path_in(to_dir, name));
	assert_int_equal(fs_write(path_in(to_dir, name), text, 0640, &e), RC_OK);
	arena_free(a);
}

static void
finished_segments_are_sealed(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	struct stat file;
	fill(dir, 20000, 0);
	const struct store_statement *st;
	const struct store_segment_stat *segments;
	size_t count = statements_of(dir, a, &st), segment_count, sealed = 0;
	unsigned char id[STORE_LOG_ID_BYTES];
	struct store_reader *r;
	struct err e;
	log_id_of(dir, id);
	assert_int_equal(store_reader_open(&r, dir, &e), RC_OK);
	assert_int_equal(store_segments(r, a, &segments, &segment_count, &e), RC_OK);
	assert_true(segment_count >= 4);
	assert_int_equal(st[0].kind, STORE_KEY);
	for (size_t i = 0; i < count; i++) {
		assert_true(store_statement_signed(id, &st[i]));
		if (st[i].kind != STORE_SEAL)
			continue;
		const struct store_segment_stat *seg = &segments[sealed++];
		const struct store_record *records;
		size_t n;
		assert_true(st[i].first_seq == seg->first_seq && st[i].seq == seg->last_seq);
		assert_true(st[i].count == seg->last_seq - seg->first_seq + 1);
		assert_true((int64_t)st[i].first_at_us == seg->first_at_us);
		assert_true((int64_t)st[i].last_at_us == seg->last_at_us);
		assert_int_equal(store_read(r, seg->last_seq, 1, 1, a, &records, &n, &e), RC_OK);
		assert_memory_equal(records[0].chain, st[i].chain, STORE_CHAIN_BYTES);
		assert_true(st[i].file_bytes == seg->file_bytes);
		assert_int_equal(stat(path_in(dir, seg->name), &file), 0);
		assert_int_equal(file.st_mode & 0777, 0440);
	}
	assert_int_equal(sealed, segment_count - 1);
	store_reader_close(r);
	for (size_t i = 0; i < segment_count; i++) {
		struct bytes text;
		unsigned char hash[SHA256_BYTES];
		assert_int_equal(
			fs_read(path_in(dir, segments[i].name), (size_t)64 << 20, a, &text, &e), RC_OK);
		crypto_sha256(text, hash);
		bool found = false;
		for (size_t j = 0; j < count; j++)
			found = found || memcmp(hash, st[j].file_sha256, sizeof hash) == 0;
		assert_int_equal(found, i + 1 < segment_count);
	}
	assert_true(st[count - 1].seq == EVENTS); /* the last word at close covers everything */
	assert_int_equal(stat(path_in(dir, SIGNKEY_NAME), &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	assert_sound(dir, 0);
	arena_free(a);
	helper_remove(dir);
}

/* What a kill between rolling and sealing leaves, and an older version without seals. */
static void
sealing_is_made_up_for(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	const struct store_statement *st, *again;
	fill(dir, 20000, 0);
	size_t count = statements_of(dir, a, &st), seals = 0, seals_again = 0;
	for (size_t i = 0; i < count; i++) {
		char name[32];
		if (st[i].kind != STORE_SEAL)
			continue;
		seals++;
		snprintf(name, sizeof name, "%020" PRIu64 ".mdb", st[i].first_seq);
		assert_int_equal(chmod(path_in(dir, name), 0640), 0);
	}
	assert_int_equal(unlink(path_in(dir, LEDGER_NAME)), 0);
	assert_sound(dir, (unsigned)seals + 1);
	/* A stop right after the start may leave some for the start after it. */
	for (int i = 0; i < 10; i++)
		store_close(helper_open(dir));
	size_t count_again = statements_of(dir, a, &again);
	for (size_t i = 0; i < count_again; i++) {
		for (size_t j = 0; j < count; j++)
			seals_again += again[i].kind == STORE_SEAL && st[j].kind == STORE_SEAL &&
				again[i].seq == st[j].seq &&
				memcmp(again[i].root, st[j].root, SHA256_BYTES) == 0 &&
				memcmp(again[i].file_sha256, st[j].file_sha256, SHA256_BYTES) == 0;
	}
	assert_int_equal(seals_again, seals);
	assert_sound(dir, 0);
	arena_free(a);
	helper_remove(dir);
}

static void
a_sealed_segment_is_never_written_again(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	const struct store_statement *st, *last = NULL;
	struct store_options options = { .dir = dir };
	struct store *s;
	struct err e;
	fill(dir, 20000, 0);
	size_t count = statements_of(dir, a, &st);
	for (size_t i = 0; i < count; i++) {
		if (st[i].kind == STORE_SEAL)
			last = &st[i];
	}
	assert_non_null(last);
	char name[32];
	snprintf(name, sizeof name, "%020" PRIu64 ".mdb", last->seq + 1);
	assert_int_equal(unlink(path_in(dir, name)), 0);
	assert_int_equal(unlink(path_in(dir, "head")), 0);
	assert_found(dir, NULL, "signed, but the log ends before it");
	assert_int_equal(store_open(&s, &options, &e), RC_CORRUPT);
	assert_string_equal(e.id, "log.lost-tail");
	assert_int_equal(unlink(path_in(dir, LEDGER_NAME)), 0);
	s = helper_open(dir);
	assert_true(helper_append(s, "new", "x") == last->seq + 1);
	store_close(s);
	struct bytes text;
	unsigned char hash[SHA256_BYTES];
	snprintf(name, sizeof name, "%020" PRIu64 ".mdb", last->first_seq);
	assert_int_equal(fs_read(path_in(dir, name), (size_t)64 << 20, a, &text, &e), RC_OK);
	crypto_sha256(text, hash);
	assert_memory_equal(hash, last->file_sha256, sizeof hash);
	arena_free(a);
	helper_remove(dir);
}

/* Somebody rewrites history with checksums and chain all right: by our own writer, for a log of the same
 * id. Without the key only the signatures are missing. */
static void
rewritten_history_is_found(void **state)
{
	(void)state;
	static const uint64_t segment_bytes[] = { 0, 20000 };
	for (size_t i = 0; i < COUNT_OF(segment_bytes); i++) {
		char *dir = helper_dir(), *forged = helper_dir();
		struct arena *a = arena_new(4096);
		const struct store_statement *st;
		struct store_options options = { .dir = forged };
		struct store *s;
		struct err e;
		fill(dir, segment_bytes[i], 0);
		copy_file(dir, forged, "LOG");
		fill(forged, segment_bytes[i], 500);
		assert_sound(forged, 0); /* in itself it is perfect */
		statements_of(dir, a, &st);
		/* Signed with another key: found by whoever knows the right one. */
		assert_int_equal(verify(dir, st[0].key).errors, 0);
		assert_found(forged, st[0].key, "no checkpoint goes back to the given key");
		/* With the true statements, which cannot be made anew. */
		copy_file(dir, forged, LEDGER_NAME);
		assert_found(forged, NULL, "history was rewritten");
		assert_int_equal(store_open(&s, &options, &e), RC_CORRUPT);
		assert_string_equal(e.id, "log.rewritten");
		/* Without any: the given key tells. */
		assert_int_equal(unlink(path_in(forged, LEDGER_NAME)), 0);
		assert_found(forged, st[0].key, "there are no signed checkpoints");
		arena_free(a);
		helper_remove(dir);
		helper_remove(forged);
	}
}

/* Any change of a digit anywhere in the file is found, and none of them stops the writer. */
static void
statements_cannot_be_edited(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	struct bytes text;
	struct err e;
	fill(dir, 60000, 0);
	assert_int_equal(fs_read(path_in(dir, LEDGER_NAME), 1 << 20, a, &text, &e), RC_OK);
	const size_t title = strlen("hooklog checkpoints 1\n");
	for (size_t at = title; at < text.len; at += 37) {
		unsigned char *changed = arena_alloc(a, text.len);
		memcpy(changed, text.data, text.len);
		unsigned char c = changed[at];
		changed[at] = c == '\n' ? ' ' : c == ' ' ? '0' : c == '1' ? '2' : '1';
		assert_int_equal(
			fs_write(path_in(dir, LEDGER_NAME), (struct bytes){ changed, text.len }, 0640, &e),
			RC_OK);
		if (verify(dir, NULL).errors == 0 && (at + 1 < text.len || c != '\n'))
			fail_msg("byte %zu was changed and nobody noticed", at);
	}
	/* Lines taken out, but for the last one, which nobody can miss. */
	const unsigned char *first_end = memchr(text.data + title, '\n', text.len - title);
	size_t cut = (size_t)(first_end - text.data) + 1;
	unsigned char *without = arena_alloc(a, text.len);
	memcpy(without, text.data, title);
	memcpy(without + title, text.data + cut, text.len - cut);
	assert_int_equal(fs_write(path_in(dir, LEDGER_NAME),
				 (struct bytes){ without, text.len - cut + title }, 0640, &e),
		RC_OK);
	assert_found(dir, NULL, "not introduced");
	arena_free(a);
	helper_remove(dir);
}

/* Somebody with the key signs what is not so; each field is held against the records by itself. */
static void
every_field_of_a_statement_is_checked(void **state)
{
	(void)state;
	static const char *const wanted[] = { "history was rewritten", "hash tree", "dictionaries up to here",
		"does not end with the record", "times of the segment", "times of the segment",
		"file is not the one", "file is not the one", "part of another segment" };
	char *dir = helper_dir(), *kept = helper_dir();
	struct arena *a = arena_new(4096);
	unsigned char id[STORE_LOG_ID_BYTES];
	struct err e;
	fill(dir, 20000, 0);
	log_id_of(dir, id);
	copy_file(dir, kept, LEDGER_NAME);
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		const struct store_statement *st;
		struct ledger *l;
		struct ledger_view v;
		copy_file(kept, dir, LEDGER_NAME);
		size_t count = statements_of(dir, a, &st), n = 0;
		while (n < count && (st[n].kind != STORE_SEAL || st[n].first_seq == 1))
			n++;
		assert_true(n < count);
		struct store_statement wrong = st[n];
		switch (i) {
		case 0: wrong.chain[5] ^= 1; break;
		case 1: wrong.root[5] ^= 1; break;
		case 2: wrong.dicts[5] ^= 1; break;
		case 3: wrong.count++; break;
		case 4: wrong.first_at_us++; break;
		case 5: wrong.last_at_us++; break;
		case 6: wrong.file_bytes++; break;
		case 7: wrong.file_sha256[5] ^= 1; break;
		default: wrong.first_seq++; break;
		}
		assert_int_equal(ledger_open(&l, dir, id, a, &v, &e), RC_OK);
		assert_int_equal(ledger_append(l, &wrong, &e), RC_OK);
		ledger_close(l);
		assert_found(dir, NULL, wanted[i]);
	}
	copy_file(kept, dir, LEDGER_NAME);
	assert_sound(dir, 0);
	arena_free(a);
	helper_remove(dir);
	helper_remove(kept);
}

static void
a_torn_line_is_cut_off(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	const struct store_statement *st;
	struct stat before, torn;
	fill(dir, 0, 0);
	assert_int_equal(stat(path_in(dir, LEDGER_NAME), &before), 0);
	for (off_t lost = 1; lost < 100; lost += 7) {
		assert_int_equal(truncate(path_in(dir, LEDGER_NAME), before.st_size - lost), 0);
		assert_sound(dir, 1);
		store_close(helper_open(dir));
		assert_int_equal(stat(path_in(dir, LEDGER_NAME), &torn), 0);
		assert_true(torn.st_size == before.st_size); /* signed anew at close */
		assert_sound(dir, 0);
	}
	size_t count = statements_of(dir, a, &st);
	assert_true(st[count - 1].seq == EVENTS);
	arena_free(a);
	helper_remove(dir);
}

static void
a_new_key_is_told(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	const struct store_statement *st;
	unsigned char first[ED25519_KEY_BYTES];
	struct err e;
	fill(dir, 0, 0);
	statements_of(dir, a, &st);
	memcpy(first, st[0].key, sizeof first);
	assert_int_equal(unlink(path_in(dir, SIGNKEY_NAME)), 0);
	struct store *s = helper_open(dir);
	helper_append(s, "more", "x");
	store_close(s);
	size_t count = statements_of(dir, a, &st);
	assert_memory_not_equal(st[count - 1].key, first, sizeof first);
	assert_sound(dir, 1);
	assert_found(dir, first, "does not go back to the given key");
	/* Who is told the new key knows by it everything before, since it signed the end. */
	assert_int_equal(verify(dir, st[count - 1].key).errors, 0);
	/* A key file that is none is refused rather than replaced. */
	assert_int_equal(fs_write(path_in(dir, SIGNKEY_NAME), bytes_str("x\n"), 0600, &e), RC_OK);
	struct store_options options = { .dir = dir };
	assert_int_equal(store_open(&s, &options, &e), RC_INVALID);
	assert_string_equal(e.id, "log.checkpoints");
	arena_free(a);
	helper_remove(dir);
}

static void
rotate_key(const char *dir)
{
	const struct store_options options = { .dir = dir };
	struct store_appender *appender;
	struct err e = { .text = "" };
	if (store_appender_open(&appender, &options, &e) != RC_OK ||
		store_appender_rotate_key(appender, &e) != RC_OK)
		fail_msg("%s", e.text);
	store_appender_close(appender);
}

/* The keys of the log in the order of their lines. */
static size_t
keys_of(const char *dir, struct arena *a, unsigned char (*keys)[ED25519_KEY_BYTES], size_t room)
{
	const struct store_statement *st;
	size_t count = statements_of(dir, a, &st), n = 0;
	for (size_t i = 0; i < count; i++) {
		if (st[i].kind == STORE_KEY && n < room)
			memcpy(keys[n++], st[i].new_key, ED25519_KEY_BYTES);
	}
	return n;
}

/* The old key signs the new one, and whoever has either can check all of the log. */
static void
a_key_is_followed_by_another(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	unsigned char keys[8][ED25519_KEY_BYTES];
	const struct store_statement *st;
	struct stat file;
	struct bytes old_key;
	struct err e;
	fill(dir, 20000, 0);
	assert_int_equal(fs_read(path_in(dir, SIGNKEY_NAME), 100, a, &old_key, &e), RC_OK);
	rotate_key(dir);
	rotate_key(dir);
	struct store *s = helper_open(dir);
	helper_append(s, "more", "x");
	store_close(s);
	assert_int_equal(keys_of(dir, a, keys, COUNT_OF(keys)), 3);
	assert_memory_not_equal(keys[0], keys[1], ED25519_KEY_BYTES);
	assert_sound(dir, 0);
	for (size_t i = 0; i < 3; i++) {
		struct tally t = verify(dir, keys[i]);
		if (t.errors != 0 || t.warnings != 0)
			fail_msg("key %zu: %s", i, t.first);
	}
	assert_int_equal(stat(path_in(dir, SIGNKEY_NAME), &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	assert_int_equal(access(path_in(dir, SIGNKEY_NEXT_NAME), F_OK), -1);
	/* Every segment's newest seal is the new key's, and a start adds nothing. */
	size_t count = statements_of(dir, a, &st), newest = 0;
	for (size_t i = 0; i < count; i++) {
		size_t later = i + 1;
		while (later < count &&
			!(st[later].kind == STORE_SEAL && st[later].first_seq == st[i].first_seq))
			later++;
		if (st[i].kind != STORE_SEAL || later < count)
			continue;
		assert_memory_equal(st[i].key, keys[2], ED25519_KEY_BYTES);
		newest++;
	}
	assert_true(newest >= 4);
	store_close(helper_open(dir));
	assert_int_equal(statements_of(dir, a, &st), count);
	/* The old key's file, put back, has not signed the line that would bring it back. */
	assert_int_equal(fs_write(path_in(dir, SIGNKEY_NAME), old_key, 0600, &e), RC_OK);
	store_close(helper_open(dir));
	assert_sound(dir, 1);
	assert_found(dir, keys[2], "does not go back to the given key");
	arena_free(a);
	helper_remove(dir);
}

/* What crashes leave of a change of the key. */
static void
a_change_of_the_key_is_finished_or_undone(void **state)
{
	(void)state;
	char *dir = helper_dir(), *copy = helper_dir();
	struct arena *a = arena_new(4096);
	unsigned char keys[8][ED25519_KEY_BYTES];
	fill(dir, 0, 0);
	/* Before the ledger's line: nobody has heard of the next key. */
	copy_file(dir, copy, SIGNKEY_NAME);
	struct err e;
	unsigned char next[ED25519_KEY_BYTES];
	assert_int_equal(signkey_make_next(dir, next, &e), RC_OK);
	store_close(helper_open(dir));
	assert_int_equal(access(path_in(dir, SIGNKEY_NEXT_NAME), F_OK), -1);
	assert_int_equal(keys_of(dir, a, keys, COUNT_OF(keys)), 1);
	assert_sound(dir, 0);
	/* Behind it, before the new file has the old one's name. */
	rotate_key(dir);
	struct bytes new_key;
	assert_int_equal(fs_read(path_in(dir, SIGNKEY_NAME), 100, a, &new_key, &e), RC_OK);
	assert_int_equal(fs_write(path_in(dir, SIGNKEY_NEXT_NAME), new_key, 0600, &e), RC_OK);
	copy_file(copy, dir, SIGNKEY_NAME);
	store_close(helper_open(dir));
	assert_int_equal(access(path_in(dir, SIGNKEY_NEXT_NAME), F_OK), -1);
	assert_int_equal(keys_of(dir, a, keys, COUNT_OF(keys)), 2);
	assert_sound(dir, 0);
	assert_int_equal(verify(dir, keys[0]).errors, 0);
	/* Half a file says nothing. */
	assert_int_equal(fs_write(path_in(dir, SIGNKEY_NEXT_NAME), bytes_str("12"), 0600, &e), RC_OK);
	store_close(helper_open(dir));
	assert_int_equal(access(path_in(dir, SIGNKEY_NEXT_NAME), F_OK), -1);
	assert_int_equal(keys_of(dir, a, keys, COUNT_OF(keys)), 2);
	arena_free(a);
	helper_remove(dir);
	helper_remove(copy);
}

static void
checkpoints_come_while_events_do(void **state)
{
	(void)state;
	char *dir = helper_dir();
	struct arena *a = arena_new(4096);
	const struct store_statement *st;
	struct store *s =
		helper_open_with((struct store_options){ .dir = dir, .checkpoint_interval_s = 1 });
	uint64_t wanted[] = { helper_append(s, "a", "x"), 0 };
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		if (i > 0)
			wanted[i] = helper_append(s, "b", "y");
		size_t count;
		int64_t deadline_ms = clock_monotonic_ms() + 60000;
		do {
			clock_sleep_ms(20);
			arena_reset(a);
			count = statements_of(dir, a, &st);
		} while (st[count - 1].seq != wanted[i] && clock_monotonic_ms() < deadline_ms);
		assert_true(st[count - 1].kind == STORE_CHECKPOINT && st[count - 1].seq == wanted[i]);
	}
	size_t before = statements_of(dir, a, &st);
	store_close(s);
	assert_int_equal(statements_of(dir, a, &st), before); /* nothing new to sign */
	assert_sound(dir, 0);
	arena_free(a);
	helper_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finished_segments_are_sealed),
		cmocka_unit_test(sealing_is_made_up_for),
		cmocka_unit_test(a_sealed_segment_is_never_written_again),
		cmocka_unit_test(rewritten_history_is_found),
		cmocka_unit_test(statements_cannot_be_edited),
		cmocka_unit_test(every_field_of_a_statement_is_checked),
		cmocka_unit_test(a_torn_line_is_cut_off),
		cmocka_unit_test(a_new_key_is_told),
		cmocka_unit_test(a_key_is_followed_by_another),
		cmocka_unit_test(a_change_of_the_key_is_finished_or_undone),
		cmocka_unit_test(checkpoints_come_while_events_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
