/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/door.h"
#include "store/writer.h"

/* A request is a head {kind, count} and count times {envelope length, body length, envelope, body};
 * the answer is one line of fixed size per event. All in the machine's own byte order. */

#define NAME "door"
#define BACKLOG 16
/* A peer of ours sends at once; one that does not is stuck. */
#define IO_TIMEOUT_S 30

struct head {
	uint32_t kind, count;
};

struct lengths {
	uint32_t envelope, body;
};

struct door {
	struct store *s;
	char *path;
	int listener, stop;
	pthread_t thread;
};

/* ---- bytes ---- */

static bool
send_all(int fd, const void *data, size_t len)
{
	const unsigned char *p = data;
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
receive_all(int fd, void *data, size_t len)
{
	unsigned char *p = data;
	while (len > 0) {
		ssize_t n = recv(fd, p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void
set_timeouts(int fd)
{
	const struct timeval wait = { .tv_sec = IO_TIMEOUT_S };
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

/* The address of dir/door. A folder's path may be longer than an address holds, so it goes through
 * the folder's descriptor. */
static struct sockaddr_un
address(int dir_fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	snprintf(un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d/" NAME, dir_fd);
	return un;
}

/* ---- appending a batch ---- */

struct batch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t pending;
};

struct slot {
	struct batch *batch;
	struct store_result *result;
};

static void
answered(const struct store_result *result, void *context)
{
	struct slot *slot = context;
	struct batch *b = slot->batch;
	pthread_mutex_lock(&b->lock);
	*slot->result = *result;
	b->pending--;
	pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

void
door_append_all(
	struct store *s, const struct event *events, size_t count, struct store_result *results)
{
	struct batch b = { .pending = 0 };
	struct slot *slots = base_alloc((count + 1) * sizeof *slots);
	pthread_mutex_init(&b.lock, NULL);
	pthread_cond_init(&b.changed, NULL);
	bool refused = false;
	for (size_t i = 0; i < count; i++) {
		results[i] = (struct store_result){ .rc = RC_AGAIN };
		if (refused)
			continue;
		slots[i] = (struct slot){ &b, &results[i] };
		pthread_mutex_lock(&b.lock);
		b.pending++;
		pthread_mutex_unlock(&b.lock);
		struct err e = { 0 };
		enum rc rc = store_submit(s, &events[i], answered, &slots[i], &e);
		if (rc == RC_OK)
			continue;
		refused = true;
		pthread_mutex_lock(&b.lock);
		b.pending--;
		pthread_mutex_unlock(&b.lock);
		results[i] = (struct store_result){ .rc = rc, .err = e };
	}
	pthread_mutex_lock(&b.lock);
	while (b.pending > 0)
		pthread_cond_wait(&b.changed, &b.lock);
	pthread_mutex_unlock(&b.lock);
	pthread_cond_destroy(&b.changed);
	pthread_mutex_destroy(&b.lock);
	free(slots);
}

/* ---- the writer's side ---- */

static bool
receive_event(int fd, struct arena *a, struct event *ev)
{
	struct lengths len;
	struct err e;
	if (!receive_all(fd, &len, sizeof len) || len.envelope > LIMIT_ENVELOPE_BYTES ||
		len.body > LIMIT_FORM_BODY_BYTES)
		return false;
	unsigned char *data = arena_alloc(a, (size_t)len.envelope + len.body + 1);
	if (!receive_all(fd, data, (size_t)len.envelope + len.body))
		return false;
	*ev = (struct event){ 0 };
	if (event_decode((struct bytes){ data, len.envelope }, a, ev, &e) != RC_OK)
		return false;
	ev->body = (struct bytes){ data + len.envelope, len.body };
	return true;
}

static void
serve(struct door *d, int fd)
{
	struct head head;
	struct arena *a = arena_new((size_t)1 << 16);
	struct store_result results[STORE_APPEND_EVENTS_MAX];
	struct event *events = arena_alloc(a, STORE_APPEND_EVENTS_MAX * sizeof *events);
	set_timeouts(fd);
	if (!receive_all(fd, &head, sizeof head) || head.count > STORE_APPEND_EVENTS_MAX)
		goto done;
	for (size_t i = 0; i < head.count; i++) {
		if (arena_used_bytes(a) > 2 * STORE_APPEND_BYTES_MAX ||
			!receive_event(fd, a, &events[i]))
			goto done;
	}
	if (head.kind == DOOR_APPEND) {
		door_append_all(d->s, events, head.count, results);
	} else if (head.kind == DOOR_ROLL && head.count == 0) {
		results[0] = (struct store_result){ 0 };
		results[0].rc = store_roll(d->s, &results[0].err);
		head.count = 1;
	} else if (head.kind == DOOR_RESEAL && head.count == 0) {
		uint64_t first_seq;
		if (!receive_all(fd, &first_seq, sizeof first_seq))
			goto done;
		results[0] = (struct store_result){ 0 };
		results[0].rc = keeper_reseal(d->s->keeper, first_seq, DOOR_RESEAL_MS, &results[0].err);
		head.count = 1;
	} else if (head.kind == DOOR_ROTATE_KEY && head.count == 0) {
		results[0] = (struct store_result){ 0 };
		results[0].rc = keeper_rotate_key(d->s->keeper, DOOR_RESEAL_MS, &results[0].err);
		head.count = 1;
	} else if (head.kind != DOOR_PING || head.count != 0) {
		goto done;
	}
	/* An id is a pointer of this process; the text says enough. */
	for (size_t i = 0; i < head.count; i++)
		results[i].err.id = NULL;
	if (send_all(fd, &head, sizeof head))
		(void)send_all(fd, results, head.count * sizeof results[0]);
done:
	arena_free(a);
}

static void *
door_thread(void *context)
{
	struct door *d = context;
	for (;;) {
		struct pollfd fds[] = { { .fd = d->stop, .events = POLLIN },
			{ .fd = d->listener, .events = POLLIN } };
		if (poll(fds, COUNT_OF(fds), -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents != 0)
			return NULL;
		int fd = fds[1].revents == 0 ? -1 : accept4(d->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		serve(d, fd);
		close(fd);
	}
}

static enum rc
listen_at(struct door *d, const char *dir, struct err *e)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(e, RC_IO, NULL, errno, "open folder %s", dir);
	struct sockaddr_un un = address(dir_fd);
	enum rc rc = RC_OK;
	d->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* We hold the writer's lock, so a socket that is there already is a dead one. */
	(void)unlinkat(dir_fd, NAME, 0);
	if (d->listener < 0 || bind(d->listener, (struct sockaddr *)&un, sizeof un) != 0 ||
		chmod(d->path, 0600) != 0 || listen(d->listener, BACKLOG) != 0)
		rc = err_sys(e, RC_IO, NULL, errno, "make the socket %s", d->path);
	close(dir_fd);
	return rc;
}

static void
door_free(struct door *d)
{
	if (d->listener >= 0)
		close(d->listener);
	if (d->stop >= 0)
		close(d->stop);
	unlink(d->path);
	free(d->path);
	free(d);
}

enum rc
door_open(struct door **out, struct store *s, const char *dir, struct err *e)
{
	struct door *d = base_zalloc(sizeof *d);
	sigset_t all, before;
	*out = NULL;
	d->s = s;
	d->path = dir_path(dir, NAME);
	d->listener = -1;
	d->stop = eventfd(0, EFD_CLOEXEC);
	if (d->stop < 0 || listen_at(d, dir, e) != RC_OK) {
		LOG_WARN("log.door", F_S("path", d->path),
			F_S("note", "no socket can be made here; import and redact need the "
				    "receiver stopped"));
		door_free(d);
		return RC_OK;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&d->thread, NULL, door_thread, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0) {
		door_free(d);
		return err_sys(e, RC_IO, NULL, code, "start the door's thread");
	}
	*out = d;
	return RC_OK;
}

void
door_close(struct door *d)
{
	if (d == NULL)
		return;
	const uint64_t one = 1;
	ASSERT(write(d->stop, &one, sizeof one) == (ssize_t)sizeof one);
	pthread_join(d->thread, NULL);
	door_free(d);
}

/* ---- the other side ---- */

static bool
send_event(int fd, const struct event *ev)
{
	struct buf envelope = buf_new(LIMIT_ENVELOPE_BYTES);
	event_encode(ev, &envelope);
	const struct lengths len = { (uint32_t)envelope.len, (uint32_t)ev->body.len };
	bool ok = !envelope.overflow && send_all(fd, &len, sizeof len) &&
		  send_all(fd, envelope.data, envelope.len) &&
		  send_all(fd, ev->body.data, ev->body.len);
	buf_free(&envelope);
	return ok;
}

/* A descriptor connected to the door, or -1. */
static int
knock(const char *dir)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -1;
	struct sockaddr_un un = address(dir_fd);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof un) != 0) {
		close(fd);
		fd = -1;
	}
	close(dir_fd);
	if (fd >= 0)
		set_timeouts(fd);
	return fd;
}

enum rc
door_ask(const char *dir, enum door_request request, const struct event *events, size_t count,
	struct store_result *results, struct err *e)
{
	const struct head head = { (uint32_t)request, (uint32_t)count };
	struct head answer = { 0, 0 };
	size_t wanted = request == DOOR_PING || request == DOOR_APPEND ? count : 1;
	int fd = knock(dir);
	if (fd < 0)
		return err_set(e, RC_AGAIN, "log.locked",
			"another process is writing the log %s and does not answer at %s/" NAME
			"; stop it first",
			dir, dir);
	bool ok = send_all(fd, &head, sizeof head);
	if (ok && request == DOOR_RESEAL)
		ok = send_all(fd, &results[0].seq, sizeof results[0].seq);
	for (size_t i = 0; ok && i < count; i++)
		ok = send_event(fd, &events[i]);
	ok = ok && receive_all(fd, &answer, sizeof answer) && answer.kind == head.kind &&
	     answer.count == wanted &&
	     (wanted == 0 || receive_all(fd, results, wanted * sizeof *results));
	close(fd);
	if (!ok)
		return err_set(e, RC_IO, "log.locked",
			"the process that writes the log %s broke off; whether it took the events "
			"is not known",
			dir);
	return RC_OK;
}
