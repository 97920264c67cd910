/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator of the receiver's measurements: some connections, each with one request at a
 * time, from one thread. Requests are prepared before the clock runs, so that the generator takes as
 * little of the processors it shares as it can.
 *
 *	load http|http-once|redis ADDRESS CONNECTIONS SECONDS BODIES [SECRET]
 *
 *	http       signed GitHub deliveries to POST /in/bench, connections are kept
 *	http-once  the same with a connection of its own for each, as forges send
 *	redis      XADD to one stream, its length bounded so that memory is
 *	ADDRESS    127.0.0.1:PORT, or the path of a Unix socket
 *	BODIES     a file with one body per line, sent in turn
 *
 * Prints one line of CSV: requests per second, p50, p99 and longest in microseconds, failed requests,
 * the generator's own processor time per request in microseconds, and how many requests it began in
 * all, those of the first two seconds included, which count for nothing else. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "event/sign.h"

#define CONNECTIONS_MAX ((size_t)1024)
#define SAMPLES_MAX ((size_t)8 * 1024 * 1024)
#define BODIES_MAX ((size_t)16 * 1024)
#define WARM_UP_US 2000000

enum speech { SPEAK_HTTP, SPEAK_HTTP_ONCE, SPEAK_REDIS };

struct body {
	struct bytes bytes;
	char head[224]; /* what stands between the delivery's id and the body */
	size_t head_bytes;
};

struct client {
	int fd;
	size_t index, number, sent, have;
	int64_t start_us;
	const struct body *body;
	char head[512], answer[2048];
	size_t head_bytes;
};

struct load {
	enum speech speech;
	int epoll;
	struct sockaddr_storage to;
	socklen_t to_bytes;
	struct arena *arena;
	struct body *bodies;
	size_t body_count, client_count, next_body;
	struct client *clients;
	uint32_t *samples;
	size_t sample_count, failed;
	int64_t begin_us, end_us;
};

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- what is sent ---- */

static void
read_bodies(struct load *l, const char *path, const char *secret)
{
	struct err e = { .rc = RC_OK };
	struct buf signature = buf_new(128);
	struct bytes file;
	if (fs_read(path, (size_t)1 << 30, l->arena, &file, &e) != RC_OK)
		give_up(e.text);
	const unsigned char *line, *end = file.data + file.len;
	for (const unsigned char *at = file.data; at < end; at = line + 1) {
		line = memchr(at, '\n', (size_t)(end - at));
		if (line == NULL || line == at)
			break;
		if (l->body_count == BODIES_MAX)
			give_up("too many bodies");
		struct body *b = &l->bodies[l->body_count++];
		b->bytes = (struct bytes){ at, (size_t)(line - at) };
		buf_clear(&signature);
		sign_github(bytes_str(secret), b->bytes, &signature);
		b->head_bytes = (size_t)snprintf(b->head, sizeof b->head,
			"X-Hub-Signature-256: %s\r\nContent-Length: %zu\r\n\r\n",
			buf_cstr(&signature), b->bytes.len);
	}
	if (l->body_count == 0)
		give_up("no bodies");
	buf_free(&signature);
}

static void
next_request(struct load *l, struct client *c)
{
	c->body = &l->bodies[l->next_body++ % l->body_count];
	if (l->speech == SPEAK_REDIS)
		c->head_bytes = (size_t)snprintf(c->head, sizeof c->head,
			"*8\r\n$4\r\nXADD\r\n$1\r\ns\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$4\r\n4096\r\n"
			"$1\r\n*\r\n$1\r\nb\r\n$%zu\r\n",
			c->body->bytes.len);
	else
		c->head_bytes = (size_t)snprintf(c->head, sizeof c->head,
			"POST /in/bench HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			"User-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\n"
			"Content-Type: application/json\r\nX-GitHub-Event: pull_request\r\n"
			"X-GitHub-Hook-ID: 1\r\n"
			"X-GitHub-Delivery: %08zx-0000-4000-8000-%012zx\r\n%s",
			c->index, c->number, c->body->head);
	ASSERT(c->head_bytes < sizeof c->head);
	c->number++;
	c->sent = 0;
	c->have = 0;
	c->start_us = clock_monotonic_us();
}

static bool
send_request(struct load *l, struct client *c)
{
	static char line_end[] = "\r\n";
	size_t tail = l->speech == SPEAK_REDIS ? 2 : 0;
	size_t total = c->head_bytes + c->body->bytes.len + tail;
	while (c->sent < total) {
		struct iovec parts[] = {
			{ c->head, c->head_bytes },
			{ (void *)(uintptr_t)c->body->bytes.data, c->body->bytes.len },
			{ line_end, tail },
		};
		size_t skip = c->sent, first = 0;
		while (skip >= parts[first].iov_len)
			skip -= parts[first++].iov_len;
		parts[first].iov_base = (char *)parts[first].iov_base + skip;
		parts[first].iov_len -= skip;
		struct msghdr m = { .msg_iov = parts + first, .msg_iovlen = COUNT_OF(parts) - first };
		ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == ENOTCONN;
		c->sent += (size_t)n;
	}
	return true;
}

/* ---- what comes back ---- */

static bool
is_complete(const struct load *l, const struct client *c)
{
	if (l->speech == SPEAK_REDIS) /* "$15\r\n1690000000000-0\r\n", or "-ERR ...\r\n" */
		return c->have > 2 && c->answer[c->have - 1] == '\n' &&
		       (c->answer[0] == '-' || strchr(c->answer, '\n') != c->answer + c->have - 1);
	const char *end = strstr(c->answer, "\r\n\r\n"), *len = strcasestr(c->answer, "content-length:");
	return end != NULL && len != NULL &&
	       c->have >= (size_t)(end - c->answer) + 4 + strtoul(len + 15, NULL, 10);
}

/* 1: the answer is complete; 0: not yet; -1: no answer. */
static int
read_answer(const struct load *l, struct client *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->answer + c->have, sizeof c->answer - 1 - c->have, 0);
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		if (n == 0)
			return -1;
		c->have += (size_t)n;
		c->answer[c->have] = '\0';
		if (is_complete(l, c))
			return 1;
	}
}

static bool
is_good(const struct load *l, const struct client *c)
{
	return l->speech == SPEAK_REDIS ? c->answer[0] == '$'
					: strncmp(c->answer, "HTTP/1.1 202", 12) == 0;
}

/* ---- connections ---- */

static void
open_connection(struct load *l, struct client *c)
{
	int one = 1;
	c->fd = socket(l->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		give_up("socket");
	if (l->to.ss_family == AF_INET) {
		/* An address of its own per client: no port has to be used again soon. */
		struct sockaddr_in from = { .sin_family = AF_INET };
		from.sin_addr.s_addr = htonl(0x7f010001u + (uint32_t)c->index);
		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0)
			give_up("bind");
	}
	if (connect(c->fd, (struct sockaddr *)&l->to, l->to_bytes) != 0 && errno != EINPROGRESS)
		give_up("connect");
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		give_up("epoll_ctl");
}

static void
finish_request(struct load *l, struct client *c, bool complete)
{
	int64_t now_us = clock_monotonic_us();
	if (now_us >= l->begin_us && now_us < l->end_us) {
		if (!complete || !is_good(l, c))
			l->failed++;
		else if (l->sample_count < SAMPLES_MAX)
			l->samples[l->sample_count++] = (uint32_t)(now_us - c->start_us);
	}
	bool reopen = l->speech == SPEAK_HTTP_ONCE || !complete;
	if (reopen)
		close(c->fd);
	next_request(l, c);
	if (reopen)
		open_connection(l, c);
}

static void
on_ready(struct load *l, struct client *c)
{
	for (;;) {
		int complete = send_request(l, c) ? read_answer(l, c) : -1;
		if (complete == 0)
			return;
		finish_request(l, c, complete == 1);
		if (l->speech == SPEAK_HTTP_ONCE || complete != 1)
			return;
	}
}

static void
send_load(struct load *l)
{
	struct epoll_event events[128];
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < l->client_count; i++) {
		l->clients[i].index = i;
		next_request(l, &l->clients[i]);
		open_connection(l, &l->clients[i]);
	}
	while (clock_monotonic_us() < l->end_us) {
		int n = epoll_wait(l->epoll, events, COUNT_OF(events), 100);
		for (int i = 0; i < n; i++)
			on_ready(l, events[i].data.ptr);
	}
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void
report(struct load *l, double seconds)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	double cpu_us = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
			(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	size_t sent = 0, n = l->sample_count;
	for (size_t i = 0; i < l->client_count; i++)
		sent += l->clients[i].number;
	qsort(l->samples, n, sizeof *l->samples, by_value);
	printf("%.0f,%u,%u,%u,%zu,%.1f,%zu\n", (double)n / seconds, n == 0 ? 0 : l->samples[n / 2],
		n == 0 ? 0 : l->samples[n * 99 / 100], n == 0 ? 0 : l->samples[n - 1], l->failed,
		cpu_us / (double)sent, sent);
}

/* ---- the command line ---- */

static void
read_address(struct load *l, const char *text)
{
	const char *colon = strchr(text, ':');
	if (text[0] == '/') {
		struct sockaddr_un to = { .sun_family = AF_UNIX };
		if (strlen(text) >= sizeof to.sun_path)
			give_up("the path of the socket is too long");
		memcpy(to.sun_path, text, strlen(text));
		memcpy(&l->to, &to, sizeof to);
		l->to_bytes = sizeof to;
	} else if (colon != NULL) {
		struct sockaddr_in to = { .sin_family = AF_INET,
			.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(&l->to, &to, sizeof to);
		l->to_bytes = sizeof to;
	}
}

int
main(int argc, char **argv)
{
	static const char *const speeches[] = { [SPEAK_HTTP] = "http",
		[SPEAK_HTTP_ONCE] = "http-once", [SPEAK_REDIS] = "redis" };
	struct load l = { .speech = COUNT_OF(speeches) };
	for (size_t i = 0; argc >= 6 && i < COUNT_OF(speeches); i++) {
		if (strcmp(argv[1], speeches[i]) == 0)
			l.speech = (enum speech)i;
	}
	if (argc >= 6) {
		read_address(&l, argv[2]);
		l.client_count = strtoul(argv[3], NULL, 10);
	}
	if (argc < 6 || l.speech == COUNT_OF(speeches) || l.to_bytes == 0 || l.client_count < 1 ||
		l.client_count > CONNECTIONS_MAX || strtol(argv[4], NULL, 10) < 1) {
		fprintf(stderr, "usage: load http|http-once|redis ADDRESS CONNECTIONS SECONDS BODIES"
				" [SECRET]\n");
		return 2;
	}
	l.arena = arena_new(4096);
	l.bodies = base_zalloc(BODIES_MAX * sizeof *l.bodies);
	read_bodies(&l, argv[5], argc > 6 ? argv[6] : "");
	l.samples = base_alloc(SAMPLES_MAX * sizeof *l.samples);
	l.clients = base_zalloc(l.client_count * sizeof *l.clients);
	l.begin_us = clock_monotonic_us() + WARM_UP_US;
	l.end_us = l.begin_us + strtol(argv[4], NULL, 10) * 1000000;
	send_load(&l);
	report(&l, strtod(argv[4], NULL));
	for (size_t i = 0; i < l.client_count; i++)
		close(l.clients[i].fd);
	close(l.epoll);
	free(l.clients);
	free(l.samples);
	free(l.bodies);
	arena_free(l.arena);
	return 0;
}
