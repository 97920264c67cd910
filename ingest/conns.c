/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "ingest/conns.h"

#define TICK_MS 250
/* A body slower than this after its first seconds is a drip (8 KiB/s moves 25 MB in 52 minutes; the
 * deadline of the request ends it long before, so this is for small bodies). */
#define BODY_GRACE_MS 5000
#define BODY_BYTES_PER_S 8192
/* How long and how much is read from a client that was refused before its body was read. */
#define LINGER_MS 2000
#define LINGER_BYTES ((size_t)64 * 1024 * 1024)
#define LINGERING_MAX 64
#define ADDRESS_BYTES 16
#define ADDRESS_SLOTS 4096

struct conn {
	struct conn *previous, *next;
	int fd;
	enum conn_phase phase;
	bool first, shut, linger;
	unsigned hangup_ticks; /* how often in a row the client was found gone */
	int64_t started_ms, body_ms;
	atomic_size_t body_bytes;
	atomic_bool last;
	struct address *address; /* NULL: not counted */
};

/* How many connections an address has. In a chain of its slot while there are any. */
struct address {
	struct address *next;
	unsigned char bytes[ADDRESS_BYTES];
	size_t slot, connections;
};

struct lingering {
	int fd; /* -1: free */
	int64_t until_ms;
	size_t bytes;
};

struct conns {
	struct conns_options options;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	struct conn *head;
	size_t open, busy;
	bool stop;
	struct lingering lingering[LINGERING_MAX];
	size_t lingering_count;
	uint64_t refused;
	struct address *addresses[ADDRESS_SLOTS];
};

static bool
is_late(const struct conns *c, const struct conn *conn, int64_t now_ms)
{
	int64_t age = now_ms - conn->started_ms;
	switch (conn->phase) {
	case CONN_HEAD:
		return age > (conn->first ? c->options.head_ms : c->options.request_ms);
	case CONN_BODY: {
		int64_t body_age = now_ms - conn->body_ms;
		size_t bytes = atomic_load_explicit(&conn->body_bytes, memory_order_relaxed);
		if (body_age > BODY_GRACE_MS && (int64_t)bytes < body_age / 1000 * BODY_BYTES_PER_S)
			return true;
		return age > c->options.request_ms;
	}
	case CONN_WORK:
		return age > c->options.request_ms + c->options.work_ms;
	}
	return false;
}

/* A client that ended its half with nothing left to read will never complete its request. Twice in
 * a row, since the HTTP library may just have read the rest and not yet said so. */
static bool
is_gone(struct conn *conn)
{
	unsigned char next;
	if (conn->phase == CONN_WORK || recv(conn->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
		conn->hangup_ticks = 0;
	else
		conn->hangup_ticks++;
	return conn->hangup_ticks > 1;
}

/* Reads what a refused client still sends. False: the connection is done with. */
static bool
drain(struct lingering *l, int64_t now_ms)
{
	unsigned char sink[16 * 1024];
	for (;;) {
		ssize_t n = recv(l->fd, sink, sizeof sink, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return now_ms < l->until_ms;
		if (n <= 0)
			return false;
		l->bytes += (size_t)n;
		if (l->bytes > LINGER_BYTES)
			return false;
	}
}

/* Under the lock; the sockets do not block. */
static void
drain_all(struct conns *c, int64_t now_ms, bool end)
{
	for (size_t i = 0; i < LINGERING_MAX; i++) {
		struct lingering *l = &c->lingering[i];
		if (l->fd < 0 || (drain(l, now_ms) && !end))
			continue;
		close(l->fd);
		l->fd = -1;
		c->lingering_count--;
	}
}

static void *
reaper(void *context)
{
	struct conns *c = context;
	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		int64_t now_ms = clock_monotonic_ms();
		for (struct conn *conn = c->head; conn != NULL; conn = conn->next) {
			if (conn->shut)
				continue;
			bool gone = c->options.watch_hangups && is_gone(conn);
			if (!gone && !is_late(c, conn, now_ms))
				continue;
			conn->shut = true;
			shutdown(conn->fd, SHUT_RDWR);
		}
		drain_all(c, now_ms, false);
		pthread_mutex_unlock(&c->lock);
		c->options.tick(c->options.context);
		pthread_mutex_lock(&c->lock);
		if (c->stop)
			break;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		/* Someone who waits for room in his send buffer is served faster. */
		until.tv_nsec += (c->lingering_count > 0 ? TICK_MS / 25 : TICK_MS) * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&c->wake, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

enum rc
conns_start(struct conns **out, const struct conns_options *options, struct err *e)
{
	struct conns *c = base_zalloc(sizeof *c);
	c->options = *options;
	for (size_t i = 0; i < LINGERING_MAX; i++)
		c->lingering[i].fd = -1;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	int failed = pthread_create(&c->thread, NULL, reaper, c);
	if (failed != 0) {
		pthread_cond_destroy(&c->wake);
		pthread_mutex_destroy(&c->lock);
		free(c);
		return err_sys(e, RC_IO, NULL, failed, "cannot start the receiver's reaper thread");
	}
	*out = c;
	return RC_OK;
}

void
conns_stop(struct conns *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	ASSERT(c->head == NULL);
	drain_all(c, 0, true);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Under the lock. */
static struct address *
count_address(struct conns *c, const unsigned char *bytes)
{
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < ADDRESS_BYTES; i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	size_t slot = (size_t)(hash >> 20) % ADDRESS_SLOTS;
	struct address *a = c->addresses[slot];
	while (a != NULL && memcmp(a->bytes, bytes, ADDRESS_BYTES) != 0)
		a = a->next;
	if (a == NULL) {
		a = base_zalloc(sizeof *a);
		memcpy(a->bytes, bytes, ADDRESS_BYTES);
		a->slot = slot;
		a->next = c->addresses[slot];
		c->addresses[slot] = a;
	}
	a->connections++;
	return a;
}

/* Under the lock. */
static void
forget_address(struct conns *c, struct address *a)
{
	if (a == NULL || --a->connections > 0)
		return;
	struct address **at = &c->addresses[a->slot];
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	free(a);
}

struct conn *
conns_add(struct conns *c, int fd, const unsigned char *address)
{
	struct conn *conn = base_zalloc(sizeof *conn);
	conn->fd = fd;
	conn->first = true;
	conn->started_ms = clock_monotonic_ms();
	atomic_init(&conn->body_bytes, 0);
	atomic_init(&conn->last, false);
	pthread_mutex_lock(&c->lock);
	conn->next = c->head;
	if (c->head != NULL)
		c->head->previous = conn;
	c->head = conn;
	c->open++;
	if (address != NULL && c->options.per_address_max > 0)
		conn->address = count_address(c, address);
	if (conn->address != NULL && conn->address->connections > c->options.per_address_max) {
		conn->shut = true;
		c->refused++;
		shutdown(fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&c->lock);
	return conn;
}

/* Keeps the connection open behind the HTTP library's back. */
static void
keep(struct conns *c, int fd)
{
	for (size_t i = 0; i < LINGERING_MAX; i++) {
		struct lingering *l = &c->lingering[i];
		if (l->fd >= 0)
			continue;
		l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (l->fd < 0)
			return;
		shutdown(l->fd, SHUT_WR);
		l->until_ms = clock_monotonic_ms() + LINGER_MS;
		l->bytes = 0;
		c->lingering_count++;
		pthread_cond_signal(&c->wake);
		return;
	}
}

void
conns_remove(struct conns *c, struct conn *conn)
{
	pthread_mutex_lock(&c->lock);
	if (conn->linger && !conn->shut && !c->stop)
		keep(c, conn->fd);
	if (conn->previous != NULL)
		conn->previous->next = conn->next;
	else
		c->head = conn->next;
	if (conn->next != NULL)
		conn->next->previous = conn->previous;
	c->open--;
	forget_address(c, conn->address);
	if (conn->phase != CONN_HEAD)
		c->busy--;
	pthread_mutex_unlock(&c->lock);
	free(conn);
}

void
conns_phase(struct conns *c, struct conn *conn, enum conn_phase phase)
{
	pthread_mutex_lock(&c->lock);
	if (conn->phase == CONN_HEAD && phase != CONN_HEAD)
		c->busy++;
	if (conn->phase != CONN_HEAD && phase == CONN_HEAD) {
		c->busy--;
		conn->first = false;
		conn->started_ms = clock_monotonic_ms();
	}
	if (phase == CONN_BODY) {
		conn->body_ms = clock_monotonic_ms();
		/* A kept connection may have been idle for long; that is not this request's time.
		 */
		if (!conn->first)
			conn->started_ms = conn->body_ms;
		atomic_store_explicit(&conn->body_bytes, 0, memory_order_relaxed);
	}
	conn->phase = phase;
	pthread_mutex_unlock(&c->lock);
}

void
conns_received(struct conn *conn, size_t len)
{
	atomic_fetch_add_explicit(&conn->body_bytes, len, memory_order_relaxed);
}

void
conns_linger(struct conns *c, struct conn *conn)
{
	pthread_mutex_lock(&c->lock);
	conn->linger = true;
	pthread_mutex_unlock(&c->lock);
}

size_t
conns_busy(struct conns *c)
{
	pthread_mutex_lock(&c->lock);
	size_t busy = c->busy;
	pthread_mutex_unlock(&c->lock);
	return busy;
}

uint64_t
conns_refused(struct conns *c)
{
	pthread_mutex_lock(&c->lock);
	uint64_t refused = c->refused;
	pthread_mutex_unlock(&c->lock);
	return refused;
}

size_t
conns_open(struct conns *c)
{
	pthread_mutex_lock(&c->lock);
	size_t open = c->open;
	pthread_mutex_unlock(&c->lock);
	return open;
}

bool
conns_is_last(const struct conn *conn)
{
	return atomic_load(&conn->last);
}

void
conns_finish(struct conns *c)
{
	pthread_mutex_lock(&c->lock);
	for (struct conn *conn = c->head; conn != NULL; conn = conn->next)
		atomic_store(&conn->last, true);
	pthread_mutex_unlock(&c->lock);
}

void
conns_shut(struct conns *c, bool all)
{
	pthread_mutex_lock(&c->lock);
	for (struct conn *conn = c->head; conn != NULL; conn = conn->next) {
		if (conn->shut || (!all && conn->phase != CONN_HEAD))
			continue;
		conn->shut = true;
		shutdown(conn->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&c->lock);
}
