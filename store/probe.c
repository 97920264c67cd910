/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/dir.h"
#include "store/probe.h"

#define ROUNDS 9
#define ROUND_BYTES 4096
#define TIME_MAX_MS 300
/* A flush is at least one command to a device and its answer: 10 µs with the fastest NVMe with
 * capacitors. */
#define FLUSH_US_MIN 5
/* Half a turn at 15,000 turns a minute takes 2 ms; a write cache with a battery is faster, and is worth a
 * word. */
#define ROTATING_US_MIN 500

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int64_t
median_sync_us(int fd)
{
	static const char page[ROUND_BYTES] = { 1 };
	int64_t took[ROUNDS], until_ms = clock_monotonic_ms() + TIME_MAX_MS;
	size_t n = 0;
	while (n < ROUNDS && (n == 0 || clock_monotonic_ms() < until_ms)) {
		if (pwrite(fd, page, sizeof page, (off_t)(n * sizeof page)) != (ssize_t)sizeof page)
			return -1;
		int64_t start_us = clock_monotonic_us();
		if (fdatasync(fd) != 0)
			return -1;
		took[n++] = clock_monotonic_us() - start_us;
	}
	qsort(took, n, sizeof *took, by_size);
	return took[n / 2];
}

/* Whether dir lies on a SATA or SAS disk that turns. Virtual disks say so whatever is behind them. */
static bool
on_platters(const char *dir)
{
	struct stat st;
	char path[128], target[256], flag = '0';
	if (stat(dir, &st) != 0)
		return false;
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	ssize_t n = readlink(path, target, sizeof target - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	const char *name = strstr(target, "/block/sd");
	if (name == NULL)
		return false;
	/* The queue belongs to the disk, not to its partition: /block/sda/sda1 */
	size_t len = strcspn(name + strlen("/block/"), "/");
	snprintf(path, sizeof path, "/sys/block/%.*s/queue/rotational", (int)(len < 64 ? len : 64),
		name + strlen("/block/"));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool yes = read(fd, &flag, 1) == 1 && flag == '1';
	close(fd);
	return yes;
}

const char *
probe_judge(int64_t sync_us, bool rotating)
{
	if (sync_us < 0)
		return NULL;
	if (sync_us < FLUSH_US_MIN)
		return "a flush takes less time than a command to any device does: it is not done at all "
		       "(a virtual disk with cache=unsafe, libeatmydata?)";
	if (rotating && sync_us < ROTATING_US_MIN)
		return "a flush is faster than this disk can turn: a cache answers; without a battery it "
		       "loses acknowledged events at a power cut";
	return NULL;
}

void
probe_sync(const char *dir, struct probe *p)
{
	*p = (struct probe){ .sync_us = -1 };
	/* A name that the next start removes if this one does not. */
	char *path = dir_path(dir, "probe.tmp");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0) {
		p->sync_us = median_sync_us(fd);
		close(fd);
		unlink(path);
	}
	free(path);
	p->rotating = on_platters(dir);
	p->doubt = probe_judge(p->sync_us, p->rotating);
}

uint64_t
probe_free_bytes(const char *dir)
{
	struct statvfs fs;
	return statvfs(dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}
