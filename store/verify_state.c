/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "store/dir.h"
#include "store/verify_state.h"

#define TITLE "hooklog verify 1"
#define FILE_BYTES_MAX ((size_t)64 << 20)
#define HEX (2 * SHA256_BYTES)

bool
verify_state_file(const char *dir, uint64_t first_seq, struct verify_done *d)
{
	char name[DIR_NAME_BYTES];
	struct stat st;
	dir_segment_name(first_seq, name);
	char *path = dir_path(dir, name);
	bool there = stat(path, &st) == 0;
	free(path);
	if (!there)
		return false;
	d->first_seq = first_seq;
	d->file_bytes = (uint64_t)st.st_size;
	/* ctime, which nobody can set back. */
	d->changed_us = (int64_t)st.st_ctim.tv_sec * 1000000 + st.st_ctim.tv_nsec / 1000;
	return true;
}

static bool
parse_line(const char *line, struct verify_done *d)
{
	char prev[HEX + 1], chain[HEX + 1];
	struct store_verify_report *r = &d->report;
	*d = (struct verify_done){ 0 };
	return sscanf(line,
		       "%" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		       " %" SCNu64 " %64s %64s",
		       &d->first_seq, &d->file_bytes, &d->changed_us, &r->last_seq, &r->checked_events,
		       &r->checked_bytes, &r->statements, &r->owned, prev, chain) == 10 &&
		crypto_unhex(bytes_str(prev), r->prev_chain, STORE_CHAIN_BYTES) &&
		crypto_unhex(bytes_str(chain), r->chain, STORE_CHAIN_BYTES);
}

enum rc
verify_state_read(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES], struct arena *a,
	const struct verify_done **done, size_t *count, struct err *e)
{
	struct bytes text;
	struct buf title = buf_new(128);
	*done = NULL;
	*count = 0;
	enum rc rc = fs_read(path, FILE_BYTES_MAX, a, &text, e);
	if (rc != RC_OK) {
		buf_free(&title);
		return rc == RC_NOTFOUND ? RC_OK : rc;
	}
	buf_put_str(&title, TITLE " ");
	buf_put_hex(&title, log_id, STORE_LOG_ID_BYTES);
	buf_put_char(&title, '\n');
	bool ours = text.len >= title.len && memcmp(text.data, title.data, title.len) == 0;
	size_t at = title.len, lines = 0;
	buf_free(&title);
	if (!ours)
		return RC_OK;
	for (size_t i = at; i < text.len; i++)
		lines += text.data[i] == '\n';
	struct verify_done *found = arena_alloc(a, (lines + 1) * sizeof *found);
	while (at < text.len) {
		const unsigned char *end = memchr(text.data + at, '\n', text.len - at);
		if (end == NULL)
			break;
		size_t len = (size_t)(end - text.data) - at;
		const char *line = arena_string(a, (struct bytes){ text.data + at, len });
		if (parse_line(line, &found[*count]))
			++*count;
		at += len + 1;
	}
	*done = found;
	return RC_OK;
}

enum rc
verify_state_write(const char *path, const unsigned char log_id[STORE_LOG_ID_BYTES],
	const struct verify_done *done, size_t count, struct err *e)
{
	struct buf text = buf_new(FILE_BYTES_MAX);
	buf_put_str(&text, TITLE " ");
	buf_put_hex(&text, log_id, STORE_LOG_ID_BYTES);
	buf_put_char(&text, '\n');
	for (size_t i = 0; i < count; i++) {
		const struct store_verify_report *r = &done[i].report;
		buf_printf(&text,
			"%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			" %" PRIu64 " ",
			done[i].first_seq, done[i].file_bytes, done[i].changed_us, r->last_seq,
			r->checked_events, r->checked_bytes, r->statements, r->owned);
		buf_put_hex(&text, r->prev_chain, STORE_CHAIN_BYTES);
		buf_put_char(&text, ' ');
		buf_put_hex(&text, r->chain, STORE_CHAIN_BYTES);
		buf_put_char(&text, '\n');
	}
	enum rc rc = text.overflow ? RC_OK : fs_write(path, buf_bytes(&text), 0640, e);
	buf_free(&text);
	return rc;
}
