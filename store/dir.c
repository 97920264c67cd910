/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/dir.h"

#define SEQ_DIGITS 20
#define LOG_FILE_BYTES_MAX 4096

char *
dir_path(const char *dir, const char *name)
{
	size_t bytes = strlen(dir) + strlen(name) + 2;
	char *path = base_alloc(bytes);
	snprintf(path, bytes, "%s/%s", dir, name);
	return path;
}

void
dir_segment_name(uint64_t first_seq, char out[DIR_NAME_BYTES])
{
	snprintf(out, DIR_NAME_BYTES, "%020" PRIu64 ".mdb", first_seq);
}

/* Linux's magic numbers, from statfs(2). A file system belongs here when fdatasync reaches the disk,
 * mmap and write see the same pages, and fcntl locks work between all who can reach the file. Network
 * and FUSE file systems break one or another of these. */
static const struct {
	uint32_t magic;
	const char *name, *warning;
} filesystems[] = {
	{ 0xef53, "ext4", NULL },
	{ 0x58465342, "xfs", NULL },
	{ 0x9123683e, "btrfs", NULL },
	{ 0x01021994, "tmpfs", "the log lies on tmpfs: it is gone after a restart of the machine" },
	{ 0x794c7630, "overlay",
		"the log lies on an overlay file system: mount a volume there, or it is gone with the container" },
};

enum rc
dir_check_filesystem(const char *dir, const char **warning, struct err *e)
{
	struct statfs fs;
	*warning = NULL;
	if (statfs(dir, &fs) != 0)
		return err_sys(e, RC_IO, NULL, errno, "statfs %s", dir);
	for (size_t i = 0; i < COUNT_OF(filesystems); i++) {
		if (filesystems[i].magic == (uint32_t)fs.f_type) {
			*warning = filesystems[i].warning;
			return RC_OK;
		}
	}
	return err_set(e, RC_INVALID, "log.filesystem",
		"%s lies on a file system (type 0x%" PRIx32
		") that the log cannot rely on; use a folder on ext4, xfs or btrfs",
		dir, (uint32_t)fs.f_type);
}

static enum rc
open_file(const char *dir, const char *name, int flags, int *fd, struct err *e)
{
	char *path = dir_path(dir, name);
	enum rc rc = RC_OK;
	*fd = open(path, flags | O_CLOEXEC, 0600);
	if (*fd < 0)
		rc = err_sys(e, errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_IO,
			"data-dir.unwritable", errno, "cannot open %s for writing", path);
	free(path);
	return rc;
}

enum rc
dir_lock(const char *dir, int *fd, struct err *e)
{
	enum rc rc = open_file(dir, "lock", O_RDWR | O_CREAT, fd, e);
	if (rc != RC_OK)
		return rc;
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return RC_OK;
	int failed = errno;
	close(*fd);
	*fd = -1;
	if (failed != EWOULDBLOCK)
		return err_sys(e, RC_IO, NULL, failed, "lock %s/lock", dir);
	return err_set(e, RC_AGAIN, "log.locked",
		"another process is writing the log %s; stop it first (see who: fuser -v %s/lock)", dir, dir);
}

/* The number is written over and over and never synced; its eight bytes and the file's length are, once.
 * A file that only grew when the power went may hold anything, and a start believes what stands here. */
static enum rc
fill_head(const char *dir, int fd, struct err *e)
{
	static const unsigned char none[8];
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(e, RC_IO, NULL, errno, "stat %s/head", dir);
	if (st.st_size == (off_t)sizeof none)
		return RC_OK;
	errno = EIO; /* a short write sets none */
	if (pwrite(fd, none, sizeof none, 0) != (ssize_t)sizeof none || fsync(fd) != 0)
		return err_sys(e, errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_IO,
			"data-dir.unwritable", errno, "cannot write %s/head", dir);
	return RC_OK;
}

enum rc
dir_lock_maintenance(const char *dir, int *fd, struct err *e)
{
	enum rc rc = open_file(dir, "lock.maintenance", O_RDWR | O_CREAT, fd, e);
	if (rc == RC_OK && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		close(*fd);
		*fd = -1;
		rc = err_set(e, RC_AGAIN, "log.locked", "another command is at work on the files of %s", dir);
	}
	return rc;
}

enum rc
dir_open_head(const char *dir, int *fd, struct err *e)
{
	enum rc rc = open_file(dir, "head", O_RDWR | O_CREAT, fd, e);
	return rc == RC_OK ? fill_head(dir, *fd, e) : rc;
}

uint64_t
dir_read_head(const char *dir)
{
	unsigned char head[8];
	uint64_t seq = 0;
	char *path = dir_path(dir, "head");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return 0;
	if (read(fd, head, sizeof head) == (ssize_t)sizeof head) {
		for (int i = 0; i < 8; i++)
			seq |= (uint64_t)head[i] << (8 * i);
	}
	close(fd);
	return seq;
}

/* The rest of the line in text that starts with key and a space, or an empty run. */
static struct bytes
line_value(struct bytes text, const char *key)
{
	size_t key_len = strlen(key);
	while (text.len > 0) {
		const unsigned char *end = memchr(text.data, '\n', text.len);
		size_t len = end == NULL ? text.len : (size_t)(end - text.data);
		if (len > key_len && memcmp(text.data, key, key_len) == 0 && text.data[key_len] == ' ')
			return (struct bytes){ text.data + key_len + 1, len - key_len - 1 };
		if (end == NULL)
			break;
		text.data += len + 1;
		text.len -= len + 1;
	}
	return (struct bytes){ NULL, 0 };
}

enum rc
dir_read_log(const char *dir, unsigned char log_id[STORE_LOG_ID_BYTES], struct err *e)
{
	char *path = dir_path(dir, "LOG");
	struct arena *a = arena_new(LOG_FILE_BYTES_MAX);
	struct bytes text = { NULL, 0 };
	enum rc rc = fs_read(path, LOG_FILE_BYTES_MAX, a, &text, e);
	if (rc == RC_NOTFOUND)
		rc = err_set(e, RC_NOTFOUND, "log.missing",
			"there is no log in %s; it is made by the first `hooklog ingest`", dir);
	if (rc != RC_OK)
		goto done;
	struct bytes format = line_value(text, "format");
	if (format.len == 0)
		rc = err_set(e, RC_CORRUPT, "log.damaged", "%s does not describe a log", path);
	else if (!bytes_is(format, DIR_FORMAT))
		rc = err_set(e, RC_INVALID, "log.version",
			"%s has format %.*s, this program knows %s; use a hooklog of the version that made it", path,
			(int)(format.len < 20 ? format.len : 20), (const char *)format.data, DIR_FORMAT);
	else if (!crypto_unhex(line_value(text, "id"), log_id, STORE_LOG_ID_BYTES))
		rc = err_set(e, RC_CORRUPT, "log.damaged", "%s holds no log id", path);
done:
	arena_free(a);
	free(path);
	return rc;
}

enum rc
dir_make_log(const char *dir, unsigned char log_id[STORE_LOG_ID_BYTES], struct err *e)
{
	crypto_random(log_id, STORE_LOG_ID_BYTES);
	return dir_write_log(dir, log_id, e);
}

enum rc
dir_write_log(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES], struct err *e)
{
	char made[CLOCK_TEXT_BYTES];
	struct buf text = buf_new(LOG_FILE_BYTES_MAX);
	char *path = dir_path(dir, "LOG");
	clock_format_us(clock_now_us(), made);
	buf_printf(&text, "hooklog log\nformat %s\nid ", DIR_FORMAT);
	buf_put_hex(&text, log_id, STORE_LOG_ID_BYTES);
	buf_printf(&text, "\nmade %s\n", made);
	enum rc rc = fs_write(path, buf_bytes(&text), 0640, e);
	buf_free(&text);
	free(path);
	return rc;
}

static bool
segment_first(const char *name, uint64_t *first)
{
	if (strlen(name) != SEQ_DIGITS + 4 || strcmp(name + SEQ_DIGITS, ".mdb") != 0)
		return false;
	uint64_t v = 0;
	for (int i = 0; i < SEQ_DIGITS; i++) {
		unsigned digit = (unsigned)(name[i] - '0');
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*first = v;
	return v > 0;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

enum rc
dir_segments(const char *dir, struct arena *a, uint64_t **firsts, size_t *count, struct err *e)
{
	DIR *d = opendir(dir);
	if (d == NULL)
		return err_sys(e, errno == ENOENT ? RC_NOTFOUND : RC_IO, NULL, errno, "open folder %s",
			dir);
	size_t room = 16, n = 0;
	uint64_t *found = arena_alloc(a, room * sizeof *found);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		uint64_t first;
		if (!segment_first(entry->d_name, &first))
			continue;
		if (n == room) {
			uint64_t *more = arena_alloc(a, 2 * room * sizeof *more);
			memcpy(more, found, n * sizeof *found);
			found = more;
			room *= 2;
		}
		found[n++] = first;
	}
	closedir(d);
	qsort(found, n, sizeof *found, by_number);
	*firsts = found;
	*count = n;
	return RC_OK;
}

enum rc
dir_remove_leftovers(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	if (d == NULL)
		return err_sys(e, RC_IO, NULL, errno, "open folder %s", dir);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		if (strstr(entry->d_name, ".tmp") != NULL)
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
	return RC_OK;
}
