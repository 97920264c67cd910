/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_HTTP_SERVER_H
#define TESTS_UNIT_HTTP_SERVER_H

/* A scripted HTTP server for tests. Include after cmocka.h. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

/* A server with one thread that answers each request with the next scripted text and keeps what it
 * was sent. NULL closes the connection without an answer. */
struct server {
	int listener;
	int stop[2];
	unsigned port;
	pthread_t thread;
	const char *const *answers;
	size_t answer_count;
	size_t connections;
	struct buf requests;
};

static size_t
content_length(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");
	return at == NULL ? 0 : (size_t)strtoul(at + 17, NULL, 10);
}

/* Reads one whole request into s->requests; false when the peer closed. */
static bool
read_request(struct server *s, int fd)
{
	size_t start = s->requests.len;
	for (;;) {
		char part[65536];
		ssize_t n = recv(fd, part, sizeof(part), 0);
		if (n <= 0)
			return false;
		buf_put(&s->requests, part, (size_t)n);
		const char *text = buf_cstr(&s->requests) + start;
		const char *end = strstr(text, "\r\n\r\n");
		if (end == NULL)
			continue;
		size_t head = (size_t)(end - text) + 4;
		if (s->requests.len - start >= head + content_length(text))
			return true;
	}
}

static void *
serve(void *context)
{
	struct server *s = context;
	size_t next = 0;
	for (;;) {
		struct pollfd fds[2] = { { s->listener, POLLIN, 0 }, { s->stop[0], POLLIN, 0 } };
		if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
			return NULL;
		int fd = accept(s->listener, NULL, NULL);
		if (fd < 0)
			return NULL;
		s->connections++;
		while (next < s->answer_count && read_request(s, fd)) {
			const char *answer = s->answers[next++];
			if (answer == NULL)
				break;
			size_t sent = 0, len = strlen(answer);
			while (sent < len) {
				ssize_t n = send(fd, answer + sent, len - sent, MSG_NOSIGNAL);
				if (n <= 0)
					break;
				sent += (size_t)n;
			}
			if (strcasestr(answer, "connection: close") != NULL)
				break;
		}
		close(fd);
	}
}

static void
server_start(struct server *s, const char *const *answers, size_t count)
{
	*s = (struct server){ .answers = answers, .answer_count = count };
	s->requests = buf_new((size_t)64 * 1024 * 1024);
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = { .sin_family = AF_INET };
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t len = sizeof(at);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
	s->port = ntohs(at.sin_port);
	assert_int_equal(pipe(s->stop), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* After this the requests may be read by the test. */
static void
server_stop(struct server *s)
{
	assert_int_equal(write(s->stop[1], "x", 1), 1);
	pthread_join(s->thread, NULL);
	close(s->listener);
	close(s->stop[0]);
	close(s->stop[1]);
}

static void
url_of(const struct server *s, const char *rest, char *out, size_t out_bytes)
{
	snprintf(out, out_bytes, "http://127.0.0.1:%u%s", s->port, rest);
}

#endif
