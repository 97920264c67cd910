/* SPDX-License-Identifier: Apache-2.0 */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* A disk that becomes slow or full while a program runs: preloaded (LD_PRELOAD), and told what to do by a
 * file that the test writes, DISK_CONTROL, for all files below the folder DISK_ROOT. Written by
 * tests/lib/disk.mjs:
 *
 *	word  who writes it  meaning, 32 bits, in the machine's order
 *	0     the test       milliseconds that each sync takes at least
 *	1     the test       1: no room. What would make a file longer fails with ENOSPC, and statvfs says 0 free
 *	2     this           syncs begun
 *	3     this           syncs that have ended
 *	4     this           writes refused for lack of room */
enum { SYNC_MS, FULL, BEGUN, ENDED, REFUSED, WORDS };

static atomic_uint no_control[WORDS], *control = no_control;
static char root[PATH_MAX];

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("DISK_CONTROL"), *below = getenv("DISK_ROOT");
	int fd = path == NULL || below == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *map = mmap(NULL, sizeof no_control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		abort();
	control = map;
	snprintf(root, sizeof root, "%s/", below);
}

static int
is_ours(int fd)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path);
	return n > 0 && (size_t)n > strlen(root) && root[0] != '\0' && memcmp(path, root, strlen(root)) == 0;
}

/* Whether the write must fail: what lies within the file has its blocks already. */
static int
refuse(int fd, off_t at, size_t len)
{
	struct stat st;
	if (atomic_load(&control[FULL]) == 0 || !is_ours(fd) || fstat(fd, &st) != 0 ||
		!S_ISREG(st.st_mode))
		return 0;
	if (at < 0)
		at = lseek(fd, 0, SEEK_CUR);
	if (at + (off_t)len <= st.st_size)
		return 0;
	atomic_fetch_add(&control[REFUSED], 1);
	errno = ENOSPC;
	return 1;
}

static size_t
length(const struct iovec *parts, int count)
{
	size_t sum = 0;
	for (int i = 0; i < count; i++)
		sum += parts[i].iov_len;
	return sum;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	return refuse(fd, -1, len) ? -1 : syscall(SYS_write, fd, data, len);
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	return refuse(fd, -1, length(parts, count)) ? -1 : syscall(SYS_writev, fd, parts, count);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	return refuse(fd, at, len) ? -1 : syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	return pwrite(fd, data, len, at);
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	return refuse(fd, at, length(parts, count)) ? -1
						    : syscall(SYS_pwritev, fd, parts, count, at, 0L);
}

int
ftruncate(int fd, off_t len)
{
	return refuse(fd, 0, (size_t)len) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

static int
slow(int fd, long call)
{
	if (!is_ours(fd))
		return (int)syscall(call, fd);
	atomic_fetch_add(&control[BEGUN], 1);
	unsigned ms = atomic_load(&control[SYNC_MS]);
	struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000L };
	while (ms > 0 && nanosleep(&left, &left) != 0)
		;
	int result = (int)syscall(call, fd);
	atomic_fetch_add(&control[ENDED], 1);
	return result;
}

int
fsync(int fd)
{
	return slow(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return slow(fd, SYS_fdatasync);
}

int
statvfs(const char *path, struct statvfs *out)
{
	int (*real)(const char *, struct statvfs *);
	*(void **)&real = dlsym(RTLD_NEXT, "statvfs");
	int result = real(path, out);
	if (result == 0 && atomic_load(&control[FULL]) != 0 && root[0] != '\0')
		out->f_bavail = out->f_bfree = 0;
	return result;
}
