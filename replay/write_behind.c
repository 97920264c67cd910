/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "replay/write_behind.h"

/* A multiple of any disk's block. */
#define BLOCK_BYTES ((size_t)1024 * 1024)
#define BLOCKS 16
/* While the processors are busy the thread gets its turn late; then it gives the disk more at once. */
#define WRITE_BLOCKS_MAX 4
/* With pages of this size a block is one piece of memory for the disk, not hundreds. */
#define HUGE_PAGE_BYTES ((size_t)2 * 1024 * 1024)

struct write_behind {
	int fd;
	bool direct;           /* fd has O_DIRECT; the writing thread's, later finish's */
	unsigned char *blocks; /* block n is at n % BLOCKS */
	size_t used;           /* of the block that is being filled, which is number full */
	bool started;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the following */
	pthread_cond_t changed;
	uint64_t full, written; /* blocks */
	bool end;
	int failed;
};

static bool
set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

struct write_behind *
write_behind_new(int fd)
{
	struct write_behind *w = base_zalloc(sizeof(*w));
	w->fd = fd;
	w->blocks = aligned_alloc(HUGE_PAGE_BYTES, BLOCKS * BLOCK_BYTES);
	ASSERT(w->blocks != NULL);
	/* Only faster. */
	(void)madvise(w->blocks, BLOCKS * BLOCK_BYTES, MADV_HUGEPAGE);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	return w;
}

static unsigned char *
block_at(const struct write_behind *w, uint64_t n)
{
	return w->blocks + n % BLOCKS * BLOCK_BYTES;
}

/* len bytes from the start of a block on. 0 or an error number. */
static int
write_blocks(struct write_behind *w, uint64_t first, size_t len)
{
	const unsigned char *from = block_at(w, first);
	off_t start = (off_t)(first * BLOCK_BYTES);
	size_t done = 0;
	while (done < len) {
		ssize_t written = pwrite(w->fd, from + done, len - done, start + (off_t)done);
		if (written >= 0)
			done += (size_t)written;
		else if (errno == EINVAL && w->direct && set_direct(w->fd, false))
			/* A file system that only said it could, or a disk that was full in the middle. */
			w->direct = false;
		else if (errno != EINTR)
			return errno;
	}
	/* Otherwise most of it would be left for the sync at the end. Only a hint. */
	if (!w->direct)
		(void)sync_file_range(w->fd, start, (off_t)len, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static void *
work(void *write_behind)
{
	struct write_behind *w = write_behind;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->written == w->full && !w->end)
			pthread_cond_wait(&w->changed, &w->lock);
		if (w->written == w->full)
			break;
		uint64_t first = w->written, n = w->full - first, side_by_side = BLOCKS - first % BLOCKS;
		n = n < side_by_side ? n : side_by_side;
		n = n < WRITE_BLOCKS_MAX ? n : WRITE_BLOCKS_MAX;
		pthread_mutex_unlock(&w->lock);
		int failed = write_blocks(w, first, n * BLOCK_BYTES);
		pthread_mutex_lock(&w->lock);
		w->written += n;
		w->failed = failed;
		pthread_cond_broadcast(&w->changed);
		if (failed != 0)
			break;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* The block that was being filled is full. */
static int
hand_over(struct write_behind *w)
{
	if (!w->started) {
		w->direct = set_direct(w->fd, true);
		int failed = pthread_create(&w->thread, NULL, work, w);
		if (failed != 0)
			return failed;
		w->started = true;
	}
	w->used = 0;
	pthread_mutex_lock(&w->lock);
	w->full++;
	pthread_cond_broadcast(&w->changed);
	while (w->full - w->written == BLOCKS && w->failed == 0)
		pthread_cond_wait(&w->changed, &w->lock);
	int failed = w->failed;
	pthread_mutex_unlock(&w->lock);
	return failed;
}

int
write_behind_put(struct write_behind *w, const struct iovec *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned char *from = pieces[i].iov_base;
		size_t left = pieces[i].iov_len;
		while (left > 0) {
			size_t room = BLOCK_BYTES - w->used, n = left < room ? left : room;
			memcpy(block_at(w, w->full) + w->used, from, n);
			w->used += n;
			from += n;
			left -= n;
			int failed = w->used == BLOCK_BYTES ? hand_over(w) : 0;
			if (failed != 0)
				return failed;
		}
	}
	return 0;
}

/* Waits for the blocks that are full. */
static int
stop(struct write_behind *w)
{
	if (!w->started)
		return 0;
	pthread_mutex_lock(&w->lock);
	w->end = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->started = false;
	return w->failed;
}

int
write_behind_finish(struct write_behind *w)
{
	int failed = stop(w);
	if (failed == 0 && w->direct) {
		/* The rest is no multiple of anything. */
		if (!set_direct(w->fd, false))
			return errno;
		w->direct = false;
	}
	return failed != 0 ? failed : write_blocks(w, w->full, w->used);
}

void
write_behind_free(struct write_behind *w)
{
	if (w == NULL)
		return;
	(void)stop(w);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w->blocks);
	free(w);
}
