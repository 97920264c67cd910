/* SPDX-License-Identifier: Apache-2.0 */
/* How many deliveries the receiver takes, and how long each waits for its answer. A child process
 *runs receiver and log, this one is the sender: some connections, each with one request at a time,
 *over loopback; both share the machine's processors. One line per combination of threading model
 *and connection use, as CSV:
 *
 *	ingest_bench [SECONDS [CONNECTIONS [BODY_BYTES [FOLDER]]]]
 *
 * FOLDER (default: the current one) is where the log is written, and must be on the disk to
 *measure. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/sign.h"
#include "ingest/ingest.h"
#include "ingest/sources.h"

#define SECRET "a secret for the benchmark"
#define BODIES 64
#define CONNECTIONS_MAX 1024
#define SAMPLES_MAX ((size_t)8 * 1024 * 1024)
#define WARM_UP_US 500000

struct run {
	enum ingest_threading threading;
	bool keep_alive;
	int64_t seconds;
	size_t connections;
	const char *dir;
};

struct client {
	int fd;
	size_t index, number, sent, have, want;
	int64_t start_us;
	struct buf request;
	char answer[2048];
};

struct load {
	const struct run *run;
	int epoll;
	struct sockaddr_in to;
	struct buf bodies[BODIES], signatures[BODIES];
	struct client *clients;
	uint32_t *samples;
	size_t sample_count, failed;
	int64_t begin_us, end_us;
};

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "ingest_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
remove_entry(
	const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *ftw UNUSED)
{
	return remove(path);
}

/* ---- the receiver ---- */

static _Noreturn void
receive(const struct run *run, int port_fd)
{
	struct err e;
	struct store *store = NULL;
	struct ingest *in = NULL;
	struct arena *a = arena_new(1024);
	const char *path;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	const struct store_options log = { .dir = arena_printf(a, "%s/log", run->dir) };
	const struct source_plan plan = { .name = "bench", .provider = "github",
		.secret = bytes_str(SECRET) };
	const struct ingest_options options = {
		.listen = "127.0.0.1:0",
		.threading = run->threading,
		.connections_max = CONNECTIONS_MAX + 64,
		.keep_alive = run->keep_alive,
		.sources_dir = arena_printf(a, "%s/sources", run->dir),
		.salt_file = arena_printf(a, "%s/salt", run->dir),
	};
	struct ingest_options with_store = options;
	if (store_open(&store, &log, &e) != RC_OK ||
		source_add(options.sources_dir, &plan, a, &path, &e) != RC_OK)
		goto failed;
	with_store.store = store;
	if (ingest_start(&in, &with_store, &e) != RC_OK)
		goto failed;
	uint32_t port = (uint32_t)strtoul(strrchr(ingest_address(in), ':') + 1, NULL, 10);
	if (write(port_fd, &port, sizeof port) != sizeof port)
		give_up("write to the sender");
	int signal_number;
	sigwait(&set, &signal_number);
	ingest_stop(in);
	store_close(store);
	arena_free(a);
	exit(0);
failed:
	fprintf(stderr, "ingest_bench: %s\n", e.text);
	exit(1);
}

/* ---- the sender ---- */

/* Text like a webhook's: much of it repeats, ids and hashes do not. */
static void
make_body(struct buf *out, size_t len)
{
	uint64_t r[4];
	*out = buf_new(len + 1024);
	buf_put_str(out, "{\"action\":\"opened\",\"list\":[");
	while (out->len + 300 < len) {
		crypto_random(r, sizeof r);
		buf_printf(out,
			"{\"id\":%" PRIu64 ",\"node_id\":\"%016" PRIx64 "\",\"sha\":\"%016" PRIx64
			"%016" PRIx64
			"\",\"url\":\"https://api.example.com/repos/octo/hello/pulls/%u\","
			"\"draft\":false,\"body\":\"Some words that describe what is changed "
			"here\"},",
			r[0] >> 32, r[1], r[2], r[3], (unsigned)(r[0] & 0xffff));
	}
	buf_put_str(out, "0]}");
	while (out->len < len)
		buf_put_char(out, ' ');
}

static void
open_connection(struct load *l, struct client *c)
{
	/* An address of its own per client: no port has to be used again soon. */
	struct sockaddr_in from = { .sin_family = AF_INET };
	int one = 1;
	from.sin_addr.s_addr = htonl(0x7f010001u + (uint32_t)c->index);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		give_up("socket");
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0)
		give_up("bind");
	if (connect(c->fd, (struct sockaddr *)&l->to, sizeof l->to) != 0 && errno != EINPROGRESS)
		give_up("connect");
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		give_up("epoll_ctl");
}

static void
next_request(struct load *l, struct client *c)
{
	size_t which = (c->index + c->number) % BODIES;
	buf_clear(&c->request);
	buf_printf(&c->request,
		"POST /in/bench HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		"User-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\nContent-Type: "
		"application/json\r\n"
		"X-GitHub-Event: pull_request\r\nX-GitHub-Hook-ID: 1\r\n"
		"X-GitHub-Delivery: %08zx-0000-4000-8000-%012zx\r\n"
		"X-Hub-Signature-256: ",
		c->index, c->number);
	buf_put_bytes(&c->request, buf_bytes(&l->signatures[which]));
	buf_printf(&c->request, "\r\nContent-Length: %zu\r\n\r\n", l->bodies[which].len);
	buf_put_bytes(&c->request, buf_bytes(&l->bodies[which]));
	c->number++;
	c->sent = 0;
	c->have = 0;
	c->want = 0;
	c->start_us = clock_monotonic_us();
}

static bool
send_request(struct client *c)
{
	while (c->sent < c->request.len) {
		ssize_t n = send(
			c->fd, c->request.data + c->sent, c->request.len - c->sent, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == ENOTCONN;
		c->sent += (size_t)n;
	}
	return true;
}

/* 1: the answer is complete; 0: not yet; -1: no answer. */
static int
read_answer(struct client *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->answer + c->have, sizeof c->answer - 1 - c->have, 0);
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		if (n == 0)
			return -1;
		c->have += (size_t)n;
		c->answer[c->have] = '\0';
		char *end = strstr(c->answer, "\r\n\r\n"),
		     *len = strcasestr(c->answer, "content-length:");
		if (end == NULL || len == NULL)
			continue;
		c->want = (size_t)(end - c->answer) + 4 + strtoul(len + 15, NULL, 10);
		if (c->have >= c->want)
			return 1;
	}
}

static void
finish_request(struct load *l, struct client *c, bool complete)
{
	int64_t now_us = clock_monotonic_us();
	bool ok = complete && strncmp(c->answer, "HTTP/1.1 202", 12) == 0;
	if (!ok)
		l->failed++;
	else if (now_us >= l->begin_us && now_us < l->end_us && l->sample_count < SAMPLES_MAX)
		l->samples[l->sample_count++] = (uint32_t)(now_us - c->start_us);
	bool reopen = !l->run->keep_alive || !complete;
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
		int complete = send_request(c) ? read_answer(c) : -1;
		if (complete == 0)
			return;
		finish_request(l, c, complete == 1);
		if (!l->run->keep_alive || complete != 1)
			return;
	}
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void
send_load(struct load *l)
{
	struct epoll_event events[128];
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->begin_us = clock_monotonic_us() + WARM_UP_US;
	l->end_us = l->begin_us + l->run->seconds * 1000000;
	for (size_t i = 0; i < l->run->connections; i++) {
		l->clients[i].index = i;
		l->clients[i].number = 0;
		next_request(l, &l->clients[i]);
		open_connection(l, &l->clients[i]);
	}
	while (clock_monotonic_us() < l->end_us) {
		int n = epoll_wait(l->epoll, events, COUNT_OF(events), 100);
		for (int i = 0; i < n; i++)
			on_ready(l, events[i].data.ptr);
	}
	for (size_t i = 0; i < l->run->connections; i++)
		close(l->clients[i].fd);
	close(l->epoll);
}

static void
measure(struct load *l, const struct run *run)
{
	int ends[2];
	uint32_t port = 0;
	char dir[512];
	struct run here = *run;
	snprintf(dir, sizeof dir, "%s/ingest-bench-XXXXXX", run->dir);
	if (mkdtemp(dir) == NULL || pipe2(ends, O_CLOEXEC) != 0)
		give_up(dir);
	here.dir = dir;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		receive(&here, ends[1]);
	close(ends[1]);
	if (read(ends[0], &port, sizeof port) != sizeof port)
		give_up("the receiver did not start");
	close(ends[0]);
	l->run = &here;
	l->sample_count = 0;
	l->failed = 0;
	l->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	l->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	send_load(l);
	kill(child, SIGTERM);
	int status = 0;
	struct rusage used;
	wait4(child, &status, 0, &used);
	size_t n = l->sample_count;
	qsort(l->samples, n, sizeof *l->samples, by_value);
	double cpu_us = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
			(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	/* The processor time includes the warm-up; so does this share of it. */
	double total = (double)n * ((double)run->seconds + 0.5) / (double)run->seconds;
	printf("%s,%s,%zu,%.0f,%u,%u,%u,%zu,%.1f,%d\n",
		run->threading == INGEST_POOL ? "pool" : "connection",
		run->keep_alive ? "kept" : "one-request", run->connections,
		(double)n / (double)run->seconds, n == 0 ? 0 : l->samples[n / 2],
		n == 0 ? 0 : l->samples[n * 99 / 100], n == 0 ? 0 : l->samples[n - 1], l->failed,
		n == 0 ? 0.0 : cpu_us / total, status);
	fflush(stdout);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(int argc, char **argv)
{
	struct run run = { .seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 10,
		.connections = argc > 2 ? strtoul(argv[2], NULL, 10) : 64,
		.dir = argc > 4 ? argv[4] : "." };
	size_t body_bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : 10240;
	if (run.seconds < 1 || run.connections < 1 || run.connections > CONNECTIONS_MAX)
		give_up("usage: ingest_bench [SECONDS [CONNECTIONS [BODY_BYTES [FOLDER]]]]");
	struct load l = { 0 };
	for (size_t i = 0; i < BODIES; i++) {
		make_body(&l.bodies[i], body_bytes);
		l.signatures[i] = buf_new(128);
		sign_github(bytes_str(SECRET), buf_bytes(&l.bodies[i]), &l.signatures[i]);
	}
	l.samples = base_alloc(SAMPLES_MAX * sizeof *l.samples);
	l.clients = base_zalloc(run.connections * sizeof *l.clients);
	for (size_t i = 0; i < run.connections; i++)
		l.clients[i].request = buf_new(body_bytes + 4096);
	printf("threading,connections_use,connections,requests_per_s,p50_us,p99_us,max_us,failed,"
	       "receiver_cpu_us_per_request,exit\n");
	static const enum ingest_threading models[] = { INGEST_CONNECTION, INGEST_POOL };
	for (size_t keep = 0; keep < 2; keep++) {
		for (size_t m = 0; m < COUNT_OF(models); m++) {
			run.threading = models[m];
			run.keep_alive = keep == 1;
			measure(&l, &run);
		}
	}
	for (size_t i = 0; i < BODIES; i++) {
		buf_free(&l.bodies[i]);
		buf_free(&l.signatures[i]);
	}
	for (size_t i = 0; i < run.connections; i++)
		buf_free(&l.clients[i].request);
	free(l.clients);
	free(l.samples);
	return 0;
}
