/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "store/dir.h"
#include "store/manifest.h"
#include "store/signkey.h"

/* Some 200 bytes per segment. */
#define MANIFEST_BYTES_MAX LIMIT_TEXT_BYTES
#define PIECE_BYTES ((size_t)1 << 18)

/* ---- writing ---- */

enum rc
manifest_write(const char *dir, const struct manifest *m, struct err *e)
{
	char made[CLOCK_TEXT_BYTES];
	unsigned char sha256[SHA256_BYTES];
	struct buf out = buf_new(MANIFEST_BYTES_MAX);
	clock_format_us(clock_now_us(), made);
	buf_printf(&out, "hooklog manifest\nformat 1\nkind %s\nlog ", m->kind);
	buf_put_hex(&out, m->log_id, sizeof m->log_id);
	buf_printf(&out, "\nmade %s\nlast_seq %" PRIu64 "\nchain ", made, m->last_seq);
	buf_put_hex(&out, m->chain, sizeof m->chain);
	buf_put_char(&out, '\n');
	for (size_t i = 0; i < m->segment_count; i++) {
		const struct manifest_segment *s = &m->segments[i];
		buf_printf(&out, "segment %" PRIu64 " %" PRIu64 " %s %" PRIu64 " %" PRId64 " ",
			s->first_seq, s->last_seq, s->sealed ? "sealed" : "open", s->bytes,
			s->mtime_ns);
		buf_put_hex(&out, s->sha256, sizeof s->sha256);
		buf_printf(&out, " %s\n", s->file);
	}
	for (size_t i = 0; i < m->file_count; i++) {
		const struct manifest_file *f = &m->files[i];
		buf_printf(&out, "file %" PRIu64 " ", f->bytes);
		buf_put_hex(&out, f->sha256, sizeof f->sha256);
		buf_printf(&out, " %s %s\n", f->file, f->name);
	}
	crypto_sha256(buf_bytes(&out), sha256);
	buf_put_str(&out, "end ");
	buf_put_hex(&out, sha256, sizeof sha256);
	buf_put_char(&out, '\n');
	char *path = dir_path(dir, MANIFEST_NAME);
	enum rc rc = out.overflow ? err_set(e, RC_FULL, NULL, "%s would have more than %zu bytes",
					    path, MANIFEST_BYTES_MAX)
				  : fs_write(path, buf_bytes(&out), 0640, e);
	free(path);
	buf_free(&out);
	return rc;
}

/* ---- reading ---- */

/* Cuts the next word off *line. */
static struct bytes
word(struct bytes *line)
{
	size_t len = 0;
	while (len < line->len && line->data[len] != ' ')
		len++;
	struct bytes w = { line->data, len };
	size_t used = len < line->len ? len + 1 : len;
	line->data += used;
	line->len -= used;
	return w;
}

static bool
take_number(struct bytes *line, uint64_t *out)
{
	struct bytes w = word(line);
	uint64_t v = 0;
	for (size_t i = 0; i < w.len; i++) {
		unsigned digit = (unsigned)(w.data[i] - '0');
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return w.len > 0;
}

/* A name without a slash: nothing outside of the folder is ever touched. */
static bool
take_name(struct bytes *line, char out[MANIFEST_FILE_BYTES])
{
	struct bytes w = word(line);
	if (w.len == 0 || w.len >= MANIFEST_FILE_BYTES || w.data[0] == '.' ||
		memchr(w.data, '/', w.len) != NULL || memchr(w.data, '\0', w.len) != NULL)
		return false;
	memcpy(out, w.data, w.len);
	out[w.len] = '\0';
	return true;
}

static bool
take_segment(struct bytes line, struct manifest_segment *s)
{
	uint64_t mtime;
	*s = (struct manifest_segment){ 0 };
	if (!take_number(&line, &s->first_seq) || !take_number(&line, &s->last_seq))
		return false;
	struct bytes state = word(&line);
	s->sealed = bytes_is(state, "sealed");
	if ((!s->sealed && !bytes_is(state, "open")) || !take_number(&line, &s->bytes) ||
		!take_number(&line, &mtime) ||
		!crypto_unhex(word(&line), s->sha256, sizeof s->sha256))
		return false;
	s->mtime_ns = (int64_t)mtime;
	return s->first_seq > 0 && s->last_seq >= s->first_seq && take_name(&line, s->file) &&
	       line.len == 0;
}

static bool
take_file(struct bytes line, struct manifest_file *f)
{
	*f = (struct manifest_file){ 0 };
	return take_number(&line, &f->bytes) &&
	       crypto_unhex(word(&line), f->sha256, sizeof f->sha256) &&
	       take_name(&line, f->file) && take_name(&line, f->name) && line.len == 0;
}

static bool
take_line(struct bytes line, struct manifest *m)
{
	struct bytes key = word(&line);
	if (bytes_is(key, "segment")) {
		struct manifest_segment *s = &m->segments[m->segment_count++];
		return take_segment(line, s) &&
		       (m->segment_count == 1 || s[-1].last_seq < s->first_seq);
	}
	if (bytes_is(key, "file"))
		return take_file(line, &m->files[m->file_count++]);
	if (bytes_is(key, "kind")) {
		if (line.len == 0 || line.len >= sizeof m->kind)
			return false;
		memcpy(m->kind, line.data, line.len);
		return true;
	}
	if (bytes_is(key, "log"))
		return crypto_unhex(line, m->log_id, sizeof m->log_id);
	if (bytes_is(key, "last_seq"))
		return take_number(&line, &m->last_seq);
	if (bytes_is(key, "chain"))
		return crypto_unhex(line, m->chain, sizeof m->chain);
	return true; /* a key of a newer program */
}

/* Splits off the last line and checks that it is the hash of all before. */
static bool
take_end(struct bytes *text)
{
	static const char end[] = "end ";
	const size_t len = sizeof end - 1 + 2 * SHA256_BYTES + 1;
	unsigned char want[SHA256_BYTES], have[SHA256_BYTES];
	if (text->len < len)
		return false;
	struct bytes last = { text->data + text->len - len, len };
	if (memcmp(last.data, end, sizeof end - 1) != 0 || last.data[len - 1] != '\n' ||
		!crypto_unhex((struct bytes){ last.data + sizeof end - 1, 2 * SHA256_BYTES }, want,
			sizeof want))
		return false;
	text->len -= len;
	crypto_sha256(*text, have);
	return memcmp(want, have, sizeof want) == 0;
}

enum rc
manifest_read(const char *dir, struct arena *a, struct manifest *m, struct err *e)
{
	char *path = dir_path(dir, MANIFEST_NAME);
	struct bytes text = { NULL, 0 };
	*m = (struct manifest){ 0 };
	enum rc rc = fs_read(path, MANIFEST_BYTES_MAX, a, &text, e);
	if (rc != RC_OK)
		goto done;
	size_t lines = 1;
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	m->segments = arena_alloc(a, lines * sizeof *m->segments);
	m->files = arena_alloc(a, lines * sizeof *m->files);
	static const char first[] = "hooklog manifest\nformat ";
	bool ok = text.len > sizeof first && memcmp(text.data, first, sizeof first - 1) == 0;
	if (ok && memcmp(text.data + sizeof first - 1, "1\n", 2) != 0) {
		rc = err_set(e, RC_INVALID, "log.version",
			"%s has a format this program does not know; use a newer hooklog", path);
		goto done;
	}
	ok = ok && take_end(&text);
	while (ok && text.len > 0) {
		const unsigned char *newline = memchr(text.data, '\n', text.len);
		size_t len = newline == NULL ? text.len : (size_t)(newline - text.data);
		ok = newline != NULL && take_line((struct bytes){ text.data, len }, m);
		text.data += newline == NULL ? len : len + 1;
		text.len -= newline == NULL ? len : len + 1;
	}
	if (!ok || m->kind[0] == '\0')
		rc = err_set(e, RC_CORRUPT, "log.backup-damaged", "%s is damaged", path);
done:
	free(path);
	return rc;
}

const struct manifest_segment *
manifest_find(const struct manifest *m, uint64_t first_seq)
{
	for (size_t i = 0; i < m->segment_count; i++) {
		if (m->segments[i].first_seq == first_seq)
			return &m->segments[i];
	}
	return NULL;
}

bool
manifest_names(const struct manifest *m, const char *file)
{
	for (size_t i = 0; i < m->segment_count; i++) {
		if (strcmp(m->segments[i].file, file) == 0)
			return true;
	}
	for (size_t i = 0; i < m->file_count; i++) {
		if (strcmp(m->files[i].file, file) == 0)
			return true;
	}
	return false;
}

enum rc
manifest_lock(const char *dir, int *fd, struct err *e)
{
	char *path = dir_path(dir, "lock");
	enum rc rc = RC_OK;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		rc = err_sys(e, RC_IO, "data-dir.unwritable", errno, "cannot write %s", path);
	else if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
		rc = err_set(e, RC_AGAIN, "log.locked", "another process is writing to %s", dir);
	if (rc != RC_OK && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	free(path);
	return rc;
}

unsigned
manifest_file_mode(const char *name)
{
	return strcmp(name, SIGNKEY_NAME) == 0 ? 0600 : 0640;
}

/* "<20 digits>-<20 digits>....mdb", after an archive's date. */
uint64_t
dir_copy_first(const char *name)
{
	enum { DATE = sizeof "2026-11-21_" - 1, DIGITS = 20 };
	size_t len = strlen(name), at = len > DATE && name[DATE - 1] == '_' ? DATE : 0;
	uint64_t first = 0;
	if (len < at + 2 * DIGITS + 5 || strcmp(name + len - 4, ".mdb") != 0 || name[at + DIGITS] != '-')
		return 0;
	for (size_t i = at; i < at + DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		first = first * 10 + (uint64_t)(name[i] - '0');
	}
	return first;
}

/* Segments, "checkpoints" and the like with a number, and manifests without their name yet. */
bool
dir_is_copy(const char *name)
{
	static const char *const small[] = { "LOG", "checkpoints", "removed", SIGNKEY_NAME };
	static const char unfinished[] = MANIFEST_NAME ".tmp.";
	for (size_t i = 0; i < COUNT_OF(small); i++) {
		size_t stem = strlen(small[i]);
		if (strncmp(name, small[i], stem) == 0 &&
			(name[stem] == '\0' || (name[stem] == '-' && name[stem + 1] >= '0' &&
						       name[stem + 1] <= '9')))
			return true;
	}
	return dir_copy_first(name) != 0 || strncmp(name, unfinished, sizeof unfinished - 1) == 0;
}

static bool
is_surplus(const struct manifest *m, const char *name, uint64_t held_from)
{
	uint64_t first = dir_copy_first(name);
	return dir_is_copy(name) && !manifest_names(m, name) &&
	       (first == 0 || first >= held_from || manifest_find(m, first) != NULL);
}

enum rc
manifest_clear_unnamed(const char *dir, const struct manifest *m, uint64_t held_from, struct err *e)
{
	DIR *d = opendir(dir);
	if (d == NULL)
		return err_sys(e, RC_IO, NULL, errno, "open folder %s", dir);
	enum rc rc = RC_OK;
	bool any = false;
	for (struct dirent *entry; rc == RC_OK && (entry = readdir(d)) != NULL;) {
		if (!is_surplus(m, entry->d_name, held_from))
			continue;
		any = true;
		if (unlinkat(dirfd(d), entry->d_name, 0) != 0)
			rc = err_sys(e, RC_IO, "data-dir.unwritable", errno, "cannot remove %s/%s", dir,
				entry->d_name);
	}
	closedir(d);
	return rc == RC_OK && any ? fs_sync_dir(dir, e) : rc;
}

/* ---- whole files ---- */

static enum rc
read_piece(int fd, const char *path, unsigned char *data, size_t *got, struct err *e)
{
	ssize_t n;
	do {
		n = read(fd, data, PIECE_BYTES);
	} while (n < 0 && errno == EINTR);
	*got = n < 0 ? 0 : (size_t)n;
	return n < 0 ? err_sys(e, RC_IO, NULL, errno, "read %s", path) : RC_OK;
}

static enum rc
write_piece(int fd, const char *path, const unsigned char *data, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_IO,
				errno == ENOSPC || errno == EDQUOT ? "disk-full" : NULL, errno,
				"write %s", path);
		data += n;
		len -= (size_t)n;
	}
	return RC_OK;
}

enum rc
copy_file(const char *from, const char *dir, const char *name, unsigned mode,
	unsigned char sha256[SHA256_BYTES], uint64_t *bytes, struct err *e)
{
	char *path = dir_path(dir, name);
	unsigned char *data = base_alloc(PIECE_BYTES);
	struct hash *hash = hash_new();
	enum rc rc = RC_OK;
	size_t got = 0;
	int out = -1, in = open(from, O_RDONLY | O_CLOEXEC);
	*bytes = 0;
	if (in < 0) {
		rc = err_sys(
			e, errno == ENOENT ? RC_NOTFOUND : RC_IO, NULL, errno, "open %s", from);
		goto done;
	}
	unlink(path);
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	if (out < 0) {
		rc = err_sys(e, RC_IO, "data-dir.unwritable", errno, "cannot write %s", path);
		goto done;
	}
	/* What is read once should not push out what is read all the time. */
	(void)posix_fadvise(in, 0, 0, POSIX_FADV_SEQUENTIAL);
	do {
		rc = read_piece(in, from, data, &got, e);
		if (rc == RC_OK)
			rc = write_piece(out, path, data, got, e);
		hash_add(hash, (struct bytes){ data, got });
		*bytes += got;
	} while (rc == RC_OK && got > 0);
	if (rc == RC_OK && fsync(out) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "sync %s", path);
	if (rc == RC_OK)
		rc = fs_sync_dir(dir, e);
	hash_peek(hash, sha256);
done:
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	if (rc != RC_OK && out >= 0)
		unlink(path);
	hash_free(hash);
	free(data);
	free(path);
	return rc;
}

enum rc
check_file(const char *dir, const char *name, uint64_t bytes,
	const unsigned char sha256[SHA256_BYTES], struct err *e)
{
	char *path = dir_path(dir, name);
	unsigned char have[SHA256_BYTES];
	uint64_t size;
	enum rc rc = RC_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		rc = err_set(e, RC_CORRUPT, "log.backup-damaged", "%s is missing", path);
	else if (fd < 0)
		rc = err_sys(e, RC_IO, NULL, errno, "open %s", path);
	else
		rc = crypto_sha256_fd(fd, have, &size, e);
	if (rc == RC_OK && (size != bytes || memcmp(have, sha256, sizeof have) != 0))
		rc = err_set(e, RC_CORRUPT, "log.backup-damaged",
			"%s is not the file that was written there", path);
	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

bool
check_file_is(const char *path, uint64_t bytes, const unsigned char sha256[SHA256_BYTES])
{
	unsigned char have[SHA256_BYTES];
	uint64_t size = 0;
	struct err e;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is = fd >= 0 && crypto_sha256_fd(fd, have, &size, &e) == RC_OK && size == bytes &&
		memcmp(have, sha256, sizeof have) == 0;
	if (fd >= 0)
		close(fd);
	return is;
}
