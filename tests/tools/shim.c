/* SPDX-License-Identifier: Apache-2.0 */
#undef _FORTIFY_SOURCE /* its inline open() and read() would stand in the way of ours */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/tools/shim.h"

/* Everything here calls the kernel by number: libc's names lead back to this file. Mutable state is
 * the point of it. */

#define FDS 4096
#define WATCHED 1u
#define DSYNC 2u
#define FOLDER 4u
#define LOCKS 8u /* LMDB's table of readers: written through a map, means nothing after a restart */

static char root[PATH_MAX];
static size_t root_len;
static int trace = -1;
static atomic_uint fds[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shim_plan no_plan;
static struct shim_plan *plan = &no_plan;

static const char *const names[SHIM_CALLS] = { "open", "read", "write", "lseek", "fdatasync", "fsync",
	"ftruncate", "mmap", "flock", "fcntl", "rename", "unlink", "mkdir", "meta write" };

struct shim_plan *
shim_plan(void)
{
	if (plan == &no_plan) {
		long p = syscall(SYS_mmap, NULL, sizeof *plan, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (p == -1)
			abort();
		plan = (struct shim_plan *)p;
	}
	return plan;
}

void
shim_plan_reset(void)
{
	memset(shim_plan(), 0, sizeof *plan);
}

const char *
shim_call_name(enum shim_call call)
{
	return names[call];
}

void
shim_watch(const char *folder, int trace_fd)
{
	root_len = strlen(folder);
	memcpy(root, folder, root_len + 1);
	trace = trace_fd;
	(void)shim_plan();
}

static void
put(struct shim_record *r, const char *name, const struct iovec *data, int count)
{
	struct iovec parts[64];
	int n = 2;
	if (trace < 0)
		return;
	r->pid = (uint32_t)syscall(SYS_getpid);
	r->name_bytes = name == NULL ? 0 : (uint32_t)strlen(name);
	parts[0] = (struct iovec){ r, sizeof *r };
	parts[1] = (struct iovec){ (void *)(uintptr_t)name, r->name_bytes };
	size_t left = r->data_bytes, total = sizeof *r + r->name_bytes + r->data_bytes;
	for (int i = 0; i < count && left > 0; i++) {
		size_t len = data[i].iov_len < left ? data[i].iov_len : left;
		if (n == 64)
			abort();
		parts[n++] = (struct iovec){ data[i].iov_base, len };
		left -= len;
	}
	if (syscall(SYS_writev, trace, parts, n) != (long)total)
		abort();
}

void
shim_mark(unsigned mark, uint64_t value)
{
	int before = errno;
	struct shim_record r = { .kind = SHIM_T_MARK, .file = mark, .offset = value };
	pthread_mutex_lock(&lock);
	put(&r, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = before;
}

static bool
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);
	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* The path of fd, or "". */
static void
path_of(int fd, char out[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	long n = syscall(SYS_readlink, link, out, PATH_MAX - 1);
	out[n > 0 ? n : 0] = '\0';
}

/* Where path leads from the folder dirfd; NULL when it is none of ours. */
static const char *
watched_path(int dirfd, const char *path, char full[PATH_MAX])
{
	if (root_len == 0 || path == NULL)
		return NULL;
	if (path[0] == '/' || dirfd == AT_FDCWD) {
		snprintf(full, PATH_MAX, "%s", path);
	} else {
		char folder[PATH_MAX];
		path_of(dirfd, folder);
		if (snprintf(full, PATH_MAX, "%s/%s", folder, path) >= PATH_MAX)
			return NULL;
	}
	bool ours = strncmp(full, root, root_len) == 0 && (full[root_len] == '/' || full[root_len] == '\0');
	return ours ? full : NULL;
}

static unsigned
flags_of(int fd)
{
	return fd >= 0 && fd < FDS ? atomic_load(&fds[fd]) : 0;
}

/* Whether this is the call the plan is about. A plan's death happens here unless it is a write. */
static bool
planned(enum shim_call call, const char *path, int fd)
{
	if (plan == &no_plan)
		return false;
	if (plan->only[0] != '\0') {
		char name[PATH_MAX];
		if (path == NULL) {
			path_of(fd, name);
			path = name;
		}
		if (!ends_with(path, plan->only))
			return false;
	}
	unsigned n = atomic_fetch_add(&plan->seen[call], 1) + 1;
	if (plan->call != call || plan->nth == 0 || n < plan->nth || (n > plan->nth && !plan->sticky))
		return false;
	atomic_fetch_add(&plan->hit, 1);
	if (plan->error == 0 && !plan->short_write && call != SHIM_WRITE && call != SHIM_META)
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	return true;
}

static bool
fails(enum shim_call call, const char *path, int fd)
{
	if (!planned(call, path, fd))
		return false;
	errno = plan->error;
	return true;
}

static uint64_t
inode_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		abort();
	return st.st_ino;
}

/* ---- names ---- */

static int
open_any(int dirfd, const char *path, int flags, mode_t mode)
{
	char full[PATH_MAX];
	const char *ours = watched_path(dirfd, path, full);
	if (ours == NULL || (flags & O_PATH) != 0)
		return (int)syscall(SYS_openat, dirfd, path, flags, mode);
	if (fails(SHIM_OPEN, ours, -1))
		return -1;
	pthread_mutex_lock(&lock);
	bool existed = syscall(SYS_access, ours, F_OK) == 0;
	int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
	int failed = errno;
	if (fd >= FDS)
		abort();
	if (fd >= 0) {
		struct stat st;
		if (fstat(fd, &st) != 0)
			abort();
		unsigned is = WATCHED | ((flags & O_DSYNC) == O_DSYNC ? DSYNC : 0u) |
			(S_ISDIR(st.st_mode) ? FOLDER : 0u) | (ends_with(ours, "-lock") ? LOCKS : 0u);
		atomic_store(&fds[fd], is);
		if ((is & (LOCKS | FOLDER)) == 0) {
			struct shim_record r = { .file = st.st_ino,
				.kind = existed ? SHIM_T_TRUNCATE : SHIM_T_CREATE };
			if (!existed || (flags & O_TRUNC) != 0)
				put(&r, ours, NULL, 0);
		}
	}
	pthread_mutex_unlock(&lock);
	errno = failed;
	return fd;
}

int
open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_any(AT_FDCWD, path, flags, mode);
}

int
openat(int dirfd, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_any(dirfd, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dirfd, const char *path, int flags, ...) __attribute__((alias("openat")));

int
close(int fd)
{
	if (fd >= 0 && fd < FDS)
		atomic_store(&fds[fd], 0);
	return (int)syscall(SYS_close, fd);
}

int
rename(const char *from, const char *to)
{
	char full[PATH_MAX];
	const char *ours = watched_path(AT_FDCWD, from, full);
	if (ours == NULL)
		return (int)syscall(SYS_rename, from, to);
	if (fails(SHIM_RENAME, to, -1))
		return -1;
	pthread_mutex_lock(&lock);
	int result = (int)syscall(SYS_rename, from, to);
	int failed = errno;
	struct shim_record r = { .kind = SHIM_T_RENAME, .data_bytes = (uint32_t)strlen(to) };
	struct iovec data = { (void *)(uintptr_t)to, r.data_bytes };
	if (result == 0)
		put(&r, ours, &data, 1);
	pthread_mutex_unlock(&lock);
	errno = failed;
	return result;
}

static int
unlink_any(int dirfd, const char *path, int flags)
{
	char full[PATH_MAX];
	const char *ours = watched_path(dirfd, path, full);
	if (ours == NULL)
		return (int)syscall(SYS_unlinkat, dirfd, path, flags);
	if (fails(SHIM_UNLINK, ours, -1))
		return -1;
	pthread_mutex_lock(&lock);
	int result = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	int failed = errno;
	struct shim_record r = { .kind = SHIM_T_UNLINK };
	if (result == 0 && !ends_with(ours, "-lock"))
		put(&r, ours, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = failed;
	return result;
}

int
unlink(const char *path)
{
	return unlink_any(AT_FDCWD, path, 0);
}

int
unlinkat(int dirfd, const char *path, int flags)
{
	return unlink_any(dirfd, path, flags);
}

int
mkdir(const char *path, mode_t mode)
{
	char full[PATH_MAX];
	const char *ours = watched_path(AT_FDCWD, path, full);
	if (ours == NULL)
		return (int)syscall(SYS_mkdir, path, mode);
	if (fails(SHIM_MKDIR, ours, -1))
		return -1;
	pthread_mutex_lock(&lock);
	int result = (int)syscall(SYS_mkdir, path, mode);
	int failed = errno;
	struct shim_record r = { .kind = SHIM_T_MKDIR };
	if (result == 0)
		put(&r, ours, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = failed;
	return result;
}

/* ---- bytes ---- */

static void
note_write(int fd, unsigned is, off_t offset, const struct iovec *parts, int count, ssize_t written)
{
	struct shim_record r = { .kind = SHIM_T_WRITE, .file = inode_of(fd), .offset = (uint64_t)offset,
		.dsync = (is & DSYNC) != 0, .data_bytes = (uint32_t)written };
	put(&r, NULL, parts, count);
}

/* Writes count parts at offset, or at the descriptor's own position with offset -1. */
static ssize_t
write_any(int fd, const struct iovec *parts, int count, off_t offset)
{
	unsigned is = flags_of(fd);
	struct iovec cut[64];
	bool die = false;
	if ((is & WATCHED) == 0 || (is & LOCKS) != 0)
		return offset < 0 ? syscall(SYS_writev, fd, parts, count)
				  : syscall(SYS_pwritev, fd, parts, count, offset, 0L);
	bool now = planned(SHIM_WRITE, NULL, fd);
	now = ((is & DSYNC) != 0 && planned(SHIM_META, NULL, fd)) || now;
	if (now && plan->error != 0) {
		errno = plan->error;
		return -1;
	}
	if (now && plan->short_write && count <= 64) {
		size_t total = 0;
		for (int i = 0; i < count; i++)
			total += parts[i].iov_len;
		size_t left = total / 2;
		int n = 0;
		for (; n < count && left > 0; n++) {
			cut[n] = parts[n];
			cut[n].iov_len = cut[n].iov_len < left ? cut[n].iov_len : left;
			left -= cut[n].iov_len;
		}
		parts = cut;
		count = n;
	} else if (now) {
		die = true;
	}
	pthread_mutex_lock(&lock);
	off_t at = offset < 0 ? (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) : offset;
	ssize_t written = syscall(SYS_pwritev, fd, parts, count, at, 0L);
	int failed = errno;
	if (written > 0 && offset < 0)
		syscall(SYS_lseek, fd, at + written, SEEK_SET);
	if (written > 0)
		note_write(fd, die ? is & ~DSYNC : is, at, parts, count, written);
	if (die)
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	pthread_mutex_unlock(&lock);
	errno = failed;
	return written;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	if ((flags_of(fd) & WATCHED) == 0)
		return syscall(SYS_write, fd, data, len);
	return write_any(fd, &(struct iovec){ (void *)(uintptr_t)data, len }, 1, -1);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return write_any(fd, &(struct iovec){ (void *)(uintptr_t)data, len }, 1, offset);
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	return write_any(fd, parts, count, -1);
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	return write_any(fd, parts, count, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
	__attribute__((alias("pwritev")));

ssize_t
read(int fd, void *data, size_t len)
{
	if ((flags_of(fd) & WATCHED) != 0 && fails(SHIM_READ, NULL, fd))
		return -1;
	return syscall(SYS_read, fd, data, len);
}

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	if ((flags_of(fd) & WATCHED) != 0 && fails(SHIM_READ, NULL, fd))
		return -1;
	return syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t pread64(int fd, void *data, size_t len, off_t offset) __attribute__((alias("pread")));

off_t
lseek(int fd, off_t offset, int whence)
{
	if ((flags_of(fd) & WATCHED) != 0 && fails(SHIM_SEEK, NULL, fd))
		return -1;
	return syscall(SYS_lseek, fd, offset, whence);
}

off_t lseek64(int fd, off_t offset, int whence) __attribute__((alias("lseek")));

int
ftruncate(int fd, off_t length)
{
	unsigned is = flags_of(fd);
	if ((is & WATCHED) == 0)
		return (int)syscall(SYS_ftruncate, fd, length);
	if (fails(SHIM_TRUNCATE, NULL, fd))
		return -1;
	pthread_mutex_lock(&lock);
	int result = (int)syscall(SYS_ftruncate, fd, length);
	int failed = errno;
	if (result == 0 && (is & LOCKS) == 0) {
		struct shim_record r = { .kind = SHIM_T_TRUNCATE, .file = inode_of(fd),
			.offset = (uint64_t)length };
		put(&r, NULL, NULL, 0);
	}
	pthread_mutex_unlock(&lock);
	errno = failed;
	return result;
}

int ftruncate64(int fd, off_t length) __attribute__((alias("ftruncate")));

/* ---- syncing, mapping, locking ---- */

static int
sync_any(int fd, enum shim_call call, long number)
{
	unsigned is = flags_of(fd);
	if ((is & WATCHED) == 0)
		return (int)syscall(number, fd);
	bool failing = fails(call, NULL, fd);
	int failed = errno;
	pthread_mutex_lock(&lock);
	/* A failed sync is not begun: what it covered may or may not have reached the disk. */
	int result = failing ? -1 : (int)syscall(number, fd);
	if (!failing)
		failed = errno;
	struct shim_record r = { .kind = (is & FOLDER) != 0 ? SHIM_T_SYNC_DIR : SHIM_T_SYNC,
		.file = inode_of(fd), .error = result == 0 ? 0 : failed };
	char name[PATH_MAX];
	path_of(fd, name);
	put(&r, name, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = failed;
	return result;
}

int
fdatasync(int fd)
{
	return sync_any(fd, SHIM_FDATASYNC, SYS_fdatasync);
}

int
fsync(int fd)
{
	return sync_any(fd, SHIM_FSYNC, SYS_fsync);
}

void *
mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	unsigned is = (flags & MAP_ANONYMOUS) != 0 ? 0 : flags_of(fd);
	/* What is written through a map could not be recorded. */
	if ((is & WATCHED) != 0 && (is & LOCKS) == 0 && (prot & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0)
		abort();
	if ((is & WATCHED) != 0 && fails(SHIM_MMAP, NULL, fd))
		return MAP_FAILED;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel's answer */
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));

int
flock(int fd, int operation)
{
	if ((flags_of(fd) & WATCHED) != 0 && fails(SHIM_FLOCK, NULL, fd))
		return -1;
	return (int)syscall(SYS_flock, fd, operation);
}

int
fcntl(int fd, int command, ...)
{
	va_list args;
	va_start(args, command);
	long argument = va_arg(args, long);
	va_end(args);
	if ((flags_of(fd) & WATCHED) != 0 && fails(SHIM_FCNTL, NULL, fd))
		return -1;
	int result = (int)syscall(SYS_fcntl, fd, command, argument);
	if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && result >= 0 && result < FDS && fd < FDS)
		atomic_store(&fds[result], flags_of(fd));
	return result;
}

int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));
