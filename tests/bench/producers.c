/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/producers.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

void
producers_new(struct producers *all, const struct corpus *c)
{
	for (unsigned i = 0; i < PRODUCERS; i++) {
		struct group *g = &all->groups[i % THREADS];
		struct producer *p = &g->each[i / THREADS];
		*p = (struct producer){ .group = g, .number = i, .fd = -1 };
		g->all = all;
		for (unsigned j = 0; j < BODIES; j++) {
			unsigned n = i * BODIES + j;
			p->bodies[j] = corpus_vary(c->lines[n % c->count], n);
		}
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_mutex_init(&all->groups[i].lock, NULL);
		pthread_cond_init(&all->groups[i].answered, NULL);
	}
}

void
producer_answered(struct producer *p)
{
	struct group *g = p->group;
	pthread_mutex_lock(&g->lock);
	g->ready[g->ready_count++] = p;
	if (g->ready_count == 1)
		pthread_cond_signal(&g->answered);
	pthread_mutex_unlock(&g->lock);
}

static size_t
group_wait(struct group *g, struct producer **ready)
{
	pthread_mutex_lock(&g->lock);
	while (g->ready_count == 0)
		pthread_cond_wait(&g->answered, &g->lock);
	size_t n = g->ready_count;
	memcpy(ready, g->ready, n * sizeof *ready);
	g->ready_count = 0;
	pthread_mutex_unlock(&g->lock);
	return n;
}

/* Sends the producer's next body; false: there shall be no more. */
static bool
send_next(struct producer *p)
{
	struct producers *all = p->group->all;
	if (atomic_load_explicit(&all->stop, memory_order_relaxed))
		return false;
	uint64_t n = atomic_fetch_add(&all->taken, 1);
	if (all->limit > 0 && n >= all->limit)
		return false;
	p->body = p->bodies[p->sent++ % BODIES];
	all->send(p, n);
	return true;
}

static void *
produce(void *context)
{
	struct group *g = context;
	struct producer *ready[PRODUCERS / THREADS];
	size_t under_way = 0;
	g->stored = g->stored_bytes = 0;
	for (size_t i = 0; i < PRODUCERS / THREADS; i++)
		under_way += send_next(&g->each[i]);
	while (under_way > 0) {
		size_t n = g->all->receive != NULL ? g->all->receive(g, ready) : group_wait(g, ready);
		for (size_t i = 0; i < n; i++) {
			g->stored++;
			g->stored_bytes += ready[i]->body.len;
			under_way -= !send_next(ready[i]);
		}
	}
	return NULL;
}

struct round
producers_run(struct producers *all)
{
	pthread_t threads[THREADS];
	struct round r = { 0 };
	atomic_store(&all->stop, false);
	int64_t from_us = clock_monotonic_us();
	for (unsigned i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, produce, &all->groups[i]) != 0)
			die("thread", strerror(errno));
	}
	if (all->limit == 0) {
		clock_sleep_ms(ROUND_MS);
		atomic_store(&all->stop, true);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		r.events += all->groups[i].stored;
		r.bytes += all->groups[i].stored_bytes;
	}
	r.seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
	return r;
}

struct bytes
producers_body(const struct producers *all, uint64_t n)
{
	const struct group *g = &all->groups[n % THREADS];
	return g->each[n / THREADS % (PRODUCERS / THREADS)].bodies[n / PRODUCERS % BODIES];
}

static void
send_all(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
		if (n <= 0)
			die("send to redis", strerror(errno));
		at += (size_t)n;
	}
}

/* XADD log * b <body>, as RESP (redis.io/docs/latest/develop/reference/protocol-spec). */
void
redis_send(struct producer *p, uint64_t n)
{
	char head[128];
	(void)n;
	if (p->fd < 0) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		snprintf(address.sun_path, sizeof address.sun_path, "%s", p->group->all->socket);
		p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(p->fd, (struct sockaddr *)&address, sizeof address) != 0)
			die("connect to redis", strerror(errno));
	}
	int len = snprintf(head, sizeof head, "*5\r\n$4\r\nXADD\r\n$3\r\nlog\r\n$1\r\n*\r\n$1\r\nb\r\n$%zu\r\n",
		p->body.len);
	send_all(p->fd, head, (size_t)len);
	send_all(p->fd, p->body.data, p->body.len);
	send_all(p->fd, "\r\n", 2);
}

/* Answers are $<length>\r\n<id>\r\n, some 25 bytes, and come in one piece. */
size_t
redis_receive(struct group *g, struct producer **ready)
{
	struct pollfd fds[PRODUCERS / THREADS];
	char answer[256];
	size_t n = 0;
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = (struct pollfd){ .fd = g->each[i].fd, .events = POLLIN };
	if (poll(fds, COUNT_OF(fds), -1) < 0)
		die("poll", strerror(errno));
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		if (fds[i].revents == 0)
			continue;
		ssize_t got = recv(fds[i].fd, answer, sizeof answer, 0);
		if (got <= 0 || answer[0] != '$' || answer[got - 1] != '\n')
			die("answer of redis", got <= 0 ? "closed" : "not an id");
		ready[n++] = &g->each[i];
	}
	return n;
}

void
redis_forget(struct producers *all)
{
	static const char flush[] = "*1\r\n$8\r\nFLUSHALL\r\n";
	char answer[64];
	int fd = all->groups[0].each[0].fd;
	send_all(fd, flush, sizeof flush - 1);
	if (recv(fd, answer, sizeof answer, 0) <= 0)
		die("FLUSHALL", strerror(errno));
}
