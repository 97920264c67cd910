/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/db.h"

/* Address space, not memory: far above any segment, so that no process ever has to grow it. The
 * sanitizers keep tables in proportion to what is mapped. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAP_BYTES ((size_t)1 << 30)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MAP_BYTES ((size_t)1 << 30)
#endif
#endif
#ifndef MAP_BYTES
#define MAP_BYTES ((size_t)1 << 40)
#endif
/* What is tried when the address space is limited, as under valgrind or RLIMIT_AS. */
#define MAP_BYTES_SMALL ((size_t)1 << 30)

#define READERS_MAX 512
#define DATABASES_MAX 4
/* Less than this free is a full disk, whatever error the write gave. */
#define DISK_RESERVE_BYTES ((uint64_t)8 * 1024 * 1024)
/* Each of these trades the promise "acknowledged is on disk", or the content of our own heap, for
 * speed. */
#define FORBIDDEN (MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP | MDB_NOLOCK | \
	MDB_NOMEMINIT | MDB_FIXEDMAP)

void
db_put_seq(unsigned char out[8], uint64_t seq)
{
	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char)(seq >> (56 - 8 * i));
}

uint64_t
db_get_seq(const void *data)
{
	const unsigned char *p = data;
	uint64_t seq = 0;
	for (int i = 0; i < 8; i++)
		seq = seq << 8 | p[i];
	return seq;
}

enum rc
db_err(struct err *e, int code, const char *fmt, ...)
{
	char what[256];
	va_list args;
	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	switch (code) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return err_sys(e, RC_FULL, "disk-full", code, "%s", what);
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return err_set(e, RC_FULL, "disk-full", "%s: %s", what, mdb_strerror(code));
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_BAD_VALSIZE:
	case MDB_INCOMPATIBLE:
		return err_set(e, RC_CORRUPT, "log.damaged", "%s: %s; run `hooklog log verify`", what,
			mdb_strerror(code));
	case MDB_VERSION_MISMATCH:
		return err_set(e, RC_INVALID, "log.version", "%s: %s", what, mdb_strerror(code));
	case MDB_NOTFOUND:
	case ENOENT:
		return err_set(e, RC_NOTFOUND, NULL, "%s: not found", what);
	case MDB_READERS_FULL:
		return err_set(e, RC_AGAIN, "log.readers-full",
			"%s: all %d places for readers are taken; stop some of them", what, READERS_MAX);
	case MDB_MAP_RESIZED:
	case EAGAIN:
		return err_set(e, RC_AGAIN, NULL, "%s: %s", what, mdb_strerror(code));
	default:
		return err_set(e, RC_IO, "log.failed", "%s: %s", what, mdb_strerror(code));
	}
}

bool
db_means_full(MDB_env *env, const char *path, int code, size_t bytes)
{
	struct statvfs fs;
	struct rlimit limit;
	struct stat st;
	mdb_filehandle_t fd;
	if (code == ENOSPC || code == EDQUOT || code == EFBIG || code == MDB_MAP_FULL || code == MDB_TXN_FULL)
		return true;
	if (code != EIO)
		return false;
	if (statvfs(path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < DISK_RESERVE_BYTES + bytes)
		return true;
	mdb_env_get_fd(env, &fd);
	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && fstat(fd, &st) == 0 &&
		(uint64_t)st.st_size + bytes + DISK_RESERVE_BYTES > limit.rlim_cur;
}

/* Counts this process's descriptors of a file, and closes them at exec: LMDB opens two more than it
 * tells of, neither with O_CLOEXEC. Looks through /proc only, since other threads may open and close
 * descriptors of their own meanwhile. */
static size_t
descriptors_of(const char *path, bool close_on_exec)
{
	struct stat st, other;
	size_t count = 0;
	if (stat(path, &st) != 0)
		return 0;
	DIR *d = opendir("/proc/self/fd");
	if (d == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		if (fstatat(dirfd(d), entry->d_name, &other, 0) != 0 || other.st_dev != st.st_dev ||
			other.st_ino != st.st_ino)
			continue;
		count++;
		if (close_on_exec)
			fcntl((int)strtol(entry->d_name, NULL, 10), F_SETFD, FD_CLOEXEC);
	}
	closedir(d);
	return count;
}

static int
try_open(const char *path, enum db_mode mode, size_t map_bytes, MDB_env **env)
{
	int code = mdb_env_create(env);
	if (code != 0)
		return code;
	code = mdb_env_set_mapsize(*env, map_bytes);
	if (code == 0)
		code = mdb_env_set_maxreaders(*env, READERS_MAX);
	if (code == 0)
		code = mdb_env_set_maxdbs(*env, DATABASES_MAX);
	if (code == 0)
		code = mdb_env_open(*env, path,
			MDB_NOSUBDIR | MDB_NOTLS | (mode == DB_WRITE ? 0u : MDB_RDONLY) |
				(mode == DB_FROZEN ? MDB_NOLOCK : 0u),
			0640);
	if (code != 0) {
		mdb_env_close(*env);
		*env = NULL;
	}
	return code;
}

/* Reading a page past the end of the file is a SIGBUS, so a file that lost its tail is refused. */
static enum rc
check_length(MDB_env *env, const char *path, struct err *e)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	mdb_filehandle_t fd;
	mdb_env_info(env, &info);
	mdb_env_stat(env, &stat);
	mdb_env_get_fd(env, &fd);
	if (fstat(fd, &st) != 0)
		return err_sys(e, RC_IO, NULL, errno, "stat %s", path);
	if ((uint64_t)st.st_size / stat.ms_psize < (uint64_t)info.me_last_pgno + 1)
		return err_set(e, RC_CORRUPT, "log.damaged",
			"%s is cut off: %jd bytes, its last page is number %zu; restore it from a backup", path,
			(intmax_t)st.st_size, info.me_last_pgno);
	return RC_OK;
}

enum rc
db_open(const char *path, enum db_mode mode, MDB_env **env, struct err *e)
{
	*env = NULL;
	if (descriptors_of(path, false) > 0)
		return err_set(e, RC_CONFLICT, "log.opened-twice",
			"this process has %s open already: share that reader or writer", path);
	int code = try_open(path, mode, MAP_BYTES, env);
	if (code == ENOMEM || code == EINVAL)
		code = try_open(path, mode, MAP_BYTES_SMALL, env);
	if (code == EACCES || code == EPERM)
		return err_sys(e, RC_IO, "data-dir.unwritable", code,
			"cannot open %s; readers, too, must be allowed to write %s-lock", path, path);
	if (code != 0)
		return db_err(e, code, "open %s", path);
	unsigned flags = 0;
	mdb_env_get_flags(*env, &flags);
	/* Locks guard readers against a writer; a frozen file has none. */
	ASSERT((flags & FORBIDDEN & ~(mode == DB_FROZEN ? MDB_NOLOCK : 0u)) == 0);
	descriptors_of(path, true);
	int dead;
	mdb_reader_check(*env, &dead);
	enum rc rc = check_length(*env, path, e);
	if (rc != RC_OK) {
		db_close(*env);
		*env = NULL;
	}
	return rc;
}

void
db_close(MDB_env *env)
{
	if (env != NULL)
		mdb_env_close(env);
}

enum rc
db_read_begin(MDB_env *env, MDB_txn **txn, struct err *e)
{
	int code = mdb_txn_begin(env, NULL, MDB_RDONLY, txn);
	if (code == MDB_READERS_FULL) {
		int dead;
		mdb_reader_check(env, &dead);
		code = mdb_txn_begin(env, NULL, MDB_RDONLY, txn);
	}
	/* A process tells that it lives by a lock on the byte of its number in the table of readers. */
	if (code == EAGAIN || code == EACCES)
		return err_set(e, RC_AGAIN, "log.same-pid",
			"begin reading: another process with this one's number, %d, uses the log from another PID "
			"namespace; run both containers in one (docker run --pid)", (int)getpid());
	if (code != 0)
		return db_err(e, code, "begin reading");
	return RC_OK;
}

/* A pass over fewer bytes than this leaves its pages mapped: the kernel maps as many around each. */
#define FORGET_BYTES_MIN ((uintptr_t)64 * 1024)

void
db_forget(const struct db_pages *p)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	if (p->highest <= p->lowest || p->highest - p->lowest < FORGET_BYTES_MIN)
		return;
	uintptr_t from = (p->lowest + page - 1) / page * page;
	/* Nothing depends on it. */
	(void)madvise((void *)from, (p->highest - from) / page * page, MADV_DONTNEED);
}

/* LMDB does not tell. */
struct db_pages
db_map_of(MDB_env *env)
{
	struct db_pages found = DB_PAGES_NONE;
	mdb_filehandle_t fd;
	struct stat st;
	char line[PATH_MAX + 128];
	FILE *maps = fopen("/proc/self/maps", "re");
	bool known = maps != NULL && mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &st) == 0;
	while (known && fgets(line, sizeof line, maps) != NULL) {
		uintptr_t from, to;
		uint64_t inode;
		/* Another shared map whose file has the same number does no harm either: nothing in it is lost. */
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*3cs %*s %*s %" SCNu64, &from, &to, &inode) == 3 &&
			inode == st.st_ino)
			found = (struct db_pages){ from, to };
	}
	if (maps != NULL)
		fclose(maps);
	return found;
}
